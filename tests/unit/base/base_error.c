/* The error type: who owns what, what quotes what, and which exit status comes of it. */
#include "cmocka_compat.h"

#include "base/error.h"
#include "base/text.h"

static void set_fills_code_and_message(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    assert_false(error_is_set(&error));
    assert_int_equal(error_set(&error, ERROR_BUSY, "disk %s: %d", "vda", 7), -1);
    assert_true(error_is_set(&error));
    assert_int_equal(error.code, ERROR_BUSY);
    assert_string_equal(error.message, "disk vda: 7");
    assert_null(error.hint);
}

static void set_replaces_message_and_hint(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    error_set(&error, ERROR_FAILED, "first");
    assert_int_equal(error_hint(&error, "hint %d", 1), -1);
    error_set(&error, ERROR_DENIED, "second");
    assert_int_equal(error.code, ERROR_DENIED);
    assert_string_equal(error.message, "second");
    assert_null(error.hint); /* the old hint would mislead */
}

static void messages_may_quote_themselves(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    error_set(&error, ERROR_FAILED, "inner");
    error_set(&error, ERROR_FAILED, "outer (%s)", error.message);
    assert_string_equal(error.message, "outer (inner)");
    error_hint(&error, "a");
    error_hint(&error, "%sb", error.hint);
    assert_string_equal(error.hint, "ab");
    assert_int_equal(error_prefix(&error, "%s", error.message), -1);
    assert_string_equal(error.message, "outer (inner): outer (inner)");
}

static void prefix_keeps_code_and_hint(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    error_set(&error, ERROR_NO_SPACE, "full");
    error_hint(&error, "make room");
    error_prefix(&error, "disk %s", "vda");
    assert_int_equal(error.code, ERROR_NO_SPACE);
    assert_string_equal(error.message, "disk vda: full");
    assert_string_equal(error.hint, "make room");
}

static void prefix_of_an_empty_error(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    error_prefix(&error, "disk vda");
    assert_string_equal(error.message, "disk vda: ");
}

static void move_leaves_nothing_behind(void **state UNUSED)
{
    AUTO_ERROR struct error target = {0};
    AUTO_ERROR struct error source = {0};
    error_set(&target, ERROR_FAILED, "old");
    error_hint(&target, "old hint");
    error_set(&source, ERROR_CANCELLED, "new");
    error_move(&target, &source);
    assert_int_equal(target.code, ERROR_CANCELLED);
    assert_string_equal(target.message, "new");
    assert_null(target.hint);
    assert_false(error_is_set(&source));
    assert_null(source.message);
    assert_null(source.hint);
}

static void clear_may_be_repeated(void **state UNUSED)
{
    struct error error = {0};
    error_set(&error, ERROR_FAILED, "x");
    error_hint(&error, "y");
    error_clear(&error);
    error_clear(&error);
    assert_false(error_is_set(&error));
    assert_null(error.message);
    assert_null(error.hint);
}

/* The table of virt-pivot(1). */
static void exit_statuses(void **state UNUSED)
{
    static const struct {
        enum error_code code;
        int status;
    } cases[] = {
        {ERROR_NONE, 0},         {ERROR_FAILED, 1},    {ERROR_USAGE, 2},
        {ERROR_POLICY, 2},       {ERROR_NOTHING, 3},   {ERROR_OPERATOR, 4},
        {ERROR_INPUT, 1},        {ERROR_NOT_FOUND, 1}, {ERROR_EXISTS, 1},
        {ERROR_BUSY, 1},         {ERROR_DENIED, 1},    {ERROR_UNREACHABLE, 1},
        {ERROR_DISCONNECTED, 1}, {ERROR_CANCELLED, 1}, {ERROR_UNSUPPORTED, 1},
        {ERROR_NO_SPACE, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(error_exit_status(&(struct error){.code = cases[i].code}),
                         cases[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_code_and_message),
        cmocka_unit_test(set_replaces_message_and_hint),
        cmocka_unit_test(messages_may_quote_themselves),
        cmocka_unit_test(prefix_keeps_code_and_hint),
        cmocka_unit_test(prefix_of_an_empty_error),
        cmocka_unit_test(move_leaves_nothing_behind),
        cmocka_unit_test(clear_may_be_repeated),
        cmocka_unit_test(exit_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
