/* What is to be done about a request, and what an attempt's end means: every combination. */
#include "cmocka_compat.h"

#include "agent/schedule.h"

#include "base/text.h"

#define NOW 100000

/* All is well: it would run. */
static struct schedule_facts fair_facts(void)
{
    return (struct schedule_facts){.now = NOW,
                                   .connected = true,
                                   .policy = true,
                                   .retries = 5,
                                   .per_host = 2,
                                   .known = true,
                                   .active = true,
                                   .missing_since = NOW};
}

static struct request_record waiting(void)
{
    return (struct request_record){.id = 1, .reason = (char *)"user", .created = NOW - 10};
}

static void expect(const struct request_record *request, const struct schedule_facts *facts,
                   enum schedule_act act, const char *message, int64_t until)
{
    struct schedule_decision decision = schedule_decide(request, facts);
    assert_int_equal(decision.act, act);
    assert_true(decision.until == until);
    if (message)
        assert_non_null(strstr(decision.message, message));
    else
        assert_null(decision.message);
}

/* ---- deciding ---- */

static void runs_when_nothing_is_in_the_way(void **state UNUSED)
{
    struct request_record request = waiting();
    struct schedule_facts facts = fair_facts();
    expect(&request, &facts, SCHEDULE_RUN, NULL, SCHEDULE_NEVER);
    request.not_before = NOW;
    facts.moves = 1;
    request.attempts = 5;
    expect(&request, &facts, SCHEDULE_RUN, NULL, SCHEDULE_NEVER);
}

static void presses_when_only_its_domain_is_busy(void **state UNUSED)
{
    struct request_record request = waiting();
    struct schedule_facts facts = fair_facts();
    assert_true(schedule_is_pressing(&request, &facts));
    facts.busy = facts.carried = true;
    assert_true(schedule_is_pressing(&request, &facts));
    facts.policy = false;
    assert_false(schedule_is_pressing(&request, &facts));
    facts.policy = true;
    facts.moves = facts.per_host;
    assert_false(schedule_is_pressing(&request, &facts));
    facts.moves = 0;
    request.not_before = NOW + 1;
    assert_false(schedule_is_pressing(&request, &facts));
    request.state = REQUEST_RUNNING;
    assert_true(schedule_is_pressing(&request, &facts));
    request.state = REQUEST_DONE;
    assert_false(schedule_is_pressing(&request, &facts));
}

static void each_obstacle_is_named(void **state UNUSED)
{
    struct {
        struct schedule_facts facts;
        const char *message;
    } cases[9];
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cases[i].facts = fair_facts();
    cases[0].facts.connected = false;
    cases[0].message = "libvirt";
    cases[1].facts.arriving = true;
    cases[1].message = "end of its migration";
    cases[2].facts.active = false;
    cases[2].message = "start";
    cases[3].facts.unsettled = true;
    cases[3].message = "settled";
    cases[4].facts.busy = true;
    cases[4].message = "under way";
    cases[5].facts.carried = true;
    cases[5].message = "under way";
    cases[6].facts.job = "migration";
    cases[6].message = "end of a migration";
    cases[7].facts.policy = false;
    cases[7].message = "policy";
    cases[8].facts.moves = 2;
    cases[8].message = "turn";
    struct request_record request = waiting();
    request.reason = (char *)"tier";
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect(&request, &cases[i].facts, SCHEDULE_LEAVE, cases[i].message, SCHEDULE_NEVER);
}

static void a_pause_is_kept_whatever_else_is(void **state UNUSED)
{
    struct request_record request = waiting();
    request.not_before = NOW + 30;
    for (unsigned bits = 0; bits < 16; bits++) {
        struct schedule_facts facts = fair_facts();
        facts.connected = bits & 1;
        facts.known = bits & 2;
        facts.active = bits & 4;
        facts.policy = bits & 8;
        facts.missing_since = 0;
        expect(&request, &facts, SCHEDULE_LEAVE, NULL, NOW + 30);
    }
}

static void a_domain_that_is_not_here_is_waited_for(void **state UNUSED)
{
    struct request_record request = waiting();
    struct schedule_facts facts = fair_facts();
    facts.known = facts.active = false;
    facts.missing_since = NOW - 100;
    expect(&request, &facts, SCHEDULE_LEAVE, "waits for its domain",
           NOW - 100 + SCHEDULE_ARRIVAL_SECONDS);
    facts.missing_since = NOW - SCHEDULE_ARRIVAL_SECONDS + 1;
    expect(&request, &facts, SCHEDULE_LEAVE, "waits for its domain", NOW + 1);
    facts.missing_since--;
    expect(&request, &facts, SCHEDULE_CANCEL, "not here any more", SCHEDULE_NEVER);
    facts.connected = false; /* then nobody knows */
    expect(&request, &facts, SCHEDULE_LEAVE, "libvirt", SCHEDULE_NEVER);
}

static void a_migration_is_waited_for_from_its_request_on(void **state UNUSED)
{
    struct request_record request = waiting();
    request.reason = (char *)"migrate";
    struct schedule_facts facts = fair_facts();
    facts.known = facts.active = false;
    facts.missing_since = NOW;
    request.created = NOW - SCHEDULE_ARRIVAL_SECONDS + 1;
    expect(&request, &facts, SCHEDULE_LEAVE, "migration to this host", NOW + 1);
    request.created--;
    expect(&request, &facts, SCHEDULE_CANCEL, "did not migrate", SCHEDULE_NEVER);
    facts.known = facts.active = true; /* late, but here */
    expect(&request, &facts, SCHEDULE_RUN, NULL, SCHEDULE_NEVER);
}

static void too_many_attempts_are_given_up(void **state UNUSED)
{
    struct request_record request = waiting();
    struct schedule_facts facts = fair_facts();
    request.message = (char *)"attempt 6 of 6 failed: no";
    for (request.attempts = 0; request.attempts <= 5; request.attempts++)
        expect(&request, &facts, SCHEDULE_RUN, NULL, SCHEDULE_NEVER);
    expect(&request, &facts, SCHEDULE_GIVE_UP, "failed: no", SCHEDULE_NEVER);
    facts.policy = false; /* who knows what the right one will say */
    expect(&request, &facts, SCHEDULE_LEAVE, "policy", SCHEDULE_NEVER);
}

/* One that runs is left alone as long as anybody is at it, and settled then: whatever is known of
 * libvirt, the policy, limits and time. */
static void a_running_one_is_settled_when_nobody_is_at_it(void **state UNUSED)
{
    struct request_record request = waiting();
    request.state = REQUEST_RUNNING;
    request.attempts = 9;
    for (unsigned bits = 0; bits < 512; bits++) {
        const struct schedule_facts facts = {
            .now = NOW,
            .carried = bits & 1,
            .busy = bits & 2,
            .connected = bits & 4,
            .policy = bits & 8,
            .known = bits & 16,
            .active = bits & 32,
            .arriving = bits & 64,
            .unsettled = bits & 128,
            .moves = bits & 256 ? 7 : 0,
        };
        bool left = facts.carried || facts.busy;
        expect(&request, &facts, left ? SCHEDULE_LEAVE : SCHEDULE_SETTLE, NULL, SCHEDULE_NEVER);
    }
}

/* Never twice at once, and never where it cannot go well; one that is off only if a user asks. */
static void only_a_free_domain_is_moved(void **state UNUSED)
{
    static const char *const reasons[] = {"user", "tier", "start"};
    struct request_record request = waiting();
    for (unsigned bits = 0; bits < 3 * 1024; bits++) {
        bool by_user = bits / 1024 == 0;
        request.reason = (char *)reasons[bits / 1024];
        const struct schedule_facts facts = {
            .now = NOW,
            .retries = 5,
            .per_host = 1,
            .missing_since = NOW,
            .connected = bits & 1,
            .policy = bits & 2,
            .known = bits & 4,
            .active = bits & 8,
            .arriving = bits & 16,
            .job = bits & 32 ? "save" : NULL,
            .unsettled = bits & 64,
            .carried = bits & 128,
            .busy = bits & 256,
            .moves = bits & 512 ? 1 : 0,
        };
        struct schedule_decision decision = schedule_decide(&request, &facts);
        bool free = facts.connected && facts.policy && facts.known && !(bits & 1023 & ~15u) &&
                    (facts.active || by_user);
        assert_int_equal(decision.act, free ? SCHEDULE_RUN : SCHEDULE_LEAVE);
        assert_int_equal(decision.message == NULL, free);
    }
}

static void ended_ones_are_left_alone(void **state UNUSED)
{
    static const enum request_state ended[] = {REQUEST_DONE, REQUEST_FAILED, REQUEST_CANCELLED};
    struct request_record request = waiting();
    struct schedule_facts facts = fair_facts();
    for (size_t i = 0; i < ARRAY_SIZE(ended); i++) {
        request.state = ended[i];
        expect(&request, &facts, SCHEDULE_LEAVE, NULL, SCHEDULE_NEVER);
    }
}

/* ---- ends ---- */

struct end_case {
    bool seen, exited, has_move, cancelled;
    int status;
    enum move_phase phase;
    unsigned attempts;
    enum request_state state;
    const char *message; /* a part of it; NULL: none */
};

static void check_end(const struct end_case *wanted)
{
    const struct move_record move = {.id = 7,
                                     .phase = wanted->phase,
                                     .message = (char *)"the move's word",
                                     .hint = (char *)"the move's hint"};
    struct request_record request = {.id = 1,
                                     .state = REQUEST_RUNNING,
                                     .pid = 99,
                                     .attempts = wanted->attempts,
                                     .message = text_dup("old"),
                                     .hint = text_dup("old")};
    const struct schedule_end end = {
        .now = NOW,
        .retries = 2,
        .pause = 30,
        .seen = wanted->seen,
        .exited = wanted->exited,
        .status = wanted->status,
        .reason = wanted->seen ? "the child's word" : NULL,
        .hint = wanted->seen ? "the child's hint" : NULL,
        .move = wanted->has_move ? &move : NULL,
        .cancelled = wanted->cancelled,
    };
    schedule_finish(&request, &end);
    assert_int_equal(request.state, wanted->state);
    assert_int_equal(request.pid, 0);
    assert_true(request.move == (wanted->has_move ? 7 : 0));
    if (wanted->message)
        assert_non_null(strstr(request.message, wanted->message));
    else
        assert_null(request.message);
    bool told = request.state == REQUEST_FAILED || request.state == REQUEST_WAITING;
    const char *hint = wanted->seen       ? "the child's hint"
                       : wanted->has_move ? "the move's hint"
                                          : NULL;
    assert_true(text_equal(request.hint, told ? hint : NULL));
    assert_true(
        request.not_before ==
        (request.state == REQUEST_WAITING ? NOW + schedule_pause(30, wanted->attempts) : 0));
    request_record_clear(&request);
}

static void ends_of_our_own_children(void **state UNUSED)
{
    static const struct end_case cases[] = {
        {true, true, true, false, 0, PHASE_VERIFIED, 1, REQUEST_DONE, NULL},
        {true, true, false, false, 0, PHASE_PLANNED, 3, REQUEST_DONE, NULL},
        {true, true, false, false, 3, PHASE_PLANNED, 3, REQUEST_DONE, "the child's word"},
        {true, true, true, false, 4, PHASE_NEEDS_OPERATOR, 1, REQUEST_FAILED, "the child's word"},
        {true, true, false, true, 4, PHASE_PLANNED, 1, REQUEST_FAILED, "the child's word"},
        {true, true, true, false, 1, PHASE_UNDONE, 1, REQUEST_WAITING, "attempt 1 of 3 failed"},
        {true, true, true, false, 1, PHASE_UNDONE, 2, REQUEST_WAITING, "attempt 2 of 3 failed"},
        {true, true, true, false, 1, PHASE_UNDONE, 3, REQUEST_FAILED, "given up after 3 attempts"},
        {true, true, false, false, 2, PHASE_PLANNED, 1, REQUEST_WAITING, "the child's word"},
        {true, true, false, false, 77, PHASE_PLANNED, 1, REQUEST_WAITING, "the child's word"},
        {true, true, true, true, 1, PHASE_UNDONE, 1, REQUEST_CANCELLED, "cancelled"},
        {true, true, true, true, 1, PHASE_UNDONE, 3, REQUEST_CANCELLED, "cancelled"},
        {true, true, true, true, 0, PHASE_VERIFIED, 1, REQUEST_DONE, NULL},
        /* Killed: what it had done by then counts. */
        {true, false, false, false, 9, PHASE_PLANNED, 1, REQUEST_WAITING, "the child's word"},
        {true, false, true, false, 9, PHASE_COPYING, 3, REQUEST_FAILED, "the child's word"},
        {true, false, true, false, 9, PHASE_VERIFIED, 1, REQUEST_DONE, NULL},
        {true, false, true, false, 3, PHASE_COPYING, 1, REQUEST_WAITING, "the child's word"},
        {true, false, true, false, 4, PHASE_COPYING, 1, REQUEST_WAITING, "the child's word"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_end(&cases[i]);
}

static void ends_that_nobody_saw(void **state UNUSED)
{
    static const enum move_phase well[] = {PHASE_REDEFINED, PHASE_VERIFIED, PHASE_RETIRED};
    for (int phase = PHASE_PLANNED; phase <= PHASE_NEEDS_OPERATOR; phase++) {
        struct end_case one = {.has_move = true,
                               .phase = (enum move_phase)phase,
                               .attempts = 1,
                               .state = REQUEST_WAITING,
                               .message = "attempt 1 of 3 failed: the move's word"};
        for (size_t i = 0; i < ARRAY_SIZE(well); i++)
            if (phase == (int)well[i]) {
                one.state = REQUEST_DONE;
                one.message = NULL;
            }
        if (phase == PHASE_NEEDS_OPERATOR) {
            one.state = REQUEST_FAILED;
            one.message = "the move's word";
        }
        check_end(&one);
    }
    static const struct end_case others[] = {
        {.attempts = 1, .state = REQUEST_WAITING, .message = "nobody saw"},
        {.attempts = 3, .state = REQUEST_FAILED, .message = "nobody saw"},
        {.has_move = true,
         .phase = PHASE_UNDONE,
         .cancelled = true,
         .attempts = 1,
         .state = REQUEST_CANCELLED,
         .message = "cancelled"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        check_end(&others[i]);
}

static void pauses_double_up_to_a_day(void **state UNUSED)
{
    static const int64_t doubled[] = {30, 60, 120, 240, 480};
    for (unsigned i = 0; i < ARRAY_SIZE(doubled); i++)
        assert_true(schedule_pause(30, i + 1) == doubled[i]);
    assert_true(schedule_pause(30, 0) == 30);
    assert_true(schedule_pause(30, 4000000000u) == 86400);
    assert_true(schedule_pause(UINT64_MAX, 1) == 86400);
    assert_true(schedule_pause(UINT64_MAX / 2 + 1, 2) == 86400);
    assert_true(schedule_pause(0, 4000000000u) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_when_nothing_is_in_the_way),
        cmocka_unit_test(presses_when_only_its_domain_is_busy),
        cmocka_unit_test(each_obstacle_is_named),
        cmocka_unit_test(a_pause_is_kept_whatever_else_is),
        cmocka_unit_test(a_domain_that_is_not_here_is_waited_for),
        cmocka_unit_test(a_migration_is_waited_for_from_its_request_on),
        cmocka_unit_test(too_many_attempts_are_given_up),
        cmocka_unit_test(a_running_one_is_settled_when_nobody_is_at_it),
        cmocka_unit_test(only_a_free_domain_is_moved),
        cmocka_unit_test(ended_ones_are_left_alone),
        cmocka_unit_test(ends_of_our_own_children),
        cmocka_unit_test(ends_that_nobody_saw),
        cmocka_unit_test(pauses_double_up_to_a_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
