/* Who has a file open is found out, by each of the ways to know it. */
#include "files_fixture.h"

#include <signal.h>
#include <sys/wait.h>

static char *holder_of(const char *path)
{
    AUTO_ERROR struct error error = {0};
    char *holder = NULL;
    if (files_holder(path, &holder, &error) < 0)
        fail_msg("%s", error.message);
    return holder;
}

static void nobody(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *path = file_new(folder, "a", "data");
    AUTO_FREE char *holder = holder_of(path);
    assert_null(holder);
    AUTO_FREE char *gone = text_format("%s/gone", folder);
    AUTO_FREE char *none = holder_of(gone);
    assert_null(none);
}

/* A child that has the file open until it is told to end; it says when it is so far. */
static pid_t hold(const char *path, int flags, int *answer)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pipes[0]);
        int fd = open(path, flags | O_CLOEXEC);
        if (write(pipes[1], fd >= 0 ? "y" : "n", 1) == 1)
            pause();
        _exit(0);
    }
    close(pipes[1]);
    char byte = 'n';
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    *answer = pipes[0];
    return child;
}

static void another_process(void **state UNUSED)
{
    static const int ways[] = {O_RDONLY, O_RDWR};
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *path = file_new(folder, "a", "data");
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        int answer = -1;
        pid_t child = hold(path, ways[i], &answer);
        AUTO_FREE char *holder = holder_of(path);
        AUTO_FREE char *expected = text_format("process %ld (", (long)child);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        close(answer);
        assert_non_null(holder);
        assert_true(text_starts_with(holder, expected));
        AUTO_FREE char *after = holder_of(path);
        assert_null(after);
    }
}

/* In this very process, which /proc's look leaves out: only the lock tells. As QEMU's. */
static void a_lock(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *path = file_new(folder, "a", "data");
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 201, .l_len = 1};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    AUTO_FREE char *holder = holder_of(path);
    assert_non_null(holder);
    assert_non_null(strstr(holder, "locked"));
}

/* Likewise open, without a lock: only the lease is refused, where the file system has leases. */
static void an_unseen_opener(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *path = file_new(folder, "a", "data");
    AUTO_CLOSE int probe = open(path, O_RDONLY | O_CLOEXEC);
    bool leases = fcntl(probe, F_SETLEASE, F_WRLCK) == 0;
    fcntl(probe, F_SETLEASE, F_UNLCK);
    if (!leases)
        skip();
    AUTO_FREE char *holder = holder_of(path);
    assert_non_null(holder);
    assert_non_null(strstr(holder, "cannot be seen"));
}

static void an_unreadable_file(void **state UNUSED)
{
    if (geteuid() == 0)
        skip();
    AUTO_ERROR struct error error = {0};
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *path = file_new(folder, "a", "data");
    char *holder = NULL;
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(files_holder(path, &holder, &error), -1);
    assert_int_equal(error.code, ERROR_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody),
        cmocka_unit_test(another_process),
        cmocka_unit_test(a_lock),
        cmocka_unit_test(an_unseen_opener),
        cmocka_unit_test(an_unreadable_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
