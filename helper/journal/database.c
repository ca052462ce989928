#include "base/text.h"
#include "journal/private.h"
#include "journal/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define BUSY_MILLISECONDS 15000

int journal_error(struct journal *journal, struct error *error)
{
    int code = sqlite3_errcode(journal->database);
    error_set(error, code == SQLITE_FULL ? ERROR_NO_SPACE : ERROR_FAILED, "the journal in %s: %s",
              journal->directory, sqlite3_errmsg(journal->database));
    switch (code) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
        return error_hint(error, "make room on that file system, then 'virt-pivot recover'");
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return error_hint(error, "it must be yours, and writable");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_hint(error, "keep the folder as it is; definitions/ in it holds the saved XML "
                                 "for 'virsh define'");
    default:
        return -1;
    }
}

static sqlite3_stmt *prepare(struct journal *journal, struct error *error, const char *sql,
                             const char *types, va_list args)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(journal->database, sql, -1, &statement, NULL) != SQLITE_OK) {
        journal_error(journal, error);
        return NULL;
    }
    for (int i = 1; types[i - 1]; i++) {
        switch (types[i - 1]) {
        case 'i':
            sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
            break;
        case 'd':
            sqlite3_bind_double(statement, i, va_arg(args, double));
            break;
        default:
            sqlite3_bind_text(statement, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
            break;
        }
    }
    return statement;
}

sqlite3_stmt *journal_prepare(struct journal *journal, struct error *error, const char *sql,
                              const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *statement = prepare(journal, error, sql, types, args);
    va_end(args);
    return statement;
}

int journal_next(struct journal *journal, sqlite3_stmt *statement, struct error *error)
{
    switch (sqlite3_step(statement)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    default:
        return journal_error(journal, error);
    }
}

int journal_run(struct journal *journal, struct error *error, const char *sql, const char *types,
                ...)
{
    va_list args;
    va_start(args, types);
    AUTO_STATEMENT statement = prepare(journal, error, sql, types, args);
    va_end(args);
    return statement && journal_next(journal, statement, error) >= 0 ? 0 : -1;
}

char *journal_text(sqlite3_stmt *statement, int column)
{
    return text_dup((const char *)sqlite3_column_text(statement, column));
}

int64_t journal_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int transaction_begin(struct transaction *transaction, struct journal *journal, struct error *error)
{
    if (journal_run(journal, error, "BEGIN IMMEDIATE", "") < 0)
        return -1;
    transaction->journal = journal;
    return 0;
}

int transaction_commit(struct transaction *transaction, struct error *error)
{
    if (journal_run(transaction->journal, error, "COMMIT", "") < 0)
        return -1;
    transaction->journal = NULL;
    return 0;
}

void transaction_rollback(struct transaction *transaction)
{
    AUTO_ERROR struct error ignored = {0};
    if (transaction->journal)
        journal_run(transaction->journal, &ignored, "ROLLBACK", "");
    transaction->journal = NULL;
}

/* ---- opening ---- */

static int make_folder(const char *path, struct error *error)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    error_set(error, errno == EACCES ? ERROR_DENIED : ERROR_FAILED,
              "cannot make the state directory %s: %s", path, strerror(errno));
    return error_hint(error, "make it yourself with mode 0700 and your ownership, or name another "
                             "with --state");
}

static int make_files(const char *directory, const char *path, struct error *error)
{
    AUTO_FREE char *locks = text_format("%s/locks", directory);
    AUTO_FREE char *definitions = text_format("%s/definitions", directory);
    if (make_folder(directory, error) < 0 || make_folder(locks, error) < 0 ||
        make_folder(definitions, error) < 0)
        return -1;
    /* SQLite gives its -wal and -shm files the mode of the database. */
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        error_set(error, errno == EACCES ? ERROR_DENIED : ERROR_FAILED, "cannot open %s: %s", path,
                  strerror(errno));
        return error_hint(error, "it must be yours, and writable");
    }
    return 0;
}

static int read_version(struct journal *journal, int *version, struct error *error)
{
    AUTO_STATEMENT statement = journal_prepare(journal, error, "PRAGMA user_version", "");
    if (!statement || journal_next(journal, statement, error) < 0)
        return -1;
    *version = sqlite3_column_int(statement, 0);
    return 0;
}

/* SQLite does not wait by itself for the lock that this takes, and two processes may well open a
 * new journal in the same moment. */
static int use_wal(struct journal *journal, struct error *error)
{
    for (int waited = 0;; waited += 10) {
        if (journal_run(journal, error, "PRAGMA journal_mode=WAL", "") == 0)
            return 0;
        if (sqlite3_errcode(journal->database) != SQLITE_BUSY || waited >= BUSY_MILLISECONDS)
            return -1;
        error_clear(error);
        sqlite3_sleep(10);
    }
}

static int set_up(struct journal *journal, struct error *error)
{
    sqlite3_busy_timeout(journal->database, BUSY_MILLISECONDS);
    int version = 0;
    if (use_wal(journal, error) < 0 ||
        journal_run(journal, error, "PRAGMA synchronous=FULL", "") < 0 ||
        journal_run(journal, error, "PRAGMA foreign_keys=ON", "") < 0)
        return -1;
    AUTO_ROLLBACK struct transaction transaction = {0};
    if (transaction_begin(&transaction, journal, error) < 0 ||
        read_version(journal, &version, error) < 0)
        return -1;
    if (version > JOURNAL_SCHEMA_VERSION) {
        error_set(error, ERROR_FAILED, "the journal in %s was written by a newer virt-pivot",
                  journal->directory);
        return error_hint(error, "use that version, or another --state directory");
    }
    if (version == 0) {
        AUTO_FREE char *stamp = text_format("PRAGMA user_version=%d", JOURNAL_SCHEMA_VERSION);
        if (sqlite3_exec(journal->database, journal_schema, NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_exec(journal->database, stamp, NULL, NULL, NULL) != SQLITE_OK)
            return journal_error(journal, error);
    }
    return transaction_commit(&transaction, error);
}

int journal_open(const char *directory, enum journal_access access_wanted, struct journal **result,
                 struct error *error)
{
    AUTO_FREE char *path = text_format("%s/journal.db", directory);
    if (access_wanted == JOURNAL_READ && access(path, F_OK) != 0 && errno == ENOENT)
        return error_set(error, ERROR_NOT_FOUND, "there is no journal in %s: nothing was moved yet",
                         directory);
    if (access_wanted == JOURNAL_WRITE && make_files(directory, path, error) < 0)
        return -1;
    struct journal *journal = NEW(struct journal);
    journal->directory = text_dup(directory);
    if (sqlite3_open_v2(path, &journal->database, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        journal_error(journal, error);
        journal_close(journal);
        return -1;
    }
    if (set_up(journal, error) < 0) {
        journal_close(journal);
        return -1;
    }
    *result = journal;
    return 0;
}

void journal_close(struct journal *journal)
{
    sqlite3_close(journal->database);
    free(journal->directory);
    free(journal);
}
