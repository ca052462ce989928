/* The agent's child processes: what they inherit, how they end, what they said. */
#include "journal/journal_fixture.h"

#include "agent/children.h"

#include <signal.h>

static void expect_reason(const char *words, const char *reason, const char *hint)
{
    AUTO_FREE char *found_reason = NULL;
    AUTO_FREE char *found_hint = NULL;
    child_reason(words, &found_reason, &found_hint);
    assert_true(text_equal(found_reason, reason));
    assert_true(text_equal(found_hint, hint));
}

static void the_last_error_is_the_reason(void **state UNUSED)
{
    expect_reason("", NULL, NULL);
    expect_reason("\n\n", NULL, NULL);
    expect_reason("virt-pivot: error: no room\n", "no room", NULL);
    expect_reason("virt-pivot: error: no room", "no room", NULL);
    expect_reason("warning: x\nvirt-pivot: error: no room\nvirt-pivot: hint: make some\n",
                  "no room", "make some");
    expect_reason("virt-pivot: error: a\nvirt-pivot: hint: b\nvirt-pivot: error: c\n", "c", NULL);
    expect_reason("virt-pivot: error: a\nvirt-pivot: hint: b\nlibvirt: noise\n", "a", "b");
    expect_reason("virt-pivot: nothing to do: all is there\n", "all is there", NULL);
    expect_reason("virt-pivot: hint: of nothing\n", "virt-pivot: hint: of nothing", NULL);
    expect_reason("first\nsecond\n\n", "second", NULL);
    expect_reason("virt-pivot: error: \n", "", NULL);
}

static void a_long_reason_is_cut(void **state UNUSED)
{
    char words[5000];
    memset(words, 'x', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    memcpy(words, "virt-pivot: error: ", 19);
    AUTO_FREE char *reason = NULL;
    AUTO_FREE char *hint = NULL;
    child_reason(words, &reason, &hint);
    assert_int_equal(strlen(reason), 1000);
}

static void run(struct journal *journal, const char *shell, struct child *child)
{
    const char *const argv[] = {"/bin/sh", "-c", shell, NULL};
    CLEANUP(journal_unlock) int lock = -1;
    OK(journal_lock(journal, "a.request", &lock, why));
    OK(child_start(argv, lock, child, why));
}

static void wait_for(struct child *child)
{
    for (unsigned i = 0; !child->ended && i < 1000; i++) {
        child_look(child);
        usleep(10000);
    }
    assert_true(child->ended);
}

static void exit_status_and_words(void **state)
{
    struct desk *desk = *state;
    CLEANUP(child_clear) struct child child = {.words = -1};
    run(desk->journal, "echo 'virt-pivot: error: it is full' >&2; exit 4", &child);
    wait_for(&child);
    assert_true(child.end.exited);
    assert_int_equal(child.end.status, 4);
    assert_string_equal(child.end.reason, "it is full");
}

static void a_signal_is_told(void **state)
{
    struct desk *desk = *state;
    CLEANUP(child_clear) struct child child = {.words = -1};
    run(desk->journal, "echo half >&2; kill -KILL $$", &child);
    wait_for(&child);
    assert_false(child.end.exited);
    assert_int_equal(child.end.status, SIGKILL);
    assert_non_null(strstr(child.end.reason, "signal 9"));
}

static void much_is_read_from_its_end(void **state)
{
    struct desk *desk = *state;
    CLEANUP(child_clear) struct child child = {.words = -1};
    run(desk->journal,
        "i=0; while [ $i -lt 3000 ]; do echo \"line $i of many, to no purpose\" >&2; i=$((i+1)); "
        "done;"
        " printf 'a\\0b\\nvirt-pivot: error: the end\\n' >&2; exit 1",
        &child);
    wait_for(&child);
    assert_string_equal(child.end.reason, "the end");
}

/* Nothing but /dev/null, its own stderr and the lock; a session of its own; no signal blocked. */
static void it_inherits_nothing_else(void **state)
{
    struct desk *desk = *state;
    CLEANUP(child_clear) struct child child = {.words = -1};
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &before);
    AUTO_CLOSE UNUSED int leaked = dup(STDIN_FILENO); /* as a library may */
    run(desk->journal,
        "fd=/proc/$$/fd; set -e;"
        "test \"$(readlink $fd/0) $(readlink $fd/1)\" = '/dev/null /dev/null';"
        "case $(readlink $fd/3) in */locks/a.request) ;; *) exit 7;; esac;"
#ifdef HAVE_SPAWN_CLOSEFROM
        "for i in 4 5 6 7 8 9 10 11 12 13 14 15 16; do test ! -e $fd/$i || exit 8; done;"
#endif
        "test $(cut -d ' ' -f 6 /proc/$$/stat) = $$ || exit 9;"
        /* With the shell's own means: it blocks signals while it starts a program. */
        "while read -r key value; do case $key$value in SigBlk:*[1-9a-f]*) exit 10;; esac; done"
        " </proc/$$/status",
        &child);
    wait_for(&child);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_true(child.end.exited);
    assert_int_equal(child.end.status, 0);
}

static void the_lock_is_held_as_long_as_it_lives(void **state)
{
    struct desk *desk = *state;
    CLEANUP(child_clear) struct child child = {.words = -1};
    int pid = 0;
    run(desk->journal, "read x </proc/self/stat; sleep 20", &child);
    assert_true(journal_is_locked(desk->journal, "a.request", &pid));
    AUTO_ERROR struct error error = {0};
    int lock = -1;
    assert_int_equal(journal_lock(desk->journal, "a.request", &lock, &error), -1);
    assert_int_equal(error.code, ERROR_BUSY);
    kill(-child.pid, SIGKILL);
    wait_for(&child);
    assert_false(journal_is_locked(desk->journal, "a.request", &pid));
}

static void a_missing_program_is_an_error(void **state)
{
    struct desk *desk = *state;
    struct child child = {.words = -1};
    const char *const argv[] = {"/nonexistent/virt-pivot", NULL};
    AUTO_ERROR struct error error = {0};
    CLEANUP(journal_unlock) int lock = -1;
    OK(journal_lock(desk->journal, "a.request", &lock, why));
    assert_int_equal(child_start(argv, lock, &child, &error), -1);
    assert_non_null(strstr(error.message, "/nonexistent/virt-pivot"));
    assert_int_equal(child.words, -1);
}

int main(void)
{
    for (int fd = 3; fd < 256; fd++)
        close(fd); /* what this test itself was started with */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_error_is_the_reason),
        cmocka_unit_test(a_long_reason_is_cut),
        cmocka_unit_test_setup_teardown(exit_status_and_words, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(a_signal_is_told, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(much_is_read_from_its_end, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(it_inherits_nothing_else, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(the_lock_is_held_as_long_as_it_lives, desk_open,
                                        desk_close),
        cmocka_unit_test_setup_teardown(a_missing_program_is_an_error, desk_open, desk_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
