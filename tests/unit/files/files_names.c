/* Files renamed and removed: nothing is ever replaced, and what was done before is success. */
#include "files_fixture.h"

static void renamed_and_back(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *from = file_new(folder, "disk.raw", "data");
    AUTO_FREE char *to = text_format("%s.virt-pivot-7", from);
    assert_int_equal(files_rename(from, to, &error), 0);
    assert_int_equal(access(from, F_OK), -1);
    assert_true(holds(to, "data"));
    assert_int_equal(files_rename(from, to, &error), 0);
    assert_int_equal(files_rename(to, from, &error), 0);
    assert_true(holds(from, "data"));
}

static void never_replaces(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *from = file_new(folder, "a", "first");
    AUTO_FREE char *to = file_new(folder, "b", "second");
    assert_int_equal(files_rename(from, to, &error), -1);
    assert_int_equal(error.code, ERROR_EXISTS);
    assert_true(holds(from, "first") && holds(to, "second"));
}

static void neither_is_there(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *from = text_format("%s/a", folder);
    AUTO_FREE char *to = text_format("%s/b", folder);
    assert_int_equal(files_rename(from, to, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

/* As the way without RENAME_NOREPLACE leaves it, when it is killed in its middle. */
static void half_renamed(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *from = file_new(folder, "a", "data");
    AUTO_FREE char *to = text_format("%s/b", folder);
    assert_int_equal(link(from, to), 0);
    assert_int_equal(files_rename(from, to, &error), 0);
    assert_int_equal(access(from, F_OK), -1);
    assert_true(holds(to, "data"));
}

static void removed_once_and_again(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    struct file_look look;
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *path = file_new(folder, "a", "data");
    assert_int_equal(files_look(path, &look, &error), 0);
    assert_true(look.exists && look.regular && look.size == 4 && look.links == 1);
    assert_int_equal(files_remove(path, &error), 0);
    assert_int_equal(files_remove(path, &error), 0);
    assert_int_equal(files_look(path, &look, &error), 0);
    assert_false(look.exists);
}

static void known_again(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    struct file_look first, moved, second;
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_FREE char *path = file_new(folder, "a", "data");
    AUTO_FREE char *aside = text_format("%s.old", path);
    assert_int_equal(files_look(path, &first, &error), 0);
    assert_int_equal(files_rename(path, aside, &error), 0);
    AUTO_FREE char *again = file_new(folder, "a", "data");
    assert_int_equal(files_look(aside, &moved, &error), 0);
    assert_int_equal(files_look(again, &second, &error), 0);
    assert_string_equal(moved.identity, first.identity);
    assert_string_not_equal(second.identity, first.identity);
}

static void a_folder_is_not_removed(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    AUTO_SCRATCH char *folder = scratch_new();
    assert_int_equal(files_remove(folder, &error), -1);
    assert_int_equal(error.code, ERROR_UNSUPPORTED);
    assert_int_equal(access(folder, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renamed_and_back),
        cmocka_unit_test(never_replaces),
        cmocka_unit_test(neither_is_there),
        cmocka_unit_test(half_renamed),
        cmocka_unit_test(removed_once_and_again),
        cmocka_unit_test(a_folder_is_not_removed),
        cmocka_unit_test(known_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
