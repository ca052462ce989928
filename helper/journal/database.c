/* Statements and transactions. */
#include "base/crash.h"
#include "base/text.h"
#include "journal/private.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#define WAL_INDEX_BYTES 32768 /* the first part of it; SQLite makes it in this size */

/* A reader that fails to open something mostly fails at the index of the WAL, which SQLite keeps in
 * a file beside the database, and says no more than "disk I/O error". */
static int explain_reader(struct journal *journal, int cause, struct error *error)
{
    AUTO_FREE char *database = text_format("%s/journal.db", journal->directory);
    AUTO_FREE char *index = text_format("%s-shm", database);
    struct stat status;
    if (access(database, R_OK) != 0) {
        error_set(error, ERROR_DENIED, "cannot read %s: %s", database, strerror(errno));
        return error_hint(error, "it must be yours");
    }
    if (stat(index, &status) == 0 && status.st_size >= WAL_INDEX_BYTES && access(index, R_OK) == 0)
        return -1;
    error_set(error, cause == ENOSPC ? ERROR_NO_SPACE : ERROR_FAILED,
              "cannot read the journal in %s: it needs %s, which cannot be %s%s%s",
              journal->directory, index, access(index, F_OK) == 0 ? "used" : "made",
              cause && cause != ENOENT ? ": " : "",
              cause && cause != ENOENT ? strerror(cause) : "");
    return error_hint(error, cause == ENOSPC
                                 ? "make room on that file system"
                                 : "'virt-pivot recover' makes it, as the owner of the journal");
}

int journal_error(struct journal *journal, struct error *error)
{
    int code = sqlite3_errcode(journal->database);
    int cause = sqlite3_system_errno(journal->database);
    error_set(error, code == SQLITE_FULL ? ERROR_NO_SPACE : ERROR_FAILED, "the journal in %s: %s",
              journal->directory, sqlite3_errmsg(journal->database));
    switch (code) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
        error_hint(error, "make room on that file system, then 'virt-pivot recover'");
        return journal->reads_only ? explain_reader(journal, cause, error) : -1;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        error_hint(error, "it must be yours, and writable");
        return journal->reads_only ? explain_reader(journal, cause, error) : -1;
    case SQLITE_BUSY:
        return error_hint(error, "another process holds it; try again");
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

/* A write is done when its transaction is: within one, the commit is what counts. */
static bool is_write(struct journal *journal, sqlite3_stmt *statement)
{
    const char *sql = sqlite3_sql(statement);
    return strcmp(sql, "COMMIT") == 0 ||
           (sqlite3_get_autocommit(journal->database) && !sqlite3_stmt_readonly(statement) &&
            !text_starts_with(sql, "BEGIN"));
}

int journal_run(struct journal *journal, struct error *error, const char *sql, const char *types,
                ...)
{
    va_list args;
    va_start(args, types);
    AUTO_STATEMENT statement = prepare(journal, error, sql, types, args);
    va_end(args);
    if (!statement)
        return -1;
    bool writes = CRASH_ENABLED && is_write(journal, statement);
    if (writes)
        crash_point("before", sql, __func__);
    int result = journal_next(journal, statement, error);
    if (writes)
        crash_point("after", sql, __func__);
    return result < 0 ? -1 : 0;
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

size_t journal_changed(struct journal *journal)
{
    return (size_t)sqlite3_changes(journal->database);
}
