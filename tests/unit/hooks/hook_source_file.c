#include "hooks/hook_fixture.h"

/* ---- capacity ---- */

static uint64_t capacity_of(const char *path, const char *format)
{
    const struct disk disk = {
        .format = (char *)format,
        .source = {.type = SOURCE_FILE, .path = (char *)path},
    };
    return source_file_capacity(&disk);
}

struct qcow2 {
    unsigned char bytes[104];
};

static struct qcow2 qcow2_of(unsigned version, unsigned cluster_bits, uint64_t size)
{
    struct qcow2 header = {"QFI\xfb"};
    header.bytes[7] = (unsigned char)version;
    header.bytes[23] = (unsigned char)cluster_bits;
    for (unsigned i = 0; i < 8; i++)
        header.bytes[24 + i] = (unsigned char)(size >> (56 - 8 * i));
    return header;
}

/* The capacity that is seen in a file of these bytes. */
static uint64_t capacity_in(const struct desk *desk, const void *bytes, size_t length)
{
    AUTO_FREE char *path = text_format("%s/disk", desk->folder);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    return capacity_of(path, "qcow2");
}

static void test_raw_is_as_large_as_its_file(void **state)
{
    struct desk *desk = *state;
    AUTO_FREE char *path = text_format("%s/disk", desk->folder);
    write_file(path, "", 0600);
    assert_int_equal(capacity_of(path, "raw"), 0);
    assert_int_equal(truncate(path, 3 * GIB + 512), 0);
    assert_int_equal(capacity_of(path, "raw"), 3 * GIB + 512);
    assert_int_equal(capacity_of(path, NULL), 3 * GIB + 512);
    assert_int_equal(capacity_of(path, "vmdk"), 0);
}

static void test_qcow2_is_as_large_as_it_says(void **state)
{
    struct qcow2 header = qcow2_of(3, 16, 10 * GIB);
    assert_int_equal(capacity_in(*state, &header, sizeof(header)), 10 * GIB);
    header = qcow2_of(2, 9, 0x0102030405060708);
    assert_int_equal(capacity_in(*state, &header, 72), 0x0102030405060708);
}

static void test_a_bad_header_says_nothing(void **state)
{
    struct qcow2 header = qcow2_of(3, 16, 10 * GIB);
    assert_int_equal(capacity_in(*state, &header, 71), 0);
    assert_int_equal(capacity_in(*state, "", 0), 0);
    header.bytes[0] = 'X';
    assert_int_equal(capacity_in(*state, &header, sizeof(header)), 0);
    const struct qcow2 bad[] = {qcow2_of(1, 16, GIB), qcow2_of(4, 16, GIB), qcow2_of(3, 8, GIB),
                                qcow2_of(3, 22, GIB), qcow2_of(3, 16, UINT64_MAX)};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(capacity_in(*state, &bad[i], sizeof(bad[i])), 0);
}

/* A FIFO without a writer blocks whoever opens it, a device may act. */
static void test_only_regular_files_are_read(void **state)
{
    struct desk *desk = *state;
    AUTO_FREE char *fifo = text_format("%s/fifo", desk->folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    const char *const paths[] = {fifo, desk->folder, "/dev/zero", "/nonexistent", ""};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        assert_int_equal(capacity_of(paths[i], "raw"), 0);
        assert_int_equal(capacity_of(paths[i], "qcow2"), 0);
    }
}

/* ---- reach ---- */

static enum source_reach reach(enum source_type type, const char *path)
{
    const struct disk_source source = {.type = type, .path = (char *)path};
    return source_reach(&source);
}

static void test_files(void **state)
{
    struct desk *desk = *state;
    AUTO_FREE char *path = text_format("%s/disk", desk->folder);
    assert_int_equal(reach(SOURCE_FILE, path), REACH_NONE);
    write_file(path, "x", 0600);
    assert_int_equal(reach(SOURCE_FILE, path), REACH_LOCAL);
    AUTO_FREE char *link = text_format("%s/link", desk->folder);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(reach(SOURCE_FILE, link), REACH_LOCAL);
    AUTO_FREE char *below = text_format("%s/below", path);
    assert_int_equal(reach(SOURCE_FILE, below), REACH_NONE);
    assert_int_equal(reach(SOURCE_FILE, desk->folder), REACH_NONE);
    assert_int_equal(reach(SOURCE_FILE, NULL), REACH_NONE);
}

static void test_what_cannot_be_looked_at_may_be_shared(void **state)
{
    struct desk *desk = *state;
    AUTO_FREE char *loop = text_format("%s/loop", desk->folder);
    assert_int_equal(symlink(loop, loop), 0);
    assert_int_equal(reach(SOURCE_FILE, loop), REACH_SHARED);
    assert_int_equal(reach(SOURCE_BLOCK, loop), REACH_SHARED);
}

static void test_block_devices_that_are_here_are_shared(void **state)
{
    struct desk *desk = *state;
    assert_int_equal(reach(SOURCE_BLOCK, "/dev/nonexistent"), REACH_NONE);
    assert_int_equal(reach(SOURCE_BLOCK, "/dev/null"), REACH_NONE); /* no block device */
    AUTO_FREE char *node = text_format("%s/node", desk->folder);
    if (mknod(node, S_IFBLK | 0600, 0) < 0)
        skip(); /* no right to */
    assert_int_equal(reach(SOURCE_BLOCK, node), REACH_SHARED);
    assert_int_equal(reach(SOURCE_FILE, node), REACH_SHARED);
}

static void test_other_sources_are_not_files(void **state UNUSED)
{
    assert_int_equal(reach(SOURCE_NETWORK, "/dev/null"), REACH_NONE);
    assert_int_equal(reach(SOURCE_NONE, "/dev/null"), REACH_NONE);
}

static void test_which_file_systems_are_shared(void **state UNUSED)
{
    assert_true(file_system_is_shared(0x6969));             /* NFS */
    assert_true(file_system_is_shared(0xff534d42));         /* CIFS */
    assert_true(file_system_is_shared(0xffffffffff534d42)); /* as a signed f_type gives it */
    assert_true(file_system_is_shared(0xfe534d42));         /* SMB2 */
    assert_true(file_system_is_shared(0x00c36400));         /* Ceph */
    assert_true(file_system_is_shared(0x65735546));         /* FUSE */
    assert_true(file_system_is_shared(0x01161970));         /* GFS2 */
    assert_true(file_system_is_shared(0x7461636f));         /* OCFS2 */
    assert_true(file_system_is_shared(0x47504653));         /* GPFS */
    assert_true(file_system_is_shared(0x0bd00bd0));         /* Lustre */
    assert_false(file_system_is_shared(0xef53));            /* ext4 */
    assert_false(file_system_is_shared(0x58465342));        /* XFS */
    assert_false(file_system_is_shared(0x9123683e));        /* Btrfs */
    assert_false(file_system_is_shared(0x01021994));        /* tmpfs */
    assert_false(file_system_is_shared(0x794c7630));        /* overlay */
    assert_false(file_system_is_shared(0x2fc12fc1));        /* ZFS */
}

int main(void)
{
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        WITH_DESK(test_raw_is_as_large_as_its_file),
        WITH_DESK(test_qcow2_is_as_large_as_it_says),
        WITH_DESK(test_a_bad_header_says_nothing),
        WITH_DESK(test_only_regular_files_are_read),
        WITH_DESK(test_files),
        WITH_DESK(test_what_cannot_be_looked_at_may_be_shared),
        WITH_DESK(test_block_devices_that_are_here_are_shared),
        cmocka_unit_test(test_other_sources_are_not_files),
        cmocka_unit_test(test_which_file_systems_are_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
