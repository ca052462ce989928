/* Guests that migrate to this host. */
#include "agent/stage.h"

static void until_it_is_settled(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    db->active = db->arriving = true;
    int64_t id = make_incoming(stage, db);
    ask_for(stage, db->uuid, "migrate", NULL, 0);
    agent_start(stage);
    WAIT_FOR(stage->host->settled == 1);
    assert_true(stage->host->lock_was_held);
    expect_requests(stage, db, "waiting: waits for the end of its migration to this host");
    /* An event brings it to mind; without one it is looked at every five seconds. */
    fake_event(stage->host, db, false);
    WAIT_FOR(stage->host->settled == 2);
    WAIT_FOR(stage->host->settled == 3);
    assert_int_equal(count_said(stage, "domain db1: move 1: migrates to this host"), 1);
    fake_host_lock(stage->host);
    db->arriving = false;
    stage->host->outcome = OUTCOME_FINISHED;
    fake_host_unlock(stage->host);
    fake_event(stage->host, db, true);
    expect_said(stage, "domain db1: move 1: it is here, and its definition names its new disks");
    expect_requests(stage, db, "done");
    AUTO_FREE char *sql = text_format("SELECT phase FROM moves WHERE id=%d", (int)id);
    AUTO_FREE char *verified = text_format("%d", (int)PHASE_VERIFIED);
    assert_query(stage->state, sql, verified);
    assert_int_equal(count_calls(stage, "begin recover"), 0);
    assert_int_equal(agent_stop(stage), 0);
}

/* The disks are not yet where the definition says: no move until they are. */
static void no_move_before_it_is_settled(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    make_incoming(stage, db);
    stage->host->failure = ERROR_UNREACHABLE;
    agent_start(stage);
    ask_for(stage, db->uuid, "migrate", NULL, 0);
    expect_requests(stage, db, "waiting: waits until its migration to this host is settled");
    assert_int_equal(count_calls(stage, "begin"), 0);
    /* The failure is said once, and not tried again at each event. */
    for (unsigned i = 0; i < 10; i++) {
        fake_event(stage->host, db, false);
        usleep(120000);
    }
    assert_int_equal(stage->host->settled, 1);
    assert_int_equal(count_said(stage, "it cannot be settled"), 1);
    assert_int_equal(agent_stop(stage), 0);
}

static void one_that_another_process_has_is_left_to_it(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    CLEANUP(journal_unlock) int lock = -1;
    agent_start(stage); /* before, or it would inherit the lock */
    expect_said(stage, "is in force");
    {
        CLEANUP(journal_closep) struct journal *journal = NULL;
        OK(journal_open(stage->state, JOURNAL_WRITE, &journal, why));
        OK(journal_lock(journal, db->uuid, &lock, why));
    }
    make_incoming(stage, db);
    fake_event(stage->host, db, false);
    usleep(500000);
    assert_int_equal(stage->host->settled, 0);
    journal_unlock(&lock);
    fake_event(stage->host, db, false);
    WAIT_FOR(stage->host->settled == 1);
    assert_int_equal(agent_stop(stage), 0);
}

/* ---- whether it is known never to have run ---- */

static enum fake_never_ran ask_whether_it_ran(struct stage *stage, struct fake_domain *domain)
{
    stage->host->never_ran = NOT_ASKED;
    fake_event(stage->host, domain, false);
    WAIT_FOR(stage->host->never_ran != NOT_ASKED);
    return stage->host->never_ran;
}

/* The agent watches, and then, in a later second, a migration begins. */
static struct fake_domain *watched_migration(struct stage *stage)
{
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    agent_start(stage);
    expect_said(stage, "is in force");
    usleep(2100000);
    make_incoming(stage, db);
    stage->host->asks_never_ran = true;
    return db;
}

static void who_watched_all_the_time_knows(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = watched_migration(stage);
    assert_int_equal(ask_whether_it_ran(stage, db), NEVER_RAN);
    struct fake_domain *other = fake_define(stage->host, 2, "other");
    fake_event(stage->host, other, true);
    assert_int_equal(ask_whether_it_ran(stage, db), NEVER_RAN);
    /* It ran for a moment, and is gone again: the event alone tells. */
    fake_event(stage->host, db, true);
    assert_int_equal(ask_whether_it_ran(stage, db), MAY_HAVE_RUN);
    assert_int_equal(ask_whether_it_ran(stage, db), MAY_HAVE_RUN);
    assert_int_equal(agent_stop(stage), 0);
}

/* The daemon's answer that the guest is not there may come before the event that it ran. */
static void an_event_that_is_under_way_counts(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = watched_migration(stage);
    stage->host->ran_just_now = db - stage->host->domains;
    assert_int_equal(ask_whether_it_ran(stage, db), MAY_HAVE_RUN);
    assert_int_equal(agent_stop(stage), 0);
}

/* Started here from some definition, it need not be on the images that were made for it. */
static void a_start_is_not_an_arrival(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = watched_migration(stage);
    usleep(1100000); /* what happened in a second is not told apart */
    fake_start(stage->host, db);
    fake_stop(stage->host, db);
    assert_int_equal(ask_whether_it_ran(stage, db), MAY_HAVE_RUN);
    fake_arrive(stage->host, db);
    assert_int_equal(ask_whether_it_ran(stage, db), HAS_ARRIVED);
    fake_stop(stage->host, db);
    assert_int_equal(ask_whether_it_ran(stage, db), HAS_ARRIVED);
    assert_int_equal(agent_stop(stage), 0);
}

static void who_came_later_does_not(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = watched_migration(stage);
    agent_kill(stage);
    agent_start(stage);
    assert_int_equal(ask_whether_it_ran(stage, db), MAY_HAVE_RUN);
    assert_int_equal(agent_stop(stage), 0);
}

static void nor_who_was_cut_off_in_between(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = watched_migration(stage);
    assert_int_equal(ask_whether_it_ran(stage, db), NEVER_RAN);
    fake_daemon_dies(stage->host);
    fake_daemon_is_back(stage->host);
    assert_int_equal(ask_whether_it_ran(stage, db), MAY_HAVE_RUN);
    assert_int_equal(agent_stop(stage), 0);
}

/* What ran before the migration began says nothing of it. */
static void an_earlier_run_does_not_count(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    agent_start(stage);
    expect_said(stage, "is in force");
    usleep(1100000);
    fake_event(stage->host, db, true);
    usleep(1300000);
    make_incoming(stage, db);
    stage->host->asks_never_ran = true;
    assert_int_equal(ask_whether_it_ran(stage, db), NEVER_RAN);
    assert_int_equal(agent_stop(stage), 0);
}

int main(void)
{
#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_open, stage_close)
    const struct CMUnitTest tests[] = {
        STAGED(until_it_is_settled),
        STAGED(no_move_before_it_is_settled),
        STAGED(one_that_another_process_has_is_left_to_it),
        STAGED(who_watched_all_the_time_knows),
        STAGED(an_event_that_is_under_way_counts),
        STAGED(a_start_is_not_an_arrival),
        STAGED(who_came_later_does_not),
        STAGED(nor_who_was_cut_off_in_between),
        STAGED(an_earlier_run_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
