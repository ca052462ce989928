/* What will be done, and why: facts and policy in, a const plan out. Pure: no I/O, so that
 * --dry-run, `plan` and `move` cannot differ. */
#ifndef VP_PLAN_PLAN_H
#define VP_PLAN_PLAN_H

#include "ceph/ceph.h"
#include "domain/domain.h"
#include "policy/policy.h"
#include "virt/virt.h"

struct json_object;

/* How a cluster is reached, by us and by QEMU. Owned strings; NULL: not set. */
struct plan_cluster {
    char *name; /* the policy's; for a source in no cluster of the policy: its first monitor */
    char *mons; /* "host:port,host" */
    char *conf;
    char *user;
    char *secret;
    bool secret_is_uuid;
    char *keyring;
};
void plan_cluster_clear(struct plan_cluster *cluster);
void plan_cluster_copy(struct plan_cluster *copy, const struct plan_cluster *from);
void plan_cluster_of_policy(struct plan_cluster *cluster, const struct policy_cluster *from);

/* ---- facts: what the survey found (helper/survey fills them in) ---- */

struct disk_facts {
    char *target; /* which disk of facts.live */
    bool size_known;
    uint64_t capacity, allocated; /* bytes */
    bool allocated_exact;         /* false: an upper bound */

    bool source_is_rbd;
    struct plan_cluster source_cluster; /* when source_is_rbd */
    char *source_pool, *source_name_space, *source_image_name;
    bool source_seen; /* the image was read: */
    struct ceph_image source_image;
    /* Looked for if the domain is off and the policy wants migration: the image's id, if it stays
     * in its cluster; else why it is not known. NULL */
    char *source_id, *migration_problem;
    char *source_identity; /* what tells the source from another one that gets its name: an image's
                              id, struct file_look's of a file; NULL: not known */
    char *defined_path; /* of a volume that the definition names where the running disk has a path;
                           NULL: none, or not known */
    char *source_problem, *source_hint; /* why the image, or a disk of a domain that is off, could
                                           not be read; NULL */

    /* About the tier that the request or the policy gives; all empty without one. */
    char *target_image; /* the image's name */
    bool target_exists;
    char *target_owner; /* the token in an existing target's metadata; NULL: not made by us */
    char *target_problem, *target_hint; /* not reachable, wrong key, no pool, no namespace, full,
                                           secret missing, …; NULL: all well */
};
DEFINE_VECTOR(disks_facts, struct disk_facts);

struct plan_facts {
    char *uuid;
    struct virt_domain state;
    struct domain *live;     /* NULL when not running */
    struct domain *inactive; /* NULL when transient */
    struct virt_versions versions;
    char *other_move;  /* "move 12 (process 4711)": somebody is at it; NULL */
    bool hook_missing; /* nobody on this host would lead a saved guest to its new disks */
    struct disks_facts disks;
    double assumed_rate; /* bytes per second for the expected time: measured before, or a guess */
};

struct plan_request {           /* borrowed */
    const char *const *targets; /* only these disks; none: all that the policy moves */
    size_t target_count;
    const char *tier;   /* overrides the rules; NULL */
    uint64_t bandwidth; /* overrides the tier's; 0: it does not */
};

/* Which tier a disk is to go to: the request's, or the policy's by its rules. */
struct policy_decision plan_decide(const struct policy *policy, const struct plan_request *request,
                                   const struct domain *domain, const struct disk *disk,
                                   uint64_t capacity);

bool plan_is_requested(const struct plan_request *request, const char *target);
/* Whether the disk is where this tier would put it: same cluster, pool and namespace. */
bool plan_is_in_tier(const struct policy *policy, const struct disk *disk,
                     const struct policy_tier *tier);

/* ---- the plan ---- */

enum plan_action { PLAN_MOVE, PLAN_LEAVE, PLAN_REFUSE };
enum plan_strategy { STRATEGY_DANCE, STRATEGY_KEEP };

/* Everything that the move, and a recovery long after the policy changed, needs to know. */
struct plan_destination {
    struct plan_cluster cluster;
    char *pool, *name_space, *image;
    char *data_pool;
    uint64_t size; /* bytes: the capacity rounded up to 512 */
    uint64_t object_size;
    struct policy_qos qos;
    bool keeps_iotune; /* the disk has limits of its own, which stay */
    char *cache, *discard, *detect_zeroes;
    uint64_t bandwidth;
    bool synchronous;
    char *old_disk;     /* an undo goes back to this <disk> element, as libvirt showed it while the
                           guest ran on it, whatever kind of source it has. Of the above only size,
                           bandwidth and synchronous count then; cluster, pool, name_space and image are
                           set if it is an RBD image. NULL: to an image that is made for it */
    char *old_identity; /* of an RBD image; NULL: not known */
    char *old_definition; /* the same as the persistent definition had it; NULL: there was none */
    bool remade; /* the old disk is an image that is gone, for RBD has migrated it: one of its name
                    is made, as for any other move */
    bool clears_iotune; /* an undo: the limits that the move had set on the running disk end */
};

struct plan_disk {
    char *target, *bus;
    enum plan_action action;
    char *reason;
    char *hint;   /* for a refusal; NULL */
    char *rule;   /* NULL: none matched, or the request names the tier */
    char *tier;   /* NULL unless one was chosen */
    char *source; /* as disk_source_describe */
    uint64_t capacity, allocated;
    bool allocated_exact, size_known;
    uint64_t expected_seconds;           /* 0 when not moved */
    struct plan_destination destination; /* image is NULL when no tier was chosen */

    bool later; /* left for now, though the policy wants it moved: once the guest has arrived */

    bool prepare_source;  /* switch on the source's fast-diff first */
    bool takes_snapshots; /* those of the source are copied, too */
    struct plan_cluster source_cluster;
    char *source_pool, *source_name_space, *source_image;
    char *source_id;       /* of an image that is migrated (struct plan) */
    char *source_identity; /* as in struct disk_facts */
};
DEFINE_VECTOR(plan_disks, struct plan_disk);

/* An interface whose network or bridge has another name here. */
struct plan_network {
    char *mac; /* NULL: its definition names none */
    char *from, *to;
};
DEFINE_VECTOR(plan_networks, struct plan_network);

struct plan {
    char *domain, *uuid;
    bool active, persistent, autostart;
    bool migrates; /* the disks that move are brought over by RBD's live migration: all of them are
                      images that stay in their cluster, of a domain that is off */
    enum plan_strategy strategy;
    char *strategy_reason;
    char *blocker, *blocker_hint; /* why the domain as a whole cannot be moved; NULL */
    struct text_list warnings;
    struct plan_disks disks;               /* every disk of the domain */
    struct plan_networks networks;         /* of an incoming migration; else none */
    bool verify;                           /* source and target are compared after the pivot */
    enum policy_source_after source_after; /* what becomes of the sources, */
    uint64_t grace;                        /* so many seconds after the move */
    uint64_t stuck_after;                  /* seconds without progress */
    double max_latency; /* factor over the guest's latency before; 0: not watched */
};

/* ERROR_USAGE for a --disk that the domain lacks, or a --tier that the policy does. */
int plan_make(const struct plan_facts *facts, const struct policy *policy,
              const struct plan_request *request, struct plan **plan, struct error *error)
    MUST_CHECK;
void plan_free(struct plan *plan);
DEFINE_CLEANUP(struct plan, plan_free);

/* What is known on this host about a disk of a guest that is to arrive here. */
struct incoming_fact {
    const char *target;
    uint64_t capacity; /* bytes; 0: not known */
    bool shared;       /* its source can be reached from here as well */
    bool local;        /* a file on a file system that no other host sees: the source's agent says
                          so, or there is one of that name here */
};
/* The plan for a guest that is about to migrate here, from the XML that libvirt gives the hook.
 *
 * A disk that the policy moves is rewritten (PLAN_MOVE) only if libvirt must be copying it: the
 * guest runs, and the disk is a file on a file system of its host alone. Only then libvirt insists
 * on a copy (qemu_migration.c, qemuMigrationSrcIsSafe: block devices and network disks pass without
 * one). Any other one may well be shared, and an empty image in its place would be the end of the
 * guest's data: it is left, with `later` set, to be moved once the guest is here. PLAN_REFUSE: it
 * must be rewritten and cannot be; the reason says why. Whether the image can be made, making it
 * shows. */
int plan_make_incoming(const struct domain *domain, const struct policy *policy,
                       const struct incoming_fact *facts, size_t fact_count, struct plan **plan,
                       struct error *error) MUST_CHECK;

/* A move that is to be taken back, as the journal has it. Borrowed. */
struct undo_origin {
    int64_t id;
    const struct plan *plan;
    const struct domain *live;       /* the running guest before that move */
    const struct domain *definition; /* its definition; NULL: it had none */
};
/* What is known now about a disk of that move. Borrowed. */
struct undo_fact {
    const char *target;
    bool moved;       /* it is one of those that the move has brought to its destination for good */
    bool removed;     /* its old disk was given up for good, */
    bool away;        /* or can be fetched back */
    bool verified;    /* its contents were compared, or nobody asked for that */
    const char *path; /* of a volume: its file or device, which a mirror needs; NULL */
    const char *problem, *hint; /* why its old disk cannot be had; NULL */
};
/* The plan that brings a guest back onto the disks that it had before a move. No policy is
 * asked: what that move was to heed, this one heeds. facts hold the domain and the size of each
 * disk; bandwidth is 0 for that of the move. */
struct plan *plan_make_undo(const struct plan_facts *facts, const struct undo_origin *origin,
                            const struct undo_fact *old, size_t old_count, uint64_t bandwidth)
    MUST_CHECK;

size_t plan_count(const struct plan *plan, enum plan_action action);
/* 0 when the plan can be carried out and moves something; else ERROR_FAILED (a blocker or a
 * refused disk; all of them in the message) or ERROR_NOTHING. */
int plan_check(const struct plan *plan, struct error *error) MUST_CHECK;

/* False when no tier was chosen. */
bool plan_has_destination(const struct plan_disk *disk);
/* "flash/fast/db1-vda", or an old disk as disk_source_describe; new string. */
char *plan_destination_describe(const struct plan_destination *destination) MUST_CHECK;
/* Whether it is an RBD image, made for the disk or not. */
bool plan_destination_is_rbd(const struct plan_destination *destination);
/* The destination as a source, for comparing with what libvirt shows. Owned by the caller. */
void plan_destination_source(const struct plan_destination *destination,
                             struct disk_source *source);
/* An image to be made, for domain_rewrite and the mirror; borrows from the plan, but for hosts,
 * which the caller releases with free(3). */
struct rbd_destination plan_rbd_destination(const struct plan_destination *destination,
                                            struct network_host **hosts);
/* Whether a source that libvirt shows is this destination. */
bool plan_is_destination(const struct plan_destination *destination,
                         const struct disk_source *source);
/* The stand-alone <disk> document for virDomainBlockCopy, new string. */
char *plan_mirror_xml(const struct plan_disk *disk) MUST_CHECK;
const char *plan_action_word(enum plan_action action);
const char *plan_strategy_word(enum plan_strategy strategy);

/* The tier's limits as libvirt's <iotune>, and whether they are to be set that way. */
struct iotune plan_iotune(const struct policy_qos *qos);
bool plan_wants_iotune(const struct plan_destination *destination);
/* The domain's XML with these disks (all that move when targets is NULL) on their destination, and
 * the interfaces on their networks. A disk that goes back gets the element again that it had: in
 * the XML of a running guest that of the running guest, in a definition that of the definition. */
int plan_rewrite(const struct plan *plan, const struct domain *domain, const char *const *targets,
                 size_t target_count, char **xml, struct error *error) MUST_CHECK;

/* design.md's JSON; released with json_object_put. */
struct json_object *plan_json(const struct plan *plan) MUST_CHECK;
/* Everything that a later process needs to finish or undo the plan, and back. */
char *plan_to_record(const struct plan *plan) MUST_CHECK; /* JSON, new string */
int plan_from_record(const char *json, struct plan **plan, struct error *error) MUST_CHECK;

#endif
