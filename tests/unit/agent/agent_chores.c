/* Sources whose grace is over are given up by the agent: by a child, one at a time. */
#include "agent/stage.h"

#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_open, stage_close)

/* A move that has ended well, and wants its sources to be given up, or not. */
static int64_t ended_move(struct stage *stage, const struct fake_domain *domain, const char *plan)
{
    CLEANUP(journal_closep) struct journal *journal = NULL;
    const struct move_record record = {.uuid = (char *)domain->uuid,
                                       .domain = (char *)domain->name,
                                       .uri = (char *)"fake:///",
                                       .plan = (char *)plan,
                                       .live = (char *)"<domain/>"};
    int64_t id = 0;
    OK(journal_open(stage->state, JOURNAL_WRITE, &journal, why));
    OK(journal_create(journal, &record, &id, why));
    journal_closep(&journal);
    run_query(stage->state, "UPDATE moves SET phase=9, begun=9");
    return id;
}

static struct fake_domain *guest(struct stage *stage, unsigned number, const char *name)
{
    struct fake_domain *domain = fake_define(stage->host, number, name);
    fake_start(stage->host, domain);
    return domain;
}

static void when_it_is_due(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = guest(stage, 1, "db");
    ended_move(stage, db, "{}");
    int64_t id = ended_move(stage, db, "{\"retire\":1}");
    write_script(stage, "retire", "lock;exit 0");
    agent_start(stage);
    expect_said(stage, "its sources are given up");
    AUTO_FREE char *line = call_line(stage, "begin retire", 0);
    AUTO_FREE char *arguments =
        text_format("--state %s retire -- %lld", stage->state, (long long)id);
    assert_non_null(strstr(line, arguments));
    assert_int_equal(count_calls(stage, "begin"), 1);
    assert_int_equal(agent_stop(stage), 0);
}

static void one_at_a_time(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = guest(stage, 1, "db"), *web = guest(stage, 2, "web");
    ended_move(stage, db, "{\"retire\":1}");
    ended_move(stage, web, "{\"retire\":1}");
    write_script(stage, "retire", "wait go;exit 0");
    agent_start(stage);
    expect_calls(stage, "begin retire", 1);
    for (unsigned i = 0; i < 5; i++) {
        fake_event(stage->host, web, false);
        usleep(120000);
    }
    assert_int_equal(count_calls(stage, "begin retire"), 1);
    /* Another agent leaves the first one's child alone. */
    agent_kill(stage);
    agent_start(stage);
    usleep(500000);
    assert_int_equal(count_calls(stage, "begin retire"), 1);
    write_file(stage, "go", "");
    WAIT_FOR(count_calls(stage, "end retire") >= 1);
    fake_event(stage->host, web, false);
    WAIT_FOR(count_calls(stage, "begin retire") >= 2);
    assert_int_equal(agent_stop(stage), 0);
}

static void put_off_when_it_fails(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = guest(stage, 1, "db");
    ended_move(stage, db, "{\"retire\":1}");
    write_script(stage, "retire", "say virt-pivot: error: somebody has it open;exit 1");
    agent_start(stage);
    expect_said(stage, "its sources are not given up yet: somebody has it open");
    for (unsigned i = 0; i < 10; i++) {
        fake_event(stage->host, db, false);
        usleep(120000);
    }
    assert_int_equal(count_calls(stage, "begin retire"), 1);
    assert_int_equal(agent_stop(stage), 0);
}

static void not_while_somebody_is_at_the_domain(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = guest(stage, 1, "db");
    AUTO_ERROR struct error error = {0};
    CLEANUP(journal_closep) struct journal *journal = NULL;
    CLEANUP(journal_unlock) int lock = -1;
    ended_move(stage, db, "{\"retire\":1}");
    agent_start(stage);
    expect_calls(stage, "begin retire", 1); /* nothing is in its way */
    assert_int_equal(agent_stop(stage), 0);
    ended_move(stage, db, "{\"retire\":2}");
    assert_int_equal(journal_open(stage->state, JOURNAL_WRITE, &journal, &error), 0);
    assert_int_equal(journal_lock(journal, db->uuid, &lock, &error), 0);
    unsigned before = count_calls(stage, "begin retire");
    agent_start(stage);
    usleep(500000);
    assert_int_equal(count_calls(stage, "begin retire"), before);
    assert_int_equal(agent_stop(stage), 0);
}

/* ---- comparing what was put off ---- */

static int64_t unverified_move(struct stage *stage, const struct fake_domain *domain)
{
    int64_t id = ended_move(stage, domain, "{}");
    run_query(stage->state, "INSERT INTO disks (move, target, token, fate, snapshot)"
                            " SELECT max(id), 'vda', 'token', 2, '.virt-pivot.verify.token'"
                            " FROM moves");
    return id;
}

static void compared_when_that_was_put_off(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = guest(stage, 1, "db");
    int64_t id = unverified_move(stage, db);
    write_script(stage, "verify", "lock;exit 0");
    agent_start(stage);
    expect_said(stage, "it is equal to its sources");
    AUTO_FREE char *line = call_line(stage, "begin verify", 0);
    AUTO_FREE char *arguments =
        text_format("--state %s verify -- %lld", stage->state, (long long)id);
    assert_non_null(strstr(line, arguments));
    assert_int_equal(agent_stop(stage), 0);
}

static void what_could_be_moved_now_comes_first(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = guest(stage, 1, "db");
    unverified_move(stage, db);
    write_script(stage, "verify", "lock;wait go;exit 0");
    agent_start(stage);
    expect_calls(stage, "begin verify", 1);
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "done");
    assert_int_equal(count_calls(stage, "end verify"), 0);
    assert_int_equal(agent_stop(stage), 0);
}

/* It may wait for days. */
static void what_waits_for_its_guest_does_not(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db");
    unverified_move(stage, db);
    write_script(stage, "verify", "lock;wait go;exit 0");
    ask_for(stage, db->uuid, "tier", "gold", time(NULL));
    agent_start(stage);
    expect_requests(stage, db, "waiting: waits for its start");
    expect_calls(stage, "begin verify", 1);
    fake_event(stage->host, db, false);
    usleep(500000);
    write_file(stage, "go", "");
    expect_said(stage, "it is equal to its sources");
    assert_int_equal(agent_stop(stage), 0);
}

static void a_difference_is_an_error(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = guest(stage, 1, "db");
    unverified_move(stage, db);
    write_script(stage, "verify", "say virt-pivot: error: disk vda differs from its source;exit 4");
    agent_start(stage);
    expect_said(stage, "disk vda differs from its source");
    for (unsigned i = 0; i < 10; i++) {
        fake_event(stage->host, db, false);
        usleep(120000);
    }
    assert_int_equal(count_calls(stage, "begin verify"), 1);
    assert_int_equal(agent_stop(stage), 0);
}

static void not_what_a_user_has_cancelled(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = guest(stage, 1, "db");
    unverified_move(stage, db);
    run_query(stage->state, "UPDATE controls SET cancel=1");
    agent_start(stage);
    usleep(1000000);
    assert_int_equal(count_calls(stage, "begin verify"), 0);
    run_query(stage->state, "UPDATE controls SET cancel=0");
    fake_event(stage->host, db, false);
    expect_calls(stage, "begin verify", 1);
    assert_int_equal(agent_stop(stage), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(when_it_is_due),
        STAGED(one_at_a_time),
        STAGED(put_off_when_it_fails),
        STAGED(not_while_somebody_is_at_the_domain),
        STAGED(compared_when_that_was_put_off),
        STAGED(what_could_be_moved_now_comes_first),
        STAGED(what_waits_for_its_guest_does_not),
        STAGED(a_difference_is_an_error),
        STAGED(not_what_a_user_has_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
