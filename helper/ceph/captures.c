/* Snapshots of several images at one instant. librbd makes one a call, and waits for the monitors
 * in it: so each has a thread. */
#include "base/thread.h"
#include "ceph/image_snapshot.h"

#include <time.h>

/* When nobody needs them any more. */
#define LEAVE_MILLISECONDS 5000

struct capture {
    struct ceph_captures *all;
    const struct ceph_capture_of *of;
    struct ceph_open open;
    pthread_t thread;
    bool started, ended;
    bool left_alone; /* nobody waits for it: it closes what it has by itself */
    int result;
};

struct ceph_captures {
    struct capture *items;
    size_t count, left; /* left: under way */
    pthread_mutex_t lock;
    pthread_cond_t ended;
};

int ceph_captures_open(const struct ceph_capture_of *of, size_t count,
                       struct ceph_captures **captures, struct error *error)
{
    CLEANUP(ceph_captures_closep) struct ceph_captures *fresh = NEW(struct ceph_captures);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&fresh->lock, NULL);
    pthread_cond_init(&fresh->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    fresh->items = memory_new(count, sizeof(*fresh->items));
    while (fresh->count < count) {
        struct capture *capture = &fresh->items[fresh->count];
        *capture = (struct capture){.all = fresh, .of = &of[fresh->count++]};
        if (ceph_snapshots_open(capture->of->cluster, &capture->of->name, &capture->open, error) <
            0)
            return -1;
    }
    *captures = STEAL(fresh);
    return 0;
}

static void *make_one(void *opaque)
{
    struct capture *capture = opaque;
    struct ceph_captures *all = capture->all;
    int result = ceph_snapshot_make(capture->open.image, capture->of->snapshot);
    pthread_mutex_lock(&all->lock);
    capture->result = result;
    capture->ended = true;
    all->left--;
    bool left_alone = capture->left_alone;
    pthread_cond_signal(&all->ended);
    pthread_mutex_unlock(&all->lock);
    if (left_alone)
        ceph_open_close(&capture->open);
    return NULL;
}

static struct timespec after(unsigned milliseconds)
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

static int failed(const struct capture *capture, int result, struct error *error)
{
    const struct ceph_capture_of *of = capture->of;
    AUTO_FREE char *text = ceph_image_text(&of->name);
    return ceph_failure(error, of->cluster, of->name.pool, result,
                        "image %s: snapshot '%s' cannot be made", text, of->snapshot);
}

/* Under the lock. */
static void await_all(struct ceph_captures *captures, const struct timespec *until)
{
    while (captures->left > 0 &&
           pthread_cond_timedwait(&captures->ended, &captures->lock, until) != ETIMEDOUT)
        ;
}

/* Under the lock. */
static int conclude(const struct ceph_captures *captures, unsigned milliseconds,
                    struct error *error)
{
    for (size_t i = 0; i < captures->count; i++)
        if (captures->items[i].started && captures->items[i].result < 0)
            return failed(&captures->items[i], captures->items[i].result, error);
    if (captures->left == 0)
        return 0;
    error_set(error, ERROR_UNREACHABLE,
              "cluster '%s': %zu of %zu snapshots were not made within %u ms",
              captures->items[0].of->cluster->name, captures->left, captures->count, milliseconds);
    return error_hint(error, "'ceph health detail' shows what hangs");
}

int ceph_captures_make(struct ceph_captures *captures, unsigned milliseconds, struct error *error)
{
    const struct timespec until = after(milliseconds);
    pthread_mutex_lock(&captures->lock);
    for (size_t i = 0; i < captures->count; i++) {
        struct capture *capture = &captures->items[i];
        int result = thread_start(&capture->thread, make_one, capture);
        capture->started = result == 0;
        captures->left += capture->started;
        if (result) {
            pthread_mutex_unlock(&captures->lock);
            return failed(capture, -result, error);
        }
    }
    await_all(captures, &until);
    int result = conclude(captures, milliseconds, error);
    pthread_mutex_unlock(&captures->lock);
    return result;
}

static void close_one(struct capture *capture)
{
    if (capture->started && !capture->ended) {
        capture->left_alone = true;
        pthread_detach(capture->thread);
        ceph_leave_stuck(capture->of->cluster);
        return;
    }
    if (capture->started)
        pthread_join(capture->thread, NULL);
    ceph_open_close(&capture->open);
}

void ceph_captures_close(struct ceph_captures *captures)
{
    const struct timespec until = after(LEAVE_MILLISECONDS);
    pthread_mutex_lock(&captures->lock);
    await_all(captures, &until);
    size_t left = captures->left;
    for (size_t i = 0; i < captures->count; i++)
        close_one(&captures->items[i]);
    pthread_mutex_unlock(&captures->lock);
    if (left)
        return; /* to those threads: what they are at may end at any time */
    free(captures->items);
    pthread_cond_destroy(&captures->ended);
    pthread_mutex_destroy(&captures->lock);
    free(captures);
}
