/* Makes the holes of an RBD source visible, so that a mirror need not copy them. */
#include "move/private.h"

/* exclusive-lock, object-map and fast-diff, as librbd numbers them (RBD_FEATURE_*). */
#define FAST_DIFF_NEEDS (1ull << 2 | 1ull << 3 | 1ull << 4)

/* After a failure (a user who may only read the source, say) most likely nothing was switched on:
 * then there is nothing to take back. */
static void forget_what_is_off(struct move *move, size_t index, struct ceph_cluster *cluster)
{
    const struct ceph_image_name name = move_source_name(move_plan_of(move, index));
    struct disk_record *record = &move->disks.items[index];
    struct ceph_image image = {0};
    AUTO_ERROR struct error ignored = {0};
    uint64_t on = 0;
    if (ceph_image(cluster, &name, &image, &ignored) == 0)
        on = record->enabled_features & image.features;
    else if (ignored.code != ERROR_NOT_FOUND) /* an image that is gone has no features */
        return;
    error_clear(&ignored);
    ceph_image_clear(&image);
    if (journal_set_features(move->mover->journal, move->id, record->target, on, &ignored) == 0)
        record->enabled_features = on;
}

/* What will be switched on is written down first: whatever happens then, it can be taken back. */
static int prepare_one(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name name = move_source_name(disk);
    struct disk_record *record = &move->disks.items[index];
    struct ceph_cluster *cluster = NULL;
    struct ceph_image image = {0};
    uint64_t enabled = 0;
    if (move_source_cluster(move, disk, &cluster, error) < 0 ||
        ceph_image(cluster, &name, &image, error) < 0)
        return -1;
    record->enabled_features |= FAST_DIFF_NEEDS & ~image.features;
    ceph_image_clear(&image);
    if (journal_set_features(move->mover->journal, move->id, record->target,
                             record->enabled_features, error) < 0)
        return -1;
    if (ceph_image_enable_fast_diff(cluster, &name, &enabled, error) == 0)
        return 0;
    forget_what_is_off(move, index, cluster);
    return -1;
}

/* A process that was killed just before, in a move of the same disk, is soon forgotten. */
static int prepare_patiently(struct move *move, size_t index, struct error *error)
{
    for (int64_t start = move_now_ms(); prepare_one(move, index, error) < 0;)
        if (error->code != ERROR_BUSY || !move_waits_for_others(move, start, error))
            return -1;
    return 0;
}

static int act(struct move *move, struct error *error UNUSED)
{
    for (size_t i = 0; i < move->disks.count; i++) {
        if (!move_plan_of(move, i)->prepare_source)
            continue;
        /* Without it the copy is larger, not wrong: many users may only read the old cluster. */
        AUTO_ERROR struct error failure = {0};
        if (prepare_patiently(move, i, &failure) < 0)
            move_warn(move, "disk %s: the source's holes will be copied as data: %s",
                      move->disks.items[i].target, failure.message);
    }
    return 0;
}

/* Whoever was killed while he did this is soon forgotten. */
static int disable(struct move *move, struct ceph_cluster *cluster,
                   const struct ceph_image_name *name, uint64_t features, struct error *error)
{
    for (int64_t start = move_now_ms();
         ceph_image_disable_features(cluster, name, features, error) < 0;)
        if (!move_waits_for_others(move, start, error))
            return -1;
    return 0;
}

static int undo(struct move *move, struct error *error)
{
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct plan_disk *disk = move_plan_of(move, i);
        struct disk_record *record = &move->disks.items[i];
        if (!record->enabled_features)
            continue;
        const struct ceph_image_name name = move_source_name(disk);
        struct ceph_cluster *cluster = NULL;
        if (move_source_cluster(move, disk, &cluster, error) < 0)
            return -1;
        forget_what_is_off(move, i, cluster);
        if (record->enabled_features &&
            disable(move, cluster, &name, record->enabled_features, error) < 0)
            return -1;
        if (journal_set_features(move->mover->journal, move->id, record->target, 0, error) < 0)
            return -1;
        record->enabled_features = 0;
    }
    return 0;
}

static int done(struct move *move UNUSED, bool *is_done, struct error *error UNUSED)
{
    *is_done = false; /* acting again costs nothing when it is */
    return 0;
}

static char *describe(const struct move *move)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < move->disks.count; i++)
        if (move->disks.items[i].enabled_features)
            buffer_format(&text, "%sfast-diff switched on for %s", text.length ? ", " : "",
                          move->disks.items[i].target);
    return text.length ? buffer_take(&text) : text_dup("nothing to do");
}

const struct step prepare_source_step = {PHASE_SOURCE_PREPARED, act, undo, done, describe};
