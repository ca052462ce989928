/* A move's disks, the wishes of other terminals. */
#include "journal_fixture.h"

#include <time.h>

static int64_t with_disks(struct journal *journal)
{
    int64_t id = new_move(journal, UUID_1);
    OK(journal_add_disk(journal, id, "vdb", "token-b", why));
    OK(journal_add_disk(journal, id, "vda", "token-a", why));
    return id;
}

static void disks_in_the_order_given(void **state)
{
    const struct desk *desk = *state;
    int64_t id = with_disks(desk->journal);
    int64_t other = with_disks(desk->journal);
    OK(journal_set_fate(desk->journal, other, "vda", DISK_PIVOTED, why));
    CLEANUP(disk_records_clear) struct disk_records disks = {0};
    OK(journal_disks(desk->journal, id, &disks, why));
    assert_int_equal(disks.count, 2);
    assert_string_equal(disks.items[0].target, "vdb");
    assert_string_equal(disks.items[0].token, "token-b");
    assert_string_equal(disks.items[1].target, "vda");
    assert_int_equal(disks.items[1].fate, DISK_WAITING);
    assert_int_equal(disks.items[1].enabled_features, 0);
}

static void one_row_a_disk(void **state)
{
    const struct desk *desk = *state;
    int64_t id = with_disks(desk->journal);
    AUTO_ERROR struct error error = {0};
    assert_int_equal(journal_add_disk(desk->journal, id, "vda", "token-c", &error), -1);
    assert_int_equal(journal_add_disk(desk->journal, 99, "vda", "token-d", &error), -1);
}

static void every_field_comes_back(void **state)
{
    struct desk *desk = *state;
    int64_t id = with_disks(desk->journal);
    const struct disk_record sample = {.target = (char *)"vda",
                                       .copied = 1ull << 62,
                                       .total = (1ull << 62) + 1,
                                       .rate = 7,
                                       .dirty_rate = 8,
                                       .latency_before = 0.25,
                                       .latency_now = 1e-3};
    int64_t now = (int64_t)time(NULL);
    OK(journal_sample(desk->journal, id, &sample, why));
    OK(journal_set_features(desk->journal, id, "vda", 1ull << 63 | 24, why));
    OK(journal_set_fate(desk->journal, id, "vda", DISK_PIVOTING, why));
    desk_reopen(desk);
    CLEANUP(disk_records_clear) struct disk_records disks = {0};
    OK(journal_disks(desk->journal, id, &disks, why));
    const struct disk_record *vda = &disks.items[1], *vdb = &disks.items[0];
    assert_int_equal(vda->fate, DISK_PIVOTING);
    assert_true(vda->enabled_features == (1ull << 63 | 24));
    assert_int_equal(vda->copied, sample.copied);
    assert_int_equal(vda->total, sample.total);
    assert_int_equal(vda->rate, 7);
    assert_int_equal(vda->dirty_rate, 8);
    assert_true(vda->latency_before == 0.25 && vda->latency_now == 1e-3);
    assert_true(vda->sampled >= now);
    assert_int_equal(vdb->fate, DISK_WAITING);
    assert_int_equal(vdb->total, 0);
    assert_int_equal(vdb->enabled_features, 0);
}

/* A fate is part of the story: it is what recovery goes by. */
static void fates_are_told(void **state)
{
    const struct desk *desk = *state;
    int64_t id = with_disks(desk->journal);
    OK(journal_set_fate(desk->journal, id, "vda", DISK_PIVOTED, why));
    CLEANUP(step_records_clear) struct step_records story = {0};
    OK(journal_story(desk->journal, id, &story, why));
    assert_string_equal(story.items[story.count - 1].event, "disk");
    assert_string_equal(story.items[story.count - 1].detail, "disk vda: on its target");
}

/* All or none; those that have it already are not told of again. */
static void fates_of_all(void **state)
{
    struct desk *desk = *state;
    int64_t id = with_disks(desk->journal);
    OK(journal_set_fate(desk->journal, id, "vda", DISK_PIVOTED, why));
    CLEANUP(disk_records_clear) struct disk_records before = {0}, after = {0};
    CLEANUP(step_records_clear) struct step_records story = {0};
    OK(journal_disks(desk->journal, id, &before, why));
    OK(journal_set_fates(desk->journal, id, &before, DISK_PIVOTED, why));
    desk_reopen(desk);
    OK(journal_disks(desk->journal, id, &after, why));
    for (size_t i = 0; i < after.count; i++)
        assert_int_equal(after.items[i].fate, DISK_PIVOTED);
    OK(journal_story(desk->journal, id, &story, why));
    assert_string_equal(story.items[story.count - 1].detail, "disk vdb: on its target");
    assert_string_equal(story.items[story.count - 2].detail, "disk vda: on its target");
}

/* ---- wishes ---- */

static void wishes(void **state)
{
    const struct desk *desk = *state;
    int64_t id = new_move(desk->journal, UUID_1), other = new_move(desk->journal, UUID_2);
    struct move_control control;
    OK(journal_control(desk->journal, id, &control, why));
    assert_false(control.cancel || control.paused || control.bandwidth_set);

    /* From another terminal. */
    CLEANUP(journal_closep) struct journal *terminal = NULL;
    OK(journal_open(desk->folder, JOURNAL_WRITE, &terminal, why));
    OK(journal_ask_pause(terminal, id, true, why));
    OK(journal_ask_bandwidth(terminal, id, 5ull << 40, why));
    OK(journal_control(desk->journal, id, &control, why));
    assert_true(control.paused && control.bandwidth_set && !control.cancel);
    assert_int_equal(control.bandwidth, 5ull << 40);

    OK(journal_ask_pause(terminal, id, false, why));
    OK(journal_ask_bandwidth(terminal, id, 0, why)); /* unlimited is a wish, too */
    OK(journal_ask_cancel(terminal, id, why));
    OK(journal_control(desk->journal, id, &control, why));
    assert_true(!control.paused && control.bandwidth_set && control.cancel);
    assert_int_equal(control.bandwidth, 0);

    OK(journal_control(desk->journal, other, &control, why));
    assert_false(control.cancel || control.paused || control.bandwidth_set);
}

/* ---- how fast moves usually are ---- */

static int64_t finished_move(struct journal *journal, uint64_t rate)
{
    int64_t id = with_disks(journal);
    const struct disk_record sample = {.target = (char *)"vda", .rate = rate};
    OK(journal_sample(journal, id, &sample, why));
    OK(journal_reach(journal, id, PHASE_PIVOTED, NULL, why));
    OK(journal_reach(journal, id, PHASE_REDEFINED, NULL, why));
    return id;
}

static void the_usual_rate(void **state)
{
    const struct desk *desk = *state;
    assert_true(journal_usual_rate(desk->journal) == 0);
    int64_t unfinished = with_disks(desk->journal);
    const struct disk_record sample = {.target = (char *)"vda", .rate = 1000};
    OK(journal_sample(desk->journal, unfinished, &sample, why));
    assert_true(journal_usual_rate(desk->journal) == 0);
    finished_move(desk->journal, 100);
    finished_move(desk->journal, 0); /* too short to be measured */
    finished_move(desk->journal, 200);
    assert_true(journal_usual_rate(desk->journal) == 150);
    for (int i = 0; i < 10; i++)
        finished_move(desk->journal, 500);
    assert_true(journal_usual_rate(desk->journal) == 500); /* the last few */
}

int main(void)
{
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        WITH_DESK(disks_in_the_order_given),
        WITH_DESK(one_row_a_disk),
        WITH_DESK(every_field_comes_back),
        WITH_DESK(fates_are_told),
        WITH_DESK(fates_of_all),
        WITH_DESK(wishes),
        WITH_DESK(the_usual_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
