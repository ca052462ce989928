/* Killed in the moment in which the definition was switched over to the copies.
 *
 * A definition that names them was ours to write, but whether the guest had been started from the
 * old one just before, and has written to its old disks since, nobody was there to see
 * (step_switch_offline.c). The disks themselves tell: the copies were captured before the
 * definition was written, and the sources are what was copied, or they are not. */
#include "move/offline.h"

static bool is_switched(const struct move *move, const struct world *world)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if ((world->live ? world->disks[i].live : world->disks[i].defined) == PLACE_TARGET)
            return true;
    return false;
}

/* Before that no definition of ours names the targets: if one does, it is somebody's. */
static bool may_have_switched(const struct move *move)
{
    if (move->phase == PHASE_MIRRORING)
        return true;
    for (size_t i = 0; i < move->disks.count; i++)
        if (!move->disks.items[i].total || move->disks.items[i].copied < move->disks.items[i].total)
            return false;
    return true;
}

/* NULL: there is none, or nobody knows whether it was made in time. */
static const char *capture_of(const struct disk_record *record)
{
    return record->verdict == VERDICT_IMPOSSIBLE ? NULL : record->snapshot;
}

/* Whoever was asked, and holds the copies for right, has put the old disk out of the way. */
static int is_out_of_the_way(struct move *move, size_t index, struct error *error)
{
    CLEANUP(blocks_closep) struct blocks *source = NULL;
    AUTO_ERROR struct error absence = {0};
    if (error->code != ERROR_NOT_FOUND || verify_source_open(move, index, &source, &absence) == 0 ||
        absence.code != ERROR_NOT_FOUND)
        return -1;
    error_clear(error);
    return 0;
}

static int compare_patiently(struct move *move, size_t index, bool *equal, struct error *error)
{
    struct blocks_comparison found = {0};
    int64_t start = move_now_ms();
    *equal = true;
    while (verify_compare(move, index, capture_of(&move->disks.items[index]), &found, error) < 0) {
        if (is_out_of_the_way(move, index, error) == 0)
            return 0;
        if (!move_waits_for_others(move, start, error))
            return error_prefix(error,
                                "disk %s: it is not known whether the guest ran on %s while its "
                                "definition was changed",
                                move->disks.items[index].target, move_plan_of(move, index)->source);
    }
    *equal = found.equal;
    return 0;
}

static int compare_all(struct move *move, bool *equal, struct error *error)
{
    *equal = true;
    for (size_t i = 0; *equal && i < move->disks.count; i++)
        if (compare_patiently(move, i, equal, error) < 0)
            return -1;
    return 0;
}

static int is_untouched(struct move *move, size_t index, bool *untouched, struct error *error)
{
    CLEANUP(blocks_closep) struct blocks *then = NULL;
    CLEANUP(blocks_closep) struct blocks *now = NULL;
    struct blocks_comparison found = {0};
    const char *snapshot = capture_of(&move->disks.items[index]);
    *untouched = false;
    if (!snapshot)
        return 0;
    if (move_open_target(move, index, snapshot, false, &then, error) < 0 ||
        move_open_target(move, index, NULL, false, &now, error) < 0 ||
        blocks_compare(then, now, NULL, &found, error) < 0)
        return -1;
    *untouched = found.equal;
    return 0;
}

static int are_untouched(struct move *move, bool *untouched, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    *untouched = true;
    for (size_t i = 0; *untouched && i < move->disks.count; i++)
        if (is_untouched(move, i, untouched, error) < 0)
            return -1;
    if (observe(move, &world, error) < 0)
        return -1;
    *untouched &= !world.live; /* it has been started from the copies meanwhile */
    return 0;
}

static int nobody_knows(const struct move *move, struct error *error)
{
    error_set(error, ERROR_OPERATOR,
              "the guest may have been started from its old definition in the very moment in which "
              "that was changed: its disks and their copies differ, and it may have written to "
              "both");
    AUTO_BUFFER struct buffer kept = {0};
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct plan_disk *disk = move_plan_of(move, i);
        AUTO_FREE char *where = plan_destination_describe(&disk->destination);
        buffer_format(&kept, "%s%s: %s, or the copy %s", i ? "; " : "", disk->target, disk->source,
                      where);
    }
    return error_hint(error,
                      "stop the guest before it writes more, and decide which are right (all are "
                      "kept: %s). If those before, define the domain with them (from definitions/ "
                      "in the state directory); if the copies, rename those before; then "
                      "'virt-pivot recover'",
                      kept.text);
}

int offline_settle_doubt(struct move *move, const struct world *world, struct error *error)
{
    bool equal = false, untouched = false;
    /* Of migrated disks there are no two that could have been written to (step_migrate.c). */
    if (move->plan->migrates || move_any_pivoted(move))
        return 0;
    /* It was to be given back, or is by now. */
    if (move_has_fate(move, DISK_RETURNED))
        return move_set_fates(move, DISK_RETURNED, error);
    if (!may_have_switched(move) || !is_switched(move, world))
        return 0;
    offline_close(move);
    /* A wish to cancel it comes too late, and would only keep us from knowing. */
    if (journal_unwish(move->mover->journal, move->id, error) < 0 ||
        compare_all(move, &equal, error) < 0)
        return -1;
    if (equal)
        return move_set_fates(move, DISK_PIVOTED, error);
    if (are_untouched(move, &untouched, error) < 0)
        return -1;
    return untouched ? move_set_fates(move, DISK_RETURNED, error) : nobody_knows(move, error);
}
