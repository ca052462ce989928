/* An RBD image that takes the place of its source within the cluster: it is that image, as far as
 * its data have not been brought over. */
#include "move/private.h"

struct ceph_migration move_migration_of(const struct plan_disk *disk, const char *token)
{
    return (struct ceph_migration){
        .source = move_source_name(disk),
        .source_id = disk->source_id,
        .target = move_target_name(disk),
        .token = token,
    };
}

struct ceph_migration move_migration(const struct move *move, size_t index)
{
    return move_migration_of(move_plan_of(move, index), move->disks.items[index].token);
}

/* Nothing is made before the definition is about to be switched: until then the guest may be
 * started as ever. */
static int claim(struct move *move, size_t index, struct error *error)
{
    const struct ceph_migration migration = move_migration(move, index);
    struct ceph_cluster *cluster = NULL;
    return move_target_cluster(move, move_plan_of(move, index), &cluster, error) < 0
               ? -1
               : ceph_migration_check(cluster, &migration, error);
}

/* Nobody was ever told of the target, or so we think: what somebody has written to it would be
 * lost. */
static int check_unwritten(struct move *move, size_t index, struct ceph_cluster *cluster,
                           struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name name = move_target_name(disk);
    const char *snapshot = move->disks.items[index].snapshot;
    bool exists = false, written = false;
    if (snapshot && ceph_snapshot_exists(cluster, &name, snapshot, &exists, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error);
    }
    if (!exists)
        return 0;
    if (ceph_image_written_since(cluster, &name, snapshot, &written, error) < 0)
        return -1;
    if (!written)
        return 0;
    AUTO_FREE char *where = plan_destination_describe(&disk->destination);
    error_set(error, ERROR_OPERATOR,
              "disk %s: somebody has written to %s, which is %s as well, and this would be lost",
              disk->target, where, disk->source);
    return error_hint(error, "define the domain with %s; then 'virt-pivot recover'", where);
}

static int release(struct move *move, size_t index, struct error *error)
{
    const struct ceph_migration migration = move_migration(move, index);
    struct ceph_cluster *cluster = NULL;
    return move_target_cluster(move, move_plan_of(move, index), &cluster, error) < 0 ||
                   check_unwritten(move, index, cluster, error) < 0 ||
                   ceph_migration_abort(cluster, &migration, move_patience(move), error) < 0
               ? -1
               : capture_forget(move, index, error);
}

const struct target migrated_target = {
    .claim = claim,
    .ready = target_image_ready,
    .release = release,
    .is_gone = target_image_is_gone,
    .prove = target_image_prove,
    .noun = "the migrated image",
    .disposal = "take the migration back",
};
