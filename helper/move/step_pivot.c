/* The moment at which the guest changes over. Every disk is ready before the first one pivots.
 *
 * If source and target are to be compared afterwards, the guest stands still meanwhile, all disks
 * pivot at once, and the targets are captured: as they are then, the sources stay. Comparing is
 * worth a pause, but not the move: whatever goes wrong with it, the guest goes on and so does the
 * pivot, without proof. */
#include "move/private.h"

#include <inttypes.h>

#define PIVOT_POLL_MILLISECONDS 100
#define HELD_POLL_MILLISECONDS 10

/* One pivot of some disks. */
struct pivoting {
    struct move *move;
    struct hold *hold; /* NULL: the guest runs */
    bool capturing;
    struct capture capture;
    bool *which; /* disks that pivot within the hold, from its beginning to its end */
    bool *asked;
    enum disk_place *places;
};

static int give_up_capture(struct pivoting *pivoting, const char *why, struct error *error)
{
    if (pivoting->hold && hold_end(pivoting->move, pivoting->hold, error) < 0)
        return -1;
    if (pivoting->capturing)
        move_warn(pivoting->move, "source and target cannot be compared afterwards: %s", why);
    pivoting->capturing = false;
    return 0;
}

/* Between two looks. */
static int bide(struct pivoting *pivoting, struct error *error)
{
    bool held = pivoting->hold && pivoting->hold->still;
    if (held && hold_is_over_time(pivoting->hold))
        return give_up_capture(pivoting, "the pivot takes longer than the guest may stand still",
                               error);
    virt_wait(pivoting->move->mover->virt, held ? HELD_POLL_MILLISECONDS : PIVOT_POLL_MILLISECONDS);
    return 0;
}

/* Waits until the live XML says where the disk is, its job being over. */
static int await_end_of_job(struct pivoting *pivoting, size_t index, struct error *error)
{
    struct move *move = pivoting->move;
    enum disk_place *place = &pivoting->places[index];
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
        if (bide(pivoting, error) < 0)
            return -1;
    }
    error_set(error, ERROR_OPERATOR, "disk %s: the pivot was asked for, but the job has not ended",
              move->disks.items[index].target);
    return error_hint(error, "look at it with 'virsh blockjob'; 'virt-pivot recover' goes on from "
                             "where it stands");
}

/* libvirt learns of readiness by an event: a job that QEMU calls ready may be refused for a moment
 * (VIR_ERR_BLOCK_COPY_ACTIVE). */
static int ask_for_pivot(struct pivoting *pivoting, size_t index, struct error *error)
{
    struct move *move = pivoting->move;
    for (int64_t start = move_now_ms();;) {
        pivoting->asked[index] = true; /* the answer may get lost */
        if (virt_mirror_pivot(move->mover->virt, move->plan->uuid, move->disks.items[index].target,
                              error) == 0)
            return 0;
        if (error->code != ERROR_BUSY || move_out_of_patience(move, start))
            return -1;
        error_clear(error);
        if (bide(pivoting, error) < 0)
            return -1;
    }
}

/* What became of it, in the journal. */
static int conclude(struct move *move, size_t index, enum disk_place place, struct error *error)
{
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

static bool has_pivoted(const struct world *world, size_t index)
{
    return world->disks[index].live == PLACE_TARGET && !world->disks[index].mirrored;
}

static int check_may_pivot(const struct move *move, const struct world *world, size_t index,
                           struct error *error)
{
    if (!world->state.active)
        return error_set(error, ERROR_FAILED, "the guest stopped before disk %s pivoted",
                         move->disks.items[index].target);
    if (!world->disks[index].mirrored)
        return error_set(error, ERROR_FAILED, "the mirror of disk %s is gone",
                         move->disks.items[index].target);
    return 0;
}

/* ---- one after the other ---- */

static int pivot_one(struct pivoting *pivoting, size_t index, struct error *error)
{
    struct move *move = pivoting->move;
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    if (has_pivoted(&world, index))
        return conclude(move, index, PLACE_TARGET, error);
    if (check_may_pivot(move, &world, index, error) < 0 ||
        move_set_fate(move, index, DISK_PIVOTING, error) < 0 ||
        (!world.disks[index].ending && ask_for_pivot(pivoting, index, error) < 0) ||
        await_end_of_job(pivoting, index, error) < 0)
        return -1;
    return conclude(move, index, pivoting->places[index], error);
}

static bool is_to_pivot(const struct move *move, size_t index)
{
    return move->disks.items[index].fate != DISK_PIVOTED &&
           move->disks.items[index].fate != DISK_RETURNED;
}

static int pivot_each(struct pivoting *pivoting, struct error *error)
{
    for (size_t i = 0; i < pivoting->move->disks.count; i++)
        if (is_to_pivot(pivoting->move, i) && pivot_one(pivoting, i, error) < 0)
            return -1;
    return 0;
}

/* ---- all at once, while the guest stands still ---- */

/* A pivot that somebody has asked for already may be over before the guest stands still. */
static bool begins_here(const struct move *move, const struct world *world, size_t index)
{
    const struct disk_view *view = &world->disks[index];
    return move->disks.items[index].fate == DISK_WAITING && view->mirrored && !view->ending &&
           view->live == PLACE_SOURCE;
}

/* Which disks can be captured: all that are still to pivot, or none. */
static int choose(struct pivoting *pivoting, struct error *error)
{
    struct move *move = pivoting->move;
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    size_t left = 0, together = 0;
    bool wanted = false;
    for (size_t i = 0; i < move->disks.count; i++) {
        if (!is_to_pivot(move, i))
            continue;
        left++;
        pivoting->which[i] = begins_here(move, &world, i);
        together += pivoting->which[i];
        wanted |= capture_is_wanted(move, i);
    }
    pivoting->capturing = wanted && together == left;
    return 0;
}

/* All that takes long comes before the guest is paused. */
static int prepare(struct pivoting *pivoting, struct error *error)
{
    struct move *move = pivoting->move;
    AUTO_ERROR struct error failure = {0};
    if (capture_clean(move, pivoting->which, &failure) < 0)
        return give_up_capture(pivoting, failure.message, error);
    if (capture_announce(move, pivoting->which, error) < 0)
        return -1;
    if (capture_open(move, pivoting->which, &pivoting->capture, &failure) < 0)
        return give_up_capture(pivoting, failure.message, error);
    for (size_t i = 0; i < move->disks.count; i++)
        if (pivoting->which[i] && move_set_fate(move, i, DISK_PIVOTING, error) < 0)
            return -1;
    return 0;
}

static int hold_still(struct pivoting *pivoting, struct error *error)
{
    struct move *move = pivoting->move;
    AUTO_WORLD struct world world = {0};
    AUTO_ERROR struct error failure = {0};
    bool right =
        hold_begin(move, pivoting->hold, &failure) == 0 && observe(move, &world, &failure) == 0;
    for (size_t i = 0; right && i < move->disks.count; i++) {
        const struct disk_view *view = &world.disks[i];
        if (pivoting->which[i] && (view->ending || view->live != PLACE_SOURCE))
            right = error_set(&failure, ERROR_FAILED, "somebody else pivoted a disk") == 0;
    }
    if (right)
        return 0;
    bool gone = failure.code == ERROR_DISCONNECTED;
    if (give_up_capture(pivoting, failure.message, error) < 0)
        return -1;
    if (gone)
        error_move(error, &failure);
    return gone ? -1 : 0;
}

static int ask_all(struct pivoting *pivoting, struct error *error)
{
    struct move *move = pivoting->move;
    for (size_t i = 0; i < move->disks.count; i++)
        if (pivoting->which[i] && ask_for_pivot(pivoting, i, error) < 0)
            return -1;
    return 0;
}

static int await_all(struct pivoting *pivoting, struct error *error)
{
    for (size_t i = 0; i < pivoting->move->disks.count; i++)
        if (pivoting->asked[i] && await_end_of_job(pivoting, i, error) < 0)
            return -1;
    return 0;
}

static void take_capture(struct pivoting *pivoting, struct error *failure)
{
    const struct move *move = pivoting->move;
    for (size_t i = 0; i < move->disks.count; i++)
        if (pivoting->which[i] && pivoting->places[i] != PLACE_TARGET)
            error_set(failure, ERROR_FAILED, "not all disks pivoted");
    if (error_is_set(failure) || capture_take(&pivoting->capture, failure) < 0 ||
        hold_check(pivoting->move, pivoting->hold, failure) < 0)
        pivoting->capturing = false;
}

/* What became of each is written down whatever happened; the first failure is what is told. After
 * one it is looked for again where those are that were asked. */
static int conclude_all(struct pivoting *pivoting, struct error *error)
{
    struct move *move = pivoting->move;
    bool lost = error_is_set(error);
    for (size_t i = 0; i < move->disks.count; i++) {
        AUTO_ERROR struct error failure = {0};
        if (!pivoting->which[i])
            continue;
        int result = !pivoting->asked[i] ? move_set_fate(move, i, DISK_WAITING, &failure)
                     : lost              ? 0
                                         : conclude(move, i, pivoting->places[i], &failure);
        if (result < 0 && !error_is_set(error))
            error_move(error, &failure);
    }
    return error_is_set(error) ? -1 : 0;
}

static int pivot_held(struct pivoting *pivoting, struct error *error)
{
    struct move *move = pivoting->move;
    AUTO_ERROR struct error failure = {0};
    AUTO_ERROR struct error stuck = {0};
    int result = hold_still(pivoting, error);
    if (result == 0 && ask_all(pivoting, error) == 0 && await_all(pivoting, error) == 0 &&
        pivoting->capturing)
        take_capture(pivoting, &failure);
    if (hold_end(move, pivoting->hold, &stuck) < 0)
        error_move(error, &stuck);
    if (error_is_set(&failure))
        move_warn(move, "source and target cannot be compared afterwards: %s", failure.message);
    if (conclude_all(pivoting, error) < 0)
        return -1;
    return pivoting->capturing ? capture_conclude(move, pivoting->which, error) : 0;
}

static int pivot_together(struct pivoting *pivoting, struct error *error)
{
    struct hold hold = {.guard.life = -1};
    if (choose(pivoting, error) < 0)
        return -1;
    if (!pivoting->capturing)
        return pivot_each(pivoting, error);
    if (prepare(pivoting, error) < 0)
        return -1;
    pivoting->hold = &hold;
    int result = pivoting->capturing ? pivot_held(pivoting, error) : pivot_each(pivoting, error);
    pivoting->hold = NULL;
    return result;
}

/* ---- the step ---- */

static void pivoting_clear(struct pivoting *pivoting)
{
    capture_clear(&pivoting->capture);
    free(pivoting->which);
    free(pivoting->asked);
    free(pivoting->places);
}

static int act(struct move *move, struct error *error)
{
    if (!move_any_pivoted(move) && move_save_successor(move, error) < 0)
        return -1;
    size_t count = move->disks.count;
    CLEANUP(pivoting_clear)
    struct pivoting pivoting = {.move = move,
                                .which = memory_new(count, sizeof(bool)),
                                .asked = memory_new(count, sizeof(bool)),
                                .places = memory_new(count, sizeof(enum disk_place))};
    return move->plan->verify ? pivot_together(&pivoting, error) : pivot_each(&pivoting, error);
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
    if (move->pause)
        return text_format("%zu of %zu disks; the guest was paused for %" PRIu64 " ms", count,
                           move->disks.count, move->pause);
    return text_format("%zu of %zu disks", count, move->disks.count);
}

const struct step pivot_step = {PHASE_PIVOTED, act, undo, done, describe};
