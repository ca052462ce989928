/* Comparing two disks: what is found, what is read for it, and how it ends when something fails. */
#include "fake_disk.h"

#include <errno.h>
#include <time.h>

static void compare(struct fake_disk *first, struct fake_disk *second,
                    struct blocks_comparison *found)
{
    AUTO_ERROR struct error error = {0};
    struct blocks_digest digests[2];
    if (blocks_compare(&first->blocks, &second->blocks, NULL, found, &error) < 0)
        fail_msg("%s", error.message);
    plain_digest(first, &digests[0]);
    plain_digest(second, &digests[1]);
    assert_string_equal(found->first.text, digests[0].text);
    assert_string_equal(found->second.text, digests[1].text);
    assert_int_equal(found->read, first->read);
}

/* Against what the simplest comparison finds. */
static void assert_found(const struct fake_disk *first, const struct fake_disk *second,
                         const struct blocks_comparison *found)
{
    uint64_t size =
        first->blocks.size > second->blocks.size ? first->blocks.size : second->blocks.size;
    uint64_t differing = 0, at = UINT64_MAX;
    for (uint64_t piece = 0; piece < size; piece += 4 * MIB) {
        bool differs = false;
        for (uint64_t i = piece; i < size && i < piece + 4 * MIB && !differs; i++) {
            char a = i < first->blocks.size ? first->bytes[i] : 0;
            char b = i < second->blocks.size ? second->bytes[i] : 0;
            differs = a != b;
            at = differs && at == UINT64_MAX ? i : at;
        }
        differing += differs;
    }
    assert_int_equal(found->differing, differing);
    assert_int_equal(found->equal, differing == 0);
    if (differing)
        assert_int_equal(found->first_difference, at);
    assert_int_equal(strcmp(found->first.text, found->second.text) == 0, differing == 0);
}

static void check(struct fake_disk *first, struct fake_disk *second)
{
    struct blocks_comparison found;
    compare(first, second, &found);
    assert_found(first, second, &found);
}

/* What a disk may know of its holes. Each is right: what is told to be zeros is. */
typedef void shape(struct fake_disk *disk);

static void knows_nothing(struct fake_disk *disk UNUSED)
{
}
static void knows_pieces(struct fake_disk *disk)
{
    fake_disk_tell_truth(disk, 4 * MIB);
}
static void knows_bytes(struct fake_disk *disk)
{
    fake_disk_tell_truth(disk, 1000); /* no power of two, no whole sectors */
}
static void knows_clusters(struct fake_disk *disk)
{
    fake_disk_tell_truth(disk, 64 * KIB);
}
static void tells_all_as_data(struct fake_disk *disk)
{
    fake_disk_tell(disk, 0, disk->blocks.size);
}

static shape *const shapes[] = {knows_nothing, knows_pieces, knows_bytes, knows_clusters,
                                tells_all_as_data};
static const enum fake_order orders[] = {FAKE_AT_ONCE, FAKE_LAST_FIRST, FAKE_BY_THREAD};

struct content {
    uint64_t size;
    struct range data[4];
};

/* Tails, borders of pieces, sizes that are multiples of nothing. */
static const struct content contents[] = {
    {0, {{0, 0}}},
    {1, {{0, 1}}},
    {1, {{0, 0}}},
    {511, {{510, 1}}},
    {4 * MIB, {{0, 4 * MIB}}},
    {4 * MIB + 1, {{4 * MIB, 1}}},
    {9 * MIB + 777, {{4 * MIB - 1, 2}, {9 * MIB, 777}}},
    {13 * MIB + 512, {{100, 200}, {5 * MIB, 6 * MIB}}},
    {17 * MIB, {{0, 64 * KIB}, {200 * KIB, 64 * KIB}, {8 * MIB, 4 * MIB}, {17 * MIB - 1, 1}}},
    {12 * MIB, {{0, 0}}},
};

static struct fake_disk *new_disk(const struct content *content, size_t how, enum fake_order order)
{
    struct fake_disk *disk = fake_disk_new("fake", content->size, order);
    for (size_t i = 0; i < ARRAY_SIZE(content->data); i++)
        fake_disk_fill(disk, content->data[i].offset, content->data[i].length);
    shapes[how](disk);
    return disk;
}

static void equal_disks(void **state UNUSED)
{
    for (size_t c = 0; c < ARRAY_SIZE(contents); c++)
        for (size_t a = 0; a < ARRAY_SIZE(shapes); a++)
            for (size_t b = (a + c) % 2; b < ARRAY_SIZE(shapes); b += 2) {
                AUTO_DISK struct fake_disk *first = new_disk(&contents[c], a, orders[(a + b) % 3]);
                AUTO_DISK struct fake_disk *second = new_disk(&contents[c], b, orders[b % 3]);
                struct blocks_comparison found;
                compare(first, second, &found);
                assert_true(found.equal);
                assert_int_equal(found.differing, 0);
            }
}

static void one_byte_differs(void **state UNUSED)
{
    const struct content *content = &contents[8];
    const uint64_t places[] = {0,           1,       4095,    4096,         150 * KIB,
                               4 * MIB - 1, 4 * MIB, 6 * MIB, 8 * MIB + 17, 17 * MIB - 2,
                               17 * MIB - 1};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        for (size_t how = 0; how < ARRAY_SIZE(shapes); how++) {
            bool swapped = (i + how) % 2;
            AUTO_DISK struct fake_disk *whole = new_disk(content, how, orders[how % 3]);
            AUTO_DISK struct fake_disk *other =
                fake_disk_new("other", content->size, orders[i % 3]);
            memcpy(other->bytes, whole->bytes, content->size);
            other->bytes[places[i]] ^= 0x40;
            shapes[(how + i) % ARRAY_SIZE(shapes)](other);
            struct blocks_comparison found;
            compare(swapped ? other : whole, swapped ? whole : other, &found);
            assert_false(found.equal);
            assert_int_equal(found.first_difference, places[i]);
            assert_int_equal(found.differing, 1);
        }
}

static void counts_pieces_that_differ(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *first = fake_disk_new("first", 40 * MIB + 100, FAKE_LAST_FIRST);
    AUTO_DISK struct fake_disk *second = fake_disk_new("second", 40 * MIB + 100, FAKE_BY_THREAD);
    fake_disk_fill(first, 3 * MIB, 9 * MIB);
    fake_disk_fill(first, 40 * MIB, 100);
    fake_disk_fill(second, 30 * MIB, 1);
    fake_disk_tell_truth(first, 4 * KIB);
    struct blocks_comparison found;
    compare(first, second, &found);
    assert_int_equal(found.first_difference, 3 * MIB);
    assert_int_equal(found.differing,
                     5); /* 3 of the first stretch, 1 of the second disk, the tail */
    assert_string_not_equal(found.first.text, found.second.text);
}

static void rounded_up_to_sectors(void **state UNUSED)
{
    const uint64_t sizes[] = {1, 511, 8 * MIB - 1, 8 * MIB + 3};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint64_t padded = (sizes[i] + 511) / 512 * 512;
        AUTO_DISK struct fake_disk *exact = fake_disk_new("exact", sizes[i], FAKE_AT_ONCE);
        AUTO_DISK struct fake_disk *rounded = fake_disk_new("rounded", padded, FAKE_LAST_FIRST);
        fake_disk_fill(exact, 0, sizes[i]);
        fake_disk_fill(rounded, 0, sizes[i]);
        check(exact, rounded);
        rounded->read = 0;
        rounded->bytes[padded - 1] = 1;
        struct blocks_comparison found;
        compare(rounded, exact, &found);
        assert_false(found.equal);
        assert_int_equal(found.first_difference, padded - 1);
    }
}

static void other_sizes_are_refused(void **state UNUSED)
{
    const uint64_t sizes[][2] = {{512, 1024}, {1000, 1001},       {1000, 1536},
                                 {0, 512},    {8 * MIB, 4 * MIB}, {8 * MIB, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        AUTO_DISK struct fake_disk *first = fake_disk_new("one", sizes[i][0], FAKE_AT_ONCE);
        AUTO_DISK struct fake_disk *second = fake_disk_new("two", sizes[i][1], FAKE_AT_ONCE);
        AUTO_ERROR struct error error = {0};
        struct blocks_comparison found;
        assert_int_equal(blocks_compare(&first->blocks, &second->blocks, NULL, &found, &error), -1);
        assert_int_equal(error.code, ERROR_INPUT);
        assert_non_null(strstr(error.message, "one"));
        assert_non_null(strstr(error.message, "two"));
        assert_int_equal(first->ios + second->ios, 0);
    }
}

/* Zeros that both know are not read; what only one knows is read on the other. */
static void reads_no_more_than_needed(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *first = fake_disk_new("first", 200 * MIB, FAKE_AT_ONCE);
    AUTO_DISK struct fake_disk *second = fake_disk_new("second", 200 * MIB, FAKE_AT_ONCE);
    fake_disk_fill(first, 50 * MIB, MIB);
    fake_disk_fill(second, 50 * MIB, MIB);
    fake_disk_tell(first, 50 * MIB, MIB);
    fake_disk_tell(second, 50 * MIB, MIB);
    fake_disk_tell(second, 190 * MIB, 2 * MIB); /* stored zeros */
    struct blocks_comparison found;
    compare(first, second, &found);
    assert_true(found.equal);
    assert_int_equal(first->read, MIB);
    assert_int_equal(second->read, 3 * MIB);
    assert_int_equal(found.read, MIB);
}

/* Many small extents are read in few requests. */
static void small_holes_are_read_over(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *first = fake_disk_new("first", 16 * MIB, FAKE_AT_ONCE);
    AUTO_DISK struct fake_disk *second = fake_disk_new("second", 16 * MIB, FAKE_AT_ONCE);
    for (uint64_t at = 0; at < 16 * MIB; at += 8 * KIB) {
        fake_disk_fill(first, at, 4 * KIB);
        fake_disk_fill(second, at, 4 * KIB);
        fake_disk_tell(first, at, 4 * KIB);
    }
    check(first, second);
    assert_int_equal(first->reads, 4);
}

static void memory_is_bounded(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *first = fake_disk_new("first", 200 * MIB, FAKE_LAST_FIRST);
    AUTO_DISK struct fake_disk *second = fake_disk_new("second", 200 * MIB, FAKE_LAST_FIRST);
    check(first, second);
    assert_in_range(first->most_under_way, 8 * MIB, 64 * MIB);
    assert_in_range(second->most_under_way, 8 * MIB, 64 * MIB);
}

/* A server that takes small requests only. */
static void large_reads_are_split(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *first = new_disk(&contents[8], 1, FAKE_LAST_FIRST);
    AUTO_DISK struct fake_disk *second = new_disk(&contents[8], 0, FAKE_LAST_FIRST);
    first->blocks.largest = 100 * KIB;
    check(first, second);
    assert_true(first->read / first->reads <= 100 * KIB);
}

static void random_disks(void **state UNUSED)
{
    uint64_t seed = 4711;
    for (int round = 0; round < 40; round++) {
        uint64_t size = fake_random(&seed) % (24 * MIB);
        AUTO_DISK struct fake_disk *first = fake_disk_new("a", size, orders[round % 3]);
        AUTO_DISK struct fake_disk *second = fake_disk_new("b", size, orders[round / 3 % 3]);
        for (int i = 0; size && i < 6; i++) {
            uint64_t at = fake_random(&seed) % size;
            uint64_t length = fake_random(&seed) % (i % 2 ? 100 : 3 * MIB);
            length = length < size - at ? length : size - at;
            fake_disk_fill(first, at, length);
            if (fake_random(&seed) % 8)
                fake_disk_fill(second, at, length);
        }
        shapes[fake_random(&seed) % ARRAY_SIZE(shapes)](first);
        shapes[fake_random(&seed) % ARRAY_SIZE(shapes)](second);
        check(first, second);
    }
}

/* Fails, without anything left under way (fake_disk_free looks). */
static void assert_ends(struct fake_disk *first, struct fake_disk *second,
                        const struct blocks_watch *watch, enum error_code code, const char *names)
{
    AUTO_ERROR struct error error = {0};
    struct blocks_comparison found;
    assert_int_equal(blocks_compare(&first->blocks, &second->blocks, watch, &found, &error), -1);
    if (error.code != code)
        fail_msg("code %d: %s", (int)error.code, error.message);
    assert_non_null(strstr(error.message, names));
    assert_null(first->blocks.pulse);
    assert_null(second->blocks.pulse);
}

static void any_read_may_fail(void **state UNUSED)
{
    for (unsigned n = 1; n <= 5; n++)
        for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
            for (int which = 0; which < 2; which++) {
                AUTO_DISK struct fake_disk *good = new_disk(&contents[8], 0, orders[i]);
                AUTO_DISK struct fake_disk *bad = new_disk(&contents[8], 0, orders[(i + n) % 3]);
                free(bad->blocks.name);
                bad->blocks.name = text_dup("the bad one");
                bad->fail_at = n;
                assert_ends(which ? good : bad, which ? bad : good, NULL, ERROR_FAILED,
                            "the bad one cannot be read");
            }
}

static void holes_may_become_unknown(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *first = new_disk(&contents[8], 0, FAKE_LAST_FIRST);
    AUTO_DISK struct fake_disk *second = new_disk(&contents[8], 1, FAKE_AT_ONCE);
    second->fail_extents_at = 1;
    assert_ends(first, second, NULL, ERROR_FAILED, "knows nothing");
}

static void cancelled_at_any_point(void **state UNUSED)
{
    unsigned turns = 0;
    for (unsigned n = 1;; n++) {
        fake_clock_step(0.3); /* progress is told at every turn */
        AUTO_DISK struct fake_disk *first = new_disk(&contents[8], n % 5, orders[n % 3]);
        AUTO_DISK struct fake_disk *second = new_disk(&contents[8], 0, orders[n / 3 % 3]);
        struct onlooker onlooker = {.end_at = n};
        onlooker_start(&onlooker);
        AUTO_ERROR struct error error = {0};
        struct blocks_comparison found;
        int result =
            blocks_compare(&first->blocks, &second->blocks, &onlooker.watch, &found, &error);
        if (result == 0 && onlooker.asked <= n)
            break;
        assert_int_equal(result, -1);
        assert_int_equal(error.code, ERROR_CANCELLED);
        turns = n;
    }
    fake_clock_step(0);
    assert_true(turns > 5);
}

static void late_answers_are_waited_for(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *first = new_disk(&contents[8], 0, FAKE_BY_THREAD);
    AUTO_DISK struct fake_disk *second = new_disk(&contents[8], 0, FAKE_LAST_FIRST);
    first->late = 7;
    second->late = 3;
    struct blocks_comparison found;
    AUTO_ERROR struct error error = {0};
    assert_int_equal(blocks_compare(&first->blocks, &second->blocks, NULL, &found, &error), 0);
    assert_true(found.equal);
    assert_int_equal(first->reads, 5 + 7);
}

static void but_not_for_ever(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *first = new_disk(&contents[8], 0, FAKE_BY_THREAD);
    AUTO_DISK struct fake_disk *second = new_disk(&contents[8], 0, FAKE_LAST_FIRST);
    first->late = UINT32_MAX;
    first->blocks.patience = 2;
    assert_ends(first, second, NULL, ERROR_UNREACHABLE, "no answer for 2 s");
    assert_true(first->reads <= 5 * 4); /* tried again about once a second */
}

static void a_mute_disk_is_abandoned(void **state UNUSED)
{
    fake_clock_step(1);
    AUTO_DISK struct fake_disk *first = new_disk(&contents[8], 0, FAKE_BY_THREAD);
    AUTO_DISK struct fake_disk *second = new_disk(&contents[8], 0, FAKE_LAST_FIRST);
    second->mute_at = 2;
    second->blocks.patience = 30;
    assert_ends(first, second, NULL, ERROR_UNREACHABLE, "no answer for 30 s");
    fake_clock_step(0);
    assert_true(second->abandoned);
}

static double cpu_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void paced(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *first = fake_disk_new("first", 24 * MIB, FAKE_BY_THREAD);
    AUTO_DISK struct fake_disk *second = fake_disk_new("second", 24 * MIB, FAKE_BY_THREAD);
    struct onlooker onlooker = {.watch = {.bandwidth = 10 * MIB}};
    onlooker_start(&onlooker);
    struct blocks_comparison found;
    AUTO_ERROR struct error error = {0};
    double begin = blocks_clock(), used = cpu_seconds();
    assert_int_equal(
        blocks_compare(&first->blocks, &second->blocks, &onlooker.watch, &found, &error), 0);
    double took = blocks_clock() - begin;
    if (took < 1.9 || took > 10)
        fail_msg("24 MiB at 10 MiB/s took %.2f s", took);
    assert_true(cpu_seconds() - used < took / 2);
    assert_in_range(onlooker.asked, 4, 40);
    assert_int_equal(onlooker.done, 24 * MIB);
    assert_int_equal(onlooker.read, 24 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_disks),
        cmocka_unit_test(one_byte_differs),
        cmocka_unit_test(counts_pieces_that_differ),
        cmocka_unit_test(rounded_up_to_sectors),
        cmocka_unit_test(other_sizes_are_refused),
        cmocka_unit_test(reads_no_more_than_needed),
        cmocka_unit_test(small_holes_are_read_over),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(large_reads_are_split),
        cmocka_unit_test(random_disks),
        cmocka_unit_test(any_read_may_fail),
        cmocka_unit_test(holes_may_become_unknown),
        cmocka_unit_test(cancelled_at_any_point),
        cmocka_unit_test(late_answers_are_waited_for),
        cmocka_unit_test(but_not_for_ever),
        cmocka_unit_test(a_mute_disk_is_abandoned),
        cmocka_unit_test(paced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
