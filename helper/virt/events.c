#include "base/text.h"
#include "virt/private.h"

#include <errno.h>
#include <time.h>

static void wake(struct virt *virt)
{
    pthread_mutex_lock(&virt->mutex);
    virt->event = true;
    pthread_cond_broadcast(&virt->changed);
    pthread_mutex_unlock(&virt->mutex);
}

static void on_lifecycle(virConnectPtr connection UNUSED, virDomainPtr domain UNUSED,
                         int event UNUSED, int detail UNUSED, void *opaque)
{
    wake(opaque);
}

static void on_block_job(virConnectPtr connection UNUSED, virDomainPtr domain UNUSED,
                         const char *target UNUSED, int type UNUSED, int status UNUSED,
                         void *opaque)
{
    wake(opaque);
}

static void on_close(virConnectPtr connection UNUSED, int reason UNUSED, void *opaque)
{
    struct virt *virt = opaque;
    pthread_mutex_lock(&virt->mutex);
    virt->lost = true;
    pthread_mutex_unlock(&virt->mutex);
    wake(virt);
}

static void on_timer(int timer UNUSED, void *opaque UNUSED)
{
}

static void *run_loop(void *opaque)
{
    struct virt *virt = opaque;
    for (;;) {
        pthread_mutex_lock(&virt->mutex);
        bool stop = virt->stop;
        pthread_mutex_unlock(&virt->mutex);
        if (stop || virEventRunDefaultImpl() < 0)
            return NULL;
    }
}

int virt_events_start(struct virt *virt, struct error *error)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&virt->mutex, NULL);
    pthread_cond_init(&virt->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);

    /* The loop must exist before the connection: virConnectOpen hooks into it. */
    if (virEventRegisterDefaultImpl() < 0)
        return error_set(error, ERROR_FAILED, "cannot set up libvirt's event loop");
    virt->stop_timer = virEventAddTimeout(-1, on_timer, NULL, NULL);
    int failed = pthread_create(&virt->loop, NULL, run_loop, virt);
    if (failed)
        return error_set(error, ERROR_FAILED, "cannot start a thread: %s", strerror(failed));
    return 0;
}

void virt_events_stop(struct virt *virt)
{
    pthread_mutex_lock(&virt->mutex);
    virt->stop = true;
    pthread_mutex_unlock(&virt->mutex);
    virEventUpdateTimeout(virt->stop_timer, 0);
    pthread_join(virt->loop, NULL);
    virEventRemoveTimeout(virt->stop_timer);
    pthread_cond_destroy(&virt->changed);
    pthread_mutex_destroy(&virt->mutex);
}

int virt_events_subscribe(struct virt *virt, struct error *error)
{
    static const struct {
        int id;
        virConnectDomainEventGenericCallback callback;
    } wanted[] = {
        {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
        /* Not BLOCK_JOB, which fires for local paths only (libvirt domain_event.c). */
        {VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, VIR_DOMAIN_EVENT_CALLBACK(on_block_job)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        virt->callbacks[i] = virConnectDomainEventRegisterAny(virt->connection, NULL, wanted[i].id,
                                                              wanted[i].callback, virt, NULL);
        if (virt->callbacks[i] < 0)
            return virt_error(virt, error, "cannot listen to libvirt's events");
    }
    /* Not every driver can keep alive or report a close (test:///default cannot): both are a help,
     * not a condition. */
    virConnectSetKeepAlive(virt->connection, 5, 6);
    virConnectRegisterCloseCallback(virt->connection, on_close, virt, NULL);
    return 0;
}

void virt_events_unsubscribe(struct virt *virt)
{
    for (size_t i = 0; i < ARRAY_SIZE(virt->callbacks); i++) {
        if (virt->callbacks[i] >= 0)
            virConnectDomainEventDeregisterAny(virt->connection, virt->callbacks[i]);
        virt->callbacks[i] = -1;
    }
    virConnectUnregisterCloseCallback(virt->connection, on_close);
}

void virt_wait(struct virt *virt, unsigned milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&virt->mutex);
    while (!virt->event &&
           pthread_cond_timedwait(&virt->changed, &virt->mutex, &until) != ETIMEDOUT)
        ;
    virt->event = false;
    pthread_mutex_unlock(&virt->mutex);
}
