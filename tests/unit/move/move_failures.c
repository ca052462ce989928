/* Every call of every adapter function, failing once: without having done anything, and, where it
 * changes something, having done it. And libvirt's daemon going away at every point. */
#include "points.h"

#include "base/text.h"

static void run_point(struct tally *tally, struct stage *stage, const struct calls *calls,
                      const struct fake_event *event)
{
    stage_again(stage);
    stage->world->events[0] = *event;
    stage_move(stage);
    AUTO_FREE char *where = point_name(calls, event);
    /* The guest goes on while the daemon is away, and so does the move. */
    if (event->deed == DEED_DISCONNECT && stage->outcome->status != calls->status)
        tally_problem(tally, stage, where, text_dup("a restart of the daemon changes the end"));
    settle(tally, stage, where);
}

static bool can_fail(enum fake_call call)
{
    return call != CALL_WAIT && call != CALL_RECONNECT;
}

static void every_call_fails_once(void **state UNUSED)
{
    static const enum error_code codes[] = {ERROR_FAILED, ERROR_BUSY, ERROR_NOT_FOUND};
    struct tally tally = {.name = "a call fails"};
    for (size_t i = 0; i < all_kinds_count; i++) {
        AUTO_STAGE struct stage stage;
        struct calls calls;
        stage_open(&stage, &all_kinds[i]);
        calls_record(&stage, &calls);
        for (long at = 1; at <= calls.count; at += point_stride()) {
            enum fake_call call = (enum fake_call)calls.kinds[at - 1];
            if (!can_fail(call))
                continue;
            tally.points++;
            for (int after = 0; after <= fake_call_changes(call); after++)
                run_point(&tally, &stage, &calls,
                          &(struct fake_event){.deed = DEED_FAIL,
                                               .at = at,
                                               .after = after,
                                               .code = codes[(at + after) % ARRAY_SIZE(codes)]});
        }
    }
    tally_close(&tally);
}

static void the_daemon_goes_away_once(void **state UNUSED)
{
    struct tally tally = {.name = "libvirtd restarts"};
    for (size_t i = 0; i < all_kinds_count; i++) {
        AUTO_STAGE struct stage stage;
        struct calls calls;
        stage_open(&stage, &all_kinds[i]);
        calls_record(&stage, &calls);
        for (long at = 1; at <= calls.count; at += point_stride()) {
            enum fake_call call = (enum fake_call)calls.kinds[at - 1];
            tally.points++;
            for (int after = 0; after <= fake_call_changes(call); after++)
                run_point(&tally, &stage, &calls,
                          &(struct fake_event){.deed = DEED_DISCONNECT, .at = at, .after = after});
        }
    }
    tally_close(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_fails_once),
        cmocka_unit_test(the_daemon_goes_away_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
