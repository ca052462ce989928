#include "blocks/digest.h"
#include "blocks/pipeline.h"

#include <inttypes.h>

/* Half an object of most RBD images: in pieces of whole ones a copy from cluster to cluster takes a
 * tenth longer, and within a cluster as well (measured beside qemu-img, which does so, too). */
#define COPY_PIECE ((size_t)2 << 20)
/* What the target has already is looked for in such steps; runs of it that are shorter than that
 * are written all the same. */
#define SAME_STEP ((size_t)4 << 10)
#define SAME_RUN ((size_t)64 << 10)
/* From one flush to the next. */
#define FLUSH_SECONDS 0.5

enum { FROM, TO };

struct copying {
    struct pipeline pipeline;
    uint64_t durable;  /* everything before it is flushed */
    uint64_t flushing; /* or will be, by the flush that is under way */
    bool flush_under_way;
    double flushed;   /* when the last one began */
    uint64_t written; /* bytes */
};

static void write_run(struct copying *copying, struct piece *piece, size_t from, size_t to)
{
    const struct blocks *target = copying->pipeline.disks[TO];
    copying->written += to - from;
    while (from < to) {
        size_t length = to - from;
        if (target->largest && length > target->largest)
            length = target->largest;
        pipeline_start(&copying->pipeline, TO, BLOCKS_WRITE, piece, piece->offset + from, length,
                       piece->sides[FROM].data + from);
        from += length;
    }
}

/* The target may lack the padding to whole sectors, which is zeros if all is well. */
static int cut_to_target(const struct copying *copying, const struct piece *piece, size_t *length,
                         struct error *error)
{
    const struct blocks *target = copying->pipeline.disks[TO];
    *length = piece->length;
    if (piece->offset + piece->length <= target->size)
        return 0;
    *length = piece->offset < target->size ? target->size - piece->offset : 0;
    if (blocks_all_zeros(piece->sides[FROM].data + *length, piece->length - *length))
        return 0;
    return error_set(error, ERROR_INPUT, "%s has data beyond byte %" PRIu64 ", where %s ends",
                     copying->pipeline.disks[FROM]->name, target->size, target->name);
}

/* A hole has no bytes that could be written. */
static void fill_hole(struct piece *piece)
{
    if (!piece->sides[FROM].hole)
        return;
    if (!piece->sides[FROM].data)
        piece->sides[FROM].data = memory_new(COPY_PIECE, 1);
    memset(piece->sides[FROM].data, 0, piece->length);
}

/* What is not read of a target is zeros: it is new there, or known to be. */
static bool is_there(const struct piece *piece, size_t at, size_t length)
{
    const char *wanted = piece->sides[FROM].data + at;
    return piece->sides[TO].hole ? blocks_all_zeros(wanted, length)
                                 : memcmp(wanted, piece->sides[TO].data + at, length) == 0;
}

/* Writes what is not there. */
static int write_piece(void *user, struct piece *piece, struct error *error)
{
    struct copying *copying = user;
    size_t length = 0;
    fill_hole(piece);
    if (cut_to_target(copying, piece, &length, error) < 0)
        return -1;

    size_t from = 0, to = 0; /* the run that is not yet written */
    for (size_t at = 0; at < length; at += SAME_STEP) {
        size_t step = length - at < SAME_STEP ? length - at : SAME_STEP;
        if (is_there(piece, at, step))
            continue;
        if (from == to || at - to >= SAME_RUN) {
            write_run(copying, piece, from, to);
            from = at;
        }
        to = at + step;
    }
    write_run(copying, piece, from, to);
    return 0;
}

static int piece_is_written(void *user UNUSED, struct piece *piece UNUSED,
                            struct error *error UNUSED)
{
    return 0;
}

static void start_flush(struct copying *copying)
{
    copying->flush_under_way = true;
    copying->flushing = copying->pipeline.position;
    copying->flushed = blocks_clock();
    pipeline_start(&copying->pipeline, TO, BLOCKS_FLUSH, NULL, 0, 0, NULL);
}

static void flushed(void *user)
{
    struct copying *copying = user;
    copying->flush_under_way = false;
    copying->durable = copying->flushing;
}

static void flush_now_and_then(void *user)
{
    struct copying *copying = user;
    if (!copying->flush_under_way && copying->pipeline.position > copying->durable &&
        blocks_clock() - copying->flushed >= FLUSH_SECONDS)
        start_flush(copying);
}

static int copy(struct copying *copying, struct error *error)
{
    struct pipeline *pipeline = &copying->pipeline;
    if (pipeline_run(pipeline, error) < 0 || pipeline_settle(pipeline, error) < 0)
        return -1;
    start_flush(copying);
    return pipeline_settle(pipeline, error);
}

/* After a failure of something else, what the target has got is worth keeping. */
static void save(struct copying *copying)
{
    struct pipeline *pipeline = &copying->pipeline;
    AUTO_ERROR struct error ignored = {0};
    if (pipeline->failed[TO] || pipeline->position == copying->durable)
        return;
    pipeline->watch = NULL;
    start_flush(copying);
    if (pipeline_settle(pipeline, &ignored) < 0)
        return;
}

static void tell_the_end(const struct copying *copying)
{
    const struct blocks_watch *watch = copying->pipeline.watch;
    if (watch && watch->progress)
        watch->progress(watch->opaque, pipeline_progress(&copying->pipeline),
                        copying->pipeline.read);
}

static int check_ends(const struct blocks *from, const struct blocks *to, uint64_t offset,
                      struct error *error)
{
    if (!to->writable)
        return error_set(error, ERROR_INPUT, "%s is not open for writing", to->name);
    if (blocks_check_sizes(from, to, error) < 0)
        return -1;
    if (offset > blocks_padded(from->size))
        return error_set(error, ERROR_INPUT, "%s ends before byte %" PRIu64, from->name, offset);
    return 0;
}

static struct copying *new_copying(struct blocks *from, struct blocks *to,
                                   const struct blocks_watch *watch)
{
    static const struct pipeline_use use = {.piece = COPY_PIECE,
                                            .filled = write_piece,
                                            .done = piece_is_written,
                                            .flushed = flushed,
                                            .beat = flush_now_and_then};
    struct copying *copying = NEW(struct copying);
    copying->pipeline = (struct pipeline){.use = &use,
                                          .user = copying,
                                          .disks = {from, to},
                                          .readers = 1,
                                          .size = blocks_padded(from->size),
                                          .watch = watch,
                                          .progress = &copying->durable};
    return copying;
}

static int copy_from(struct copying *copying, uint64_t offset, uint64_t *copied,
                     struct error *error)
{
    struct pipeline *pipeline = &copying->pipeline;
    *copied = offset;
    if (check_ends(pipeline->disks[FROM], pipeline->disks[TO], offset, error) < 0)
        return -1;
    pipeline->next = offset;
    copying->durable = offset;
    copying->flushed = blocks_clock();
    int result = pipeline_open(pipeline, error);
    if (result == 0) {
        result = copy(copying, error);
        if (result < 0)
            save(copying);
        else
            tell_the_end(copying);
    }
    pipeline_close(pipeline);
    *copied = pipeline_progress(pipeline);
    return result;
}

int blocks_copy(struct blocks *from, struct blocks *to, uint64_t offset,
                const struct blocks_watch *watch, uint64_t *copied, struct error *error)
{
    AUTO_FREE struct copying *copying = new_copying(from, to, watch);
    return copy_from(copying, offset, copied, error);
}

int blocks_update(struct blocks *from, struct blocks *to, uint64_t offset,
                  const struct blocks_watch *watch, uint64_t *updated, uint64_t *written,
                  struct error *error)
{
    AUTO_FREE struct copying *copying = new_copying(from, to, watch);
    copying->pipeline.readers = 2;
    int result = copy_from(copying, offset, updated, error);
    *written = copying->written;
    return result;
}
