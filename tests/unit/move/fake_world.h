/* A libvirt with one guest, a QEMU, and two Ceph clusters, in memory.
 *
 * It implements virt.h and ceph.h (fake_libvirt.c, fake_ceph.c) and is linked instead of them. It
 * behaves as the real ones were seen to: a job's end writes the retained definition to libvirt's
 * disk, undefining removes the autostart link, QEMU pivots before libvirt hears of it, a job that
 * is being ended can neither be pivoted nor aborted, a killed client's watch lasts 30 s.
 *
 * Time is virtual: a call takes a millisecond, virt_wait as long as it is told. While it passes the
 * guest writes, each write being acknowledged, and the mirrors copy.
 *
 * A kill is a jump out of the call to where the life began, past every clean-up (or, in a child,
 * the end of the process): the world is left as the real one would be. */
#ifndef TESTS_UNIT_MOVE_FAKE_WORLD_H
#define TESTS_UNIT_MOVE_FAKE_WORLD_H

#include "ceph/ceph.h"
#include "domain/domain.h"
#include "journal/faulty_disk.h"
#include "virt/virt.h"

#include <setjmp.h>

#define FAKE_UUID "c7a5fdbd-cdaf-9455-926a-d65c16db1809"
#define FAKE_NAME "db-1"
#define FAKE_NEIGHBOUR "1d0e8a3c-52c6-4d4c-a0ab-0b3b6c2f9d11" /* another domain of the host */
#define FAKE_DISKS 3
#define FAKE_IMAGES 12
#define FAKE_WRITES 4096
#define FAKE_XML 8192
#define FAKE_CALLS 8192
#define FAKE_EVENTS 3
#define FAKE_KILLED 137
#define FAKE_EPOCH 1700000000 /* some day in 2023: when every fake world began */

#define OLD_FEATURES 1ull /* layering only: holes cannot be seen */

/* ---- what is there ---- */

enum fake_where { ON_HOST, ON_OTHER_HOST, IN_OLD_CLUSTER, IN_NEW_CLUSTER };

struct fake_writes {
    uint64_t bits[FAKE_WRITES / 64];
};

struct fake_image {
    bool exists;
    bool trashed; /* then it does not exist, but can be brought back: */
    int64_t trashed_until;
    bool torn; /* parts of it were removed */
    enum fake_where where;
    char name[96];  /* a path, or pool[/namespace]/image */
    char token[72]; /* "": not made by virt-pivot */
    uint64_t size, features;
    struct fake_writes content;
    bool written_over; /* a mirror into it was begun: what it held is gone */
    char snapshot[64]; /* "": none */
    struct fake_writes captured;
    bool captured_right;       /* as the source was then: what comparing them must find */
    int64_t stale_watch_until; /* of a client that was killed */
    bool opened_for_snapshot;  /* by virt-pivot, which watches it as long as it lives */
    unsigned opened;           /* so often by a QEMU */
    unsigned guarded;          /* by virt-pivot, open with a watch */
    bool written;              /* by virt-pivot, which holds its lock */
    struct fake_writes begun;  /* what the source was when the copy onto it began */
    bool qos_set;
    struct ceph_qos qos;
    bool held;         /* somebody else has it open */
    bool migrated;     /* the source of a migration: in the trash, and nobody can write to it */
    int from;          /* the target of one: its source, from 1; 0: of none */
    bool executed;     /* and all its data are there */
    unsigned children; /* clones of its snapshots */
    bool cannot_hide;  /* a file: see struct file_disk */
    char backing[96];  /* a file's; "": none */
};

enum fake_job {
    JOB_NONE,
    JOB_COPYING,
    JOB_READY,
    JOB_PIVOTING, /* asked for */
    JOB_PIVOTED,  /* QEMU has, libvirt does not know */
    JOB_ABORTING,
};

struct fake_mirror {
    enum fake_job job;
    char type[16], format[8]; /* of the disk that it was started with */
    int image;
    int64_t since; /* when it came into this state */
    bool shown_ready;
    bool synchronous;
    uint64_t copied, total, bandwidth;
    double fraction;  /* of a byte, not counted yet */
    char source[512]; /* the <source> element it was started with */
};

struct fake_disk {
    char target[8];
    int source; /* the image that it was made with */
    int live;   /* the image that QEMU writes to; -1: the guest is off */
    int shown;  /* the image that libvirt believes it to be */
    char shown_type[16], shown_format[8];
    char shown_source[768]; /* the live XML's <source> … </backingStore> */
    struct fake_mirror mirror;
    struct fake_writes acknowledged;
    struct fake_writes before_pivot; /* what was acknowledged until QEMU pivoted */
    unsigned next_write;
    uint64_t requests, nanoseconds, bytes_written;
    bool detached; /* the guest has it no more */
    struct iotune iotune;
    bool iotune_set;
};

/* A guest of another host that migrates here: libvirt copies its disks, we do not. The other host
 * is no part of this world but for the guest's writes and the files they are in. */
struct fake_journey {
    bool away;              /* the guest runs on the other host */
    bool arriving;          /* QEMU waits for it here, with its disks open: */
    int images[FAKE_DISKS]; /* -1: none that exists */
    bool ran_here;          /* it came, whatever became of it since */
    bool offline;           /* its definition came, with the images, and no data */
    bool was_started;       /* here, from a definition */
    unsigned tries;         /* how often the hook was called */
    int64_t left_at;        /* when it, or the QEMU that waited for it, ended here last */
    char handed[FAKE_XML];  /* what libvirt has from the hook; "": it was refused */
    char cookie[FAKE_XML];  /* the definition that comes along; "": the guest is transient here */
    char interfaces[1024];  /* of the running guest */
};

/* ---- what happens ---- */

enum fake_call {
    CALL_NONE,
    CALL_LIST,
    CALL_DOMAIN,
    CALL_XML_LIVE,
    CALL_XML_INACTIVE,
    CALL_DEFINE,
    CALL_UNDEFINE,
    CALL_AUTOSTART,
    CALL_DISK_SIZE,
    CALL_LATENCY,
    CALL_MIRROR_START,
    CALL_MIRROR,
    CALL_BANDWIDTH,
    CALL_PIVOT,
    CALL_ABORT,
    CALL_IOTUNE,
    CALL_SUSPEND,
    CALL_RESUME,
    CALL_IS_OFF,
    CALL_AWAIT_DEFINED,
    CALL_VOLUME,
    CALL_SECRET,
    CALL_VERSIONS,
    CALL_WAIT,
    CALL_RECONNECT,
    CALL_CONNECT,
    CALL_HEALTH,
    CALL_POOL,
    CALL_NAMESPACE,
    CALL_IMAGE,
    CALL_CREATE,
    CALL_CREATE_RENAME, /* within a creation: the draft is there, and gets its name now */
    CALL_REMOVE,
    CALL_TRASH,
    CALL_WATCHERS,
    CALL_FAST_DIFF,
    CALL_DISABLE,
    CALL_QOS,
    CALL_SNAPSHOT,
    CALL_SNAPSHOT_REMOVE,
    CALL_SNAPSHOT_LOOK,
    CALL_SOURCE_TRASH,
    CALL_SOURCE_RESTORE,
    CALL_SOURCE_REMOVE,
    CALL_SOURCE_HALF, /* within a removal */
    CALL_SOURCE_LOOK,
    CALL_MIGRATION_PREPARE,
    CALL_MIGRATION_HALF, /* within a preparation, or its way back, or a commitment */
    CALL_MIGRATION_ABORT,
    CALL_MIGRATION_EXECUTE,
    CALL_MIGRATION_COMMIT,
    CALL_MIGRATION_LOOK,
    CALL_BLOCKS_OPEN,
    CALL_BLOCKS_IDLE,
    CALL_BLOCKS_COMPARE, /* at its beginning, and each time it tells its progress */
    CALL_BLOCKS_COPY,    /* likewise */
    CALL_FILE_LOOK,      /* from here on no cluster is asked */
    CALL_FILE_HOLDER,
    CALL_FILE_RENAME,
    CALL_FILE_REMOVE,
    CALL_FILE_BACKING,
    CALL_KINDS,
};
const char *fake_call_name(enum fake_call call);
bool fake_call_is_libvirts(enum fake_call call);
/* Whether it changes anything: then it matters whether an answer was lost after it had been done.
 */
bool fake_call_changes(enum fake_call call);

enum fake_deed {
    DEED_NONE,
    DEED_FAIL,        /* the call fails with this code */
    DEED_DISCONNECT,  /* libvirt's daemon is started anew */
    DEED_KILL,        /* virt-pivot is killed */
    DEED_DESTROY,     /* the guest is */
    DEED_RESET,       /* the guest is rebooted: QEMU stays */
    DEED_RESUME,      /* somebody lets the guest go on, if it is paused */
    DEED_REDEFINE,    /* somebody changes the definition */
    DEED_HOST_REBOOT, /* virt-pivot, libvirt and the guest are gone, the host comes back */
    DEED_START,       /* somebody starts the guest, if it is defined and off */
    DEED_POOL_FULL,
    DEED_DEFINE_OLD,  /* somebody defines it from a file of before the move */
    DEED_OPEN_TARGET, /* another client opens our images */
    DEED_CLUSTER_AWAY,
    DEED_OPEN_SOURCES, /* another process opens the images that are not ours */
    DEED_LIST,         /* libvirt has from the hook what to start, and QEMU waits for the guest */
    DEED_ARRIVE,       /* all of it: the guest runs here */
    DEED_LEAVE,        /* the migration is cancelled, and the guest goes on where it was */
};

struct fake_event {
    enum fake_deed deed;
    long at; /* the number of the call, from 1; 0: by kind: */
    enum fake_call kind;
    long nth;             /* of this kind, from 1; 0: every one */
    bool after;           /* else before it */
    enum error_code code; /* for DEED_FAIL */
};

/* How things go. */
struct fake_ways {
    double copy_rate;   /* bytes a millisecond */
    uint64_t disk_size; /* bytes */
    unsigned ready_lag; /* ms from QEMU's being ready to libvirt's knowing it */
    unsigned pivot_ms;  /* from the demand to QEMU's pivot */
    unsigned settle_ms; /* from there to libvirt's knowing it */
    unsigned abort_ms;
    unsigned down_ms; /* how long the daemon is away */
    unsigned stale_watch_ms;
    double milliseconds_per_request;
    bool guest_idle;   /* it does not write */
    bool full_hangs;   /* a full pool stops the copy, and its end; else the job fails */
    bool stands_still; /* copies make no progress */
    bool pivot_fails[FAKE_DISKS];
    bool pivot_loses[FAKE_DISKS]; /* a write that the guest was promised is not on the target */
    bool copy_fails[FAKE_DISKS];  /* half way */
};

struct fake_world {
    struct fake_ways ways;
    int64_t now;         /* ms */
    int64_t up_at;       /* when the daemon is back */
    unsigned generation; /* of the daemon: a connection of an older one is dead */

    bool active, persistent, autostart;
    bool paused;            /* its CPUs stand still */
    bool was_paused;        /* by somebody else, who means it */
    int64_t paused_at;      /* ms */
    int64_t guard_at;       /* ms: then the process that watches over us lets it go on; 0 */
    unsigned longest_pause; /* ms */
    bool managed_save;
    unsigned snapshots, checkpoints;
    char job[32];
    char defined[FAKE_XML];  /* the persistent definition; of a transient guest, what is retained */
    char config[FAKE_XML];   /* libvirt's file on disk; "": none */
    char original[FAKE_XML]; /* the definition before the move, or somebody's later one; of a guest
                                that migrates here, as the other host has it */
    bool was_persistent, was_autostart, redefined;
    bool was_off;  /* when the move began */
    unsigned runs; /* starts so far */
    bool in_doubt; /* the guest stopped between the demand for a pivot and libvirt's knowing it */
    bool persistent_at_stop; /* when the guest stopped last */
    bool stale_start;        /* the guest was started from a definition without its last writes */
    unsigned id; /* of the running domain: every start gives a new one, but a host counts anew */
    bool host_restarted;
    unsigned long libvirt_version, hypervisor_version;
    struct fake_journey journey;
    char neighbour_live[FAKE_XML], neighbour_defined[FAKE_XML]; /* "": off; not defined */

    size_t disk_count;
    struct fake_disk disks[FAKE_DISKS];
    struct fake_image images[FAKE_IMAGES];
    bool pool_full;
    bool cluster_away;     /* the new one answers nobody */
    bool foreign_watchers; /* of every image of ours */
    bool pivot_by_hand;    /* of the first disk, by somebody else, as soon as it is ready */
    long restart_every;    /* the daemon is, with every so-manieth reading of a latency; 0: never */
    uint64_t pool_free;
    bool nearly_full; /* says the clusters' health */

    jmp_buf *death; /* where a kill leads; NULL: to the end of the process */
    struct fake_event events[FAKE_EVENTS];
    long calls, calls_of[CALL_KINDS];
    unsigned char kinds[FAKE_CALLS]; /* of each call made */
    char violation[256];             /* the first thing that must never happen, and did */
    struct faulty_disk journal_disk;
};

/* A running guest with so many disks: vda on RBD in the old cluster, vdb a qcow2 file with a
 * backing file, vdc a raw file. Persistent, autostart set. */
void fake_world_set(struct fake_world *world, size_t disks);
/* Shuts the guest down: its definition is all there is. */
void fake_world_make_idle(struct fake_world *world);
/* Makes all disks of a guest that is off images of the old cluster. */
void fake_world_make_images(struct fake_world *world);
/* Makes it transient, as `virsh create` would have. */
void fake_world_make_transient(struct fake_world *world);
/* Makes it another host's, with two interfaces, on network "office" and bridge "br-a"; its files
 * are there. `lasting`: a definition will come with it. This host does not know it yet. */
void fake_world_make_distant(struct fake_world *world, bool lasting);
/* What the hook has printed: libvirt goes on with it; "": the hook has refused the migration. */
void fake_journey_hand(struct fake_world *world, const char *xml);
/* Lets time pass. */
void fake_world_run(struct fake_world *world, unsigned milliseconds);
/* virt-pivot is over, and whoever watched over it notices. */
void fake_world_guard(struct fake_world *world);
/* virt-pivot is over: what it would have counted starts anew. */
void fake_world_forget_calls(struct fake_world *world);
void fake_world_happen(struct fake_world *world, enum fake_deed deed);

/* The clocks that virt-pivot sees are this world's, and so are the files that it opens. */
void fake_clock_follow(const struct fake_world *world);
void fake_blocks_follow(struct fake_world *world);
void fake_files_follow(struct fake_world *world);

/* New strings, as libvirt prints them. */
char *fake_live_xml(const struct fake_world *world);
char *fake_inactive_xml(const struct fake_world *world, bool secure);

/* Which image that is; -1: none. */
int fake_image_of_source(const struct fake_world *world, const struct disk_source *source);
int fake_image_find(const struct fake_world *world, enum fake_where where, const char *name);
int fake_image_add(struct fake_world *world, enum fake_where where, const char *name,
                   uint64_t size);
/* Which image a definition names for this disk; -1: none that exists. */
int fake_image_defined(const struct fake_world *world, const char *xml, const char *target);
size_t fake_watchers(const struct fake_world *world, int image, struct text_list *watchers);
bool fake_writes_contain(const struct fake_writes *all, const struct fake_writes *some);
void fake_writes_add(struct fake_writes *all, const struct fake_writes *more);

/* ---- for fake_*.c ---- */

/* A connection to a cluster, and which image there that is; -1: none. */
struct ceph_cluster {
    struct fake_world *world;
    enum fake_where where;
};
/* New string. */
char *fake_image_id(int image);
int fake_ceph_find(const struct ceph_cluster *cluster, const struct ceph_image_name *name);
/* A violation if it may not, whatever virt-pivot thinks that it knows. */
void fake_check_may_go(struct fake_world *world, int image, bool for_good);

/* A connection to libvirt. */
struct virt {
    struct fake_world *world;
    unsigned generation;
    unsigned watched_runs, watched_generation; /* virt_watch_runs */
};
void fake_virt_connect(struct virt *virt, struct fake_world *world);

/* Before and after what a call does. enter returns -1 when it is not to happen; leave passes the
 * result on, unless the answer gets lost. */
int fake_enter(struct fake_world *world, enum fake_call call, struct error *error);
int fake_leave(struct fake_world *world, enum fake_call call, int result, struct error *error);
void fake_world_unpause(struct fake_world *world);
void fake_violate(struct fake_world *world, const char *format, ...) PRINTF(2, 3);
void fake_set(char *field, size_t room, const char *text);
#define FAKE_SET(field, text) fake_set(field, sizeof(field), text)
struct fake_disk *fake_disk(struct fake_world *world, const char *target);
/* QEMU opens the disk as it stands in this XML; false when there is no such image. */
bool fake_disk_open(struct fake_world *world, struct fake_disk *disk, const char *xml);
/* fake_journey.c */
void fake_journey_list(struct fake_world *world);
void fake_journey_arrive(struct fake_world *world);
void fake_journey_leave(struct fake_world *world);
/* The watches of whoever is killed stay for a while. */
void fake_blocks_die(struct fake_world *world);
/* libvirt notices that a job is over. */
void fake_job_over(struct fake_world *world, struct fake_disk *disk, bool pivoted);

#endif
