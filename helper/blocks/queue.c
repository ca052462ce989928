#include "blocks/queue.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#define DISKS_MAX 2
/* From the start of a try to that of the next, at least. */
#define RETRY_SECONDS 1.0

int blocks_queue_open(struct blocks_queue *queue, struct error *error)
{
    *queue = (struct blocks_queue){.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (queue->event < 0)
        return error_set(error, ERROR_FAILED, "no descriptor for waiting: %m");
    pthread_mutex_init(&queue->lock, NULL);
    return 0;
}

void blocks_queue_close(struct blocks_queue *queue)
{
    close(queue->event);
    pthread_mutex_destroy(&queue->lock);
}

static void begin(struct blocks_io *io)
{
    io->started = blocks_clock();
    int result = io->blocks->kind->start(io->blocks, io);
    if (result < 0)
        blocks_queue_finish(io, result);
}

void blocks_queue_start(struct blocks_queue *queue, struct blocks_io *io)
{
    struct blocks *blocks = io->blocks;
    io->queue = queue;
    queue->under_way++;
    if (blocks->under_way++ == 0)
        blocks->answered = blocks_clock();
    begin(io);
}

void blocks_queue_finish(struct blocks_io *io, int result)
{
    struct blocks_queue *queue = io->queue;
    io->result = result;
    /* Told under the lock: as soon as it is gone, the other thread may take the last I/O and close
     * the queue. */
    pthread_mutex_lock(&queue->lock);
    io->next = queue->finished;
    queue->finished = io;
    eventfd_write(queue->event, 1);
    pthread_mutex_unlock(&queue->lock);
}

static void start_again(struct blocks_queue *queue)
{
    double now = blocks_clock();
    struct blocks_io *waiting = STEAL(queue->again);
    while (waiting) {
        struct blocks_io *io = waiting;
        waiting = io->next;
        if (now - io->started >= RETRY_SECONDS) {
            begin(io);
        } else {
            io->next = queue->again;
            queue->again = io;
        }
    }
}

void blocks_queue_wait(struct blocks_queue *queue, struct blocks *const disks[], size_t count,
                       int milliseconds)
{
    start_again(queue);
    struct pollfd ready[1 + DISKS_MAX] = {{.fd = queue->event, .events = POLLIN}};
    for (size_t i = 0; i < count; i++) {
        ready[1 + i] = (struct pollfd){.fd = -1};
        if (disks[i]->kind->descriptor)
            ready[1 + i].fd = disks[i]->kind->descriptor(disks[i], &ready[1 + i].events);
    }
    if (poll(ready, 1 + count, milliseconds) <= 0)
        return;
    eventfd_t events = 0;
    if (ready[0].revents)
        eventfd_read(queue->event, &events);
    for (size_t i = 0; i < count; i++)
        if (ready[1 + i].revents)
            disks[i]->kind->serve(disks[i]);
}

static struct blocks_io *pop(struct blocks_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct blocks_io **list = queue->ending && queue->again ? &queue->again : &queue->finished;
    struct blocks_io *io = *list;
    if (io)
        *list = io->next;
    pthread_mutex_unlock(&queue->lock);
    return io;
}

struct blocks_io *blocks_queue_take(struct blocks_queue *queue)
{
    struct blocks_io *io;
    while ((io = pop(queue))) {
        /* The same bytes again: harmless if the first try arrives after all. */
        if (io->result == -ETIMEDOUT && !queue->ending) {
            io->next = queue->again;
            queue->again = io;
            continue;
        }
        queue->under_way--;
        io->blocks->under_way--;
        if (io->result == 0)
            io->blocks->answered = blocks_clock();
        return io;
    }
    return NULL;
}
