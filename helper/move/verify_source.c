/* The disk that the guest had before the move, read as it saw it. */
#include "move/private.h"
#include "survey/source_open.h"

int verify_source_unused(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name name = move_source_name(disk);
    struct ceph_cluster *cluster = NULL;
    CLEANUP(text_list_clear) struct text_list watchers = {0};
    if (!disk->source_image || disk->source_id)
        return 0; /* a file is locked while it is open; nobody can write to what is migrated */
    if (move_source_cluster(move, disk, &cluster, error) < 0 ||
        ceph_image_watchers(cluster, &name, &watchers, error) < 0)
        return -1;
    if (watchers.count == 0)
        return 0;
    error_set(error, ERROR_BUSY, "the source %s is in use by %s", disk->source, watchers.items[0]);
    return error_hint(error, "it must not change before it is compared; the watch of a client that "
                             "was killed goes away within about 30 s");
}

static int open_rbd(struct move *move, size_t index, struct blocks **blocks, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name name = move_source_name(disk);
    struct ceph_cluster *cluster = NULL;
    if (verify_source_unused(move, index, error) < 0 ||
        move_source_cluster(move, disk, &cluster, error) < 0)
        return -1;
    if (disk->source_id)
        return blocks_open_rbd_by_id(cluster, &name, disk->source_id, blocks, error);
    return blocks_open_rbd(cluster, &name, NULL, false, blocks, error);
}

int verify_source_open(struct move *move, size_t index, struct blocks **blocks, struct error *error)
{
    const struct plan_disk *planned = move_plan_of(move, index);
    const struct disk *disk = domain_disk(move->before, planned->target);
    if (disk && disk_is_nested(disk))
        return error_set(error, ERROR_UNSUPPORTED,
                         "its source is %s within %s, which only the guest's QEMU can read",
                         disk->format, planned->source);
    if (planned->source_image)
        return open_rbd(move, index, blocks, error);
    if (!disk)
        return error_set(error, ERROR_UNSUPPORTED, "the journal does not say what its source was");
    return source_open(move->mover->virt, disk, SOURCE_READ, blocks, error);
}
