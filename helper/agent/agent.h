/* The agent: a service that carries out requests, settles incoming migrations, and keeps the disks'
 * sizes in the metadata of running domains.
 *
 * It decides nothing about a disk itself: each move is a child process, `virt-pivot move`, with the
 * journal and the locks that every move has. Killed at any instant, the next one goes on: requests
 * are in the queue or the journal, moves are brought to their end by `virt-pivot recover`. */
#ifndef VP_AGENT_AGENT_H
#define VP_AGENT_AGENT_H

#include "base/error.h"

#include <stdbool.h>

struct agent_settings {  /* borrowed */
    const char *program; /* virt-pivot's own path, for its children */
    const char *uri, *policy, *state;
    unsigned verbose;
    bool quiet;
};

/* Runs until SIGTERM or SIGINT (0). Moves that are under way then go on by themselves. SIGHUP reads
 * the policy again, as a change of its files does. ERROR_BUSY when another agent is at work on this
 * state directory, which the message names. A policy that is wrong, a daemon or a cluster that does
 * not answer, a full disk: said once, and waited for. Under systemd (Type=notify) says when it is
 * ready, what it does, and feeds the watchdog. */
int agent_run(const struct agent_settings *settings, struct error *error) MUST_CHECK;

/* Whether an agent is at work on this state directory; *pid is 0 when not known. */
bool agent_is_running(const char *state, int *pid);

#endif
