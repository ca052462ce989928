/* A journal of the first version: read as it is, brought up to date by the first who writes. */
#include "journal_v1.h"

#include "journal/faulty_disk.h"

#include <sys/mman.h>
#include <sys/wait.h>

static void every_row_is_there_afterwards(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = v1_new();
    CLEANUP(journal_closep) struct journal *journal = NULL;
    OK(journal_open(folder, JOURNAL_WRITE, &journal, why));
    v1_check(journal);
    assert_query(folder, "PRAGMA user_version", "3");
    assert_query(folder, "PRAGMA integrity_check", "ok");
    assert_query(folder, "SELECT target, old_source, new_source, old_disk, retired FROM ledger",
                 "vda /old flash/fast/a NULL 0");
}

/* What the new tables and columns are for works. */
static void the_new_things_work(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = v1_new();
    CLEANUP(journal_closep) struct journal *journal = NULL;
    OK(journal_open(folder, JOURNAL_CHANGE, &journal, why));
    int64_t id = new_move_of_kind(journal, MOVE_INCOMING, UUID_1), request = 0;
    assert_int_equal(id, 3);
    const struct ledger_row row = {.target = (char *)"vda", .old_disk = (char *)"<disk/>"};
    OK(journal_ledger_add(journal, id, &row, why));
    /* The move of the first version, finished by this one. */
    OK(journal_ledger_add(journal, 1, &row, why));
    CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
    OK(journal_ledger(journal, UUID_1, &rows, why));
    assert_int_equal(rows.count, 2);
    const struct request_record wish = {.uuid = (char *)UUID_1, .reason = (char *)"user"};
    OK(journal_request_add(journal, &wish, &request, why));
    const struct sighting sighting = {.run = (char *)"1"};
    OK(journal_see(journal, UUID_1, &sighting, why));
    OK(journal_reach(journal, 2, PHASE_MIRRORING, NULL, why));
}

/* A new journal and one that was brought up to date differ in nothing. */
static void both_ways_lead_to_the_same_tables(void **state UNUSED)
{
    static const char tables[] =
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name";
    AUTO_SCRATCH char *old = v1_new();
    AUTO_SCRATCH char *new = scratch_new();
    char *const folders[] = {old, new};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        CLEANUP(journal_closep) struct journal *journal = NULL;
        OK(journal_open(folders[i], JOURNAL_WRITE, &journal, why));
    }
    AUTO_FREE char *expected = query(new, tables);
    assert_true(strlen(expected) > 1000);
    assert_query(old, tables, expected);
}

static void assert_nothing_new(struct journal *journal)
{
    CLEANUP(request_records_clear) struct request_records requests = {0};
    for (int selection = REQUESTS_ALL; selection <= REQUESTS_PENDING; selection++)
        OK(journal_requests(journal, (enum request_selection)selection, NULL, &requests, why));
    assert_int_equal(requests.count, 0);
    CLEANUP(sighting_clear) struct sighting sighting = {0};
    bool seen = true, any = true;
    OK(journal_sighting(journal, UUID_1, &sighting, &seen, &any, why));
    assert_false(seen || any);
    assert_null(sighting.run);
}

static void a_reader_leaves_it_as_it_is(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = v1_new();
    CLEANUP(journal_closep) struct journal *reader = NULL;
    OK(journal_open(folder, JOURNAL_READ, &reader, why));
    v1_check(reader);
    assert_nothing_new(reader);
    assert_query(folder, "PRAGMA user_version", "1");
    /* It is brought up to date under its eyes. */
    CLEANUP(journal_closep) struct journal *writer = NULL;
    OK(journal_open(folder, JOURNAL_WRITE, &writer, why));
    v1_check(reader);
    assert_nothing_new(reader);
    v1_check(writer);
}

/* ---- interrupted ---- */

static void upgrade(const char *folder)
{
    AUTO_ERROR struct error error = {0};
    struct journal *journal = NULL;
    if (journal_open(folder, JOURNAL_WRITE, &journal, &error) < 0)
        _exit(1);
    journal_close(journal);
    _exit(0);
}

/* The old one or the new one, all of it. */
static int check_whole(const char *folder)
{
    static const char added[] = "SELECT (SELECT count(*) FROM pragma_table_info('moves') WHERE"
                                " name IN ('kind', 'undoes', 'held')) + (SELECT count(*) FROM"
                                " pragma_table_info('ledger') WHERE name IN ('old_disk',"
                                " 'new_disk', 'retired')) + (SELECT count(*) FROM"
                                " pragma_table_info('disks') WHERE name IN ('verdict',"
                                " 'given_up')) + (SELECT count(*) FROM sqlite_master"
                                " WHERE type='table' AND name IN ('requests', 'request_files',"
                                " 'sightings'))";
    AUTO_FREE char *version = query(folder, "PRAGMA user_version");
    assert_query(folder, "PRAGMA integrity_check", "ok");
    assert_query(folder, added, text_equal(version, "1") ? "0" : "11");
    {
        CLEANUP(journal_closep) struct journal *reader = NULL;
        OK(journal_open(folder, JOURNAL_READ, &reader, why));
        v1_check(reader);
    }
    CLEANUP(journal_closep) struct journal *writer = NULL;
    OK(journal_open(folder, JOURNAL_WRITE, &writer, why));
    v1_check(writer);
    assert_query(folder, "PRAGMA user_version", "3");
    assert_query(folder, added, "11");
    return (int)strtol(version, NULL, 10);
}

static struct faulty_disk *shared_disk(void)
{
    struct faulty_disk *disk =
        mmap(NULL, sizeof(*disk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(disk != MAP_FAILED);
    return disk;
}

static int upgrade_in_a_child(const char *folder, struct faulty_disk *disk)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        faulty_disk_install(disk);
        upgrade(folder);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void killed_at_any_write(void **state UNUSED)
{
    struct faulty_disk *disk = shared_disk();
    int seen[4] = {0};
    long lives = 0;
    for (bool killed = true; killed; lives++) {
        *disk = (struct faulty_disk){.kill_at = lives + 1};
        AUTO_SCRATCH char *folder = v1_new();
        int status = upgrade_in_a_child(folder, disk);
        assert_true(status == 137 || status == 0);
        killed = status == 137;
        seen[check_whole(folder)]++;
    }
    print_message("killed before each of %ld writes: %d were old, %d new\n", lives - 1, seen[1],
                  seen[3]);
    assert_true(seen[1] > 5 && seen[3] > 0);
    munmap(disk, sizeof(*disk));
}

static void full_at_any_write(void **state UNUSED)
{
    struct faulty_disk *disk = shared_disk();
    int seen[4] = {0};
    for (bool failed = true; failed;) {
        *disk = (struct faulty_disk){.full_from = seen[1] + 1};
        AUTO_SCRATCH char *folder = v1_new();
        int status = upgrade_in_a_child(folder, disk);
        failed = status != 0;
        int version = check_whole(folder);
        seen[version]++;
        assert_int_equal(version, failed ? 1 : 3); /* success is success */
    }
    print_message("full from each of %d writes on\n", seen[1]);
    assert_true(seen[1] > 5);
    munmap(disk, sizeof(*disk));
}

/* Several processes find the old one in the same moment. */
static void many_at_once(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = v1_new();
    pid_t children[8];
    for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            upgrade(folder);
    }
    for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_int_equal(check_whole(folder), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_there_afterwards),
        cmocka_unit_test(the_new_things_work),
        cmocka_unit_test(both_ways_lead_to_the_same_tables),
        cmocka_unit_test(a_reader_leaves_it_as_it_is),
        cmocka_unit_test(killed_at_any_write),
        cmocka_unit_test(full_at_any_write),
        cmocka_unit_test(many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
