/* Where a disk may hold anything but zeros, asked for a stretch at a time. */
#ifndef VP_BLOCKS_MAP_H
#define VP_BLOCKS_MAP_H

#include "blocks/private.h"

struct blocks_map {
    struct blocks *blocks;
    uint64_t from, to;      /* the stretch that is known */
    struct range_list data; /* in it */
    size_t next;            /* the first that a later piece can need */
};

void blocks_map_clear(struct blocks_map *map);

/* What of this part of the disk has to be read: a piece or less, at or after that of the last call.
 * Larger than what is stored by a bit: small holes are read over. `ranges` is emptied first. */
int blocks_map_ranges(struct blocks_map *map, uint64_t offset, size_t length,
                      struct range_list *ranges, struct error *error) MUST_CHECK;

#endif
