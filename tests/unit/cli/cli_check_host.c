/* The parts of `check` that look at files of this host. */
#include "cmocka_compat.h"

#include "cli/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

static int set_up(void **state)
{
    char *folder = text_dup("/tmp/vp-check-host-XXXXXX");
    *state = folder;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status UNUSED, int kind UNUSED,
                      struct FTW *place UNUSED)
{
    return remove(path);
}

static int tear_down(void **state)
{
    int result = nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return result;
}

static char *make_file(const char *folder, const char *name, mode_t mode)
{
    char *path = text_format("%s/%s", folder, name);
    AUTO_CLOSE int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    return path;
}

static void put_file(const char *folder, const char *name, mode_t mode)
{
    free(make_file(folder, name, mode));
}

static void assert_hook(const char *folder, enum hook_state expected, const char *name)
{
    AUTO_FREE char *path = NULL;
    assert_int_equal(hook_look(folder, &path), expected);
    if (!name) {
        assert_null(path);
        return;
    }
    AUTO_FREE char *whole = text_format("%s/%s", folder, name);
    assert_string_equal(path, whole);
}

static void no_folder_and_no_hook_are_missing(void **state)
{
    assert_hook("/nonexistent/qemu.d", HOOK_MISSING, NULL);
    assert_hook(*state, HOOK_MISSING, NULL);
    put_file(*state, "50-other", 0755);
    assert_hook(*state, HOOK_MISSING, NULL);
}

static void a_hook_is_known_by_its_name(void **state)
{
    put_file(*state, "virt-pivot-hook", 0755);
    assert_hook(*state, HOOK_INSTALLED, "virt-pivot-hook");
}

static void a_hook_is_known_by_what_it_links_to(void **state)
{
    AUTO_FREE char *elsewhere = text_format("%s/libexec", (char *)*state);
    AUTO_FREE char *link = text_format("%s/50-pivot", (char *)*state);
    assert_int_equal(mkdir(elsewhere, 0755), 0);
    AUTO_FREE char *program = make_file(elsewhere, "virt-pivot-hook", 0755);
    assert_int_equal(symlink(program, link), 0);
    assert_hook(*state, HOOK_INSTALLED, "50-pivot");
}

static void a_hook_that_cannot_run_is_broken(void **state)
{
    put_file(*state, "virt-pivot-hook", 0644);
    assert_hook(*state, HOOK_BROKEN, "virt-pivot-hook");
}

static void a_link_to_nowhere_is_broken(void **state)
{
    AUTO_FREE char *link = text_format("%s/50-pivot", (char *)*state);
    assert_int_equal(symlink("/nonexistent/virt-pivot-hook", link), 0);
    assert_hook(*state, HOOK_BROKEN, "50-pivot");
}

static void one_that_runs_is_enough(void **state)
{
    AUTO_FREE char *link = text_format("%s/10-stale", (char *)*state);
    assert_int_equal(symlink("/nonexistent/virt-pivot-hook", link), 0);
    put_file(*state, "virt-pivot-hook", 0755);
    assert_hook(*state, HOOK_INSTALLED, "virt-pivot-hook");
}

/* ---- the state directory ---- */

static void assert_state(const char *directory, enum check_status expected, const char *text)
{
    CLEANUP(check_report_clear) struct check_report report = {0};
    check_state_directory(&report, directory);
    assert_int_equal(report.lines.count, 1);
    if (!strstr(report.lines.items[0].text, text))
        fail_msg("'%s' lacks '%s'", report.lines.items[0].text, text);
    assert_int_equal(report.lines.items[0].status, expected);
}

static void a_private_directory_is_fine(void **state)
{
    assert_state(*state, CHECK_OK, "is writable");
}

static void one_that_others_may_enter_is_not(void **state)
{
    assert_int_equal(chmod(*state, 0710), 0);
    assert_state(*state, CHECK_WARNING, "mode 0710");
    assert_int_equal(chmod(*state, 0700), 0);
}

static void one_that_can_be_made_is_fine_and_is_not_made(void **state)
{
    AUTO_FREE char *path = text_format("%s/new/", (char *)*state);
    assert_state(path, CHECK_OK, "not there yet");
    assert_int_equal(access(path, F_OK), -1);
}

static void one_that_cannot_be_made_is_an_error(void **state UNUSED)
{
    assert_state("/nonexistent/state", CHECK_ERROR, "may not make it");
}

static void a_file_is_no_directory(void **state)
{
    AUTO_FREE char *path = make_file(*state, "file", 0600);
    assert_state(path, CHECK_ERROR, "not a directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_folder_and_no_hook_are_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hook_is_known_by_its_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hook_is_known_by_what_it_links_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hook_that_cannot_run_is_broken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_to_nowhere_is_broken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_runs_is_enough, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_private_directory_is_fine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_others_may_enter_is_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_can_be_made_is_fine_and_is_not_made, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_cannot_be_made_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_is_no_directory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
