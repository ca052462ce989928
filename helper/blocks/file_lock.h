/* QEMU's image lock, which every QEMU takes on a file or block device that it opens. */
#ifndef VP_BLOCKS_FILE_LOCK_H
#define VP_BLOCKS_FILE_LOCK_H

#include "base/error.h"

#include <stdbool.h>

/* Whether somebody has it open for writing. */
bool file_is_written(int fd);

/* Keeps others from writing, and if `writing` tells them that we do; as long as fd is open, here or
 * in a child that has inherited it. -1: somebody is in the way, or has come at the same time, and
 * then he may have seen us, too. Where file systems have no such locks, QEMU does without, and so
 * do we. */
int file_lock(int fd, bool writing);

/* ERROR_BUSY, for such cases: `name` is `how`. */
int file_is_busy(const char *name, const char *how, struct error *error);

#endif
