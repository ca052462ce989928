#include "blocks/pipeline.h"

#define TELL_SECONDS 0.25
#define WAIT_MS 250
/* How long what is under way may take to end by itself, when the run has to end. */
#define DRAIN_SECONDS 15

static struct piece *piece_at(struct pipeline *pipeline, size_t index)
{
    return &pipeline->pieces[(pipeline->head + index) % PIPELINE_BUFFERS];
}

uint64_t pipeline_progress(const struct pipeline *pipeline)
{
    uint64_t size = pipeline->disks[0]->size;
    return *pipeline->progress < size ? *pipeline->progress : size;
}

static int tell(struct pipeline *pipeline, double now, struct error *error)
{
    const struct blocks_watch *watch = pipeline->watch;
    if (!watch || !watch->progress || (pipeline->told_once && now - pipeline->told < TELL_SECONDS))
        return 0;
    pipeline->told = now;
    pipeline->told_once = true;
    if (watch->progress(watch->opaque, pipeline_progress(pipeline), pipeline->read))
        return 0;
    return error_set(error, ERROR_CANCELLED, "cancelled");
}

/* One that hangs is waited for, but not for ever. */
static int check_answers(struct pipeline *pipeline, double now, struct error *error)
{
    for (size_t i = 0; i < PIPELINE_DISKS; i++) {
        const struct blocks *disk = pipeline->disks[i];
        if (!disk || disk->under_way == 0 || now - disk->answered < disk->patience)
            continue;
        pipeline->failed[i] = true;
        return error_set(error, ERROR_UNREACHABLE, "%s: no answer for %u s", disk->name,
                         disk->patience);
    }
    return 0;
}

static int beat(void *opaque, struct error *error)
{
    struct pipeline *pipeline = opaque;
    double now = blocks_clock();
    if (pipeline->use->beat)
        pipeline->use->beat(pipeline->user);
    if (tell(pipeline, now, error) < 0)
        return -1;
    if (pipeline->watch)
        blocks_pace_change(&pipeline->pace, pipeline->watch->bandwidth, now);
    return check_answers(pipeline, now, error);
}

int pipeline_open(struct pipeline *pipeline, struct error *error)
{
    pipeline->position = pipeline->next;
    if (blocks_queue_open(&pipeline->queue, error) < 0)
        return -1;
    pipeline->pulse = (struct blocks_pulse){.beat = beat, .opaque = pipeline};
    for (size_t i = 0; i < PIPELINE_DISKS; i++) {
        pipeline->maps[i].blocks = pipeline->disks[i];
        if (pipeline->disks[i])
            pipeline->disks[i]->pulse = &pipeline->pulse;
    }
    blocks_pace_start(&pipeline->pace, pipeline->watch ? pipeline->watch->bandwidth : 0,
                      blocks_clock());
    return 0;
}

void pipeline_close(struct pipeline *pipeline)
{
    for (size_t i = 0; i < PIPELINE_DISKS; i++) {
        blocks_map_clear(&pipeline->maps[i]);
        free(pipeline->ranges[i].items);
        if (pipeline->disks[i])
            pipeline->disks[i]->pulse = NULL;
        for (size_t j = 0; j < PIPELINE_BUFFERS; j++)
            free(pipeline->pieces[j].sides[i].data);
    }
    if (pipeline->pulse.beat)
        blocks_queue_close(&pipeline->queue);
}

void pipeline_start(struct pipeline *pipeline, size_t disk, enum blocks_verb verb,
                    struct piece *piece, uint64_t offset, size_t length, char *data)
{
    struct blocks_io *io = NEW(struct blocks_io);
    io->verb = verb;
    io->blocks = pipeline->disks[disk];
    io->offset = offset;
    io->length = length;
    io->data = data;
    io->owner = piece;
    if (piece)
        piece->under_way++;
    blocks_queue_start(&pipeline->queue, io);
}

/* The ranges are read, what is between them is zeros. */
static void fill_side(struct pipeline *pipeline, size_t side, struct piece *piece)
{
    const struct range_list *ranges = &pipeline->ranges[side];
    size_t largest = pipeline->disks[side]->largest;
    piece->sides[side].hole = ranges->count == 0;
    if (ranges->count == 0)
        return;
    if (!piece->sides[side].data)
        piece->sides[side].data = memory_new(pipeline->use->piece, 1);
    char *data = piece->sides[side].data;
    size_t at = 0;
    for (size_t i = 0; i < ranges->count; i++) {
        size_t from = ranges->items[i].offset - piece->offset;
        size_t to = from + ranges->items[i].length;
        memset(data + at, 0, from - at);
        for (at = from; at < to;) {
            size_t length = largest && to - at > largest ? largest : to - at;
            pipeline_start(pipeline, side, BLOCKS_READ, piece, piece->offset + at, length,
                           data + at);
            at += length;
        }
        if (side == 0)
            pipeline->read += ranges->items[i].length;
    }
    memset(data + at, 0, piece->length - at);
}

static uint64_t total(const struct range_list *ranges)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < ranges->count; i++)
        bytes += ranges->items[i].length;
    return bytes;
}

/* Sets `ranges`; *bytes is the larger of what has to be read of each disk. */
static int look_up(struct pipeline *pipeline, size_t length, uint64_t *bytes, struct error *error)
{
    *bytes = 0;
    for (size_t i = 0; i < pipeline->readers; i++) {
        if (blocks_map_ranges(&pipeline->maps[i], pipeline->next, length, &pipeline->ranges[i],
                              error) < 0) {
            pipeline->failed[i] = true;
            return -1;
        }
        uint64_t here = total(&pipeline->ranges[i]);
        *bytes = here > *bytes ? here : *bytes;
    }
    return 0;
}

static void start_piece(struct pipeline *pipeline, size_t length)
{
    struct piece *piece = piece_at(pipeline, pipeline->count++);
    piece->offset = pipeline->next;
    piece->length = length;
    piece->zeros = pipeline->zeros;
    piece->filled = false;
    pipeline->zeros = 0;
    for (size_t i = 0; i < PIPELINE_DISKS; i++)
        if (i < pipeline->readers)
            fill_side(pipeline, i, piece);
        else
            piece->sides[i].hole = true;
}

/* As many as there is room for. *wait: seconds until the pace allows the next one. */
static int start_pieces(struct pipeline *pipeline, double *wait, struct error *error)
{
    *wait = 0;
    while (pipeline->count < PIPELINE_BUFFERS / pipeline->readers &&
           pipeline->next < pipeline->size) {
        const size_t piece = pipeline->use->piece;
        uint64_t end = (pipeline->next / piece + 1) * piece;
        size_t length = (end < pipeline->size ? end : pipeline->size) - pipeline->next;
        uint64_t bytes = 0;
        if (look_up(pipeline, length, &bytes, error) < 0)
            return -1;
        if (bytes) {
            *wait = blocks_pace_wait(&pipeline->pace, blocks_clock());
            if (*wait > 0)
                return 0;
            blocks_pace_take(&pipeline->pace, bytes);
            start_piece(pipeline, length);
        } else {
            pipeline->zeros++;
        }
        pipeline->next += length;
        if (pipeline->count == 0)
            pipeline->position = pipeline->next;
        if (beat(pipeline, error) < 0)
            return -1;
    }
    return 0;
}

static int finish_io(struct pipeline *pipeline, const struct blocks_io *io, struct error *error)
{
    struct piece *piece = io->owner;
    if (piece)
        piece->under_way--;
    if (io->result < 0) {
        if (piece)
            piece->filled = false; /* it will never be done */
        io->blocks->kind->explain(io->blocks, io, error);
        for (size_t i = 0; i < PIPELINE_DISKS; i++)
            pipeline->failed[i] |= pipeline->disks[i] == io->blocks;
        return -1;
    }
    if (!piece) {
        pipeline->use->flushed(pipeline->user);
        return 0;
    }
    if (piece->under_way || piece->filled)
        return 0;
    piece->filled =
        !pipeline->use->filled || pipeline->use->filled(pipeline->user, piece, error) == 0;
    return piece->filled ? 0 : -1;
}

static int hand_over(struct pipeline *pipeline, struct error *error)
{
    while (pipeline->count) {
        struct piece *piece = piece_at(pipeline, 0);
        if (!piece->filled || piece->under_way)
            return 0;
        if (pipeline->use->done(pipeline->user, piece, error) < 0)
            return -1;
        pipeline->head = (pipeline->head + 1) % PIPELINE_BUFFERS;
        pipeline->count--;
        /* Up to the next that is not done, over the holes between. */
        pipeline->position = pipeline->count ? piece_at(pipeline, 0)->offset : pipeline->next;
    }
    return 0;
}

/* Waits for something to happen, and works it off. */
static int turn(struct pipeline *pipeline, double wait, struct error *error)
{
    int milliseconds = wait > 0 && wait * 1000 < WAIT_MS ? (int)(wait * 1000) + 1 : WAIT_MS;
    blocks_queue_wait(&pipeline->queue, pipeline->disks, pipeline->disks[1] ? 2 : 1, milliseconds);
    for (;;) {
        AUTO_FREE struct blocks_io *io = blocks_queue_take(&pipeline->queue);
        if (!io)
            break;
        if (finish_io(pipeline, io, error) < 0)
            return -1;
    }
    if (hand_over(pipeline, error) < 0)
        return -1;
    return beat(pipeline, error);
}

/* After a failure: buffers may only be released when nobody reads into them any more. */
static void drain(struct pipeline *pipeline)
{
    double begin = blocks_clock();
    bool abandoned = false;
    pipeline->queue.ending = true;
    for (;;) {
        struct blocks_io *io;
        while ((io = blocks_queue_take(&pipeline->queue))) {
            struct piece *piece = io->owner;
            if (piece) {
                piece->under_way--;
                /* Read, but not yet written or looked at: it must not count as done. */
                piece->filled &= io->result == 0;
            }
            free(io);
        }
        if (pipeline->queue.under_way == 0)
            return;
        if (!abandoned && blocks_clock() - begin > DRAIN_SECONDS) {
            for (size_t i = 0; i < PIPELINE_DISKS; i++)
                if (pipeline->disks[i] && pipeline->disks[i]->kind->abandon)
                    pipeline->disks[i]->kind->abandon(pipeline->disks[i]);
            abandoned = true;
        }
        blocks_queue_wait(&pipeline->queue, pipeline->disks, pipeline->disks[1] ? 2 : 1, WAIT_MS);
    }
}

int pipeline_settle(struct pipeline *pipeline, struct error *error)
{
    while (pipeline->queue.under_way)
        if (turn(pipeline, 0, error) < 0) {
            drain(pipeline);
            return -1;
        }
    return 0;
}

int pipeline_run(struct pipeline *pipeline, struct error *error)
{
    int result = 0;
    while (result == 0 && (pipeline->next < pipeline->size || pipeline->count)) {
        double wait = 0;
        result = start_pieces(pipeline, &wait, error);
        if (result == 0 && (pipeline->count || wait > 0))
            result = turn(pipeline, wait, error);
    }
    if (result < 0)
        drain(pipeline);
    return result;
}
