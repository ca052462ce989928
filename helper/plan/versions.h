/* Versions of libvirt, QEMU and librbd that are known to be bad. */
#ifndef VP_PLAN_VERSIONS_H
#define VP_PLAN_VERSIONS_H

#include "virt/virt.h"

enum known_bug_id {
    BUG_RBD_BLOCK_STATUS,
    BUG_MIRROR_START,
    BUG_SYNCHRONOUS,
    BUG_IOTHREAD,
    BUG_OPEN_HANGS,
    BUG_NAMESPACE,
    BUG_CLONE_HOLES,
};

enum bug_owner { OF_QEMU, OF_LIBVIRT, OF_LIBRBD };

enum bug_effect { BUG_CORRUPTS, BUG_HANGS, BUG_WARNS };

struct known_bug {
    enum bug_effect effect;
    enum bug_owner owner;
    unsigned long from, before; /* affected: from <= version < before */
    const char *what, *remedy;
};

/* The bug if this host has it, else NULL. */
const struct known_bug *known_bug(enum known_bug_id id, const struct virt_versions *versions);
/* The next bug of libvirt or QEMU that this host has, or NULL. Start with *index = 0. */
const struct known_bug *known_bug_next(const struct virt_versions *versions, size_t *index);
/* The same of librbd, counted as libvirt counts: major * 1000000 + minor * 1000 + release. */
const struct known_bug *known_librbd_bug_next(unsigned long version, size_t *index);

#endif
