#include "base/text.h"
#include "base/thread.h"
#include "virt/private.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>

static void wake(struct virt *virt)
{
    pthread_mutex_lock(&virt->mutex);
    virt->event = true;
    pthread_cond_broadcast(&virt->changed);
    if (virt->changes_fd >= 0)
        eventfd_write(virt->changes_fd, 1);
    pthread_mutex_unlock(&virt->mutex);
}

/* A migration's destination emits (qemu_migration.c of libvirt 7.0, 9.0 and 11.3; seen on 9.0, but
 * for an offline migration that is given up and a Finish that fails after DEFINED):
 *
 *   nothing                Prepare failed (qemuMigrationDstPrepareActive); an offline migration was
 *                          given up; the daemon was killed and killed QEMU when it came back, as it
 *                          does unless QEMU runs the guest (qemuProcessRecoverMigrationIn)
 *   STARTED, MIGRATED      Prepare succeeded: QEMU waits, the guest runs at its source
 *   DEFINED                Finish, if it becomes persistent (qemuMigrationDstPersist): before the
 *                          guest runs, and before it is known whether it will
 *   RESUMED, MIGRATED      Finish, when QEMU runs the guest (qemuProcessHandleResume)
 *   RESUMED, POSTCOPY      the same of a post-copy migration; RESUMED, MIGRATED comes at its end
 *   SUSPENDED, PAUSED      Finish of a guest that was migrated paused (qemuMigrationDstComplete):
 *                          there is no RESUMED then
 *   STOPPED, FAILED        Finish failed or the migration was cancelled; QEMU died. After DEFINED
 *                          the definition stays (qemuDomainRemoveInactive)
 *   STOPPED, DESTROYED     who drove the migration went away (qemuProcessAutoDestroy)
 *
 * SHUTDOWN may come before either STOPPED, though the guest has never run. */
bool virt_event_shows_guest(int event, int detail)
{
    return event == VIR_DOMAIN_EVENT_RESUMED || event == VIR_DOMAIN_EVENT_SUSPENDED ||
           (event == VIR_DOMAIN_EVENT_STARTED && detail != VIR_DOMAIN_EVENT_STARTED_MIGRATED);
}

/* A guest that was migrated paused is not told from one that was started here and suspended. */
bool virt_event_shows_arrival(int event, int detail)
{
    return event == VIR_DOMAIN_EVENT_RESUMED && (detail == VIR_DOMAIN_EVENT_RESUMED_MIGRATED ||
                                                 detail == VIR_DOMAIN_EVENT_RESUMED_POSTCOPY);
}

static struct virt_change *change_of(struct virt_changes *changes, const char *uuid)
{
    for (size_t i = 0; i < changes->count; i++)
        if (strcmp(changes->items[i].uuid, uuid) == 0)
            return &changes->items[i];
    struct virt_change *change = virt_changes_add(changes);
    memcpy(change->uuid, uuid, sizeof(change->uuid));
    return change;
}

/* The domain is the caller's: libvirt releases it after the callback. */
static void note(struct virt *virt, virDomainPtr domain, const struct virt_change *what)
{
    char uuid[VIRT_UUID_TEXT];
    bool named = virDomainGetUUIDString(domain, uuid) == 0;
    pthread_mutex_lock(&virt->mutex);
    if (virt->collecting && named)
        virt_change_add(change_of(&virt->changes, uuid), what);
    pthread_mutex_unlock(&virt->mutex);
    wake(virt);
}

/* All that happens to a domain that is off is its definition, or the end of it. */
static void note_watched(struct virt *virt, virDomainPtr domain, int event)
{
    char uuid[VIRT_UUID_TEXT];
    bool named = virDomainGetUUIDString(domain, uuid) == 0;
    pthread_mutex_lock(&virt->mutex);
    if (named && strcmp(uuid, virt->watched) == 0) {
        virt->watched_defined |= event == VIR_DOMAIN_EVENT_DEFINED;
        virt->watched_ran |=
            event != VIR_DOMAIN_EVENT_DEFINED && event != VIR_DOMAIN_EVENT_UNDEFINED;
        pthread_cond_broadcast(&virt->changed);
    }
    pthread_mutex_unlock(&virt->mutex);
}

static void on_lifecycle(virConnectPtr connection UNUSED, virDomainPtr domain, int event,
                         int detail, void *opaque)
{
    note_watched(opaque, domain, event);
    int64_t now = time(NULL); /* who takes it may be busy */
    const struct virt_change what = {
        .ran_at = virt_event_shows_guest(event, detail) ? now : 0,
        .arrived_at = virt_event_shows_arrival(event, detail) ? now : 0,
        .stopped_at = event == VIR_DOMAIN_EVENT_STOPPED ? now : 0,
    };
    note(opaque, domain, &what);
}

static void on_block_job(virConnectPtr connection UNUSED, virDomainPtr domain,
                         const char *target UNUSED, int type UNUSED, int status UNUSED,
                         void *opaque)
{
    note(opaque, domain, &(struct virt_change){0});
}

static void on_metadata(virConnectPtr connection UNUSED, virDomainPtr domain, int type UNUSED,
                        const char *name_space UNUSED, void *opaque)
{
    note(opaque, domain, &(struct virt_change){0});
}

static void on_device(virConnectPtr connection UNUSED, virDomainPtr domain,
                      const char *alias UNUSED, void *opaque)
{
    note(opaque, domain, &(struct virt_change){0});
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
    int failed = thread_start(&virt->loop, run_loop, virt);
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

static int register_wanted(struct virt *virt, struct error *error)
{
    static const struct {
        virConnectDomainEventGenericCallback callback;
        int id;
        bool for_collecting;
    } kinds[VIRT_EVENTS] = {
        {VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), VIR_DOMAIN_EVENT_ID_LIFECYCLE, false},
        /* Not BLOCK_JOB, which fires for local paths only (libvirt domain_event.c). */
        {VIR_DOMAIN_EVENT_CALLBACK(on_block_job), VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, false},
        {VIR_DOMAIN_EVENT_CALLBACK(on_metadata), VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, true},
        {VIR_DOMAIN_EVENT_CALLBACK(on_device), VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, true},
        {VIR_DOMAIN_EVENT_CALLBACK(on_device), VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, true},
    };
    for (size_t i = 0; i < VIRT_EVENTS; i++) {
        if (virt->callbacks[i] >= 0 || (kinds[i].for_collecting && !virt->collecting))
            continue;
        virt->callbacks[i] = virConnectDomainEventRegisterAny(virt->connection, NULL, kinds[i].id,
                                                              kinds[i].callback, virt, NULL);
        if (virt->callbacks[i] < 0)
            return virt_error(virt, error, "cannot listen to libvirt's events");
    }
    return 0;
}

int virt_events_subscribe(struct virt *virt, struct error *error)
{
    if (register_wanted(virt, error) < 0)
        return -1;
    /* Not every driver can keep alive or report a close (test:///default cannot): both are a help,
     * not a condition. */
    virConnectSetKeepAlive(virt->connection, 5, 6);
    virConnectRegisterCloseCallback(virt->connection, on_close, virt, NULL);
    return 0;
}

void virt_events_unsubscribe(struct virt *virt)
{
    for (size_t i = 0; i < VIRT_EVENTS; i++) {
        if (virt->callbacks[i] >= 0)
            virConnectDomainEventDeregisterAny(virt->connection, virt->callbacks[i]);
        virt->callbacks[i] = -1;
    }
    virConnectUnregisterCloseCallback(virt->connection, on_close);
}

static struct timespec in_milliseconds(unsigned milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return until;
}

void virt_watch_runs(struct virt *virt, const char *uuid)
{
    pthread_mutex_lock(&virt->mutex);
    snprintf(virt->watched, sizeof(virt->watched), "%s", uuid);
    virt->watched_ran = virt->watched_defined = virt->watched_missed = false;
    pthread_mutex_unlock(&virt->mutex);
}

enum virt_runs virt_runs(struct virt *virt)
{
    bool connected = virt_connected(virt);
    pthread_mutex_lock(&virt->mutex);
    enum virt_runs runs = virt->watched_ran                    ? VIRT_A_RUN
                          : virt->watched_missed || !connected ? VIRT_RUN_UNSEEN
                                                               : VIRT_NO_RUN;
    pthread_mutex_unlock(&virt->mutex);
    return runs;
}

bool virt_await_defined(struct virt *virt, unsigned milliseconds)
{
    struct timespec until = in_milliseconds(milliseconds);
    pthread_mutex_lock(&virt->mutex);
    while (!virt->watched_defined && !virt->lost &&
           pthread_cond_timedwait(&virt->changed, &virt->mutex, &until) != ETIMEDOUT)
        ;
    bool defined = virt->watched_defined;
    virt->watched_defined = false;
    pthread_mutex_unlock(&virt->mutex);
    return defined;
}

void virt_wait(struct virt *virt, unsigned milliseconds)
{
    struct timespec until = in_milliseconds(milliseconds);
    pthread_mutex_lock(&virt->mutex);
    while (!virt->event &&
           pthread_cond_timedwait(&virt->changed, &virt->mutex, &until) != ETIMEDOUT)
        ;
    virt->event = false;
    pthread_mutex_unlock(&virt->mutex);
}

void virt_events_missed(struct virt *virt)
{
    pthread_mutex_lock(&virt->mutex);
    virt->missed = true;
    virt->watched_missed = true;
    bool collecting = virt->collecting;
    pthread_mutex_unlock(&virt->mutex);
    if (collecting)
        wake(virt);
}

void virt_collect_changes(struct virt *virt)
{
    pthread_mutex_lock(&virt->mutex);
    virt->collecting = true;
    if (virt->changes_fd < 0)
        virt->changes_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_unlock(&virt->mutex);
    virt_events_missed(virt);
    if (!virt_connected(virt))
        return; /* virt_reconnect subscribes to all that is wanted */
    AUTO_ERROR struct error error = {0};
    if (register_wanted(virt, &error) == 0)
        return;
    /* A connection without these events is no better than none: it is made anew, and if it fails
     * again, then virt_reconnect says why. */
    pthread_mutex_lock(&virt->mutex);
    virt->lost = true;
    pthread_mutex_unlock(&virt->mutex);
}

void virt_take_changes(struct virt *virt, struct virt_changes *changes, bool *all)
{
    pthread_mutex_lock(&virt->mutex);
    for (size_t i = 0; i < virt->changes.count; i++) {
        const struct virt_change *taken = &virt->changes.items[i];
        virt_change_add(change_of(changes, taken->uuid), taken);
    }
    virt->changes.count = 0;
    *all = virt->missed;
    virt->missed = false;
    eventfd_t count;
    if (virt->changes_fd >= 0)
        eventfd_read(virt->changes_fd, &count);
    pthread_mutex_unlock(&virt->mutex);
}

int virt_changes_fd(const struct virt *virt)
{
    return virt->changes_fd;
}
