/* A disk as the guest sees it, opened by ourselves: files, block devices, volumes of
 * libvirt's storage pools, NBD exports. RBD images are opened by their name (blocks.h). */
#ifndef VP_SURVEY_SOURCE_OPEN_H
#define VP_SURVEY_SOURCE_OPEN_H

#include "blocks/blocks.h"
#include "domain/domain.h"
#include "virt/virt.h"

enum source_access {
    SOURCE_READ,
    SOURCE_IDLE,  /* to be read as blocks_open_file_idle does */
    SOURCE_WRITE, /* nobody else may have it open */
};
/* ERROR_UNSUPPORTED for what only a QEMU can open. */
int source_open(struct virt *virt, const struct disk *disk, enum source_access access,
                struct blocks **blocks, struct error *error) MUST_CHECK;

#endif
