/* The table of transitions, and that the journal keeps to it. */
#include "journal_fixture.h"

#define PHASES (PHASE_NEEDS_OPERATOR + 1)

/* A row a phase, a column a follower, in the order of enum move_phase. Forward is one step at a
 * time; from everything that is not an end it goes to undoing, to needs operator, and (recovery
 * found the guest there) to pivoted. Two short cuts are an incoming migration's, one is an offline
 * move's. An end is left for retired, and for undone by another move. */
static const char *const allowed[PHASES] = {
    /*                       PLSTDUCMPRVRuno */
    [PHASE_PLANNED] = ".x......x...x.x",          [PHASE_LOCKED] = "..xx....x...x.x",
    [PHASE_SOURCE_PREPARED] = "...x....x...x.x",  [PHASE_TARGET_CREATED] = "....x.x.x...x.x",
    [PHASE_DEFINITION_SAVED] = ".....xx.x...x.x", [PHASE_UNDEFINED] = "......x.x...x.x",
    [PHASE_COPYING] = ".......xx...x.x",          [PHASE_MIRRORING] = "........x...x.x",
    [PHASE_PIVOTED] = "........xx..x.x",          [PHASE_REDEFINED] = "..........xxxxx",
    [PHASE_VERIFIED] = "...........xxxx",         [PHASE_RETIRED] = "............xx.",
    [PHASE_UNDOING] = "........x...xxx",          [PHASE_UNDONE] = "...............",
    [PHASE_NEEDS_OPERATOR] = "........xx..x.x",
};

static const struct {
    enum move_kind kind;
    enum move_phase from, to;
} not_for_this_kind[] = {
    /* Nothing is copied before the source is prepared and the definition is saved. */
    {MOVE_LIVE, PHASE_LOCKED, PHASE_TARGET_CREATED},
    {MOVE_LIVE, PHASE_TARGET_CREATED, PHASE_COPYING},
    {MOVE_OFFLINE, PHASE_LOCKED, PHASE_TARGET_CREATED},
    {MOVE_OFFLINE, PHASE_TARGET_CREATED, PHASE_COPYING},
    {MOVE_UNDO, PHASE_LOCKED, PHASE_TARGET_CREATED},
    {MOVE_UNDO, PHASE_TARGET_CREATED, PHASE_COPYING},
    /* A guest that runs is transient while it is copied, or has been asked not to be. */
    {MOVE_LIVE, PHASE_DEFINITION_SAVED, PHASE_COPYING},
    {MOVE_INCOMING, PHASE_DEFINITION_SAVED, PHASE_COPYING},
    /* The guest has arrived on its target: there is no other copy any more. */
    {MOVE_INCOMING, PHASE_PIVOTED, PHASE_UNDOING},
};

static bool is_allowed(enum move_kind kind, int from, int to)
{
    for (size_t i = 0; i < ARRAY_SIZE(not_for_this_kind); i++)
        if (not_for_this_kind[i].kind == kind && (int)not_for_this_kind[i].from == from &&
            (int)not_for_this_kind[i].to == to)
            return false;
    return from == to || allowed[from][to] == 'x';
}

static void the_table(void **state UNUSED)
{
    for (int from = 0; from < PHASES; from++)
        for (int to = 0; to < PHASES; to++)
            if (from != to && move_phase_may_follow((enum move_phase)from, (enum move_phase)to) !=
                                  (allowed[from][to] == 'x'))
                fail_msg("'%s' after '%s'", move_phase_word((enum move_phase)to),
                         move_phase_word((enum move_phase)from));
    assert_false(move_phase_may_follow((enum move_phase)PHASES, PHASE_UNDOING));
    assert_false(move_phase_may_follow((enum move_phase) - 1, PHASE_UNDOING));
}

static void ends(void **state UNUSED)
{
    for (int phase = 0; phase < PHASES; phase++) {
        bool end = phase == PHASE_REDEFINED || phase == PHASE_VERIFIED || phase == PHASE_RETIRED ||
                   phase == PHASE_UNDONE;
        assert_int_equal(move_phase_is_final((enum move_phase)phase), end);
    }
}

/* From every phase that is not an end there is a way to an end. */
static void no_dead_ends(void **state UNUSED)
{
    bool reaches[PHASES] = {false};
    for (int phase = 0; phase < PHASES; phase++)
        reaches[phase] = move_phase_is_final((enum move_phase)phase);
    for (int round = 0; round < PHASES; round++)
        for (int from = 0; from < PHASES; from++)
            for (int to = 0; to < PHASES; to++)
                reaches[from] |= reaches[to] &&
                                 move_phase_may_follow((enum move_phase)from, (enum move_phase)to);
    for (int phase = 0; phase < PHASES; phase++)
        assert_true(reaches[phase]);
}

static enum move_phase phase_of(struct journal *journal, int64_t id, enum move_phase *begun)
{
    CLEANUP(move_record_clear) struct move_record record = {0};
    OK(journal_read(journal, id, &record, why));
    *begun = record.begun;
    return record.phase;
}

/* The way from `planned` to each phase that the table knows. */
static void go_to(struct journal *journal, int64_t id, enum move_phase phase)
{
    if (phase == PHASE_UNDONE)
        OK(journal_reach(journal, id, PHASE_UNDOING, NULL, why));
    if (phase < PHASE_UNDOING)
        for (int next = PHASE_LOCKED; next < (int)phase; next++)
            OK(journal_reach(journal, id, (enum move_phase)next, NULL, why));
    if (phase != PHASE_PLANNED)
        OK(journal_reach(journal, id, phase, NULL, why));
}

static void try_step(struct journal *journal, enum move_kind kind, int from, int to)
{
    int64_t id = new_move_of_kind(journal, kind, UUID_1);
    go_to(journal, id, (enum move_phase)from);
    AUTO_ERROR struct error error = {0};
    bool may = is_allowed(kind, from, to);
    enum move_phase begun = PHASE_PLANNED;
    int result = journal_begin(journal, id, (enum move_phase)to, &error);
    assert_int_equal(result, may ? 0 : -1);
    assert_int_equal(phase_of(journal, id, &begun), from);
    assert_int_equal(begun, may ? to : from);
    result = journal_reach(journal, id, (enum move_phase)to, NULL, &error);
    assert_int_equal(result, may ? 0 : -1);
    assert_int_equal(phase_of(journal, id, &begun), may ? to : from);
    if (!may)
        assert_int_equal(error.code, ERROR_OPERATOR);
}

static void the_journal_keeps_to_the_table(void **state)
{
    const struct desk *desk = *state;
    for (int kind = MOVE_LIVE; kind <= MOVE_UNDO; kind++)
        for (int from = 0; from < PHASES; from++)
            for (int to = 0; to < PHASES; to++)
                try_step(desk->journal, (enum move_kind)kind, from, to);
}

/* As libvirt copies: locked, the target made, waiting; then either end. */
static void the_way_of_an_incoming_migration(void **state)
{
    const struct desk *desk = *state;
    static const enum move_phase ways[][7] = {
        {PHASE_LOCKED, PHASE_TARGET_CREATED, PHASE_COPYING, PHASE_PIVOTED, PHASE_REDEFINED,
         PHASE_VERIFIED},
        {PHASE_LOCKED, PHASE_TARGET_CREATED, PHASE_COPYING, PHASE_UNDOING, PHASE_UNDONE},
        {PHASE_LOCKED, PHASE_UNDOING, PHASE_UNDONE},
        {PHASE_LOCKED, PHASE_TARGET_CREATED, PHASE_COPYING, PHASE_NEEDS_OPERATOR, PHASE_PIVOTED,
         PHASE_REDEFINED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        int64_t id = new_move_of_kind(desk->journal, MOVE_INCOMING, UUID_1);
        for (size_t step = 0; ways[i][step]; step++) {
            OK(journal_begin(desk->journal, id, ways[i][step], why));
            OK(journal_reach(desk->journal, id, ways[i][step], NULL, why));
        }
    }
}

static void a_forbidden_step_leaves_no_trace(void **state)
{
    const struct desk *desk = *state;
    int64_t id = new_move(desk->journal, UUID_1);
    AUTO_ERROR struct error error = {0};
    assert_int_equal(journal_begin(desk->journal, id, PHASE_COPYING, &error), -1);
    assert_int_equal(journal_reach(desk->journal, id, PHASE_COPYING, "x", &error), -1);
    assert_non_null(strstr(error.message, "'copying' may not follow 'planned'"));
    CLEANUP(step_records_clear) struct step_records story = {0};
    OK(journal_story(desk->journal, id, &story, why));
    assert_int_equal(story.count, 1);
    /* The transaction is over: the next one can begin. */
    OK(journal_reach(desk->journal, id, PHASE_LOCKED, NULL, why));
}

static void a_move_that_is_not_there(void **state)
{
    const struct desk *desk = *state;
    AUTO_ERROR struct error error = {0};
    assert_int_equal(journal_begin(desk->journal, 77, PHASE_LOCKED, &error), -1);
    assert_int_equal(journal_reach(desk->journal, 77, PHASE_LOCKED, NULL, &error), -1);
    struct move_record record = {0};
    assert_int_equal(journal_read(desk->journal, 77, &record, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "77"));
    assert_query(desk->folder, "SELECT count(*) FROM steps", "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table),
        cmocka_unit_test(ends),
        cmocka_unit_test(no_dead_ends),
        cmocka_unit_test_setup_teardown(the_journal_keeps_to_the_table, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(the_way_of_an_incoming_migration, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(a_forbidden_step_leaves_no_trace, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(a_move_that_is_not_there, desk_open, desk_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
