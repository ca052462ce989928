/* What the disks move to: there, provably ours to write to, and nobody else's. */
#include "move/private.h"

static int act(struct move *move, struct error *error)
{
    for (size_t i = 0; i < move->disks.count; i++) {
        if (move_target(move_plan_of(move, i))->claim(move, i, error) < 0)
            return error_prefix(error, "disk %s", move->disks.items[i].target);
    }
    return 0;
}

/* Whatever was thought before: an image that a guest or a definition names is not removed. */
static int check_unused(const struct move *move, const struct world *world, size_t index,
                        struct error *error)
{
    if (world->disks[index].live != PLACE_TARGET && world->disks[index].defined != PLACE_TARGET)
        return 0;
    return error_set(error, ERROR_OPERATOR, "the domain uses it%s",
                     move->plan->persistent ? ", or its definition names it" : "");
}

int move_remove_targets(struct move *move, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    for (size_t i = 0; i < move->disks.count; i++) {
        if (move->disks.items[i].fate == DISK_PIVOTED || move->disks.items[i].fate == DISK_PIVOTING)
            continue;
        const struct target *target = move_target(move_plan_of(move, i));
        AUTO_ERROR struct error failure = {0};
        if (check_unused(move, &world, i, &failure) == 0 && target->release(move, i, &failure) == 0)
            continue;
        error_prefix(&failure, "%s of disk %s is not given up yet", target->noun,
                     move->disks.items[i].target);
        error_move(error, &failure);
    }
    return error_is_set(error) ? -1 : 0;
}

static int done(struct move *move UNUSED, bool *is_done, struct error *error UNUSED)
{
    *is_done = false; /* claim looks for itself */
    return 0;
}

static char *describe(const struct move *move)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < move->disks.count; i++) {
        AUTO_FREE char *name = plan_destination_describe(&move_plan_of(move, i)->destination);
        buffer_format(&text, "%s%s", i ? ", " : "", name);
    }
    return buffer_take(&text);
}

const struct step create_target_step = {PHASE_TARGET_CREATED, act, move_remove_targets, done,
                                        describe};
