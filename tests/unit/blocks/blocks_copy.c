/* Copying: the same bytes arrive, holes stay holes, and what is told as done survives anything. */
#include "fake_disk.h"

#include <errno.h>

static const enum fake_order orders[] = {FAKE_AT_ONCE, FAKE_LAST_FIRST, FAKE_BY_THREAD};

/* 21 MiB and a bit: data at both ends, across borders, and holes of every size. */
static struct fake_disk *new_source(enum fake_order order, bool knows_holes)
{
    struct fake_disk *disk = fake_disk_new("source", 21 * MIB + 1000, order);
    fake_disk_fill(disk, 0, 10);
    fake_disk_fill(disk, 3 * MIB, 2 * MIB + 333);
    fake_disk_fill(disk, 9 * MIB + 4096, 4096);
    fake_disk_fill(disk, 9 * MIB + 16384, 1);
    fake_disk_fill(disk, 10 * MIB + 511, 1);
    fake_disk_fill(disk, 12 * MIB, 4 * MIB);
    fake_disk_fill(disk, 21 * MIB + 999, 1);
    if (knows_holes)
        fake_disk_tell_truth(disk, 4 * KIB);
    return disk;
}

static struct fake_disk *new_target(const struct fake_disk *source, enum fake_order order)
{
    struct fake_disk *disk = fake_disk_new("target", source->blocks.size, order);
    fake_disk_make_writable(disk);
    return disk;
}

static void assert_arrived(const struct fake_disk *source, const struct fake_disk *target)
{
    assert_memory_equal(source->bytes, target->bytes, source->blocks.size);
    assert_memory_equal(source->bytes, target->stable, source->blocks.size);
}

static void copy(struct fake_disk *source, struct fake_disk *target, uint64_t offset)
{
    AUTO_ERROR struct error error = {0};
    uint64_t copied = 0;
    if (blocks_copy(&source->blocks, &target->blocks, offset, NULL, &copied, &error) < 0)
        fail_msg("%s", error.message);
    assert_int_equal(copied, source->blocks.size);
    assert_arrived(source, target);
}

static void the_same_bytes(void **state UNUSED)
{
    for (size_t a = 0; a < ARRAY_SIZE(orders); a++)
        for (size_t b = 0; b < ARRAY_SIZE(orders); b++)
            for (int knows = 0; knows < 2; knows++) {
                AUTO_DISK struct fake_disk *source = new_source(orders[a], knows);
                AUTO_DISK struct fake_disk *target = new_target(source, orders[b]);
                copy(source, target, 0);
            }
}

static void sizes_of_all_kinds(void **state UNUSED)
{
    const uint64_t sizes[] = {0,       1,           511,     512,       513,         4 * MIB - 1,
                              4 * MIB, 4 * MIB + 1, 8 * MIB, 100 * MIB, 9 * MIB + 7, 5 * MIB + 512};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        AUTO_DISK struct fake_disk *source = fake_disk_new("source", sizes[i], orders[i % 3]);
        fake_disk_fill(source, 0, sizes[i] < 9 * MIB ? sizes[i] : 9 * MIB);
        if (sizes[i])
            fake_disk_fill(source, sizes[i] - 1, 1);
        AUTO_DISK struct fake_disk *target = new_target(source, orders[i / 3 % 3]);
        copy(source, target, 0);
    }
}

/* Zeros are not written, whether the source knows of them or not. */
static void holes_stay_holes(void **state UNUSED)
{
    for (int knows = 0; knows < 2; knows++) {
        AUTO_DISK struct fake_disk *source = new_source(FAKE_LAST_FIRST, knows);
        AUTO_DISK struct fake_disk *target = new_target(source, FAKE_BY_THREAD);
        copy(source, target, 0);
        /* Six stretches, two of them across a border, two so near that they are one. */
        assert_int_equal(target->writes, 8);
        uint64_t data = 6 * MIB + 4096;
        assert_in_range(target->written, data, data + 10 * 4096);
        if (knows)
            assert_in_range(source->read, data, data + 10 * 4096);
    }
    AUTO_DISK struct fake_disk *empty = fake_disk_new("empty", 64 * MIB, FAKE_AT_ONCE);
    AUTO_DISK struct fake_disk *target = new_target(empty, FAKE_AT_ONCE);
    copy(empty, target, 0);
    assert_int_equal(target->writes, 0);
}

static void resumed_from_anywhere(void **state UNUSED)
{
    const uint64_t offsets[] = {0,        1,        512,      3 * MIB + 5,     4 * MIB,
                                12 * MIB, 16 * MIB, 21 * MIB, 21 * MIB + 1000, 20 * MIB + 4096};
    for (size_t i = 0; i < ARRAY_SIZE(offsets); i++)
        for (int knows = 0; knows < 2; knows++) {
            AUTO_DISK struct fake_disk *source = new_source(orders[i % 3], knows);
            AUTO_DISK struct fake_disk *target = new_target(source, orders[i / 3 % 3]);
            memcpy(target->bytes, source->bytes, offsets[i]);
            copy(source, target, offsets[i]);
            assert_true(target->written <= source->blocks.size - offsets[i]);
        }
}

/* After a failure, `copied` is stable, and going on from there makes it whole. */
static void assert_ends_well(struct fake_disk *source, struct fake_disk *target,
                             const struct blocks_watch *watch, enum error_code code)
{
    AUTO_ERROR struct error error = {0};
    uint64_t copied = UINT64_MAX;
    int result = blocks_copy(&source->blocks, &target->blocks, 0, watch, &copied, &error);
    assert_int_equal(result, -1);
    if (error.code != code)
        fail_msg("code %d: %s", (int)error.code, error.message);
    assert_true(copied <= source->blocks.size);
    assert_memory_equal(source->bytes, target->stable, copied);
    assert_int_equal(source->under_way + target->under_way, 0);
    source->fail_at = target->fail_at = 0;
    copy(source, target, copied);
}

static void any_io_may_fail(void **state UNUSED)
{
    for (size_t order = 0; order < ARRAY_SIZE(orders); order++) {
        AUTO_DISK struct fake_disk *probe = new_source(orders[order], true);
        AUTO_DISK struct fake_disk *aim = new_target(probe, orders[order]);
        copy(probe, aim, 0);
        for (unsigned n = 1; n <= probe->ios + aim->ios; n++) {
            AUTO_DISK struct fake_disk *source = new_source(orders[order], true);
            AUTO_DISK struct fake_disk *target = new_target(source, orders[(order + n) % 3]);
            if (n <= probe->ios)
                source->fail_at = n;
            else
                target->fail_at = n - probe->ios;
            target->failure = -ENOSPC;
            assert_ends_well(source, target, NULL, n <= probe->ios ? ERROR_FAILED : ERROR_NO_SPACE);
        }
    }
}

/* What had arrived when the source failed is kept. */
static void progress_survives_an_error(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *source = fake_disk_new("source", 400 * MIB, FAKE_LAST_FIRST);
    fake_disk_fill(source, 0, 100);
    fake_disk_fill(source, 399 * MIB, 100);
    AUTO_DISK struct fake_disk *target = new_target(source, FAKE_AT_ONCE);
    source->fail_at = 120;
    AUTO_ERROR struct error error = {0};
    uint64_t copied = 0;
    assert_int_equal(blocks_copy(&source->blocks, &target->blocks, 0, NULL, &copied, &error), -1);
    assert_in_range(copied, 100 * MIB, 240 * MIB);
}

static void cancelled_at_any_point(void **state UNUSED)
{
    unsigned turns = 0;
    for (unsigned n = 1;; n++) {
        AUTO_DISK struct fake_disk *source = new_source(orders[n % 3], n % 2);
        AUTO_DISK struct fake_disk *target = new_target(source, orders[n / 3 % 3]);
        struct onlooker onlooker = {.end_at = n, .source = source, .target = target};
        onlooker_start(&onlooker);
        AUTO_ERROR struct error error = {0};
        uint64_t copied = 0;
        fake_clock_step(0.3); /* progress at every turn, a flush at every other */
        int result =
            blocks_copy(&source->blocks, &target->blocks, 0, &onlooker.watch, &copied, &error);
        fake_clock_step(0);
        if (result == 0)
            break;
        assert_int_equal(error.code, ERROR_CANCELLED);
        assert_true(copied >= onlooker.done);
        assert_memory_equal(source->bytes, target->stable, copied);
        copy(source, target, copied);
        turns = n;
    }
    assert_true(turns > 5);
}

/* The moment at which a process was killed: what it had told, what was stable, what was not. */
struct moment {
    const struct fake_disk *target;
    unsigned asked, at;
    uint64_t told;
    char *stable, *bytes;
};

static bool remember(void *opaque, uint64_t done, uint64_t read UNUSED)
{
    struct moment *moment = opaque;
    if (++moment->asked == moment->at) {
        moment->told = done;
        memcpy(moment->stable, moment->target->stable, moment->target->blocks.size);
        memcpy(moment->bytes, moment->target->bytes, moment->target->blocks.size);
    }
    return true;
}

/* Of what was written and not flushed, any block may have survived, or not. */
static void killed_at_any_point(void **state UNUSED)
{
    uint64_t seed = 99;
    for (unsigned n = 1, asked = n; asked >= n; n++) {
        AUTO_DISK struct fake_disk *source = new_source(orders[n % 3], n % 2);
        AUTO_DISK struct fake_disk *target = new_target(source, orders[n / 3 % 3]);
        uint64_t size = source->blocks.size;
        AUTO_FREE char *stable = memory_new(size, 1);
        AUTO_FREE char *bytes = memory_new(size, 1);
        struct moment moment = {.target = target, .at = n, .stable = stable, .bytes = bytes};
        const struct blocks_watch watch = {.opaque = &moment, .progress = remember};
        AUTO_ERROR struct error error = {0};
        uint64_t copied = 0;
        fake_clock_step(0.3);
        assert_int_equal(blocks_copy(&source->blocks, &target->blocks, 0, &watch, &copied, &error),
                         0);
        fake_clock_step(0);
        asked = moment.asked;
        if (asked < n)
            break;

        AUTO_DISK struct fake_disk *left = new_target(source, FAKE_LAST_FIRST);
        for (uint64_t at = 0; at < size; at += 4096)
            memcpy(left->bytes + at, (fake_random(&seed) % 2 ? stable : bytes) + at,
                   size - at < 4096 ? size - at : 4096);
        memcpy(left->stable, left->bytes, size);
        copy(source, left, moment.told);
    }
}

static void a_flush_may_fail(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *source = new_source(FAKE_AT_ONCE, true);
    AUTO_DISK struct fake_disk *probe = new_target(source, FAKE_AT_ONCE);
    copy(source, probe, 0);
    assert_true(probe->flushes >= 1);

    AUTO_DISK struct fake_disk *target = new_target(source, FAKE_AT_ONCE);
    target->fail_at = probe->ios; /* the last is the flush */
    AUTO_ERROR struct error error = {0};
    uint64_t copied = 1;
    assert_int_equal(blocks_copy(&source->blocks, &target->blocks, 0, NULL, &copied, &error), -1);
    assert_non_null(strstr(error.message, "target cannot be flushed"));
    assert_int_equal(copied, 0);
}

static void rounded_up_to_sectors(void **state UNUSED)
{
    for (int swapped = 0; swapped < 2; swapped++) {
        uint64_t sizes[] = {8 * MIB + 100, 8 * MIB + 512};
        AUTO_DISK struct fake_disk *source =
            fake_disk_new("source", sizes[swapped], FAKE_LAST_FIRST);
        fake_disk_fill(source, 6 * MIB, 2 * MIB + 100);
        AUTO_DISK struct fake_disk *target =
            fake_disk_new("target", sizes[!swapped], FAKE_BY_THREAD);
        fake_disk_make_writable(target);
        AUTO_ERROR struct error error = {0};
        uint64_t copied = 0;
        assert_int_equal(blocks_copy(&source->blocks, &target->blocks, 0, NULL, &copied, &error),
                         0);
        assert_int_equal(copied, sizes[swapped]);
        assert_memory_equal(source->bytes, target->stable, 8 * MIB + 100);
        if (!swapped)
            continue;
        source->bytes[8 * MIB + 300] = 1;
        assert_int_equal(blocks_copy(&source->blocks, &target->blocks, 0, NULL, &copied, &error),
                         -1);
        assert_int_equal(error.code, ERROR_INPUT);
        assert_non_null(strstr(error.message, "8388708"));
        assert_true(copied <= 8 * MIB);
    }
}

static void assert_refused(struct fake_disk *source, struct fake_disk *target, uint64_t offset)
{
    AUTO_ERROR struct error error = {0};
    uint64_t copied = 0;
    assert_int_equal(blocks_copy(&source->blocks, &target->blocks, offset, NULL, &copied, &error),
                     -1);
    assert_int_equal(error.code, ERROR_INPUT);
    assert_int_equal(copied, offset);
    assert_int_equal(source->ios + target->ios, 0);
}

static void refusals(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *source = new_source(FAKE_AT_ONCE, true);
    AUTO_DISK struct fake_disk *target = new_target(source, FAKE_AT_ONCE);
    AUTO_DISK struct fake_disk *smaller = fake_disk_new("smaller", 21 * MIB, FAKE_AT_ONCE);
    AUTO_DISK struct fake_disk *larger = fake_disk_new("larger", 22 * MIB, FAKE_AT_ONCE);
    fake_disk_make_writable(smaller);
    fake_disk_make_writable(larger);
    assert_refused(source, smaller, 0);
    assert_refused(source, larger, 0);
    assert_refused(source, target, 21 * MIB + 1025);
    assert_refused(source, target, UINT64_MAX);
    target->blocks.writable = false;
    assert_refused(source, target, 0);
}

static void late_answers_are_waited_for(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *source = new_source(FAKE_BY_THREAD, false);
    AUTO_DISK struct fake_disk *target = new_target(source, FAKE_LAST_FIRST);
    source->late = 5;
    target->late = 4;
    copy(source, target, 0);
    assert_int_equal(target->late, 0);
}

static void a_mute_target_is_given_up(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *source = new_source(FAKE_BY_THREAD, false);
    AUTO_DISK struct fake_disk *target = new_target(source, FAKE_LAST_FIRST);
    target->mute_at = 3;
    target->blocks.patience = 30;
    AUTO_ERROR struct error error = {0};
    uint64_t copied = 0;
    fake_clock_step(1);
    assert_int_equal(blocks_copy(&source->blocks, &target->blocks, 0, NULL, &copied, &error), -1);
    fake_clock_step(0);
    assert_int_equal(error.code, ERROR_UNREACHABLE);
    assert_non_null(strstr(error.message, "target: no answer for 30 s"));
    assert_true(target->abandoned);
    assert_memory_equal(source->bytes, target->stable, copied);
}

static void large_writes_are_split(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *source = new_source(FAKE_AT_ONCE, true);
    AUTO_DISK struct fake_disk *target = new_target(source, FAKE_LAST_FIRST);
    target->blocks.largest = 128 * KIB;
    copy(source, target, 0);
    assert_true(target->written / target->writes <= 128 * KIB);
}

static void memory_is_bounded(void **state UNUSED)
{
    /* Served when waited for: how much is under way is then the copy's doing, not the scheduler's.
     */
    AUTO_DISK struct fake_disk *source = fake_disk_new("source", 200 * MIB, FAKE_LAST_FIRST);
    fake_disk_fill(source, 0, 200 * MIB);
    AUTO_DISK struct fake_disk *target = new_target(source, FAKE_LAST_FIRST);
    copy(source, target, 0);
    assert_in_range(source->most_under_way, 8 * MIB, 64 * MIB);
    /* It answers one write for each piece that is read: they need not pile up. */
    assert_in_range(target->most_under_way, 2 * MIB, 64 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes),
        cmocka_unit_test(sizes_of_all_kinds),
        cmocka_unit_test(holes_stay_holes),
        cmocka_unit_test(resumed_from_anywhere),
        cmocka_unit_test(any_io_may_fail),
        cmocka_unit_test(progress_survives_an_error),
        cmocka_unit_test(cancelled_at_any_point),
        cmocka_unit_test(killed_at_any_point),
        cmocka_unit_test(a_flush_may_fail),
        cmocka_unit_test(rounded_up_to_sectors),
        cmocka_unit_test(refusals),
        cmocka_unit_test(late_answers_are_waited_for),
        cmocka_unit_test(a_mute_target_is_given_up),
        cmocka_unit_test(large_writes_are_split),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
