/* How fast, how long, how much faster: pure arithmetic. */
#include "cmocka_compat.h"

#include "base/text.h"
#include "move/pace.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define SECOND 1000

static void rates_are_smoothed(void **state UNUSED)
{
    struct pace pace = {0};
    pace_sample(&pace, SECOND, 0, 10 * GIB);
    assert_true(pace.rate == 0);
    for (int i = 2; i < 20; i++)
        pace_sample(&pace, (int64_t)i * SECOND, (uint64_t)(i - 1) * 100 * MIB, 10 * GIB);
    assert_true(pace.rate > 99.0 * MIB && pace.rate < 101.0 * MIB);
    /* One second of nothing does not make it nothing. */
    pace_sample(&pace, 20 * SECOND, 1800 * MIB, 10 * GIB);
    assert_true(pace.rate > 50.0 * MIB);
}

static void samples_that_are_too_close_say_nothing(void **state UNUSED)
{
    struct pace pace = {0};
    pace_sample(&pace, SECOND, 0, GIB);
    pace_sample(&pace, SECOND + 100, 100 * MIB, GIB);
    assert_int_equal(pace.at, SECOND);
    assert_true(pace.rate == 0);
    pace_sample(&pace, SECOND + 500, 100 * MIB, GIB);
    assert_true(pace.rate > 199.0 * MIB && pace.rate < 201.0 * MIB);
}

/* ---- the end ---- */

static void an_honest_eta(void **state UNUSED)
{
    struct pace pace = {0};
    assert_int_equal(pace_eta(&pace), 0);
    for (int i = 1; i < 40; i++)
        pace_sample(&pace, (int64_t)i * SECOND, (uint64_t)i * 10 * MIB, GIB);
    uint64_t left = (GIB - 390 * MIB) / (10 * MIB);
    assert_true(pace_eta(&pace) >= left && pace_eta(&pace) <= left + 2);
}

/* The guest makes the total grow as fast as the copy goes on. */
static void no_end_in_sight(void **state UNUSED)
{
    struct pace pace = {0};
    for (int i = 1; i < 40; i++)
        pace_sample(&pace, (int64_t)i * SECOND, (uint64_t)i * 10 * MIB,
                    GIB + (uint64_t)i * 10 * MIB);
    assert_true(pace.rate > 9.0 * MIB);
    assert_true(pace_eta(&pace) == UINT64_MAX);
    /* And faster than that. */
    for (int i = 40; i < 60; i++)
        pace_sample(&pace, (int64_t)i * SECOND, (uint64_t)i * 10 * MIB,
                    GIB + (uint64_t)i * 20 * MIB);
    assert_true(pace_eta(&pace) == UINT64_MAX);
}

static void counters_may_run_backwards(void **state UNUSED)
{
    struct pace pace = {0};
    pace_sample(&pace, SECOND, 500 * MIB, GIB);
    pace_sample(&pace, 2 * SECOND, 10 * MIB, GIB); /* the job began anew */
    assert_true(pace.rate == 0);
    pace_sample(&pace, 3 * SECOND, 110 * MIB, GIB);
    assert_true(pace.rate > 0);
    pace_sample(&pace, 4 * SECOND, 2 * GIB, GIB); /* more copied than there is */
    assert_int_equal(pace.remaining, 0);
    assert_int_equal(pace_eta(&pace), 0);
}

/* ---- stillness ---- */

/* A hundred hours at a kilobyte a second, every sample of which is a little further. */
static void a_long_copy_is_never_stuck(void **state UNUSED)
{
    struct pace pace = {0};
    uint64_t longest = 0;
    for (int64_t now = 0; now < (int64_t)100 * 3600 * SECOND; now += 10 * SECOND) {
        pace_sample(&pace, now + 1, (uint64_t)now, 1ull << 50);
        uint64_t still = pace_still_for(&pace, now + 9 * SECOND);
        longest = still > longest ? still : longest;
    }
    assert_true(longest <= 10);
}

/* A guest that writes as fast as the copy goes is not stuck either: something moves. */
static void a_hopeless_copy_is_not_stuck(void **state UNUSED)
{
    struct pace pace = {0};
    for (int i = 1; i < 1000; i++) {
        pace_sample(&pace, (int64_t)i * SECOND, (uint64_t)i * MIB, GIB + (uint64_t)i * 2 * MIB);
        assert_true(pace_still_for(&pace, (int64_t)i * SECOND) == 0);
    }
}

static void a_still_copy_is_found(void **state UNUSED)
{
    struct pace pace = {0};
    assert_int_equal(pace_still_for(&pace, 99 * SECOND), 0); /* not begun */
    for (int i = 1; i <= 10; i++)
        pace_sample(&pace, (int64_t)i * SECOND, (uint64_t)i * MIB, GIB);
    for (int i = 11; i <= 600; i++)
        pace_sample(&pace, (int64_t)i * SECOND, 10 * MIB, GIB);
    assert_int_equal(pace_still_for(&pace, 610 * SECOND), 600);
    pace_excuse(&pace, 610 * SECOND);
    assert_int_equal(pace_still_for(&pace, 611 * SECOND), 1);
}

/* The guest makes what remains grow, and nothing is copied. */
static void growth_alone_is_no_progress(void **state UNUSED)
{
    struct pace pace = {0};
    for (int i = 1; i <= 100; i++)
        pace_sample(&pace, (int64_t)i * SECOND, 10 * MIB, GIB + (uint64_t)i * MIB);
    assert_int_equal(pace_still_for(&pace, 100 * SECOND), 99);
}

/* ---- latency ---- */

static void latencies(void **state UNUSED)
{
    static const struct latency_reading none = {0, 0}, some = {100, 50000000},
                                        more = {150, 150000000};
    assert_true(latency_between(&none, &some, 20) == 0.5);
    assert_true(latency_between(&some, &more, 20) == 2.0);
    assert_true(latency_between(&some, &more, 51) == 0); /* too few to say */
    assert_true(latency_between(&some, &some, 0) == 0);
    assert_true(latency_between(&more, &some, 1) == 0); /* the guest was restarted */
}

/* ---- bandwidth ---- */

struct bandwidth_case {
    const char *name;
    uint64_t current, wanted;
    double rate, before, now, factor;
    uint64_t least, most;
};

static const struct bandwidth_case bandwidth_cases[] = {
    {"not watched", 200 * MIB, 50 * MIB, 1e8, 1, 9, 0, 50 * MIB, 50 * MIB},
    {"not watched, unlimited", 200 * MIB, 0, 1e8, 1, 9, 0, 0, 0},
    {"bearable", 200 * MIB, 200 * MIB, 1e8, 1, 1.4, 1.5, 200 * MIB, 200 * MIB},
    {"too slow for the guest", 90 * MIB, 200 * MIB, 1e8, 1, 2, 1.5, 60 * MIB, 60 * MIB},
    {"too slow, unlimited", 0, 0, 90e6, 1, 2, 1.5, 60000000, 60000000},
    {"the least", MIB, 200 * MIB, 1e6, 1, 99, 1.5, MIB, MIB},
    {"well again", 80 * MIB, 200 * MIB, 1e8, 1, 1, 1.5, 100 * MIB, 100 * MIB},
    {"well again, up to what is wanted", 190 * MIB, 200 * MIB, 1e8, 1, 1, 1.5, 200 * MIB,
     200 * MIB},
    {"just bearable stays", 80 * MIB, 200 * MIB, 1e8, 1, 1.3, 1.5, 80 * MIB, 80 * MIB},
    {"unlimited again", 100 * MIB, 0, 10e6, 1, 1, 1.5, 0, 0},
    /* What the operator says now holds now, whatever is known of the latency. */
    {"throttled, latency not known", 200 * MIB, 10 * MIB, 1e8, 0, 0, 1.5, 10 * MIB, 10 * MIB},
    {"throttled, from unlimited", 0, 10 * MIB, 1e8, 1, 1, 1.5, 10 * MIB, 10 * MIB},
    {"throttled, from unlimited, idle guest", 0, 10 * MIB, 1e8, 0, 0, 1.5, 10 * MIB, 10 * MIB},
    {"throttled, just bearable", 200 * MIB, 10 * MIB, 1e8, 1, 1.4, 1.5, 10 * MIB, 10 * MIB},
    {"throttled, not bearable", 200 * MIB, 10 * MIB, 1e8, 1, 2, 1.5, MIB, 10 * MIB},
    {"released, latency not known", 10 * MIB, 200 * MIB, 1e7, 0, 0, 1.5, 200 * MIB, 200 * MIB},
    {"below the least", 200 * MIB, MIB / 2, 1e8, 1, 9, 1.5, 1, MIB / 2},
};

static void bandwidths(void **state UNUSED)
{
    size_t wrong = 0;
    for (size_t i = 0; i < ARRAY_SIZE(bandwidth_cases); i++) {
        const struct bandwidth_case *c = &bandwidth_cases[i];
        uint64_t bandwidth =
            pace_bandwidth(c->current, c->wanted, c->rate, c->before, c->now, c->factor);
        if (bandwidth < c->least || bandwidth > c->most) {
            print_message("%s: %llu\n", c->name, (unsigned long long)bandwidth);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* Over and over, it comes to rest within its bounds: neither unlimited nor nothing by accident. */
static void it_stays_within_bounds(void **state UNUSED)
{
    for (uint64_t wanted = 2 * MIB; wanted < GIB; wanted *= 3) {
        uint64_t bandwidth = wanted;
        for (int i = 0; i < 500; i++) {
            double now = i % 50 < 25 ? 5 : 0.5;
            bandwidth = pace_bandwidth(bandwidth, wanted, (double)bandwidth, 1, now, 1.5);
            assert_true(bandwidth >= MIB && bandwidth <= wanted);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_smoothed),
        cmocka_unit_test(samples_that_are_too_close_say_nothing),
        cmocka_unit_test(an_honest_eta),
        cmocka_unit_test(no_end_in_sight),
        cmocka_unit_test(counters_may_run_backwards),
        cmocka_unit_test(a_long_copy_is_never_stuck),
        cmocka_unit_test(a_hopeless_copy_is_not_stuck),
        cmocka_unit_test(a_still_copy_is_found),
        cmocka_unit_test(growth_alone_is_no_progress),
        cmocka_unit_test(latencies),
        cmocka_unit_test(bandwidths),
        cmocka_unit_test(it_stays_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
