/* Agents, children and libvirt's daemon end at any moment; nothing is lost, and nothing is done
 * twice. */
#include "agent/stage.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static struct fake_domain *running_guest(struct stage *stage)
{
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    return db;
}

static int child_pid(struct stage *stage, unsigned n)
{
    AUTO_FREE char *line = call_line(stage, "begin move", n);
    int pid = 0;
    assert_non_null(line);
    assert_int_equal(sscanf(line, "begin %*s %*s %d", &pid), 1);
    return pid;
}

static void kill_agent_in_mid_move(struct stage *stage, const struct fake_domain *db)
{
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_calls(stage, "begin move", 1);
    expect_requests(stage, db, "running");
    agent_kill(stage);
    assert_int_equal(kill(child_pid(stage, 0), 0), 0); /* it goes on */
    agent_start(stage);
}

static void the_next_agent_learns_that_it_went_well(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = running_guest(stage);
    write_script(stage, "move", "lock;move;wait go;verified;exit 0");
    kill_agent_in_mid_move(stage, db);
    usleep(500000);
    AUTO_FREE char *meanwhile = requests_of(stage, db);
    assert_string_equal(meanwhile, "running");
    write_file(stage, "go", "");
    expect_calls(stage, "end move", 1);
    fake_event(stage->host, db, false);
    expect_requests(stage, db, "done");
    assert_int_equal(count_calls(stage, "begin"), 1);
    assert_int_equal(agent_stop(stage), 0);
}

static void the_next_agent_learns_that_it_failed(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = running_guest(stage);
    write_script(stage, "move", "lock;move;wait go;undone;exit 1\nexit 0");
    kill_agent_in_mid_move(stage, db);
    usleep(300000);
    assert_int_equal(count_calls(stage, "begin"), 1);
    write_file(stage, "go", "");
    expect_calls(stage, "end move", 1);
    fake_event(stage->host, db, false);
    expect_requests(stage, db, "done");
    assert_int_equal(count_calls(stage, "begin move"), 2);
    assert_int_equal(count_said(stage, "attempt 1 of 3 failed"), 1);
    assert_int_equal(agent_stop(stage), 0);
}

/* Before it holds the domain's lock a child is known by the one that it inherited. */
static void a_child_that_has_not_locked_yet_is_not_started_twice(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = running_guest(stage);
    write_script(stage, "move", "wait go;lock;move;verified;exit 0");
    kill_agent_in_mid_move(stage, db);
    usleep(500000);
    assert_int_equal(count_calls(stage, "begin"), 1);
    write_file(stage, "go", "");
    expect_calls(stage, "end move", 1);
    fake_event(stage->host, db, false);
    expect_requests(stage, db, "done");
    assert_int_equal(count_calls(stage, "begin"), 1);
    assert_int_equal(agent_stop(stage), 0);
}

/* Killed between the journal's entry and the start of the process. */
static void an_attempt_that_never_began_is_made_again(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = running_guest(stage);
    {
        CLEANUP(journal_closep) struct journal *journal = NULL;
        OK(journal_open(stage->state, JOURNAL_WRITE, &journal, why));
        struct request_record record = {.uuid = db->uuid, .reason = (char *)"user"};
        OK(journal_request_add(journal, &record, &record.id, why));
        record.state = REQUEST_RUNNING;
        record.attempts = 1;
        OK(journal_request_update(journal, &record, why));
    }
    agent_start(stage);
    expect_requests(stage, db, "done");
    assert_int_equal(count_calls(stage, "begin"), 1);
    assert_query(stage->state, "SELECT attempts FROM requests", "2");
    assert_int_equal(agent_stop(stage), 0);
}

static void the_journal_of_both_killed_is_recovered(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = running_guest(stage);
    write_script(stage, "move", "lock;move;wait never\nexit 0");
    write_script(stage, "recover", "lock;exit 0");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_calls(stage, "begin move", 1);
    usleep(200000);
    int pid = child_pid(stage, 0);
    agent_kill(stage);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    agent_start(stage);
    expect_calls(stage, "begin recover", 1);
    AUTO_FREE char *line = call_line(stage, "begin recover", 0);
    AUTO_FREE char *arguments = text_format("--state %s recover -- %s", stage->state, db->uuid);
    assert_non_null(strstr(line, arguments));
    expect_requests(stage, db, "done");
    assert_int_equal(count_calls(stage, "begin move"), 2);
    assert_int_equal(agent_stop(stage), 0);
}

static void a_killed_child_is_an_attempt(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = running_guest(stage);
    write_script(stage, "move", "lock;move;killed\nexit 0");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "done");
    assert_int_equal(count_said(stage, "attempt 1 of 3 failed: its process was ended by signal 9"),
                     1);
    assert_int_equal(count_calls(stage, "begin recover"), 1);
    assert_int_equal(agent_stop(stage), 0);
}

/* A recovery that fails is not repeated at each event. */
static void a_failing_recovery_is_put_off(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = running_guest(stage);
    write_script(stage, "recover", "say virt-pivot: error: cluster is away;exit 1");
    {
        CLEANUP(journal_closep) struct journal *journal = NULL;
        OK(journal_open(stage->state, JOURNAL_WRITE, &journal, why));
        new_move(journal, db->uuid);
        run_query(stage->state, "UPDATE moves SET uri='fake:///'");
    }
    agent_start(stage);
    expect_said(stage, "cluster is away");
    for (unsigned i = 0; i < 10; i++) {
        fake_event(stage->host, db, false);
        usleep(120000);
    }
    assert_int_equal(count_calls(stage, "begin recover"), 1);
    assert_int_equal(count_said(stage, "cluster is away"), 1);
    assert_int_equal(agent_stop(stage), 0);
}

/* Another libvirt's move is that one's. */
static void moves_of_another_connection_are_left_alone(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = running_guest(stage);
    {
        CLEANUP(journal_closep) struct journal *journal = NULL;
        OK(journal_open(stage->state, JOURNAL_WRITE, &journal, why));
        new_move(journal, db->uuid);
    }
    agent_start(stage);
    expect_said(stage, "is in force");
    usleep(300000);
    assert_int_equal(count_calls(stage, "begin"), 0);
    assert_int_equal(agent_stop(stage), 0);
}

static void the_end_is_at_once_and_leaves_children_alone(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = running_guest(stage);
    write_script(stage, "move", "lock;move;wait go;verified;exit 0");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_calls(stage, "begin move", 1);
    assert_int_equal(agent_stop(stage), 0); /* which does not wait as long as the child would */
    int pid = child_pid(stage, 0);
    assert_int_equal(kill(pid, 0), 0);
    assert_int_equal(getsid(pid), pid);
    write_file(stage, "go", "");
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    agent_start(stage);
    expect_requests(stage, db, "done");
    assert_int_equal(agent_stop(stage), 0);
    assert_int_equal(count_calls(stage, "begin"), 1);
}

static void one_agent_is_enough(void **state)
{
    struct stage *stage = *state;
    int pid = 0;
    assert_false(agent_is_running(stage->state, &pid));
    agent_start(stage);
    expect_said(stage, "is in force");
    assert_true(agent_is_running(stage->state, &pid));
    assert_int_equal(pid, stage->agent);
    pid_t first = stage->agent;
    agent_start(stage);
    int status = 0;
    assert_int_equal(waitpid(stage->agent, &status, 0), stage->agent);
    assert_int_equal(WEXITSTATUS(status), 10 + ERROR_BUSY);
    AUTO_FREE char *said =
        text_format("an agent is at work on %s already (process %d)", stage->state, (int)first);
    assert_int_equal(count_said(stage, said), 1);
    stage->agent = first;
    agent_kill(stage);
    assert_false(agent_is_running(stage->state, &pid));
}

/* ---- libvirt's daemon ---- */

static void the_daemon_is_waited_for(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = running_guest(stage);
    fake_daemon_dies(stage->host);
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "waiting: waits for libvirt's daemon");
    usleep(2500000); /* it has tried again by now */
    assert_int_equal(count_said(stage, "libvirt's daemon is away"), 1);
    fake_daemon_is_back(stage->host);
    expect_requests(stage, db, "done");
    assert_int_equal(count_said(stage, "libvirt's daemon is there again"), 1);
    assert_int_equal(agent_stop(stage), 0);
}

static void the_daemon_comes_back(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = running_guest(stage);
    write_policy(stage, "triggers: {on_start: true}\n");
    agent_start(stage);
    expect_said(stage, "is in force");
    usleep(200000);
    fake_daemon_dies(stage->host);
    expect_said(stage, "libvirt's daemon is away");
    /* What happens meanwhile, no event tells. */
    fake_stop(stage->host, db);
    fake_start(stage->host, db);
    fake_host_lock(stage->host);
    db->changed = db->ran = false;
    fake_host_unlock(stage->host);
    fake_daemon_is_back(stage->host);
    expect_requests(stage, db, "done");
    assert_int_equal(agent_stop(stage), 0);
}

int main(void)
{
#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_open, stage_close)
    const struct CMUnitTest tests[] = {
        STAGED(the_next_agent_learns_that_it_went_well),
        STAGED(the_next_agent_learns_that_it_failed),
        STAGED(a_child_that_has_not_locked_yet_is_not_started_twice),
        STAGED(an_attempt_that_never_began_is_made_again),
        STAGED(the_journal_of_both_killed_is_recovered),
        STAGED(a_killed_child_is_an_attempt),
        STAGED(a_failing_recovery_is_put_off),
        STAGED(moves_of_another_connection_are_left_alone),
        STAGED(the_end_is_at_once_and_leaves_children_alone),
        STAGED(one_agent_is_enough),
        STAGED(the_daemon_is_waited_for),
        STAGED(the_daemon_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
