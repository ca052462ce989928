/* The snapshots of an RBD source whose domain is off, copied along: the oldest first, each as a
 * copy onto the target of what the source was then, of which a snapshot is made.
 *
 * They have names of ours until the move has ended well, so that a target that is given up can be
 * removed with them. */
#include "move/offline.h"

#define PREFIX CEPH_SNAPSHOT_PREFIX "copied."

static char *name_for_now(const char *name)
{
    return text_format(PREFIX "%s", name);
}

static bool contains(const struct text_list *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (text_equal(names->items[i], name))
            return true;
    return false;
}

int offline_list_snapshots(struct move *move, size_t index, struct text_list *names, size_t *copied,
                           struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name source = move_source_name(disk);
    const struct ceph_image_name target = move_target_name(disk);
    struct ceph_cluster *from = NULL, *to = NULL;
    CLEANUP(text_list_clear) struct text_list all = {0};
    CLEANUP(text_list_clear) struct text_list there = {0};
    *copied = 0;
    if (!disk->takes_snapshots)
        return 0;
    if (move_source_cluster(move, disk, &from, error) < 0 ||
        move_target_cluster(move, disk, &to, error) < 0 ||
        ceph_snapshot_names(from, &source, &all, error) < 0 ||
        ceph_snapshot_names(to, &target, &there, error) < 0)
        return -1;
    for (size_t i = 0; i < all.count; i++)
        if (!text_starts_with(all.items[i], CEPH_SNAPSHOT_PREFIX))
            *text_list_add(names) = STEAL(all.items[i]);
    for (bool done = true; *copied < names->count && done; *copied += done) {
        AUTO_FREE char *name = name_for_now(names->items[*copied]);
        done = contains(&there, name);
    }
    return 0;
}

int offline_open_snapshot(struct move *move, size_t index, const char *name, struct blocks **blocks,
                          struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name source = move_source_name(disk);
    struct ceph_cluster *cluster = NULL;
    return move_source_cluster(move, disk, &cluster, error) < 0
               ? -1
               : blocks_open_rbd(cluster, &source, name, false, blocks, error);
}

int offline_keep_snapshot(struct move *move, size_t index, const char *name, struct error *error)
{
    AUTO_FREE char *now = name_for_now(name);
    return blocks_snapshot(move->ends->to[index], now, error);
}

static int reveal(struct move *move, const struct plan_disk *disk, struct error *error)
{
    const struct ceph_image_name target = move_target_name(disk);
    CLEANUP(text_list_clear) struct text_list names = {0};
    struct ceph_cluster *cluster = NULL;
    if (move_target_cluster(move, disk, &cluster, error) < 0 ||
        ceph_snapshot_names(cluster, &target, &names, error) < 0)
        return -1;
    for (size_t i = 0; i < names.count; i++)
        if (text_starts_with(names.items[i], PREFIX) &&
            ceph_snapshot_rename(cluster, &target, names.items[i], names.items[i] + strlen(PREFIX),
                                 error) < 0)
            return -1;
    return 0;
}

void offline_reveal_snapshots(struct move *move)
{
    int64_t start = move_now_ms();
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct plan_disk *disk = move_plan_of(move, i);
        AUTO_ERROR struct error failure = {0};
        if (!disk->takes_snapshots || move->disks.items[i].fate != DISK_PIVOTED)
            continue;
        while (reveal(move, disk, &failure) < 0 && move_waits_for_others(move, start, &failure))
            ;
        if (error_is_set(&failure))
            move_warn(move,
                      "disk %s: its snapshots are copied, but keep the names '" PREFIX "…': %s",
                      disk->target, failure.message);
    }
}
