/* What making and removing an image of ours share. */
#ifndef VP_CEPH_IMAGE_CREATE_H
#define VP_CEPH_IMAGE_CREATE_H

#include "ceph/private.h"

#define CEPH_KEY_TOKEN "virt-pivot.token"

/* ".virt-pivot.TOKEN": the name before the image gets its own, and again while it is removed. The
 * token is in it, so that whatever stands under it is ours. New string. */
char *ceph_draft_name(const char *token) MUST_CHECK;

/* Letters, digits and dashes, at most 64. ERROR_INPUT. */
int ceph_token_check(const char *token, struct error *error) MUST_CHECK;
/* What rbd itself would refuse or, in its C API, misunderstand. ERROR_INPUT. */
int ceph_image_name_check(const char *image, struct error *error) MUST_CHECK;
/* All of it, without asking the cluster. ERROR_INPUT. */
int ceph_image_spec_check(const struct ceph_image_spec *spec, struct error *error) MUST_CHECK;

/* Features, object size and data pool. Returns 0 or a negative errno. */
int ceph_image_set_options(const struct ceph_image_spec *spec, rbd_image_options_t options)
    MUST_CHECK;
/* Whose it is, and what for: under the draft's name. */
int ceph_image_write_metadata(struct ceph_cluster *cluster, const struct ceph_image_name *draft,
                              const struct ceph_image_spec *spec, struct error *error) MUST_CHECK;
/* The first half of ceph_image_remove_owned: what has its name goes back to the draft's. */
int ceph_image_withdraw_owned(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                              const char *token, unsigned patience, struct error *error) MUST_CHECK;

/* Removes whatever stands under this draft's name, in its pool or in the pool's trash; 0 when
 * nothing does. While somebody watches it: waits until the deadline (ceph_clock), then
 * ERROR_BUSY. */
int ceph_draft_remove(struct ceph_cluster *cluster, const struct ceph_image_name *draft,
                      rados_ioctx_t pool, double deadline, struct error *error) MUST_CHECK;

/* ERROR_BUSY: these watch it. */
int ceph_busy(const struct ceph_cluster *cluster, const struct ceph_image_name *name,
              const struct text_list *watchers, struct error *error);

/* Who made an image, and its size. *exists is false and the rest untouched when there is none. */
struct ceph_claim {
    bool exists;
    uint64_t size;
    char *token; /* NULL: somebody else did */
};
int ceph_claim_read(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                    struct ceph_claim *claim, struct error *error) MUST_CHECK;
void ceph_claim_clear(struct ceph_claim *claim);
#define AUTO_CLAIM CLEANUP(ceph_claim_clear)

#endif
