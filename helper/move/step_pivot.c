/* The moment at which the guest changes over. Every disk is ready before the first one pivots. */
#include "move/private.h"

#define PIVOT_POLL_MILLISECONDS 100

/* Waits until the live XML says where the disk is, its job being over. */
static int await_end_of_job(struct move *move, size_t index, enum disk_place *place,
                            struct error *error)
{
    for (int64_t start = move_now_ms(); !move_out_of_patience(move, start);) {
        AUTO_WORLD struct world world = {0};
        if (observe(move, &world, error) < 0)
            return -1;
        *place = world.disks[index].live;
        /* Where another run of the guest writes does not tell where this one did last. */
        if (world.live && *place != PLACE_TARGET && is_another_run(move, &world))
            *place = PLACE_UNKNOWN;
        if (!world.state.active || !world.disks[index].mirrored)
            return 0;
        virt_wait(move->mover->virt, PIVOT_POLL_MILLISECONDS);
    }
    error_set(error, ERROR_OPERATOR, "disk %s: the pivot was asked for, but the job has not ended",
              move->disks.items[index].target);
    return error_hint(error, "look at it with 'virsh blockjob'; 'virt-pivot recover' goes on from "
                             "where it stands");
}

/* libvirt learns of readiness by an event: a job that QEMU calls ready may be refused for a moment
 * (VIR_ERR_BLOCK_COPY_ACTIVE). */
static int ask_for_pivot(struct move *move, size_t index, struct error *error)
{
    for (int64_t start = move_now_ms();;) {
        if (virt_mirror_pivot(move->mover->virt, move->plan->uuid, move->disks.items[index].target,
                              error) == 0)
            return 0;
        if (error->code != ERROR_BUSY || move_out_of_patience(move, start))
            return -1;
        error_clear(error);
        virt_wait(move->mover->virt, PIVOT_POLL_MILLISECONDS);
    }
}

static int pivot_one(struct move *move, size_t index, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    enum disk_place place = world.disks[index].live;
    if (place != PLACE_TARGET || world.disks[index].mirrored) {
        if (!world.state.active)
            return error_set(error, ERROR_FAILED, "the guest stopped before disk %s pivoted",
                             move->disks.items[index].target);
        if (!world.disks[index].mirrored)
            return error_set(error, ERROR_FAILED, "the mirror of disk %s is gone",
                             move->disks.items[index].target);
        if (move_set_fate(move, index, DISK_PIVOTING, error) < 0 ||
            (!world.disks[index].ending && ask_for_pivot(move, index, error) < 0) ||
            await_end_of_job(move, index, &place, error) < 0)
            return -1;
    }
    if (place == PLACE_TARGET)
        return move_set_fate(move, index, DISK_PIVOTED, error);
    if (place == PLACE_SOURCE) {
        if (move_set_fate(move, index, DISK_WAITING, error) < 0)
            return -1;
        error_set(error, ERROR_FAILED,
                  "disk %s did not pivot: the guest still writes to its source",
                  move->disks.items[index].target);
        return error_hint(error, "QEMU's log (/var/log/libvirt/qemu/%s.log) may say why",
                          move->plan->domain);
    }
    if (place == PLACE_ELSEWHERE)
        return error_set(error, ERROR_OPERATOR,
                         "disk %s: the guest writes neither to its source nor to its target: "
                         "somebody else changed the disk meanwhile",
                         move->disks.items[index].target);
    /* The guest stopped in that very moment; recovery looks for what became of it. */
    return error_set(error, ERROR_OPERATOR, "the guest stopped while disk %s pivoted",
                     move->disks.items[index].target);
}

static int act(struct move *move, struct error *error)
{
    if (!move_any_pivoted(move) && move_save_successor(move, error) < 0)
        return -1;
    for (size_t i = 0; i < move->disks.count; i++)
        if (move->disks.items[i].fate != DISK_PIVOTED &&
            move->disks.items[i].fate != DISK_RETURNED && pivot_one(move, i, error) < 0)
            return -1;
    return 0;
}

static int undo(struct move *move, struct error *error)
{
    if (!move_any_pivoted(move))
        return 0;
    return error_set(error, ERROR_OPERATOR, "disks have pivoted already");
}

static int done(struct move *move, bool *is_done, struct error *error UNUSED)
{
    *is_done = true;
    for (size_t i = 0; i < move->disks.count; i++)
        *is_done &= move->disks.items[i].fate == DISK_PIVOTED;
    return 0;
}

static char *describe(const struct move *move)
{
    size_t count = 0;
    for (size_t i = 0; i < move->disks.count; i++)
        count += move->disks.items[i].fate == DISK_PIVOTED;
    return text_format("%zu of %zu disks", count, move->disks.count);
}

const struct step pivot_step = {PHASE_PIVOTED, act, undo, done, describe};
