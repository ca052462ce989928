/* Keeps watch over an image that is read while nobody uses it: its exclusive lock is held, so that
 * nobody can write unseen, and given up at once when somebody opens the image. He need not notice:
 * librbd wants the lock for writing only, and a guest has long been looked for by then. */
#ifndef VP_BLOCKS_RBD_GUARD_H
#define VP_BLOCKS_RBD_GUARD_H

#include "base/error.h"

#include <rbd/librbd.h>

struct ceph_cluster;
struct rbd_guard;

/* The image must outlive it. `lock`: it was opened for writing, and has the feature; without, the
 * guard can only look who has it open. ERROR_BUSY when somebody has. */
int rbd_guard_start(struct ceph_cluster *cluster, rbd_image_t image, const char *name, bool lock,
                    struct rbd_guard **guard, struct error *error) MUST_CHECK;
/* Looks once more. ERROR_BUSY, with who it was, when anybody has come since it was started; or when
 * it cannot be known, since for a time nobody could look, and there was no lock. */
int rbd_guard_check(struct rbd_guard *guard, struct error *error) MUST_CHECK;
/* Gives the lock back. */
void rbd_guard_stop(struct rbd_guard *guard);

#endif
