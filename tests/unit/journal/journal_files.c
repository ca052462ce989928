/* Opening a journal: what it makes, with which rights, and what it refuses. */
#include "journal_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void assert_mode(const char *folder, const char *name, mode_t mode)
{
    AUTO_FREE char *path = text_format("%s%s%s", folder, *name ? "/" : "", name);
    struct stat status;
    if (lstat(path, &status) != 0)
        fail_msg("%s is not there", path);
    if ((status.st_mode & 07777) != mode)
        fail_msg("%s has mode %o, not %o", path, (unsigned)status.st_mode & 07777, (unsigned)mode);
}

/* Whatever the umask is: definitions hold passwords. */
static void everything_is_private(void **state UNUSED)
{
    AUTO_SCRATCH char *parent = scratch_new();
    AUTO_FREE char *folder = text_format("%s/state", parent);
    mode_t usual = umask(0);
    CLEANUP(journal_closep) struct journal *journal = NULL;
    OK(journal_open(folder, JOURNAL_WRITE, &journal, why));
    int64_t id = new_move(journal, UUID_1);
    OK(journal_save_definition(journal, id, "db-1", UUID_1, "<domain/>", why));
    CLEANUP(journal_unlock) int lock = -1;
    OK(journal_lock(journal, UUID_1, &lock, why));
    umask(usual);

    assert_mode(folder, "", 0700);
    assert_mode(folder, "locks", 0700);
    assert_mode(folder, "definitions", 0700);
    assert_mode(folder, "journal.db", 0600);
    assert_mode(folder, "journal.db-wal", 0600);
    assert_mode(folder, "journal.db-shm", 0600);
    assert_mode(folder, "locks/" UUID_1, 0600);
    CLEANUP(move_record_clear) struct move_record record = {0};
    OK(journal_read(journal, id, &record, why));
    assert_mode(record.definition_file, "", 0600);
}

static void schema_and_version(void **state)
{
    const struct desk *desk = *state;
    assert_query(desk->folder, "PRAGMA user_version", "3");
    assert_query(desk->folder, "PRAGMA journal_mode", "wal");
    assert_query(desk->folder,
                 "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'"
                 " ORDER BY name",
                 "controls disks ledger moves request_files requests sightings steps");
    /* An old journal must be readable, so a column that goes or changes its name needs a new
     * version and a way from the old one. */
    assert_query(desk->folder, "SELECT name FROM pragma_table_info('moves')",
                 "id uuid domain uri phase begun plan live definition definition_file message hint"
                 " created updated pid kind undoes held pause");
    assert_query(desk->folder, "SELECT name FROM pragma_table_info('disks')",
                 "move target token fate features copied total rate dirty_rate latency_before"
                 " latency_now sampled snapshot verdict compared first_difference differing"
                 " source_digest target_digest given_up");
    assert_query(desk->folder, "SELECT name FROM pragma_table_info('steps')",
                 "id move at event phase detail");
    assert_query(desk->folder, "SELECT name FROM pragma_table_info('controls')",
                 "move cancel paused bandwidth");
    assert_query(desk->folder, "SELECT name FROM pragma_table_info('ledger')",
                 "move target uuid old_source new_source at old_disk new_disk retired ended");
    assert_query(desk->folder, "SELECT name FROM pragma_table_info('requests')",
                 "id file uuid domain reason tier targets bandwidth state attempts not_before pid"
                 " move after_move message hint created updated");
    assert_query(desk->folder, "SELECT name FROM pragma_table_info('request_files')",
                 "file request");
    assert_query(desk->folder, "SELECT name FROM pragma_table_info('sightings')",
                 "uuid run tier at");
}

/* The numbers are on disk: a word that changes its number changes the meaning of old journals. */
static void words_keep_their_numbers(void **state UNUSED)
{
    static const char *const words[] = {
        "planned",   "locked",  "source prepared", "target created", "definition saved",
        "undefined", "copying", "mirroring",       "pivoted",        "redefined",
        "verified",  "retired", "undoing",         "undone",         "needs operator",
    };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        assert_string_equal(move_phase_word((enum move_phase)i), words[i]);
    assert_string_equal(move_phase_word((enum move_phase)ARRAY_SIZE(words)), "unknown");
    assert_string_equal(move_phase_word((enum move_phase) - 1), "unknown");
    static const char *const fates[] = {"on its source", "pivoting", "on its target",
                                        "back on its source"};
    for (size_t i = 0; i < ARRAY_SIZE(fates); i++)
        assert_string_equal(disk_fate_word((enum disk_fate)i), fates[i]);
    assert_string_equal(disk_fate_word((enum disk_fate)4), "unknown");
    static const char *const kinds[] = {"live", "incoming", "offline", "undo"};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        assert_string_equal(move_kind_word((enum move_kind)i), kinds[i]);
    assert_string_equal(move_kind_word((enum move_kind)4), "unknown");
    static const char *const verdicts[] = {"not compared", "equal", "different",
                                           "cannot be compared"};
    for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
        assert_string_equal(disk_verdict_word((enum disk_verdict)i), verdicts[i]);
    assert_string_equal(disk_verdict_word((enum disk_verdict)4), "unknown");
    static const char *const states[] = {"waiting", "running", "done", "failed", "cancelled"};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        assert_string_equal(request_state_word((enum request_state)i), states[i]);
    assert_string_equal(request_state_word((enum request_state)5), "unknown");
}

static void only_a_writer_makes_it(void **state UNUSED)
{
    static const enum journal_access others[] = {JOURNAL_READ, JOURNAL_CHANGE};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        AUTO_SCRATCH char *parent = scratch_new();
        AUTO_FREE char *folder = text_format("%s/state", parent);
        AUTO_ERROR struct error error = {0};
        struct journal *journal = NULL;
        assert_int_equal(journal_open(folder, others[i], &journal, &error), -1);
        assert_int_equal(error.code, ERROR_NOT_FOUND);
        assert_null(journal);
        assert_int_equal(access(folder, F_OK), -1);
    }
}

static void a_change_is_a_write(void **state)
{
    struct desk *desk = *state;
    int64_t id = new_move(desk->journal, UUID_1);
    journal_closep(&desk->journal);
    OK(journal_open(desk->folder, JOURNAL_CHANGE, &desk->journal, why));
    OK(journal_ask_cancel(desk->journal, id, why));
    assert_query(desk->folder, "SELECT cancel FROM controls", "1");
}

static void opening_again_keeps_what_is_there(void **state)
{
    struct desk *desk = *state;
    int64_t id = new_move(desk->journal, UUID_1);
    desk_reopen(desk);
    CLEANUP(move_record_clear) struct move_record record = {0};
    OK(journal_read(desk->journal, id, &record, why));
    assert_string_equal(record.uuid, UUID_1);
    CLEANUP(journal_closep) struct journal *reader = NULL;
    OK(journal_open(desk->folder, JOURNAL_READ, &reader, why));
}

static void refuse_to_open(const char *folder, const char *message, const char *hint)
{
    for (int access = JOURNAL_READ; access <= JOURNAL_CHANGE; access++) {
        AUTO_ERROR struct error error = {0};
        struct journal *journal = NULL;
        assert_int_equal(journal_open(folder, (enum journal_access)access, &journal, &error), -1);
        assert_null(journal);
        assert_int_equal(error.code, ERROR_FAILED);
        if (!strstr(error.message, message))
            fail_msg("'%s' expected in: %s", message, error.message);
        assert_non_null(error.hint);
        if (!strstr(error.hint, hint))
            fail_msg("'%s' expected in: %s", hint, error.hint);
    }
}

static void a_newer_schema_is_left_alone(void **state)
{
    struct desk *desk = *state;
    new_move(desk->journal, UUID_1);
    journal_closep(&desk->journal);
    run_query(desk->folder, "PRAGMA user_version=4");
    run_query(desk->folder, "ALTER TABLE moves ADD COLUMN later TEXT");
    refuse_to_open(desk->folder, "written by a newer virt-pivot", "use that version");
    assert_query(desk->folder, "PRAGMA user_version", "4");
    assert_query(desk->folder, "SELECT count(*) FROM moves", "1");
}

static void a_broken_file_is_kept(void **state)
{
    struct desk *desk = *state;
    journal_closep(&desk->journal);
    AUTO_FREE char *path = text_format("%s/journal.db", desk->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database; ", file);
    fclose(file);
    refuse_to_open(desk->folder, "not a database", "definitions/");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 24000);
}

static void a_link_is_not_followed(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *path = text_format("%s/journal.db", folder);
    AUTO_FREE char *elsewhere = text_format("%s/elsewhere", folder);
    assert_int_equal(symlink(elsewhere, path), 0);
    AUTO_ERROR struct error error = {0};
    struct journal *journal = NULL;
    assert_int_equal(journal_open(folder, JOURNAL_WRITE, &journal, &error), -1);
    assert_true(error_is_set(&error));
    assert_int_equal(access(elsewhere, F_OK), -1);
}

static void a_folder_that_cannot_be_made(void **state UNUSED)
{
    AUTO_SCRATCH char *parent = scratch_new();
    AUTO_FREE char *folder = text_format("%s/not/there", parent);
    AUTO_ERROR struct error error = {0};
    struct journal *journal = NULL;
    assert_int_equal(journal_open(folder, JOURNAL_WRITE, &journal, &error), -1);
    assert_int_equal(error.code, ERROR_FAILED);
    assert_non_null(strstr(error.message, folder));
    assert_non_null(strstr(error.hint, "--state"));
}

/* A file where the folder belongs. */
static void a_file_in_the_way(void **state UNUSED)
{
    AUTO_SCRATCH char *parent = scratch_new();
    AUTO_FREE char *path = text_format("%s/state", parent);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    AUTO_ERROR struct error error = {0};
    struct journal *journal = NULL;
    assert_int_equal(journal_open(path, JOURNAL_WRITE, &journal, &error), -1);
    assert_true(error_is_set(&error));
}

/* ---- two connections, two users ---- */

static void in_a_child(const char *folder, int (*check)(const char *folder))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(check(folder));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* SQLite's shared lock: whoever holds none may lose the WAL that he reads to one who closes. */
static int somebody_holds_a_lock(const char *folder)
{
    AUTO_FREE char *path = text_format("%s/journal.db", folder);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_start = 0x40000002, .l_len = 510};
    return fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? 0 : 1;
}

/* Whoever closes a file loses all locks that his process has on it, by whatever descriptor. */
static void a_second_connection_leaves_the_first_its_locks(void **state)
{
    const struct desk *desk = *state;
    new_move(desk->journal, UUID_1);
    in_a_child(desk->folder, somebody_holds_a_lock);
    for (int access = JOURNAL_READ; access <= JOURNAL_CHANGE; access++) {
        struct journal *second = NULL;
        OK(journal_open(desk->folder, (enum journal_access)access, &second, why));
        in_a_child(desk->folder, somebody_holds_a_lock);
        journal_close(second);
        in_a_child(desk->folder, somebody_holds_a_lock);
    }
}

#define NOBODY 65534

static int works_for_nobody(const char *folder)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(journal_closep) struct journal *journal = NULL;
    CLEANUP(journal_unlock) int lock = -1;
    if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
        return 100;
    if (journal_open(folder, JOURNAL_WRITE, &journal, &error) < 0 ||
        journal_lock(journal, UUID_1, &lock, &error) < 0 ||
        journal_note(journal, 1, "note", "by nobody", &error) < 0 ||
        journal_save_definition(journal, 1, "db-1", UUID_1, "<domain/>", &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    return 0;
}

/* An operator tries it out as root before the service has ever run. */
static void what_root_makes_is_the_service_s(void **state UNUSED)
{
    if (geteuid() != 0) {
        print_message("SKIPPED: only root can be somebody else\n");
        skip();
    }
    AUTO_SCRATCH char *folder = scratch_new();
    assert_int_equal(chown(folder, NOBODY, NOBODY), 0);
    CLEANUP(journal_closep) struct journal *journal = NULL;
    OK(journal_open(folder, JOURNAL_WRITE, &journal, why));
    assert_int_equal(new_move(journal, UUID_1), 1);
    int lock = -1;
    OK(journal_lock(journal, UUID_1, &lock, why));
    journal_unlock(&lock);
    OK(journal_save_definition(journal, 1, "db-1", UUID_1, "<domain/>", why));
    CLEANUP(move_record_clear) struct move_record record = {0};
    OK(journal_read(journal, 1, &record, why));
    struct stat status;
    assert_int_equal(stat(record.definition_file, &status), 0);
    assert_int_equal(status.st_uid, NOBODY);
    in_a_child(folder, works_for_nobody);
}

int main(void)
{
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_private),
        WITH_DESK(schema_and_version),
        cmocka_unit_test(words_keep_their_numbers),
        cmocka_unit_test(only_a_writer_makes_it),
        WITH_DESK(a_change_is_a_write),
        WITH_DESK(opening_again_keeps_what_is_there),
        WITH_DESK(a_newer_schema_is_left_alone),
        WITH_DESK(a_broken_file_is_kept),
        cmocka_unit_test(a_link_is_not_followed),
        cmocka_unit_test(a_folder_that_cannot_be_made),
        cmocka_unit_test(a_file_in_the_way),
        WITH_DESK(a_second_connection_leaves_the_first_its_locks),
        cmocka_unit_test(what_root_makes_is_the_service_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
