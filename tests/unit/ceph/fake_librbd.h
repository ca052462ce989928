/* One image of a pool "p", by functions that stand before librados' and librbd's own. */
#ifndef TESTS_UNIT_CEPH_FAKE_LIBRBD_H
#define TESTS_UNIT_CEPH_FAKE_LIBRBD_H

#include "ceph/private.h"

#include <stdbool.h>

struct fake_librbd {
    struct ceph_cluster cluster; /* to open it in */
    uint64_t features, flags;
    uint64_t flags_found;  /* are set when the lock is taken: it is then that maps are read */
    bool may_write;        /* else it can only be read */
    bool is_locked;        /* by us */
    bool is_watched;       /* by somebody else */
    int watchers_fail;     /* the negative errno, or 0, of asking for them */
    struct text_list keys; /* of its metadata */
};

/* With an exclusive lock, an object map, and leave to write. From now on there is no other. */
void fake_librbd_begin(struct fake_librbd *fake);
void fake_librbd_end(struct fake_librbd *fake);

#endif
