/* What is behind the snapshots of ceph.h, for giving images up. */
#ifndef VP_CEPH_IMAGE_SNAPSHOT_H
#define VP_CEPH_IMAGE_SNAPSHOT_H

#include "ceph/private.h"

/* By its name: CEPH_SNAPSHOT_PREFIX. */
bool ceph_snapshot_is_ours(const char *name);

/* Opens an image for a change of its snapshots. ERROR_BUSY when a client that has it open does not
 * answer. */
int ceph_snapshots_open(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        struct ceph_open *open, struct error *error) MUST_CHECK;
/* Makes one. Nobody is asked to be quiet for it: the guest is held, or does not matter, and waiting
 * for every client that has the image open would take as long as the slowest of them. Returns 0,
 * also when it is there already, or a negative errno. */
int ceph_snapshot_make(rbd_image_t image, const char *snapshot) MUST_CHECK;

/* All of an image's snapshots, of every kind; release them with ceph_snapshots_free. Returns 0 or a
 * negative errno. */
int ceph_snapshots_read(rbd_image_t image, rbd_snap_info_t **snapshots, size_t *count) MUST_CHECK;
void ceph_snapshots_free(rbd_snap_info_t *snapshots, size_t count);

/* Removes our snapshots of an image that is given up: nobody else would ever do it, and with them
 * it could never be removed for good. `others` names those that are not ours, the ones included
 * that were removed and are kept for a clone; if there are any, nothing is removed. NULL: whatever
 * there is beside ours. An image that is not there has none. Returns 0 or a negative errno. */
int ceph_snapshots_clear(rados_ioctx_t pool, const char *image, struct text_list *others)
    MUST_CHECK;

#endif
