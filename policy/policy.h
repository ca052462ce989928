/* The policy: YAML in, a const structure out; and which tier, if any, a disk belongs to.
 *
 * Nothing here talks to libvirt or Ceph, and only policy_load reads files: the hook uses the same
 * code. The input may be hostile: depth, size, number of nodes and of files are bounded; aliases,
 * tags and a second document are refused. */
#ifndef VP_POLICY_POLICY_H
#define VP_POLICY_POLICY_H

#include "base/error.h"
#include "base/vector.h"
#include "domain/domain.h"

#include <stdint.h>

#define POLICY_DEFAULT_PATH "/etc/virt-pivot"

/* Where something was said, for error messages. */
struct policy_place {
    const char *file;      /* owned by the policy */
    unsigned line, column; /* from 1 */
};

struct mon_address {
    char *host;
    char *port; /* NULL: either default, 3300 (v2) or 6789 (v1) */
};
DEFINE_VECTOR(mon_addresses, struct mon_address);

struct policy_cluster {
    char *name;
    struct policy_place place;
    struct mon_addresses mons; /* as written under mons:, or else read from conf: at load time */
    bool mons_from_conf;
    char *conf;   /* NULL: none. At least one of conf and mons */
    char *user;   /* "libvirt" for client.libvirt; NULL: no cephx */
    char *secret; /* libvirt secret as written: uuid or usage name; NULL: none */
    bool secret_is_uuid;
    char *keyring; /* file for our own connection, where the secret may not be read; NULL: none */
};

enum qos_enforce { QOS_RBD, QOS_IOTUNE };

struct policy_qos { /* 0 = not set; per second */
    uint64_t iops, iops_burst, read_iops, write_iops;
    uint64_t bps, bps_burst, read_bps, write_bps;
    enum qos_enforce enforce;
};

enum copy_mode { COPY_BACKGROUND, COPY_SYNCHRONOUS, COPY_AUTO };

struct policy_tier {
    char *name;
    struct policy_place place;
    const struct policy_cluster *cluster;
    char *pool;
    char *name_space;     /* NULL: none */
    char *data_pool;      /* NULL: none */
    char *image;          /* template; default "{name}-{target}" */
    uint64_t object_size; /* bytes, power of two, 4 KiB … 32 MiB; default 4 MiB */
    struct policy_qos qos;
    char *cache, *discard, *detect_zeroes; /* NULL: keep the disk's own */
    uint64_t copy_bandwidth;               /* bytes per second; 0 = unlimited */
    enum copy_mode copy_mode;              /* default auto */
};

struct policy_match { /* every condition that is present must hold; a list holds if one item does */
    struct text_list types;         /* file block network volume */
    struct text_list formats;       /* raw qcow2 … */
    struct text_list paths;         /* globs over file= and dev= */
    struct text_list clusters;      /* names of policy clusters */
    struct text_list pools, images; /* globs over the parts of an rbd name */
    struct text_list domains;       /* globs over the domain's name */
    struct text_list uuids;
    struct text_list tier_labels; /* globs over the tier that the domain's metadata names */
    struct text_list disks;       /* globs over targets: vda, sd* */
    uint64_t min_size, max_size;  /* bytes, inclusive; 0 = not set */
};

struct policy_rule {
    char *name; /* default "rule N" */
    struct policy_place place;
    struct policy_match match;
    const struct policy_tier *tier; /* NULL: leave */
};

enum policy_definition { DEFINITION_AUTO, DEFINITION_DANCE, DEFINITION_KEEP };
enum policy_verify { VERIFY_NONE, VERIFY_FULL };
enum policy_offline { OFFLINE_COPY, OFFLINE_MIGRATE };
enum policy_source_after { SOURCE_KEEP, SOURCE_TRASH, SOURCE_REMOVE };

/* What becomes of the snapshots of an RBD source whose domain is off; a live mirror cannot take
 * them along. */
enum policy_snapshots { SNAPSHOTS_LEAVE, SNAPSHOTS_COPY };

/* What of a source may be lost, because a live mirror cannot take it along (source: allow_loss:).
 */
enum policy_loss {
    LOSS_SNAPSHOTS = 1 << 0,
    LOSS_CHILDREN = 1 << 1,
    LOSS_GROUP = 1 << 2,
    LOSS_MIRRORING = 1 << 3,
    LOSS_JOURNALING = 1 << 4,
};

/* A network or bridge of another host, and what it is called here. */
struct policy_network {
    char *from, *to;
};
DEFINE_VECTOR(policy_networks, struct policy_network);

/* What becomes of an incoming migration or a restore that cannot be put onto its RBD target. */
enum policy_on_error { ON_ERROR_REFUSE, ON_ERROR_PASS };

/* The vectors hold pointers, so that references between them stay valid. */
DEFINE_VECTOR(policy_clusters, struct policy_cluster *);
DEFINE_VECTOR(policy_tiers, struct policy_tier *);
DEFINE_VECTOR(policy_rules, struct policy_rule *);

struct policy {
    struct text_list files; /* what it was read from, in order */
    struct policy_clusters clusters;
    struct policy_tiers tiers;
    struct policy_rules rules;
    enum policy_definition definition;      /* default auto */
    bool prepare_source;                    /* default true */
    enum policy_offline offline;            /* default copy */
    enum policy_verify verify;              /* default full */
    enum policy_source_after source_after;  /* default keep */
    uint64_t source_grace;                  /* seconds; default 7 days */
    enum policy_snapshots source_snapshots; /* default leave */
    unsigned allow_loss;                    /* enum policy_loss, or-ed; default none */
    unsigned per_host;                      /* moves at once; default 2 */
    double max_latency;                     /* factor over the guest's before; 0 = not watched */
    uint64_t stuck_after;                   /* seconds without progress; default 600 */
    unsigned retries;                       /* of a request that failed; default 5 */
    uint64_t retry_pause;                   /* seconds before the first; doubles; default 30 */
    bool on_start, on_migrate, on_restore;  /* defaults false, true, true */
    struct policy_networks networks;        /* for incoming migrations */
    enum policy_on_error on_error;          /* default refuse */
};

/* Reads a policy. PATH is a file (that file alone), or a directory (its policy.yaml, if there, then
 * those files of its policy.d/ that end in .yaml, sorted by name). Errors (ERROR_POLICY;
 * ERROR_NOT_FOUND when there is no policy at all): "FILE:LINE:COLUMN: what", with the likely
 * spelling as the hint. */
int policy_load(const char *path, const struct policy **policy, struct error *error) MUST_CHECK;

/* The same from memory, for one file's text. */
int policy_parse(const char *text, size_t length, const char *file_name,
                 const struct policy **policy, struct error *error) MUST_CHECK;

void policy_free(const struct policy *policy);
DEFINE_CLEANUP(const struct policy, policy_free);

/* What a rule is asked about. Borrowed. */
struct policy_subject {
    const struct domain *domain;
    const struct disk *disk;
    uint64_t capacity; /* bytes; 0 = not known: size conditions then do not hold */
};

struct policy_decision {
    const struct policy_rule *rule; /* the first that matches; NULL: none does, the disk stays */
    const struct policy_tier *tier; /* NULL: leave it where it is */
};

/* Pure. */
struct policy_decision policy_decide(const struct policy *policy,
                                     const struct policy_subject *subject);

/* Why: a line a rule, up to and including the one that decided, new string:
 *   rule 'databases' (policy.yaml:21:5): no: cluster is 'flash', the rule wants 'luminous'
 *   rule 'local files' (policy.yaml:24:5): yes: tier 'silver' */
char *policy_explain(const struct policy *policy, const struct policy_subject *subject) MUST_CHECK;

const struct policy_tier *policy_tier(const struct policy *policy, const char *name);
/* The name of the tier that a domain's label asks for, whatever the rules say, where nobody moves
 * it by hand; NULL: there is no label, or no such tier. */
const char *policy_labelled_tier(const struct policy *policy, const char *label);
/* The cluster that an rbd source is in: recognised by a monitor in common (any order, default ports
 * filled in), or by the same conf file; NULL when none is. */
const struct policy_cluster *policy_cluster_of(const struct policy *policy,
                                               const struct disk_source *source);

/* What this network or bridge of another host is called here; NULL: nothing else. */
const char *policy_network(const struct policy *policy, const char *name);

/* The image's name for this disk, new string. ERROR_POLICY when what comes out is not a legal image
 * name (empty, over 96 bytes, or with '/', '@', control characters or a leading '.'). */
char *policy_image_name(const struct policy_tier *tier, const struct domain *domain,
                        const struct disk *disk, struct error *error) MUST_CHECK;

/* Every key that the format knows, as "tiers.*.qos.iops", for the manual's test. */
const char *const *policy_known_keys(size_t *count);

#endif
