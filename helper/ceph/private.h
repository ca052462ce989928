/* What the files of this layer share. */
#ifndef VP_CEPH_PRIVATE_H
#define VP_CEPH_PRIVATE_H

#include "ceph/ceph.h"
#include "ceph/failure.h"

#include <errno.h>
#include <rados/librados.h>
#include <rbd/librbd.h>

struct ceph_cluster {
    rados_t rados;
    char *name;       /* the policy's */
    char *user;       /* "client.libvirt", or "no user" */
    unsigned timeout; /* seconds */
};

static inline void cleanup_pool(rados_ioctx_t *pool)
{
    if (*pool)
        rados_ioctx_destroy(*pool);
}
static inline void cleanup_image(rbd_image_t *image)
{
    if (*image)
        rbd_close(*image);
}
#define AUTO_POOL CLEANUP(cleanup_pool)
#define AUTO_IMAGE CLEANUP(cleanup_image)

/* image_handle.c */

/* Opens a pool, with its namespace selected. Writes to a full pool fail at once instead of waiting
 * for room. ERROR_NOT_FOUND. */
int ceph_pool_open(struct ceph_cluster *cluster, const char *pool, const char *name_space,
                   rados_ioctx_t *handle, struct error *error) MUST_CHECK;

/* An image in its pool, opened. */
struct ceph_open {
    rados_ioctx_t pool;
    rbd_image_t image;
};
void ceph_open_close(struct ceph_open *open);
#define AUTO_OPEN CLEANUP(ceph_open_close)
/* Read-only handles put no watch on the image. ERROR_NOT_FOUND. */
int ceph_image_open(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                    bool read_only, struct ceph_open *open, struct error *error) MUST_CHECK;

/* "pool/namespace/image", new string. */
char *ceph_image_text(const struct ceph_image_name *name) MUST_CHECK;

/* 0 or a negative errno; *value is NULL with 0 when the key is not set. */
int ceph_metadata_read(rbd_image_t image, const char *key, char **value) MUST_CHECK;

/* Everybody who watches, but for this connection. Returns 0 or a negative errno. *kernel (may be
 * NULL) says whether one of them is a kernel client. */
int ceph_watchers_read(struct ceph_cluster *cluster, rbd_image_t image, struct text_list *watchers,
                       bool *kernel) MUST_CHECK;

/* "a, b and c" of a list, new string. */
char *ceph_list_text(const struct text_list *list) MUST_CHECK;

/* Seconds on the monotonic clock; and a pause. */
double ceph_clock(void);
void ceph_pause(unsigned milliseconds);

/* For librbd's long operations, which cannot do without one. */
int ceph_no_progress(uint64_t offset, uint64_t total, void *nobody);

#endif
