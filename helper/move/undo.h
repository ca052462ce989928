/* For the files about undoing a move only. */
#ifndef VP_MOVE_UNDO_H
#define VP_MOVE_UNDO_H

#include "move/private.h"

/* Whether the old disk is there, whole, and nobody's; or its name free, if it is made anew. */
int undo_check_old_disk(const struct mover *mover, const char *uuid, const struct plan_disk *disk,
                        struct error *error);

/* An old disk that was given up comes back from the trash, or gets its name again. */
int undo_fetch_back(struct move *move, size_t index, struct error *error);
/* It goes there again: the move that had given it up stays as it was. */
int undo_put_away(struct move *move, size_t index, struct error *error);

#endif
