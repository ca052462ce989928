#include "blocks/map.h"

/* Asked for at a time: its extents are at most some MiB of memory. */
#define STRETCH ((uint64_t)1 << 30)
/* A hole smaller than that costs more as a second read than as zeros that are read. */
#define SMALL_HOLE ((uint64_t)64 << 10)
/* Servers may want whole blocks. */
#define ALIGNMENT ((uint64_t)4 << 10)

void blocks_map_clear(struct blocks_map *map)
{
    free(map->data.items);
    *map = (struct blocks_map){0};
}

static void add(struct range_list *ranges, uint64_t start, uint64_t end)
{
    if (ranges->count) {
        struct range *last = &ranges->items[ranges->count - 1];
        if (start < last->offset + last->length + SMALL_HOLE) {
            last->length = end - last->offset;
            return;
        }
    }
    *range_list_add(ranges) = (struct range){.offset = start, .length = end - start};
}

static int load(struct blocks_map *map, uint64_t offset, struct error *error)
{
    uint64_t left = map->blocks->size - offset;
    map->from = map->to = offset;
    map->data.count = 0;
    map->next = 0;
    uint64_t length = left < STRETCH ? left : STRETCH;
    if (map->blocks->kind->extents(map->blocks, offset, length, &map->data, error) < 0)
        return -1;
    map->to = offset + length;
    return 0;
}

static void cut(struct blocks_map *map, uint64_t start, uint64_t end, struct range_list *ranges)
{
    struct range_list *data = &map->data;
    while (map->next < data->count &&
           data->items[map->next].offset + data->items[map->next].length <= start)
        map->next++;
    for (size_t i = map->next; i < data->count && data->items[i].offset < end; i++) {
        uint64_t from = data->items[i].offset / ALIGNMENT * ALIGNMENT;
        uint64_t to = data->items[i].offset + data->items[i].length;
        to = (to + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        add(ranges, from > start ? from : start, to < end ? to : end);
    }
}

int blocks_map_ranges(struct blocks_map *map, uint64_t offset, size_t length,
                      struct range_list *ranges, struct error *error)
{
    ranges->count = 0;
    uint64_t end = offset + length < map->blocks->size ? offset + length : map->blocks->size;
    if (offset >= end)
        return 0;
    if (!map->blocks->knows_holes) {
        add(ranges, offset, end);
        return 0;
    }
    for (uint64_t at = offset; at < end; at = map->to) {
        if ((at < map->from || at >= map->to) && load(map, at, error) < 0)
            return -1;
        cut(map, at, end < map->to ? end : map->to, ranges);
    }
    return 0;
}
