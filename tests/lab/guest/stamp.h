/* What the guest writes: blocks that tell who wrote them.
 *
 * A block starts with a header of six 64-bit words (magic, boot, disk, offset,
 * sequence, length); the rest is an arithmetic series whose start and step come
 * from the header. A checker that knows the header can recompute every byte, so
 * the log needs no checksum. check.py holds the same formula: change both. */
#ifndef VP_STAMP_H
#define VP_STAMP_H

#include <stddef.h>
#include <stdint.h>

#define STAMP_MAGIC UINT64_C(0x31504d4154535056) /* "VPSTAMP1" */
#define STAMP_HEADER_WORDS 6

struct stamp {
    uint64_t boot;     /* differs at every start of the guest */
    uint64_t disk;     /* 0 is vda */
    uint64_t offset;   /* in bytes */
    uint64_t sequence; /* from 1, over all disks, of this boot */
};

static inline uint64_t stamp_mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

static inline void stamp_fill(uint64_t *words, size_t length, const struct stamp *stamp)
{
    size_t count = length / sizeof(*words);
    uint64_t mixed = stamp_mix(stamp->boot);
    mixed = stamp_mix(mixed ^ stamp->disk);
    mixed = stamp_mix(mixed ^ stamp->offset);
    mixed = stamp_mix(mixed ^ stamp->sequence);
    uint64_t start = mixed >> 2;
    uint64_t step = (stamp_mix(mixed) >> 24) | 1;

    words[0] = STAMP_MAGIC;
    words[1] = stamp->boot;
    words[2] = stamp->disk;
    words[3] = stamp->offset;
    words[4] = stamp->sequence;
    words[5] = length;
    for (size_t i = STAMP_HEADER_WORDS; i < count; i++) {
        words[i] = start + i * step;
    }
}

#endif
