/* One process a domain: locks that die with their holder. */
#include "journal_fixture.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* A child with the domain's lock, until it is told or killed. */
struct holder {
    pid_t pid;
    int told; /* closing it lets the child end */
};

static struct holder hold(const char *folder, const char *uuid)
{
    int ready[2], told[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ready[0]);
        close(told[1]);
        AUTO_ERROR struct error error = {0};
        struct journal *journal = NULL;
        int lock = -1;
        if (journal_open(folder, JOURNAL_WRITE, &journal, &error) < 0 ||
            journal_lock(journal, uuid, &lock, &error) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        char byte;
        _exit(read(told[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(ready[1]);
    close(told[0]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return (struct holder){child, told[1]};
}

static void end(struct holder *holder, int with_signal)
{
    if (with_signal)
        kill(holder->pid, with_signal);
    close(holder->told);
    assert_int_equal(waitpid(holder->pid, NULL, 0), holder->pid);
}

static void one_at_a_time(void **state)
{
    const struct desk *desk = *state;
    struct holder holder = hold(desk->folder, UUID_1);
    AUTO_ERROR struct error error = {0};
    int lock = -1, pid = 0;
    assert_int_equal(journal_lock(desk->journal, UUID_1, &lock, &error), -1);
    assert_int_equal(lock, -1);
    assert_int_equal(error.code, ERROR_BUSY);
    AUTO_FREE char *number = text_format("process %d)", (int)holder.pid);
    assert_non_null(strstr(error.message, number));
    assert_true(journal_is_locked(desk->journal, UUID_1, &pid));
    assert_int_equal(pid, holder.pid);

    /* Another domain is nobody's business. */
    CLEANUP(journal_unlock) int other = -1;
    OK(journal_lock(desk->journal, UUID_2, &other, why));
    end(&holder, 0);
    OK(journal_lock(desk->journal, UUID_1, &lock, why));
    journal_unlock(&lock);
    assert_int_equal(lock, -1);
}

static void a_killed_holder_holds_nothing(void **state)
{
    const struct desk *desk = *state;
    struct holder holder = hold(desk->folder, UUID_1);
    end(&holder, SIGKILL);
    int pid = -1, lock = -1;
    assert_false(journal_is_locked(desk->journal, UUID_1, &pid));
    assert_int_equal(pid, 0); /* the number in the file is a dead man's */
    OK(journal_lock(desk->journal, UUID_1, &lock, why));
    assert_true(journal_is_locked(desk->journal, UUID_1, &pid));
    assert_int_equal(pid, getpid());
    journal_unlock(&lock);
    assert_false(journal_is_locked(desk->journal, UUID_1, &pid));
    journal_unlock(&lock); /* again: nothing */
}

static void not_twice_in_one_process_either(void **state)
{
    const struct desk *desk = *state;
    CLEANUP(journal_unlock) int first = -1;
    CLEANUP(journal_unlock) int second = -1;
    OK(journal_lock(desk->journal, UUID_1, &first, why));
    AUTO_ERROR struct error error = {0};
    assert_int_equal(journal_lock(desk->journal, UUID_1, &second, &error), -1);
    assert_int_equal(error.code, ERROR_BUSY);
}

/* A program that is started by us must not keep the lock when we are dead. */
static void the_lock_is_not_inherited(void **state)
{
    const struct desk *desk = *state;
    CLEANUP(journal_unlock) int lock = -1;
    OK(journal_lock(desk->journal, UUID_1, &lock, why));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        AUTO_FREE char *path = text_format("/proc/self/fd/%d", lock);
        execl("/bin/sh", "sh", "-c", "test ! -e \"$0\"", path, (char *)NULL);
        _exit(2);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void nobody_ever_locked_it(void **state)
{
    const struct desk *desk = *state;
    int pid = -1;
    assert_false(journal_is_locked(desk->journal, UUID_2, &pid));
    assert_int_equal(pid, 0);
    AUTO_FREE char *path = text_format("%s/locks/" UUID_2, desk->folder);
    assert_int_equal(access(path, F_OK), -1);
}

/* `status --watch` looks whether a domain is locked several times a second. A move that starts in
 * that moment must not be told that another one is at work. */
static void looking_does_not_disturb(void **state)
{
    const struct desk *desk = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int pid;
        for (;;)
            journal_is_locked(desk->journal, UUID_1, &pid);
    }
    size_t refused = 0;
    for (int i = 0; i < 5000; i++) {
        AUTO_ERROR struct error error = {0};
        CLEANUP(journal_unlock) int lock = -1;
        refused += journal_lock(desk->journal, UUID_1, &lock, &error) < 0;
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(refused, 0);
}

int main(void)
{
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        WITH_DESK(one_at_a_time),
        WITH_DESK(a_killed_holder_holds_nothing),
        WITH_DESK(not_twice_in_one_process_either),
        WITH_DESK(the_lock_is_not_inherited),
        WITH_DESK(nobody_ever_locked_it),
        WITH_DESK(looking_does_not_disturb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
