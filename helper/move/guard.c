/* A process that watches over us while we hold a guest: `virt-pivot guard`. It has connected to
 * libvirt before the guest is paused, so that it only has to say the word. */
#include "base/spawn.h"
#include "move/private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/wait.h>

#define READY_MILLISECONDS 10000

static int failed(const char *what, struct error *error)
{
    return error_set(error, ERROR_FAILED, "no process can watch over the paused guest: %s", what);
}

/* It says so when it is ready. */
static int await_ready(int words, struct error *error)
{
    struct pollfd wait = {.fd = words, .events = POLLIN};
    char byte = 0;
    if (poll(&wait, 1, READY_MILLISECONDS) != 1)
        return failed("it does not get ready", error);
    return read(words, &byte, 1) == 1 ? 0 : failed("it ended at once", error);
}

static int start(struct move *move, int run, int life, int words, pid_t *pid, struct error *error)
{
    const struct mover *mover = move->mover;
    AUTO_FREE char *number = text_format("%d", run);
    AUTO_FREE char *id = text_format("%" PRId64, move->id);
    const char *const argv[] = {mover->program, "-q",      "-c",
                                mover->uri,     "--state", journal_directory(mover->journal),
                                "guard",        id,        move->plan->uuid,
                                number,         NULL};
    const int files[] = {life, words, STDERR_FILENO};
    int failure = spawn_program(argv, files, ARRAY_SIZE(files), pid);
    return failure ? failed(strerror(failure), error) : 0;
}

int guard_start(struct move *move, int run, struct guard *guard, struct error *error)
{
    *guard = (struct guard){.life = -1};
    if (!move->mover->program)
        return 0;
    int life[2], words[2];
    if (pipe2(life, O_CLOEXEC) < 0)
        return failed(strerror(errno), error);
    AUTO_CLOSE int life_end = life[0];
    guard->life = life[1];
    if (pipe2(words, O_CLOEXEC) < 0)
        return failed(strerror(errno), error);
    AUTO_CLOSE int said = words[0];
    AUTO_CLOSE int say = words[1];
    if (start(move, run, life_end, say, &guard->pid, error) < 0)
        return -1;
    close(steal_fd(&say));
    return await_ready(said, error);
}

void guard_dismiss(struct guard *guard)
{
    if (guard->life < 0)
        return;
    /* A byte: all is well. */
    if (write(guard->life, "", 1) == 1 && guard->pid)
        waitpid(guard->pid, NULL, WNOHANG);
    close(guard->life);
    *guard = (struct guard){.life = -1};
}
