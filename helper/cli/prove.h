/* Comparing, for `move` and `verify`: a difference is shouted. */
#ifndef VP_CLI_PROVE_H
#define VP_CLI_PROVE_H

#include "cli/prepare.h"

/* move_verify; a difference also goes to the system's log, at error level. */
int prove_move(const struct cli *cli, const struct mover *mover, int64_t id, bool again,
               struct error *error) MUST_CHECK;
/* What came of it for a move that has just ended. */
struct proof {
    bool verified;
    char *message; /* why not; NULL */
};
void proof_clear(struct proof *proof);
/* Compares if the plan asks for it. The guest is safe on its new disks, and what is not compared
 * now can be later: only a difference is a reason not to succeed. */
int prove_after_move(const struct cli *cli, const struct mover *mover, const struct plan *plan,
                     int64_t id, struct proof *proof, struct error *error) MUST_CHECK;
/* The move as `move` and `undo` print it for --format json; undoes is 0 for none. */
void proof_print_json(const struct proof *proof, const struct plan *plan, int64_t id,
                      int64_t undoes, int64_t seconds);

#endif
