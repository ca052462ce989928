/* Ceph, as virt-pivot uses it: the adapter over librados and librbd.
 *
 * One connection per cluster and user (about 12 threads each). All calls are bounded in time by the
 * connection's timeout. Errors are never about a secret's value.
 *
 * A handle must not be used in a forked child: librados hangs there. */
#ifndef VP_CEPH_CEPH_H
#define VP_CEPH_CEPH_H

#include "base/error.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stdint.h>

struct ceph_login {      /* borrowed */
    const char *cluster; /* the policy's name for it, for messages */
    const char *mons;    /* "host:port,host"; NULL when conf says it; a host without port: both
                            default ports are tried, as librados does */
    const char *conf;    /* NULL: none is read */
    const char *user;    /* without "client."; NULL: no cephx */
    const char *key;     /* base64 cephx key; NULL: from the keyring */
    const char *keyring; /* file; NULL */
    unsigned timeout;    /* seconds, for connecting and for every operation; 0 = 10 */
};

struct ceph_cluster;

/* Connects. ERROR_UNREACHABLE names the monitors that were tried and the seconds; ERROR_DENIED says
 * that key or user is wrong; a malformed key or an unreadable keyring is ERROR_DENIED too.
 * Unsets CEPH_ARGS, CEPH_CONF, CEPH_KEYRING and CEPH_LIB in this process: librados would read them.
 */
int ceph_connect(const struct ceph_login *login, struct ceph_cluster **cluster, struct error *error)
    MUST_CHECK;
void ceph_disconnect(struct ceph_cluster *cluster);
DEFINE_CLEANUP(struct ceph_cluster, ceph_disconnect);

/* The cluster's fsid, new string. */
char *ceph_fsid(struct ceph_cluster *cluster) MUST_CHECK;

struct ceph_health {
    char *status;            /* HEALTH_OK, HEALTH_WARN, HEALTH_ERR */
    struct text_list checks; /* codes: "OSD_NEARFULL", … */
    char
        *blocker; /* the first check (or HEALTH_ERR itself) that forbids starting a copy:
                     HEALTH_ERR, OSD_FULL, OSD_NEARFULL, OSD_BACKFILLFULL, POOL_FULL, POOL_NEARFULL,
                     PG_AVAILABILITY; with its summary text; NULL when nothing does */
};
int ceph_health(struct ceph_cluster *cluster, struct ceph_health *health, struct error *error)
    MUST_CHECK;
void ceph_health_clear(struct ceph_health *health);

struct ceph_pool {
    uint64_t free_bytes;  /* min(max_avail, quota_max_bytes ? quota - stored : ∞) */
    uint64_t quota_bytes; /* 0: none */
    uint64_t stored_bytes;
    bool full; /* the pool's own full flag, or quota reached */
    bool nearfull;
    bool rbd_application; /* the application tag "rbd" is enabled */
};
/* ERROR_NOT_FOUND when there is no such pool, ERROR_DENIED when the user may not read it. */
int ceph_pool(struct ceph_cluster *cluster, const char *pool, struct ceph_pool *info,
              struct error *error) MUST_CHECK;
/* Whether this namespace exists in the pool. */
int ceph_namespace_exists(struct ceph_cluster *cluster, const char *pool, const char *name_space,
                          bool *exists, struct error *error) MUST_CHECK;
/* Whether the user may create, write and remove images there: tries with a small object whose name
 * cannot collide, and removes it. ERROR_DENIED or ERROR_NO_SPACE. */
int ceph_pool_writable(struct ceph_cluster *cluster, const char *pool, const char *name_space,
                       struct error *error) MUST_CHECK;

struct ceph_image_name { /* borrowed */
    const char *pool;
    const char *name_space; /* NULL: none */
    const char *image;
};

struct ceph_image {
    char *id;             /* in its pool, which no other image ever has; NULL: format 1 */
    uint64_t size;        /* bytes */
    uint64_t allocated;   /* bytes that a copy must read: from fast-diff, else size */
    bool allocated_known; /* false: no valid fast-diff */
    uint64_t used; /* bytes in objects that exist, whether QEMU can see the holes or not; size
                      when counting them takes over 5 s */
    uint64_t object_size;
    uint64_t features; /* RBD_FEATURE_* */
    bool object_map_invalid, fast_diff_invalid;
    unsigned snapshots;    /* user snapshots */
    bool snapshots_uneven; /* one is its group's, or of another size than the image */
    unsigned children;     /* clones of any of its snapshots, trashed ones included */
    bool in_group, mirrored, is_clone;
    struct text_list watchers; /* "address client.ID", without our own */
    char *owner_token;         /* metadata virt-pivot.token: who made this image; NULL: not we */
};
/* Reads an image through a read-only handle. ERROR_NOT_FOUND. */
int ceph_image(struct ceph_cluster *cluster, const struct ceph_image_name *name,
               struct ceph_image *image, struct error *error) MUST_CHECK;
void ceph_image_clear(struct ceph_image *image);

struct ceph_image_spec { /* borrowed */
    struct ceph_image_name name;
    uint64_t size;         /* bytes, exact */
    uint64_t object_size;  /* bytes, a power of two */
    const char *data_pool; /* NULL: none */
    const char *token;     /* unique to this disk of this move; letters, digits and dashes */
    const char *domain_uuid, *domain_name, *target, *source; /* recorded in the image's metadata */
};
/* Makes an image that is provably ours at every instant: it is created as ".virt-pivot.TOKEN", gets
 * its metadata, and is then renamed to its name (a rename onto an existing name fails,
 * ERROR_EXISTS, and nothing of that other image is touched; ours is removed again). Features:
 * layering, exclusive-lock, object-map, fast-diff, deep-flatten. A name with '/' or '@', empty, or
 * with a leading '.' is ERROR_INPUT (librbd's C API would take it). Idempotent: a finished image
 * with the same token and size is success; the half-made one of an earlier try is removed first.
 * ERROR_NO_SPACE for a full pool (never blocks on it), ERROR_NOT_FOUND for a missing pool,
 * data pool or namespace. */
int ceph_image_create(struct ceph_cluster *cluster, const struct ceph_image_spec *spec,
                      struct error *error) MUST_CHECK;
/* Removes what ceph_image_create made with this token, under either name; success when there is
 * nothing. An image of that name with another token, or none, is left alone (success too: it is not
 * ours). While somebody watches it: waits up to `patience` seconds (a killed client's watch lasts
 * about 30 s; a watch that proves to be nobody's, left by a client that was killed while it opened
 * the image, is overcome after 35 s), then ERROR_BUSY that names the watchers. Our own snapshots of
 * it are removed; ERROR_OPERATOR when somebody else has made some. In a full pool, it may first be
 * emptied and wait for the cluster to notice. Give it 40 s. */
int ceph_image_remove_owned(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                            const char *token, unsigned patience, struct error *error) MUST_CHECK;

/* Moves what ceph_image_create made with this token into the pool's trash, restorable by `rbd trash
 * restore` for at least so many seconds; *id is its name there, a new string, NULL when there is
 * nothing of ours under that name (success). A half-made image of an earlier try is removed, and so
 * are our own snapshots.
 * ERROR_BUSY while somebody watches it. */
int ceph_image_trash_owned(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                           const char *token, uint64_t seconds, char **id, struct error *error)
    MUST_CHECK;

/* ---- images that we did not make: the sources ----
 *
 * An image is meant by its id, which is written down before anything is done to it: so another one
 * that has its name by now is never touched, and what was interrupted can be taken up again. */

/* The image's id in its pool, which neither a rename nor the trash changes; new string.
 * ERROR_NOT_FOUND; ERROR_UNSUPPORTED for format 1, which has none and cannot go to the trash. */
int ceph_image_id(struct ceph_cluster *cluster, const struct ceph_image_name *name, char **id,
                  struct error *error) MUST_CHECK;
/* Moves it into the pool's trash for at least so many seconds, under this id; its snapshots go with
 * it, but for our own, which are removed. Ends what an earlier call began: success too when it is
 * there already. ERROR_BUSY while anybody watches it (who opens it in the same moment finds it
 * under its name again), ERROR_NOT_FOUND when it is neither there nor in the trash, with its name
 * if it was renamed. */
int ceph_image_trash(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                     const char *id, uint64_t seconds, struct error *error) MUST_CHECK;
/* Gives what the trash holds under this id its name back; success when it has it already.
 * ERROR_NOT_FOUND when the trash does not hold it (any more), ERROR_EXISTS when another image has
 * the name now. */
int ceph_image_restore(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                       const char *id, struct error *error) MUST_CHECK;
/* Whether the trash holds it, if only half: ceph_image_trash and ceph_image_restore end that. */
int ceph_image_is_trashed(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                          const char *id, bool *trashed, struct error *error) MUST_CHECK;
/* Removes it for good, from its place or from the trash, whatever its delay there; our own
 * snapshots with it. ERROR_BUSY while anybody watches it, or when it has snapshots that are not
 * ours, which are named: then it is where it was. Any other failure leaves it in the trash, and
 * parts of it may be gone, though rbd would restore it. Success when it is not there, but
 * ERROR_NOT_FOUND when it was renamed. Ends what an earlier call began. */
int ceph_image_remove(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                      const char *id, struct error *error) MUST_CHECK;

/* ---- an image that RBD itself brings into another pool of its cluster ---- */

struct ceph_migration { /* borrowed */
    struct ceph_image_name source;
    const char *source_id; /* so that no other image of that name is meant */
    struct ceph_image_name target;
    const char *token; /* of the target, as in struct ceph_image_spec */
};
enum ceph_migration_state {
    CEPH_MIGRATION_PREPARED,   /* data are on either side; the target shows all of them */
    CEPH_MIGRATION_EXECUTED,   /* all are on the target */
    CEPH_MIGRATION_COMMITTING, /* the target does without the source, which is still there */
    CEPH_MIGRATION_COMMITTED,  /* the source is gone */
};
/* Of a target that ceph_migration_prepare has made. ERROR_NOT_FOUND: there is none. */
int ceph_migration_look(struct ceph_cluster *cluster, const struct ceph_migration *of,
                        enum ceph_migration_state *state, struct error *error) MUST_CHECK;
/* Whether the source is there, under its name, without snapshots, and used by nobody. */
int ceph_migration_check(struct ceph_cluster *cluster, const struct ceph_migration *of,
                         struct error *error) MUST_CHECK;
/* The source goes into its pool's trash, from where it can be read by its id, and the target shows
 * its data: it may be used at once. Under its name it appears when all is done, with the metadata
 * of an image that ceph_image_create makes; success when it is there already. After any failure,
 * or a kill, ceph_migration_abort takes back what was done. */
int ceph_migration_prepare(struct ceph_cluster *cluster, const struct ceph_migration *of,
                           const struct ceph_image_spec *spec, struct error *error) MUST_CHECK;
/* Removes the target and gives the source its name back, as it was: what has been written to the
 * target is lost. Success when nothing was begun. Waits for watchers of the target, and fails, as
 * ceph_image_remove_owned. */
int ceph_migration_abort(struct ceph_cluster *cluster, const struct ceph_migration *of,
                         unsigned patience, struct error *error) MUST_CHECK;
/* Brings all data over, also while the target is in use: then whoever has it open does it for us.
 * Not to be interrupted but by a kill, after which another call goes on; success when it is done
 * already. */
int ceph_migration_execute(struct ceph_cluster *cluster, const struct ceph_migration *of,
                           void (*progress)(void *opaque, uint64_t done, uint64_t total),
                           void *opaque, struct error *error) MUST_CHECK;
/* Removes the source for good, and ends what an earlier call began. ERROR_FAILED when not all is
 * on the target. */
int ceph_migration_commit(struct ceph_cluster *cluster, const struct ceph_migration *of,
                          struct error *error) MUST_CHECK;
/* Whether anything was written to (or discarded from) an image since this snapshot of it. */
int ceph_image_written_since(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                             const char *snapshot, bool *written, struct error *error) MUST_CHECK;

/* ---- an image's state at one instant ---- */

/* Also while a guest has the image open: its librbd takes it then, with all that was written until
 * now; about a tenth of a second. ERROR_BUSY when a client that has it open does not answer within
 * 3 s, and nothing is done. Success when there is one of that name already. Names that begin with
 * CEPH_SNAPSHOT_PREFIX are ours, and count neither in struct ceph_image's snapshots nor as a reason
 * to keep an image. */
#define CEPH_SNAPSHOT_PREFIX ".virt-pivot."
int ceph_snapshot_create(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         const char *snapshot, struct error *error) MUST_CHECK;
/* The names of those that were made of this image alone, ours too, the oldest first. */
int ceph_snapshot_names(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        struct text_list *names, struct error *error) MUST_CHECK;
/* Success when there is none of the first name. ERROR_BUSY as above. */
int ceph_snapshot_rename(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         const char *from, const char *to, struct error *error) MUST_CHECK;
/* Success when the snapshot, or the image, is not there. ERROR_BUSY as above. */
int ceph_snapshot_remove(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         const char *snapshot, struct error *error) MUST_CHECK;
int ceph_snapshot_exists(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         const char *snapshot, bool *exists, struct error *error) MUST_CHECK;

struct ceph_capture_of { /* borrowed, until ceph_captures_close */
    struct ceph_cluster *cluster;
    struct ceph_image_name name;
    const char *snapshot;
};
struct ceph_captures;
/* Opens several images whose snapshots are to be made at one instant, soon: what takes time is done
 * now. */
int ceph_captures_open(const struct ceph_capture_of *of, size_t count,
                       struct ceph_captures **captures, struct error *error) MUST_CHECK;
/* Makes the snapshots, side by side: each waits for its monitors, which take up to a second to
 * agree (paxos_propose_interval). ERROR_UNREACHABLE when they are not there within so many
 * milliseconds: then they may come at any time. */
int ceph_captures_make(struct ceph_captures *captures, unsigned milliseconds, struct error *error)
    MUST_CHECK;
/* Waits for a few seconds until nothing of it is under way. What is then is left alone: librbd asks
 * the owner of the image's lock for it, who may hang for as long as an OSD is away. */
void ceph_captures_close(struct ceph_captures *captures);
DEFINE_CLEANUP(struct ceph_captures, ceph_captures_close);

/* Who watches the image now, without ourselves. */
int ceph_image_watchers(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        struct text_list *watchers, struct error *error) MUST_CHECK;

/* Makes holes visible: enables exclusive-lock, object-map and fast-diff where they lack and
 * rebuilds the object map if it is flagged invalid, while a guest may be using the image.
 * *enabled is the mask of features that were switched on (0: nothing had to be done), after a
 * failure too. Where the exclusive lock comes new, waits up to 10 s for a guest's next write, so
 * that none under way is missed. ERROR_UNSUPPORTED for format 1, and when a kernel client has it
 * mapped. */
int ceph_image_enable_fast_diff(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                                uint64_t *enabled, struct error *error) MUST_CHECK;
/* Takes that back: disables these features, newest first. Success when they are off already. */
int ceph_image_disable_features(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                                uint64_t features, struct error *error) MUST_CHECK;

struct ceph_qos { /* per second; 0 = not set */
    uint64_t iops, iops_burst, read_iops, write_iops;
    uint64_t bps, bps_burst, read_bps, write_bps;
};
/* Sets (or, where 0, removes) conf_rbd_qos_* of the image: takes effect on an open image within a
 * second. All zero removes all. */
int ceph_image_set_qos(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                       const struct ceph_qos *qos, struct error *error) MUST_CHECK;

/* A metadata value, new string; NULL with success when the key is not set. */
int ceph_image_metadata(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        const char *key, char **value, struct error *error) MUST_CHECK;

/* "16.2.15", of the librbd/librados that is loaded; new string. */
char *ceph_library_version(void) MUST_CHECK;

#endif
