/* A host with a libvirt of its own, in memory that the test and its agents share: virt.h,
 * clusters.h and move_recover as far as the agent calls them. */
#ifndef TESTS_UNIT_AGENT_FAKE_HOST_H
#define TESTS_UNIT_AGENT_FAKE_HOST_H

#include "move/move.h"
#include "virt/virt.h"

#include <pthread.h>

#define FAKE_DOMAINS 6
#define FAKE_DISKS 3
#define FAKE_TEXT 2048

struct fake_disk {
    char target[8];
    const char *type; /* "file", …; NULL: there is none */
    const char *more; /* further elements, "<readonly/>" */
    uint64_t capacity;
    char path[256]; /* "": one that is not there */
};

struct fake_domain {
    bool exists, active, arriving;
    bool mute; /* its QEMU does not answer libvirt */
    char uuid[VIRT_UUID_TEXT], name[64], job[32];
    int id;
    struct fake_disk disks[FAKE_DISKS];
    char tier[64], saved_tier[64]; /* in the live XML, in the definition */
    char sizes[FAKE_TEXT];         /* the element, as it was written last */
    bool forgets_sizes;
    bool changed, ran, arrived; /* to be taken */
    unsigned size_writes, size_reads;
};

enum fake_never_ran { NOT_ASKED, NEVER_RAN, MAY_HAVE_RUN, HAS_ARRIVED };

struct fake_host {
    pthread_mutex_t mutex;
    int events;          /* virt_changes_fd */
    bool up;             /* libvirt's daemon */
    unsigned generation; /* of it: connections to an earlier one are dead */
    bool missed;
    int last_id;
    unsigned calls; /* of libvirt, all told */
    struct fake_domain domains[FAKE_DOMAINS];

    /* move_recover */
    enum move_outcome outcome;
    enum error_code failure; /* ERROR_NONE: none */
    bool asks_never_ran;
    long ran_just_now; /* this domain's event comes while move_recover is at work; 0: none */
    enum fake_never_ran never_ran;
    unsigned settled;
    bool lock_was_held;
};

/* Shared with every process that this one forks. */
struct fake_host *fake_host_new(void);
void fake_host_free(struct fake_host *host);
/* Which one virt_open connects to. */
void fake_host_use(struct fake_host *host);
void fake_host_lock(struct fake_host *host);
void fake_host_unlock(struct fake_host *host);

/* A domain with one disk vda in a file, defined and off; its UUID ends in its number. */
struct fake_domain *fake_define(struct fake_host *host, unsigned number, const char *name);
void fake_start(struct fake_host *host, struct fake_domain *domain);
void fake_stop(struct fake_host *host, struct fake_domain *domain);
/* An event about it, with nothing of its state changed. */
void fake_event(struct fake_host *host, struct fake_domain *domain, bool ran);
/* Its guest runs here now, as a migration has brought it. */
void fake_arrive(struct fake_host *host, struct fake_domain *domain);
void fake_daemon_dies(struct fake_host *host);
void fake_daemon_is_back(struct fake_host *host);

#endif
