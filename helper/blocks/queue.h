/* The I/Os under way of one piece of work, on any number of disks: started and taken back by one
 * thread, finished by any. */
#ifndef VP_BLOCKS_QUEUE_H
#define VP_BLOCKS_QUEUE_H

#include "blocks/private.h"

#include <pthread.h>

struct blocks_queue {
    int event; /* an eventfd: something has finished */
    pthread_mutex_t lock;
    struct blocks_io *finished;
    struct blocks_io *again; /* timed out: to be started once more; the owner's thread's */
    unsigned under_way;      /* started and not yet taken back */
    bool ending;             /* nothing is tried again */
};

int blocks_queue_open(struct blocks_queue *queue, struct error *error) MUST_CHECK;
void blocks_queue_close(struct blocks_queue *queue); /* nothing is under way */

/* Starts an I/O, which was allocated; if that fails, it has finished with the error. */
void blocks_queue_start(struct blocks_queue *queue, struct blocks_io *io);
/* For kinds: it is done, with 0 or a negative errno. From any thread. */
void blocks_queue_finish(struct blocks_io *io, int result);

/* Waits until something has finished, a disk was served, or the time is over. An I/O that timed out
 * is tried again here: until when is for the caller to say, by `answered` and `patience`. */
void blocks_queue_wait(struct blocks_queue *queue, struct blocks *const disks[], size_t count,
                       int milliseconds);
/* A finished I/O, which is then the caller's to free; NULL: none now. */
struct blocks_io *blocks_queue_take(struct blocks_queue *queue);

#endif
