/* YAML as such: what is no YAML, what the format leaves out of it, and the bounds. */
#include "policy_fixture.h"

/* What is wrong is said in libyaml's words, which differ from version to version; the place is not
 * theirs alone. */
static void test_not_yaml(void **state UNUSED)
{
    static const struct {
        const char *yaml, *place;
    } cases[] = {
        {"version: 1\nverify: \"full\n", "p.yaml:3:1: "},
        {"version: 1\nlimits: {per_host: 2\n", "p.yaml:3:1: "},
        {"version: 1\n\tverify: full\n", "p.yaml:2:1: "},
        {"version: 1\nverify: @full\n", "p.yaml:2:9: "},
        {"version: 1\nverify: full\n  more: a\n", "p.yaml:3:7: "},
        {"version: 1\nverify: \xff\xfe\n", "p.yaml:2:9: "},
        {"version: 1\nverify: ä\xc3(\n", "p.yaml:2:11: "},
        {"version: 1\nverify: \x01\n", "p.yaml:2:9: "},
        {"version: 1\nverify: \"\\q\"\n", "p.yaml:2:10: "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ERROR struct error error = {0};
        const struct policy *policy = NULL;
        const char *yaml = cases[i].yaml;
        assert_int_equal(policy_parse(yaml, strlen(yaml), "p.yaml", &policy, &error), -1);
        AUTO_FREE char *start = text_format("%snot valid YAML: ", cases[i].place);
        if (!text_starts_with(error.message, start))
            fail_msg("'%s' does not begin with '%s'", error.message, start);
    }
}

static void test_left_out(void **state UNUSED)
{
    static const struct error_case cases[] = {
        {"", "p.yaml:1:1: there is no 'version'", "the file begins with 'version: 1'"},
        {"# nothing\n", "p.yaml:1:1: there is no 'version'", NULL},
        {"---\n", "p.yaml:1:1: there is no 'version'", NULL},
        {"~\n", "p.yaml:1:1: there is no 'version'", NULL},
        {"verify: full\n", "p.yaml:1:1: there is no 'version'", NULL},
        {"- a\n", "p.yaml:1:1: expected a mapping of settings, found a list", NULL},
        {"text\n", "p.yaml:1:1: expected a mapping of settings, found 'text'", NULL},
        {"version: 1\n---\nversion: 1\n", "p.yaml:2:1: a second document begins here", NULL},
        {"version: 1\nverify: &a full\n", "p.yaml:2:9: anchors and aliases are not taken here",
         NULL},
        {"version: 1\nverify: *a\n", "p.yaml:2:9: anchors and aliases are not taken here", NULL},
        {"version: 1\nlimits: &a {per_host: 2}\n",
         "p.yaml:2:9: anchors and aliases are not taken here", NULL},
        {"version: 1\nrules: &a []\n", "p.yaml:2:8: anchors and aliases are not taken here", NULL},
        {"version: 1\nverify: !!str full\n", "p.yaml:2:9: tags are not taken here", NULL},
        {"version: 1\nverify: ! full\n", "p.yaml:2:9: tags are not taken here", NULL},
        {"version: 1\nlimits: !a {per_host: 2}\n", "p.yaml:2:9: tags are not taken here", NULL},
        {"version: 1\nrules: !a []\n", "p.yaml:2:8: tags are not taken here", NULL},
        {"%TAG ! !x\n---\nversion: 1\n", "p.yaml:1:1: tags are not taken here", NULL},
        {"version: 1\n{a: b}: c\n", "p.yaml:2:1: expected a key, found a mapping", NULL},
        {"version: 1\n? [a]\n: c\n", "p.yaml:2:3: expected a key, found a list", NULL},
        {"version: 1\nverify: \"fu\\0ll\"\n",
         "p.yaml:2:9: line breaks and control characters are not taken in a value", NULL},
        {"version: 1\nverify: \"fu\\e[31mll\"\n",
         "p.yaml:2:9: line breaks and control characters are not taken in a value", NULL},
        {"version: 1\nverify: \"\\u009b31m\"\n",
         "p.yaml:2:9: line breaks and control characters are not taken in a value", NULL},
        {"version: 1\nverify: |\n  full\n",
         "p.yaml:2:9: line breaks and control characters are not taken in a value", NULL},
        {"version: 1\nversion: 1\n", "p.yaml:2:1: 'version' is given again, first at p.yaml:1:1",
         NULL},
    };
    assert_errors(cases, ARRAY_SIZE(cases));
}

static void test_taken(void **state UNUSED)
{
    static const char *const texts[] = {
        "version: 1",
        "version: 1\n...\n",
        "---\nversion: 1\n",
        "%YAML 1.1\n---\nversion: 1\n",
        "\xef\xbb\xbfversion: 1\n",
        "version: 1\r\nverify: none\r\n",
        "{version: 1, 'verify': \"none\"}",
        "version: 1\nverify: >-\n  none\n",
        "version: 1\nclusters: {}\ntiers: {}\nrules: []\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        policy_free(parse_ok(texts[i]));
}

/* Text in UTF-16 would pass by every look at its bytes. */
static void test_utf16(void **state UNUSED)
{
    static const char text[] = "\xff\xfev\0e\0r\0s\0i\0o\0n\0:\0 \0001\0\n";
    AUTO_ERROR struct error error = {0};
    const struct policy *policy = NULL;
    assert_int_equal(policy_parse(text, sizeof(text), "p.yaml", &policy, &error), -1);
    assert_true(text_starts_with(error.message, "p.yaml:1:1: not valid YAML: "));
}

static void assert_refused(const struct buffer *text, const char *message)
{
    AUTO_ERROR struct error error = {0};
    const struct policy *policy = NULL;
    assert_int_equal(policy_parse(text->text, text->length, "p.yaml", &policy, &error), -1);
    assert_null(policy);
    assert_string_equal(error.message, message);
    assert_int_equal(error.code, ERROR_POLICY);
}

static void test_depth(void **state UNUSED)
{
    AUTO_BUFFER struct buffer text = {0};
    buffer_add(&text, "version: 1\nrules: ");
    for (unsigned i = 0; i < 15; i++)
        buffer_add(&text, "[");
    AUTO_BUFFER struct buffer deeper = {0};
    buffer_format(&deeper, "%s[", text.text);
    assert_refused(&deeper, "p.yaml:2:23: nested deeper than 16 levels");
    for (unsigned i = 0; i < 15; i++)
        buffer_add(&text, "]");
    assert_refused(&text, "p.yaml:2:9: rules: expected a rule, which is a mapping, found a list");

    AUTO_BUFFER struct buffer abyss = {0};
    for (unsigned i = 0; i < 500000; i++)
        buffer_add(&abyss, "[");
    assert_refused(&abyss, "p.yaml:1:17: nested deeper than 16 levels");
}

static void test_size(void **state UNUSED)
{
    AUTO_BUFFER struct buffer text = {0};
    buffer_add(&text, "version: 1\n");
    while (text.length < 1 << 20)
        buffer_add(&text, "#");
    AUTO_ERROR struct error error = {0};
    const struct policy *policy = NULL;
    assert_int_equal(policy_parse(text.text, text.length, "p.yaml", &policy, &error), 0);
    policy_free(policy);
    buffer_add(&text, "#");
    assert_refused(&text, "p.yaml:1:1: larger than 1048576 bytes");
}

static void test_number_of_values(void **state UNUSED)
{
    AUTO_BUFFER struct buffer text = {0};
    buffer_add(&text, "version: 1\nsource: {allow_loss: [group");
    for (unsigned i = 8; i < 20000; i++) /* 8 are there: mappings, keys, values and the list */
        buffer_add(&text, ",group");
    AUTO_BUFFER struct buffer more = {0};
    buffer_format(&more, "%s,group]}\n", text.text);
    buffer_add(&text, "]}\n");
    policy_free(parse_ok(text.text));
    assert_refused(&more, "p.yaml:2:119981: the policy has more than 20000 values");
}

static void test_long_value(void **state UNUSED)
{
    AUTO_BUFFER struct buffer text = {0};
    buffer_add(&text, "version: 1\nverify: ");
    for (unsigned i = 0; i < 4097; i++)
        buffer_add(&text, "x");
    assert_refused(&text, "p.yaml:2:9: a value of more than 4096 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_yaml),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_utf16),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_number_of_values),
        cmocka_unit_test(test_long_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
