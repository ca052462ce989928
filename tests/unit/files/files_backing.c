/* What an image stands on, read from headers, good and hostile. */
#include "files_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

/* A qcow2 header whose backing file's name stands at this offset. */
static char *image_new(const char *folder, uint32_t offset, uint32_t length, const char *name)
{
    unsigned char bytes[4096] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3};
    for (int i = 0; i < 4; i++) {
        bytes[12 + i] = (unsigned char)(offset >> (24 - 8 * i));
        bytes[16 + i] = (unsigned char)(length >> (24 - 8 * i));
    }
    if (offset + strlen(name) <= sizeof(bytes))
        memcpy(bytes + offset, name, strlen(name));
    char *path = text_format("%s/top.qcow2", folder);
    AUTO_FCLOSE FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
    return path;
}

static void expect(const char *name, const char *expected)
{
    AUTO_ERROR struct error error = {0};
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *path = image_new(folder, 512, (uint32_t)strlen(name), name);
    CLEANUP(file_backing_clear) struct file_backing backing = {0};
    AUTO_FREE char *wanted =
        *expected == '.' ? text_format("%s/%s", folder, expected + 2) : text_dup(expected);
    if (files_backing(path, "qcow2", &backing, &error) < 0)
        fail_msg("%s", error.message);
    assert_non_null(backing.path);
    assert_string_equal(backing.path, wanted);
}

static void names(void **state UNUSED)
{
    expect("/a/base.raw", "/a/base.raw");
    expect("base.raw", "./base.raw");
    expect("file:/a/base.raw", "/a/base.raw");
    expect("rbd:vms/db-1:conf=/etc/ceph/c.conf", "rbd:vms/db-1:conf=/etc/ceph/c.conf");
    expect("json:{\"driver\":\"raw\",\"file\":{\"filename\":\"/a/b\"}}", "/a/b");
    expect("json:{\"driver\":\"rbd\",\"pool\":\"vms\",\"image\":\"x\"}",
           "json:{\"driver\":\"rbd\",\"pool\":\"vms\",\"image\":\"x\"}");
}

static int backing_of(const char *path, const char *format, struct error *error)
{
    CLEANUP(file_backing_clear) struct file_backing backing = {0};
    int result = files_backing(path, format, &backing, error);
    return result < 0 ? -1 : backing.path != NULL;
}

static void none(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *alone = image_new(folder, 0, 0, "");
    assert_int_equal(backing_of(alone, "qcow2", &error), 0);
    AUTO_FREE char *small = file_new(folder, "small", "QFI");
    assert_int_equal(backing_of(small, "qcow2", &error), 0);
    /* A guest may write such a header into its raw disk. */
    AUTO_FREE char *raw = image_new(folder, 512, 6, "/a/b/c");
    assert_int_equal(backing_of(raw, "raw", &error), 0);
}

static void hostile(void **state UNUSED)
{
    static const uint32_t offsets[] = {512, 0xffffffffu, 4095};
    static const uint32_t lengths[] = {4000, 8, 8};
    AUTO_SCRATCH char *folder = scratch_new();
    for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
        AUTO_ERROR struct error error = {0};
        AUTO_FREE char *path = image_new(folder, offsets[i], lengths[i], "");
        assert_int_equal(backing_of(path, "qcow2", &error), -1);
        assert_int_equal(error.code, ERROR_INPUT);
    }
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *other = file_new(folder, "a.vmdk", "KDMV and what follows there");
    assert_int_equal(backing_of(other, "vmdk", &error), -1);
    assert_int_equal(error.code, ERROR_UNSUPPORTED);
}

/* ---- the whole chain, as qemu-img makes it ---- */

/* Another program's word for it, not that of image_new. */
static void make(const char *folder, const char *name, const char *backing, const char *format)
{
    AUTO_FREE char *path = text_format("%s/%s", folder, name);
    const char *const words[] = {"qemu-img", "create", "-q",   "-f", "qcow2", "-u", "-b",
                                 backing,    "-F",     format, path, "1M",    NULL};
    const char *const alone[] = {"qemu-img", "create", "-q", "-f", "qcow2", path, "1M", NULL};
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        execvp("qemu-img", (char *const *)(backing ? words : alone));
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* As old versions made it: qemu-img wants the format by now. */
static void forget_format(const char *folder, const char *name)
{
    static const unsigned char kind[] = {0xe2, 0x79, 0x2a, 0xca}, another[] = {0, 0, 0, 1};
    unsigned char head[512];
    AUTO_FREE char *path = text_format("%s/%s", folder, name);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
    const unsigned char *at = memmem(head, sizeof(head), kind, sizeof(kind));
    assert_non_null(at);
    assert_int_equal(pwrite(fd, another, sizeof(another), at - head), sizeof(another));
}

static void chains(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *top = text_format("%s/top", folder);
    AUTO_FREE char *base = file_new(folder, "base", "raw, whatever a guest has written there");
    make(folder, "middle", base, "raw");
    make(folder, "top", "middle", "qcow2");
    assert_int_equal(files_check_chain(top, "qcow2", &error), 0);
    assert_int_equal(files_check_chain(base, "raw", &error), 0);
    make(folder, "middle", NULL, NULL);
    assert_int_equal(files_check_chain(top, "qcow2", &error), 0);
    make(folder, "middle", base, "raw");
    forget_format(folder, "middle");
    assert_int_equal(files_check_chain(top, "qcow2", &error), -1);
    assert_int_equal(error.code, ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "middle"));
    assert_non_null(strstr(error.hint, "qemu-img rebase -u -F"));
}

/* A layer that stands on itself comes to an end. */
static void a_circle(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *top = text_format("%s/top", folder);
    make(folder, "top", "top", "qcow2");
    assert_int_equal(files_check_chain(top, "qcow2", &error), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),  cmocka_unit_test(none),     cmocka_unit_test(hostile),
        cmocka_unit_test(chains), cmocka_unit_test(a_circle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
