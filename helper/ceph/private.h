/* What the files of this layer share. */
#ifndef VP_CEPH_PRIVATE_H
#define VP_CEPH_PRIVATE_H

#include "ceph/ceph.h"
#include "ceph/failure.h"

#include <errno.h>
#include <rados/librados.h>
#include <rbd/librbd.h>

/* Of an image in its pool, with the NUL. */
#define CEPH_MAX_ID 64

struct ceph_cluster {
    rados_t rados;
    char *name;       /* the policy's */
    char *user;       /* "client.libvirt", or "no user" */
    unsigned timeout; /* seconds */
    bool is_stuck;    /* a call on it does not return: it cannot be closed */
};

/* cluster.c: a call on the connection does not return, and is not waited for any more. The
 * connection is left alone when it is to be closed, and at exit the libraries are: they would take
 * down what the call's thread still uses. */
void ceph_leave_stuck(struct ceph_cluster *cluster);

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
/* ERROR_BUSY when a client that has it open does not answer within 3 s: then nothing of an image
 * may be changed of which all its users must be told. */
int ceph_image_check_answers(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                             const struct ceph_open *open, struct error *error) MUST_CHECK;

/* "pool/namespace/image", new string. */
char *ceph_image_text(const struct ceph_image_name *name) MUST_CHECK;

/* 0 or a negative errno; *value is NULL with 0 when the key is not set. */
int ceph_metadata_read(rbd_image_t image, const char *key, char **value) MUST_CHECK;

/* What librbd lists into an array that may prove too small: then -ERANGE, and *count says how large
 * it has to be. All of it, in a new array. Returns 0 or a negative errno. */
typedef int ceph_lister(void *of, void *items, size_t *count);
int ceph_list_all(ceph_lister *list, void *of, size_t size, void **items, size_t *count) MUST_CHECK;

/* Everybody who watches, but for this connection. Returns 0 or a negative errno. *kernel (may be
 * NULL) says whether one of them is a kernel client. */
int ceph_watchers_read(struct ceph_cluster *cluster, rbd_image_t image, struct text_list *watchers,
                       bool *kernel) MUST_CHECK;

/* What the pool's trash holds: release it with rbd_trash_list_cleanup and free(3). Returns 0 or a
 * negative errno, -ENOENT for a pool that never had any trash. */
int ceph_trash_read(rados_ioctx_t pool, rbd_trash_image_info_t **entries, size_t *count) MUST_CHECK;

/* "a, b and c" of a list, new string. */
char *ceph_list_text(const struct text_list *list) MUST_CHECK;

/* Seconds on the monotonic clock; and a pause. */
double ceph_clock(void);
void ceph_pause(unsigned milliseconds);

/* For librbd's long operations, which cannot do without one. */
int ceph_no_progress(uint64_t offset, uint64_t total, void *nobody);

#endif
