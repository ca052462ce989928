/* What the tests of blocks on a real cluster share, beside ceph_adapter_lab.h and the disks in
 * memory of the unit tests, which say what an image has to hold.
 *
 *   VP_LAB_OSD_PID   the cluster's only OSD, to be stopped and continued; tests with it are skipped
 *                    if it is not set
 *   VP_LAB_OTHER_MONS, VP_LAB_OTHER_KEYRING, VP_LAB_OTHER_POOL   another cluster, likewise
 */
#ifndef TESTS_LAB_BLOCKS_LAB_H
#define TESTS_LAB_BLOCKS_LAB_H

#include "blocks/fake_disk.h"
#include "ceph/private.h"
#include "ceph_adapter_lab.h"

#define MAPPED                                                                                     \
    (RBD_FEATURE_LAYERING | RBD_FEATURE_EXCLUSIVE_LOCK | RBD_FEATURE_OBJECT_MAP |                  \
     RBD_FEATURE_FAST_DIFF)

struct image_spec {
    const char *name_space, *name;
    uint64_t size, features;
    uint64_t order, stripe_unit, stripe_count; /* 0: the usual */
};

/* Made by the administrator, in the scratch pool, with what the disk holds (NULL: nothing). */
void lab_image(struct lab *lab, const struct image_spec *spec, const struct fake_disk *holds);
/* The administrator's handle on it. */
struct ceph_open lab_image_open(struct lab *lab, const char *name_space, const char *image);
void lab_snapshot(struct lab *lab, const char *image, const char *snapshot);
void lab_unsnapshot(struct lab *lab, const char *image, const char *snapshot);
/* Writes what is not zeros of the disk. */
void lab_write(rbd_image_t image, const struct fake_disk *holds);

struct ceph_image_name lab_name(const struct lab *lab, const char *image);
/* Opens it by the layer; the test fails if that does. */
struct blocks *lab_blocks(struct lab *lab, const char *image, const char *snapshot, bool writable);
void assert_same(struct blocks *first, struct blocks *second, struct blocks_comparison *found);

/* An image of ours, as a move makes its target; and its end. */
void lab_target(struct lab *lab, const char *image, uint64_t size);
void lab_untarget(struct lab *lab, const char *image);

/* What a disk holds, as files. */
struct lab_files {
    char folder[32];
    char *raw, *qcow2;
};
void lab_files(struct lab_files *files, const struct fake_disk *holds);
void lab_files_remove(struct lab_files *files);

/* The other cluster, with one image there; false when there is none. */
struct lab_other {
    struct ceph_cluster *cluster;
    struct ceph_image_name name;
    char *image;
};
bool lab_other_open(const struct lab *lab, struct lab_other *other);
void lab_other_make(struct lab_other *other, uint64_t size);
void lab_other_close(struct lab_other *other);

/* 41 MiB and a bit, with data of every sort; the size is a multiple of no object's. */
struct fake_disk *lab_content(void);

/* The groups, one file each. */
int blocks_image_tests(struct lab *lab);
int blocks_copy_tests(struct lab *lab);
int blocks_fault_tests(struct lab *lab);

#endif
