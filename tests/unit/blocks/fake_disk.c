#include "fake_disk.h"

#include "blocks/queue.h"

#include <errno.h>
#include <openssl/sha.h>
#include <sys/eventfd.h>
#include <time.h>

static struct fake_disk *disk_of(struct blocks *blocks)
{
    return (struct fake_disk *)blocks;
}

/* The bytes move at the last moment: whoever touches a buffer too early is found out. */
static int perform(struct fake_disk *disk, const struct blocks_io *io)
{
    if (io->verb == BLOCKS_FLUSH) {
        memcpy(disk->stable, disk->bytes, disk->blocks.size);
        return 0;
    }
    if (io->offset + io->length > disk->blocks.size)
        return -EINVAL;
    if (io->verb == BLOCKS_READ)
        memcpy(io->data, disk->bytes + io->offset, io->length);
    else
        memcpy(disk->bytes + io->offset, io->data, io->length);
    return 0;
}

/* Called with the lock held, and without while there is no thread. */
static int answer_to(struct fake_disk *disk, const struct blocks_io *io)
{
    disk->under_way -= io->length;
    if (disk->late) {
        disk->late--;
        return -ETIMEDOUT;
    }
    if (io->result) /* noted when it was started */
        return io->result;
    return perform(disk, io);
}

static void count(struct fake_disk *disk, const struct blocks_io *io)
{
    disk->ios++;
    disk->under_way += io->length;
    if (disk->under_way > disk->most_under_way)
        disk->most_under_way = disk->under_way;
    switch (io->verb) {
    case BLOCKS_READ:
        disk->reads++;
        disk->read += io->length;
        break;
    case BLOCKS_WRITE:
        disk->writes++;
        disk->written += io->length;
        break;
    case BLOCKS_FLUSH:
        disk->flushes++;
        break;
    }
}

static int start(struct blocks *blocks, struct blocks_io *io)
{
    struct fake_disk *disk = disk_of(blocks);
    pthread_mutex_lock(&disk->lock);
    count(disk, io);
    io->result = disk->ios == disk->fail_at ? (disk->failure ? disk->failure : -EIO) : 0;
    bool mute = disk->mute_at && disk->ios >= disk->mute_at;
    bool now = disk->order == FAKE_AT_ONCE && !mute;
    int result = now ? answer_to(disk, io) : 0;
    if (!now) {
        struct blocks_io **list = mute ? &disk->silenced : &disk->held;
        io->next = *list;
        *list = io;
        if (disk->order == FAKE_LAST_FIRST)
            eventfd_write(disk->ready, 1);
        pthread_cond_signal(&disk->more);
    }
    pthread_mutex_unlock(&disk->lock);
    if (now && result == 0)
        blocks_queue_finish(io, 0);
    return result;
}

static struct blocks_io *take(struct fake_disk *disk)
{
    struct blocks_io *io = disk->held;
    if (io)
        disk->held = io->next;
    return io;
}

static void *work(void *opaque)
{
    struct fake_disk *disk = opaque;
    pthread_mutex_lock(&disk->lock);
    for (;;) {
        struct blocks_io *io = take(disk);
        if (!io && disk->ending)
            break;
        if (!io) {
            pthread_cond_wait(&disk->more, &disk->lock);
            continue;
        }
        int result = answer_to(disk, io);
        pthread_mutex_unlock(&disk->lock);
        blocks_queue_finish(io, result);
        pthread_mutex_lock(&disk->lock);
    }
    pthread_mutex_unlock(&disk->lock);
    return NULL;
}

static int descriptor(struct blocks *blocks, short *events)
{
    *events = 1; /* POLLIN */
    return disk_of(blocks)->ready;
}

static void serve(struct blocks *blocks)
{
    struct fake_disk *disk = disk_of(blocks);
    struct blocks_io *io = take(disk);
    eventfd_t events;
    if (io)
        blocks_queue_finish(io, answer_to(disk, io));
    if (!disk->held)
        eventfd_read(disk->ready, &events);
}

static void abandon(struct blocks *blocks)
{
    struct fake_disk *disk = disk_of(blocks);
    disk->abandoned = true;
    while (disk->silenced) {
        struct blocks_io *io = disk->silenced;
        disk->silenced = io->next;
        disk->under_way -= io->length;
        blocks_queue_finish(io, -ENOTCONN);
    }
}

static int extents(struct blocks *blocks, uint64_t offset, uint64_t length, struct range_list *data,
                   struct error *error)
{
    struct fake_disk *disk = disk_of(blocks);
    if (++disk->extents == disk->fail_extents_at)
        return error_set(error, ERROR_FAILED, "the fake knows nothing of its holes any more");
    if (blocks_beat(blocks, error) < 0)
        return -1;
    uint64_t end = offset + length;
    for (size_t i = 0; i < disk->data.count; i++) {
        uint64_t from = disk->data.items[i].offset, to = from + disk->data.items[i].length;
        from = from > offset ? from : offset;
        to = to < end ? to : end;
        if (from < to)
            *range_list_add(data) = (struct range){.offset = from, .length = to - from};
    }
    return 0;
}

static void explain(const struct blocks *blocks, const struct blocks_io *io, struct error *error)
{
    AUTO_FREE char *what = blocks_io_text(io);
    error_set(error, io->result == -ENOSPC ? ERROR_NO_SPACE : ERROR_FAILED, "%s %s", blocks->name,
              what);
}

static void close_nothing(struct blocks *blocks UNUSED)
{
}

static const struct blocks_kind threaded_kind = {
    .start = start,
    .extents = extents,
    .abandon = abandon,
    .explain = explain,
    .close = close_nothing,
};
static const struct blocks_kind served_kind = {
    .start = start,
    .extents = extents,
    .descriptor = descriptor,
    .serve = serve,
    .abandon = abandon,
    .explain = explain,
    .close = close_nothing,
};

struct fake_disk *fake_disk_new(const char *name, uint64_t size, enum fake_order order)
{
    struct fake_disk *disk = NEW(struct fake_disk);
    blocks_prepare(&disk->blocks, order == FAKE_LAST_FIRST ? &served_kind : &threaded_kind, size);
    disk->blocks.name = text_dup(name);
    disk->bytes = memory_new(size + 1, 1);
    disk->order = order;
    disk->ready = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&disk->lock, NULL);
    pthread_cond_init(&disk->more, NULL);
    if (order == FAKE_BY_THREAD)
        assert_int_equal(pthread_create(&disk->thread, NULL, work, disk), 0);
    return disk;
}

void fake_disk_free(struct fake_disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    disk->ending = true;
    pthread_cond_signal(&disk->more);
    pthread_mutex_unlock(&disk->lock);
    if (disk->order == FAKE_BY_THREAD)
        pthread_join(disk->thread, NULL);
    assert_int_equal(disk->under_way, 0);
    pthread_mutex_destroy(&disk->lock);
    pthread_cond_destroy(&disk->more);
    close(disk->ready);
    free(disk->data.items);
    free(disk->stable);
    free(disk->bytes);
    blocks_close(&disk->blocks);
    free(disk);
}

void fake_disk_make_writable(struct fake_disk *disk)
{
    disk->blocks.writable = true;
    disk->stable = memory_new(disk->blocks.size + 1, 1);
    memcpy(disk->stable, disk->bytes, disk->blocks.size);
}

void fake_disk_fill(struct fake_disk *disk, uint64_t offset, uint64_t length)
{
    for (uint64_t at = offset; at < offset + length; at++)
        disk->bytes[at] = (char)(1 + (at * 2654435761u >> 7) % 255);
}

void fake_disk_tell(struct fake_disk *disk, uint64_t offset, uint64_t length)
{
    disk->blocks.knows_holes = true;
    if (length)
        *range_list_add(&disk->data) = (struct range){.offset = offset, .length = length};
}

void fake_disk_tell_truth(struct fake_disk *disk, uint64_t unit)
{
    fake_disk_tell(disk, 0, 0);
    for (uint64_t at = 0; at < disk->blocks.size; at += unit) {
        uint64_t end = at + unit < disk->blocks.size ? at + unit : disk->blocks.size;
        for (uint64_t i = at; i < end; i++)
            if (disk->bytes[i]) {
                fake_disk_tell(disk, at, end - at);
                break;
            }
    }
}

static bool holds_only_zeros(const unsigned char *piece, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (piece[i])
            return false;
    return true;
}

void plain_digest(const struct fake_disk *disk, struct blocks_digest *digest)
{
    uint64_t size = (disk->blocks.size + 511) / 512 * 512;
    AUTO_FREE unsigned char *piece = memory_new(4 * MIB, 1);
    AUTO_BUFFER struct buffer hashes = {0};
    for (uint64_t at = 0; at < size; at += 4 * MIB) {
        size_t length = size - at < 4 * MIB ? size - at : 4 * MIB;
        size_t there = disk->blocks.size - at < length ? disk->blocks.size - at : length;
        memcpy(piece, disk->bytes + at, there);
        memset(piece + there, 0, length - there);
        unsigned char hash[32] = {0};
        if (!holds_only_zeros(piece, length))
            SHA256(piece, length, hash);
        buffer_add_slice(&hashes, (const char *)hash, sizeof(hash));
    }
    unsigned char all[32];
    SHA256((const unsigned char *)(hashes.text ? hashes.text : ""), hashes.length, all);
    for (size_t i = 0; i < sizeof(all); i++)
        snprintf(digest->text + 2 * i, 3, "%02x", all[i]);
}

static bool look_on(void *opaque, uint64_t done, uint64_t read)
{
    struct onlooker *onlooker = opaque;
    assert_true(done >= onlooker->done);
    assert_true(read >= onlooker->read);
    onlooker->done = done;
    onlooker->read = read;
    if (onlooker->target) {
        uint64_t size = onlooker->target->blocks.size;
        assert_memory_equal(onlooker->source->bytes, onlooker->target->stable,
                            done < size ? done : size);
    }
    if (++onlooker->asked != onlooker->end_at)
        return true;
    fake_clock_step(0); /* what follows is given real time */
    return false;
}

void onlooker_start(struct onlooker *onlooker)
{
    onlooker->watch.opaque = onlooker;
    onlooker->watch.progress = look_on;
    onlooker->asked = 0;
    onlooker->done = onlooker->read = 0;
}

/* There is one clock in a process. */
static double *clock_step(void)
{
    static double step;
    return &step;
}

void fake_clock_step(double seconds)
{
    *clock_step() = seconds;
}

/* Instead of helper/blocks/clock.c. */
double blocks_clock(void)
{
    static double skipped;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    skipped += *clock_step();
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9 + skipped;
}

uint64_t fake_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dull >> 16;
}
