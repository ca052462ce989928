/* What is said to be there outlives a loss of power: what is synced, in which order, and what
 * becomes of a request when that fails. fsync and renameat are this file's own here. */
#include "queue_fixture.h"

#include <sys/syscall.h>

/* What happened to files and folders, a letter each. */
struct log {
    char letters[64];
    size_t count;
    size_t fail_at; /* the nth call of fsync fails; 0: none */
    size_t syncs;
};

static struct log *events(void)
{
    static struct log log;
    return &log;
}

static void happened(char letter)
{
    struct log *log = events();
    if (log->count < sizeof(log->letters) - 1)
        log->letters[log->count++] = letter;
}

int fsync(int fd);
int fsync(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    happened(S_ISDIR(status.st_mode) ? 'D' : 'F');
    if (++events()->syncs == events()->fail_at) {
        errno = EIO;
        return -1;
    }
    return 0;
}

int renameat(int old_folder, const char *old_name, int new_folder, const char *new_name);
int renameat(int old_folder, const char *old_name, int new_folder, const char *new_name)
{
    happened('R');
    return (int)syscall(SYS_renameat2, old_folder, old_name, new_folder, new_name, 0);
}

static void begin(size_t fail_at)
{
    *events() = (struct log){.fail_at = fail_at};
}

static void assert_events(const char *expected)
{
    assert_string_equal(events()->letters, expected);
}

static void synced_in_this_order(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    begin(0);
    OK(put_named(folder, "a", why));
    assert_events("DFRD"); /* the folder's own name; the file; its name */
    begin(0);
    OK(put_named(folder, "b", why));
    assert_events("FRD");
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 99;
    OK(queue_take(folder, &requests, &bad, why));
    begin(0);
    OK(queue_done(folder, requests.items[0].file, why));
    assert_events("D");
    /* Whoever removed it may have been killed before that. */
    begin(0);
    OK(queue_done(folder, requests.items[0].file, why));
    assert_events("D");
    begin(0);
}

static void what_is_not_synced_is_not_there(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    OK(put_named(folder, "before", why));
    AUTO_FREE char *before = list(folder, "");
    static const char *const expected[] = {"F", "FRD"};
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        begin(i + 1);
        AUTO_ERROR struct error error = {0};
        assert_int_equal(put_named(folder, "a", &error), -1);
        assert_non_null(strstr(error.message, strerror(EIO)));
        assert_events(expected[i]);
        assert_list(folder, "", before);
    }
    begin(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_in_this_order),
        cmocka_unit_test(what_is_not_synced_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
