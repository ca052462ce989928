/* libvirt, as virt-pivot uses it: the adapter over virConnect and virDomain.
 *
 * Domains are named by UUID: a name may change under us. Events only wake the waiter up; what is
 * true is always read again. libvirt's event loop runs in a thread of its own, so that keepalive
 * answers go out while the caller is busy elsewhere.
 *
 * When the daemon goes away every call fails with ERROR_DISCONNECTED until virt_reconnect. */
#ifndef VP_VIRT_VIRT_H
#define VP_VIRT_VIRT_H

#include "base/error.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stdint.h>

#define VIRT_UUID_TEXT 37 /* with dashes and the final NUL */

struct virt;

int virt_open(const char *uri, struct virt **virt, struct error *error) MUST_CHECK;
void virt_close(struct virt *virt);
DEFINE_CLEANUP(struct virt, virt_close);

bool virt_connected(struct virt *virt);
/* The connection's URI as libvirt itself writes it; lives as long as virt. */
const char *virt_uri(const struct virt *virt);
/* Connects anew, trying once a second for so long. Success at once when still connected. */
int virt_reconnect(struct virt *virt, unsigned seconds, struct error *error) MUST_CHECK;

/* Sleeps until an event of any domain or of the connection arrives, at most so long. */
void virt_wait(struct virt *virt, unsigned milliseconds);

/* ---- for a service: what happened, domain by domain ---- */

struct virt_change {
    char uuid[VIRT_UUID_TEXT];
    /* The last event of each kind, in seconds since the epoch; 0: none. */
    int64_t ran_at; /* its guest ran here, or came here paused by a migration (LIFECYCLE RESUMED,
                       SUSPENDED, STARTED other than by a migration) */
    int64_t arrived_at; /* it ran here as a migration's destination (RESUMED by one) */
    int64_t stopped_at; /* LIFECYCLE STOPPED */
};
DEFINE_VECTOR(virt_changes, struct virt_change);
/* The later events count. */
static inline void virt_change_add(struct virt_change *change, const struct virt_change *later)
{
    change->ran_at = later->ran_at ? later->ran_at : change->ran_at;
    change->arrived_at = later->arrived_at ? later->arrived_at : change->arrived_at;
    change->stopped_at = later->stopped_at ? later->stopped_at : change->stopped_at;
}
/* From now on remembers which domains events were about: lifecycle, block jobs, metadata, devices
 * attached and detached. */
void virt_collect_changes(struct virt *virt);
/* Moves what was collected into changes, each domain at most once. *all is true at the first call
 * and after every reconnection: events may have been missed, look at every domain. */
void virt_take_changes(struct virt *virt, struct virt_changes *changes, bool *all);
/* Becomes readable (poll) when there is something to take or the connection is lost;
 * virt_take_changes empties it. -1 before virt_collect_changes. */
int virt_changes_fd(const struct virt *virt);

struct virt_uuid {
    char text[VIRT_UUID_TEXT];
};
DEFINE_VECTOR(virt_uuids, struct virt_uuid);
/* Adds every domain, running, defined, or just arriving. */
int virt_list(struct virt *virt, struct virt_uuids *uuids, struct error *error) MUST_CHECK;

struct virt_versions { /* major * 1000000 + minor * 1000 + release, as libvirt counts */
    unsigned long libvirt, hypervisor;
};
int virt_versions(struct virt *virt, struct virt_versions *versions, struct error *error)
    MUST_CHECK;
/* Whether the daemon runs on this very machine as this machine's system instance: then its hooks
 * folder is worth a look. */
bool virt_is_local(struct virt *virt);

/* Finds a domain by name, UUID or (running) id; ERROR_NOT_FOUND. */
int virt_find(struct virt *virt, const char *name, char uuid[VIRT_UUID_TEXT], struct error *error)
    MUST_CHECK;

struct virt_domain {
    bool exists; /* all else is false or NULL when not */
    char *name;
    bool active, persistent, paused, autostart;
    bool arriving; /* an incoming migration, offline ones too, or a start that is not through: its
                      guest does not run here yet, and may never */
    bool migrated; /* it runs here since a migration */
    int id;        /* of the running guest: another one at each start; 0 when off */
    bool managed_save;
    unsigned snapshots, checkpoints; /* metadata that libvirt keeps */
    char *job; /* a migration, save, dump, snapshot or backup under way: its name; NULL: none */
};
int virt_domain(struct virt *virt, const char *uuid, struct virt_domain *domain,
                struct error *error) MUST_CHECK;
void virt_domain_clear(struct virt_domain *domain);
/* Whether libvirt can talk to the guest's QEMU just now. False while an earlier question to it has
 * waited for a second: each further one would wait, too, the first without limit. */
bool virt_answers(struct virt *virt, const char *uuid);
/* Whether the domain exists and its guest neither runs nor starts. Waits for no job of libvirt's:
 * virt_domain may, as long as a start takes. */
int virt_is_off(struct virt *virt, const char *uuid, bool *off, struct error *error) MUST_CHECK;

/* ---- whether a domain that is off stays so ---- */

enum virt_runs {
    VIRT_NO_RUN,    /* it was not started since virt_watch_runs */
    VIRT_A_RUN,     /* it was; it may be off again */
    VIRT_RUN_UNSEEN /* the connection was lost meanwhile, and events with it */
};
/* From now on notes the starts of this one domain. */
void virt_watch_runs(struct virt *virt, const char *uuid);
enum virt_runs virt_runs(struct virt *virt);
/* Waits until libvirt has told of a definition of that domain, our own virt_define say; events come
 * in their order, so that of what befell it before, nothing is missing then. False: it was not told
 * in time. */
bool virt_await_defined(struct virt *virt, unsigned milliseconds);

enum virt_xml {
    VIRT_XML_LIVE,
    VIRT_XML_INACTIVE,        /* the persistent definition, to be looked at */
    VIRT_XML_INACTIVE_SECURE, /* the same with its passwords, to be defined again; never MIGRATABLE
                               */
};
/* New string. The secure form may hold a VNC password: never print it, release it with text_burn.
 * ERROR_NOT_FOUND. */
int virt_domain_xml(struct virt *virt, const char *uuid, enum virt_xml which, char **xml,
                    struct error *error) MUST_CHECK;
/* Makes the domain's persistent definition this XML. */
int virt_define(struct virt *virt, const char *xml, struct error *error) MUST_CHECK;
/* Makes a running domain transient; its NVRAM file stays (VIR_DOMAIN_UNDEFINE_KEEP_NVRAM). Never
 * deletes a managed save, a snapshot's metadata or a TPM: fails instead. Success when it is
 * transient already. */
int virt_undefine(struct virt *virt, const char *uuid, struct error *error) MUST_CHECK;
int virt_set_autostart(struct virt *virt, const char *uuid, bool autostart, struct error *error)
    MUST_CHECK;

/* Stops the guest's CPUs, and lets them go on; its disks' jobs go on in either case. Success when
 * they are so already. The caller knows whether it was he who paused it: libvirt does not. */
int virt_suspend(struct virt *virt, const char *uuid, struct error *error) MUST_CHECK;
int virt_resume(struct virt *virt, const char *uuid, struct error *error) MUST_CHECK;

/* Replaces the element of this namespace in the running domain's metadata (its definition stays as
 * it is); the prefix is what libvirt writes before the element's name. Waits up to 30 s if another
 * job has the domain. We get our own METADATA_CHANGE event. */
int virt_set_live_metadata(struct virt *virt, const char *uuid, const char *name_space,
                           const char *prefix, const char *xml, struct error *error) MUST_CHECK;

struct virt_disk_size {
    uint64_t capacity;   /* bytes that the guest sees */
    uint64_t allocation; /* bytes in use, of the whole backing chain as far as libvirt knows it; at
                            most capacity */
};
/* Of a running domain's disk. */
int virt_disk_size(struct virt *virt, const char *uuid, const char *target,
                   struct virt_disk_size *size, struct error *error) MUST_CHECK;

struct virt_disk_latency { /* cumulative since the disk was opened */
    uint64_t requests;     /* reads, writes and flushes */
    uint64_t nanoseconds;
    uint64_t bytes_written;
};
int virt_disk_latency(struct virt *virt, const char *uuid, const char *target,
                      struct virt_disk_latency *latency, struct error *error) MUST_CHECK;

struct virt_mirror_options {
    uint64_t bandwidth; /* bytes per second; 0 = unlimited */
    bool synchronous;   /* SYNCHRONOUS_WRITES; ERROR_UNSUPPORTED before libvirt 8.0 */
    bool transient_job; /* allow it on a persistent domain */
};
/* QEMU keeps 16 operations in flight and cuts the buffer among them (qemu block/mirror.c): 64 MiB
 * make operations of 4 MiB, one whole RBD object each. */
#define VIRT_MIRROR_BUFFER (64ull << 20)

/* Starts a mirror of a disk into what disk_xml names (REUSE_EXT: it must exist with exactly the
 * disk's size). Success means only that the job was accepted: a size mismatch, for one, shows as a
 * failed job later. */
int virt_mirror_start(struct virt *virt, const char *uuid, const char *target, const char *disk_xml,
                      const struct virt_mirror_options *options, struct error *error) MUST_CHECK;

struct virt_mirror {
    bool present;           /* a block job is there */
    uint64_t copied, total; /* bytes; copied == total alone does not mean ready */
    uint64_t bandwidth;
};
int virt_mirror(struct virt *virt, const char *uuid, const char *target, struct virt_mirror *mirror,
                struct error *error) MUST_CHECK;
int virt_mirror_set_bandwidth(struct virt *virt, const char *uuid, const char *target,
                              uint64_t bandwidth, struct error *error) MUST_CHECK;
/* Both only ask, and return at once; what came of it must be read from the live XML.
 * virt_mirror_pivot is ERROR_BUSY while libvirt has not yet seen the job become ready. */
int virt_mirror_pivot(struct virt *virt, const char *uuid, const char *target, struct error *error)
    MUST_CHECK;
/* Success when there is no job. */
int virt_mirror_abort(struct virt *virt, const char *uuid, const char *target, struct error *error)
    MUST_CHECK;

struct iotune;
/* Sets the running disk's limits; takes them away when all are 0. */
int virt_set_iotune(struct virt *virt, const char *uuid, const char *target,
                    const struct iotune *iotune, struct error *error) MUST_CHECK;

/* The path of a volume in one of libvirt's storage pools, new string. ERROR_NOT_FOUND when there is
 * no such pool or volume, or the pool is not active. */
int virt_volume_path(struct virt *virt, const char *pool, const char *volume, char **path,
                     struct error *error) MUST_CHECK;

/* A ceph secret's value as the base64 key, new string, to be released with text_burn.
 * ERROR_NOT_FOUND: no such secret or no value; ERROR_DENIED: private, or no right. */
int virt_secret(struct virt *virt, const char *secret, bool is_uuid, char **key,
                struct error *error) MUST_CHECK;

#endif
