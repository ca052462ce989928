/* Shared by the files of helper/virt only. */
#ifndef VP_VIRT_PRIVATE_H
#define VP_VIRT_PRIVATE_H

#include "virt/virt.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>

DEFINE_CLEANUP(virDomain, virDomainFree);
DEFINE_CLEANUP(virSecret, virSecretFree);
DEFINE_CLEANUP(virError, virFreeError);

struct virt {
    char *uri;       /* as given */
    char *canonical; /* as libvirt writes it */
    virConnectPtr connection;
    int callbacks[4]; /* of virConnectDomainEventRegisterAny; -1: none */

    pthread_t loop;
    int stop_timer;        /* wakes the event loop up for virt_close */
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    bool stop, lost, event;
};

/* Turns libvirt's last error into ours: "WHAT: libvirt's text"; returns -1. */
int virt_error(struct virt *virt, struct error *error, const char *what, ...) PRINTF(3, 4);

/* The handle, or NULL with the error set. */
virDomainPtr virt_lookup(struct virt *virt, const char *uuid, struct error *error);

/* The event thread, and the callbacks that wake virt_wait. */
int virt_events_start(struct virt *virt, struct error *error);
void virt_events_stop(struct virt *virt);
int virt_events_subscribe(struct virt *virt, struct error *error);
void virt_events_unsubscribe(struct virt *virt);

#endif
