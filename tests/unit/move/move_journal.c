/* A journal that cannot be written, and a process that is killed while it writes it. */
#include "points.h"

#include "base/text.h"

/* ---- killed before any write ---- */

static void killed_at_every_write(void **state UNUSED)
{
    struct tally tally = {.name = "killed at a write of the journal"};
    for (size_t i = 0; i < all_kinds_count; i++) {
        long stride = i == 0 ? 1 : 17; /* the others write little else */
        AUTO_STAGE struct stage stage;
        stage_open(&stage, &all_kinds[i]);
        bool killed = true;
        for (long at = 1; killed; at += stride * point_stride()) {
            AUTO_FREE char *where = text_format("write %ld of the journal", at);
            stage_again(&stage);
            stage.world->journal_disk.kill_at = at;
            stage_move_in_child(&stage);
            killed = stage.outcome->status == FAKE_KILLED;
            stage.world->journal_disk.kill_at = 0;
            tally.points += killed;
            settle_after_kill(&tally, &stage, where);
        }
    }
    tally_close(&tally);
}

/* ---- no room ---- */

/* From any write on there is none, until the process has given up. */
static void full_from_every_write(void **state UNUSED)
{
    struct tally tally = {.name = "the journal's disk fills up"};
    for (size_t i = 0; i < all_kinds_count; i++) {
        AUTO_STAGE struct stage stage;
        stage_open(&stage, &all_kinds[i]);
        struct calls calls;
        calls_record(&stage, &calls);
        long writes = stage.world->journal_disk.writes;
        long step = writes / 40 + 1;
        for (long at = 1; at <= writes; at += step * point_stride()) {
            AUTO_FREE char *where = text_format("no room from write %ld on", at);
            stage_again(&stage);
            stage.world->journal_disk.full_from = at;
            tally.points++;
            stage_move(&stage);
            stage.world->journal_disk.full_from = 0;
            settle(&tally, &stage, where);
        }
    }
    tally_close(&tally);
}

/* Killed in the middle, and when it comes back there is no room at all: the guest's definition is
 * put right all the same, as far as that can be done, and once there is room all is brought to its
 * end. */
static void recovery_without_room(void **state UNUSED)
{
    struct tally tally = {.name = "recovery without room"};
    for (size_t i = 0; i < all_kinds_count; i++) {
        AUTO_STAGE struct stage stage;
        struct calls calls;
        stage_open(&stage, &all_kinds[i]);
        calls_record(&stage, &calls);
        for (long at = 1; at <= calls.count; at += 2 * point_stride()) {
            const struct fake_event event = {.deed = DEED_KILL, .at = at};
            AUTO_FREE char *where = point_name(&calls, &event);
            stage_again(&stage);
            stage.world->events[0] = event;
            tally.points++;
            stage_move(&stage);
            memset(stage.world->events, 0, sizeof(stage.world->events));
            fake_world_run(stage.world, 60000);
            stage.world->journal_disk.full = true;
            stage_recover(&stage);
            stage.world->journal_disk.full = false;
            if (stage.outcome->status == 0 && stage.outcome->recovered > 0)
                tally_problem(&tally, &stage, where, text_dup("it says that all is well"));
            else if (stage.world->was_persistent && !stage.world->persistent)
                tally_problem(&tally, &stage, where, text_dup("the definition has not come back"));
            settle_after_kill(&tally, &stage, where);
        }
    }
    tally_close(&tally);
}

/* A failing write once: a disk that has room again a moment later. */
static void the_saved_definition_cannot_be_written(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &all_kinds[0]);
    AUTO_FREE char *folder = text_format("%s/definitions", stage.folder);
    AUTO_FREE char *aside = text_format("%s/aside", stage.folder);
    AUTO_ERROR struct error error = {0};
    struct journal *journal = NULL;
    assert_int_equal(journal_open(stage.folder, JOURNAL_WRITE, &journal, &error), 0);
    journal_close(journal);
    assert_int_equal(rename(folder, aside), 0);
    assert_int_equal(symlink("/proc/self/does-not-exist", folder), 0);
    long checks = 0;
    stage_move(&stage);
    /* The folder is somebody else's now, and nothing may be undefined that is not saved. */
    assert_int_equal(stage.world->calls_of[CALL_UNDEFINE], 0);
    assert_int_equal(stage.outcome->status, 1);
    AUTO_FREE char *wrong = check_ended(&stage, stage.outcome, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_write),
        cmocka_unit_test(full_from_every_write),
        cmocka_unit_test(recovery_without_room),
        cmocka_unit_test(the_saved_definition_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
