#include "ceph/private.h"
#include "cmocka_compat.h"

static void codes(void **state UNUSED)
{
    static const struct {
        int result;
        enum error_code code;
    } cases[] = {
        {-ENOENT, ERROR_NOT_FOUND},
        {-EEXIST, ERROR_EXISTS},
        {-EBUSY, ERROR_BUSY},
        {-EROFS, ERROR_BUSY},
        {-EACCES, ERROR_DENIED},
        {-EPERM, ERROR_DENIED},
        {-ETIMEDOUT, ERROR_UNREACHABLE},
        {-ESHUTDOWN, ERROR_DISCONNECTED},
        {-ENOTCONN, ERROR_DISCONNECTED},
        {-ENOSPC, ERROR_NO_SPACE},
        {-EDQUOT, ERROR_NO_SPACE},
        {-EOPNOTSUPP, ERROR_UNSUPPORTED},
        {-ENOSYS, ERROR_UNSUPPORTED},
        {-EINVAL, ERROR_FAILED},
        {-EIO, ERROR_FAILED},
        {-4095, ERROR_FAILED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(ceph_error_code(cases[i].result), cases[i].code);
}

static void message_and_hint(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_cluster cluster = {.name = "flash", .user = "client.libvirt", .timeout = 7};
    assert_int_equal(
        ceph_failure(&error, &cluster, "fast", -EPERM, "image %s cannot be opened", "fast/db1"),
        -1);
    assert_int_equal(error.code, ERROR_DENIED);
    assert_string_equal(error.message, "cluster 'flash': image fast/db1 cannot be opened: "
                                       "Operation not permitted (-1)");
    assert_non_null(strstr(error.hint, "osd 'profile rbd pool=fast'"));
    assert_non_null(strstr(error.hint, "ceph auth get client.libvirt"));

    ceph_failure(&error, &cluster, NULL, -ETIMEDOUT, "df");
    assert_int_equal(error.code, ERROR_UNREACHABLE);
    assert_non_null(strstr(error.hint, "7 s"));
    ceph_failure(&error, &cluster, NULL, -ESHUTDOWN, "df");
    assert_non_null(strstr(error.message, "blocklist"));
    ceph_failure(&error, &cluster, "fast", -EDQUOT, "df");
    assert_non_null(strstr(error.hint, "get-quota fast"));
    ceph_failure(&error, &cluster, "fast", -EIO, "df"); /* nothing to advise */
    assert_null(error.hint);
}

static void printable(void **state UNUSED)
{
    AUTO_FREE char *clean = ceph_printable("a\tb\x7f\x1b[1m");
    assert_string_equal(clean, "a?b??[1m");
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    AUTO_FREE char *cut = ceph_printable(text);
    assert_int_equal(strlen(cut), 200);
}

static void lists(void **state UNUSED)
{
    struct text_list list = {0};
    AUTO_FREE char *none = ceph_list_text(&list);
    assert_string_equal(none, "");
    text_list_append(&list, "a");
    AUTO_FREE char *one = ceph_list_text(&list);
    assert_string_equal(one, "a");
    text_list_append(&list, "b");
    text_list_append(&list, "c");
    AUTO_FREE char *three = ceph_list_text(&list);
    assert_string_equal(three, "a, b and c");
    text_list_clear(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes),
        cmocka_unit_test(message_and_hint),
        cmocka_unit_test(printable),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
