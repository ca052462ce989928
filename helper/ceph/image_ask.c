#include "ceph/image_ask.h"

#include "base/thread.h"

#include <errno.h>
#include <time.h>

/* Shared with a thread that may never end. */
struct asking {
    struct ceph_open open;
    ceph_ask *ask;
    struct ceph_wish wish; /* its own text */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    double heard; /* when there was news, by ceph_clock */
    bool done;
    bool left_alone; /* nobody waits for it: it closes what it has by itself */
    int result;
};

static int hear(uint64_t done UNUSED, uint64_t all UNUSED, void *opaque)
{
    struct asking *asking = opaque;
    pthread_mutex_lock(&asking->lock);
    asking->heard = ceph_clock();
    pthread_mutex_unlock(&asking->lock);
    return 0;
}

static void *ask(void *opaque)
{
    struct asking *asking = opaque;
    int result = asking->ask(asking->open.image, &asking->wish, hear, asking);
    pthread_mutex_lock(&asking->lock);
    asking->result = result;
    asking->done = true;
    bool left_alone = asking->left_alone;
    pthread_cond_signal(&asking->ended);
    pthread_mutex_unlock(&asking->lock);
    if (left_alone)
        ceph_open_close(&asking->open);
    return NULL;
}

/* Whether it has ended. */
static bool await(struct asking *asking, double seconds)
{
    pthread_mutex_lock(&asking->lock);
    while (!asking->done && ceph_clock() - asking->heard < seconds) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&asking->ended, &asking->lock, &until);
    }
    bool done = asking->done;
    asking->left_alone = !done;
    pthread_mutex_unlock(&asking->lock);
    return done;
}

int ceph_ask_owner(struct ceph_cluster *cluster, struct ceph_open *open, ceph_ask *what,
                   const struct ceph_wish *wish, double seconds)
{
    pthread_t thread;
    struct asking *asking = NEW(struct asking);
    *asking = (struct asking){.open = *open, .ask = what, .wish = *wish, .heard = ceph_clock()};
    char *snapshot = text_dup(wish->snapshot);
    asking->wish.snapshot = snapshot;
    pthread_mutex_init(&asking->lock, NULL);
    pthread_cond_init(&asking->ended, NULL);
    int failed = thread_start(&thread, ask, asking);
    if (!failed && !await(asking, seconds)) {
        pthread_detach(thread);
        *open = (struct ceph_open){0};
        ceph_leave_stuck(cluster);
        return -ETIMEDOUT;
    }
    int result = -failed;
    if (!failed) {
        pthread_join(thread, NULL);
        result = asking->result;
    }
    pthread_cond_destroy(&asking->ended);
    pthread_mutex_destroy(&asking->lock);
    free(snapshot);
    free(asking);
    if (result == -ETIMEDOUT)
        ceph_open_close(open);
    return result;
}
