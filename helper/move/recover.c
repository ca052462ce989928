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

/* A daemon that is killed while it works off the end of a job may have left a state of the guest
 * that it cannot read when it comes back ("unknown mirror job type ''": libvirt qemu_blockjob.c
 * clears the job's type first, and saves the state before the mirror is gone): then it has
 * forgotten a guest that runs.
 *
 * A definition that names the old disk is no answer: nobody need have touched it. So it is asked
 * for one that cannot be misread, and nothing that may be the only copy is removed by us. */
static int nobody_knows(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct target *target = move_target(disk);
    AUTO_FREE char *where = plan_destination_describe(&disk->destination);
    error_set(error, ERROR_OPERATOR,
              "the guest stopped, or libvirt lost sight of it, in the very moment in which disk %s "
              "pivoted: its last writes are on %s, or on %s",
              disk->target, disk->source, where);
    return error_hint(
        error,
        "make sure that its QEMU does not run any more ('rbd status' tells who has an "
        "image open); both are kept; compare them before the guest runs on. If the "
        "latter is right, define the domain with it; if the one before is, %s %s; "
        "then 'virt-pivot recover'",
        target->disposal, where);
}

/* The guest that was told to pivot is no more, and nobody saw what became of it. */
static int settle_doubt(struct move *move, const struct disk_view *view, size_t index,
                        enum disk_fate *fate, struct error *error)
{
    /* libvirt writes the new source into the definition when a pivot concludes, and not before
     * (libvirt qemu_blockjob.c); a person who answered the question has defined one, too. */
    if (view->live == PLACE_UNKNOWN && view->defined == PLACE_TARGET) {
        *fate = DISK_PIVOTED;
        return 0;
    }
    bool gone = false;
    if (move_target(move_plan_of(move, index))->is_gone(move, index, &gone, error) < 0)
        return -1;
    if (!gone)
        return nobody_knows(move, index, error);
    *fate = DISK_WAITING;
    return 0;
}

/* A definition that is to be given back does not count. */
static bool is_switched(const struct move *move, const struct disk_view *view, enum disk_fate fate)
{
    return view->defined == PLACE_TARGET && !(move_is_offline(move) && fate == DISK_RETURNED);
}

/* An image that was made for this move is named by nobody but who has brought the guest there. An
 * old disk is named by every old definition, and before the pivot it is of no use: stale, or
 * written over in part. Of a domain that is off all disks change over at once: where the journal
 * says so of one, it is so of the others, and who was about to note that (below) was killed. */
static int check_not_fallen_back(const struct move *move, const struct world *world, size_t index,
                                 enum disk_fate fate, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct disk_view *view = &world->disks[index];
    bool started_there = world->live && view->live == PLACE_TARGET && is_another_run(move, world);
    bool defined_there = !world->live && view->defined == PLACE_TARGET;
    if (!disk->destination.old_disk || fate != DISK_WAITING ||
        (move_is_offline(move) && move_any_pivoted(move)) || (!started_there && !defined_there))
        return 0;
    AUTO_FREE char *where = plan_destination_describe(&disk->destination);
    error_set(error, ERROR_OPERATOR,
              "disk %s: %s the old disk %s, onto which the guest had not been brought back: its "
              "last writes are on %s",
              disk->target,
              started_there ? "the guest was started from an old definition, on"
                            : "somebody has defined the domain with",
              where, disk->source);
    return error_hint(error,
                      "%sdefine the domain with %s ('virsh define', from definitions/ in "
                      "the state directory); then 'virt-pivot recover'",
                      started_there ? "stop the guest before it writes more, and " : "",
                      disk->source);
}

static int settle_one(struct move *move, const struct world *world, size_t index,
                      enum disk_fate *fate, struct error *error)
{
    const struct disk_view *view = &world->disks[index];
    bool asked = *fate == DISK_PIVOTED || *fate == DISK_PIVOTING;
    if (check_not_fallen_back(move, world, index, *fate, error) < 0)
        return -1;
    if (world->live) {
        if (view->live == PLACE_TARGET)
            *fate = DISK_PIVOTED;
        else if (*fate == DISK_PIVOTED || (asked && view->live == PLACE_ELSEWHERE))
            return stale_guest(move, index, error);
        else if (*fate == DISK_PIVOTING &&
                 (view->live != PLACE_SOURCE || is_another_run(move, world)))
            return settle_doubt(move, view, index, fate, error);
        else if (*fate == DISK_PIVOTING)
            *fate = DISK_WAITING;
        return 0;
    }
    /* Somebody may have pivoted it by hand: libvirt wrote that down. */
    if (is_switched(move, view, *fate))
        *fate = DISK_PIVOTED;
    return *fate == DISK_PIVOTING ? settle_doubt(move, view, index, fate, error) : 0;
}

int settle_fates(struct move *move, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    if (observe_settled(move, &world, error) < 0 ||
        (move_is_offline(move) && offline_settle_doubt(move, &world, error) < 0))
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

int move_load(struct move *move, struct plan **plan, struct error *error)
{
    CLEANUP(move_record_clear) struct move_record record = {0};
    if (journal_read(move->mover->journal, move->id, &record, error) < 0 ||
        plan_from_record(record.plan, plan, error) < 0 ||
        journal_disks(move->mover->journal, move->id, &move->disks, error) < 0 ||
        domain_parse(record.live, strlen(record.live), &move->before, error) < 0)
        return -1;
    move->plan = *plan;
    move->phase = record.phase;
    move->created = record.created;
    move->updated = record.updated;
    move->held = record.held;
    move->pause = record.pause;
    move->kind = record.kind;
    move->undoes = record.undoes;
    return record.definition
               ? domain_parse(record.definition, strlen(record.definition), &move->saved, error)
               : 0;
}

static int complete(struct move *move, struct error *error)
{
    AUTO_ERROR struct error failure = {0};
    /* Those that had been given up already are not tried again, but what was made for them may
     * still be there. */
    bool whole = (move_is_offline(move) ||
                  insist(move, &pivot_step, pivot_step.act, false, &failure) == 0) &&
                 move_all_pivoted(move);
    if (!whole && leave_the_rest(move, error) < 0)
        return -1;
    if (reach(move, PHASE_PIVOTED, whole ? "all disks" : "not all disks", error) < 0 ||
        finish(move, error) < 0)
        return -1;
    if (!whole)
        move_warn(move, "some disks are still on their source%s%s",
                  error_is_set(&failure) ? ": " : "",
                  error_is_set(&failure) ? failure.message : "");
    return 0;
}

static int bring_to_end(const struct mover *mover, int64_t id, bool resume,
                        enum move_outcome *outcome, struct error *error)
{
    CLEANUP(plan_freep) struct plan *plan = NULL;
    CLEANUP(forget) struct move move = {.mover = mover, .id = id, .recovering = true};
    if (move_load(&move, &plan, error) < 0)
        return -1;
    /* It was not dead, only about to finish, when the caller looked. */
    if (move_phase_is_final(move.phase)) {
        *outcome = move_any_pivoted(&move) ? OUTCOME_FINISHED : OUTCOME_UNDONE;
        return 0;
    }
    if (move.kind == MOVE_INCOMING)
        return incoming_recover(&move, plan, outcome, error);
    AUTO_ERROR struct error unwritten = {0};
    if (journal_note(mover->journal, id, "recover", NULL, &unwritten) < 0)
        error_clear(
            &unwritten); /* without room for a journal the guest still needs its definition */
    if (insist(&move, NULL, move_let_go, false, error) < 0 ||
        insist(&move, NULL, settle_fates, false, error) < 0)
        return needs_operator(&move, error);
    *outcome = move_any_pivoted(&move) ? OUTCOME_FINISHED : OUTCOME_UNDONE;
    bool resumed = false;
    int result = resume && *outcome == OUTCOME_UNDONE ? resume_copy(&move, &resumed, error) : 0;
    if (resumed && result < 0)
        return -1; /* and it has brought itself to its end */
    if (resumed)
        *outcome = OUTCOME_FINISHED;
    else
        result = *outcome == OUTCOME_FINISHED ? complete(&move, error) : undo_all(&move, error);
    if (result < 0 && *outcome == OUTCOME_UNDONE && move_any_pivoted(&move)) {
        error_clear(error);
        *outcome = OUTCOME_FINISHED;
        result = complete(&move, error);
    }
    if (result < 0) {
        error_prefix(error, "move %lld of domain '%s' is not recovered", (long long)id,
                     plan->domain);
        return needs_operator(&move, error);
    }
    return journal_set_message(mover->journal, id, NULL, NULL, error);
}

int move_recover(const struct mover *mover, int64_t id, enum move_outcome *outcome,
                 struct error *error)
{
    return bring_to_end(mover, id, false, outcome, error);
}

int move_resume(const struct mover *mover, int64_t id, enum move_outcome *outcome,
                struct error *error)
{
    return bring_to_end(mover, id, true, outcome, error);
}
