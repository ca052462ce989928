/* The parts of the state directory that are plain files: locks and saved definitions. */
#include "base/crash.h"
#include "base/text.h"
#include "journal/private.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>

static int open_lock(struct journal *journal, const char *uuid, int flags)
{
    AUTO_FREE char *path = text_format("%s/locks/%s", journal->directory, uuid);
    if (flags & O_CREAT) {
        AUTO_CLOSE int made = open(path, flags | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (made >= 0 && journal_give_to_owner(made, journal->directory) < 0)
            return -1;
    }
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int lock_holder(int fd)
{
    char text[32] = "";
    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    return (int)strtol(text, NULL, 10);
}

/* A lock of the open file description, as flock(2) makes it, but one that can be asked about
 * without being taken for a moment. */
static bool lock_command(int fd, int command, struct flock *lock)
{
    *lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, command, lock) == 0;
}

int journal_lock(struct journal *journal, const char *uuid, int *lock, struct error *error)
{
    int fd = open_lock(journal, uuid, O_RDWR | O_CREAT);
    if (fd < 0)
        return error_set(error, ERROR_FAILED, "cannot open the lock of domain %s in %s/locks: %s",
                         uuid, journal->directory, strerror(errno));
    struct flock whole;
    if (!lock_command(fd, F_OFD_SETLK, &whole)) {
        error_set(error, ERROR_BUSY, "another virt-pivot (process %d) is at work on this domain",
                  lock_holder(fd));
        error_hint(error, "'virt-pivot status' shows it; 'virt-pivot cancel' ends it");
        close(fd);
        return -1;
    }
    AUTO_FREE char *text = text_format("%d\n", (int)getpid());
    /* The number is for people only; the lock itself is what counts. */
    if (CRASH_AROUND(ftruncate(fd, 0)) < 0 || CRASH_AROUND(pwrite(fd, text, strlen(text), 0)) < 0) {
        error_set(error, ERROR_FAILED, "cannot write the lock of domain %s in %s/locks: %s", uuid,
                  journal->directory, strerror(errno));
        close(fd);
        return -1;
    }
    *lock = fd;
    return 0;
}

void journal_unlock(int *lock)
{
    if (*lock >= 0)
        close(*lock);
    *lock = -1;
}

bool journal_is_locked(struct journal *journal, const char *uuid, int *pid)
{
    *pid = 0;
    AUTO_CLOSE int fd = open_lock(journal, uuid, O_RDONLY);
    struct flock held;
    if (fd < 0 || !lock_command(fd, F_OFD_GETLK, &held) || held.l_type == F_UNLCK)
        return false;
    *pid = lock_holder(fd);
    return true;
}

/* ---- saved definitions ---- */

/* A domain's name may hold anything but '/' and a newline; a file's name should be tame. */
static char *tame(const char *name)
{
    char *copy = text_slice(name, strnlen(name, 64));
    for (char *c = copy; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
            *c = '_';
    if (*copy == '.')
        *copy = '_';
    return copy;
}

static int write_durably(const struct journal *journal, const char *folder, const char *path,
                         const char *text, struct error *error)
{
    AUTO_FREE char *temporary = text_format("%s.tmp", path);
    CRASH_AROUND(unlink(temporary)); /* of one who was killed here */
    AUTO_CLOSE int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    AUTO_CLOSE int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t length = strlen(text);
    bool written = fd >= 0 && directory >= 0 && journal_give_to_owner(fd, journal->directory) == 0;
    for (size_t done = 0; written && done < length;) {
        ssize_t count = write(fd, text + done, length - done);
        if (count < 0 && errno != EINTR)
            written = false;
        done += count > 0 ? (size_t)count : 0;
    }
    if (written && fsync(fd) == 0 && CRASH_AROUND(rename(temporary, path)) == 0 &&
        fsync(directory) == 0)
        return 0;
    int cause = errno;
    CRASH_AROUND(unlink(temporary));
    return error_set(error, cause == ENOSPC ? ERROR_NO_SPACE : ERROR_FAILED, "cannot write %s: %s",
                     path, strerror(cause));
}

int journal_save_definition(struct journal *journal, int64_t id, const char *domain,
                            const char *uuid, const char *xml, struct error *error)
{
    char stamp[32];
    struct tm utc;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", gmtime_r(&now.tv_sec, &utc));
    AUTO_FREE char *name = tame(domain);
    AUTO_FREE char *folder = text_format("%s/definitions", journal->directory);
    AUTO_FREE char *path =
        text_format("%s/%s-%s-%s.%06ldZ.xml", folder, name, uuid, stamp, now.tv_nsec / 1000);
    if (write_durably(journal, folder, path, xml, error) < 0)
        return -1;
    return journal_run(journal, error,
                       "UPDATE moves SET definition=?, definition_file=?, updated=? WHERE id=?",
                       "ttii", xml, path, journal_now_ms() / 1000, id);
}

char *journal_successor_file(const char *definition_file)
{
    if (!definition_file)
        return NULL;
    size_t stem = strlen(definition_file) - strlen(".xml");
    return text_format("%.*s-after.xml", (int)stem, definition_file);
}

int journal_save_successor(struct journal *journal, int64_t id, const char *xml,
                           struct error *error)
{
    CLEANUP(move_record_clear) struct move_record record = {0};
    if (journal_read(journal, id, &record, error) < 0)
        return -1;
    if (!record.definition_file)
        return error_set(error, ERROR_FAILED, "move %lld has no saved definition", (long long)id);
    AUTO_FREE char *path = journal_successor_file(record.definition_file);
    AUTO_FREE char *folder = text_format("%s/definitions", journal->directory);
    return write_durably(journal, folder, path, xml, error);
}
