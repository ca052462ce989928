/* A file system of its own, small enough to be filled. Only root can make one; who uses it says
 * why a test was skipped. */
#ifndef TESTS_UNIT_JOURNAL_SMALL_DISK_H
#define TESTS_UNIT_JOURNAL_SMALL_DISK_H

#include "journal/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

/* In a mount namespace of this process, so that nobody else sees it, and nothing stays behind. */
static inline UNUSED bool small_disk_mount(const char *folder)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("small", folder, "tmpfs", 0, "size=1m,mode=700") < 0) {
        print_message("SKIPPED: no file system can be mounted here: %s\n",
                      geteuid() == 0 ? strerror(errno) : "not root");
        return false;
    }
    return true;
}

/* To the last byte; small_disk_drain makes room again. */
static inline UNUSED void small_disk_fill(const char *folder)
{
    AUTO_FREE char *path = text_format("%s/filler", folder);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    static const char block[4096];
    for (size_t size = sizeof(block); size;)
        if (write(fd, block, size) <= 0)
            size /= 2;
}

static inline UNUSED void small_disk_drain(const char *folder)
{
    AUTO_FREE char *path = text_format("%s/filler", folder);
    assert_int_equal(unlink(path), 0);
}

static inline UNUSED void small_disk_unmount(const char *folder)
{
    assert_int_equal(umount2(folder, MNT_DETACH), 0);
}

#endif
