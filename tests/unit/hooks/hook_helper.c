#include "hooks/hook_fixture.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <time.h>

#define DISKS                                                                                      \
    FILE_DISK("vda", "/nonexistent/a", "raw")                                                      \
    FILE_DISK("vdb", "/nonexistent/b", "raw")                                                      \
    "<graphics type='vnc' passwd='hunter2'/>"

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Has vda prepared; vdb stays. */
static int prepare(struct desk *desk, struct error *error)
{
    AUTO_FREE char *xml = guest("", DISKS);
    CLEANUP(domain_freep) struct domain *domain = domain_of(xml);
    CLEANUP(plan_freep) struct plan *plan = NEW(struct plan);
    plan->domain = text_dup("db1");
    plan->uuid = text_dup(UUID);
    for (size_t i = 0; i < domain->disks.count; i++) {
        struct plan_disk *disk = plan_disks_add(&plan->disks);
        disk->target = text_dup(domain->disks.items[i].target);
        disk->action = i == 0 ? PLAN_MOVE : PLAN_LEAVE;
        disk->reason = text_dup("a reason");
        disk->destination.image = text_dup("db1-vda");
        disk->destination.size = GIB;
    }
    return helper_prepare(&desk->settings, plan, domain, error);
}

static void assert_refused(struct desk *desk, const char *message, const char *hint)
{
    AUTO_ERROR struct error error = {0};
    assert_int_equal(prepare(desk, &error), -1);
    assert_contains(error.message, message);
    if (hint)
        assert_contains(error.hint, hint);
}

/* The process whose number the helper wrote down ends soon, if it has not yet. */
static void assert_gone(const struct desk *desk, const char *name)
{
    AUTO_FREE char *text = helper_file(desk, name);
    assert_non_null(text);
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    assert_true(pid > 1);
    AUTO_FREE char *stat_file = text_format("/proc/%d/stat", (int)pid);
    for (int tries = 0; tries < 200; tries++) {
        AUTO_FREE char *stat = read_file(stat_file);
        const char *end = stat ? strrchr(stat, ')') : NULL;
        if (!end || end[2] == 'Z') /* gone, or its new parent has not looked yet */
            return;
        usleep(10000);
    }
    fail_msg("process %d is still there", (int)pid);
}

static void test_what_the_helper_is_told(void **state)
{
    struct desk *desk = *state;
    give_helper(desk, "echo \"$@\" >\"$0.arguments\"");
    OK(prepare(desk, why));
    AUTO_FREE char *arguments = helper_file(desk, "arguments");
    AUTO_FREE char *expected =
        text_format("--policy %s --state %s incoming\n", desk->policy, desk->state);
    assert_string_equal(arguments, expected);

    AUTO_FREE char *input = helper_file(desk, "input");
    assert_null(strstr(input, "hunter2"));
    struct json_object *json = json_tokener_parse(input), *plan = NULL, *xml = NULL;
    assert_true(json_object_object_get_ex(json, "plan", &plan));
    assert_true(json_object_object_get_ex(json, "xml", &xml));
    CLEANUP(plan_freep) struct plan *read_back = NULL;
    OK(plan_from_record(json_object_to_json_string(plan), &read_back, why));
    assert_string_equal(read_back->uuid, UUID);
    assert_int_equal(read_back->disks.count, 2);
    CLEANUP(domain_freep) struct domain *domain = domain_of(json_object_get_string(xml));
    assert_string_equal(domain->name, "db1");
    assert_string_equal(domain->uuid, UUID);
    assert_int_equal(domain->disks.count, 1);
    assert_string_equal(domain->disks.items[0].source.path, "/nonexistent/a");
    json_object_put(json);
}

static void test_its_reason_is_passed_on(void **state)
{
    give_helper(*state, "echo talk; echo 'some progress' >&2;"
                        "echo 'virt-pivot: error: pool fast is full' >&2;"
                        "echo 'virt-pivot: hint: make room' >&2; exit 1");
    assert_refused(*state, "pool fast is full", "make room");
    give_helper(*state, "echo 'something else' >&2; echo 'and more' >&2; exit 3");
    assert_refused(*state, "something else", NULL);
}

static void test_it_may_end_without_a_word(void **state)
{
    give_helper(*state, "exit 7");
    assert_refused(*state, "ended with status 7", "virt-pivot check");
    give_helper(*state, "kill -SEGV $$");
    assert_refused(*state, "ended with signal 11", NULL);
}

static void test_there_is_no_helper(void **state)
{
    struct desk *desk = *state;
    assert_refused(desk, "cannot run", "install virt-pivot");
    write_file(desk->helper, "#!/bin/sh\n", 0600);
    assert_refused(desk, "cannot run", NULL);
}

static void test_it_hangs(void **state)
{
    struct desk *desk = *state;
    desk->settings.helper_seconds = 1;
    give_helper(desk, "echo $$ >\"$0.pid\"; sleep 600 & echo $! >\"$0.grandchild\"; wait");
    double begin = seconds_now();
    assert_refused(desk, "within 1 seconds", NULL);
    assert_true(seconds_now() - begin < 5);
    assert_gone(desk, "pid");
    assert_gone(desk, "grandchild");
}

static void test_it_cannot_be_stopped_kindly(void **state)
{
    struct desk *desk = *state;
    desk->settings.helper_seconds = 1;
    give_helper(desk, "trap '' TERM INT HUP; echo $$ >\"$0.pid\"; while :; do sleep 1; done");
    assert_refused(desk, "within 1 seconds", NULL);
    assert_gone(desk, "pid");
}

static void test_it_floods(void **state)
{
    struct desk *desk = *state;
    desk->settings.helper_seconds = 2;
    give_helper(desk, "yes out & yes err >&2");
    double begin = seconds_now();
    assert_refused(desk, "within 2 seconds", NULL);
    assert_true(seconds_now() - begin < 6);
    give_helper(desk, "head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2; exit 1");
    desk->settings.helper_seconds = 20;
    assert_refused(desk, "", NULL);
    give_helper(desk, "head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2; exit 0");
    OK(prepare(desk, why));
}

static void test_a_grandchild_holds_its_pipes(void **state)
{
    struct desk *desk = *state;
    give_helper(desk, "sleep 600 & echo $! >\"$0.grandchild\"; exit 0");
    double begin = seconds_now();
    OK(prepare(desk, why));
    assert_true(seconds_now() - begin < 5);
    assert_gone(desk, "grandchild");
}

static void test_it_does_not_read_its_input(void **state)
{
    struct desk *desk = *state;
    write_file(desk->helper, "#!/bin/sh\nexec 0<&-\nexit 0\n", 0700);
    OK(prepare(desk, why));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as process_settle does */
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        WITH_DESK(test_what_the_helper_is_told),
        WITH_DESK(test_its_reason_is_passed_on),
        WITH_DESK(test_it_may_end_without_a_word),
        WITH_DESK(test_there_is_no_helper),
        WITH_DESK(test_it_hangs),
        WITH_DESK(test_it_cannot_be_stopped_kindly),
        WITH_DESK(test_it_floods),
        WITH_DESK(test_a_grandchild_holds_its_pipes),
        WITH_DESK(test_it_does_not_read_its_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
