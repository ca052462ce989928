/* Shared by the files of helper/virt only. */
#ifndef VP_VIRT_PRIVATE_H
#define VP_VIRT_PRIVATE_H

#include "virt/virt.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>

DEFINE_CLEANUP(virDomain, virDomainFree);
DEFINE_CLEANUP(virSecret, virSecretFree);
DEFINE_CLEANUP(virStoragePool, virStoragePoolFree);
DEFINE_CLEANUP(virStorageVol, virStorageVolFree);
DEFINE_CLEANUP(virError, virFreeError);

#define VIRT_EVENTS 5 /* kinds of them that we may listen to */

struct virt {
    char *uri;       /* as given */
    char *canonical; /* as libvirt writes it */
    virConnectPtr connection;
    int callbacks[VIRT_EVENTS]; /* of virConnectDomainEventRegisterAny; -1: none */

    pthread_t loop;
    int stop_timer;        /* wakes the event loop up for virt_close */
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    bool stop, lost, event;
    bool collecting; /* virt_collect_changes was called */
    bool missed;     /* changes may be incomplete */
    int changes_fd;  /* an eventfd for who polls; -1: none */
    struct virt_changes changes;
    char watched[VIRT_UUID_TEXT]; /* by virt_watch_runs; "": none */
    bool watched_ran, watched_defined, watched_missed;
};

/* Turns libvirt's last error into ours: "WHAT: libvirt's text"; returns -1. */
int virt_error(struct virt *virt, struct error *error, const char *what, ...) PRINTF(3, 4);

/* The handle, or NULL with the error set. */
virDomainPtr virt_lookup(struct virt *virt, const char *uuid, struct error *error);

/* Beside the values of VIR_DOMAIN_JOB_OPERATION. */
enum virt_job { VIRT_JOB_NONE = -1, VIRT_JOB_UNREADABLE = -2 };
/* Whether a domain's guest is still to come; the job has been read before the state. */
bool virt_is_arriving(int job, int state, int reason);
/* Whether a lifecycle event tells of a guest that ran here or came here. */
bool virt_event_shows_guest(int event, int detail);
/* Whether it tells of one that a migration has brought here, and that runs. */
bool virt_event_shows_arrival(int event, int detail);

/* The event thread, and the callbacks that wake virt_wait. */
int virt_events_start(struct virt *virt, struct error *error);
void virt_events_stop(struct virt *virt);
int virt_events_subscribe(struct virt *virt, struct error *error);
void virt_events_unsubscribe(struct virt *virt);
/* What was collected may be incomplete. */
void virt_events_missed(struct virt *virt);

#endif
