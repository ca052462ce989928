/* Shared by the files about moves of domains that are off: step_copy_offline.c copies,
 * step_switch_offline.c makes the definition name the copies, step_migrate.c the images that RBD
 * brings over. */
#ifndef VP_MOVE_OFFLINE_H
#define VP_MOVE_OFFLINE_H

#include "move/private.h"

/* Both ends of each of move->disks, open from the beginning of the copy until the definition is
 * switched over: nobody writes to the sources unseen meanwhile. */
struct offline_ends {
    size_t count;
    struct blocks **from, **to; /* NULL: closed */
};
void offline_close_targets(struct move *move);

/* Makes the snapshot of the disk's target, written down first. */
int offline_capture(struct move *move, size_t index, struct error *error) MUST_CHECK;
/* Makes the definition name the targets; and whether it does, for all disks. */
int offline_define_targets(struct move *move, const struct world *world, struct error *error)
    MUST_CHECK;
bool offline_all_defined(const struct move *move, const struct world *world);

/* ERROR_FAILED when the guest runs, or was seen to have run since the copy began. */
int offline_check_off(struct move *move, struct error *error) MUST_CHECK;
/* ERROR_FAILED when it is our guest that uses a source, or has used it. */
int offline_check_sources(struct move *move, struct error *error) MUST_CHECK;
/* ERROR_FAILED when nobody knows whether the guest ran meanwhile. */
int offline_check_unseen(struct move *move, struct error *error) MUST_CHECK;
/* ERROR_FAILED unless the domain is off, and its definition names the sources. */
int offline_check_definition(struct move *move, const struct world *world, struct error *error)
    MUST_CHECK;

/* ---- snapshots of the source (snapshots.c) ---- */

/* Their names, the oldest first, and how many of them are on the target already; none of a disk
 * that leaves them behind. */
int offline_list_snapshots(struct move *move, size_t index, struct text_list *names, size_t *copied,
                           struct error *error) MUST_CHECK;
/* The source as it was then. */
int offline_open_snapshot(struct move *move, size_t index, const char *name, struct blocks **blocks,
                          struct error *error) MUST_CHECK;
/* The target is by now what the source was then. */
int offline_keep_snapshot(struct move *move, size_t index, const char *name, struct error *error)
    MUST_CHECK;

#endif
