#include "ceph/mon_target.h"
#include "cmocka_compat.h"

/* The list as "[protocol]host|port" words. */
static char *read_back(const char *text)
{
    static const char *const protocols[] = {"", "v1 ", "v2 "};
    AUTO_ERROR struct error error = {0};
    AUTO_MON_TARGETS struct mon_targets targets = {0};
    if (mon_targets_parse(text, &targets, &error) < 0) {
        assert_int_equal(error.code, ERROR_INPUT);
        assert_non_null(error.hint);
        return text_format("refused");
    }
    struct buffer list = {0};
    for (size_t i = 0; i < targets.count; i++)
        buffer_format(&list, "%s%s%s|%s", i ? ", " : "", protocols[targets.items[i].protocol],
                      targets.items[i].host, targets.items[i].port ? targets.items[i].port : "");
    return buffer_take(&list);
}

static void addresses(void **state UNUSED)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"10.0.0.1", "10.0.0.1|"},
        {"10.0.0.1:6789", "10.0.0.1|6789"},
        {"mon1.example.org:3300,mon2", "mon1.example.org|3300, mon2|"},
        {"a, b;c\td\n", "a|, b|, c|, d|"},
        {"[2001:db8::1]:6789", "2001:db8::1|6789"},
        {"[::1]", "::1|"},
        {"::1,fe80::2", "::1|, fe80::2|"},
        {"v2:10.0.0.1:3300/0", "v2 10.0.0.1|3300"},
        {"v1:10.0.0.1", "v1 10.0.0.1|"},
        {"any:10.0.0.1:13300", "10.0.0.1|13300"},
        {"[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0],[v2:10.0.0.2:3300/0,v1:10.0.0.2:6789/0]",
         "v2 10.0.0.1|3300, v1 10.0.0.1|6789, v2 10.0.0.2|3300, v1 10.0.0.2|6789"},
        {"[v2:[::1]:3300/0,v1:[::1]:6789/0]", "v2 ::1|3300, v1 ::1|6789"},
        {"[v2:10.0.0.1]", "v2 10.0.0.1|"},
        {"10.0.0.1:0", "10.0.0.1|"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *got = read_back(cases[i].text);
        assert_string_equal(got, cases[i].expected);
    }
}

static void refusals(void **state UNUSED)
{
    static const char *const texts[] = {
        "",
        " , ;",
        "a b:c",      /* a port of letters */
        "host:99999", /* no such port */
        "host:123456",
        "host:",
        ":6789",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[10.0.0.1]:6789",
        "-host",
        "--mon-host=10.0.0.1",
        "$cluster", /* librados would expand it */
        "host\\",
        "h%6f",
        "fe80::1%eth0",
        "host/../x",
        "host=1",
        "h\x01",
        "h\xc3\xb6st",
        "v2:",
        "v3:10.0.0.1",
        "v2:v1:10.0.0.1",
        "[",
        "]",
        "[]",
        "10.0.0.1:6789/x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        AUTO_FREE char *got = read_back(texts[i]);
        if (strcmp(got, "refused") != 0)
            fail_msg("'%s' was read as %s", texts[i], got);
    }
}

static void bounds(void **state UNUSED)
{
    struct buffer many = {0};
    for (int i = 0; i < 100; i++)
        buffer_format(&many, "10.0.0.%d,", i);
    AUTO_FREE char *list = buffer_take(&many);
    AUTO_FREE char *got = read_back(list);
    assert_string_equal(got, "refused");

    char name[400];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    AUTO_FREE char *longest = read_back(name);
    assert_string_equal(longest, "refused");
}

static void the_wrong_word_is_named(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    AUTO_MON_TARGETS struct mon_targets targets = {0};
    assert_int_equal(mon_targets_parse("10.0.0.1,bad\x1bhost,10.0.0.2", &targets, &error), -1);
    assert_string_equal(error.message, "'bad?host' is not a monitor's address");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(refusals),
        cmocka_unit_test(bounds),
        cmocka_unit_test(the_wrong_word_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
