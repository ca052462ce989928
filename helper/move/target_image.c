/* An RBD image that is made for a disk: provably ours, and nobody else's. */
#include "move/private.h"

const struct target *move_target(const struct plan_disk *disk)
{
    if (!disk->destination.old_disk || disk->destination.remade)
        return disk->source_id ? &migrated_target : &image_target;
    return plan_destination_is_rbd(&disk->destination) ? &old_image_target : &old_file_target;
}

struct ceph_image_spec target_image_spec(const struct move *move, size_t index)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    return (struct ceph_image_spec){
        .name = move_target_name(disk),
        .size = disk->destination.size,
        .object_size = disk->destination.object_size,
        .data_pool = disk->destination.data_pool,
        .token = move->disks.items[index].token,
        .domain_uuid = move->plan->uuid,
        .domain_name = move->plan->domain,
        .target = disk->target,
        .source = disk->source,
    };
}

static int claim(struct move *move, size_t index, struct error *error)
{
    const struct ceph_image_spec spec = target_image_spec(move, index);
    struct ceph_cluster *cluster = NULL;
    return move_target_cluster(move, move_plan_of(move, index), &cluster, error) < 0
               ? -1
               : ceph_image_create(cluster, &spec, error);
}

/* We write only to images that are ours and that nobody else has open. */
int target_image_ready(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    struct ceph_cluster *cluster = NULL;
    const struct ceph_image_name name = move_target_name(disk);
    CLEANUP(text_list_clear) struct text_list watchers = {0};
    if (move_target_cluster(move, disk, &cluster, error) < 0 ||
        ceph_image_watchers(cluster, &name, &watchers, error) < 0)
        return -1;
    if (watchers.count == 0)
        return 0;
    AUTO_FREE char *where = plan_destination_describe(&disk->destination);
    error_set(error, ERROR_BUSY, "somebody has the target image %s open: %s", where,
              watchers.items[0]);
    return error_hint(error, "find that client ('rbd status') before you try again");
}

static int ready(struct move *move, size_t index, struct error *error)
{
    if (target_image_ready(move, index, error) < 0)
        return -1;
    return move->undoes ? undo_end_proof(move, index, error) : 0;
}

static int release(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name name = move_target_name(disk);
    struct ceph_cluster *cluster = NULL;
    if (move_target_cluster(move, disk, &cluster, error) < 0)
        return -1;
    /* With its snapshots, if they are ours; and it waits until a client that was killed, who had
     * opened it to make one, is forgotten. */
    return ceph_image_remove_owned(cluster, &name, move->disks.items[index].token,
                                   move_patience(move), error) < 0
               ? -1
               : capture_forget(move, index, error);
}

int target_image_is_gone(struct move *move, size_t index, bool *gone, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name name = move_target_name(disk);
    struct ceph_cluster *cluster = NULL;
    struct ceph_image image = {0};
    if (move_target_cluster(move, disk, &cluster, error) < 0)
        return -1;
    *gone = ceph_image(cluster, &name, &image, error) < 0;
    if (!*gone) {
        ceph_image_clear(&image);
        return 0;
    }
    if (error->code != ERROR_NOT_FOUND)
        return -1;
    error_clear(error);
    return 0;
}

/* The watch of a client that was killed lasts half a minute: after a crash of the host the guest
 * may well be back before that. And a guest's own is missing for a moment when an OSD restarts. */
int target_image_prove(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    AUTO_FREE char *where = plan_destination_describe(&disk->destination);
    struct ceph_cluster *cluster = NULL;
    const struct ceph_image_name name = move_target_name(disk);
    if (move_target_cluster(move, disk, &cluster, error) < 0)
        return -1;
    for (int64_t start = move_now_ms();;) {
        CLEANUP(text_list_clear) struct text_list watchers = {0};
        if (ceph_image_watchers(cluster, &name, &watchers, error) < 0)
            return -1;
        if (watchers.count == 1)
            return 0;
        if (move_out_of_patience(move, start))
            return error_set(error, ERROR_OPERATOR,
                             "disk %s: %zu clients have %s open, and it should be the guest alone",
                             disk->target, watchers.count, where);
        virt_wait(move->mover->virt, 1000);
    }
}

const struct target image_target = {
    .claim = claim,
    .ready = ready,
    .release = release,
    .is_gone = target_image_is_gone,
    .prove = target_image_prove,
    .noun = "the target image",
    .disposal = "remove the image",
};
