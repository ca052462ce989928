/* What the files of this layer share: a disk as a table of functions, and an I/O under way.
 *
 * RBD and NBD are two such tables (the tests have a third, in memory); comparing and copying know
 * the table only. */
#ifndef VP_BLOCKS_PRIVATE_H
#define VP_BLOCKS_PRIVATE_H

#include "base/vector.h"
#include "blocks/blocks.h"

#include <sys/types.h>

/* What is compared and hashed at a time, aligned; most RBD images have objects of this size. */
#define BLOCKS_PIECE ((size_t)4 << 20)
/* Disks are padded with zeros to whole sectors: QEMU shows them so. */
#define BLOCKS_SECTOR 512

struct range {
    uint64_t offset, length;
};
/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): memory_resize never returns NULL */
DEFINE_VECTOR(range_list, struct range);

enum blocks_verb { BLOCKS_READ, BLOCKS_WRITE, BLOCKS_FLUSH };

/* One read, write or flush. Whoever starts it fills the first part. */
struct blocks_io {
    enum blocks_verb verb;
    struct blocks *blocks;
    uint64_t offset;
    size_t length;
    char *data;
    void *owner; /* the starter's */

    struct blocks_queue *queue;
    double started;
    int result; /* 0 or a negative errno */
    struct blocks_io *next;
};

struct blocks_kind {
    /* Begins the I/O; blocks_queue_finish follows exactly once, from any thread. Or returns a
     * negative errno, and it does not follow. */
    int (*start)(struct blocks *blocks, struct blocks_io *io);

    /* Appends, in order and without overlap, what may hold anything but zeros in this part of the
     * disk. Called only if `knows_holes`. May take a while; then it calls blocks_beat now and then.
     */
    int (*extents)(struct blocks *blocks, uint64_t offset, uint64_t length, struct range_list *data,
                   struct error *error);

    /* For storage that the calling thread has to serve: the descriptor to wait for, with the events
     * (-1: none now), and the work when they have come. NULL: it has threads of its own. */
    int (*descriptor)(struct blocks *blocks, short *events);
    void (*serve)(struct blocks *blocks);

    /* Ends whatever is under way, at once. Nothing works on this disk afterwards. NULL: everything
     * ends by itself in bounded time. */
    void (*abandon)(struct blocks *blocks);

    /* Says why this I/O failed. */
    void (*explain)(const struct blocks *blocks, const struct blocks_io *io, struct error *error);

    /* blocks_check_idle, of one that `knows_idle`. */
    int (*check_idle)(struct blocks *blocks, struct error *error);

    /* blocks_snapshot; NULL: it cannot. */
    int (*snapshot)(struct blocks *blocks, const char *name, struct error *error);

    void (*close)(struct blocks *blocks);
};

/* Of the work under way: asked to look on while a kind waits. */
struct blocks_pulse {
    int (*beat)(void *opaque, struct error *error); /* -1: the work is to end */
    void *opaque;
};

struct blocks {
    const struct blocks_kind *kind;
    char *name; /* for messages: "image vms/a@snap", "file /a" */
    uint64_t size;
    size_t largest; /* bytes of one I/O; 0: a piece */
    bool knows_holes, knows_idle, writable;
    unsigned patience; /* seconds without any answer after which it counts as gone */

    const struct blocks_pulse *pulse; /* NULL: nobody looks on */
    unsigned under_way;
    double answered; /* when it last did what it was asked, or had nothing to do */
};

/* Sets the common part. */
void blocks_prepare(struct blocks *blocks, const struct blocks_kind *kind, uint64_t size);

/* Lets the work's owner look on; -1 when he wants the end. */
int blocks_beat(struct blocks *blocks, struct error *error) MUST_CHECK;

/* "cannot be read: 4194304 bytes at 8388608", new string. */
char *blocks_io_text(const struct blocks_io *io) MUST_CHECK;

/* What a size is with the padding. */
static inline uint64_t blocks_padded(uint64_t size)
{
    return (size + BLOCKS_SECTOR - 1) / BLOCKS_SECTOR * BLOCKS_SECTOR;
}
/* ERROR_INPUT unless the sizes are equal, or one is the other rounded up to whole sectors. */
int blocks_check_sizes(const struct blocks *first, const struct blocks *second, struct error *error)
    MUST_CHECK;

/* Seconds on the monotonic clock. */
double blocks_clock(void);

#endif
