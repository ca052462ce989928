/* JOURNAL_READ, as the hook uses it: at once, without a write, whatever state the disk is in. */
#include "journal_fixture.h"

#include "journal/small_disk.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define NOBODY 65534
#define DISKS 32

#if defined(__SANITIZE_ADDRESS__)
#define QUICK_MILLISECONDS 30
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define QUICK_MILLISECONDS 30
#endif
#endif
#ifndef QUICK_MILLISECONDS
#define QUICK_MILLISECONDS 3
#endif

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* In a child: an assertion that failed there would go on with the parent's tests. */
static int fill_ledger(struct journal *journal, struct error *error)
{
    char disk[1000];
    memset(disk, 'x', sizeof(disk) - 1);
    disk[sizeof(disk) - 1] = '\0';
    const struct move_record move = {
        .uuid = (char *)UUID_1, .domain = (char *)"db-1", .uri = (char *)"u", .plan = (char *)"{}"};
    int64_t id = 0;
    if (journal_create(journal, &move, &id, error) < 0)
        return -1;
    for (int i = 0; i < DISKS; i++) {
        AUTO_FREE char *target = text_format("vd%d", i);
        const struct ledger_row row = {.target = target, .old_disk = disk, .new_disk = disk};
        if (journal_ledger_add(journal, id, &row, error) < 0)
            return -1;
    }
    return 0;
}

/* -1 with the error, or the number of rows; the rows themselves are looked at elsewhere. */
static int read_ledger(const char *folder, struct error *error)
{
    CLEANUP(journal_closep) struct journal *journal = NULL;
    CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
    if (journal_open(folder, JOURNAL_READ, &journal, error) < 0 ||
        journal_ledger(journal, UUID_1, &rows, error) < 0)
        return -1;
    return (int)rows.count;
}

static void assert_readable(const char *folder)
{
    AUTO_ERROR struct error error = {0};
    int count = read_ledger(folder, &error);
    if (count != DISKS)
        fail_msg("%d rows: %s", count, error.message ? error.message : "no message");
}

static char *path_of(const char *folder, const char *suffix)
{
    return text_format("%s/journal.db%s", folder, suffix);
}

static void remove_file(const char *folder, const char *suffix)
{
    AUTO_FREE char *path = path_of(folder, suffix);
    assert_int_equal(unlink(path), 0);
}

/* A folder with a ledger; with_wal: its writer was killed, and all of it is in the WAL still. */
static void make_ledger(const char *folder, bool with_wal)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct journal *journal = NULL;
        AUTO_ERROR struct error error = {0};
        if (journal_open(folder, JOURNAL_WRITE, &journal, &error) < 0 ||
            fill_ledger(journal, &error) < 0)
            _exit(1);
        if (with_wal)
            raise(SIGKILL);
        journal_close(journal);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(with_wal ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- quick ---- */

/* The least of many: whatever else the machine does. */
static void takes_no_time(void **state UNUSED)
{
    for (int with_wal = 0; with_wal <= 1; with_wal++) {
        AUTO_SCRATCH char *folder = scratch_new();
        make_ledger(folder, with_wal);
        double least = 1e3;
        for (int i = 0; i < 51; i++) {
            double start = now_ms();
            assert_readable(folder);
            double took = now_ms() - start;
            least = took < least ? took : least;
        }
        print_message("a ledger of %d disks%s: %.2f ms\n", DISKS, with_wal ? " in the WAL" : "",
                      least);
        assert_true(least < QUICK_MILLISECONDS);
    }
}

/* Somebody sits on the database itself, as no virt-pivot does. */
static void does_not_wait_long(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    make_ledger(folder, false);
    int ready[2], told[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(told[1]);
        AUTO_FREE char *path = path_of(folder, "");
        sqlite3 *database = NULL;
        char byte = 0;
        if (sqlite3_open(path, &database) != SQLITE_OK ||
            sqlite3_exec(database,
                         "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM ledger", NULL,
                         NULL, NULL) != SQLITE_OK ||
            write(ready[1], "x", 1) != 1 || read(told[0], &byte, 1) < 0)
            _exit(1);
        _exit(0);
    }
    close(told[0]);
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    double start = now_ms();
    AUTO_ERROR struct error error = {0};
    assert_int_equal(read_ledger(folder, &error), -1);
    double took = now_ms() - start;
    assert_true(took < 4000);
    assert_non_null(strstr(error.message, "locked"));
    assert_non_null(strstr(error.hint, "try again"));
    close(told[1]);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_readable(folder);
}

/* ---- while others write ---- */

static void write_until_killed(const char *folder)
{
    for (;;) { /* opening and closing, too: that is when SQLite makes and removes its files */
        AUTO_ERROR struct error error = {0};
        CLEANUP(journal_closep) struct journal *journal = NULL;
        if (journal_open(folder, JOURNAL_WRITE, &journal, &error) < 0)
            _exit(1);
        for (int i = 0; i < 20; i++)
            if (journal_note(journal, 1, "note", "x", &error) < 0)
                _exit(2);
    }
}

static void whatever_writers_do(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    make_ledger(folder, false);
    double worst = 0;
    for (int round = 0; round < 5; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            write_until_killed(folder);
        for (int i = 0; i < 100; i++) {
            double start = now_ms();
            assert_readable(folder);
            worst = now_ms() - start > worst ? now_ms() - start : worst;
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, WNOHANG), 0); /* it did not fail over us */
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_readable(folder);
    }
    print_message("beside a writer at most %.2f ms\n", worst);
    assert_query(folder, "PRAGMA integrity_check", "ok");
}

static void sees_what_is_committed(void **state)
{
    const struct desk *desk = *state;
    CLEANUP(journal_closep) struct journal *reader = NULL;
    int64_t id = new_move(desk->journal, UUID_1);
    OK(journal_open(desk->folder, JOURNAL_READ, &reader, why));
    OK(journal_reach(desk->journal, id, PHASE_LOCKED, NULL, why));
    CLEANUP(move_record_clear) struct move_record record = {0};
    OK(journal_read(reader, id, &record, why));
    assert_int_equal(record.phase, PHASE_LOCKED);
}

/* ---- nothing is written ---- */

static char *look_at_files(const char *folder)
{
    static const char *const suffixes[] = {"", "-wal"};
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        AUTO_FREE char *path = path_of(folder, suffixes[i]);
        struct stat status;
        assert_int_equal(stat(path, &status), 0);
        buffer_format(&text, "%lld %lld.%09ld; ", (long long)status.st_size,
                      (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    }
    return buffer_take(&text);
}

static void writes_nothing(void **state UNUSED)
{
    for (int with_wal = 0; with_wal <= 1; with_wal++) {
        AUTO_SCRATCH char *folder = scratch_new();
        make_ledger(folder, with_wal);
        AUTO_FREE char *before = look_at_files(folder);
        for (int i = 0; i < 3; i++)
            assert_readable(folder);
        AUTO_FREE char *after = look_at_files(folder);
        assert_string_equal(after, before);
    }
}

static void cannot_write(void **state)
{
    const struct desk *desk = *state;
    int64_t id = new_move(desk->journal, UUID_1), other = 0;
    CLEANUP(journal_closep) struct journal *reader = NULL;
    OK(journal_open(desk->folder, JOURNAL_READ, &reader, why));
    AUTO_ERROR struct error error = {0};
    assert_int_equal(journal_reach(reader, id, PHASE_LOCKED, NULL, &error), -1);
    assert_int_equal(journal_ask_cancel(reader, id, &error), -1);
    const struct request_record wish = {.uuid = (char *)UUID_1, .reason = (char *)"user"};
    assert_int_equal(journal_request_add(reader, &wish, &other, &error), -1);
    assert_query(desk->folder, "SELECT count(*) FROM steps", "1");
    OK(journal_reach(desk->journal, id, PHASE_LOCKED, NULL, why)); /* and is in nobody's way */
}

/* ---- files that SQLite needs ---- */

static void missing_files(void **state UNUSED)
{
    static const char *const missing[][2] = {{"-shm", NULL}, {"-wal", NULL}, {"-shm", "-wal"}};
    for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
        AUTO_SCRATCH char *folder = scratch_new();
        make_ledger(folder, false);
        for (size_t j = 0; j < 2 && missing[i][j]; j++)
            remove_file(folder, missing[i][j]);
        assert_readable(folder);
    }
}

static void what_a_killed_writer_leaves(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    make_ledger(folder, true);
    AUTO_FREE char *index = path_of(folder, "-shm");
    assert_readable(folder);
    remove_file(folder, "-shm");
    assert_readable(folder);
    assert_int_equal(truncate(index, 7), 0);
    assert_readable(folder);
    AUTO_FCLOSE FILE *file = fopen(index, "w");
    assert_non_null(file);
    for (int i = 0; i < 32768; i++)
        fputc(i % 251, file);
    fflush(file);
    assert_readable(folder);
}

/* The files are there after the last writer has gone: nobody need make them when it is too late. */
static void the_files_stay(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    make_ledger(folder, false);
    AUTO_FREE char *index = path_of(folder, "-shm");
    AUTO_FREE char *wal = path_of(folder, "-wal");
    struct stat status;
    assert_int_equal(stat(index, &status), 0);
    assert_int_equal(stat(wal, &status), 0);
    assert_int_equal(status.st_size, 0); /* what was in it is in the database */
}

static void a_full_disk(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    if (!small_disk_mount(folder))
        skip();
    make_ledger(folder, false);
    small_disk_fill(folder);
    assert_readable(folder);
    /* Beside a writer that cannot write any more. */
    {
        CLEANUP(journal_closep) struct journal *writer = NULL;
        OK(journal_open(folder, JOURNAL_WRITE, &writer, why));
        assert_readable(folder);
    }
    /* A folder that was put back without SQLite's files. */
    remove_file(folder, "-shm");
    small_disk_fill(folder);
    AUTO_ERROR struct error error = {0};
    assert_int_equal(read_ledger(folder, &error), -1);
    assert_int_equal(error.code, ERROR_NO_SPACE);
    assert_non_null(strstr(error.message, "journal.db-shm"));
    assert_non_null(strstr(error.message, strerror(ENOSPC)));
    assert_non_null(strstr(error.hint, "make room"));
    small_disk_drain(folder);
    assert_readable(folder);
    small_disk_unmount(folder);
}

static void a_file_system_that_is_read_only(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    if (!small_disk_mount(folder))
        skip();
    make_ledger(folder, false);
    assert_int_equal(mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_readable(folder);
    assert_int_equal(mount(NULL, folder, NULL, MS_REMOUNT, NULL), 0);
    remove_file(folder, "-shm");
    remove_file(folder, "-wal");
    assert_int_equal(mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    AUTO_ERROR struct error error = {0};
    assert_int_equal(read_ledger(folder, &error), -1);
    assert_non_null(strstr(error.message, "journal.db-shm"));
    assert_non_null(strstr(error.hint, "recover"));
    small_disk_unmount(folder);
}

/* ---- as somebody else ---- */

/* What nobody finds: 0 when all is there, else the error's code; its text goes to the pipe. */
static int read_as_nobody(const char *folder, char *text, size_t room)
{
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        AUTO_ERROR struct error error = {0};
        if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
            _exit(100);
        int count = read_ledger(folder, &error);
        if (count >= 0)
            _exit(count == DISKS ? 0 : 101);
        dprintf(out[1], "%s | %s", error.message, error.hint);
        _exit((int)error.code);
    }
    close(out[1]);
    ssize_t length = read(out[0], text, room - 1);
    text[length > 0 ? length : 0] = '\0';
    close(out[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void allow(const char *folder, const char *suffix, mode_t mode)
{
    AUTO_FREE char *path = path_of(folder, suffix);
    assert_int_equal(chmod(path, mode), 0);
}

static void whoever_may_only_read(void **state UNUSED)
{
    if (geteuid() != 0) {
        print_message("SKIPPED: only root can be somebody else\n");
        skip();
    }
    char text[1000];
    AUTO_SCRATCH char *folder = scratch_new();
    make_ledger(folder, true);
    assert_int_equal(read_as_nobody(folder, text, sizeof(text)), ERROR_DENIED);
    assert_non_null(strstr(text, "Permission denied"));
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(read_as_nobody(folder, text, sizeof(text)), ERROR_DENIED);
    assert_non_null(strstr(text, "Permission denied"));
    allow(folder, "", 0644);
    allow(folder, "-wal", 0644);
    assert_int_equal(read_as_nobody(folder, text, sizeof(text)), ERROR_FAILED);
    assert_non_null(strstr(text, "journal.db-shm"));
    assert_non_null(strstr(text, "virt-pivot recover"));
    allow(folder, "-shm", 0644);
    assert_int_equal(read_as_nobody(folder, text, sizeof(text)), 0);
    remove_file(folder, "-shm");
    assert_int_equal(read_as_nobody(folder, text, sizeof(text)), ERROR_FAILED);
    assert_non_null(strstr(text, "journal.db-shm, which cannot be made"));
}

/* ---- what is no journal ---- */

/* Its maker was killed before there was a table in it. */
static void an_empty_one_is_none(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *path = path_of(folder, "");
    AUTO_FCLOSE FILE *file = fopen(path, "w");
    assert_non_null(file);
    AUTO_ERROR struct error error = {0};
    assert_int_equal(read_ledger(folder, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

static void neither_is_a_link_or_a_folder(void **state)
{
    const struct desk *desk = *state;
    for (int link = 0; link <= 1; link++) {
        AUTO_SCRATCH char *folder = scratch_new();
        AUTO_FREE char *path = path_of(folder, "");
        AUTO_FREE char *elsewhere = path_of(desk->folder, "");
        assert_int_equal(link ? symlink(elsewhere, path) : mkdir(path, 0700), 0);
        AUTO_ERROR struct error error = {0};
        assert_int_equal(read_ledger(folder, &error), -1);
        assert_int_equal(error.code, ERROR_FAILED);
        assert_non_null(strstr(error.message, path));
    }
}

int main(void)
{
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_no_time),
        cmocka_unit_test(does_not_wait_long),
        cmocka_unit_test(whatever_writers_do),
        WITH_DESK(sees_what_is_committed),
        cmocka_unit_test(writes_nothing),
        WITH_DESK(cannot_write),
        cmocka_unit_test(missing_files),
        cmocka_unit_test(what_a_killed_writer_leaves),
        cmocka_unit_test(the_files_stay),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(a_file_system_that_is_read_only),
        cmocka_unit_test(whoever_may_only_read),
        cmocka_unit_test(an_empty_one_is_none),
        WITH_DESK(neither_is_a_link_or_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
