/* Requests: never lost, never twice, and what is still of interest. */
#include "journal_fixture.h"

#include <sys/wait.h>
#include <time.h>

static int64_t add(struct journal *journal, const char *file, const char *uuid, const char *tier,
                   const char *targets)
{
    const struct request_record record = {
        .file = (char *)file,
        .uuid = (char *)uuid,
        .domain = (char *)"db-1",
        .reason = (char *)"user",
        .tier = (char *)tier,
        .targets = (char *)targets,
    };
    int64_t id = 0;
    OK(journal_request_add(journal, &record, &id, why));
    assert_true(id > 0);
    return id;
}

static struct request_record read_one(struct journal *journal, int64_t id)
{
    struct request_records records = {0};
    struct request_record found = {0};
    OK(journal_requests(journal, REQUESTS_ALL, NULL, &records, why));
    for (size_t i = 0; i < records.count; i++)
        if (records.items[i].id == id) {
            found = records.items[i];
            records.items[i] = (struct request_record){0};
        }
    request_records_clear(&records);
    assert_int_equal(found.id, id);
    return found;
}

static void set_state(struct journal *journal, int64_t id, enum request_state state)
{
    CLEANUP(request_record_clear) struct request_record record = read_one(journal, id);
    record.state = state;
    OK(journal_request_update(journal, &record, why));
}

static void assert_requests(struct journal *journal, enum request_selection selection,
                            const char *uuid, const char *expected)
{
    CLEANUP(request_records_clear) struct request_records records = {0};
    OK(journal_requests(journal, selection, uuid, &records, why));
    AUTO_BUFFER struct buffer ids = {0};
    for (size_t i = 0; i < records.count; i++)
        buffer_format(&ids, "%s%lld", i ? " " : "", (long long)records.items[i].id);
    assert_string_equal(ids.text ? ids.text : "", expected);
}

/* ---- adding ---- */

static void a_new_request(void **state)
{
    struct desk *desk = *state;
    const struct request_record record = {
        .id = 99,
        .file = (char *)"1.json",
        .uuid = (char *)UUID_1,
        .domain = (char *)"db-1",
        .reason = (char *)"tier",
        .tier = (char *)"gold",
        .targets = (char *)"vda,vdb",
        .bandwidth = 1ull << 50,
        .created = 1700000000,
        .state = REQUEST_DONE, /* this, and what follows, is not for the caller to say */
        .attempts = 7,
        .not_before = 8,
        .pid = 9,
        .move = 10,
        .message = (char *)"m",
        .hint = (char *)"h",
    };
    int64_t id = 0, now = (int64_t)time(NULL);
    OK(journal_request_add(desk->journal, &record, &id, why));
    desk_reopen(desk);
    CLEANUP(request_record_clear) struct request_record found = read_one(desk->journal, id);
    assert_string_equal(found.file, "1.json");
    assert_string_equal(found.uuid, UUID_1);
    assert_string_equal(found.domain, "db-1");
    assert_string_equal(found.reason, "tier");
    assert_string_equal(found.tier, "gold");
    assert_string_equal(found.targets, "vda,vdb");
    assert_int_equal(found.bandwidth, 1ull << 50);
    assert_int_equal(found.created, 1700000000);
    assert_true(found.updated >= now && found.updated <= (int64_t)time(NULL));
    assert_int_equal(found.state, REQUEST_WAITING);
    assert_int_equal(found.attempts, 0);
    assert_int_equal(found.not_before, 0);
    assert_int_equal(found.pid, 0);
    assert_int_equal(found.move, 0);
    assert_null(found.message);
    assert_null(found.hint);
}

static void what_is_not_known_stays_so(void **state)
{
    const struct desk *desk = *state;
    int64_t now = (int64_t)time(NULL);
    const struct request_record record = {.uuid = (char *)UUID_1, .reason = (char *)"start"};
    int64_t id = 0;
    OK(journal_request_add(desk->journal, &record, &id, why));
    CLEANUP(request_record_clear) struct request_record found = read_one(desk->journal, id);
    assert_null(found.file);
    assert_null(found.domain);
    assert_null(found.tier);
    assert_null(found.targets);
    assert_true(found.created >= now);
}

static void the_same_wish_is_one_while_it_waits(void **state)
{
    const struct desk *desk = *state;
    int64_t id = add(desk->journal, "1.json", UUID_1, NULL, NULL);
    assert_int_equal(add(desk->journal, "2.json", UUID_1, NULL, NULL), id);
    assert_int_equal(add(desk->journal, NULL, UUID_1, NULL, NULL), id);
    /* Any difference makes it another one. */
    static const char *const others[][3] = {
        {UUID_2, NULL, NULL},  {UUID_1, "gold", NULL}, {UUID_1, "silver", NULL},
        {UUID_1, NULL, "vda"}, {UUID_1, NULL, "vdb"},  {UUID_1, "gold", "vda"},
        {UUID_1, "", NULL},    {UUID_1, NULL, ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_int_equal(add(desk->journal, NULL, others[i][0], others[i][1], others[i][2]),
                         id + 1 + (int64_t)i);
    assert_requests(desk->journal, REQUESTS_ALL, NULL, "1 2 3 4 5 6 7 8 9");
}

static int64_t add_with(struct journal *journal, const char *file, const char *reason,
                        uint64_t bandwidth)
{
    const struct request_record record = {
        .file = (char *)file,
        .uuid = (char *)UUID_1,
        .reason = (char *)reason,
        .tier = (char *)"gold",
        .bandwidth = bandwidth,
    };
    int64_t id = 0;
    OK(journal_request_add(journal, &record, &id, why));
    return id;
}

static void put_off(struct journal *journal, int64_t id)
{
    CLEANUP(request_record_clear) struct request_record record = read_one(journal, id);
    record.attempts = 3;
    record.not_before = 1800000000;
    record.message = text_dup("attempt 3 of 6 failed: pool is full");
    record.hint = text_dup("make room");
    OK(journal_request_update(journal, &record, why));
}

#define ASSERT_WISH(expected)                                                                      \
    assert_query(desk->folder,                                                                     \
                 "SELECT reason, bandwidth, attempts, not_before, message IS NULL, hint IS NULL"   \
                 " FROM requests",                                                                 \
                 expected)

/* Whoever asks by name wants it now, as he says. */
static void a_user_takes_over_what_waits(void **state)
{
    const struct desk *desk = *state;
    int64_t id = add_with(desk->journal, NULL, "tier", 0);
    put_off(desk->journal, id);
    assert_int_equal(add_with(desk->journal, NULL, "tier", 0), id);
    ASSERT_WISH("tier 0 3 1800000000 0 0");
    assert_int_equal(add_with(desk->journal, "1.json", "user", 10), id);
    ASSERT_WISH("user 10 0 0 1 1");
    /* The same file is no new wish, and the agent's own say less than his. */
    put_off(desk->journal, id);
    assert_int_equal(add_with(desk->journal, "1.json", "user", 10), id);
    assert_int_equal(add_with(desk->journal, NULL, "start", 0), id);
    ASSERT_WISH("user 10 3 1800000000 0 0");
    assert_int_equal(add_with(desk->journal, "2.json", "user", 0), id);
    ASSERT_WISH("user 0 0 0 1 1");
}

/* Whoever asks once more after it began, or ended, wants it once more. */
static void a_wish_that_does_not_wait_is_another(void **state)
{
    const struct desk *desk = *state;
    static const enum request_state states[] = {REQUEST_RUNNING, REQUEST_DONE, REQUEST_FAILED,
                                                REQUEST_CANCELLED};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        int64_t id = add(desk->journal, NULL, UUID_1, NULL, NULL);
        assert_int_equal(id, i + 1);
        set_state(desk->journal, id, states[i]);
    }
}

/* The agent died after it had taken the file, and before it had removed it. */
static void the_same_file_is_one_for_ever(void **state)
{
    struct desk *desk = *state;
    int64_t id = add(desk->journal, "1.json", UUID_1, NULL, NULL);
    assert_int_equal(add(desk->journal, "2.json", UUID_1, NULL, NULL), id);
    set_state(desk->journal, id, REQUEST_DONE);
    desk_reopen(desk);
    assert_int_equal(add(desk->journal, "1.json", UUID_1, NULL, NULL), id);
    assert_int_equal(add(desk->journal, "2.json", UUID_1, NULL, NULL), id);
    assert_int_equal(add(desk->journal, "1.json", UUID_2, "other", "vda"), id);
    assert_true(add(desk->journal, "3.json", UUID_1, NULL, NULL) > id);
    assert_query(desk->folder, "SELECT state FROM requests ORDER BY id", "2 0");
}

static void any_text_comes_back(void **state)
{
    const struct desk *desk = *state;
    static const char hostile[] = "'); DROP TABLE requests; -- \xc3\xa4 \xff\n\t\"<&>%s%n";
    int64_t id = add(desk->journal, hostile, hostile, hostile, hostile);
    CLEANUP(request_record_clear) struct request_record record = read_one(desk->journal, id);
    assert_string_equal(record.file, hostile);
    assert_string_equal(record.tier, hostile);
    assert_string_equal(record.targets, hostile);
    assert_requests(desk->journal, REQUESTS_PENDING, hostile, "1");
}

#define ADDERS 4
#define FILES 25

static void add_many(const char *folder)
{
    AUTO_ERROR struct error error = {0};
    struct journal *journal = NULL;
    if (journal_open(folder, JOURNAL_WRITE, &journal, &error) < 0)
        _exit(1);
    for (int i = 0; i < FILES; i++) {
        AUTO_FREE char *name = text_format("%d.json", i);
        AUTO_FREE char *tier = text_format("tier %d", i);
        const struct request_record record = {
            .file = name, .uuid = (char *)UUID_1, .reason = (char *)"user", .tier = tier};
        int64_t id = 0;
        if (journal_request_add(journal, &record, &id, &error) < 0)
            _exit(2);
        if (i % 2) {
            const struct request_record done = {.id = id, .state = REQUEST_DONE};
            if (journal_request_update(journal, &done, &error) < 0)
                _exit(3);
        }
    }
    journal_close(journal);
    _exit(0);
}

static void several_that_add_the_same_files(void **state)
{
    struct desk *desk = *state;
    journal_closep(&desk->journal);
    pid_t children[ADDERS];
    for (int i = 0; i < ADDERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            add_many(desk->folder);
    }
    for (int i = 0; i < ADDERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_query(desk->folder, "SELECT count(*), count(DISTINCT file) FROM requests", "25 25");
    OK(journal_open(desk->folder, JOURNAL_WRITE, &desk->journal, why));
}

/* ---- changing ---- */

static void an_update(void **state)
{
    const struct desk *desk = *state;
    int64_t other = add(desk->journal, NULL, UUID_2, NULL, NULL);
    int64_t id = add(desk->journal, "1.json", UUID_1, "gold", "vda");
    const struct request_record changed = {
        .id = id,
        .uuid = (char *)"ignored",
        .state = REQUEST_RUNNING,
        .attempts = 3,
        .not_before = 1800000000,
        .pid = 4711,
        .move = 12,
        .message = (char *)"it waits",
        .hint = (char *)"wait, too",
    };
    OK(journal_request_update(desk->journal, &changed, why));
    CLEANUP(request_record_clear) struct request_record record = read_one(desk->journal, id);
    assert_string_equal(record.uuid, UUID_1);
    assert_string_equal(record.tier, "gold");
    assert_string_equal(record.file, "1.json");
    assert_int_equal(record.state, REQUEST_RUNNING);
    assert_int_equal(record.attempts, 3);
    assert_int_equal(record.not_before, 1800000000);
    assert_int_equal(record.pid, 4711);
    assert_int_equal(record.move, 12);
    assert_string_equal(record.message, "it waits");
    assert_string_equal(record.hint, "wait, too");
    CLEANUP(request_record_clear) struct request_record untouched = read_one(desk->journal, other);
    assert_int_equal(untouched.state, REQUEST_WAITING);
    assert_null(untouched.message);
    const struct request_record cleared = {.id = id};
    OK(journal_request_update(desk->journal, &cleared, why));
    CLEANUP(request_record_clear) struct request_record again = read_one(desk->journal, id);
    assert_null(again.message);
    assert_null(again.hint);
    assert_int_equal(again.state, REQUEST_WAITING);
}

static void a_request_that_is_not_there(void **state)
{
    const struct desk *desk = *state;
    const struct request_record record = {.id = 77, .state = REQUEST_DONE};
    AUTO_ERROR struct error error = {0};
    assert_int_equal(journal_request_update(desk->journal, &record, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "77"));
}

static void cancelling(void **state)
{
    const struct desk *desk = *state;
    static const enum request_state states[] = {REQUEST_WAITING, REQUEST_RUNNING, REQUEST_DONE,
                                                REQUEST_FAILED, REQUEST_CANCELLED};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        AUTO_FREE char *tier = text_format("%zu", i);
        set_state(desk->journal, add(desk->journal, NULL, UUID_1, tier, NULL), states[i]);
    }
    add(desk->journal, NULL, UUID_2, NULL, NULL);
    size_t count = 99;
    OK(journal_requests_cancel(desk->journal, UUID_1, &count, why));
    assert_int_equal(count, 2);
    assert_query(desk->folder, "SELECT state FROM requests ORDER BY id", "4 1 2 4 4 0");
    OK(journal_requests_cancel(desk->journal, UUID_1, &count, why));
    assert_int_equal(count, 0);
    OK(journal_requests_cancel(desk->journal, "nobody", &count, why));
    assert_int_equal(count, 0);
}

/* The agent read it, the user cancelled it, the agent wants to begin. */
static void what_was_cancelled_does_not_begin(void **state)
{
    const struct desk *desk = *state;
    int64_t id = add(desk->journal, NULL, UUID_1, NULL, NULL);
    CLEANUP(request_record_clear) struct request_record record = read_one(desk->journal, id);
    size_t count = 0;
    OK(journal_requests_cancel(desk->journal, UUID_1, &count, why));
    AUTO_ERROR struct error error = {0};
    record.state = REQUEST_RUNNING;
    assert_int_equal(journal_request_update(desk->journal, &record, &error), -1);
    assert_int_equal(error.code, ERROR_CANCELLED);
    assert_query(desk->folder, "SELECT state FROM requests", "4");
    record.state = REQUEST_CANCELLED; /* with a reason */
    record.message = text_dup("the domain is not known here");
    OK(journal_request_update(desk->journal, &record, why));
    assert_query(desk->folder, "SELECT message FROM requests", "the domain is not known here");
}

/* ---- selections ---- */

static void selections(void **state)
{
    const struct desk *desk = *state;
    static const enum request_state states[] = {REQUEST_CANCELLED, REQUEST_DONE, REQUEST_FAILED,
                                                REQUEST_RUNNING, REQUEST_WAITING};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        AUTO_FREE char *tier = text_format("%zu", i);
        set_state(desk->journal, add(desk->journal, NULL, UUID_1, tier, NULL), states[i]);
    }
    set_state(desk->journal, add(desk->journal, NULL, UUID_2, NULL, NULL), REQUEST_FAILED);
    assert_requests(desk->journal, REQUESTS_ALL, NULL, "1 2 3 4 5 6");
    assert_requests(desk->journal, REQUESTS_OPEN, NULL, "4 5");
    assert_requests(desk->journal, REQUESTS_PENDING, NULL, "3 4 5 6");
    assert_requests(desk->journal, REQUESTS_ALL, UUID_1, "1 2 3 4 5");
    assert_requests(desk->journal, REQUESTS_OPEN, UUID_2, "");
    assert_requests(desk->journal, REQUESTS_PENDING, UUID_2, "6");
    assert_requests(desk->journal, REQUESTS_PENDING, "nobody", "");
}

static void superseded_by_a_later_request(void **state)
{
    const struct desk *desk = *state;
    set_state(desk->journal, add(desk->journal, NULL, UUID_1, NULL, NULL), REQUEST_DONE);
    set_state(desk->journal, add(desk->journal, NULL, UUID_1, NULL, NULL), REQUEST_FAILED);
    /* An earlier one that is done says nothing, nor does another domain's. */
    assert_requests(desk->journal, REQUESTS_PENDING, NULL, "2");
    set_state(desk->journal, add(desk->journal, NULL, UUID_2, NULL, NULL), REQUEST_DONE);
    assert_requests(desk->journal, REQUESTS_PENDING, NULL, "2");
    int64_t later = add(desk->journal, NULL, UUID_1, NULL, NULL);
    set_state(desk->journal, later, REQUEST_FAILED);
    assert_requests(desk->journal, REQUESTS_PENDING, NULL, "2 4");
    set_state(desk->journal, later, REQUEST_DONE);
    assert_requests(desk->journal, REQUESTS_PENDING, NULL, "");
}

static int64_t move_to(struct journal *journal, const char *uuid, enum move_phase phase)
{
    int64_t id = new_move(journal, uuid);
    if (phase >= PHASE_PIVOTED && phase <= PHASE_RETIRED)
        for (int next = PHASE_PIVOTED; next < (int)phase; next++)
            OK(journal_reach(journal, id, (enum move_phase)next, NULL, why));
    if (phase == PHASE_UNDONE)
        OK(journal_reach(journal, id, PHASE_UNDOING, NULL, why));
    OK(journal_reach(journal, id, phase, NULL, why));
    return id;
}

static void superseded_by_a_later_move(void **state)
{
    const struct desk *desk = *state;
    int64_t earlier = move_to(desk->journal, UUID_1, PHASE_VERIFIED);
    run_query(desk->folder, "UPDATE steps SET at=at-100000"); /* long ago */
    int64_t id = add(desk->journal, NULL, UUID_1, NULL, NULL);
    set_state(desk->journal, id, REQUEST_FAILED);
    assert_requests(desk->journal, REQUESTS_PENDING, NULL, "1");
    /* What happens to an earlier move later on is not a later move. */
    OK(journal_reach(desk->journal, earlier, PHASE_RETIRED, NULL, why));
    move_to(desk->journal, UUID_1, PHASE_UNDONE);
    move_to(desk->journal, UUID_1, PHASE_PIVOTED);
    move_to(desk->journal, UUID_1, PHASE_NEEDS_OPERATOR);
    move_to(desk->journal, UUID_2, PHASE_REDEFINED);
    assert_requests(desk->journal, REQUESTS_PENDING, NULL, "1");
    static const enum move_phase ends[] = {PHASE_REDEFINED, PHASE_VERIFIED, PHASE_RETIRED};
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        int64_t move = move_to(desk->journal, UUID_1, ends[i]);
        assert_requests(desk->journal, REQUESTS_PENDING, NULL, "");
        OK(journal_reach(desk->journal, move, PHASE_UNDOING, NULL, why));
        assert_requests(desk->journal, REQUESTS_PENDING, NULL, "1");
    }
}

/* The move that it led to got there, and the request failed for all that. */
static void not_superseded_by_its_own_move(void **state)
{
    const struct desk *desk = *state;
    int64_t id = add(desk->journal, NULL, UUID_1, NULL, NULL);
    const struct request_record failed = {
        .id = id,
        .state = REQUEST_FAILED,
        .move = move_to(desk->journal, UUID_1, PHASE_REDEFINED),
    };
    OK(journal_request_update(desk->journal, &failed, why));
    assert_requests(desk->journal, REQUESTS_PENDING, NULL, "1");
}

int main(void)
{
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        WITH_DESK(a_new_request),
        WITH_DESK(what_is_not_known_stays_so),
        WITH_DESK(the_same_wish_is_one_while_it_waits),
        WITH_DESK(a_user_takes_over_what_waits),
        WITH_DESK(a_wish_that_does_not_wait_is_another),
        WITH_DESK(the_same_file_is_one_for_ever),
        WITH_DESK(any_text_comes_back),
        WITH_DESK(several_that_add_the_same_files),
        WITH_DESK(an_update),
        WITH_DESK(a_request_that_is_not_there),
        WITH_DESK(cancelling),
        WITH_DESK(what_was_cancelled_does_not_begin),
        WITH_DESK(selections),
        WITH_DESK(superseded_by_a_later_request),
        WITH_DESK(superseded_by_a_later_move),
        WITH_DESK(not_superseded_by_its_own_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
