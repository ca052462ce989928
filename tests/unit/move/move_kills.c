/* virt-pivot killed right before and right after every call, and killed again while it recovers. */
#include "points.h"

#include "base/text.h"

/* How long the operator takes to start it again: at once, in the middle of what libvirt and QEMU
 * have been told to do, or when all that is over. */
static const unsigned pauses[] = {0, 60000};

static void every_call(void **state UNUSED)
{
    struct tally tally = {.name = "killed at a call"};
    for (size_t i = 0; i < all_kinds_count; i++) {
        AUTO_STAGE struct stage stage;
        struct calls calls;
        stage_open(&stage, &all_kinds[i]);
        calls_record(&stage, &calls);
        for (long at = 1; at <= calls.count; at += point_stride())
            /* After one that changes nothing is before the next one. */
            for (int after = 0; after <= fake_call_changes((enum fake_call)calls.kinds[at - 1]);
                 after++) {
                struct fake_event event = {.deed = DEED_KILL, .at = at, .after = after};
                AUTO_FREE char *where = point_name(&calls, &event);
                tally.points++;
                struct stage_copy copy = {0};
                stage_again(&stage);
                stage.world->events[0] = event;
                stage_move(&stage);
                stage_save(&stage, &copy);
                for (size_t pause = 0; pause < ARRAY_SIZE(pauses); pause++) {
                    stage_load(&stage, &copy);
                    fake_world_run(stage.world, pauses[pause]);
                    settle_after_kill(&tally, &stage, where);
                }
                stage_copy_clear(&copy);
            }
    }
    tally_close(&tally);
}

/* Killed at `at`, and its recovery before each of its own calls. */
static void recover_and_die(struct tally *tally, struct stage *stage, const char *where)
{
    struct stage_copy copy = {0};
    stage_save(stage, &copy);
    bool killed = true;
    for (long second = 1; killed; second++) {
        stage_load(stage, &copy);
        fake_world_forget_calls(stage->world);
        stage->world->events[0] = (struct fake_event){.deed = DEED_KILL, .at = second};
        stage_recover(stage);
        killed = stage->outcome->status == FAKE_KILLED;
        tally->points += killed;
        AUTO_FREE char *twice =
            text_format("%s, and in its recovery at call %ld (%s)", where, second,
                        fake_call_name((enum fake_call)stage->world->kinds[second - 1]));
        settle_after_kill(tally, stage, twice);
    }
    stage_copy_clear(&copy);
}

static void a_recovery_at_every_call(void **state UNUSED)
{
    struct tally tally = {.name = "killed, and killed again"};
    for (size_t i = 0; i < all_kinds_count; i++) {
        AUTO_STAGE struct stage stage;
        struct calls calls;
        stage_open(&stage, &all_kinds[i]);
        calls_record(&stage, &calls);
        long stride = all_kinds[i].disks == 1 ? 3 : 13;
        for (long at = 1; at <= calls.count; at += stride) {
            const struct fake_event event = {.deed = DEED_KILL, .at = at};
            AUTO_FREE char *where = point_name(&calls, &event);
            stage_again(&stage);
            stage.world->events[0] = event;
            stage_move(&stage);
            recover_and_die(&tally, &stage, where);
        }
    }
    tally_close(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call),
        cmocka_unit_test(a_recovery_at_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
