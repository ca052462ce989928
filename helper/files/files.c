#include "base/crash.h"
#include "base/text.h"
#include "files/private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1u
#endif

int files_fail(const char *path, const char *what, int number, struct error *error)
{
    char room[128];
    const char *why = strerror_r(number, room, sizeof(room));
    if (number != EACCES && number != EPERM && number != EROFS)
        return error_set(error, number == ENOENT ? ERROR_NOT_FOUND : ERROR_FAILED,
                         "%s cannot be %s: %s", path, what, why);
    error_set(error, ERROR_DENIED, "%s may not be %s: %s", path, what, why);
    if (number == EROFS)
        return error_hint(error,
                          "where the agent's unit lets it write is up to ReadWritePaths= in a "
                          "drop-in ('systemctl edit virt-pivot-agent'); or run it as root");
    return error_hint(error,
                      "run it as a user who may (root), or give virt-pivot's user the right to "
                      "read the file, and to write in its folder if it is to be given up");
}

/* A new file is often given the inode number of the one that was removed before it. */
static void identify(const char *path, char identity[FILES_IDENTITY])
{
    struct statx status;
    if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &status) < 0)
        return;
    int length = snprintf(identity, FILES_IDENTITY, "%llu", (unsigned long long)status.stx_ino);
    if (status.stx_mask & STATX_BTIME)
        snprintf(identity + length, (size_t)(FILES_IDENTITY - length), "/%lld.%09u",
                 (long long)status.stx_btime.tv_sec, status.stx_btime.tv_nsec);
}

int files_look(const char *path, struct file_look *look, struct error *error)
{
    struct stat status, own;
    *look = (struct file_look){0};
    if (stat(path, &status) < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0
                                                   : files_fail(path, "looked at", errno, error);
    *look = (struct file_look){
        .exists = true,
        .regular = S_ISREG(status.st_mode),
        .size = (uint64_t)status.st_size,
        .allocated = (uint64_t)status.st_blocks * 512,
        .links = (unsigned)status.st_nlink,
        .is_link = lstat(path, &own) == 0 && S_ISLNK(own.st_mode),
    };
    identify(path, look->identity);
    return 0;
}

bool files_are_one(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* A name is durable once its folder is. */
static int sync_folder(const char *path, struct error *error)
{
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *folder =
        slash ? text_slice(path, slash == path ? 1 : (size_t)(slash - path)) : text_dup(".");
    AUTO_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return files_fail(folder, "opened", errno, error);
    return fsync(fd) < 0 ? files_fail(folder, "written to disk", errno, error) : 0;
}

/* Where the file system cannot rename without replacing (NFS, old kernels), a second name is made
 * first: link(2) does not replace either. */
static int rename_apart(const char *from, const char *to)
{
    if (CRASH_AROUND(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE)) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    return CRASH_AROUND(link(from, to)) < 0 || CRASH_AROUND(unlink(from)) < 0 ? -1 : 0;
}

static bool is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* The work of the above may have stopped between its two halves. */
static bool are_one_name(const char *a, const char *b)
{
    struct stat first, second;
    return lstat(a, &first) == 0 && lstat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

int files_rename(const char *from, const char *to, struct error *error)
{
    if (are_one_name(from, to)) {
        if (CRASH_AROUND(unlink(from)) < 0)
            return files_fail(from, "renamed", errno, error);
        return sync_folder(to, error);
    }
    if (rename_apart(from, to) < 0) {
        int number = errno;
        if (number == EEXIST)
            return error_set(error, ERROR_EXISTS,
                             "%s cannot be renamed to %s: both exist, nothing was changed", from,
                             to);
        if (number != ENOENT || !is_there(to))
            return files_fail(from, "renamed", number, error);
    }
    return sync_folder(to, error);
}

int files_remove(const char *path, struct error *error)
{
    struct stat status;
    if (lstat(path, &status) < 0)
        return errno == ENOENT ? sync_folder(path, error)
                               : files_fail(path, "looked at", errno, error);
    if (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode))
        return error_set(error, ERROR_UNSUPPORTED, "%s is no regular file, and was not removed",
                         path);
    if (CRASH_AROUND(unlink(path)) < 0 && errno != ENOENT)
        return files_fail(path, "removed", errno, error);
    return sync_folder(path, error);
}
