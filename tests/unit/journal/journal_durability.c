/* What is written stays written: synced, whole or not at all, whoever else writes. */
#include "journal_fixture.h"

#include "journal/faulty_disk.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* How often this was synced, by whomever. */
static struct stat counted;
static int syncs;

int fsync(int fd)
{
    struct stat status;
    if (fstat(fd, &status) == 0 && status.st_dev == counted.st_dev &&
        status.st_ino == counted.st_ino)
        syncs++;
    return (int)syscall(SYS_fsync, fd);
}

static void what_is_reached_is_synced(void **state UNUSED)
{
    struct faulty_disk disk = {.waits_for_syncs = true};
    faulty_disk_install(&disk);
    AUTO_SCRATCH char *folder = scratch_new();
    {
        CLEANUP(journal_closep) struct journal *journal = NULL;
        OK(journal_open(folder, JOURNAL_WRITE, &journal, why));
        int64_t id = new_move(journal, UUID_1);
        OK(journal_add_disk(journal, id, "vda", "token", why));
        for (int i = 0; i < 2; i++) {
            long before = disk.syncs;
            if (i == 0)
                OK(journal_begin(journal, id, PHASE_LOCKED, why));
            else
                OK(journal_set_fate(journal, id, "vda", DISK_PIVOTING, why));
            assert_true(disk.syncs > before); /* synchronous=FULL, not NORMAL */
        }
    }
    faulty_disk_remove();
}

/* The journal is of no use if the folder it is in is not there after a loss of power. */
static void the_folder_is_synced(void **state UNUSED)
{
    AUTO_SCRATCH char *parent = scratch_new();
    AUTO_FREE char *folder = text_format("%s/state", parent);
    assert_int_equal(stat(parent, &counted), 0);
    syncs = 0;
    for (int i = 0; i < 2; i++) {
        CLEANUP(journal_closep) struct journal *journal = NULL;
        OK(journal_open(folder, JOURNAL_WRITE, &journal, why));
        assert_int_equal(syncs, 1); /* once, when it is made */
    }
    counted = (struct stat){0};
}

/* Some file systems have no shared memory, and SQLite does without WAL there. */
static void without_wal(void **state UNUSED)
{
    struct faulty_disk disk = {.lacks_wal = true};
    faulty_disk_install(&disk);
    AUTO_SCRATCH char *folder = scratch_new();
    {
        CLEANUP(journal_closep) struct journal *journal = NULL;
        OK(journal_open(folder, JOURNAL_WRITE, &journal, why));
        int64_t id = new_move(journal, UUID_1);
        OK(journal_reach(journal, id, PHASE_LOCKED, NULL, why));
        AUTO_FREE char *wal = text_format("%s/journal.db-wal", folder);
        assert_int_equal(access(wal, F_OK), -1);
        assert_int_equal(disk.forgotten, 0); /* synchronous=EXTRA, not FULL */
    }
    faulty_disk_remove();
}

static void a_full_disk_says_so(void **state UNUSED)
{
    struct faulty_disk disk = {0};
    faulty_disk_install(&disk);
    AUTO_SCRATCH char *folder = scratch_new();
    {
        CLEANUP(journal_closep) struct journal *journal = NULL;
        OK(journal_open(folder, JOURNAL_WRITE, &journal, why));
        int64_t id = new_move(journal, UUID_1);
        disk.full = true;
        AUTO_ERROR struct error error = {0};
        assert_int_equal(journal_reach(journal, id, PHASE_LOCKED, NULL, &error), -1);
        assert_int_equal(error.code, ERROR_NO_SPACE);
        assert_non_null(strstr(error.message, folder));
        assert_non_null(strstr(error.hint, "make room"));
        /* What was there can be read still. */
        CLEANUP(move_record_clear) struct move_record record = {0};
        OK(journal_read(journal, id, &record, why));
        assert_int_equal(record.phase, PHASE_PLANNED);
        disk.full = false;
        OK(journal_reach(journal, id, PHASE_LOCKED, NULL, why));
    }
    faulty_disk_remove();
}

/* ---- killed between any two writes ---- */

static void write_a_life(const char *folder)
{
    AUTO_ERROR struct error error = {0};
    struct journal *journal = NULL;
    const struct move_record record = {.uuid = (char *)UUID_1,
                                       .domain = (char *)"db-1",
                                       .uri = (char *)"u",
                                       .plan = (char *)"{}",
                                       .live = (char *)"<domain/>"};
    int64_t id = 0;
    if (journal_open(folder, JOURNAL_WRITE, &journal, &error) < 0 ||
        journal_create(journal, &record, &id, &error) < 0 ||
        journal_add_disk(journal, id, "vda", "token", &error) < 0 ||
        journal_reach(journal, id, PHASE_LOCKED, NULL, &error) < 0 ||
        journal_save_definition(journal, id, "db-1", UUID_1, "<domain/>", &error) < 0 ||
        journal_set_fate(journal, id, "vda", DISK_PIVOTING, &error) < 0)
        _exit(1);
    journal_close(journal);
    _exit(0);
}

/* Whatever is there must be whole: a phase has its line in the story, a move its controls. */
static void check_what_is_left(const char *folder)
{
    CLEANUP(journal_closep) struct journal *journal = NULL;
    OK(journal_open(folder, JOURNAL_WRITE, &journal, why));
    assert_query(folder, "PRAGMA integrity_check", "ok");
    CLEANUP(move_records_clear) struct move_records records = {0};
    OK(journal_list(journal, MOVES_ALL, NULL, &records, why));
    for (size_t i = 0; i < records.count; i++) {
        const struct move_record *record = &records.items[i];
        CLEANUP(step_records_clear) struct step_records story = {0};
        OK(journal_story(journal, record->id, &story, why));
        bool told = false;
        for (size_t j = 0; j < story.count; j++)
            told |= text_equal(story.items[j].event, "done") &&
                    text_equal(story.items[j].phase, move_phase_word(record->phase));
        assert_true(told);
        if (record->definition)
            assert_int_equal(access(record->definition_file, R_OK), 0);
    }
    assert_query(folder, "SELECT count(*) FROM moves WHERE id NOT IN (SELECT move FROM controls)",
                 "0");
}

static void killed_at_any_write(void **state UNUSED)
{
    struct faulty_disk *disk =
        mmap(NULL, sizeof(*disk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(disk != MAP_FAILED);
    long lives = 0;
    for (bool killed = true; killed; lives++) {
        *disk = (struct faulty_disk){.kill_at = lives + 1};
        AUTO_SCRATCH char *folder = scratch_new();
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            faulty_disk_install(disk);
            write_a_life(folder);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 137 || WEXITSTATUS(status) == 0);
        killed = WEXITSTATUS(status) == 137;
        check_what_is_left(folder);
    }
    print_message("killed before each of %ld writes\n", lives - 1);
    assert_true(lives > 20);
    munmap(disk, sizeof(*disk));
}

/* ---- several processes at once ---- */

#define WRITERS 3
#define ROUNDS 60

static void write_much(const char *folder, int64_t id)
{
    AUTO_ERROR struct error error = {0};
    struct journal *journal = NULL;
    if (journal_open(folder, JOURNAL_WRITE, &journal, &error) < 0)
        _exit(1);
    for (int i = 0; i < ROUNDS; i++) {
        AUTO_FREE char *detail = text_format("%d", i);
        const struct disk_record sample = {.target = (char *)"vda", .copied = (uint64_t)i};
        if (journal_note(journal, id, "note", detail, &error) < 0 ||
            journal_sample(journal, id, &sample, &error) < 0 ||
            journal_set_fate(journal, id, "vda", i % 2 ? DISK_WAITING : DISK_PIVOTING, &error) < 0)
            _exit(2);
    }
    journal_close(journal);
    _exit(0);
}

static void writers_do_not_lose_anything(void **state)
{
    struct desk *desk = *state;
    pid_t children[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        int64_t id = new_move(desk->journal, UUID_1);
        assert_int_equal(id, i + 1);
        OK(journal_add_disk(desk->journal, id, "vda", "token", why));
    }
    journal_closep(&desk->journal); /* a connection must not be carried into a child */
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            write_much(desk->folder, i + 1);
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    OK(journal_open(desk->folder, JOURNAL_WRITE, &desk->journal, why));
    for (int i = 0; i < WRITERS; i++) {
        CLEANUP(step_records_clear) struct step_records story = {0};
        OK(journal_story(desk->journal, i + 1, &story, why));
        assert_int_equal(story.count, 1 + 2 * ROUNDS);
        size_t next = 0;
        for (size_t j = 0; j < story.count; j++)
            if (text_equal(story.items[j].event, "note"))
                assert_int_equal(strtol(story.items[j].detail, NULL, 10), next++);
        assert_int_equal(next, ROUNDS);
    }
    assert_query(desk->folder, "PRAGMA integrity_check", "ok");
}

/* Both make a new journal in the same moment. */
static void two_that_open_first(void **state UNUSED)
{
    for (int round = 0; round < 10; round++) {
        AUTO_SCRATCH char *folder = scratch_new();
        pid_t children[2];
        for (int i = 0; i < 2; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            if (children[i] == 0) {
                AUTO_ERROR struct error error = {0};
                struct journal *journal = NULL;
                if (journal_open(folder, JOURNAL_WRITE, &journal, &error) < 0) {
                    fprintf(stderr, "%s\n", error.message);
                    _exit(1);
                }
                journal_close(journal);
                _exit(0);
            }
        }
        for (int i = 0; i < 2; i++) {
            int status = 0;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(WEXITSTATUS(status), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_reached_is_synced),
        cmocka_unit_test(the_folder_is_synced),
        cmocka_unit_test(without_wal),
        cmocka_unit_test(a_full_disk_says_so),
        cmocka_unit_test(killed_at_any_write),
        cmocka_unit_test_setup_teardown(writers_do_not_lose_anything, desk_open, desk_close),
        cmocka_unit_test(two_that_open_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
