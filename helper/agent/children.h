/* The processes that do the work: `virt-pivot move`, `recover`, `verify` and `retire`, each in a
 * session of its own, so that it goes on when the agent or its terminal ends. */
#ifndef VP_AGENT_CHILDREN_H
#define VP_AGENT_CHILDREN_H

#include "base/error.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How a child's process ended. */
struct child_end {
    bool exited;         /* else killed by a signal */
    int status;          /* its exit status, or the signal */
    char *reason, *hint; /* of its last error; hint may be NULL, and reason for success */
};
void child_end_clear(struct child_end *end);

struct child {
    pid_t pid;
    char *uuid;         /* of the domain */
    int64_t request;    /* that it carries out; 0: it recovers a move */
    int64_t move;       /* that it recovers, or does a chore of; 0 */
    bool chore, verify; /* it is one, and that one */
    int words;          /* a file in memory that is its stderr: writing there never blocks or fails,
                           whether or not the agent is still there */
    bool ended;
    struct child_end end;
};
DEFINE_VECTOR(children, struct child);
void child_clear(struct child *child);
void children_clear(struct children *children);
/* Takes the child at this place out of the list. */
void children_remove(struct children *children, size_t index);

/* Starts a program (argv[0] is its path) with a copy of the lock's descriptor: the lock is then
 * held until it ends, too. */
int child_start(const char *const argv[], int lock, struct child *child, struct error *error)
    MUST_CHECK;
/* Looks whether it has ended, without waiting. */
void child_look(struct child *child);

/* The last error in what virt-pivot said on stderr, and its hint; both new strings or NULL. Where
 * there is no error, the last line. */
void child_reason(const char *words, char **reason, char **hint);

#endif
