#include "cmocka_compat.h"

#include "cli/check_report.h"

#include <json-c/json.h>

static void nothing_wrong_is_0(void **state UNUSED)
{
    CLEANUP(check_report_clear) struct check_report report = {0};
    AUTO_ERROR struct error error = {0};
    assert_int_equal(check_report_conclude(&report, &error), 0);
    check_add(&report, CHECK_OK, "policy", "valid");
    check_add(&report, CHECK_WARNING, "hook", "not installed");
    assert_int_equal(check_report_conclude(&report, &error), 0);
    assert_int_equal(error_exit_status(&error), 0);
    assert_int_equal(report.warnings, 1);
    assert_int_equal(report.errors, 0);
}

static void an_error_is_1(void **state UNUSED)
{
    CLEANUP(check_report_clear) struct check_report report = {0};
    AUTO_ERROR struct error error = {0};
    check_add(&report, CHECK_ERROR, "cluster flash", "nobody answers");
    check_add(&report, CHECK_OK, "state", "writable");
    assert_int_equal(check_report_conclude(&report, &error), -1);
    assert_int_equal(error_exit_status(&error), 1);
    assert_string_equal(error.message, "1 check failed");
}

static void a_wrong_policy_is_2(void **state UNUSED)
{
    CLEANUP(check_report_clear) struct check_report report = {.policy_wrong = true};
    AUTO_ERROR struct error error = {0};
    check_add(&report, CHECK_ERROR, "policy", "policy.yaml:3:1: unknown key");
    check_add(&report, CHECK_ERROR, "state", "not yours");
    assert_int_equal(check_report_conclude(&report, &error), -1);
    assert_int_equal(error_exit_status(&error), 2);
    assert_string_equal(error.message, "2 checks failed, the policy's among them");
}

static char *print(struct check_report *report)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    check_report_print(report, file);
    fclose(file);
    return text;
}

static void lines_are_printed_once_with_their_hints(void **state UNUSED)
{
    CLEANUP(check_report_clear) struct check_report report = {0};
    check_add(&report, CHECK_OK, "policy", "valid: %s", "p.yaml");
    check_add(&report, CHECK_WARNING, "a subject that is long", "text");
    check_hint(&report, "replaced");
    check_hint(&report, "do %d things", 2);
    AUTO_FREE char *first = print(&report);
    assert_string_equal(first, "ok       policy              valid: p.yaml\n"
                               "warning  a subject that is long  text\n"
                               "         hint: do 2 things\n");
    AUTO_FREE char *second = print(&report);
    assert_string_equal(second, "");
    AUTO_ERROR struct error error = {0};
    error_set(&error, ERROR_DENIED, "refused");
    error_hint(&error, "ask");
    check_add_failure(&report, CHECK_ERROR, "tier x", &error);
    AUTO_FREE char *third = print(&report);
    assert_string_equal(third, "error    tier x              refused\n         hint: ask\n");
}

/* Names may be anybody's: no escape sequence reaches the terminal, no line is forged. */
static void control_characters_are_not_printed(void **state UNUSED)
{
    CLEANUP(check_report_clear) struct check_report report = {0};
    check_add(&report, CHECK_OK, "tier \033[2J", "a\nok  forged\x7f");
    AUTO_FREE char *text = print(&report);
    assert_string_equal(text, "ok       tier ?[2J           a?ok  forged?\n");
}

static const char *text_of(struct json_object *json, const char *key)
{
    return json_object_get_string(json_object_object_get(json, key));
}

static void json_has_every_line(void **state UNUSED)
{
    CLEANUP(check_report_clear) struct check_report report = {0};
    check_add(&report, CHECK_OK, "policy", "valid");
    check_add(&report, CHECK_ERROR, "hook", "quote \" and \n");
    check_hint(&report, "mend it");
    struct json_object *json = check_report_json(&report);
    struct json_object *checks = json_object_object_get(json, "checks");
    assert_int_equal(json_object_array_length(checks), 2);
    struct json_object *first = json_object_array_get_idx(checks, 0);
    struct json_object *second = json_object_array_get_idx(checks, 1);
    assert_string_equal(text_of(first, "status"), "ok");
    assert_string_equal(text_of(first, "subject"), "policy");
    assert_string_equal(text_of(first, "text"), "valid");
    assert_null(json_object_object_get(first, "hint"));
    assert_true(json_object_object_get_ex(first, "hint", NULL));
    assert_string_equal(text_of(second, "status"), "error");
    assert_string_equal(text_of(second, "text"), "quote \" and \n");
    assert_string_equal(text_of(second, "hint"), "mend it");
    assert_int_equal(json_object_get_int(json_object_object_get(json, "errors")), 1);
    assert_int_equal(json_object_get_int(json_object_object_get(json, "warnings")), 0);
    json_object_put(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_wrong_is_0),
        cmocka_unit_test(an_error_is_1),
        cmocka_unit_test(a_wrong_policy_is_2),
        cmocka_unit_test(lines_are_printed_once_with_their_hints),
        cmocka_unit_test(control_characters_are_not_printed),
        cmocka_unit_test(json_has_every_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
