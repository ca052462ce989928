/* A folder of a test's own, and QEMU's tools in it. */
#ifndef TESTS_UNIT_BLOCKS_QEMU_TOOLS_H
#define TESTS_UNIT_BLOCKS_QEMU_TOOLS_H

#include "fake_disk.h"

struct scratch {
    char folder[64];
    char *path, *runtime; /* of the environment, before */
};

/* Set-up and tear-down. XDG_RUNTIME_DIR is the folder "run" in it, which must be empty in the end.
 */
int scratch_begin(void **state);
int scratch_end(void **state);

/* Skips the test where qemu-nbd, qemu-img and qemu-io are not installed. */
void scratch_needs_tools(const struct scratch *scratch);
/* A command of the shell, in the folder; the test fails if it does. */
void scratch_run(const struct scratch *scratch, const char *command);
/* Its exit status. */
int scratch_status(const struct scratch *scratch, const char *command);
/* A file's path, new string. */
char *scratch_path(const struct scratch *scratch, const char *name);

#endif
