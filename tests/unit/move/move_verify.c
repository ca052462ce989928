/* Source and target are compared as they were at the pivot: what differs is told, what cannot be
 * compared is never called equal or different, and the guest is never left paused. */
#include "stage.h"

#include "cmocka_compat.h"

#include "base/text.h"

static const struct stage_kind two_disks = {.disks = 2, .definition = "keep"};

static long verdict_of(const struct stage *stage, const char *target)
{
    AUTO_FREE char *sql = text_format("SELECT verdict FROM disks WHERE target='%s'", target);
    return ask_journal(stage, sql);
}

static long phase_of(const struct stage *stage)
{
    return ask_journal(stage, "SELECT phase FROM moves");
}

static long snapshots(const struct stage *stage)
{
    return ask_journal(stage, "SELECT count(*) FROM disks WHERE snapshot IS NOT NULL");
}

static void assert_right(const struct stage *stage, int status)
{
    long checks = 0;
    if (stage->outcome->status != status)
        fail_msg("exit status %d: %s", stage->outcome->status, stage->outcome->message);
    struct outcome outcome = *stage->outcome;
    outcome.status = 0; /* whatever differs, the guest has moved */
    AUTO_FREE char *wrong = check_ended(stage, &outcome, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

static void equal(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &two_disks);
    stage_move(&stage);
    assert_right(&stage, 0);
    assert_int_equal(phase_of(&stage), PHASE_VERIFIED);
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM disks WHERE verdict=1 AND"
                                         " source_digest=target_digest"),
                     2);
    assert_int_equal(snapshots(&stage), 0);
    assert_true(ask_journal(&stage, "SELECT pause FROM moves") > 0);
    assert_int_equal(ask_journal(&stage, "SELECT held FROM moves"), 0);
    assert_int_equal(stage.world->calls_of[CALL_SUSPEND], 1);
    assert_int_equal(stage.world->calls_of[CALL_RESUME], 1);
}

/* The copy lacks a write: it is said, with both named, and the evidence is kept, however often. */
static void different(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &two_disks);
    stage.world->ways.pivot_loses[0] = true;
    stage_move(&stage);
    assert_int_equal(stage.outcome->status, 4);
    assert_int_equal(stage.outcome->code, ERROR_OPERATOR);
    assert_non_null(strstr(stage.outcome->message, "disk vda differs from its source"));
    assert_non_null(strstr(stage.outcome->hint, "rbd:vms/db-vda as it was, and new/fast/db-1-vda"));
    assert_int_equal(phase_of(&stage), PHASE_REDEFINED);
    assert_int_equal(verdict_of(&stage, "vda"), VERDICT_DIFFERENT);
    assert_int_equal(verdict_of(&stage, "vdb"), VERDICT_EQUAL);
    assert_int_equal(snapshots(&stage), 1);
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM moves WHERE message IS NOT NULL"
                                         " AND hint IS NOT NULL"),
                     1);
    stage_recover(&stage); /* nothing for it to do */
    assert_int_equal(snapshots(&stage), 1);
    assert_int_equal(stage.outcome->recovered, 0);
}

/* ---- put off ---- */

struct watcher {
    unsigned looks;
};

static void on_progress(void *opaque, const struct disk_progress *disks, size_t count UNUSED,
                        bool paused UNUSED)
{
    struct watcher *watcher = opaque;
    watcher->looks += disks[0].verifying;
}

static bool on_interrupted(void *opaque)
{
    struct watcher *watcher = opaque;
    return watcher->looks >= 2;
}

static void interrupted_and_done_later(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &two_disks);
    struct watcher watcher = {0};
    stage.audience = (struct move_audience){
        .opaque = &watcher, .progress = on_progress, .interrupted = on_interrupted};
    stage_move(&stage);
    assert_right(&stage, 0);
    assert_int_equal(stage.outcome->verification, ERROR_CANCELLED);
    assert_int_equal(phase_of(&stage), PHASE_REDEFINED);
    assert_int_equal(snapshots(&stage), 2);
    stage.audience = (struct move_audience){0};
    stage_verify(&stage);
    assert_right(&stage, 0);
    assert_int_equal(phase_of(&stage), PHASE_VERIFIED);
    assert_int_equal(snapshots(&stage), 0);
}

static void a_source_that_cannot_be_read_now(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &two_disks);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_FAIL, .kind = CALL_BLOCKS_OPEN, .code = ERROR_DENIED};
    stage_move(&stage);
    assert_right(&stage, 0);
    assert_int_equal(stage.outcome->verification, ERROR_DENIED);
    assert_int_equal(phase_of(&stage), PHASE_REDEFINED);
    fake_world_forget_calls(stage.world);
    stage_verify(&stage);
    assert_right(&stage, 0);
    assert_int_equal(phase_of(&stage), PHASE_VERIFIED);
}

/* Who had compared them before, and was killed: his watch lasts for half a minute. */
static void who_was_killed_still_has_it_open(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &two_disks);
    stage.unproven = true;
    stage_move(&stage);
    stage.unproven = false;
    struct fake_world *world = stage.world;
    world->images[world->disks[0].live].stale_watch_until = world->now + 30000;
    stage_verify(&stage);
    assert_right(&stage, 0);
    assert_int_equal(phase_of(&stage), PHASE_VERIFIED);
    assert_int_equal(snapshots(&stage), 0);
}

/* ---- what cannot be proven ---- */

static void assert_incomparable(struct stage *stage)
{
    assert_right(stage, 0);
    assert_int_equal(phase_of(stage), PHASE_REDEFINED);
    assert_int_equal(
        ask_journal(stage, "SELECT count(*) FROM disks WHERE verdict=3 AND snapshot IS NULL"), 2);
    assert_non_null(stage->warnings);
}

/* Somebody lets the guest go on between the pivot and the snapshot. */
static void somebody_lets_it_go_on(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &two_disks);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_RESUME, .kind = CALL_PIVOT, .nth = 2, .after = true};
    stage_move(&stage);
    assert_incomparable(&stage);
    assert_non_null(strstr(stage.warnings, "somebody let the guest go on"));
}

static void no_snapshot_can_be_made(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &two_disks);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_FAIL, .kind = CALL_SNAPSHOT, .code = ERROR_DENIED};
    stage_move(&stage);
    assert_incomparable(&stage);
    assert_non_null(strstr(stage.warnings, "cannot be compared afterwards"));
}

static void it_cannot_be_paused(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &two_disks);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_FAIL, .kind = CALL_SUSPEND, .code = ERROR_DENIED};
    stage_move(&stage);
    assert_incomparable(&stage);
}

/* The pivot takes longer than a guest may stand still: it goes on first. */
static void the_pivot_takes_long(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &two_disks);
    stage.world->ways.pivot_ms = 20000;
    stage_move(&stage);
    assert_incomparable(&stage);
    assert_in_range(stage.world->longest_pause, 4000, 7000);
}

/* ---- who paused it ---- */

static void somebody_had_paused_it(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &two_disks);
    stage.world->paused = stage.world->was_paused = true;
    stage_move(&stage);
    assert_right(&stage, 0);
    assert_true(stage.world->paused);
    assert_int_equal(phase_of(&stage), PHASE_VERIFIED);
    assert_int_equal(stage.world->calls_of[CALL_RESUME], 0);
}

static void nobody_asks_for_proof(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 2, .definition = "dance", .more = "verify: none\n"};
    stage_open(&stage, &kind);
    stage_move(&stage);
    assert_right(&stage, 0);
    assert_int_equal(stage.world->calls_of[CALL_SUSPEND], 0);
    assert_int_equal(stage.world->calls_of[CALL_SNAPSHOT], 0);
    assert_int_equal(phase_of(&stage), PHASE_REDEFINED);
}

/* Without any guard: recovery lets it go on before anything else. */
static void left_paused(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &two_disks);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_KILL, .kind = CALL_PIVOT, .nth = 1, .after = true};
    stage_move(&stage);
    assert_int_equal(stage.outcome->status, FAKE_KILLED);
    assert_true(stage.world->paused);
    stage.world->guard_at = 0;
    fake_world_forget_calls(stage.world);
    stage_recover(&stage);
    assert_right(&stage, 0);
    assert_false(stage.world->paused);
    long resumed = 0;
    while (stage.world->kinds[resumed] != CALL_RESUME)
        assert_true(++resumed < 10); /* after it was looked whether it is the same guest */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal),
        cmocka_unit_test(different),
        cmocka_unit_test(interrupted_and_done_later),
        cmocka_unit_test(a_source_that_cannot_be_read_now),
        cmocka_unit_test(who_was_killed_still_has_it_open),
        cmocka_unit_test(somebody_lets_it_go_on),
        cmocka_unit_test(no_snapshot_can_be_made),
        cmocka_unit_test(it_cannot_be_paused),
        cmocka_unit_test(the_pivot_takes_long),
        cmocka_unit_test(somebody_had_paused_it),
        cmocka_unit_test(nobody_asks_for_proof),
        cmocka_unit_test(left_paused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
