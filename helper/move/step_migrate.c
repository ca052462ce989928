/* The moment at which a domain that is off changes over to images that RBD brings into another
 * pool: no data are copied before, and all of them are there at once.
 *
 * From the moment on in which a source is migrated, nobody can open it under its name, nor write to
 * it: a guest that is started from the old definition does not start, for the second or so until
 * the definition names the targets. And until it does, nobody knows of the targets. So there are
 * never two that are written to, and whether the guest may have run on its targets the definition
 * says: if it names them, there is no way back. */
#include "move/offline.h"

static int prepare(struct move *move, size_t index, struct error *error)
{
    const struct ceph_migration migration = move_migration(move, index);
    const struct ceph_image_spec spec = target_image_spec(move, index);
    struct ceph_cluster *cluster = NULL;
    return move_target_cluster(move, move_plan_of(move, index), &cluster, error) < 0 ||
                   ceph_migration_prepare(cluster, &migration, &spec, error) < 0 ||
                   offline_capture(move, index, error) < 0
               ? -1
               : 0;
}

static int prepare_all(struct move *move, struct error *error)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if (prepare(move, i, error) < 0)
            return error_prefix(error, "disk %s", move->disks.items[i].target);
    return 0;
}

static int check_definition(struct move *move, const struct world *world, struct error *error)
{
    if (!world->state.active)
        return offline_check_definition(move, world, error);
    error_set(error, ERROR_FAILED,
              "the guest was started in the very moment in which its images are migrated");
    return error_hint(error, "start it again if it found its images missing: they are back");
}

static int define_targets(struct move *move, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0 || check_definition(move, &world, error) < 0)
        return -1;
    return offline_define_targets(move, &world, error);
}

static int act(struct move *move, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    if (move_save_successor(move, error) < 0 || observe(move, &world, error) < 0)
        return -1;
    /* An answer may have been lost, and we are here for the second time. */
    if (!offline_all_defined(move, &world) &&
        (check_definition(move, &world, error) < 0 || prepare_all(move, error) < 0 ||
         define_targets(move, error) < 0))
        return -1;
    /* What is restored from a saved state is led to the targets by the ledger. */
    for (size_t i = 0; i < move->disks.count; i++)
        if (move_write_ledger(move, i, error) < 0 ||
            move_set_fate(move, i, DISK_PIVOTED, error) < 0)
            return -1;
    return 0;
}

/* Nothing: the definition is never given back, and the targets are another step's. */
static int undo(struct move *move UNUSED, struct error *error UNUSED)
{
    return 0;
}

static int never_done(struct move *move UNUSED, bool *is_done, struct error *error UNUSED)
{
    *is_done = false; /* acting again looks first */
    return 0;
}

static char *describe(const struct move *move)
{
    bool one = move->disks.count == 1;
    return text_format("the definition names %s; the data follow, and the domain may be started",
                       one ? "the migrated image" : "the migrated images");
}

const struct step migrate_step = {PHASE_PIVOTED, act, undo, never_done, describe};
