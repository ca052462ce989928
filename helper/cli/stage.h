/* A move as its user sees it: on a terminal, or detached from one. */
#ifndef VP_CLI_STAGE_H
#define VP_CLI_STAGE_H

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/progress.h"

struct stage {
    const struct cli *cli;
    struct progress progress;
    struct interrupt interrupt;
    int64_t id;
    bool moved;       /* what comes now can be put off: Ctrl-C needs no question */
    int started_pipe; /* --detach: tells the parent that the copy runs; -1 */
    int host_lock;    /* while it is counted how many moves there are, until this is one; -1 */
};
/* Arms Ctrl-C; progress goes to stderr. */
void stage_set(struct stage *stage, const struct cli *cli, int started_pipe);
/* The move is over; what comes now is verification. */
void stage_moved(struct stage *stage);
struct move_audience stage_audience(struct stage *stage);

#endif
