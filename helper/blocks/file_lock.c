#include "blocks/file_lock.h"

#include "base/cleanup.h"

#include <fcntl.h>

/* QEMU's block/file-posix.c: a process that uses a permission holds a shared lock on one byte, one
 * that does not share it holds one on another. Who comes takes its locks first, and then looks for
 * those of others that contradict them. */
#define USES_FROM 100
#define UNSHARED_FROM 200

enum permission { QEMU_READ = 0, QEMU_WRITE = 1, QEMU_RESIZE = 3 };

static void lock_byte(int fd, int byte)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    fcntl(fd, F_OFD_SETLK, &lock);
}

/* By others: our own lock does not count. */
static bool is_locked(int fd, int byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool file_is_written(int fd)
{
    return is_locked(fd, USES_FROM + QEMU_WRITE) || is_locked(fd, USES_FROM + QEMU_RESIZE);
}

int file_lock(int fd, bool writing)
{
    static const enum permission used[] = {QEMU_READ, QEMU_WRITE, QEMU_RESIZE};
    bool in_the_way = false;
    lock_byte(fd, UNSHARED_FROM + QEMU_WRITE);
    lock_byte(fd, UNSHARED_FROM + QEMU_RESIZE);
    for (size_t i = 0; writing && i < ARRAY_SIZE(used); i++)
        lock_byte(fd, USES_FROM + (int)used[i]);
    for (size_t i = 0; writing && i < ARRAY_SIZE(used); i++)
        in_the_way |= is_locked(fd, UNSHARED_FROM + (int)used[i]);
    return in_the_way || file_is_written(fd) ? -1 : 0;
}

int file_is_busy(const char *name, const char *how, struct error *error)
{
    error_set(error, ERROR_BUSY, "%s is %s", name, how);
    return error_hint(error, "a guest or a QEMU tool uses it; 'lslocks' or 'fuser' shows which");
}
