/* The folder: who makes it, whose it is, and how one wakes up when something was put there. */
#include "queue_fixture.h"

#include <poll.h>
#include <utime.h>

#define NOBODY 65534

static void assert_mode(const char *state, const char *name, mode_t mode)
{
    AUTO_FREE char *path = path_in(state, name);
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, mode);
}

/* Whatever the umask is. */
static void everything_is_private(void **state UNUSED)
{
    AUTO_SCRATCH char *parent = scratch_new();
    AUTO_FREE char *folder = text_format("%s/state", parent);
    mode_t usual = umask(0);
    OK(put_named(folder, "a", why));
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 99;
    OK(queue_take(folder, &requests, &bad, why));
    drop_text(folder, "1.json", "garbage");
    assert_taken(folder, 1, 1);
    umask(usual);
    assert_mode(folder, "..", 0700);
    assert_mode(folder, "", 0700);
    assert_mode(folder, requests.items[0].file, 0600);
    assert_mode(folder, "bad", 0700);
    assert_mode(folder, "bad/1.json.why", 0600);
}

static void a_link_is_no_folder(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_SCRATCH char *elsewhere = scratch_new();
    AUTO_FREE char *path = text_format("%s/queue", folder);
    assert_int_equal(symlink(elsewhere, path), 0);
    AUTO_ERROR struct error error = {0};
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 99;
    char *example = NULL;
    assert_int_equal(put_named(folder, "a", &error), -1);
    assert_non_null(strstr(error.message, folder));
    assert_int_equal(queue_take(folder, &requests, &bad, &error), -1);
    assert_int_equal(queue_done(folder, "1.json", &error), -1);
    assert_int_equal(queue_bad(folder, &example), 0);
    assert_int_equal(queue_watch(folder), -1);
    assert_int_equal(rmdir(elsewhere), 0); /* empty still */
    assert_int_equal(mkdir(elsewhere, 0700), 0);
}

static void done_is_for_requests_only(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    OK(put_named(folder, "a", why));
    drop_text(folder, "../precious.json", "x");
    static const char *const names[] = {
        "",        ".",           "..",          "../precious.json",
        "bad",     "/etc/passwd", ".new-1.json", "x/../../precious.json",
        "a\n.json"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        AUTO_ERROR struct error error = {0};
        assert_int_equal(queue_done(folder, names[i], &error), -1);
        assert_int_equal(error.code, ERROR_INPUT);
    }
    AUTO_FREE char *precious = text_format("%s/precious.json", folder);
    assert_int_equal(access(precious, F_OK), 0);
    assert_taken(folder, 1, 0);
}

static void what_killed_writers_leave(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    static const char *const names[] = {".new-old.json", ".new-young.json", ".keep"};
    const struct utimbuf long_ago = {.actime = 1000000000, .modtime = 1000000000};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        AUTO_FREE char *path = path_in(folder, names[i]);
        drop_text(folder, names[i], "{\"vers");
        if (i != 1)
            assert_int_equal(utime(path, &long_ago), 0);
    }
    assert_taken(folder, 0, 0);
    assert_list(folder, "", ".keep .new-young.json "); /* its writer may be at work */
}

/* ---- root and the service ---- */

static int by_nobody(const char *folder)
{
    if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
        return 100;
    AUTO_ERROR struct error error = {0};
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 99;
    if (queue_take(folder, &requests, &bad, &error) < 0 || bad != 1 || requests.count != 1)
        return 1;
    if (queue_done(folder, requests.items[0].file, &error) < 0)
        return 2;
    return put_named(folder, "b", &error) < 0 ? 3 : 0;
}

static void what_root_puts_is_the_service_s(void **state UNUSED)
{
    if (geteuid() != 0) {
        print_message("SKIPPED: only root can be somebody else\n");
        skip();
    }
    AUTO_SCRATCH char *folder = scratch_new();
    assert_int_equal(chown(folder, NOBODY, NOBODY), 0);
    OK(put_named(folder, "a", why));
    drop_text(folder, "1.json", "garbage of root's");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(by_nobody(folder));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_taken(folder, 1, 0); /* and root takes what the service has put */
}

static void a_folder_that_is_not_ours(void **state UNUSED)
{
    if (geteuid() != 0) {
        print_message("SKIPPED: only root can be somebody else\n");
        skip();
    }
    AUTO_SCRATCH char *folder = scratch_new();
    assert_int_equal(chmod(folder, 0755), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        AUTO_ERROR struct error error = {0};
        if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
            _exit(100);
        _exit(put_named(folder, "a", &error) < 0 ? (int)error.code : 101);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), ERROR_DENIED);
}

/* ---- waking up ---- */

static bool wakes(int watch, int milliseconds)
{
    struct pollfd poll_for = {.fd = watch, .events = POLLIN};
    int ready = poll(&poll_for, 1, milliseconds);
    assert_true(ready >= 0);
    return ready == 1 && (poll_for.revents & POLLIN);
}

static void something_was_put_there(void **state UNUSED)
{
    AUTO_SCRATCH char *parent = scratch_new();
    AUTO_FREE char *folder = text_format("%s/state", parent);
    AUTO_CLOSE int watch = queue_watch(folder); /* before there is anything */
    assert_true(watch >= 0);
    assert_int_equal(fcntl(watch, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_false(wakes(watch, 0));
    for (int i = 0; i < 3; i++) {
        OK(put_named(folder, "a", why));
        assert_true(wakes(watch, 5000));
        queue_changed(watch);
        assert_false(wakes(watch, 0));
    }
    assert_taken(folder, 3, 0); /* reading is no change */
    assert_false(wakes(watch, 0));
    drop_text(folder, "1.json", "by hand");
    assert_true(wakes(watch, 5000));
    queue_changed(watch);
    drop_text(folder, "../2.json", "made elsewhere");
    queue_changed(watch);
    AUTO_FREE char *made = path_in(folder, "../2.json");
    AUTO_FREE char *moved = path_in(folder, "2.json");
    assert_int_equal(rename(made, moved), 0);
    assert_true(wakes(watch, 5000));
    queue_changed(watch);
    queue_changed(watch); /* nothing there: it must not wait */
    queue_changed(-1);
}

/* What is copied there by hand, slowly, is looked at when it is whole. */
static void not_before_it_is_whole(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_CLOSE int watch = queue_watch(folder);
    AUTO_FREE char *path = path_in(folder, "1.json");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("{\"version\":1,", file);
    fflush(file);
    assert_false(wakes(watch, 50));
    fputs("\"uuid\":\"" UUID_1 "\",\"reason\":\"user\"}", file);
    fclose(file);
    assert_true(wakes(watch, 5000));
    assert_taken(folder, 1, 0);
}

static void many_changes_are_emptied_at_once(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_CLOSE int watch = queue_watch(folder);
    for (int i = 0; i < 300; i++)
        OK(put_named(folder, "a", why));
    assert_true(wakes(watch, 5000));
    queue_changed(watch);
    assert_false(wakes(watch, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_private),
        cmocka_unit_test(a_link_is_no_folder),
        cmocka_unit_test(done_is_for_requests_only),
        cmocka_unit_test(what_killed_writers_leave),
        cmocka_unit_test(what_root_puts_is_the_service_s),
        cmocka_unit_test(a_folder_that_is_not_ours),
        cmocka_unit_test(something_was_put_there),
        cmocka_unit_test(not_before_it_is_whole),
        cmocka_unit_test(many_changes_are_emptied_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
