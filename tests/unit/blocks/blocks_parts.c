/* The small parts: zeros, hashes, the pace, and the map of what has to be read. */
#include "fake_disk.h"

#include "blocks/digest.h"
#include "blocks/map.h"
#include "blocks/pace.h"

#include <math.h>

static void zeros(void **state UNUSED)
{
    char bytes[300];
    for (size_t length = 0; length <= 260; length++) {
        memset(bytes, 0, sizeof(bytes));
        assert_true(blocks_all_zeros(bytes + 3, length));
        for (size_t at = 0; at < length; at++) {
            bytes[3 + at] = 1;
            assert_false(blocks_all_zeros(bytes + 3, length));
            bytes[3 + at] = 0;
        }
        bytes[3 + length] = 1; /* right behind */
        assert_true(blocks_all_zeros(bytes + 3, length));
    }
}

static void first_differences(void **state UNUSED)
{
    enum { LENGTH = 3 * 4096 + 5 };
    AUTO_FREE char *a = memory_new(LENGTH, 1);
    AUTO_FREE char *b = memory_new(LENGTH, 1);
    for (size_t at = 0; at < LENGTH; at++) {
        b[at] = 1;
        b[LENGTH - 1] = 1;
        assert_int_equal(blocks_first_difference(a, b, LENGTH), at);
        b[at] = 0;
    }
}

/* Fixed for ever: digests are kept in journals, and compared with later ones. */
static void digests_are_what_they_were(void **state UNUSED)
{
    static const struct {
        uint64_t size, filled;
        const char *digest;
    } cases[] = {
        {0, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {4 * MIB, 0, "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"},
        {8 * MIB, 0, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"},
        {1000, 3, "bf040f01a0dff1e50c59737c61cbc6a2fb0770e789ede21d8b1253e0b5c2a702"},
        {1024, 3, "bf040f01a0dff1e50c59737c61cbc6a2fb0770e789ede21d8b1253e0b5c2a702"},
        {5 * MIB, 5 * MIB, "47e47dd2a81ce294ff6c25264f042590195145ba0ade3971e4fc8d86d6eb74aa"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_DISK struct fake_disk *disk = fake_disk_new("disk", cases[i].size, FAKE_AT_ONCE);
        memset(disk->bytes, 'x', cases[i].filled);
        AUTO_ERROR struct error error = {0};
        struct blocks_comparison found;
        assert_int_equal(blocks_compare(&disk->blocks, &disk->blocks, NULL, &found, &error), 0);
        assert_string_equal(found.first.text, cases[i].digest);
        assert_string_equal(found.second.text, cases[i].digest);
    }
}

static void pace(void **state UNUSED)
{
    struct blocks_pace limited, unlimited;
    blocks_pace_start(&unlimited, 0, 100);
    blocks_pace_take(&unlimited, UINT64_MAX);
    assert_true(blocks_pace_wait(&unlimited, 100) == 0);

    blocks_pace_start(&limited, 1000, 100);
    assert_true(blocks_pace_wait(&limited, 100) == 0); /* the first may pass at once */
    blocks_pace_take(&limited, 3000);
    assert_true(fabs(blocks_pace_wait(&limited, 100) - 3) < 1e-9);
    assert_true(fabs(blocks_pace_wait(&limited, 102) - 1) < 1e-9);
    assert_true(blocks_pace_wait(&limited, 103.001) == 0);

    /* An hour's rest does not pay for more than half a second. */
    assert_true(blocks_pace_wait(&limited, 3700) == 0);
    blocks_pace_take(&limited, 1500);
    assert_true(fabs(blocks_pace_wait(&limited, 3700) - 1) < 1e-9);

    /* What is owed is paid at the new rate; a pause is a byte a second. */
    blocks_pace_change(&limited, 500, 3700);
    assert_true(fabs(blocks_pace_wait(&limited, 3700) - 2) < 1e-9);
    blocks_pace_change(&limited, 1, 3700);
    assert_true(blocks_pace_wait(&limited, 3701) > 900);
    blocks_pace_change(&limited, 0, 3701);
    assert_true(blocks_pace_wait(&limited, 3701) == 0);
    blocks_pace_change(&limited, 1000, 3800);
    assert_true(fabs(blocks_pace_wait(&limited, 3800) - 0.999) < 1e-9);
}

static void assert_ranges(struct blocks_map *map, uint64_t offset, size_t length, size_t count,
                          const struct range *expected)
{
    AUTO_ERROR struct error error = {0};
    struct range_list ranges = {0};
    assert_int_equal(blocks_map_ranges(map, offset, length, &ranges, &error), 0);
    assert_int_equal(ranges.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ranges.items[i].offset, expected[i].offset);
        assert_int_equal(ranges.items[i].length, expected[i].length);
    }
    free(ranges.items);
}

static void maps(void **state UNUSED)
{
    AUTO_DISK struct fake_disk *disk = fake_disk_new("disk", 3 * 1024 * MIB + 700, FAKE_AT_ONCE);
    struct blocks_map map = {.blocks = &disk->blocks};
    assert_ranges(&map, 4 * MIB, 100, 1, (struct range[]){{4 * MIB, 100}});
    assert_int_equal(disk->extents, 0);

    fake_disk_tell(disk, 5, 1);                 /* less than a block */
    fake_disk_tell(disk, MIB, 100);             /* two, near each other */
    fake_disk_tell(disk, MIB + 60 * KIB, 4096); /* */
    fake_disk_tell(disk, MIB + 200 * KIB, 1);   /* farther */
    fake_disk_tell(disk, 7 * MIB, 2 * MIB);     /* across two pieces */
    fake_disk_tell(disk, 1022 * MIB, 4 * MIB);  /* across two stretches */
    fake_disk_tell(disk, 3072 * MIB + 699, 1);  /* the last byte */
    assert_ranges(&map, 0, 4 * MIB, 3,
                  (struct range[]){{0, 4096}, {MIB, 64 * KIB}, {MIB + 200 * KIB, 4096}});
    assert_ranges(&map, 0, 4 * MIB, 3, /* again */
                  (struct range[]){{0, 4096}, {MIB, 64 * KIB}, {MIB + 200 * KIB, 4096}});
    assert_ranges(&map, 4 * MIB, 4 * MIB, 1, (struct range[]){{7 * MIB, MIB}});
    assert_ranges(&map, 8 * MIB, 4 * MIB, 1, (struct range[]){{8 * MIB, MIB}});
    assert_ranges(&map, 12 * MIB, 4 * MIB, 0, NULL);
    assert_ranges(&map, 1020 * MIB, 4 * MIB, 1, (struct range[]){{1022 * MIB, 2 * MIB}});
    assert_ranges(&map, 1024 * MIB, 4 * MIB, 1, (struct range[]){{1024 * MIB, 2 * MIB}});
    assert_ranges(&map, 3072 * MIB, 1024, 1, (struct range[]){{3072 * MIB, 700}});
    assert_ranges(&map, 3072 * MIB + 700, 324, 0, NULL); /* the padding */
    assert_true(disk->extents <= 5);
    blocks_map_clear(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros),
        cmocka_unit_test(first_differences),
        cmocka_unit_test(digests_are_what_they_were),
        cmocka_unit_test(pace),
        cmocka_unit_test(maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
