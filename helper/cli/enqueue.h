/* `move --queue`: the agent makes the move, when there is room for it. */
#ifndef VP_CLI_ENQUEUE_H
#define VP_CLI_ENQUEUE_H

#include "cli/cli.h"

/* The domain is looked up and its move planned first, so that what cannot work is refused at once.
 */
int enqueue_move(const struct cli *cli, const struct cli_call *call, struct error *error)
    MUST_CHECK;

#endif
