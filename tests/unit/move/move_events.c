/* The guest, the daemon's other users and the host have a life of their own: at every point of a
 * move the guest is destroyed or rebooted, somebody redefines it, the host dies. */
#include "points.h"

#include "base/text.h"

/* Runs a move of every kind, with one or two things happening at each of its calls. */
static void at_every_call(struct tally *tally, enum fake_deed deed, enum fake_deed then,
                          void (*run)(struct tally *, struct stage *, const struct calls *,
                                      const struct fake_event *))
{
    for (size_t i = 0; i < all_kinds_count; i++) {
        if (deed == DEED_RESET && all_kinds[i].disks > 1)
            continue; /* QEMU stays, its jobs stay: it is seen that nobody takes it for a stop */
        if (then == DEED_START && !text_equal(all_kinds[i].definition, "keep"))
            continue; /* libvirt does not know it any more */
        AUTO_STAGE struct stage stage;
        struct calls calls;
        stage_open(&stage, &all_kinds[i]);
        calls_record(&stage, &calls);
        for (long at = 1; at <= calls.count; at += point_stride()) {
            const struct fake_event event = {.deed = deed, .at = at};
            tally->points++;
            stage_again(&stage);
            stage.world->events[0] = event;
            stage.world->events[1] = (struct fake_event){.deed = then, .at = at};
            run(tally, &stage, &calls, &event);
        }
    }
    tally_close(tally);
}

/* ---- rebooted ---- */

static void run_reset(struct tally *tally, struct stage *stage, const struct calls *calls,
                      const struct fake_event *event)
{
    AUTO_FREE char *where = point_name(calls, event);
    stage_move(stage);
    if (stage->outcome->status != calls->status)
        tally_problem(tally, stage, where, text_dup("a reboot of the guest changes the end"));
    settle(tally, stage, where);
}

static void the_guest_is_rebooted(void **state UNUSED)
{
    struct tally tally = {.name = "the guest is rebooted"};
    at_every_call(&tally, DEED_RESET, DEED_NONE, run_reset);
}

/* ---- destroyed ---- */

/* Of such a disk he is not asked. While the guest stands still both of its images are right. */
static bool is_seen_on_target(const struct stage *stage, const char *target)
{
    AUTO_FREE char *sql =
        text_format("SELECT count(*) FROM disks WHERE fate = 2 AND target = '%s'", target);
    return ask_journal(stage, sql) > 0;
}

/* What the hint asks of an operator: look which image has the last writes; define the domain with
 * the new ones that have them, and remove the new ones that have not. */
static void decide(struct stage *stage)
{
    struct fake_world *world = stage->world;
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = NULL;
    AUTO_FREE char *xml = NULL;
    const char *targets[FAKE_DISKS];
    size_t count = 0;
    fake_world_happen(world, DEED_DESTROY); /* "before the guest runs on" */
    for (size_t i = 0; i < world->disk_count; i++) {
        const struct fake_disk *disk = &world->disks[i];
        AUTO_FREE char *name = text_format("fast/" FAKE_NAME "-%s", disk->target);
        int target = fake_image_find(world, IN_NEW_CLUSTER, name);
        if (is_seen_on_target(stage, disk->target) ||
            !fake_writes_contain(&world->images[disk->source].content, &disk->acknowledged))
            targets[count++] = disk->target;
        else if (target >= 0)
            world->images[target].exists = false;
    }
    assert_int_equal(domain_parse(stage->definition, strlen(stage->definition), &domain, &error),
                     0);
    assert_int_equal(plan_rewrite(stage->plan, domain, targets, count, &xml, &error), 0);
    FAKE_SET(world->defined, xml);
    FAKE_SET(world->config, xml);
    if (!world->was_persistent)
        FAKE_SET(world->original, xml);
    world->redefined |= !world->was_persistent;
    world->persistent = true;
}

/* A pivot was asked for, and what came of it was not seen. */
static bool in_doubt(const struct stage *stage)
{
    return ask_journal(stage, "SELECT count(*) FROM disks WHERE fate = 1") > 0;
}

/* Nobody but a person can know where the last writes are: it must say so, keep both images, and
 * wait for the answer, however often it is called. */
static void settle_doubt(struct tally *tally, struct stage *stage, const char *where)
{
    bool asks = true;
    for (int i = 0; i < 3 && asks; i++) {
        tally_problem(tally, stage, where, check_writes_kept(stage, &tally->checks));
        fake_world_run(stage->world, 60000);
        asks = stage_recover(stage)->status == 4;
    }
    if (!asks)
        tally_problem(tally, stage, where, text_dup("where the last writes are is guessed"));
    tally->doubts++;
    decide(stage);
    settle_after_kill(tally, stage, where);
}

/* Somebody pivoted a disk by hand and the guest was destroyed within half a second, between two of
 * our looks: of a domain that is transient for the time of the copy nothing is left that could
 * tell. */
static bool is_unseen(const struct stage *stage)
{
    const struct fake_world *world = stage->world;
    return world->pivot_by_hand && !world->active && !world->persistent_at_stop &&
           !fake_writes_contain(&world->images[world->disks[0].source].content,
                                &world->disks[0].acknowledged) &&
           ask_journal(stage, "SELECT count(*) FROM disks WHERE fate = 2") == 0;
}

static void run_destroy(struct tally *tally, struct stage *stage, const struct calls *calls,
                        const struct fake_event *event)
{
    AUTO_FREE char *where = point_name(calls, event);
    stage_move(stage);
    if (is_unseen(stage))
        return;
    if (stage->outcome->status == 4 && in_doubt(stage))
        settle_doubt(tally, stage, where);
    else if (stage->world->in_doubt)
        tally_problem(tally, stage, where, text_dup("where the last writes are is guessed"));
    else
        settle(tally, stage, where);
}

static void the_guest_is_destroyed(void **state UNUSED)
{
    struct tally tally = {.name = "the guest is destroyed"};
    at_every_call(&tally, DEED_DESTROY, DEED_NONE, run_destroy);
}

/* A manager that keeps its guests running: it starts it at once, where libvirt still knows it. */
static void the_guest_is_destroyed_and_started(void **state UNUSED)
{
    struct tally tally = {.name = "the guest is destroyed and started"};
    at_every_call(&tally, DEED_DESTROY, DEED_START, run_destroy);
}

/* ---- redefined ---- */

static void run_redefine(struct tally *tally, struct stage *stage, const struct calls *calls,
                         const struct fake_event *event)
{
    AUTO_FREE char *where = point_name(calls, event);
    if (point_is_a_race(calls, event->at))
        return;
    stage_move(stage);
    if (stage->outcome->status != calls->status)
        tally_problem(tally, stage, where, text_dup("somebody's change changes the end"));
    settle(tally, stage, where);
}

static void somebody_redefines_it(void **state UNUSED)
{
    struct tally tally = {.name = "somebody redefines it"};
    at_every_call(&tally, DEED_REDEFINE, DEED_NONE, run_redefine);
}

/* ---- the host dies ---- */

static void run_reboot(struct tally *tally, struct stage *stage, const struct calls *calls,
                       const struct fake_event *event)
{
    AUTO_FREE char *where = point_name(calls, event);
    stage_move(stage);
    if (in_doubt(stage) && (stage->world->in_doubt || stage_recover(stage)->status == 4))
        settle_doubt(tally, stage, where);
    else
        settle_after_kill(tally, stage, where);
}

static void the_host_dies(void **state UNUSED)
{
    struct tally tally = {.name = "the host dies"};
    at_every_call(&tally, DEED_HOST_REBOOT, DEED_NONE, run_reboot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guest_is_rebooted),
        cmocka_unit_test(the_guest_is_destroyed),
        cmocka_unit_test(the_guest_is_destroyed_and_started),
        cmocka_unit_test(somebody_redefines_it),
        cmocka_unit_test(the_host_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
