/* The bytes of a disk, wherever it is: read, compared, copied, with its holes known where the
 * storage knows them. RBD images by librbd, everything else by NBD (libnbd): a server that is there
 * already, or a qemu-nbd of our own on a Unix socket that only we can reach.
 *
 * Nothing here knows libvirt, moves or the journal. All calls are bounded in memory; several reads
 * are in flight at once. */
#ifndef VP_BLOCKS_BLOCKS_H
#define VP_BLOCKS_BLOCKS_H

#include "base/error.h"
#include "ceph/ceph.h"

#include <stdbool.h>
#include <stdint.h>

struct blocks; /* one disk, opened for reading, or for writing too */

/* An image, or its state at a snapshot. The cluster must outlive it. Writable: the exclusive lock
 * is taken and held until blocks_close; ERROR_BUSY when somebody else has it or watches the image.
 */
int blocks_open_rbd(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                    const char *snapshot, bool writable, struct blocks **blocks,
                    struct error *error) MUST_CHECK;
/* An image by its id, for reading, if it is in its pool's trash: name is for messages. */
int blocks_open_rbd_by_id(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                          const char *id, struct blocks **blocks, struct error *error) MUST_CHECK;
/* A file or block device as the guest sees it: format "raw", "qcow2" (with its backing chain), …
 * never guessed. With QEMU's own image lock: one that reads keeps writers away, one that writes
 * everybody but those who read regardless; so a guest that is started on it meanwhile fails us, or
 * we it (ERROR_BUSY), but nobody reads torn data unnoticed, and there are never two writers. Served
 * by a child process that ends with us, also when we are killed. ERROR_DENIED names the file and
 * the user who may not read or write it. */
int blocks_open_file(const char *path, const char *format, bool writable, struct blocks **blocks,
                     struct error *error) MUST_CHECK;
/* An export of an NBD server: "nbd://host:port/export", "nbd+unix:///export?socket=/path". Nothing
 * in that protocol keeps others from writing: that is for the caller to know. */
int blocks_open_nbd(const char *uri, bool writable, struct blocks **blocks, struct error *error)
    MUST_CHECK;

/* A disk that nobody uses (ERROR_BUSY when somebody does), to be read so that whoever comes to use
 * it meanwhile is not kept from it, and does not come unseen. Of an RBD image the exclusive lock is
 * held, if it has that feature and we may; it is given up within some 25 ms when anybody opens the
 * image. Of a file, QEMU's image lock is not taken. */
int blocks_open_rbd_idle(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         struct blocks **blocks, struct error *error) MUST_CHECK;
int blocks_open_file_idle(const char *path, const char *format, struct blocks **blocks,
                          struct error *error) MUST_CHECK;
/* Success if nobody has come since it was opened so: no client opened the RBD image; nobody has the
 * file or block device open for writing by QEMU's locks, and its time of change, or the device's
 * count of writes, are what they were. ERROR_BUSY: somebody has, or may have while an image that is
 * not locked could not be looked at, and what was read may be torn. Of other disks
 * (blocks_knows_idle) nothing is known, and it succeeds. */
int blocks_check_idle(struct blocks *blocks, struct error *error) MUST_CHECK;
bool blocks_knows_idle(const struct blocks *blocks);

void blocks_close(struct blocks *blocks);
DEFINE_CLEANUP(struct blocks, blocks_close);

uint64_t blocks_size(const struct blocks *blocks); /* bytes */
/* Whether holes are known: of NBD with base:allocation; of an RBD image that is only read, by
 * asking for its objects one by one, of another by a valid fast-diff. */
bool blocks_knows_holes(const struct blocks *blocks);
/* Bytes that may hold anything but zeros: the size when holes are not known. */
int blocks_data(struct blocks *blocks, uint64_t *bytes, struct error *error) MUST_CHECK;

/* Who looks on and steers. Every callback may be NULL. */
struct blocks_watch {
    void *opaque;
    /* From time to time (several a second at most): bytes of the disk that are done, and of those
     * the bytes that were really read. false ends the work: ERROR_CANCELLED. */
    bool (*progress)(void *opaque, uint64_t done, uint64_t read);
    uint64_t bandwidth; /* bytes per second that are read of each side; 0: unlimited, 1: a pause.
                           May be changed within progress */
};

struct blocks_digest {
    char text[65]; /* SHA-256, hexadecimal: of the SHA-256 of each 4 MiB piece in order, where a
                      piece that is all zeros counts as 32 zero bytes whether stored or a hole. Two
                      disks with the same bytes have the same digest on every kind of storage. */
};

struct blocks_comparison {
    bool equal;
    uint64_t first_difference; /* offset in bytes, when not equal */
    uint64_t differing;        /* pieces of 4 MiB that differ (counting goes on after the first) */
    uint64_t read;             /* bytes read of the first side */
    struct blocks_digest first, second;
};
/* Compares two disks of the same size (ERROR_INPUT when the sizes differ; a tail by which the
 * larger is only rounded up to 512 bytes must be zeros). A difference is no error. */
int blocks_compare(struct blocks *first, struct blocks *second, const struct blocks_watch *watch,
                   struct blocks_comparison *comparison, struct error *error) MUST_CHECK;

/* Copies from an offset on into an image that reads as zeros from there (new, or copied so far in
 * an earlier run): holes and zeros stay holes. *copied is how far it got, durably: a later call may
 * begin there, also after an error or a kill (progress tells it now and then; what it tells is
 * flushed). */
int blocks_copy(struct blocks *from, struct blocks *to, uint64_t offset,
                const struct blocks_watch *watch, uint64_t *copied, struct error *error) MUST_CHECK;

/* Makes a snapshot of an RBD image that is open for writing, with what was copied so far. Success
 * when there is one of that name. ERROR_UNSUPPORTED: it is no such image. */
int blocks_snapshot(struct blocks *blocks, const char *name, struct error *error) MUST_CHECK;

/* Makes an image the same as `from`, from an offset on, whatever it holds there: both are read, but
 * for what both know to be zeros, and what differs is written, zeros too. *updated is what *copied
 * is to blocks_copy; *written: bytes, also on failure. */
int blocks_update(struct blocks *from, struct blocks *to, uint64_t offset,
                  const struct blocks_watch *watch, uint64_t *updated, uint64_t *written,
                  struct error *error) MUST_CHECK;

#endif
