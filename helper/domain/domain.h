/* A libvirt domain's XML: read into structs, and disks rewritten to network RBD.
 *
 * A rewrite never re-serialises the document. The parser remembers the byte range of every element
 * of a disk, and a rewrite splices text into the original: whatever is not rewritten stays byte for
 * byte as libvirt printed it, foreign namespaces, comments and white space included. */
#ifndef VP_DOMAIN_DOMAIN_H
#define VP_DOMAIN_DOMAIN_H

#include "base/error.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOMAIN_XML_MAX_BYTES (16u << 20) /* larger input is refused unread */
/* The namespace of <pivot:tier>…</pivot:tier> in <metadata>. */
#define DOMAIN_METADATA_NAMESPACE "urn:virt-pivot:1"
/* The namespace of the disks' sizes, which the agent keeps in the metadata of running domains. One
 * of its own: libvirt keeps one element a namespace (virDomainSetMetadata replaces it whole), and
 * a tier that an operator sets must not take the sizes away, nor the agent his tier. */
#define DOMAIN_SIZES_NAMESPACE "urn:virt-pivot:1:disks"

enum source_type {
    SOURCE_NONE, /* no <source>: an empty drive */
    SOURCE_FILE,
    SOURCE_BLOCK,
    SOURCE_NETWORK,
    SOURCE_VOLUME,
    SOURCE_VHOST_USER,
    SOURCE_OTHER, /* dir, nvme, vdpa: the type's own word is in struct disk's type_name */
};

enum disk_device {
    DEVICE_DISK,
    DEVICE_CDROM,
    DEVICE_FLOPPY,
    DEVICE_LUN,
};

struct network_host {
    char *name;   /* host name or address; IPv6 without brackets; NULL for a Unix socket */
    char *port;   /* NULL: the protocol's default */
    char *socket; /* path, for transport='unix' */
};
DEFINE_VECTOR(network_hosts, struct network_host);

/* Where a disk's bytes are: the identity of a disk, so to say. */
struct disk_source {
    enum source_type type;
    char *path;        /* file= or dev= */
    char *protocol;    /* network: "rbd", "nbd", "iscsi", … */
    char *name;        /* network: for rbd "pool/image" or "pool/namespace/image" */
    char *snapshot;    /* network: <snapshot name=…/> */
    char *config_file; /* rbd: <config file=…/> */
    struct network_hosts hosts;
    char *auth_user;   /* <auth username=…>, inside <source> or directly under <disk> */
    char *secret_uuid; /* exactly one of the two, or none */
    char *secret_usage;
    char *volume_pool; /* volume */
    char *volume;
};

struct disk {
    char *target;      /* "vda": unique in a domain */
    char *bus;         /* NULL when not written (libvirt always writes it) */
    char *type_name;   /* the type= attribute as written */
    char *device_name; /* the device= attribute as written ("disk" when absent) */
    enum disk_device device;
    struct disk_source source;
    char *format; /* <driver type=>: "raw", "qcow2", …; NULL when absent */
    char *cache, *io, *discard, *detect_zeroes;
    char *serial, *alias;
    unsigned backing_depth; /* number of <backingStore> elements with a source below this disk; 0
                               when none is recorded (an inactive definition seldom has them) */
    bool readonly, shareable, transient, encrypted, removable;
    bool has_slices;
    bool has_iothread;                /* of its own, or its SCSI controller has one */
    bool has_iotune;                  /* a non-empty <iotune>, or <throttlefilters> instead of it */
    char *iotune_xml;                 /* the non-empty <iotune> as it stands there; NULL: none */
    bool has_mirror;                  /* a block job is under way (live XML only) */
    bool mirror_ready;                /* <mirror ready='yes'>; 'abort' and 'pivot' leave it false */
    char *mirror_ready_text;          /* the attribute as written, or NULL */
    struct disk_source mirror_source; /* SOURCE_NONE unless has_mirror */
    uint64_t capacity; /* bytes, as the metadata tells (domain_sizes_xml); 0: it does not */
    bool local;        /* a file that only its host can see, as the metadata tells */
};
DEFINE_VECTOR(disks, struct disk);

enum interface_kind {
    INTERFACE_NETWORK, /* <source network=…> */
    INTERFACE_BRIDGE,  /* <source bridge=…> */
    INTERFACE_OTHER,
};
struct interface {
    char *mac; /* lower case; NULL when not written */
    enum interface_kind kind;
    char *source; /* the network's or bridge's name; NULL when not written, or of another kind */
};
DEFINE_VECTOR(interfaces, struct interface);

/* Read-only once parsed. */
struct domain {
    char *xml; /* the text as given */
    size_t xml_length;
    char *name, *uuid; /* uuid in lower case with dashes; NULL when absent */
    char *type;        /* "kvm", "qemu" */
    char *tier_label;  /* <tier xmlns='urn:virt-pivot:1'> anywhere below <metadata>, trimmed */
    size_t sizes;      /* entries that the metadata has about disks' sizes, right or wrong */
    char *nvram;       /* <os><nvram> path, or NULL */
    bool has_tpm_emulator;
    bool tpm_persistent; /* persistent_state='yes' on every emulated TPM */
    bool live;           /* <domain id=…>: the XML of a running guest */
    /* It has what libvirt adds when it starts a guest: <resource><partition>, and <backingStore> in
     * each disk that is a file or block device. In the XML of an incoming migration there is no id,
     * so this is what tells a running guest's; a definition that somebody made from the XML of a
     * running guest has it too. */
    bool started;
    struct disks disks;            /* in document order */
    struct interfaces interfaces;  /* in document order */
    struct element_ranges *ranges; /* private to helper/domain */
};

/* Parses libvirt's XML. Hostile input is expected: no DTD, no entities but the predefined, no
 * network, bounded size and depth, UTF-8 only; a document whose root is not <domain>, a disk
 * without <target dev=>, two disks with one target, or a disk with two of <driver>, <source>,
 * <target>, <backingStore> or <mirror> are ERROR_INPUT with line:column.
 */
int domain_parse(const char *xml, size_t length, struct domain **domain, struct error *error)
    MUST_CHECK;
void domain_free(struct domain *domain);
DEFINE_CLEANUP(struct domain, domain_free);

/* The disk with this target, or NULL. */
const struct disk *domain_disk(const struct domain *domain, const char *target);

void disk_source_clear(struct disk_source *source);
void disk_source_copy(struct disk_source *copy, const struct disk_source *source);
/* Whether both name the same bytes: type and path; or protocol, name and snapshot, and for network
 * sources at least one host in common (or none on either side), default ports filled in. Auth does
 * not count. */
bool disk_source_same(const struct disk_source *a, const struct disk_source *b);
/* Whether it is an image format within an image or export, qcow2 in RBD for one: only QEMU finds
 * the guest's data in it. */
bool disk_is_nested(const struct disk *disk);
/* One line for people, new string: a path, "rbd:pool/image", "nbd://host:port/name",
 * "volume pool/name"; "no source" for an empty drive. */
char *disk_source_describe(const struct disk_source *source) MUST_CHECK;
/* Splits an rbd name at its first and, if there are two, second slash. Each is a new string;
 * *name_space is NULL when there is none. Returns false when there is no slash. */
bool rbd_name_split(const char *name, char **pool, char **name_space, char **image);

/* A place that the XML names for a disk. */
struct named_source {
    char *target; /* which disk */
    struct disk_source source;
    char *format; /* NULL when absent */
    bool is_told; /* the XML tells what it stands on, or that it stands on nothing */
};
DEFINE_VECTOR(named_sources, struct named_source);
void named_sources_clear(struct named_sources *sources);
/* Adds every one: each disk's source, all of its backing chain that is written there, its mirror's.
 */
void domain_named_sources(const struct domain *domain, struct named_sources *sources);

/* What a rewritten disk gets. Strings are borrowed. */
struct rbd_destination {
    const struct network_host *hosts; /* may be 0 hosts when config_file is set */
    size_t host_count;
    const char *config_file; /* NULL: none */
    const char *user;        /* NULL: no <auth> */
    const char *secret_uuid; /* exactly one of these two with a user */
    const char *secret_usage;
    const char *pool, *name_space /* NULL: none */, *image;
};

struct iotune { /* 0 = not set; units as libvirt's <iotune>: per second, bytes and requests */
    unsigned long long total_bytes_sec, read_bytes_sec, write_bytes_sec;
    unsigned long long total_iops_sec, read_iops_sec, write_iops_sec;
    unsigned long long total_bytes_sec_max, total_iops_sec_max;
};

struct disk_rewrite {
    const char *target; /* which disk */
    struct rbd_destination destination;
    const char *cache, *discard, *io, *detect_zeroes; /* NULL: keep what the disk has */
    const struct iotune *iotune; /* NULL, or added when the disk has none of its own */
    const char *iotune_xml;      /* the same as an element that another disk had, instead */
};

/* The domain's XML with these disks on network RBD, a new string.
 *
 * Of each rewritten disk: type='network'; <driver> type='raw' with the given settings, other
 * attributes and children kept, but io='native' and io='io_uring' (file protocols only),
 * discard_no_unref and <metadata_cache> (qcow2 only) dropped; <source> replaced; <auth>,
 * <backingStore> and <mirror> of the old source removed with the white space before them.
 * Everything else is byte-identical. The new elements are indented as the old ones were, and
 * attributes are quoted and ordered as libvirt prints them, so that libvirt's own output after
 * virDomainDefineXML differs in nothing more.
 * The result is read back before it is returned.
 * ERROR_NOT_FOUND when a target is not there; ERROR_UNSUPPORTED when a disk is encrypted (its
 * <encryption> would describe an image that is not there any more); ERROR_INPUT when a target is
 * named twice, or a name cannot be part of an RBD name (empty, '/', '@', control characters). */
int domain_rewrite(const struct domain *domain, const struct disk_rewrite *rewrites, size_t count,
                   char **xml, struct error *error) MUST_CHECK;

struct network_rename {
    const char *mac; /* only the interface with this address; NULL: every one */
    const char *from, *to;
};
/* The domain's XML in which interfaces on the network or bridge `from` are on `to`, a new string;
 * each interface is renamed once, by the first that fits. Nothing but the value of that attribute
 * changes. The result is read back before it is returned. ERROR_INPUT when a name is empty or has
 * control characters. */
int domain_rename_networks(const struct domain *domain, const struct network_rename *renames,
                           size_t count, char **xml, struct error *error) MUST_CHECK;

/* The disk's element as it stands in the document, new string; NULL when there is no such disk. */
char *domain_disk_xml(const struct domain *domain, const char *target) MUST_CHECK;
/* The domain's XML with this element, as domain_disk_xml gives it, in the place of the disk of its
 * target; new string. ERROR_NOT_FOUND when there is no such disk. */
int domain_replace_disk(const struct domain *domain, const char *disk_xml, char **xml,
                        struct error *error) MUST_CHECK;
/* Parses one <disk> element, as domain_disk_xml gives it, into a domain with this one disk and no
 * more. */
int disk_parse(const char *xml, struct domain **holder, struct error *error) MUST_CHECK;

/* The element without the layers below its own, new string: virDomainBlockCopy refuses to be told
 * of them (libvirt qemu_driver.c, qemuDomainBlockCopyCommonValidateUserMirrorBackingStore). A text
 * that is no <disk> element comes back as it is. */
char *disk_without_chain(const char *disk_xml) MUST_CHECK;
/* A <disk> element on a local file or device, new string. */
char *local_disk_xml(const char *path, bool is_device, const char *format, const char *target,
                     const char *bus) MUST_CHECK;

struct disk_capacity {
    const char *target;
    uint64_t bytes;
    bool local; /* a file on a file system that no other host sees */
    const char
        *source; /* which disk it is about, as disk_source_describe; NULL: any of that target */
};
/* The element of DOMAIN_SIZES_NAMESPACE for virDomainSetMetadata, which adds the namespace:
 * <disks><disk target='vda' capacity='1073741824' local='yes' source='/a.raw'/></disks>; new
 * string. It reads back as struct disk's capacity and local, if the disk of that target has that
 * source (metadata is copied with a definition, and stays when a disk is replaced), with and
 * without namespaces on its children; what does not look like that, or is no multiple of 512, is
 * passed over. */
char *domain_sizes_xml(const struct disk_capacity *sizes, size_t count) MUST_CHECK;

/* A stand-alone <disk> document for virDomainBlockCopy, a new string. */
char *rbd_destination_disk_xml(const struct rbd_destination *destination, const char *target,
                               const char *bus) MUST_CHECK;

/* The destination as a source, for comparing with what libvirt shows. Owned by the caller. */
void rbd_destination_source(const struct rbd_destination *destination, struct disk_source *source);

/* An rbd source as a destination; false when it is not network RBD or has no pool/image. Hosts,
 * config file and auth are borrowed from the source; the rest is released by rbd_parts_clear. */
struct rbd_parts {
    struct rbd_destination destination;
    char *pool, *name_space, *image;
};
bool rbd_destination_of_source(const struct disk_source *source, struct rbd_parts *parts);
void rbd_parts_clear(struct rbd_parts *parts);

/* A unified diff (three lines of context, no file header when old equals new: ""), new string. */
char *text_diff(const char *old_name, const char *old_text, const char *new_name,
                const char *new_text) MUST_CHECK;

#endif
