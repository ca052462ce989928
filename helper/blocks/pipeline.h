/* Reads one disk, or two side by side, in pieces, many at a time, and hands them over in order;
 * what both know to be zeros is skipped. Comparing, copying and updating are uses of it.
 *
 * One thread does all of it; the storage works meanwhile. */
#ifndef VP_BLOCKS_PIPELINE_H
#define VP_BLOCKS_PIPELINE_H

#include "blocks/map.h"
#include "blocks/pace.h"
#include "blocks/queue.h"

/* So many buffers of a piece, 128 MiB at most: a pair of disks gets 16 pieces each. */
#define PIPELINE_BUFFERS 32
#define PIPELINE_DISKS 2

struct piece {
    uint64_t offset;
    size_t length;  /* to the end of the padded disk: whole sectors */
    uint64_t zeros; /* pieces right before it that were skipped */
    struct {
        char *data; /* `length` bytes, unless: */
        bool hole;  /* all of it is known to be zeros, or it is not read: data is not filled in */
    } sides[PIPELINE_DISKS];
    unsigned under_way; /* I/Os */
    bool filled;        /* all is read */
};

struct pipeline;
struct pipeline_use {
    size_t piece; /* bytes at a time, aligned */
    /* All of the piece is read. May start I/Os with it (pipeline_start): then it is not done before
     * they are. Pieces come in any order. NULL: nothing to do. */
    int (*filled)(void *user, struct piece *piece, struct error *error);
    /* The piece is done, and all before it are; it is the last that is heard of it. */
    int (*done)(void *user, struct piece *piece, struct error *error);
    /* A flush has finished, well. */
    void (*flushed)(void *user);
    /* Now and then; NULL. */
    void (*beat)(void *user);
};

struct pipeline {
    /* The caller's, before the run. */
    const struct pipeline_use *use;
    void *user;
    struct blocks *disks[PIPELINE_DISKS]; /* all that are worked on */
    size_t readers;                       /* so many of them, from the first on, are read */
    uint64_t size;                        /* padded */
    uint64_t next;                        /* where to begin */
    const struct blocks_watch *watch;     /* NULL: nobody */
    const uint64_t *progress;             /* what is told as done */

    /* The pipeline's; for its user to look at. */
    uint64_t position; /* everything before it is done */
    uint64_t read;     /* bytes, of the first disk */
    uint64_t zeros;    /* pieces that were skipped after the last one that was handed over */
    bool failed[PIPELINE_DISKS]; /* this disk is why the run ended */

    struct blocks_queue queue;
    struct blocks_map maps[PIPELINE_DISKS];
    struct range_list ranges[PIPELINE_DISKS];
    struct blocks_pace pace;
    struct blocks_pulse pulse;
    struct piece pieces[PIPELINE_BUFFERS]; /* a ring */
    size_t head, count;
    double told; /* when progress was told */
    bool told_once;
};

/* Begins; pipeline_close is due, also after an error. */
int pipeline_open(struct pipeline *pipeline, struct error *error) MUST_CHECK;
/* Runs to the end. On failure nothing is under way any more, and `position` stays good. */
int pipeline_run(struct pipeline *pipeline, struct error *error) MUST_CHECK;
/* An I/O on the disk with that number: a write of a piece's data, or a flush (piece NULL). */
void pipeline_start(struct pipeline *pipeline, size_t disk, enum blocks_verb verb,
                    struct piece *piece, uint64_t offset, size_t length, char *data);
/* Waits until nothing is under way. */
int pipeline_settle(struct pipeline *pipeline, struct error *error) MUST_CHECK;
/* What may be told as done: the padding is not the disk's. */
uint64_t pipeline_progress(const struct pipeline *pipeline);
void pipeline_close(struct pipeline *pipeline);

#endif
