#include "blocks/private.h"

#include <inttypes.h>

/* An OSD that restarts is back within minutes; a copy of hours must not fail for that. Who does not
 * want to wait can cancel. */
#define PATIENCE_SECONDS 600

void blocks_prepare(struct blocks *blocks, const struct blocks_kind *kind, uint64_t size)
{
    blocks->kind = kind;
    blocks->size = size;
    blocks->patience = PATIENCE_SECONDS;
}

void blocks_close(struct blocks *blocks)
{
    if (!blocks)
        return;
    free(STEAL(blocks->name));
    blocks->kind->close(blocks);
}

uint64_t blocks_size(const struct blocks *blocks)
{
    return blocks->size;
}

bool blocks_knows_idle(const struct blocks *blocks)
{
    return blocks->knows_idle;
}

int blocks_check_idle(struct blocks *blocks, struct error *error)
{
    return blocks->knows_idle ? blocks->kind->check_idle(blocks, error) : 0;
}

bool blocks_knows_holes(const struct blocks *blocks)
{
    return blocks->knows_holes;
}

int blocks_beat(struct blocks *blocks, struct error *error)
{
    return blocks->pulse ? blocks->pulse->beat(blocks->pulse->opaque, error) : 0;
}

#define STRETCH ((uint64_t)1 << 30)

int blocks_data(struct blocks *blocks, uint64_t *bytes, struct error *error)
{
    struct range_list data = {0};
    int result = 0;
    *bytes = blocks->knows_holes ? 0 : blocks->size;
    for (uint64_t at = 0; blocks->knows_holes && at < blocks->size && result == 0; at += STRETCH) {
        uint64_t left = blocks->size - at;
        data.count = 0;
        result = blocks->kind->extents(blocks, at, left < STRETCH ? left : STRETCH, &data, error);
        for (size_t i = 0; i < data.count; i++)
            *bytes += data.items[i].length;
    }
    free(data.items);
    return result;
}

int blocks_snapshot(struct blocks *blocks, const char *name, struct error *error)
{
    return blocks->kind->snapshot && blocks->writable
               ? blocks->kind->snapshot(blocks, name, error)
               : error_set(error, ERROR_UNSUPPORTED, "%s cannot have a snapshot", blocks->name);
}

char *blocks_io_text(const struct blocks_io *io)
{
    if (io->verb == BLOCKS_FLUSH)
        return text_dup("cannot be flushed");
    return text_format("cannot be %s: %zu bytes at %" PRIu64,
                       io->verb == BLOCKS_READ ? "read" : "written", io->length, io->offset);
}

int blocks_check_sizes(const struct blocks *first, const struct blocks *second, struct error *error)
{
    uint64_t smaller = first->size < second->size ? first->size : second->size;
    uint64_t larger = first->size < second->size ? second->size : first->size;
    if (larger == smaller || larger == blocks_padded(smaller))
        return 0;
    return error_set(error, ERROR_INPUT,
                     "%s has %" PRIu64 " bytes, but %s has %" PRIu64 ": they differ in size",
                     first->name, first->size, second->name, second->size);
}
