/* The table of versions that are known to be bad: the first and the last bad one, and its
 * neighbours that are not. */
#include "cmocka_compat.h"

#include "plan/versions.h"

#include <string.h>

#define FINE 99000000ul

static const struct {
    enum known_bug_id id;
    bool of_libvirt;
    unsigned long version;
    bool bad;
} cases[] = {
    {BUG_RBD_BLOCK_STATUS, false, 6001000, false}, {BUG_RBD_BLOCK_STATUS, false, 6002000, true},
    {BUG_RBD_BLOCK_STATUS, false, 6002999, true},  {BUG_RBD_BLOCK_STATUS, false, 7000000, false},
    {BUG_MIRROR_START, false, 8001999, false},     {BUG_MIRROR_START, false, 8002000, true},
    {BUG_MIRROR_START, false, 9002004, true},      {BUG_MIRROR_START, false, 10000008, true},
    {BUG_MIRROR_START, false, 10000009, false},    {BUG_MIRROR_START, false, 10001000, false},
    {BUG_SYNCHRONOUS, false, 5002000, true},       {BUG_SYNCHRONOUS, false, 7002022, true},
    {BUG_SYNCHRONOUS, false, 8000000, false},      {BUG_IOTHREAD, false, 8000000, false},
    {BUG_IOTHREAD, false, 8001000, true},          {BUG_IOTHREAD, false, 8002000, true},
    {BUG_IOTHREAD, false, 8002001, false},         {BUG_OPEN_HANGS, false, 7001000, false},
    {BUG_OPEN_HANGS, false, 7002000, true},        {BUG_OPEN_HANGS, false, 8002000, true},
    {BUG_OPEN_HANGS, false, 10000004, false},      {BUG_NAMESPACE, true, 7000000, true},
    {BUG_NAMESPACE, true, 11005000, true},         {BUG_NAMESPACE, true, 11006000, false},
};

static void bounds(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct virt_versions versions = {
            cases[i].of_libvirt ? cases[i].version : FINE,
            cases[i].of_libvirt ? FINE : cases[i].version,
        };
        const struct known_bug *bug = known_bug(cases[i].id, &versions);
        if (!bug == cases[i].bad)
            fail_msg("bug %d in version %lu", (int)cases[i].id, cases[i].version);
        if (bug)
            assert_int_equal(bug->owner, cases[i].of_libvirt ? OF_LIBVIRT : OF_QEMU);
    }
}

static void each_says_what_to_do(void **state UNUSED)
{
    const struct virt_versions old = {7000000, 8002000};
    size_t index = 0, count = 0;
    for (const struct known_bug *bug; (bug = known_bug_next(&old, &index)); count++) {
        assert_true(strlen(bug->what) > 20);
        assert_true(strlen(bug->remedy) > 10);
        assert_true(bug->from < bug->before);
    }
    assert_int_equal(count, 4); /* start of a mirror, iothread, open, namespace */
    assert_null(known_bug_next(&old, &index));
}

static void newest_versions_are_fine(void **state UNUSED)
{
    const struct virt_versions fine = {FINE, FINE};
    size_t index = 0;
    assert_null(known_bug_next(&fine, &index));
}

static void librbd_has_rows_of_its_own(void **state UNUSED)
{
    size_t index = 0;
    const struct known_bug *bug = known_librbd_bug_next(16002015, &index);
    assert_non_null(bug);
    assert_int_equal(bug->owner, OF_LIBRBD);
    assert_null(known_librbd_bug_next(16002015, &index));
    index = 0;
    assert_null(known_librbd_bug_next(17000000, &index));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(librbd_has_rows_of_its_own),
        cmocka_unit_test(bounds),
        cmocka_unit_test(each_says_what_to_do),
        cmocka_unit_test(newest_versions_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
