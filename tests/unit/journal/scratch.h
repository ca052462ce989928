/* A folder of its own for a test, gone afterwards. */
#ifndef TESTS_UNIT_JOURNAL_SCRATCH_H
#define TESTS_UNIT_JOURNAL_SCRATCH_H

#include "cmocka_compat.h"

#include "base/text.h"

#include <ftw.h>

/* New string. TMPDIR chooses the file system; else one in memory is taken if there is one, for what
 * is tested here does not need a disk, and thousands of times it is slow. */
static inline UNUSED char *scratch_new(void)
{
    const char *parent = getenv("TMPDIR");
    if (text_empty(parent))
        parent = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
    char *path = text_format("%s/vp-unit-XXXXXX", parent);
    if (!mkdtemp(path))
        fail_msg("cannot make %s", path);
    return path;
}

static inline int scratch_remove_one(const char *path, const struct stat *status UNUSED,
                                     int type UNUSED, struct FTW *position UNUSED)
{
    return remove(path);
}

static inline UNUSED void scratch_empty(const char *path)
{
    nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline UNUSED void scratch_remove(char **path)
{
    if (*path)
        scratch_empty(*path);
    free(*path);
    *path = NULL;
}
#define AUTO_SCRATCH CLEANUP(scratch_remove)

#endif
