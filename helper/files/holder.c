/* Who has a file open: locks, a lease, and what /proc shows. */
#include "base/text.h"
#include "files/private.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>

/* ---- what /proc shows ---- */

static bool has_open(const char *process, const struct stat *file)
{
    AUTO_FREE char *folder = text_format("/proc/%s/fd", process);
    DIR *listing = opendir(folder);
    if (!listing)
        return false; /* gone, or another user's */
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(listing));) {
        struct stat status;
        found = isdigit((unsigned char)entry->d_name[0]) &&
                fstatat(dirfd(listing), entry->d_name, &status, 0) == 0 &&
                status.st_dev == file->st_dev && status.st_ino == file->st_ino;
    }
    closedir(listing);
    return found;
}

static char *process_name(const char *process)
{
    AUTO_FREE char *path = text_format("/proc/%s/comm", process);
    AUTO_FCLOSE FILE *file = fopen(path, "re");
    char name[64] = "";
    if (!file || !fgets(name, sizeof(name), file))
        return text_format("process %s", process);
    name[strcspn(name, "\n")] = '\0';
    return text_format("process %s (%s)", process, name);
}

/* NULL: none that can be seen. */
static char *seen_holder(const struct stat *file)
{
    AUTO_FREE char *own = text_format("%ld", (long)getpid());
    DIR *processes = opendir("/proc");
    char *holder = NULL;
    for (struct dirent *entry; processes && !holder && (entry = readdir(processes));)
        if (isdigit((unsigned char)entry->d_name[0]) && !text_equal(entry->d_name, own) &&
            has_open(entry->d_name, file))
            holder = process_name(entry->d_name);
    if (processes)
        closedir(processes);
    return holder;
}

/* ---- what the kernel tells without naming anybody ---- */

/* QEMU holds shared locks on bytes 100 to 203 of what it has open (block/file-posix.c); any lock of
 * anybody's stands in the way of one for writing. It is asked for, not taken: reading is enough. */
static bool is_locked(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* A lease for writing is granted only to the one who alone has the file open, be it by a loop
 * device or a process that nobody can see. Only its owner and root may ask, and not every file
 * system knows leases: then it tells nothing. Somebody who opens the file meanwhile makes the
 * kernel send a signal, which is to be one that does no harm. */
static bool is_open_elsewhere(int fd)
{
    if (fcntl(fd, F_SETSIG, SIGURG) < 0)
        return false;
    if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
        return errno == EAGAIN;
    fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
}

int files_holder(const char *path, char **holder, struct error *error)
{
    *holder = NULL;
    struct stat status;
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : files_fail(path, "opened to see who uses it", errno, error);
    if (fstat(fd, &status) < 0)
        return files_fail(path, "looked at", errno, error);
    bool locked = is_locked(fd);
    bool open_elsewhere = S_ISREG(status.st_mode) && is_open_elsewhere(fd);
    *holder = seen_holder(&status);
    if (!*holder && locked)
        *holder = text_dup("a process that has locked it, as QEMU does");
    if (!*holder && open_elsewhere)
        *holder = text_dup("a process or device that cannot be seen from here");
    return 0;
}
