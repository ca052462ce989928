/* What an image stands on, read from headers, good and hostile. */
#include "files_fixture.h"

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
    AUTO_FREE char *backing = NULL;
    AUTO_FREE char *wanted =
        *expected == '.' ? text_format("%s/%s", folder, expected + 2) : text_dup(expected);
    if (files_backing(path, "qcow2", &backing, &error) < 0)
        fail_msg("%s", error.message);
    assert_non_null(backing);
    assert_string_equal(backing, wanted);
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
    AUTO_FREE char *backing = NULL;
    int result = files_backing(path, format, &backing, error);
    return result < 0 ? -1 : backing != NULL;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(none),
        cmocka_unit_test(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
