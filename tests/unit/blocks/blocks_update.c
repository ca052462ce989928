/* Updating: whatever the target holds, the same bytes arrive, and only what differs is written. */
#include "fake_disk.h"

#include <errno.h>

#define SIZE (21 * MIB + 1000)

static const enum fake_order orders[] = {FAKE_AT_ONCE, FAKE_LAST_FIRST, FAKE_BY_THREAD};

/* Some holes, data across the borders of pieces, and at both ends. */
static void fill(struct fake_disk *disk)
{
    fake_disk_fill(disk, 0, 10);
    fake_disk_fill(disk, 3 * MIB, 2 * MIB + 333);
    fake_disk_fill(disk, 12 * MIB, 4 * MIB);
    fake_disk_fill(disk, SIZE - 1, 1);
}

static struct fake_disk *new_source(enum fake_order order, bool knows_holes)
{
    struct fake_disk *disk = fake_disk_new("source", SIZE, order);
    fill(disk);
    if (knows_holes)
        fake_disk_tell_truth(disk, 4 * KIB);
    return disk;
}

/* Call it when the disk holds what it is to hold. */
static void make_target(struct fake_disk *disk, bool knows_holes)
{
    fake_disk_make_writable(disk);
    if (knows_holes)
        fake_disk_tell_truth(disk, 4 * KIB);
}

/* What the source was, and since then: a byte, some data where a hole is, a hole where data is, a
 * piece of which nothing is the same, and the very end. */
static struct fake_disk *changed_disk(enum fake_order order)
{
    struct fake_disk *disk = fake_disk_new("target", SIZE, order);
    fill(disk);
    disk->bytes[5] ^= 1;
    fake_disk_fill(disk, 8 * MIB + 4096, 100 * KIB);
    memset(disk->bytes + 3 * MIB + 512 * KIB, 0, MIB);
    memset(disk->bytes + 12 * MIB, 'x', 4 * MIB);
    disk->bytes[SIZE - 1] = 0;
    return disk;
}

static struct fake_disk *new_target(enum fake_order order, bool knows_holes)
{
    struct fake_disk *disk = changed_disk(order);
    make_target(disk, knows_holes);
    return disk;
}

/* Bytes that are written to the target above, from an offset on: whole steps of 4 KiB. */
static uint64_t differing_from(uint64_t offset)
{
    static const struct range differ[] = {{0, 4 * KIB},
                                          {3 * MIB + 512 * KIB, MIB},
                                          {8 * MIB + 4096, 100 * KIB},
                                          {12 * MIB, 4 * MIB},
                                          {SIZE - 1000, 1000}};
    uint64_t bytes = 0;
    for (size_t i = 0; i < ARRAY_SIZE(differ); i++)
        bytes += differ[i].offset >= offset ? differ[i].length : 0;
    return bytes;
}

static void update(struct fake_disk *source, struct fake_disk *target, uint64_t offset)
{
    AUTO_ERROR struct error error = {0};
    uint64_t updated = 0, written = 0, before = target->written;
    if (blocks_update(&source->blocks, &target->blocks, offset, NULL, &updated, &written, &error) <
        0)
        fail_msg("%s", error.message);
    assert_int_equal(updated, source->blocks.size);
    assert_int_equal(written, target->written - before);
    assert_memory_equal(source->bytes + offset, target->stable + offset,
                        source->blocks.size - offset);
}

static void update_all(struct fake_disk *source, struct fake_disk *target)
{
    update(source, target, 0);
    assert_memory_equal(source->bytes, target->bytes, source->blocks.size);
}

static void the_same_bytes(void **state UNUSED)
{
    for (size_t a = 0; a < ARRAY_SIZE(orders); a++)
        for (size_t b = 0; b < ARRAY_SIZE(orders); b++)
            for (int knows = 0; knows < 4; knows++) {
                AUTO_DISK struct fake_disk *source = new_source(orders[a], knows & 1);
                AUTO_DISK struct fake_disk *target = new_target(orders[b], knows & 2);
                update_all(source, target);
                assert_int_equal(target->written, differing_from(0));
            }
}

/* Nothing is written where nothing differs, and nothing read where both know of no data. */
static void equal_disks(void **state UNUSED)
{
    for (int knows = 0; knows < 4; knows++) {
        AUTO_DISK struct fake_disk *source = new_source(FAKE_LAST_FIRST, knows & 1);
        AUTO_DISK struct fake_disk *target = fake_disk_new("target", SIZE, FAKE_BY_THREAD);
        fill(target);
        make_target(target, knows & 2);
        update_all(source, target);
        assert_int_equal(target->writes, 0);
        if (knows & 1)
            assert_in_range(source->read, 6 * MIB, 6 * MIB + 16 * KIB);
        if (knows & 2)
            assert_in_range(target->read, 6 * MIB, 6 * MIB + 16 * KIB);
    }
    AUTO_DISK struct fake_disk *empty = fake_disk_new("empty", 64 * MIB, FAKE_AT_ONCE);
    AUTO_DISK struct fake_disk *target = fake_disk_new("target", 64 * MIB, FAKE_AT_ONCE);
    fake_disk_tell(empty, 0, 0);
    make_target(target, true);
    update_all(empty, target);
    assert_int_equal(empty->reads + target->reads + target->writes, 0);
}

/* What was only in somebody's cache counts as done when it is flushed, though nothing is written.
 */
static void the_same_is_flushed(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *source = new_source(FAKE_AT_ONCE, true);
    AUTO_DISK struct fake_disk *target = fake_disk_new("target", SIZE, FAKE_AT_ONCE);
    make_target(target, false);
    fill(target);
    update_all(source, target);
    assert_int_equal(target->writes, 0);
}

/* Whether anybody knows of it or not. */
static void holes_become_zeros(void **state UNUSED)
{
    for (int knows = 0; knows < 4; knows++) {
        AUTO_DISK struct fake_disk *source = fake_disk_new("source", 16 * MIB, FAKE_LAST_FIRST);
        AUTO_DISK struct fake_disk *target = fake_disk_new("target", 16 * MIB, FAKE_BY_THREAD);
        fake_disk_fill(source, 0, 4 * MIB); /* its buffers are used again */
        if (knows & 1)
            fake_disk_tell_truth(source, 4 * KIB);
        fake_disk_fill(target, 0, 16 * MIB);
        make_target(target, knows & 2);
        update_all(source, target);
        assert_int_equal(target->written, 12 * MIB);
        if (knows & 1)
            assert_int_equal(source->read, 4 * MIB);
    }
}

static void data_into_holes(void **state UNUSED)
{
    for (int knows = 0; knows < 4; knows++) {
        AUTO_DISK struct fake_disk *source = new_source(FAKE_BY_THREAD, knows & 1);
        AUTO_DISK struct fake_disk *target = fake_disk_new("target", SIZE, FAKE_LAST_FIRST);
        make_target(target, knows & 2);
        update_all(source, target);
        assert_in_range(target->written, 6 * MIB, 6 * MIB + 16 * KIB);
        if (knows & 2)
            assert_int_equal(target->read, 0);
    }
}

static void sizes_of_all_kinds(void **state UNUSED)
{
    const uint64_t sizes[] = {0,       1,           511,     512,       513,         4 * MIB - 1,
                              4 * MIB, 4 * MIB + 1, 8 * MIB, 100 * MIB, 9 * MIB + 7, 5 * MIB + 512};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        AUTO_DISK struct fake_disk *source = fake_disk_new("source", sizes[i], orders[i % 3]);
        AUTO_DISK struct fake_disk *target = fake_disk_new("target", sizes[i], orders[i / 3 % 3]);
        fake_disk_fill(source, 0, sizes[i] < 9 * MIB ? sizes[i] : 9 * MIB);
        fake_disk_fill(target, sizes[i] / 2, sizes[i] - sizes[i] / 2);
        make_target(target, false);
        update_all(source, target);
    }
}

/* Nothing before it is touched. */
static void from_anywhere(void **state UNUSED)
{
    const uint64_t offsets[] = {0, 511, 3 * MIB + 5, 12 * MIB, 20 * MIB + 1, SIZE};
    for (size_t i = 0; i < ARRAY_SIZE(offsets); i++)
        for (int knows = 0; knows < 4; knows++) {
            AUTO_DISK struct fake_disk *source = new_source(orders[i % 3], knows & 1);
            AUTO_DISK struct fake_disk *target = new_target(orders[knows % 3], knows & 2);
            AUTO_DISK struct fake_disk *before = new_target(FAKE_AT_ONCE, false);
            update(source, target, offsets[i]);
            assert_memory_equal(before->bytes, target->bytes, offsets[i]);
        }
}

/* After a failure, `updated` is stable, and going on from there makes it whole. */
static void assert_goes_on(struct fake_disk *source, struct fake_disk *target, uint64_t updated)
{
    assert_true(updated <= SIZE);
    assert_memory_equal(source->bytes, target->stable, updated);
    assert_int_equal(source->under_way + target->under_way, 0);
    source->fail_at = target->fail_at = 0;
    update(source, target, updated);
    assert_memory_equal(source->bytes, target->stable, SIZE);
}

static void any_io_may_fail(void **state UNUSED)
{
    for (size_t order = 0; order < ARRAY_SIZE(orders); order++) {
        AUTO_DISK struct fake_disk *probe = new_source(orders[order], true);
        AUTO_DISK struct fake_disk *aim = new_target(orders[order], true);
        update_all(probe, aim);
        for (unsigned n = 1; n <= probe->ios + aim->ios; n++) {
            AUTO_DISK struct fake_disk *source = new_source(orders[order], true);
            AUTO_DISK struct fake_disk *target = new_target(orders[(order + n) % 3], true);
            bool at_source = n <= probe->ios;
            source->fail_at = at_source ? n : 0;
            target->fail_at = at_source ? 0 : n - probe->ios;
            target->failure = -ENOSPC;
            AUTO_ERROR struct error error = {0};
            uint64_t updated = UINT64_MAX, written = UINT64_MAX;
            assert_int_equal(blocks_update(&source->blocks, &target->blocks, 0, NULL, &updated,
                                           &written, &error),
                             -1);
            assert_int_equal(error.code, at_source ? ERROR_FAILED : ERROR_NO_SPACE);
            assert_int_equal(written, target->written);
            assert_goes_on(source, target, updated);
        }
    }
}

static void cancelled_at_any_point(void **state UNUSED)
{
    unsigned turns = 0;
    for (unsigned n = 1;; n++) {
        AUTO_DISK struct fake_disk *source = new_source(orders[n % 3], n % 2);
        AUTO_DISK struct fake_disk *target = new_target(orders[n / 3 % 3], n / 2 % 2);
        struct onlooker onlooker = {.end_at = n, .source = source, .target = target};
        onlooker_start(&onlooker);
        AUTO_ERROR struct error error = {0};
        uint64_t updated = 0, written = 0;
        fake_clock_step(0.3); /* progress at every turn, a flush at every other */
        int result = blocks_update(&source->blocks, &target->blocks, 0, &onlooker.watch, &updated,
                                   &written, &error);
        fake_clock_step(0);
        if (result == 0)
            break;
        assert_int_equal(error.code, ERROR_CANCELLED);
        assert_true(updated >= onlooker.done);
        assert_goes_on(source, target, updated);
        turns = n;
    }
    assert_true(turns > 5);
}

static void rounded_up_to_sectors(void **state UNUSED)
{
    for (int swapped = 0; swapped < 2; swapped++) {
        uint64_t sizes[] = {8 * MIB + 100, 8 * MIB + 512};
        AUTO_DISK struct fake_disk *source =
            fake_disk_new("source", sizes[swapped], FAKE_LAST_FIRST);
        AUTO_DISK struct fake_disk *target =
            fake_disk_new("target", sizes[!swapped], FAKE_BY_THREAD);
        fake_disk_fill(source, 6 * MIB, 2 * MIB + 100);
        fake_disk_fill(target, 7 * MIB, target->blocks.size - 7 * MIB);
        make_target(target, false);
        AUTO_ERROR struct error error = {0};
        uint64_t updated = 0, written = 0;
        assert_int_equal(
            blocks_update(&source->blocks, &target->blocks, 0, NULL, &updated, &written, &error),
            0);
        assert_int_equal(updated, sizes[swapped]);
        assert_memory_equal(source->bytes, target->stable, 8 * MIB + 100);
        /* What the target has beyond it is padding. */
        for (uint64_t at = 8 * MIB + 100; at < target->blocks.size; at++)
            assert_int_equal(target->stable[at], 0);
    }
}

static void assert_refused(struct fake_disk *source, struct fake_disk *target, uint64_t offset)
{
    AUTO_ERROR struct error error = {0};
    uint64_t updated = 0, written = 1;
    assert_int_equal(
        blocks_update(&source->blocks, &target->blocks, offset, NULL, &updated, &written, &error),
        -1);
    assert_int_equal(error.code, ERROR_INPUT);
    assert_int_equal(updated, offset);
    assert_int_equal(written, 0);
    assert_int_equal(source->ios + target->ios, 0);
}

static void refusals(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *source = new_source(FAKE_AT_ONCE, true);
    AUTO_DISK struct fake_disk *target = new_target(FAKE_AT_ONCE, true);
    AUTO_DISK struct fake_disk *larger = fake_disk_new("larger", 22 * MIB, FAKE_AT_ONCE);
    make_target(larger, false);
    assert_refused(source, larger, 0);
    assert_refused(source, target, SIZE + 1000);
    target->blocks.writable = false;
    assert_refused(source, target, 0);
}

static void memory_is_bounded(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *source = fake_disk_new("source", 200 * MIB, FAKE_LAST_FIRST);
    AUTO_DISK struct fake_disk *target = fake_disk_new("target", 200 * MIB, FAKE_LAST_FIRST);
    fake_disk_fill(source, 0, 200 * MIB);
    make_target(target, false);
    update_all(source, target);
    assert_in_range(source->most_under_way, 8 * MIB, 64 * MIB);
    assert_in_range(target->most_under_way, 8 * MIB, 128 * MIB); /* reads, and writes of others */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes),
        cmocka_unit_test(equal_disks),
        cmocka_unit_test(the_same_is_flushed),
        cmocka_unit_test(holes_become_zeros),
        cmocka_unit_test(data_into_holes),
        cmocka_unit_test(sizes_of_all_kinds),
        cmocka_unit_test(from_anywhere),
        cmocka_unit_test(any_io_may_fail),
        cmocka_unit_test(cancelled_at_any_point),
        cmocka_unit_test(rounded_up_to_sectors),
        cmocka_unit_test(refusals),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
