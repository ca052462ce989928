/* An RBD image, or its state at a snapshot. librbd has threads of its own; each of its calls ends
 * within some of the connection's timeouts. */
#include "base/crash.h"
#include "blocks/queue.h"
#include "blocks/rbd_guard.h"
#include "ceph/image_snapshot.h"
#include "ceph/private.h"

#include <inttypes.h>

/* What is read once only is not worth a place in the OSDs' caches. */
#define READ_FLAGS (LIBRADOS_OP_FLAG_FADVISE_SEQUENTIAL | LIBRADOS_OP_FLAG_FADVISE_NOCACHE)
#define WRITE_FLAGS (LIBRADOS_OP_FLAG_FADVISE_SEQUENTIAL | LIBRADOS_OP_FLAG_FADVISE_NOCACHE)
/* The map of what is stored: bits, and never more memory than for so many. */
#define MAP_BITS_MAX ((uint64_t)1 << 26)
/* So much of an image has its objects listed at once: some thousands of them, usually. */
#define LISTED_AT_ONCE ((uint64_t)1 << 34)

struct rbd_blocks {
    struct blocks blocks;
    struct ceph_cluster *cluster;
    char *pool_name;
    rados_ioctx_t pool;
    rbd_image_t image;
    bool locked;
    bool may_lock;
    struct rbd_guard *guard; /* NULL: nobody keeps watch */
    bool by_objects;         /* what is stored is asked of them, not of the image's object map */
    uint64_t object_size;
    uint64_t overlap; /* the part that may come from a parent */

    uint64_t unit;         /* bytes that a bit of the map stands for */
    unsigned char *stored; /* the map; NULL: not read yet */
};

static struct rbd_blocks *rbd_of(struct blocks *blocks)
{
    return (struct rbd_blocks *)blocks;
}

static void close_rbd(struct blocks *blocks)
{
    struct rbd_blocks *rbd = rbd_of(blocks);
    if (rbd->guard)
        rbd_guard_stop(rbd->guard);
    if (rbd->locked)
        CRASH_AROUND(rbd_lock_release(rbd->image));
    cleanup_image(&rbd->image);
    cleanup_pool(&rbd->pool);
    free(rbd->pool_name);
    free(rbd->stored);
    free(rbd);
}

static void completed(rbd_completion_t completion, void *argument)
{
    struct blocks_io *io = argument;
    ssize_t result = rbd_aio_get_return_value(completion);
    rbd_aio_release(completion);
    if (io->verb == BLOCKS_READ && result >= 0)
        result = (size_t)result == io->length ? 0 : -EIO;
    blocks_queue_finish(io, result < 0 ? (int)result : 0);
}

static bool bit(const struct rbd_blocks *rbd, uint64_t index)
{
    return rbd->stored[index / 8] & (1u << index % 8);
}

static void mark(struct rbd_blocks *rbd, uint64_t offset, uint64_t length)
{
    uint64_t end = offset + length < rbd->blocks.size ? offset + length : rbd->blocks.size;
    if (offset >= end)
        return;
    for (uint64_t i = offset / rbd->unit; i <= (end - 1) / rbd->unit; i++)
        rbd->stored[i / 8] |= 1u << i % 8;
}

static int start(struct blocks *blocks, struct blocks_io *io)
{
    struct rbd_blocks *rbd = rbd_of(blocks);
    rbd_image_t image = rbd->image;
    rbd_completion_t completion = NULL;
    int result = rbd_aio_create_completion(io, completed, &completion);
    if (result < 0)
        return result;
    switch (io->verb) {
    case BLOCKS_READ:
        result = rbd_aio_read2(image, io->offset, io->length, io->data, completion, READ_FLAGS);
        break;
    case BLOCKS_WRITE:
        if (rbd->stored)
            mark(rbd, io->offset, io->length); /* no hole any more, for whoever reads it later */
        result = CRASH_AROUND(
            rbd_aio_write2(image, io->offset, io->length, io->data, completion, WRITE_FLAGS));
        break;
    case BLOCKS_FLUSH:
        result = rbd_aio_flush(image, completion);
        break;
    }
    if (result < 0)
        rbd_aio_release(completion);
    return result;
}

static void explain(const struct blocks *blocks, const struct blocks_io *io, struct error *error)
{
    const struct rbd_blocks *rbd = (const struct rbd_blocks *)blocks;
    AUTO_FREE char *what = blocks_io_text(io);
    ceph_failure(error, rbd->cluster, rbd->pool_name, io->result, "%s %s", blocks->name, what);
}

struct reading_map {
    struct rbd_blocks *rbd;
    struct error *error;
};

static int note_object(uint64_t offset, size_t length, int exists, void *opaque)
{
    struct reading_map *reading = opaque;
    if (exists)
        mark(reading->rbd, offset, length);
    return blocks_beat(&reading->rbd->blocks, reading->error) < 0 ? -ECANCELED : 0;
}

static int list_stored(struct rbd_blocks *rbd, uint64_t offset, uint64_t length,
                       struct error *error)
{
    struct reading_map reading = {.rbd = rbd, .error = error};
    double begin = blocks_clock();
    for (;;) {
        if (blocks_beat(&rbd->blocks, error) < 0)
            return -1;
        int result = rbd_diff_iterate2(rbd->image, NULL, offset, length, 0, !rbd->by_objects,
                                       note_object, &reading);
        if (result >= 0)
            return 0;
        if (error_is_set(error))
            return -1;
        if (result != -ETIMEDOUT || blocks_clock() - begin >= rbd->blocks.patience)
            return ceph_failure(error, rbd->cluster, rbd->pool_name, result,
                                "%s: what is stored of it cannot be listed", rbd->blocks.name);
    }
}

/* By the image's object map it is asked for as a whole, from its beginning: librbd before 2022
 * reports wrong offsets when asked from the middle of an object (Ceph's issue 53784). For the part
 * that may come from a parent, its answers are not used: several releases forget the parent when
 * they use the object map. */
static int read_map(struct rbd_blocks *rbd, struct error *error)
{
    uint64_t size = rbd->blocks.size, stretch = rbd->by_objects ? LISTED_AT_ONCE : size;
    for (uint64_t at = 0; at < size; at += stretch)
        if (list_stored(rbd, at, at + stretch < size ? stretch : size - at, error) < 0)
            return -1;
    mark(rbd, 0, rbd->overlap);
    return 0;
}

static int load_map(struct rbd_blocks *rbd, struct error *error)
{
    rbd->unit = rbd->object_size < BLOCKS_PIECE ? rbd->object_size : BLOCKS_PIECE;
    while (rbd->blocks.size / rbd->unit >= MAP_BITS_MAX)
        rbd->unit *= 2;
    rbd->stored = memory_new(rbd->blocks.size / rbd->unit / 8 + 1, 1);
    if (read_map(rbd, error) == 0)
        return 0;
    free(STEAL(rbd->stored));
    return -1;
}

static int extents(struct blocks *blocks, uint64_t offset, uint64_t length, struct range_list *data,
                   struct error *error)
{
    struct rbd_blocks *rbd = rbd_of(blocks);
    if (!rbd->stored && load_map(rbd, error) < 0)
        return -1;
    uint64_t end = offset + length;
    for (uint64_t at = offset, next; at < end; at = next) {
        next = (at / rbd->unit + 1) * rbd->unit;
        next = next < end ? next : end;
        if (!bit(rbd, at / rbd->unit))
            continue;
        struct range *last = data->count ? &data->items[data->count - 1] : NULL;
        if (last && last->offset + last->length == at)
            last->length += next - at;
        else
            *range_list_add(data) = (struct range){.offset = at, .length = next - at};
    }
    return 0;
}

static int check_idle(struct blocks *blocks, struct error *error)
{
    return rbd_guard_check(rbd_of(blocks)->guard, error);
}

static int failed(const struct rbd_blocks *rbd, int result, const char *what, struct error *error)
{
    return ceph_failure(error, rbd->cluster, rbd->pool_name, result, "%s %s", rbd->blocks.name,
                        what);
}

static int snapshot(struct blocks *blocks, const char *name, struct error *error)
{
    const struct rbd_blocks *rbd = rbd_of(blocks);
    int result = ceph_snapshot_make(rbd->image, name);
    return result < 0 ? failed(rbd, result, "cannot get a snapshot", error) : 0;
}

static const struct blocks_kind rbd_kind = {
    .start = start,
    .extents = extents,
    .explain = explain,
    .check_idle = check_idle,
    .snapshot = snapshot,
    .close = close_rbd,
};

static int nothing_there(const struct rbd_blocks *rbd, const struct ceph_image_name *name,
                         const char *snapshot, struct error *error)
{
    AUTO_FREE char *text = ceph_image_text(name);
    AUTO_IMAGE rbd_image_t image = NULL;
    if (snapshot && rbd_open_read_only(rbd->pool, name->image, &image, NULL) == 0) {
        error_set(error, ERROR_NOT_FOUND, "cluster '%s': image %s has no snapshot '%s'",
                  rbd->cluster->name, text, snapshot);
        return error_hint(error, "'rbd snap ls %s' lists those it has", text);
    }
    image = NULL;
    return error_set(error, ERROR_NOT_FOUND, "cluster '%s' has no image %s", rbd->cluster->name,
                     text);
}

enum access { READING, WRITING, IDLE };

static int open_handle(struct rbd_blocks *rbd, const struct ceph_image_name *name, const char *id,
                       const char *snapshot, enum access access)
{
    if (id)
        return rbd_open_by_id_read_only(rbd->pool, id, &rbd->image, snapshot);
    if (access == READING)
        return rbd_open_read_only(rbd->pool, name->image, &rbd->image, snapshot);
    int result = rbd_open(rbd->pool, name->image, &rbd->image, NULL);
    /* Of an old cluster many users may only read: then there is no lock. */
    if (access == IDLE && (result == -EPERM || result == -EACCES || result == -EROFS)) {
        rbd->image = NULL;
        result = rbd_open_read_only(rbd->pool, name->image, &rbd->image, NULL);
    } else if (access == IDLE && result == 0) {
        rbd->may_lock = true;
    }
    return result;
}

static int open_image(struct rbd_blocks *rbd, const struct ceph_image_name *name, const char *id,
                      const char *snapshot, enum access access, struct error *error)
{
    if (ceph_pool_open(rbd->cluster, name->pool, name->name_space, &rbd->pool, error) < 0)
        return -1;
    /* Nothing here is written twice or read again: a cache only costs time and memory. Images that
     * are opened later on this connection take it over. Only a matter of speed. Not so
     * rbd_disable_zero_copy_writes: without it a write that is given up completes when librados has
     * let go of its data, and of what waits for a peer that takes nothing it does not. */
    rados_conf_set(rbd->cluster->rados, "rbd_cache", "false");
    int result = open_handle(rbd, name, id, snapshot, access);
    if (result == 0)
        return 0;
    rbd->image = NULL;
    return result == -ENOENT ? nothing_there(rbd, name, snapshot, error)
                             : failed(rbd, result, "cannot be opened", error);
}

static int check_unwatched(const struct rbd_blocks *rbd, struct error *error)
{
    struct text_list watchers = {0};
    int result = ceph_watchers_read(rbd->cluster, rbd->image, &watchers, NULL);
    int returned = 0;
    if (result < 0) {
        returned = failed(rbd, result, "cannot be asked for its watchers", error);
    } else if (watchers.count) {
        AUTO_FREE char *who = ceph_list_text(&watchers);
        error_set(error, ERROR_BUSY, "cluster '%s': %s is in use by %s", rbd->cluster->name,
                  rbd->blocks.name, who);
        returned = error_hint(error, "'rbd status' shows who; the watch of a client that was "
                                     "killed goes away within about 30 s");
    }
    text_list_clear(&watchers);
    return returned;
}

/* Who has it open would have to give us the lock, in the middle of his work: so only if nobody has,
 * and once more afterwards. From then on others can open it, but not write. */
static int claim(struct rbd_blocks *rbd, uint64_t features, struct error *error)
{
    if (!(features & RBD_FEATURE_EXCLUSIVE_LOCK)) {
        error_set(error, ERROR_UNSUPPORTED,
                  "cluster '%s': %s has no exclusive lock that would keep others from writing",
                  rbd->cluster->name, rbd->blocks.name);
        return error_hint(error, "'rbd feature enable IMAGE exclusive-lock'");
    }
    if (check_unwatched(rbd, error) < 0)
        return -1;
    int result = CRASH_AROUND(rbd_lock_acquire(rbd->image, RBD_LOCK_MODE_EXCLUSIVE));
    if (result < 0)
        return failed(rbd, result, "cannot be locked", error);
    rbd->locked = true;
    return check_unwatched(rbd, error);
}

/* Whether the image's objects are all that is stored of it, each at its place. */
static bool is_its_objects(uint64_t features, uint64_t stripe_count)
{
#ifdef RBD_FEATURE_MIGRATING
    /* What has not been brought over yet is in no object of this image. */
    if (features & RBD_FEATURE_MIGRATING)
        return false;
#endif
    return stripe_count <= 1;
}

/* Whether the image says that its object map is right. */
static bool map_is_good(uint64_t features, uint64_t flags)
{
    const uint64_t needed = RBD_FEATURE_OBJECT_MAP | RBD_FEATURE_FAST_DIFF;
    const uint64_t invalid = RBD_FLAG_OBJECT_MAP_INVALID | RBD_FLAG_FAST_DIFF_INVALID;
    return (features & needed) == needed && !(flags & invalid);
}

static int not_known(const struct rbd_blocks *rbd, int result, struct error *error)
{
    return failed(rbd, result, "cannot be asked for its properties", error);
}

/* Keeps others from it, or at least an eye on them, as far as the access wants that. */
static int hold(struct rbd_blocks *rbd, enum access access, struct error *error)
{
    uint64_t features = 0;
    int result = rbd_get_features(rbd->image, &features);
    if (result < 0)
        return not_known(rbd, result, error);
    if (access == IDLE)
        return rbd_guard_start(rbd->cluster, rbd->image, rbd->blocks.name,
                               rbd->may_lock && (features & RBD_FEATURE_EXCLUSIVE_LOCK),
                               &rbd->guard, error);
    return access == WRITING ? claim(rbd, features, error) : 0;
}

/* When it is held: others may change all of this until then, and it is in taking the lock that
 * librbd reads the object map, and flags it if it is wrong. */
static int look_at(struct rbd_blocks *rbd, enum access access, struct error *error)
{
    rbd_image_info_t info;
    uint64_t features = 0, flags = 0, stripe_count = 0;
    int result = rbd_stat(rbd->image, &info, sizeof(info));
    if (result == 0)
        result = rbd_get_features(rbd->image, &features);
    if (result == 0)
        result = rbd_get_flags(rbd->image, &flags);
    if (result == 0)
        result = rbd_get_stripe_count(rbd->image, &stripe_count);
    if (result == 0)
        result = rbd_get_overlap(rbd->image, &rbd->overlap);
    if (result < 0)
        return not_known(rbd, result, error);

    blocks_prepare(&rbd->blocks, &rbd_kind, info.size);
    rbd->object_size = info.obj_size;
    /* A reader compares. If a copy was led astray by an object map, it shall not be proven by the
     * same map. Without the lock librbd does not use it for reading either, except at a snapshot
     * (librbd image/RefreshRequest.cc, send_v2_open_object_map). */
    rbd->by_objects = access == READING;
    rbd->blocks.knows_holes =
        is_its_objects(features, stripe_count) && (rbd->by_objects || map_is_good(features, flags));
    rbd->blocks.writable = access == WRITING;
    rbd->blocks.knows_idle = access == IDLE;
    return 0;
}

/* By its name, or by its id, for reading. */
static int open_as(struct ceph_cluster *cluster, const struct ceph_image_name *name, const char *id,
                   const char *snapshot, enum access access, struct blocks **blocks,
                   struct error *error)
{
    AUTO_FREE char *text = ceph_image_text(name);
    struct rbd_blocks *rbd = NEW(struct rbd_blocks);
    CLEANUP(blocks_closep) struct blocks *fresh = &rbd->blocks;
    fresh->kind = &rbd_kind;
    fresh->name = text_format("image %s%s%s", text, snapshot ? "@" : "", snapshot ? snapshot : "");
    rbd->cluster = cluster;
    rbd->pool_name = text_dup(name->pool);
    if (open_image(rbd, name, id, snapshot, access, error) < 0 || hold(rbd, access, error) < 0 ||
        look_at(rbd, access, error) < 0)
        return -1;
    *blocks = STEAL(fresh);
    return 0;
}

int blocks_open_rbd(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                    const char *snapshot, bool writable, struct blocks **blocks,
                    struct error *error)
{
    AUTO_FREE char *text = ceph_image_text(name);
    if (writable && snapshot)
        return error_set(error, ERROR_INPUT, "image %s: a snapshot cannot be written", text);
    return open_as(cluster, name, NULL, snapshot, writable ? WRITING : READING, blocks, error);
}

int blocks_open_rbd_by_id(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                          const char *id, struct blocks **blocks, struct error *error)
{
    return open_as(cluster, name, id, NULL, READING, blocks, error);
}

int blocks_open_rbd_idle(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         struct blocks **blocks, struct error *error)
{
    return open_as(cluster, name, NULL, NULL, IDLE, blocks, error);
}
