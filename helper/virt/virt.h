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
    bool managed_save;
    unsigned snapshots, checkpoints; /* metadata that libvirt keeps */
    char *job; /* a migration, save, dump, snapshot or backup under way: its name; NULL: none */
};
int virt_domain(struct virt *virt, const char *uuid, struct virt_domain *domain,
                struct error *error) MUST_CHECK;
void virt_domain_clear(struct virt_domain *domain);

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
/* Sets the running disk's limits. */
int virt_set_iotune(struct virt *virt, const char *uuid, const char *target,
                    const struct iotune *iotune, struct error *error) MUST_CHECK;

/* A ceph secret's value as the base64 key, new string, to be released with text_burn.
 * ERROR_NOT_FOUND: no such secret or no value; ERROR_DENIED: private, or no right. */
int virt_secret(struct virt *virt, const char *secret, bool is_uuid, char **key,
                struct error *error) MUST_CHECK;

#endif
