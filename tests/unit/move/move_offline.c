/* Domains that are off: virt-pivot copies by itself. The guest is started, and stopped, at every
 * call. */
#include "points.h"

#include "base/text.h"

static const struct stage_kind kinds[] = {
    {.disks = 1, .definition = "auto", .off = true},
    {.disks = 3, .definition = "auto", .off = true},
    {.disks = 2, .definition = "dance", .off = true, .more = "verify: none\n"},
};

static struct fake_image *target_of(const struct stage *stage, size_t disk)
{
    AUTO_FREE char *name = text_format("fast/" FAKE_NAME "-%s", stage->world->disks[disk].target);
    int image = fake_image_find(stage->world, IN_NEW_CLUSTER, name);
    return image < 0 ? NULL : &stage->world->images[image];
}

static void check_end(struct stage *stage, int status)
{
    long checks = 0;
    if (stage->outcome->status != status)
        fail_msg("exit status %d: %s", stage->outcome->status, stage->outcome->message);
    AUTO_FREE char *wrong = check_ended(stage, stage->outcome, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

/* ---- what it does ---- */

static void it_moves(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        AUTO_STAGE struct stage stage;
        stage_open(&stage, &kinds[i]);
        stage_move(&stage);
        check_end(&stage, 0);
        assert_null(stage.warnings);
        assert_false(stage.world->active);
        assert_int_equal(stage.world->calls_of[CALL_DEFINE], 1);
        assert_int_equal(stage.world->calls_of[CALL_UNDEFINE], 0);
        assert_int_equal(stage.world->calls_of[CALL_MIRROR_START], 0);
        bool proven = kinds[i].more == NULL;
        for (size_t disk = 0; disk < kinds[i].disks; disk++) {
            const struct fake_disk *fake = &stage.world->disks[disk];
            const struct fake_image *target = target_of(&stage, disk);
            assert_non_null(target);
            assert_true(fake_writes_contain(&target->content, &fake->acknowledged));
            assert_int_equal(target->guarded, 0);
            assert_int_equal(*target->snapshot, '\0');
            assert_true(!proven || fake_writes_contain(&target->captured, &fake->acknowledged));
        }
        assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM moves WHERE kind = 2"), 1);
        assert_int_equal(
            ask_journal(&stage, "SELECT count(*) FROM disks WHERE copied = total AND total > 0"),
            (long)kinds[i].disks);
        assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM ledger"), (long)kinds[i].disks);
    }
}

struct order {
    struct stage *stage;
    enum move_phase phases[16];
    size_t count;
};

static void on_phase(void *opaque, int64_t id UNUSED, enum move_phase phase,
                     const char *detail UNUSED)
{
    struct order *order = opaque;
    const struct stage *stage = order->stage;
    order->phases[order->count++] = phase;
    bool copied = phase >= PHASE_MIRRORING;
    const struct fake_image *target = target_of(stage, 0);
    if (phase >= PHASE_COPYING)
        assert_int_equal(
            fake_writes_contain(&target->content, &stage->world->disks[0].acknowledged), copied);
    /* The source is watched over until the definition is switched. */
    bool held = stage->world->images[stage->world->disks[0].source].guarded > 0;
    assert_int_equal(held, phase == PHASE_COPYING || phase == PHASE_MIRRORING);
    int defined = fake_image_defined(stage->world, stage->world->defined, "vda");
    assert_int_equal(defined == stage->world->disks[0].source, phase < PHASE_PIVOTED);
}

static void step_by_step(void **state UNUSED)
{
    static const enum move_phase expected[] = {
        PHASE_PLANNED,          PHASE_LOCKED,  PHASE_SOURCE_PREPARED, PHASE_TARGET_CREATED,
        PHASE_DEFINITION_SAVED, PHASE_COPYING, PHASE_MIRRORING,       PHASE_PIVOTED,
        PHASE_REDEFINED,        PHASE_VERIFIED};
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &kinds[1]);
    struct order order = {.stage = &stage};
    stage.audience = (struct move_audience){.opaque = &order, .phase = on_phase};
    stage_move(&stage);
    check_end(&stage, 0);
    assert_int_equal(order.count, ARRAY_SIZE(expected));
    assert_memory_equal(order.phases, expected, sizeof(expected));
}

/* ---- wishes ---- */

struct wisher {
    struct stage *stage;
    long after; /* so many progresses */
    long seen;
    void (*wish)(struct stage *stage);
    bool paused_seen;
    uint64_t most; /* bytes copied, of the first disk */
};

static void on_progress(void *opaque, const struct disk_progress *disks, size_t count UNUSED,
                        bool paused)
{
    struct wisher *wisher = opaque;
    if (disks[0].verifying)
        return;
    wisher->paused_seen |= paused;
    assert_true(disks[0].copied >= wisher->most); /* it never runs backwards */
    wisher->most = disks[0].copied;
    if (++wisher->seen == wisher->after)
        wisher->wish(wisher->stage);
    if (paused && wisher->seen == wisher->after + 5) {
        AUTO_ERROR struct error error = {0};
        assert_int_equal(journal_ask_pause(wisher->stage->journal, 1, false, &error), 0);
    }
}

static void cancel(struct stage *stage)
{
    AUTO_ERROR struct error error = {0};
    assert_int_equal(journal_ask_cancel(stage->journal, 1, &error), 0);
}

static void pause_it(struct stage *stage)
{
    AUTO_ERROR struct error error = {0};
    assert_int_equal(journal_ask_pause(stage->journal, 1, true, &error), 0);
}

static void throttle(struct stage *stage)
{
    AUTO_ERROR struct error error = {0};
    assert_int_equal(journal_ask_bandwidth(stage->journal, 1, 1000000, &error), 0);
}

static void start_it(struct stage *stage)
{
    fake_world_happen(stage->world, DEED_START);
}

static void wish(struct wisher *wisher, struct stage *stage, void (*what)(struct stage *),
                 int status)
{
    *wisher = (struct wisher){.stage = stage, .after = 3, .wish = what};
    stage->audience.opaque = wisher;
    stage->audience.warning = NULL;
    stage->audience.progress = on_progress;
    stage_move(stage);
    check_end(stage, status);
    assert_true(wisher->seen >= wisher->after);
}

static void it_is_cancelled(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    struct wisher wisher;
    stage_open(&stage, &kinds[1]);
    wish(&wisher, &stage, cancel, 1);
    assert_int_equal(stage.outcome->code, ERROR_CANCELLED);
    assert_null(target_of(&stage, 0));
}

static void it_is_paused_and_goes_on(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    struct wisher wisher;
    stage_open(&stage, &kinds[1]);
    wish(&wisher, &stage, pause_it, 0);
    assert_true(wisher.paused_seen);
}

static void it_is_throttled(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    struct wisher wisher;
    stage_open(&stage, &kinds[1]);
    wish(&wisher, &stage, throttle, 0);
}

static void the_guest_is_started_in_a_pause(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    struct wisher wisher;
    stage_open(&stage, &kinds[1]);
    wish(&wisher, &stage, pause_it, 0);
    stage_again(&stage);
    wish(&wisher, &stage, start_it, 1);
    assert_non_null(strstr(stage.outcome->message, "the guest was started"));
    assert_non_null(strstr(stage.outcome->hint, "virt-pivot move"));
    assert_true(stage.world->active);
    assert_int_equal(stage.world->disks[0].live, stage.world->disks[0].source);
}

/* The end of the copy is told when there is nothing left to be ended: a failure to look at the
 * source then is no failure of the move. */
static void the_last_look_fails(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    struct calls calls;
    stage_open(&stage, &kinds[0]);
    calls_record(&stage, &calls);
    long last = calls.count;
    while (last > 0 && calls.kinds[last - 1] != CALL_BLOCKS_COPY)
        last--;
    while (last < calls.count && calls.kinds[last - 1] != CALL_BLOCKS_IDLE)
        last++;
    stage_again(&stage);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_FAIL, .at = last, .code = ERROR_UNREACHABLE};
    stage_move(&stage);
    check_end(&stage, 0);
    assert_int_equal(stage.outcome->code, ERROR_NONE);
}

/* ---- the guest at every call ---- */

static void the_guest_is_started(void **state UNUSED)
{
    disturb_every_call(kinds, ARRAY_SIZE(kinds), "the guest is started",
                       (const enum fake_deed[FAKE_EVENTS]){DEED_START}, 0);
}

static void the_guest_is_started_and_stopped(void **state UNUSED)
{
    static const enum fake_deed deeds[FAKE_EVENTS] = {DEED_START, DEED_DESTROY};
    disturb_every_call(kinds, ARRAY_SIZE(kinds), "the guest is started and stopped", deeds, 1);
    disturb_every_call(kinds, ARRAY_SIZE(kinds), "the guest is started, and stopped later", deeds,
                       4);
}

static void the_guest_is_started_and_the_daemon_goes_away(void **state UNUSED)
{
    static const enum fake_deed deeds[FAKE_EVENTS] = {DEED_START, DEED_DISCONNECT, DEED_DESTROY};
    disturb_every_call(kinds, ARRAY_SIZE(kinds), "the guest is started, the daemon goes away",
                       deeds, 1);
}

/* ---- killed, and the guest started before anybody recovers ---- */

static void killed_and_started(void **state UNUSED)
{
    struct tally tally = {.name = "killed, and the guest is started"};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        AUTO_STAGE struct stage stage;
        struct calls calls;
        stage_open(&stage, &kinds[i]);
        calls_record(&stage, &calls);
        for (long at = 1; at <= calls.count; at += point_stride())
            for (int stopped = 0; stopped < 2; stopped++) {
                const struct fake_event event = {.deed = DEED_KILL, .at = at, .after = true};
                AUTO_FREE char *where = point_name(&calls, &event);
                stage_again(&stage);
                stage.world->events[0] = event;
                tally.points++;
                stage_move(&stage);
                memset(stage.world->events, 0, sizeof(stage.world->events));
                fake_world_happen(stage.world, DEED_START);
                fake_world_run(stage.world, 1000);
                if (stopped)
                    fake_world_happen(stage.world, DEED_DESTROY);
                settle_after_kill(&tally, &stage, where);
            }
    }
    tally_close(&tally);
}

/* ---- the guest started from the old definition, in the moment in which we are killed ---- */

/* What it writes until it stops is on its old disks, whatever the definition says by then. Once it
 * has written to the copies as well, nobody can put that together. */
static void settle_in_doubt(struct tally *tally, struct stage *stage, const char *where)
{
    tally->runs++;
    if (!stage->world->stale_start) {
        settle_by_recovery(tally, stage, where);
        return;
    }
    tally->doubts++;
    if (stage_recover(stage)->status != 4)
        tally_problem(tally, stage, where, text_dup("nobody is asked"));
    tally_problem(tally, stage, where, check_writes_kept(stage, &tally->checks));
}

static void started_killed_and_stopped(void **state UNUSED)
{
    struct tally tally = {.name = "the guest is started, and we are killed, and it is stopped"};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        AUTO_STAGE struct stage stage;
        struct calls calls;
        stage_open(&stage, &kinds[i]);
        calls_record(&stage, &calls);
        for (long at = calls.count / 2; at <= calls.count;
             at += point_stride()) /* it is copied by then */
            for (long apart = 0; apart < 4; apart++)
                for (int again = 0; again < 2; again++) {
                    stage_again(&stage);
                    stage.world->events[0] = (struct fake_event){.deed = DEED_START, .at = at};
                    stage.world->events[1] =
                        (struct fake_event){.deed = DEED_KILL, .at = at + apart, .after = true};
                    AUTO_FREE char *where = point_name(&calls, &stage.world->events[0]);
                    tally.points++;
                    stage_move(&stage);
                    memset(stage.world->events, 0, sizeof(stage.world->events));
                    fake_world_run(stage.world, 1000);
                    fake_world_happen(stage.world, DEED_DESTROY);
                    if (again) {
                        fake_world_happen(stage.world, DEED_START);
                        fake_world_run(stage.world, 1000);
                        fake_world_happen(stage.world, DEED_DESTROY);
                    }
                    settle_in_doubt(&tally, &stage, where);
                }
    }
    tally_close(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_moves),
        cmocka_unit_test(step_by_step),
        cmocka_unit_test(it_is_cancelled),
        cmocka_unit_test(it_is_paused_and_goes_on),
        cmocka_unit_test(it_is_throttled),
        cmocka_unit_test(the_last_look_fails),
        cmocka_unit_test(the_guest_is_started_in_a_pause),
        cmocka_unit_test(the_guest_is_started),
        cmocka_unit_test(the_guest_is_started_and_stopped),
        cmocka_unit_test(the_guest_is_started_and_the_daemon_goes_away),
        cmocka_unit_test(killed_and_started),
        cmocka_unit_test(started_killed_and_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
