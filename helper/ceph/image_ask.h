/* Changes that librbd has the owner of an image's lock make: a running guest's QEMU, as a rule. */
#ifndef VP_CEPH_IMAGE_ASK_H
#define VP_CEPH_IMAGE_ASK_H

#include "ceph/private.h"

/* What is asked for, as far as the change needs to be told. */
struct ceph_wish {
    uint64_t features;
    const char *snapshot;
};

/* Makes the change: 0 or a negative errno. Calls hear whenever there is news of it. */
typedef int ceph_ask(rbd_image_t image, const struct ceph_wish *wish, librbd_progress_fn_t hear,
                     void *opaque);

/* Without any news. A client that is gone is known for that after half of it. */
#define CEPH_ANSWER_SECONDS 60

/* Makes it in a thread, since librbd may wait for an answer that never comes (seen with 16.2: the
 * owner had just taken the lock, and had made the change). -ETIMEDOUT after so many seconds without
 * news, or if librbd says so: whether the change was made, the image itself must tell, by another
 * handle, for *open is empty then. The old one, if librbd still waits, is closed by the thread, if
 * that ever ends, and the cluster's connection is left alone when it is to be closed. */
int ceph_ask_owner(struct ceph_cluster *cluster, struct ceph_open *open, ceph_ask *ask,
                   const struct ceph_wish *wish, double seconds) MUST_CHECK;

#endif
