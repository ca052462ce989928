/* What a dead process left unfinished is brought to an end: by where the guest writes now. */
#include "move/private.h"

static int stale_guest(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    AUTO_FREE char *where = plan_destination_describe(&disk->destination);
    error_set(error, ERROR_OPERATOR,
              "disk %s had pivoted to %s, but the guest runs on another disk now: it was started "
              "from an old definition",
              disk->target, where);
    return error_hint(error,
                      "stop the guest before it writes more, decide which of %s and %s is "
                      "right (both are kept), and define the domain with that one",
                      disk->source, where);
}

static int nobody_knows(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    AUTO_FREE char *where = plan_destination_describe(&disk->destination);
    error_set(error, ERROR_OPERATOR,
              "the guest stopped in the very moment in which disk %s pivoted: its last writes are "
              "on %s, or on %s",
              disk->target, disk->source, where);
    return error_hint(error, "both are kept; compare them, define the domain with the right one "
                             "(the saved definition names the old), then 'virt-pivot recover'");
}

static int settle_one(struct move *move, const struct world *world, size_t index,
                      enum disk_fate *fate, struct error *error)
{
    const struct disk_view *view = &world->disks[index];
    bool asked = *fate == DISK_PIVOTED || *fate == DISK_PIVOTING;
    if (world->live) {
        if (view->live == PLACE_TARGET && !view->mirrored)
            *fate = DISK_PIVOTED;
        else if (*fate == DISK_PIVOTED || (asked && view->live == PLACE_ELSEWHERE))
            return stale_guest(move, index, error);
        else if (*fate == DISK_PIVOTING)
            *fate = DISK_WAITING;
        return 0;
    }
    if (*fate == DISK_PIVOTING) {
        /* libvirt writes the new source into the definition when a pivot concludes, and not before
         * (libvirt qemu_blockjob.c); a person who answered the question has defined one, too. */
        if (view->defined == PLACE_TARGET)
            *fate = DISK_PIVOTED;
        else if (view->defined == PLACE_SOURCE && move->phase == PHASE_NEEDS_OPERATOR)
            *fate = DISK_WAITING;
        else
            return nobody_knows(move, index, error);
    }
    return 0;
}

int settle_fates(struct move *move, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    for (size_t i = 0; i < move->disks.count; i++) {
        enum disk_fate fate = move->disks.items[i].fate;
        if (settle_one(move, &world, i, &fate, error) < 0)
            return -1;
        /* The journal may be unwritable: what was found is kept in memory all the same, so that the
         * definition can still be put right. */
        AUTO_ERROR struct error unwritten = {0};
        if (fate != move->disks.items[i].fate && move_set_fate(move, i, fate, &unwritten) < 0)
            move->disks.items[i].fate = fate;
    }
    return 0;
}

static int load(struct move *move, struct plan **plan, struct error *error)
{
    CLEANUP(move_record_clear) struct move_record record = {0};
    if (journal_read(move->mover->journal, move->id, &record, error) < 0 ||
        plan_from_record(record.plan, plan, error) < 0 ||
        journal_disks(move->mover->journal, move->id, &move->disks, error) < 0 ||
        domain_parse(record.live, strlen(record.live), &move->before, error) < 0)
        return -1;
    move->plan = *plan;
    move->phase = record.phase;
    return record.definition
               ? domain_parse(record.definition, strlen(record.definition), &move->saved, error)
               : 0;
}

static int complete(struct move *move, struct error *error)
{
    AUTO_ERROR struct error failure = {0};
    bool whole = pivot_step.act(move, &failure) == 0;
    if (!whole && leave_the_rest(move, error) < 0)
        return -1;
    if (reach(move, PHASE_PIVOTED, whole ? "all disks" : "not all disks", error) < 0 ||
        finish(move, error) < 0)
        return -1;
    if (!whole)
        move_warn(move, "some disks are still on their source: %s", failure.message);
    return 0;
}

int move_recover(const struct mover *mover, int64_t id, enum move_outcome *outcome,
                 struct error *error)
{
    CLEANUP(plan_freep) struct plan *plan = NULL;
    CLEANUP(forget) struct move move = {.mover = mover, .id = id, .recovering = true};
    if (load(&move, &plan, error) < 0)
        return -1;
    if (journal_note(mover->journal, id, "recover", NULL, error) < 0)
        return -1;
    if (settle_fates(&move, error) < 0)
        return needs_operator(&move, error);
    *outcome = move_any_pivoted(&move) ? OUTCOME_FINISHED : OUTCOME_UNDONE;
    int result = *outcome == OUTCOME_FINISHED ? complete(&move, error) : undo_all(&move, error);
    if (result < 0) {
        error_prefix(error, "move %lld of domain '%s' is not recovered", (long long)id,
                     plan->domain);
        return needs_operator(&move, error);
    }
    return journal_set_message(mover->journal, id, NULL, NULL, error);
}
