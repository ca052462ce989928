#include "points.h"

#include "base/text.h"

#define MOST_PROBLEMS 40 /* printed; more do not help */
#define A_WHILE 60000

static void second_copy_fails(struct fake_world *world)
{
    world->ways.copy_fails[world->disk_count - 1] = true;
}

static void second_pivot_fails(struct fake_world *world)
{
    world->ways.pivot_fails[1] = true;
}

/* Somebody else does it: an operator, or a manager that knows the guest better. */
static void first_is_pivoted_by_hand(struct fake_world *world)
{
    world->images[world->disks[0].source].size /= 8;
    world->pivot_by_hand = true;
}

static void somebody_paused_it(struct fake_world *world)
{
    world->paused = world->was_paused = true;
}

const struct stage_kind all_kinds[] = {
    {.disks = 1, .definition = "dance"},
    {.disks = 3, .definition = "dance"},
    {.disks = 1, .definition = "keep"},
    {.disks = 3, .definition = "keep"},
    {.disks = 1, .definition = "auto", .transient = true},
    {.disks = 2, .definition = "dance", .change = second_copy_fails},
    {.disks = 2, .definition = "keep", .change = second_copy_fails},
    {.disks = 3, .definition = "dance", .change = second_pivot_fails},
    {.disks = 3, .definition = "keep", .change = second_pivot_fails},
    {.disks = 2, .definition = "dance", .change = first_is_pivoted_by_hand},
    {.disks = 2, .definition = "keep", .change = first_is_pivoted_by_hand},
    {.disks = 2, .definition = "keep", .change = somebody_paused_it},
    {.disks = 2, .definition = "dance", .more = "verify: none\n"},
    {.disks = 3, .definition = "keep", .more = "verify: none\n", .change = second_pivot_fails},
    {.disks = 1, .definition = "auto", .off = true},
    {.disks = 3, .definition = "auto", .off = true},
};
#define NEAR_TIER "  near: {pool: old/fast, qos: {iops: 500}}\n"

const struct stage_kind migrated_kinds[] = {
    {.disks = 1,
     .off = true,
     .more = "offline: migrate\n",
     .tiers = NEAR_TIER,
     .tier = "near",
     .change = fake_world_make_images},
    {.disks = 2,
     .off = true,
     .more = "offline: migrate\n",
     .tiers = NEAR_TIER,
     .tier = "near",
     .change = fake_world_make_images},
};
const size_t migrated_kinds_count = ARRAY_SIZE(migrated_kinds);

const size_t all_kinds_count = ARRAY_SIZE(all_kinds);

void calls_record(struct stage *stage, struct calls *calls)
{
    long checks = 0;
    const struct outcome *outcome = stage_move(stage);
    AUTO_FREE char *wrong = check_ended(stage, outcome, &checks);
    if (wrong)
        fail_msg("the undisturbed move: %s", wrong);
    calls->count = stage->world->calls;
    calls->status = outcome->status;
    memcpy(calls->kinds, stage->world->kinds, sizeof(calls->kinds));
}

char *point_name(const struct calls *calls, const struct fake_event *event)
{
    return text_format("call %ld (%s), %s", event->at,
                       fake_call_name((enum fake_call)calls->kinds[event->at - 1]),
                       event->after ? "after" : "before");
}

long point_stride(void)
{
    const char *every = getenv("VP_TEST_EVERY");
    long stride = every ? strtol(every, NULL, 10) : 1;
    return stride > 0 ? stride : 1;
}

bool point_is_a_race(const struct calls *calls, long at)
{
    static const unsigned char looks[] = {CALL_DOMAIN, CALL_XML_LIVE, CALL_XML_INACTIVE};
    long next = at;
    while (next < calls->count && memchr(looks, calls->kinds[next - 1], sizeof(looks)))
        next++;
    return next - at < (long)sizeof(looks) &&
           (calls->kinds[next - 1] == CALL_DEFINE || calls->kinds[next - 1] == CALL_UNDEFINE);
}

void tally_problem(struct tally *tally, const struct stage *stage, const char *where, char *wrong)
{
    if (!wrong)
        return;
    *text_list_add(&tally->problems) =
        text_format("%s%s, %zu disks, %s: %s\n      (exit status %d: %s)", stage->kind.definition,
                    stage->kind.off ? ", off" : "", stage->kind.disks, where, wrong,
                    stage->outcome->status, stage->outcome->message);
    free(wrong);
}

void tally_close(struct tally *tally)
{
    print_message("%s: %ld points, %ld runs, %ld checks; ended 0: %ld, 1: %ld, 4: %ld; killed "
                  "%ld; recovered %ld; left to an operator %ld; problems %zu\n",
                  tally->name, tally->points, tally->runs, tally->checks, tally->ends[0],
                  tally->ends[1], tally->ends[4], tally->killed, tally->recovered, tally->doubts,
                  tally->problems.count);
    size_t count = tally->problems.count;
    for (size_t i = 0; i < count && i < MOST_PROBLEMS; i++)
        print_message("  - %s\n", tally->problems.items[i]);
    text_list_clear(&tally->problems);
    assert_int_equal(count, 0);
    assert_true(tally->runs > 0);
}

static void count_end(struct tally *tally, const struct outcome *outcome)
{
    tally->runs++;
    if (outcome->status >= 0 && outcome->status < 5)
        tally->ends[outcome->status]++;
    else
        tally->killed++;
}

void settle_by_recovery(struct tally *tally, struct stage *stage, const char *where)
{
    memset(stage->world->events, 0, sizeof(stage->world->events));
    const struct outcome *outcome = stage_recover(stage);
    tally->recovered += outcome->recovered > 0;
    struct outcome first = *outcome;
    if (first.recovered == 0)
        first.status = 4; /* it had ended before: nothing new is claimed */
    AUTO_FREE char *at = text_format("%s, recovered", where);
    if (outcome->status != 0) {
        tally_problem(tally, stage, at, text_dup("recovery does not come to an end"));
        tally_problem(tally, stage, at, check_always(stage, &tally->checks));
        return;
    }
    tally_problem(tally, stage, at, check_ended(stage, &first, &tally->checks));

    if (tally->runs % 4 != 0)
        return; /* one in four is looked at again: the same code would find the same nothing */
    char before[FAKE_XML];
    memcpy(before, stage->world->defined, sizeof(before));
    const struct outcome *again = stage_recover(stage);
    AUTO_FREE char *twice = text_format("%s, recovered twice", where);
    if (again->status != 0 || again->recovered != 0 || !text_equal(before, stage->world->defined))
        tally_problem(tally, stage, twice, text_dup("the second recovery has done something"));
}

void settle(struct tally *tally, struct stage *stage, const char *where)
{
    const struct outcome outcome = *stage->outcome;
    count_end(tally, &outcome);
    if (outcome.status == 0 || outcome.status == 1) {
        tally_problem(tally, stage, where, check_ended(stage, &outcome, &tally->checks));
        return;
    }
    tally_problem(tally, stage, where,
                  outcome.status == 4 ? check_always(stage, &tally->checks)
                                      : text_dup("that is no way to end"));
    fake_world_run(stage->world, A_WHILE);
    settle_by_recovery(tally, stage, where);
}

void settle_after_kill(struct tally *tally, struct stage *stage, const char *where)
{
    count_end(tally, stage->outcome);
    tally_problem(tally, stage, where, check_always(stage, &tally->checks));
    settle_by_recovery(tally, stage, where);
}

void disturb_every_call(const struct stage_kind *kinds, size_t count, const char *name,
                        const enum fake_deed deeds[FAKE_EVENTS], long apart)
{
    struct tally tally = {.name = name};
    for (size_t i = 0; i < count; i++) {
        AUTO_STAGE struct stage stage;
        struct calls calls;
        stage_open(&stage, &kinds[i]);
        calls_record(&stage, &calls);
        for (long at = 1; at <= calls.count; at += point_stride())
            for (int after = 0; after <= fake_call_changes((enum fake_call)calls.kinds[at - 1]);
                 after++) {
                stage_again(&stage);
                for (long event = 0; event < FAKE_EVENTS && deeds[event]; event++)
                    stage.world->events[event] = (struct fake_event){
                        .deed = deeds[event], .at = at + event * apart, .after = after};
                AUTO_FREE char *where = point_name(&calls, &stage.world->events[0]);
                tally.points++;
                stage_move(&stage);
                settle(&tally, &stage, where);
                /* It is there again, whatever became of the move. */
                memset(stage.world->events, 0, sizeof(stage.world->events));
                fake_world_happen(stage.world, DEED_START);
                fake_world_run(stage.world, 1000);
                if (!stage.world->active)
                    tally_problem(&tally, &stage, where, text_dup("the guest does not start"));
                if (stage.world->stale_start)
                    tally_problem(&tally, &stage, where,
                                  text_dup("the guest is started without its last writes"));
                tally_problem(&tally, &stage, where, check_writes_kept(&stage, &tally.checks));
            }
    }
    tally_close(&tally);
}
