/* Trouble that has a name: stuck copies, full pools, long outages, foreign hands, and pivots of
 * which only some succeed. */
#include "cmocka_compat.h"

#include "points.h"

#include "base/text.h"

#define MIB (1ull << 20)

static const struct stage_kind one_disk = {.disks = 1, .definition = "dance"};
static const struct stage_kind three_disks = {.disks = 3, .definition = "dance"};

static void assert_end(const struct stage *stage, int status, enum error_code code,
                       const char *message)
{
    long checks = 0;
    const struct outcome *outcome = stage->outcome;
    if (outcome->status != status || !strstr(outcome->message, message))
        fail_msg("exit status %d: %s", outcome->status, outcome->message);
    assert_int_equal(outcome->code, code);
    AUTO_FREE char *wrong = check_ended(stage, outcome, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

static void assert_unfinished(const struct stage *stage, enum error_code code, const char *message)
{
    long checks = 0;
    const struct outcome *outcome = stage->outcome;
    if (outcome->status != 4 || !strstr(outcome->message, message))
        fail_msg("exit status %d: %s", outcome->status, outcome->message);
    assert_int_equal(outcome->code, code);
    assert_true(*outcome->hint != '\0');
    AUTO_FREE char *wrong = check_always(stage, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

static void assert_recovers(struct stage *stage, enum move_outcome end)
{
    memset(stage->world->events, 0, sizeof(stage->world->events));
    stage_recover(stage);
    assert_end(stage, 0, ERROR_NONE, "");
    assert_int_equal(stage->outcome->recovered, 1);
    assert_int_equal(stage->outcome->end, end);
}

/* ---- stuck, and merely long ---- */

static const struct stage_kind impatient = {
    .disks = 2, .definition = "dance", .more = "limits: {stuck_after: 60s}\n"};

static void a_still_copy_is_given_up(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &impatient);
    stage.world->ways.stands_still = true;
    int64_t began = stage.world->now;
    stage_move(&stage);
    assert_end(&stage, 1, ERROR_FAILED, "has stood still for 1 min");
    assert_in_range(stage.world->now - began, 60000, 70000);
}

/* Everything is copied, and libvirt never says that it is ready. */
static void a_copy_that_never_gets_ready(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &impatient);
    stage.world->ways.ready_lag = 100000000;
    stage_move(&stage);
    assert_end(&stage, 1, ERROR_FAILED, "has stood still");
}

static void a_long_copy_is_not_stuck(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &impatient);
    stage.world->ways.copy_rate = 20; /* bytes a millisecond: half an hour */
    int64_t began = stage.world->now;
    stage_move(&stage);
    assert_end(&stage, 0, ERROR_NONE, "");
    assert_true(stage.world->now - began > 1500 * 1000);
}

/* ---- space ---- */

static void a_full_pool_ends_the_job(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &three_disks);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_POOL_FULL, .kind = CALL_MIRROR, .nth = 3};
    stage_move(&stage);
    assert_end(&stage, 1, ERROR_NO_SPACE, "ran out of space");
}

/* Ceph does not say ENOSPC: writes wait, and so does the end of the job. */
static void a_full_pool_hangs(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &three_disks);
    stage.world->ways.full_hangs = true;
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_POOL_FULL, .kind = CALL_MIRROR, .nth = 3};
    stage_move(&stage);
    assert_unfinished(&stage, ERROR_OPERATOR, "ran out of space");
    assert_true(stage.world->persistent); /* the definition has come back all the same */
    stage_recover(&stage);
    assert_unfinished(&stage, ERROR_OPERATOR, "");
    stage.world->pool_full = false; /* somebody makes room */
    fake_world_run(stage.world, 1000);
    assert_recovers(&stage, OUTCOME_UNDONE);
}

/* ---- libvirt has no time ---- */

/* Another client's question may hold the domain for longer than libvirt waits. */
static void a_question_too_many(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &three_disks);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_FAIL, .kind = CALL_MIRROR, .nth = 5, .code = ERROR_BUSY};
    stage_move(&stage);
    assert_end(&stage, 0, ERROR_NONE, "");
}

static void a_cancel_that_has_to_wait(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &impatient);
    stage.world->ways.stands_still = true;
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_FAIL, .kind = CALL_ABORT, .nth = 1, .code = ERROR_BUSY};
    stage_move(&stage);
    assert_end(&stage, 1, ERROR_FAILED, "has stood still");
}

/* ---- a definition that is missing ---- */

/* Nobody may leave a guest without one because an image that nobody needs cannot be removed. */
static void the_definition_comes_first(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &three_disks);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_FAIL, .kind = CALL_PIVOT, .nth = 2, .code = ERROR_FAILED};
    stage.world->events[1] =
        (struct fake_event){.deed = DEED_FAIL, .kind = CALL_REMOVE, .code = ERROR_FAILED};
    stage_move(&stage);
    assert_unfinished(&stage, ERROR_OPERATOR, "");
    stage.world->persistent = false; /* as if it could not be given back then */
    stage_recover(&stage);
    assert_unfinished(&stage, ERROR_OPERATOR, "");
    assert_true(stage.world->persistent);
}

/* ---- a disk that the guest has no more ---- */

/* Nobody knows whether it had pivoted: the image may hold the last of what was written. */
static void detached_after_the_kill(void **state UNUSED)
{
    for (int keep = 0; keep <= 1; keep++) {
        const struct stage_kind kind = {.disks = 2, .definition = keep ? "keep" : "dance"};
        AUTO_STAGE struct stage stage;
        stage_open(&stage, &kind);
        stage.world->events[0] =
            (struct fake_event){.deed = DEED_KILL, .kind = CALL_PIVOT, .nth = 1, .after = true};
        stage_move(&stage);
        fake_world_run(stage.world, 60000);
        stage.world->disks[0].detached = true;
        stage_recover(&stage);
        if (keep) { /* libvirt wrote down where it was */
            assert_int_equal(stage.outcome->end, OUTCOME_FINISHED);
            continue;
        }
        assert_int_equal(stage.outcome->status, 4);
        assert_non_null(strstr(stage.outcome->message, "disk vda"));
        assert_true(stage.world->images[stage.world->disks[0].live].exists);
    }
}

/* ---- the daemon ---- */

/* A copy of days sees many an upgrade. */
static void many_restarts_far_apart(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &one_disk);
    stage.world->ways.copy_rate = 20;
    stage.world->restart_every = 200;
    stage_move(&stage);
    assert_end(&stage, 0, ERROR_NONE, "");
    assert_true(stage.world->calls_of[CALL_RECONNECT] >= 8);
}

static void a_daemon_that_stays_away(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &three_disks);
    stage.patience = 10;
    stage.world->ways.down_ms = 3600 * 1000;
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_DISCONNECT, .kind = CALL_MIRROR, .nth = 3};
    stage_move(&stage);
    assert_unfinished(&stage, ERROR_OPERATOR, "");
    stage.world->up_at = stage.world->now;
    assert_recovers(&stage, OUTCOME_UNDONE);
}

/* ---- the guest ---- */

static void the_guest_is_powered_off(void **state UNUSED)
{
    static const char *const definitions[] = {"dance", "keep"};
    for (size_t i = 0; i < ARRAY_SIZE(definitions); i++) {
        AUTO_STAGE struct stage stage;
        const struct stage_kind kind = {.disks = 3, .definition = definitions[i]};
        stage_open(&stage, &kind);
        stage.world->events[0] =
            (struct fake_event){.deed = DEED_DESTROY, .kind = CALL_WAIT, .nth = 1};
        stage_move(&stage);
        assert_end(&stage, 1, ERROR_FAILED, "the guest was stopped while it was copied");
    }
}

/* ---- foreign hands ---- */

static void a_target_that_somebody_has_open(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &one_disk);
    stage.world->foreign_watchers = true;
    stage_move(&stage);
    assert_unfinished(&stage, ERROR_OPERATOR,
                      "somebody has the target image new/fast/db-1-vda open");
    assert_int_equal(stage.world->calls_of[CALL_MIRROR_START], 0);
    stage.world->foreign_watchers = false;
    assert_recovers(&stage, OUTCOME_UNDONE);
}

/* Between the plan and the creation somebody makes an image of that very name. */
static void a_target_that_somebody_has_made(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &one_disk);
    int theirs = fake_image_add(stage.world, IN_NEW_CLUSTER, "fast/db-1-vda", 7);
    stage_move(&stage);
    assert_end(&stage, 1, ERROR_EXISTS, "exists already");
    assert_true(stage.world->images[theirs].exists);
    assert_int_equal(stage.world->images[theirs].size, 7);
}

/* A volume manager, or an operator with virsh, pivots one of our mirrors. */
static void first_disk_is_small(struct fake_world *world)
{
    world->images[world->disks[0].source].size /= 8;
}

static void a_pivot_by_hand(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {
        .disks = 3, .definition = "dance", .change = first_disk_is_small};
    stage_open(&stage, &kind);
    stage.world->ways.copy_rate = 8192;
    stage.world->pivot_by_hand = true;
    stage_move(&stage);
    assert_end(&stage, 0, ERROR_NONE, "");
    size_t said = 0;
    for (const char *at = stage.warnings; at && (at = strstr(at, "pivoted by somebody else")); at++)
        said++;
    assert_int_equal(said, 1);
}

/* ---- pivots of which some succeed ---- */

static void assert_fates(const struct stage *stage, const char *expected)
{
    AUTO_BUFFER struct buffer fates = {0};
    for (size_t i = 0; i < stage->world->disk_count; i++) {
        AUTO_FREE char *sql =
            text_format("SELECT fate FROM disks WHERE target='%s'", stage->world->disks[i].target);
        buffer_format(&fates, "%ld", ask_journal(stage, sql));
    }
    assert_string_equal(fates.text, expected);
}

/* All at once, so that the guest need not stand still for long. */
static void one_pivot_fails_of_three_at_once(void **state UNUSED)
{
    static const char *const fates[] = {"322", "232", "223"};
    for (size_t failing = 0; failing < FAKE_DISKS; failing++) {
        AUTO_STAGE struct stage stage;
        const struct stage_kind kind = {.disks = 3, .definition = "dance"};
        stage_open(&stage, &kind);
        stage.world->ways.pivot_fails[failing] = true;
        stage_move(&stage);
        assert_end(&stage, 4, ERROR_OPERATOR, "some disks moved");
        assert_fates(&stage, fates[failing]);
        assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), PHASE_REDEFINED);
        assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM disks WHERE verdict = 3"), 3);
        assert_false(stage.world->paused);
    }
}

static void mixed_pivots(void **state UNUSED)
{
    static const char *const definitions[] = {"dance", "keep"};
    for (size_t i = 0; i < ARRAY_SIZE(definitions); i++)
        for (size_t failing = 0; failing < FAKE_DISKS; failing++) {
            AUTO_STAGE struct stage stage;
            const struct stage_kind kind = {
                .disks = 3, .definition = definitions[i], .more = "verify: none\n"};
            stage_open(&stage, &kind);
            stage.world->ways.pivot_fails[failing] = true;
            stage_move(&stage);
            const struct fake_disk *disks = stage.world->disks;
            if (failing == 0) { /* nothing had moved: everything goes back */
                assert_end(&stage, 1, ERROR_FAILED, "disk vda did not pivot");
                continue;
            }
            assert_end(&stage, 4, ERROR_OPERATOR, "some disks moved");
            for (size_t disk = 0; disk < FAKE_DISKS; disk++)
                assert_int_equal(disks[disk].live != disks[disk].source, disk < failing);
            /* 2: on its target; 3: back on its source. */
            assert_fates(&stage, failing == 1 ? "233" : "223");
            assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), PHASE_REDEFINED);
            assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM ledger"), failing);
            stage_recover(&stage);
            assert_int_equal(stage.outcome->recovered, 0);
        }
}

/* ---- proof ---- */

/* The very moment after we have defined the domain, somebody else does, from an old file: the guest
 * is on its new disk, and at its next start would not be. */
static void a_definition_that_is_wrong_again(void **state UNUSED)
{
    static const char *const definitions[] = {"dance", "keep"};
    for (size_t i = 0; i < ARRAY_SIZE(definitions); i++) {
        AUTO_STAGE struct stage stage;
        const struct stage_kind kind = {.disks = 1, .definition = definitions[i]};
        stage_open(&stage, &kind);
        stage.world->events[0] = (struct fake_event){
            .deed = DEED_DEFINE_OLD, .kind = CALL_DEFINE, .nth = 1, .after = true};
        stage_move(&stage);
        assert_int_equal(stage.outcome->status, 4);
        assert_non_null(strstr(stage.outcome->message, "still names the old disk"));
        assert_recovers(&stage, OUTCOME_FINISHED);
    }
}

static void a_target_with_two_clients(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &one_disk);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_OPEN_TARGET, .kind = CALL_PIVOT, .nth = 1, .after = true};
    stage_move(&stage);
    assert_unfinished(&stage, ERROR_OPERATOR, "2 clients have new/fast/db-1-vda open");
    stage.world->foreign_watchers = false;
    assert_recovers(&stage, OUTCOME_FINISHED);
}

/* ---- recovery ---- */

static int recover_one(struct stage *stage, int64_t id, enum move_outcome *end, struct error *error)
{
    CLEANUP(journal_closep) struct journal *journal = NULL;
    struct virt virt;
    fake_virt_connect(&virt, stage->world);
    CLEANUP(clusters_freep) struct clusters *clusters = clusters_new(&virt);
    assert_int_equal(journal_open(stage->folder, JOURNAL_WRITE, &journal, error), 0);
    const struct mover mover = {
        .journal = journal, .virt = &virt, .clusters = clusters, .uri = "fake:///system"};
    return move_recover(&mover, id, end, error);
}

/* Its process was not dead, only about to finish: who waits for the lock with an old list in his
 * hand finds nothing to do. */
static void a_finished_move_stays_finished(void **state UNUSED)
{
    for (int fails = 0; fails < 2; fails++) {
        AUTO_STAGE struct stage stage;
        stage_open(&stage, &one_disk);
        stage.world->ways.copy_fails[0] = fails;
        stage_move(&stage);
        struct outcome outcome = *stage.outcome;
        for (int again = 0; again < 2; again++) {
            AUTO_ERROR struct error error = {0};
            enum move_outcome end = fails ? OUTCOME_FINISHED : OUTCOME_UNDONE;
            long before = stage.world->calls_of[CALL_DEFINE];
            if (recover_one(&stage, outcome.id, &end, &error) < 0)
                fail_msg("%s", error.message);
            assert_int_equal(end, fails ? OUTCOME_UNDONE : OUTCOME_FINISHED);
            assert_int_equal(stage.world->calls_of[CALL_DEFINE], before);
            assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"),
                             fails ? PHASE_UNDONE : PHASE_VERIFIED);
        }
        long checks = 0;
        AUTO_FREE char *wrong = check_ended(&stage, &outcome, &checks);
        if (wrong)
            fail_msg("%s", wrong);
    }
}

/* The guest has moved; then it is stopped, and started from the file of before. */
static void a_guest_from_an_old_definition(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &one_disk);
    stage.world->events[0] = (struct fake_event){.deed = DEED_KILL, .kind = CALL_DEFINE, .nth = 1};
    stage_move(&stage);
    assert_int_equal(stage.outcome->status, FAKE_KILLED);
    fake_world_happen(stage.world, DEED_DESTROY);
    FAKE_SET(stage.world->defined, stage.definition);
    FAKE_SET(stage.world->config, stage.definition);
    stage.world->persistent = true;
    fake_world_happen(stage.world, DEED_START);
    assert_true(stage.world->stale_start);
    for (int again = 0; again < 2; again++) {
        stage_recover(&stage);
        assert_unfinished(&stage, ERROR_OPERATOR, "started from an old definition");
        assert_true(strstr(stage.outcome->hint, "both are kept") != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_still_copy_is_given_up),
        cmocka_unit_test(a_copy_that_never_gets_ready),
        cmocka_unit_test(a_long_copy_is_not_stuck),
        cmocka_unit_test(a_full_pool_ends_the_job),
        cmocka_unit_test(a_full_pool_hangs),
        cmocka_unit_test(a_question_too_many),
        cmocka_unit_test(a_cancel_that_has_to_wait),
        cmocka_unit_test(the_definition_comes_first),
        cmocka_unit_test(detached_after_the_kill),
        cmocka_unit_test(many_restarts_far_apart),
        cmocka_unit_test(a_daemon_that_stays_away),
        cmocka_unit_test(the_guest_is_powered_off),
        cmocka_unit_test(a_target_that_somebody_has_open),
        cmocka_unit_test(a_target_that_somebody_has_made),
        cmocka_unit_test(a_pivot_by_hand),
        cmocka_unit_test(mixed_pivots),
        cmocka_unit_test(one_pivot_fails_of_three_at_once),
        cmocka_unit_test(a_definition_that_is_wrong_again),
        cmocka_unit_test(a_target_with_two_clients),
        cmocka_unit_test(a_finished_move_stays_finished),
        cmocka_unit_test(a_guest_from_an_old_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
