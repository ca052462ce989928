#include "base/spawn.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>

#define HIGH_FD 10

extern char **environ;

static int set_files(posix_spawn_file_actions_t *actions, const int *files, size_t count)
{
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++)
        failed = files[i] == SPAWN_NULL
                     ? posix_spawn_file_actions_addopen(actions, (int)i, "/dev/null",
                                                        i == 0 ? O_RDONLY : O_WRONLY, 0)
                     : posix_spawn_file_actions_adddup2(actions, files[i], (int)i);
#ifdef HAVE_SPAWN_CLOSEFROM /* else what a library has left open goes along, as it always did */
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(actions, (int)count);
#endif
    return failed;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
}

static int spawn(const char *const argv[], const int *files, size_t count, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = set_files(&actions, files, count);
        if (!failed)
            failed = set_attributes(&attributes);
        if (!failed)
            failed = posix_spawn(pid, argv[0], &actions, &attributes, (char *const *)argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

int spawn_program(const char *const argv[], const int *files, size_t count, pid_t *pid)
{
    /* Above the numbers they get in the child: dup2 of a descriptor onto itself would leave its
     * close-on-exec in force. */
    AUTO_FREE int *high = memory_new(count, sizeof(*high));
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        high[i] = files[i] == SPAWN_NULL ? SPAWN_NULL : fcntl(files[i], F_DUPFD_CLOEXEC, HIGH_FD);
        if (files[i] != SPAWN_NULL && high[i] < 0)
            failed = errno;
    }
    if (!failed)
        failed = spawn(argv, high, count, pid);
    for (size_t i = 0; i < count; i++)
        cleanup_close(&high[i]);
    return failed;
}
