/* Folders by their descriptors, and files that appear whole or not at all. */
#include "base/crash.h"
#include "queue/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

int folder_error(struct error *error, int cause, const char *state, const char *what)
{
    enum error_code code = ERROR_FAILED;
    if (cause == ENOSPC || cause == EDQUOT)
        code = ERROR_NO_SPACE;
    else if (cause == EACCES || cause == EPERM || cause == EROFS)
        code = ERROR_DENIED;
    error_set(error, code, "%s in %s/" QUEUE_FOLDER ": %s", what, state, strerror(cause));
    if (code == ERROR_NO_SPACE)
        return error_hint(error, "make room on that file system");
    return code == ERROR_DENIED ? error_hint(error, "it must be yours, and writable") : -1;
}

int folder_open(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* What root makes in the folder of an unprivileged service is that service's. Only for what this
 * very process has made: never for what it found. */
static int give_to_owner(int fd, int folder)
{
    struct stat status;
    if (geteuid() != 0)
        return 0;
    if (fstat(folder, &status) < 0)
        return -1;
    return status.st_uid == 0 ? 0 : fchown(fd, status.st_uid, status.st_gid);
}

int folder_open_or_make(int parent, const char *name)
{
    bool made = CRASH_AROUND(mkdirat(parent, name, 0700)) == 0;
    if (!made && errno != EEXIST)
        return -1;
    int fd = folder_open(parent, name);
    if (fd < 0 || !made)
        return fd;
    /* The name must outlive a loss of power, or a file in it would not. */
    if (give_to_owner(fd, parent) == 0 && fsync(parent) == 0)
        return fd;
    int cause = errno;
    close(fd);
    errno = cause;
    return -1;
}

static int open_state(const char *state)
{
    return open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int folder_open_queue(const char *state)
{
    AUTO_CLOSE int parent = open_state(state);
    return parent < 0 ? -1 : folder_open(parent, QUEUE_FOLDER);
}

int folder_make_queue(const char *state, struct error *error)
{
    bool there = CRASH_AROUND(mkdir(state, 0700)) == 0 || errno == EEXIST;
    AUTO_CLOSE int parent = there ? open_state(state) : -1;
    int folder = parent < 0 ? -1 : folder_open_or_make(parent, QUEUE_FOLDER);
    if (folder < 0)
        folder_error(error, errno, state, "cannot open the folder of requests");
    return folder;
}

static bool write_all(int fd, const char *text)
{
    size_t length = strlen(text);
    for (size_t done = 0; done < length;) {
        ssize_t count = write(fd, text + done, length - done);
        if (count < 0 && errno != EINTR)
            return false;
        done += count > 0 ? (size_t)count : 0;
    }
    return fsync(fd) == 0;
}

/* The name is one that nobody else has: its maker saw to that. */
static int publish(int folder, const char *temporary, const char *name)
{
    if (CRASH_AROUND(renameat(folder, temporary, folder, name)) < 0)
        return -1;
    if (fsync(folder) == 0)
        return 0;
    int cause = errno;
    /* The caller hears that it is not there: so it must not be. */
    CRASH_AROUND(unlinkat(folder, name, 0));
    errno = cause;
    return -1;
}

int folder_write(int folder, const char *name, const char *text)
{
    AUTO_FREE char *temporary = text_format(QUEUE_NEW "%s", name);
    AUTO_CLOSE int fd =
        openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if (give_to_owner(fd, folder) == 0 && write_all(fd, text) &&
        publish(folder, temporary, name) == 0)
        return 0;
    int cause = errno;
    CRASH_AROUND(unlinkat(folder, temporary, 0));
    errno = cause;
    return -1;
}

int folder_list(int folder, struct text_list *names)
{
    /* A description of its own: reading moves its offset, and closing takes it away. */
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        int cause = errno;
        if (fd >= 0)
            close(fd);
        errno = cause;
        return -1;
    }
    errno = 0;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        if (!text_equal(entry->d_name, ".") && !text_equal(entry->d_name, ".."))
            text_list_append(names, entry->d_name);
        errno = 0;
    }
    int cause = errno;
    closedir(directory);
    errno = cause;
    return cause ? -1 : 0;
}
