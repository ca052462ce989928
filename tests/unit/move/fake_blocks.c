/* blocks.h, in the fake world: the bytes of an image are the guest's writes that are on it. */
#include "fake_world.h"

#include "base/text.h"
#include "blocks/blocks.h"

#define PIECES 4 /* so often progress is told */
#define MILLISECONDS_PER_PIECE 50
#define BANDWIDTH_THAT_MOVES 1024

struct blocks {
    struct fake_world *world;
    int image;
    bool snapshot, writable, idle;
    unsigned opened;             /* of the image, when this was */
    struct fake_writes at_first; /* what was on it then: what is written later comes too late */
};

/* Files belong to no connection. */
static struct fake_world *files_world;

void fake_blocks_follow(struct fake_world *world)
{
    files_world = world;
}

static const struct fake_writes *content(const struct blocks *blocks)
{
    const struct fake_image *image = &blocks->world->images[blocks->image];
    return blocks->snapshot ? &image->captured : &image->content;
}

enum access { READING, WRITING, IDLE };

/* The guest had it before, and is by its definition on an image that was made for it. */
static bool is_left(const struct fake_world *world, int image)
{
    for (size_t i = 0; i < world->disk_count; i++) {
        int home = fake_image_defined(world, world->defined, world->disks[i].target);
        if (world->disks[i].source == image && home >= 0 && *world->images[home].token)
            return true;
    }
    return false;
}

static int open_image(struct fake_world *world, int image, const char *snapshot, enum access access,
                      struct blocks **blocks, struct error *error)
{
    bool writable = access == WRITING;
    if (image < 0 || (snapshot && !text_equal(world->images[image].snapshot, snapshot)))
        return error_set(error, ERROR_NOT_FOUND, "there is no such image or snapshot");
    if (access != READING && fake_watchers(world, image, NULL) > 0)
        return error_set(error, ERROR_BUSY, "image %s is watched", world->images[image].name);
    if (writable && !*world->images[image].token && !is_left(world, image))
        fake_violate(world,
                     "%s is written to, which virt-pivot has not made, and the guest has not "
                     "left",
                     world->images[image].name);
    *blocks = NEW(struct blocks);
    struct fake_image *at = &world->images[image];
    **blocks = (struct blocks){world,          image,      snapshot != NULL, writable,
                               access == IDLE, at->opened, at->content};
    at->guarded += access != READING;
    at->written |= writable;
    return 0;
}

void fake_blocks_die(struct fake_world *world)
{
    for (int image = 0; image < FAKE_IMAGES; image++) {
        struct fake_image *at = &world->images[image];
        if (at->guarded && at->where != ON_HOST)
            at->stale_watch_until = world->now + world->ways.stale_watch_ms;
        at->guarded = 0;
        at->written = false;
    }
}

static int open_rbd(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                    const char *snapshot, enum access access, struct blocks **blocks,
                    struct error *error)
{
    if (fake_enter(cluster->world, CALL_BLOCKS_OPEN, error) < 0)
        return -1;
    int result =
        open_image(cluster->world, fake_ceph_find(cluster, name), snapshot, access, blocks, error);
    if (fake_leave(cluster->world, CALL_BLOCKS_OPEN, result, error) == 0)
        return 0;
    blocks_closep(blocks);
    *blocks = NULL;
    return -1;
}

int blocks_open_rbd(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                    const char *snapshot, bool writable, struct blocks **blocks,
                    struct error *error)
{
    return open_rbd(cluster, name, snapshot, writable ? WRITING : READING, blocks, error);
}

/* What is in the trash can be read only. */
int blocks_open_rbd_by_id(struct ceph_cluster *cluster, const struct ceph_image_name *name UNUSED,
                          const char *id, struct blocks **blocks, struct error *error)
{
    struct fake_world *world = cluster->world;
    int found = -1;
    if (fake_enter(world, CALL_BLOCKS_OPEN, error) < 0)
        return -1;
    for (int image = 0; image < FAKE_IMAGES; image++) {
        AUTO_FREE char *own = fake_image_id(image);
        if ((world->images[image].exists || world->images[image].trashed) && text_equal(own, id))
            found = image;
    }
    int result = open_image(world, found, NULL, READING, blocks, error);
    if (fake_leave(world, CALL_BLOCKS_OPEN, result, error) == 0)
        return 0;
    blocks_closep(blocks);
    *blocks = NULL;
    return -1;
}

int blocks_open_rbd_idle(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         struct blocks **blocks, struct error *error)
{
    return open_rbd(cluster, name, NULL, IDLE, blocks, error);
}

static int open_file(const char *path, enum access access, struct blocks **blocks,
                     struct error *error)
{
    if (fake_enter(files_world, CALL_BLOCKS_OPEN, error) < 0)
        return -1;
    int image = fake_image_find(files_world, ON_HOST, path);
    int result = open_image(files_world, image, NULL, access, blocks, error);
    if (fake_leave(files_world, CALL_BLOCKS_OPEN, result, error) == 0)
        return 0;
    blocks_closep(blocks);
    *blocks = NULL;
    return -1;
}

int blocks_open_file(const char *path, const char *format UNUSED, bool writable,
                     struct blocks **blocks, struct error *error)
{
    return open_file(path, writable ? WRITING : READING, blocks, error);
}

int blocks_open_file_idle(const char *path, const char *format UNUSED, struct blocks **blocks,
                          struct error *error)
{
    return open_file(path, IDLE, blocks, error);
}

bool blocks_knows_idle(const struct blocks *blocks)
{
    return blocks->idle;
}

int blocks_check_idle(struct blocks *blocks, struct error *error)
{
    struct fake_world *world = blocks->world;
    if (!blocks->idle)
        return 0;
    if (fake_enter(world, CALL_BLOCKS_IDLE, error) < 0)
        return -1;
    int result =
        world->images[blocks->image].opened == blocks->opened
            ? 0
            : error_set(error, ERROR_BUSY, "%s is in use", world->images[blocks->image].name);
    return fake_leave(world, CALL_BLOCKS_IDLE, result, error);
}

int blocks_data(struct blocks *blocks, uint64_t *bytes, struct error *error UNUSED)
{
    *bytes = blocks_size(blocks) / 2;
    return 0;
}

int blocks_open_nbd(const char *uri, bool writable UNUSED, struct blocks **blocks UNUSED,
                    struct error *error)
{
    return error_set(error, ERROR_NOT_FOUND, "the fake world has no %s", uri);
}

void blocks_close(struct blocks *blocks)
{
    if (!blocks)
        return;
    struct fake_image *image = &blocks->world->images[blocks->image];
    if ((blocks->idle || blocks->writable) && image->guarded)
        image->guarded--;
    if (blocks->writable)
        image->written = false;
    free(blocks);
}

uint64_t blocks_size(const struct blocks *blocks)
{
    return blocks->world->images[blocks->image].size;
}

bool blocks_knows_holes(const struct blocks *blocks UNUSED)
{
    return true;
}

/* Tells how far it is, in so many pieces; something may happen at each. When all is done, it is too
 * late to end it. */
static int go(struct fake_world *world, enum fake_call call, uint64_t from, uint64_t size,
              const struct blocks_watch *watch, uint64_t *done, struct error *error)
{
    *done = from;
    while (*done < size) {
        if (fake_enter(world, call, error) < 0)
            return -1;
        fake_world_run(world, MILLISECONDS_PER_PIECE);
        bool paused = watch && watch->bandwidth && watch->bandwidth < BANDWIDTH_THAT_MOVES;
        *done += paused ? 0 : size / PIECES;
        if (*done > size)
            *done = size;
        if (fake_leave(world, call, 0, error) < 0)
            return -1;
        bool goes_on =
            !watch || !watch->progress || watch->progress(watch->opaque, *done, *done / 2);
        if (!goes_on && *done < size)
            return error_set(error, ERROR_CANCELLED, "cancelled");
    }
    return 0;
}

static void digest(const struct blocks *blocks, struct blocks_digest *text)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < ARRAY_SIZE(content(blocks)->bits); i++)
        sum = sum * 1000003 + content(blocks)->bits[i];
    snprintf(text->text, sizeof(text->text), "%064llx", (unsigned long long)sum);
}

int blocks_compare(struct blocks *first, struct blocks *second, const struct blocks_watch *watch,
                   struct blocks_comparison *comparison, struct error *error)
{
    uint64_t done = 0;
    *comparison = (struct blocks_comparison){0};
    if (blocks_size(first) != blocks_size(second))
        return error_set(error, ERROR_INPUT, "their sizes differ");
    if (go(first->world, CALL_BLOCKS_COMPARE, 0, blocks_size(first), watch, &done, error) < 0)
        return -1;
    digest(first, &comparison->first);
    digest(second, &comparison->second);
    comparison->equal = memcmp(content(first), content(second), sizeof(*content(first))) == 0;
    comparison->differing = !comparison->equal;
    comparison->read = done / 2;
    return 0;
}

static const struct fake_writes *source_content(const struct blocks *from)
{
    return from->idle ? &from->at_first : content(from);
}

/* What was copied before the offset is what the source was then. */
int blocks_copy(struct blocks *from, struct blocks *to, uint64_t offset,
                const struct blocks_watch *watch, uint64_t *copied, struct error *error)
{
    struct fake_image *target = &from->world->images[to->image];
    if (offset == 0)
        target->begun = *source_content(from);
    int result = go(from->world, CALL_BLOCKS_COPY, offset, blocks_size(from), watch, copied, error);
    if (*copied == blocks_size(from))
        fake_writes_add(&target->content, &target->begun);
    return result;
}

int blocks_update(struct blocks *from, struct blocks *to, uint64_t offset,
                  const struct blocks_watch *watch, uint64_t *updated, uint64_t *written,
                  struct error *error)
{
    uint64_t size = blocks_size(from);
    from->world->images[to->image].written_over = true;
    int result = go(from->world, CALL_BLOCKS_COPY, offset, size, watch, updated, error);
    *written = *updated - offset;
    if (*updated == size)
        from->world->images[to->image].content = *source_content(from);
    return result;
}

int blocks_snapshot(struct blocks *blocks UNUSED, const char *name UNUSED, struct error *error)
{
    return error_set(error, ERROR_UNSUPPORTED, "no source of the fake world has snapshots");
}
