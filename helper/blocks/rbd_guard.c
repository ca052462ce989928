#include "blocks/rbd_guard.h"

#include "base/crash.h"
#include "base/thread.h"
#include "base/vector.h"
#include "ceph/private.h"

#include <time.h>

/* QEMU opens its disks when it starts, and lets its guest run some hundred milliseconds later at
 * the earliest, when libvirt has talked to it. */
#define LOOK_MS 25
/* Within this time from a look to the next, no guest is started, writes to its disk and is gone.
 * Less, and an answer that comes late would end a copy of hours. */
#define BLIND_SECONDS 5.0

struct rbd_guard {
    struct ceph_cluster *cluster;
    rbd_image_t image;
    char *name;
    pthread_t thread;
    bool running;

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t ended;
    bool stop;
    bool locked;  /* we hold the lock, or did until somebody broke it */
    bool blind;   /* without the lock, was for too long */
    double asked; /* the last look that was answered began then; 0: none yet */
    char *who;    /* came; NULL: nobody */
};

/* Under the mutex. Returns a negative errno when it cannot be known. */
static int look(struct rbd_guard *guard)
{
    CLEANUP(text_list_clear) struct text_list watchers = {0};
    if (guard->who)
        return 0;
    double begin = ceph_clock();
    int result = ceph_watchers_read(guard->cluster, guard->image, &watchers, NULL);
    if (result < 0)
        return result;
    if (guard->asked > 0 && !guard->locked && ceph_clock() - guard->asked > BLIND_SECONDS)
        guard->blind = true;
    guard->asked = begin;
    if (watchers.count == 0)
        return 0;
    guard->who = ceph_list_text(&watchers);
    if (guard->locked)
        CRASH_AROUND(rbd_lock_release(guard->image));
    guard->locked = false;
    return 0;
}

static void pause_for(struct rbd_guard *guard)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&guard->ended, &guard->mutex, &until);
}

/* A cluster that does not answer is asked again: nobody writes unseen while we have the lock, and
 * without it the next answer tells for how long there was none. */
static void *keep_watch(void *opaque)
{
    struct rbd_guard *guard = opaque;
    pthread_mutex_lock(&guard->mutex);
    while (!guard->stop && !guard->who) {
        look(guard);
        if (!guard->stop && !guard->who)
            pause_for(guard);
    }
    pthread_mutex_unlock(&guard->mutex);
    return NULL;
}

static int in_use(const struct rbd_guard *guard, struct error *error)
{
    error_set(error, ERROR_BUSY, "cluster '%s': %s is in use by %s", guard->cluster->name,
              guard->name, guard->who);
    return error_hint(error, "'rbd status' shows who has it open; the watch of a client that was "
                             "killed goes away within about 30 s");
}

static int unknown(const struct rbd_guard *guard, int result, struct error *error)
{
    return ceph_failure(error, guard->cluster, NULL, result, "%s cannot be asked for its watchers",
                        guard->name);
}

static int was_blind(const struct rbd_guard *guard, struct error *error)
{
    error_set(error, ERROR_BUSY,
              "cluster '%s': for more than 5 s it could not be seen who has %s open, and no "
              "lock of ours kept others from writing",
              guard->cluster->name, guard->name);
    return error_hint(error, "try again when the cluster answers promptly; an image with the "
                             "exclusive-lock feature that we may write is locked meanwhile");
}

/* Whoever has it open would have to give us the lock: so only if nobody has, and once more
 * afterwards. */
static int take(struct rbd_guard *guard, bool lock, struct error *error)
{
    int result = look(guard);
    if (result < 0)
        return unknown(guard, result, error);
    if (guard->who)
        return in_use(guard, error);
    if (!lock)
        return 0;
    result = CRASH_AROUND(rbd_lock_acquire(guard->image, RBD_LOCK_MODE_EXCLUSIVE));
    if (result < 0)
        return ceph_failure(error, guard->cluster, NULL, result, "%s cannot be locked",
                            guard->name);
    guard->locked = true;
    result = look(guard);
    if (result < 0)
        return unknown(guard, result, error);
    return guard->who ? in_use(guard, error) : 0;
}

int rbd_guard_start(struct ceph_cluster *cluster, rbd_image_t image, const char *name, bool lock,
                    struct rbd_guard **result, struct error *error)
{
    struct rbd_guard *guard = NEW(struct rbd_guard);
    guard->cluster = cluster;
    guard->image = image;
    guard->name = text_dup(name);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&guard->mutex, NULL);
    pthread_cond_init(&guard->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (take(guard, lock, error) < 0) {
        rbd_guard_stop(guard);
        return -1;
    }
    int failed = thread_start(&guard->thread, keep_watch, guard);
    guard->running = failed == 0;
    if (failed) {
        rbd_guard_stop(guard);
        return error_set(error, ERROR_FAILED, "cannot start a thread: %s", strerror(failed));
    }
    *result = guard;
    return 0;
}

/* Another client may have broken the lock, if it was long without news of us: then he has had his
 * way with the image, and may be gone again. */
static int still_holds(const struct rbd_guard *guard, struct error *error)
{
    int owner = 0;
    if (!guard->locked)
        return 0;
    int result = rbd_is_exclusive_lock_owner(guard->image, &owner);
    if (result < 0)
        return ceph_failure(error, guard->cluster, NULL, result, "%s cannot be asked for its lock",
                            guard->name);
    return owner ? 0
                 : error_set(error, ERROR_BUSY, "cluster '%s': the lock on %s was taken from us",
                             guard->cluster->name, guard->name);
}

int rbd_guard_check(struct rbd_guard *guard, struct error *error)
{
    pthread_mutex_lock(&guard->mutex);
    int result = look(guard);
    int returned = 0;
    if (guard->who)
        returned = in_use(guard, error);
    else if (result < 0)
        returned = unknown(guard, result, error);
    else if (guard->blind)
        returned = was_blind(guard, error);
    else
        returned = still_holds(guard, error);
    pthread_mutex_unlock(&guard->mutex);
    return returned;
}

void rbd_guard_stop(struct rbd_guard *guard)
{
    pthread_mutex_lock(&guard->mutex);
    guard->stop = true;
    pthread_cond_broadcast(&guard->ended);
    pthread_mutex_unlock(&guard->mutex);
    if (guard->running)
        pthread_join(guard->thread, NULL);
    if (guard->locked)
        CRASH_AROUND(rbd_lock_release(guard->image));
    pthread_cond_destroy(&guard->ended);
    pthread_mutex_destroy(&guard->mutex);
    free(guard->name);
    free(guard->who);
    free(guard);
}
