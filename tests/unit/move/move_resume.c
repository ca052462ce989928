/* Copies of domains that are off, killed and taken up again: whatever happened in between, the
 * guest's last writes are on its disks. */
#include "points.h"

#include "base/text.h"

static const struct stage_kind kinds[] = {
    {.disks = 1, .definition = "auto", .off = true},
    {.disks = 3, .definition = "auto", .off = true},
    {.disks = 2, .definition = "dance", .off = true, .more = "verify: none\n"},
};

static void nothing(struct fake_world *world UNUSED)
{
}

static void guest_runs(struct fake_world *world)
{
    fake_world_happen(world, DEED_START);
    fake_world_run(world, 1000);
}

static void guest_ran(struct fake_world *world)
{
    guest_runs(world);
    fake_world_happen(world, DEED_DESTROY);
}

static struct fake_image *target_of(struct fake_world *world, size_t disk)
{
    AUTO_FREE char *name = text_format("fast/" FAKE_NAME "-%s", world->disks[disk].target);
    int image = fake_image_find(world, IN_NEW_CLUSTER, name);
    return image < 0 ? NULL : &world->images[image];
}

static void target_gone(struct fake_world *world)
{
    struct fake_image *target = target_of(world, 0);
    if (target)
        target->exists = false;
}

/* Under the same name. */
static void target_of_another(struct fake_world *world)
{
    struct fake_image *target = target_of(world, 0);
    if (target)
        strcpy(target->token, "somebody-else");
}

static long phase_of(const struct stage *stage)
{
    return ask_journal(stage, "SELECT phase FROM moves WHERE id = 1");
}

static bool was_copying(const struct stage *stage)
{
    long phase = phase_of(stage);
    return (phase == PHASE_COPYING || phase == PHASE_MIRRORING) &&
           ask_journal(stage, "SELECT count(*) FROM disks WHERE fate <> 0") == 0;
}

static bool is_switched(const struct stage *stage)
{
    return fake_image_defined(stage->world, stage->world->defined, "vda") !=
           stage->world->disks[0].source;
}

/* A life of --resume is over: it is as at the end of any recovery. */
static void check_resumed(struct tally *tally, struct stage *stage, const char *where, bool goes_on)
{
    const struct outcome outcome = *stage->outcome;
    settle(tally, stage, where);
    if (goes_on && (outcome.status != 0 || outcome.end != OUTCOME_FINISHED))
        tally_problem(tally, stage, where, text_dup("it could have gone on"));
    tally->recovered += goes_on;
}

/* Killed after every call, and resumed after this has happened; `stays`: then it can go on if it
 * was copying. */
static void killed_and_then(const char *name, void (*then)(struct fake_world *), bool stays)
{
    struct tally tally = {.name = name};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        AUTO_STAGE struct stage stage;
        struct calls calls;
        stage_open(&stage, &kinds[i]);
        calls_record(&stage, &calls);
        for (long at = 1; at <= calls.count; at += point_stride()) {
            const struct fake_event event = {.deed = DEED_KILL, .at = at, .after = true};
            AUTO_FREE char *where = point_name(&calls, &event);
            stage_again(&stage);
            stage.world->events[0] = event;
            stage_move(&stage);
            memset(stage.world->events, 0, sizeof(stage.world->events));
            bool copying = was_copying(&stage) && !is_switched(&stage);
            then(stage.world);
            tally.points++;
            stage_resume(&stage);
            if (stage.outcome->recovered)
                check_resumed(&tally, &stage, where, copying && stays);
        }
    }
    assert_true(tally.recovered > 5 || !stays);
    tally_close(&tally);
}

static void it_goes_on(void **state UNUSED)
{
    killed_and_then("killed, and resumed", nothing, true);
}

static void the_guest_ran_meanwhile(void **state UNUSED)
{
    killed_and_then("killed, the guest ran, resumed", guest_ran, true);
}

static void the_guest_runs(void **state UNUSED)
{
    killed_and_then("killed, the guest runs, resumed", guest_runs, false);
}

/* ---- what is said when it does not go on ---- */

static void copy_killed(struct stage *stage, size_t kind)
{
    stage_open(stage, &kinds[kind]);
    struct calls calls;
    calls_record(stage, &calls);
    long at = 1;
    while (calls.kinds[at - 1] != CALL_BLOCKS_COPY)
        at++;
    stage_again(stage);
    stage->world->events[0] = (struct fake_event){.deed = DEED_KILL, .at = at + 1, .after = true};
    stage_move(stage);
    memset(stage->world->events, 0, sizeof(stage->world->events));
    assert_true(was_copying(stage));
}

static void assert_ended(const struct stage *stage, int status)
{
    long checks = 0;
    if (stage->outcome->status != status)
        fail_msg("exit status %d: %s", stage->outcome->status, stage->outcome->message);
    AUTO_FREE char *wrong = check_ended(stage, stage->outcome, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

static void assert_not_resumed(struct stage *stage, const char *why)
{
    stage_resume(stage);
    assert_ended(stage, 0);
    assert_int_equal(stage->outcome->end, OUTCOME_UNDONE);
    if (!stage->warnings || !strstr(stage->warnings, "its copy does not go on: ") ||
        !strstr(stage->warnings, why))
        fail_msg("warnings: %s", stage->warnings ? stage->warnings : "none");
}

static void other_definition(struct fake_world *world)
{
    char *source = strstr(world->defined, "<source");
    assert_non_null(source);
    char *name = strstr(source, "name='");
    assert_non_null(name);
    name[strlen("name='")] = 'X';
}

static void says_why_not(void **state UNUSED)
{
    static const struct {
        void (*then)(struct fake_world *);
        const char *why;
    } obstacles[] = {
        {guest_runs, "the guest was started"},
        {target_gone, "vda"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(obstacles); i++) {
        AUTO_STAGE struct stage stage;
        copy_killed(&stage, 0);
        obstacles[i].then(stage.world);
        assert_not_resumed(&stage, obstacles[i].why);
    }
}

static void not_onto_anothers_image(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    copy_killed(&stage, 0);
    target_of_another(stage.world);
    stage_resume(&stage);
    assert_non_null(stage.warnings);
    assert_non_null(strstr(stage.warnings, "is not the image that was made for disk vda"));
    assert_false(is_switched(&stage));
    assert_string_equal(target_of(stage.world, 0)->token, "somebody-else");
}

static void not_when_the_definition_names_others(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    copy_killed(&stage, 0);
    other_definition(stage.world);
    stage_resume(&stage);
    assert_non_null(stage.warnings);
    assert_non_null(strstr(stage.warnings, "another source in the definition"));
}

static void a_live_move_is_taken_back(void **state UNUSED)
{
    static const struct stage_kind kind = {.disks = 1, .definition = "auto"};
    AUTO_STAGE struct stage stage;
    struct calls calls;
    stage_open(&stage, &kind);
    calls_record(&stage, &calls);
    long at = 1;
    while (calls.kinds[at - 1] != CALL_MIRROR_START)
        at++;
    stage_again(&stage);
    stage.world->events[0] = (struct fake_event){.deed = DEED_KILL, .at = at, .after = true};
    stage_move(&stage);
    memset(stage.world->events, 0, sizeof(stage.world->events));
    assert_not_resumed(&stage, "its domain was not off");
}

/* ---- disturbed once more ---- */

/* A killed copy of a domain's disks, to begin from again and again, and the calls of a life that
 * goes on with it. */
static void copy_to_resume(struct stage *stage, size_t kind, struct stage_copy *copy,
                           struct calls *calls)
{
    copy_killed(stage, kind);
    *copy = (struct stage_copy){0};
    stage_save(stage, copy);
    stage_resume(stage);
    assert_int_equal(stage->outcome->end, OUTCOME_FINISHED);
    *calls = (struct calls){.count = stage->world->calls};
    memcpy(calls->kinds, stage->world->kinds, sizeof(calls->kinds));
}

static void killed_again(void **state UNUSED)
{
    struct tally tally = {.name = "killed, resumed, killed, resumed"};
    AUTO_STAGE struct stage stage;
    struct stage_copy copy;
    struct calls calls;
    copy_to_resume(&stage, 1, &copy, &calls);
    for (long at = 1; at <= calls.count; at += point_stride()) {
        const struct fake_event event = {.deed = DEED_KILL, .at = at, .after = true};
        AUTO_FREE char *where = point_name(&calls, &event);
        stage_load(&stage, &copy);
        guest_ran(stage.world);
        stage.world->events[0] = event;
        tally.points++;
        stage_resume(&stage);
        memset(stage.world->events, 0, sizeof(stage.world->events));
        bool copying = was_copying(&stage) && !is_switched(&stage);
        if (at % 2) /* the guest ran once more */
            guest_ran(stage.world);
        stage_resume(&stage);
        if (stage.outcome->recovered)
            check_resumed(&tally, &stage, where, copying);
    }
    stage_copy_clear(&copy);
    tally_close(&tally);
}

static void killed_again_and_recovered(void **state UNUSED)
{
    struct tally tally = {.name = "killed, resumed, killed, recovered"};
    AUTO_STAGE struct stage stage;
    struct stage_copy copy;
    struct calls calls;
    copy_to_resume(&stage, 0, &copy, &calls);
    for (long at = 1; at <= calls.count; at += point_stride()) {
        const struct fake_event event = {.deed = DEED_KILL, .at = at, .after = true};
        AUTO_FREE char *where = point_name(&calls, &event);
        stage_load(&stage, &copy);
        stage.world->events[0] = event;
        tally.points++;
        stage_resume(&stage);
        memset(stage.world->events, 0, sizeof(stage.world->events));
        settle_after_kill(&tally, &stage, where);
    }
    stage_copy_clear(&copy);
    tally_close(&tally);
}

static void the_guest_is_started_while_it_goes_on(void **state UNUSED)
{
    struct tally tally = {.name = "resumed, and the guest is started"};
    AUTO_STAGE struct stage stage;
    struct stage_copy copy;
    struct calls calls;
    copy_to_resume(&stage, 1, &copy, &calls);
    for (long at = 1; at <= calls.count; at += point_stride()) {
        stage_load(&stage, &copy);
        stage.world->events[0] = (struct fake_event){.deed = DEED_START, .at = at, .after = true};
        AUTO_FREE char *where = point_name(&calls, &stage.world->events[0]);
        tally.points++;
        stage_resume(&stage);
        settle(&tally, &stage, where);
        memset(stage.world->events, 0, sizeof(stage.world->events));
        fake_world_happen(stage.world, DEED_START);
        fake_world_run(stage.world, 1000);
        tally_problem(&tally, &stage, where, check_writes_kept(&stage, &tally.checks));
    }
    stage_copy_clear(&copy);
    tally_close(&tally);
}

/* ---- wishes ---- */

struct wisher {
    struct stage *stage;
    long seen;
    bool paused_seen;
    void (*wish)(struct stage *stage);
};

static void on_progress(void *opaque, const struct disk_progress *disks, size_t count UNUSED,
                        bool paused)
{
    struct wisher *wisher = opaque;
    if (disks[0].verifying)
        return;
    wisher->paused_seen |= paused;
    if (++wisher->seen == 3)
        wisher->wish(wisher->stage);
    AUTO_ERROR struct error error = {0};
    if (paused && wisher->seen == 8)
        assert_int_equal(journal_ask_pause(wisher->stage->journal, 1, false, &error), 0);
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

static void resume_with(struct stage *stage, struct wisher *wisher, void (*what)(struct stage *))
{
    copy_killed(stage, 1);
    guest_ran(stage->world);
    *wisher = (struct wisher){.stage = stage, .wish = what};
    stage->audience = (struct move_audience){.opaque = wisher, .progress = on_progress};
    stage_resume(stage);
    assert_true(wisher->seen >= 3);
}

static void it_is_cancelled(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    struct wisher wisher;
    resume_with(&stage, &wisher, cancel);
    assert_ended(&stage, 1);
    assert_int_equal(stage.outcome->code, ERROR_CANCELLED);
}

static void it_is_paused_and_goes_on(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    struct wisher wisher;
    resume_with(&stage, &wisher, pause_it);
    assert_ended(&stage, 0);
    assert_int_equal(stage.outcome->end, OUTCOME_FINISHED);
    assert_true(wisher.paused_seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_on),
        cmocka_unit_test(the_guest_ran_meanwhile),
        cmocka_unit_test(the_guest_runs),
        cmocka_unit_test(says_why_not),
        cmocka_unit_test(not_onto_anothers_image),
        cmocka_unit_test(not_when_the_definition_names_others),
        cmocka_unit_test(a_live_move_is_taken_back),
        cmocka_unit_test(killed_again),
        cmocka_unit_test(killed_again_and_recovered),
        cmocka_unit_test(the_guest_is_started_while_it_goes_on),
        cmocka_unit_test(it_is_cancelled),
        cmocka_unit_test(it_is_paused_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
