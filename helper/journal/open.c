/* Opening a journal: its files, its version, and the way up from older ones. */
#include "base/crash.h"
#include "base/text.h"
#include "journal/private.h"
#include "journal/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define WRITER_PATIENCE_MILLISECONDS 15000
#define READER_PATIENCE_MILLISECONDS 2000 /* libvirt waits for the hook */

/* ---- files ---- */

int journal_give_to_owner(int fd, const char *directory)
{
    struct stat status;
    if (geteuid() != 0 || stat(directory, &status) < 0 || status.st_uid == 0)
        return 0;
    return fchown(fd, status.st_uid, status.st_gid);
}

/* A new folder's name must outlive a loss of power, or nothing in it would. Where we may write but
 * not read, that is left to the file system. */
static int keep_name(const char *path, struct error *error)
{
    AUTO_FREE char *parent = text_format("%s/..", path);
    AUTO_CLOSE int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if ((fd < 0 && errno == EACCES) || (fd >= 0 && fsync(fd) == 0))
        return 0;
    return error_set(error, ERROR_FAILED, "the folder that %s was made in cannot be synced: %s",
                     path, strerror(errno));
}

static int make_folder(const char *path, const char *parent, struct error *error)
{
    if (CRASH_AROUND(mkdir(path, 0700)) < 0) {
        if (errno == EEXIST)
            return 0;
        error_set(error, errno == EACCES ? ERROR_DENIED : ERROR_FAILED,
                  "cannot make the state directory %s: %s", path, strerror(errno));
        return error_hint(error, "make it yourself with mode 0700 and your ownership, or name "
                                 "another with --state");
    }
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (parent && (fd < 0 || journal_give_to_owner(fd, parent) < 0))
        return error_set(error, ERROR_FAILED, "cannot give %s to its owner: %s", path,
                         strerror(errno));
    return keep_name(path, error);
}

static int refuse_file(const char *path, int cause, struct error *error)
{
    error_set(error, cause == EACCES ? ERROR_DENIED : ERROR_FAILED, "cannot open %s: %s", path,
              strerror(cause));
    return error_hint(error, "it must be yours, and writable");
}

static int find_database(const char *directory, const char *path, struct error *error)
{
    struct stat status;
    if (lstat(path, &status) < 0) {
        if (errno == ENOENT)
            return error_set(error, ERROR_NOT_FOUND,
                             "there is no journal in %s: nothing was moved yet", directory);
        return refuse_file(path, errno, error);
    }
    if (S_ISLNK(status.st_mode))
        return refuse_file(path, ELOOP, error);
    return S_ISREG(status.st_mode) ? 0 : refuse_file(path, EINVAL, error);
}

/* A database that is there already is not opened here: closing it again would release the locks
 * that another connection of this process may hold on it (fcntl(2)). */
static int make_database(const char *directory, const char *path, struct error *error)
{
    /* SQLite gives its -wal and -shm files the mode of the database. */
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        return journal_give_to_owner(fd, directory) == 0 ? 0 : refuse_file(path, errno, error);
    return errno == EEXIST ? find_database(directory, path, error)
                           : refuse_file(path, errno, error);
}

static int make_files(const char *directory, const char *path, struct error *error)
{
    AUTO_FREE char *locks = text_format("%s/locks", directory);
    AUTO_FREE char *definitions = text_format("%s/definitions", directory);
    if (make_folder(directory, NULL, error) < 0 || make_folder(locks, directory, error) < 0 ||
        make_folder(definitions, directory, error) < 0)
        return -1;
    return make_database(directory, path, error);
}

/* ---- versions ---- */

static int read_version(struct journal *journal, struct error *error)
{
    AUTO_STATEMENT statement = journal_prepare(journal, error, "PRAGMA user_version", "");
    if (!statement || journal_next(journal, statement, error) < 0)
        return -1;
    journal->version = sqlite3_column_int(statement, 0);
    if (journal->version >= 0 && journal->version <= JOURNAL_SCHEMA_VERSION)
        return 0;
    error_set(error, ERROR_FAILED, "the journal in %s was written by a newer virt-pivot",
              journal->directory);
    return error_hint(error, "use that version, or another --state directory");
}

/* All in one transaction: whoever is killed, or has no room, in the middle of it leaves the journal
 * as it was. */
static int upgrade(struct journal *journal, struct error *error)
{
    AUTO_ROLLBACK struct transaction transaction = {0};
    if (transaction_begin(&transaction, journal, error) < 0 || read_version(journal, error) < 0)
        return -1; /* another process may have done it meanwhile */
    for (int from = journal->version; from < JOURNAL_SCHEMA_VERSION; from++) {
        AUTO_FREE char *stamp = text_format("PRAGMA user_version=%d", from + 1);
        if (sqlite3_exec(journal->database, journal_upgrades[from], NULL, NULL, NULL) !=
                SQLITE_OK ||
            sqlite3_exec(journal->database, stamp, NULL, NULL, NULL) != SQLITE_OK)
            return journal_error(journal, error);
    }
    if (transaction_commit(&transaction, error) < 0)
        return -1;
    journal->version = JOURNAL_SCHEMA_VERSION;
    return 0;
}

/* ---- opening ---- */

/* SQLite does not wait by itself for the lock that this takes, and two processes may well open a
 * new journal in the same moment. */
static int use_wal(struct journal *journal, struct error *error)
{
    for (int waited = 0;; waited += 10) {
        if (journal_run(journal, error, "PRAGMA journal_mode=WAL", "") == 0)
            return 0;
        if (sqlite3_errcode(journal->database) != SQLITE_BUSY ||
            waited >= WRITER_PATIENCE_MILLISECONDS)
            return -1;
        error_clear(error);
        sqlite3_sleep(10);
    }
}

/* The -wal and -shm files stay when the last connection is closed: a reader needs them, and could
 * not make them on a full disk. */
static void keep_files(struct journal *journal)
{
    int keep = 1;
    sqlite3_file_control(journal->database, NULL, SQLITE_FCNTL_PERSIST_WAL, &keep);
}

static int set_up_writer(struct journal *journal, struct error *error)
{
    sqlite3_busy_timeout(journal->database, WRITER_PATIENCE_MILLISECONDS);
    keep_files(journal);
    /* With WAL, EXTRA is FULL. Where the file system has no shared memory for WAL, SQLite keeps its
     * rollback journal without a word; then it syncs the folder, too, when that is unlinked: a
     * journal that came back would take a change back. */
    if (use_wal(journal, error) < 0 ||
        journal_run(journal, error, "PRAGMA synchronous=EXTRA", "") < 0 ||
        journal_run(journal, error, "PRAGMA foreign_keys=ON", "") < 0 ||
        journal_run(journal, error, "PRAGMA journal_size_limit=1048576", "") < 0 ||
        read_version(journal, error) < 0)
        return -1;
    return journal->version < JOURNAL_SCHEMA_VERSION ? upgrade(journal, error) : 0;
}

/* An older journal is read as it is: bringing it up to date is the next writer's business. One
 * without any tables is about to be made by somebody, or he died of it. */
static int set_up_reader(struct journal *journal, struct error *error)
{
    sqlite3_busy_timeout(journal->database, READER_PATIENCE_MILLISECONDS);
    if (read_version(journal, error) < 0)
        return -1;
    if (journal->version == 0)
        return error_set(error, ERROR_NOT_FOUND,
                         "there is nothing in the journal in %s: nothing was moved yet",
                         journal->directory);
    return 0;
}

int journal_open(const char *directory, enum journal_access access, struct journal **result,
                 struct error *error)
{
    AUTO_FREE char *path = text_format("%s/journal.db", directory);
    bool reads_only = access == JOURNAL_READ;
    if ((access == JOURNAL_WRITE ? make_files(directory, path, error)
                                 : find_database(directory, path, error)) < 0)
        return -1;
    CLEANUP(journal_closep) struct journal *journal = NEW(struct journal);
    journal->directory = text_dup(directory);
    journal->reads_only = reads_only;
    int flags = reads_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (sqlite3_open_v2(path, &journal->database, flags, NULL) != SQLITE_OK)
        return journal_error(journal, error);
    if ((reads_only ? set_up_reader(journal, error) : set_up_writer(journal, error)) < 0)
        return -1;
    *result = STEAL(journal);
    return 0;
}

const char *journal_directory(const struct journal *journal)
{
    return journal->directory;
}

void journal_close(struct journal *journal)
{
    sqlite3_close(journal->database);
    free(journal->directory);
    free(journal);
}
