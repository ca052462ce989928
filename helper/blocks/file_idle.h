/* Whether somebody writes to a file or block device, or has since it was looked at last. */
#ifndef VP_BLOCKS_FILE_IDLE_H
#define VP_BLOCKS_FILE_IDLE_H

#include "base/error.h"

#include <stdint.h>
#include <time.h>

struct file_state {
    char *name;              /* for messages */
    struct timespec changed; /* of a file */
    int64_t size;
    char *writes; /* of a block device: what the kernel counts of it; NULL: it does not */
};
/* ERROR_BUSY when somebody has it open for writing now. */
int file_look(int fd, const char *name, struct file_state *state, struct error *error) MUST_CHECK;
/* ERROR_BUSY when somebody has, or has had since then. */
int file_check_idle(int fd, const struct file_state *state, struct error *error) MUST_CHECK;
void file_state_clear(struct file_state *state);

#endif
