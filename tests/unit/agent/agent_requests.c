/* From the queue to the end of a request. */
#include "agent/stage.h"

#include "journal/faulty_disk.h"

#include <signal.h>
#include <sys/stat.h>
#include <time.h>

static void queue_to_child_to_done(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    write_script(stage, "move", "lock;move;verified;exit 0");
    agent_start(stage);
    ask(stage, db, "gold", "vda");
    expect_requests(stage, db, "done");
    AUTO_FREE char *line = call_line(stage, "begin move", 0);
    AUTO_FREE char *arguments =
        text_format(" -q -c fake:/// --policy %s --state %s move --tier gold --disk vda -- %s",
                    stage->policy, stage->state, db->uuid);
    assert_non_null(strstr(line, arguments));
    assert_query(stage->state, "SELECT state, attempts, pid, move FROM requests", "2 1 0 1");
    assert_int_equal(count_said(stage, "domain db1: request 1 (tier gold, disks vda): taken"), 1);
    assert_int_equal(
        count_said(stage, "domain db1: request 1 (tier gold, disks vda): begins, attempt 1 of 3"),
        1);
    assert_int_equal(count_said(stage, "domain db1: request 1 (tier gold, disks vda): done"), 1);
    AUTO_FREE char *folder = text_format("%s/queue", stage->state);
    assert_int_equal(rmdir(folder), 0); /* it is empty */
    assert_int_equal(agent_stop(stage), 0);
}

static int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void failures_are_retried_with_growing_pauses(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    write_script(stage, "move",
                 "say virt-pivot: error: pool is full;say virt-pivot: hint: make room;exit 1");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_calls(stage, "end move", 1);
    int64_t first = milliseconds();
    expect_calls(stage, "begin move", 2);
    int64_t second = milliseconds();
    expect_calls(stage, "begin move", 3);
    int64_t third = milliseconds();
    expect_requests(stage, db, "failed: given up after 3 attempts: pool is full");
    /* The journal counts in seconds. */
    assert_true(second - first >= 1 && third - second > 1000);
    assert_query(stage->state, "SELECT attempts, hint FROM requests", "3 make room");
    assert_int_equal(count_said(stage, "attempt 2 of 3 failed: pool is full (make room); again in"),
                     1);
    usleep(500000);
    assert_int_equal(count_calls(stage, "begin move"), 3);
    assert_int_equal(agent_stop(stage), 0);
}

/* An hour is a pause that no test outlasts. */
static void between_attempts_the_reason_is_shown(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    write_policy(stage, "limits: {retries: 2, retry_pause: 1h}\n");
    write_script(stage, "move", "say virt-pivot: error: pool is full;exit 1");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "waiting: attempt 1 of 3 failed: pool is full");
    assert_int_equal(agent_stop(stage), 0);
}

static void an_operator_is_not_replaced_by_patience(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    write_script(stage, "move", "say virt-pivot: error: decide;exit 4");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "failed: decide");
    assert_int_equal(agent_stop(stage), 0);
    assert_int_equal(count_calls(stage, "begin move"), 1);
}

static void nothing_to_do_is_done(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    write_script(stage, "move", "say virt-pivot: nothing to do: all is there;exit 3");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "done: all is there");
    assert_int_equal(agent_stop(stage), 0);
}

/* A user's cancel is not a failure that is tried again half a minute later. */
static void a_cancelled_move_cancels_its_request(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    write_script(stage, "move",
                 "lock;move;cancelled;undone;say virt-pivot: error: cancelled;exit 1");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "cancelled: its move was cancelled");
    usleep(1500000);
    assert_int_equal(agent_stop(stage), 0);
    assert_int_equal(count_calls(stage, "begin move"), 1);
}

static void no_more_than_the_limit_at_once(void **state)
{
    struct stage *stage = *state;
    write_policy(stage, "limits: {per_host: 2, retries: 0}\n");
    struct fake_domain *domains[5] = {NULL};
    write_script(stage, "move", "lock;move;wait go;verified;exit 0");
    agent_start(stage);
    for (unsigned i = 0; i < 5; i++) {
        AUTO_FREE char *name = text_format("g%u", i);
        domains[i] = fake_define(stage->host, i, name);
        fake_start(stage->host, domains[i]);
        ask(stage, domains[i], NULL, NULL);
    }
    expect_requests(stage, domains[4], "waiting: waits for its turn*");
    usleep(300000);
    assert_int_equal(count_calls(stage, "begin move"), 2);
    write_file(stage, "go", "");
    for (unsigned i = 0; i < 5; i++)
        expect_requests(stage, domains[i], "done");
    /* Read in order, never more than two had begun and not ended. */
    int running = 0, most = 0;
    for (unsigned n = 0; n < 10; n++) {
        AUTO_FREE char *line = call_line(stage, "", n);
        running += text_starts_with(line, "begin") ? 1 : -1;
        most = running > most ? running : most;
    }
    assert_int_equal(most, 2);
    assert_int_equal(agent_stop(stage), 0);
}

static void moves_of_others_count_too(void **state)
{
    struct stage *stage = *state;
    write_policy(stage, "limits: {per_host: 1}\n");
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    struct fake_domain *other = fake_define(stage->host, 2, "other");
    fake_start(stage->host, db);
    fake_start(stage->host, other);
    CLEANUP(journal_unlock) int lock = -1;
    agent_start(stage);
    {
        CLEANUP(journal_closep) struct journal *journal = NULL;
        OK(journal_open(stage->state, JOURNAL_WRITE, &journal, why));
        OK(journal_lock(journal, other->uuid, &lock, why));
        new_move(journal, other->uuid);
    }
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "waiting: waits for its turn*");
    usleep(300000);
    assert_int_equal(count_calls(stage, "begin"), 0);
    assert_int_equal(agent_stop(stage), 0);
}

static void one_domain_is_never_moved_twice_at_once(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    write_policy(stage, "limits: {per_host: 9}\n");
    write_script(stage, "move", "lock;wait go;exit 0");
    agent_start(stage);
    ask(stage, db, "gold", NULL);
    expect_calls(stage, "begin move", 1);
    ask(stage, db, "silver", NULL);
    ask(stage, db, "gold", NULL); /* while one runs, it may have passed this by */
    expect_requests(stage, db,
                    "running\nwaiting: waits for the end of the move that is under way\n"
                    "waiting: waits for the end of the move that is under way");
    usleep(300000);
    assert_int_equal(count_calls(stage, "begin"), 1);
    write_file(stage, "go", "");
    expect_requests(stage, db, "done\ndone\ndone");
    for (unsigned n = 0; n < 6; n++) {
        AUTO_FREE char *line = call_line(stage, "", n);
        assert_true(text_starts_with(line, n % 2 ? "end" : "begin"));
    }
    assert_int_equal(agent_stop(stage), 0);
}

static void moves_at_a_user_s_wish_what_is_off(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "done");
    assert_int_equal(agent_stop(stage), 0);
}

/* Its metadata have asked for the same already, which waits for a start. */
static void a_user_s_wish_is_not_swallowed(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    agent_start(stage);
    ask_for(stage, db->uuid, "tier", "gold", time(NULL));
    expect_requests(stage, db, "waiting: waits for its start");
    ask(stage, db, "gold", NULL);
    expect_requests(stage, db, "done");
    assert_int_equal(agent_stop(stage), 0);
}

static void asking_anew_begins_anew(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    write_policy(stage, "limits: {retries: 2, retry_pause: 1h}\n");
    write_script(stage, "move", "say virt-pivot: error: pool is full;exit 1");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "waiting: attempt 1 of 3 failed: pool is full");
    write_script(stage, "move", "exit 0");
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "done");
    assert_int_equal(agent_stop(stage), 0);
}

static void waits_for_what_libvirt_does(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    snprintf(db->job, sizeof(db->job), "backup");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "waiting: waits for the end of a migration, save*");
    fake_host_lock(stage->host);
    db->job[0] = '\0';
    db->arriving = true;
    fake_host_unlock(stage->host);
    fake_event(stage->host, db, false);
    expect_requests(stage, db, "waiting: waits for the end of its migration to this host");
    fake_host_lock(stage->host);
    db->arriving = false;
    fake_host_unlock(stage->host);
    fake_event(stage->host, db, true);
    expect_requests(stage, db, "done");
    assert_int_equal(agent_stop(stage), 0);
}

static void a_migration_that_never_came_is_cancelled(void **state)
{
    struct stage *stage = *state;
    struct fake_domain absent = {.uuid = "00000000-0000-4000-8000-000000000077", .name = "absent"};
    struct fake_domain late = {.uuid = "00000000-0000-4000-8000-000000000078", .name = "late"};
    ask_for(stage, absent.uuid, "migrate", NULL, time(NULL) - 901);
    ask_for(stage, late.uuid, "migrate", NULL, time(NULL) - 600);
    agent_start(stage);
    expect_requests(stage, &absent, "cancelled: the domain did not migrate to this host");
    expect_requests(stage, &late, "waiting: waits for its migration to this host");
    assert_int_equal(agent_stop(stage), 0);
}

static void a_domain_whose_qemu_is_mute_is_here(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    db->mute = true;
    fake_start(stage->host, db);
    ask_for(stage, db->uuid, "migrate", NULL, time(NULL) - 901);
    agent_start(stage);
    expect_requests(stage, db, "waiting: waits for its start");
    db->mute = false;
    fake_event(stage->host, db, false);
    expect_requests(stage, db, "done");
    assert_int_equal(agent_stop(stage), 0);
}

/* No event tells of it. */
static void a_domain_that_came_unseen_is_seen_before_its_request_ends(void **state)
{
    struct stage *stage = *state;
    struct fake_domain db = {.uuid = "00000000-0000-4000-8000-000000000001", .name = "db1"};
    struct fake_domain *other = fake_define(stage->host, 2, "other");
    ask_for(stage, db.uuid, "migrate", NULL, time(NULL) - 896);
    agent_start(stage);
    expect_requests(stage, &db, "waiting: waits for its migration to this host");
    fake_event(stage->host, other, false);
    usleep(500000);
    fake_host_lock(stage->host);
    fake_define(stage->host, 1, "db1")->active = true;
    fake_host_unlock(stage->host);
    expect_requests(stage, &db, "done");
    assert_int_equal(agent_stop(stage), 0);
}

static void garbage_is_set_aside(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    AUTO_FREE char *folder = text_format("%s/queue", stage->state);
    assert_int_equal(mkdir(folder, 0700), 0);
    write_file(stage, "queue/0.json", "{\"uuid\": \"../../etc\", \"reason\": 7}");
    write_file(stage, "queue/1.json", "\x01\xff\xfe garbage");
    AUTO_FREE char *link = text_format("%s/2.json", folder);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "done");
    expect_said(stage, "3 files in the queue were no requests, and set aside");
    assert_int_equal(count_requests(stage), 1);
    assert_int_equal(agent_stop(stage), 0);
}

/* ---- the policy ---- */

static void a_broken_policy_is_said_once_and_waited_for(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    write_policy(stage, "limitz: {}\n");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_requests(stage, db, "waiting: waits for a valid policy");
    AUTO_FREE char *place = text_format("%s:8:1", stage->policy);
    agent_signal(stage, SIGHUP);
    usleep(200000);
    assert_int_equal(count_said(stage, place), 1);
    write_policy(stage, "");
    agent_signal(stage, SIGHUP);
    expect_requests(stage, db, "done");
    assert_int_equal(count_said(stage, "is in force"), 1);
    assert_int_equal(agent_stop(stage), 0);
}

/* Its children would read the broken one. */
static void nothing_new_while_the_policy_is_broken(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    write_policy(stage, "triggers: {on_start: true}\n");
    agent_start(stage);
    expect_said(stage, "is in force");
    write_policy(stage, "limits: {per_host: none}\n");
    ask(stage, db, NULL, NULL); /* wakes it, and it sees that the file has changed */
    expect_requests(stage, db, "waiting: waits for a valid policy");
    assert_int_equal(count_calls(stage, "begin"), 0);
    /* The last good one says what a start asks for. */
    struct fake_domain *other = fake_define(stage->host, 2, "other");
    fake_start(stage->host, other);
    expect_requests(stage, other, "waiting: waits for a valid policy");
    write_policy(stage, "");
    fake_event(stage->host, db, false);
    expect_requests(stage, db, "done");
    expect_requests(stage, other, "done");
    assert_int_equal(agent_stop(stage), 0);
}

/* ---- a full disk ---- */

static void a_full_disk_loses_nothing(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    agent_start(stage);
    expect_said(stage, "is in force");
    fake_event(stage->host, db, false);
    usleep(300000);
    stage->disk->full = true;
    ask(stage, db, NULL, NULL);
    expect_said(stage, "requests stay in the queue");
    fake_event(stage->host, db, false);
    usleep(300000);
    assert_int_equal(count_requests(stage), 0);
    assert_int_equal(count_said(stage, "requests stay in the queue"), 1);
    stage->disk->full = false;
    expect_requests(stage, db, "done");
    assert_int_equal(count_calls(stage, "begin"), 1);
    assert_int_equal(count_said(stage, "requests are taken again"), 1);
    assert_int_equal(agent_stop(stage), 0);
}

/* How a child ended is kept until it can be written down. */
static void a_full_disk_forgets_no_end(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    write_script(stage, "move", "wait go;say virt-pivot: error: decide;exit 4");
    agent_start(stage);
    ask(stage, db, NULL, NULL);
    expect_calls(stage, "begin move", 1);
    usleep(200000);
    stage->disk->full = true;
    write_file(stage, "go", "");
    expect_said(stage, "the journal does not take entries just now");
    expect_requests(stage, db, "running");
    stage->disk->full = false;
    expect_requests(stage, db, "failed: decide");
    assert_int_equal(count_said(stage, "the journal does not take entries just now"), 1);
    assert_int_equal(agent_stop(stage), 0);
    assert_int_equal(count_calls(stage, "begin"), 1);
}

int main(void)
{
#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_open, stage_close)
    const struct CMUnitTest tests[] = {
        STAGED(queue_to_child_to_done),
        STAGED(failures_are_retried_with_growing_pauses),
        STAGED(between_attempts_the_reason_is_shown),
        STAGED(an_operator_is_not_replaced_by_patience),
        STAGED(nothing_to_do_is_done),
        STAGED(a_cancelled_move_cancels_its_request),
        STAGED(no_more_than_the_limit_at_once),
        STAGED(moves_of_others_count_too),
        STAGED(one_domain_is_never_moved_twice_at_once),
        STAGED(moves_at_a_user_s_wish_what_is_off),
        STAGED(a_user_s_wish_is_not_swallowed),
        STAGED(asking_anew_begins_anew),
        STAGED(waits_for_what_libvirt_does),
        STAGED(a_migration_that_never_came_is_cancelled),
        STAGED(a_domain_whose_qemu_is_mute_is_here),
        STAGED(a_domain_that_came_unseen_is_seen_before_its_request_ends),
        STAGED(garbage_is_set_aside),
        STAGED(a_broken_policy_is_said_once_and_waited_for),
        STAGED(nothing_new_while_the_policy_is_broken),
        STAGED(a_full_disk_loses_nothing),
        STAGED(a_full_disk_forgets_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
