/* A disk in memory that answers as slowly, as badly and in as odd an order as it is told. */
#ifndef TESTS_UNIT_BLOCKS_FAKE_DISK_H
#define TESTS_UNIT_BLOCKS_FAKE_DISK_H

#include "blocks/private.h"
#include "cmocka_compat.h"

#include <pthread.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

enum fake_order {
    FAKE_AT_ONCE,    /* before `start` returns */
    FAKE_LAST_FIRST, /* when served, as a server would; the newest first */
    FAKE_BY_THREAD,  /* by a thread of its own, like librbd */
};

struct fake_disk {
    struct blocks blocks; /* first; .name, .size, .writable may be changed */
    char *bytes;
    char *stable;           /* writable: what survives a crash */
    struct range_list data; /* what is told as data, if knows_holes */
    enum fake_order order;

    /* Faults; the first I/O is number 1, 0 stands for never. */
    unsigned fail_at;
    int failure;      /* -EIO, if not set */
    unsigned mute_at; /* from that on, none is ever answered */
    unsigned late;    /* so many more only time out */
    unsigned fail_extents_at;

    /* What was seen. */
    unsigned ios, reads, writes, flushes, extents;
    uint64_t read, written, under_way, most_under_way;
    bool abandoned;

    struct blocks_io *held;
    struct blocks_io *silenced;
    int ready;
    pthread_mutex_t lock;
    pthread_cond_t more;
    pthread_t thread;
    bool ending;
};

/* With zeros; holes are not known. */
struct fake_disk *fake_disk_new(const char *name, uint64_t size, enum fake_order order);
void fake_disk_free(struct fake_disk *disk);
DEFINE_CLEANUP(struct fake_disk, fake_disk_free);
#define AUTO_DISK CLEANUP(fake_disk_freep)

/* It can be written; what it holds now is stable. */
void fake_disk_make_writable(struct fake_disk *disk);
/* Bytes that follow from where they are: never a zero among them. */
void fake_disk_fill(struct fake_disk *disk, uint64_t offset, uint64_t length);
/* It knows its holes, and this is none. */
void fake_disk_tell(struct fake_disk *disk, uint64_t offset, uint64_t length);
/* It knows its holes exactly, by units of so many bytes. */
void fake_disk_tell_truth(struct fake_disk *disk, uint64_t unit);

/* What blocks.h says, by the simplest program that does it. */
void plain_digest(const struct fake_disk *disk, struct blocks_digest *digest);

/* A watch that looks on, and ends the work when it has been asked so often (0: never). */
struct onlooker {
    struct blocks_watch watch;
    unsigned asked, end_at;
    uint64_t done, read;
    const struct fake_disk *source, *target; /* asserts that what is told as done is stable */
};
void onlooker_start(struct onlooker *onlooker);

/* The clock goes on by so many seconds whenever it is read; 0: it is the real one. */
void fake_clock_step(double seconds);

/* Numbers that are the same in each run. */
uint64_t fake_random(uint64_t *state);

#endif
