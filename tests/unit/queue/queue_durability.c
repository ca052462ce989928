/* A request is there whole or not at all: on a full disk, among others, killed at any instant. */
#include "queue_fixture.h"

#include "journal/small_disk.h"

#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

/* ---- no room ---- */

static void a_full_disk(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    if (!small_disk_mount(folder))
        skip();
    OK(put_named(folder, "before", why));
    drop_text(folder, "1.json", "garbage");
    AUTO_FREE char *before = list(folder, "");
    small_disk_fill(folder);
    for (int i = 0; i < 3; i++) {
        AUTO_ERROR struct error error = {0};
        assert_int_equal(put_named(folder, "no room", &error), -1);
        assert_int_equal(error.code, ERROR_NO_SPACE);
        assert_non_null(strstr(error.message, folder));
        assert_non_null(strstr(error.hint, "make room"));
        assert_list(folder, "", before); /* not even half of one */
    }
    /* What is there is taken; garbage is moved, though there is no room for its reason. */
    assert_taken(folder, 1, 1);
    assert_list(folder, "bad", "1.json ");
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 99;
    OK(queue_take(folder, &requests, &bad, why));
    OK(queue_done(folder, requests.items[0].file, why));
    assert_taken(folder, 0, 0);
    small_disk_drain(folder);
    OK(put_named(folder, "after", why));
    assert_taken(folder, 1, 0);
    small_disk_unmount(folder);
}

/* The disk is full after so many bytes of the file. */
static void full_in_mid_file(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    OK(put_named(folder, "before", why));
    AUTO_FREE char *before = list(folder, "");
    struct rlimit usual, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 0; limit <= 100; limit += 20) {
        low = usual;
        low.rlim_cur = limit;
        AUTO_ERROR struct error error = {0};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
        int result = put_named(folder, "half", &error);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
        assert_int_equal(result, -1);
        assert_non_null(strstr(error.message, "cannot write the request"));
        assert_list(folder, "", before);
    }
    signal(SIGXFSZ, handler);
    assert_taken(folder, 1, 0);
}

/* ---- several at once ---- */

enum { WRITERS = 3, ROUNDS = 60, ALL = WRITERS * ROUNDS };

static void put_many(const char *folder, int writer)
{
    for (int i = 0; i < ROUNDS; i++) {
        AUTO_ERROR struct error error = {0};
        AUTO_FREE char *name = text_format("%d", writer * ROUNDS + i);
        if (put_named(folder, name, &error) < 0)
            _exit(1);
    }
    _exit(0);
}

/* Takes what is there as the agent does, and marks each number that it finds. */
static size_t take_and_mark(const char *folder, int *marks)
{
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 99;
    OK(queue_take(folder, &requests, &bad, why));
    assert_int_equal(bad, 0);
    for (size_t i = 0; i < requests.count; i++) {
        long number = strtol(requests.items[i].domain, NULL, 10);
        assert_true(number >= 0 && number < ALL);
        marks[number]++;
        OK(queue_done(folder, requests.items[i].file, why));
    }
    return requests.count;
}

static void writers_and_a_reader(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_CLOSE int watch = queue_watch(folder);
    pid_t children[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            put_many(folder, i);
    }
    int marks[ALL] = {0};
    for (size_t found = 0; found < ALL;) {
        struct pollfd poll_for = {.fd = watch, .events = POLLIN};
        assert_int_equal(poll(&poll_for, 1, 10000), 1); /* no wake-up is lost */
        queue_changed(watch);
        found += take_and_mark(folder, marks);
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    for (int i = 0; i < ALL; i++)
        assert_int_equal(marks[i], 1);
    assert_list(folder, "", "");
}

/* ---- killed ---- */

/* Lets the child run to its nth stop before or after a system call, and kills it there; false when
 * it had come to its end before. */
static bool kill_at_stop(pid_t child, long stop)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    for (long i = 0; i < stop; i++) {
        assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            return false;
        }
        assert_true(WIFSTOPPED(status));
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    return true;
}

static int put(const char *folder)
{
    AUTO_ERROR struct error error = {0};
    return put_named(folder, "db-1", &error);
}

static int take(const char *folder)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 0;
    return queue_take(folder, &requests, &bad, &error);
}

static pid_t start_traced(const char *folder, int (*act)(const char *folder))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(100);
    raise(SIGSTOP);
    _exit(act(folder) < 0 ? 1 : 0);
}

static bool can_trace(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? 1 : 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void killed_while_putting(void **state UNUSED)
{
    if (!can_trace()) {
        print_message("SKIPPED: processes cannot be traced here\n");
        skip();
    }
    size_t without = 0, with = 0;
    for (bool killed = true; killed;) {
        AUTO_SCRATCH char *folder = scratch_new();
        killed = kill_at_stop(start_traced(folder, put), (long)(without + with));
        CLEANUP(requests_clear) struct requests requests = {0};
        size_t bad = 99;
        OK(queue_take(folder, &requests, &bad, why));
        assert_int_equal(bad, 0);
        assert_true(requests.count <= 1);
        if (requests.count)
            assert_string_equal(requests.items[0].domain, "db-1");
        assert_true(with == 0 || requests.count == 1); /* once there, it stays */
        *(requests.count ? &with : &without) += 1;
    }
    print_message("killed at each of %zu stops: %zu times nothing, %zu times all of it\n",
                  without + with - 1, without, with);
    assert_true(without > 10 && with > 1);
}

/* Garbage is in one place or the other, and the request beside it is there still. */
static void killed_while_taking(void **state UNUSED)
{
    if (!can_trace()) {
        print_message("SKIPPED: processes cannot be traced here\n");
        skip();
    }
    long lives = 0;
    for (bool killed = true; killed; lives++) {
        AUTO_SCRATCH char *folder = scratch_new();
        drop_text(folder, "1.json", "garbage");
        OK(put_named(folder, "db-1", why));
        killed = kill_at_stop(start_traced(folder, take), lives);
        CLEANUP(requests_clear) struct requests requests = {0};
        size_t bad = 99;
        char *example = NULL;
        OK(queue_take(folder, &requests, &bad, why));
        assert_int_equal(requests.count, 1);
        assert_true(bad <= 1);
        assert_int_equal(queue_bad(folder, &example), 1);
        AUTO_FREE char *path = example;
        AUTO_FREE char *text = read_text(path);
        assert_string_equal(text, "garbage");
    }
    print_message("killed at each of %ld stops\n", lives - 1);
    assert_true(lives > 20);
}

static long time_of_one(void)
{
    AUTO_SCRATCH char *folder = scratch_new();
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    OK(put_named(folder, "db-1", why));
    clock_gettime(CLOCK_MONOTONIC, &end);
    long took = (end.tv_sec - start.tv_sec) * 1000000000L + end.tv_nsec - start.tv_nsec;
    return took < 50000000 ? took : 50000000;
}

/* At whatever instruction; what was said to be there is there. */
static void killed_at_any_instant(void **state UNUSED)
{
    size_t all = 0;
    long one = time_of_one(); /* a disk takes a hundred times as long as memory */
    for (int round = 0; round < 150; round++) {
        AUTO_SCRATCH char *folder = scratch_new();
        int said[2];
        assert_int_equal(pipe2(said, O_CLOEXEC), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            while (put(folder) == 0 && write(said[1], "x", 1) == 1)
                ;
            _exit(1);
        }
        close(said[1]);
        const struct timespec pause = {.tv_nsec = one * (round * 37 % 150) / 10};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        size_t count = 0, bad = 99;
        char bytes[256];
        for (ssize_t got = 1; got > 0; count += got > 0 ? (size_t)got : 0)
            got = read(said[0], bytes, sizeof(bytes));
        close(said[0]);
        CLEANUP(requests_clear) struct requests requests = {0};
        OK(queue_take(folder, &requests, &bad, why));
        assert_int_equal(bad, 0);
        assert_true(requests.count == count || requests.count == count + 1);
        all += requests.count;
    }
    print_message("%zu requests by writers that were killed\n", all);
    assert_true(all > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk),          cmocka_unit_test(full_in_mid_file),
        cmocka_unit_test(writers_and_a_reader), cmocka_unit_test(killed_while_putting),
        cmocka_unit_test(killed_while_taking),  cmocka_unit_test(killed_at_any_instant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
