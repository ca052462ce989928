/* The way to the trash, for images of ours and of others. */
#ifndef VP_CEPH_IMAGE_TRASH_H
#define VP_CEPH_IMAGE_TRASH_H

#include "ceph/private.h"

/* An image on its way there, told from others of the same name by what it says itself. */
struct ceph_trashing {
    struct ceph_cluster *cluster;
    rados_ioctx_t pool;
    const struct ceph_image_name *name;
    const char *token; /* ours: whose metadata say this; NULL: */
    const char *id;    /* the one with this id */
    uint64_t seconds;
    bool for_good; /* it is removed afterwards: not if there are snapshots that are not ours */
    char *text;    /* its name, for messages */
};

/* Puts it there, or ends what an earlier try began. Our own snapshots of it are removed. *id is its
 * name in the trash, a new string; NULL when it is neither there nor in its place.
 *
 * ERROR_BUSY while somebody watches it: who opens it in the same moment finds it under its name
 * again. Snapshots that are in the way: ERROR_BUSY too, which names them. */
int ceph_trash(const struct ceph_trashing *trashing, char **id, struct error *error) MUST_CHECK;

/* Gives it its name back. For somebody who needs it; the error is about that already. */
int ceph_trash_give_back(const struct ceph_trashing *trashing, const char *id, struct error *error);

/* Sets the error; returns -1. */
int ceph_trashing_failed(const struct ceph_trashing *trashing, int result, const char *what,
                         struct error *error);

#endif
