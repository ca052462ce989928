#include "plan/versions.h"

#define V(major, minor, release) ((major)*1000000ul + (minor)*1000ul + (release))

/* Sources: QEMU's git history and libvirt's news; every row was looked up, none is a guess. */
static const struct known_bug bugs[] = {
    [BUG_RBD_BLOCK_STATUS] = {BUG_CORRUPTS, OF_QEMU, V(6, 2, 0), V(7, 0, 0),
                              "QEMU 6.2 reads data as holes when it copies from RBD",
                              "upgrade QEMU to 7.0 or newer"},
    [BUG_MIRROR_START] = {BUG_CORRUPTS, OF_QEMU, V(8, 2, 0), V(10, 0, 9),
                          "QEMU 8.2.0 to 10.0.8 misses guest writes at the start of a mirror of a "
                          "sparse disk with discard='unmap' (fixed by 0f51f9c342)",
                          "upgrade QEMU to 10.0.9 or 10.1, or take discard='unmap' off the disk "
                          "and restart the guest first"},
    [BUG_SYNCHRONOUS] = {BUG_HANGS, OF_QEMU, 0, V(8, 0, 0),
                         "QEMU before 8.0: a synchronous mirror may not converge",
                         "tiers with copy mode 'synchronous' are copied in the background here"},
    [BUG_IOTHREAD] = {BUG_HANGS, OF_QEMU, V(8, 1, 0), V(8, 2, 1),
                      "QEMU 8.1 to 8.2.0 may deadlock in a mirror of a disk with an iothread",
                      "upgrade QEMU to 8.2.1 or newer"},
    [BUG_OPEN_HANGS] = {BUG_WARNS, OF_QEMU, V(7, 2, 0), V(10, 0, 4),
                        "this QEMU hangs if a cluster goes away while it opens an image",
                        "upgrade QEMU to 10.0.4 or newer"},
    [BUG_NAMESPACE] = {BUG_WARNS, OF_LIBVIRT, 0, V(11, 6, 0),
                       "libvirt before 11.6 takes pool/namespace/image for an image of that name",
                       "tiers with a namespace are refused here"},
    [BUG_CLONE_HOLES] =
        {BUG_WARNS, OF_LIBRBD, 0, V(17, 0, 0),
         "librbd before 17 shows the holes of clones and of striped images as data: "
         "such disks grow to their full size",
         "upgrade Ceph's libraries to 17 or newer, or run 'rbd sparsify' on the "
         "target afterwards"},
};

static bool affects(const struct known_bug *bug, unsigned long version)
{
    return version >= bug->from && version < bug->before;
}

static bool is_here(const struct known_bug *bug, const struct virt_versions *versions)
{
    return (bug->owner == OF_LIBVIRT && affects(bug, versions->libvirt)) ||
           (bug->owner == OF_QEMU && affects(bug, versions->hypervisor));
}

const struct known_bug *known_bug(enum known_bug_id id, const struct virt_versions *versions)
{
    return is_here(&bugs[id], versions) ? &bugs[id] : NULL;
}

const struct known_bug *known_bug_next(const struct virt_versions *versions, size_t *index)
{
    while (*index < ARRAY_SIZE(bugs)) {
        const struct known_bug *bug = &bugs[(*index)++];
        if (is_here(bug, versions))
            return bug;
    }
    return NULL;
}

const struct known_bug *known_librbd_bug_next(unsigned long version, size_t *index)
{
    while (*index < ARRAY_SIZE(bugs)) {
        const struct known_bug *bug = &bugs[(*index)++];
        if (bug->owner == OF_LIBRBD && affects(bug, version))
            return bug;
    }
    return NULL;
}
