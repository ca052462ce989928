/* Sightings: what the agent knows a domain by. */
#include "journal_fixture.h"

static void see(struct journal *journal, const char *uuid, const char *run, const char *tier)
{
    const struct sighting sighting = {.run = (char *)run, .tier = (char *)tier};
    OK(journal_see(journal, uuid, &sighting, why));
}

static void assert_sighting(struct journal *journal, const char *uuid, const char *run,
                            const char *tier)
{
    CLEANUP(sighting_clear) struct sighting sighting = {0};
    bool seen = false, any = false;
    OK(journal_sighting(journal, uuid, &sighting, &seen, &any, why));
    assert_true(seen && any);
    assert_true(text_equal(sighting.run, run));
    assert_true(text_equal(sighting.tier, tier));
}

static void the_agent_is_new_here(void **state)
{
    const struct desk *desk = *state;
    struct sighting sighting = {.run = (char *)"x"};
    bool seen = true, any = true;
    OK(journal_sighting(desk->journal, UUID_1, &sighting, &seen, &any, why));
    assert_false(seen || any);
    assert_null(sighting.run);
    assert_null(sighting.tier);
    see(desk->journal, UUID_2, NULL, NULL);
    OK(journal_sighting(desk->journal, UUID_1, &sighting, &seen, &any, why));
    assert_true(!seen && any);
}

static void the_last_one_counts(void **state)
{
    struct desk *desk = *state;
    static const struct {
        const char *run, *tier;
    } cases[] = {
        {"boot-1 7", "gold"}, {"boot-1 7", NULL}, {NULL, NULL}, {NULL, "silver"},
        {"boot-2 1", NULL},   {"", ""},           {NULL, ""},
    };
    see(desk->journal, UUID_2, "other", "other");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        see(desk->journal, UUID_1, cases[i].run, cases[i].tier);
        desk_reopen(desk);
        assert_sighting(desk->journal, UUID_1, cases[i].run, cases[i].tier);
    }
    assert_sighting(desk->journal, UUID_2, "other", "other");
    assert_query(desk->folder, "SELECT count(*) FROM sightings", "2");
}

/* A thousand domains every thirty seconds: the disk must not notice. */
static void seeing_the_same_again_writes_nothing(void **state)
{
    const struct desk *desk = *state;
    see(desk->journal, UUID_1, "run", NULL);
    run_query(desk->folder, "UPDATE sightings SET at=at-100"); /* a while ago */
    run_query(desk->folder, "PRAGMA wal_checkpoint(TRUNCATE)");
    AUTO_FREE char *wal = text_format("%s/journal.db-wal", desk->folder);
    struct stat status;
    assert_int_equal(stat(wal, &status), 0);
    assert_int_equal(status.st_size, 0);
    for (int i = 0; i < 10; i++)
        see(desk->journal, UUID_1, "run", NULL);
    assert_int_equal(stat(wal, &status), 0);
    assert_int_equal(status.st_size, 0);
    see(desk->journal, UUID_1, "run", "gold");
    assert_int_equal(stat(wal, &status), 0);
    assert_true(status.st_size > 0);
}

int main(void)
{
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        WITH_DESK(the_agent_is_new_here),
        WITH_DESK(the_last_one_counts),
        WITH_DESK(seeing_the_same_again_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
