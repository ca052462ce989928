#include "policy/mons.h"

#include "policy_fixture.h"

/* The addresses in one line: "host:port host". */
static char *addresses_text(const struct mon_addresses *mons)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < mons->count; i++) {
        const struct mon_address *mon = &mons->items[i];
        buffer_format(&text, "%s%s%s%s", i ? " " : "", mon->host, mon->port ? "|" : "",
                      mon->port ? mon->port : "");
    }
    return buffer_take(&text);
}

static void test_addresses(void **state UNUSED)
{
    static const struct {
        const char *text, *addresses;
    } cases[] = {
        {"mon1", "mon1"},
        {"Mon1.Example.ORG", "mon1.example.org"},
        {"mon1:6789", "mon1|6789"},
        {"10.0.0.1", "10.0.0.1"},
        {"10.0.0.1:3300", "10.0.0.1|3300"},
        {"127.0.0.1:13300", "127.0.0.1|13300"},
        {"10.0.0.1:6789/0", "10.0.0.1|6789"},
        {"10.0.0.1/0", "10.0.0.1"},
        {"[::1]:6789", "::1|6789"},
        {"[::1]", "::1"},
        {"::1", "::1"},
        {"fd00:0:0:0:0:0:0:1", "fd00::1"},
        {"[FD00::1]:3300/0", "fd00::1|3300"},
        {"v2:1.2.3.4:3300/0", "1.2.3.4|3300"},
        {"v1:1.2.3.4:6789/0", "1.2.3.4|6789"},
        {"v2:1.2.3.4", "1.2.3.4|3300"},
        {"v1:1.2.3.4", "1.2.3.4|6789"},
        {"any:1.2.3.4", "1.2.3.4"},
        {"v2:[::1]:3300/0", "::1|3300"},
        {"[v2:1.2.3.4:3300/0,v1:1.2.3.4:6789/0]", "1.2.3.4|3300 1.2.3.4|6789"},
        {"[v2:[::1]:3300/0,v1:[::1]:6789/0],[v2:[::2]:3300/0,v1:[::2]:6789/0]",
         "::1|3300 ::1|6789 ::2|3300 ::2|6789"},
        {"a,b c; d\te", "a b c d e"},
        {" , a ,, ", "a"},
        {"a,A,a:6789,a", "a a|6789"},
        {"10.0.0.1:03300", "10.0.0.1|3300"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ERROR struct error error = {0};
        CLEANUP(policy_mons_clear) struct mon_addresses mons = {0};
        if (policy_mons_read(cases[i].text, &mons, &error) < 0)
            fail_msg("'%s': %s", cases[i].text, error.message);
        AUTO_FREE char *text = addresses_text(&mons);
        assert_string_equal(text, cases[i].addresses);
    }
}

static void test_bad_addresses(void **state UNUSED)
{
    static const char *const cases[] = {
        "",           " , ",       ":6789",    "a:",         "a:0",      "a:65536",     "a:123456",
        "a:x",        "a:-1",      "a/x",      "a/",         "a b/c/d",  "[::1",        "[mon1]",
        "[10.0.0.1]", "::1]:6789", "[v2:a",    "[v2:a,v1:b", "a]",       "mon_1!",      "mon@1",
        "-mon",       "v2:",       "[[v2:a]]", "fe80::1%0",  "a\\:6789", "http://mon1", "[]",
        "[v2:]",      "mön",       "1:2:3",    "[::1]6789",
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ERROR struct error error = {0};
        CLEANUP(policy_mons_clear) struct mon_addresses mons = {0};
        if (policy_mons_read(cases[i], &mons, &error) == 0)
            fail_msg("'%s' is taken for an address", cases[i]);
        assert_int_equal(error.code, ERROR_INPUT);
        assert_non_null(error.hint);
    }
}

static void test_too_many(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    AUTO_BUFFER struct buffer text = {0};
    CLEANUP(policy_mons_clear) struct mon_addresses mons = {0};
    for (unsigned i = 0; i < 64; i++)
        buffer_format(&text, "mon%u,", i);
    assert_int_equal(policy_mons_read(text.text, &mons, &error), 0);
    assert_int_equal(mons.count, 64);
    assert_int_equal(policy_mons_read("mon64", &mons, &error), -1);
    assert_string_equal(error.message, "more than 64 monitors");
}

static void test_same(void **state UNUSED)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"mon1", "mon1", true},
        {"mon1", "MON1", true},
        {"mon1", "mon2", false},
        {"mon1", "mon1:6789", true},
        {"mon1", "mon1:3300", true},
        {"mon1", "mon1:13300", false},
        {"mon1:3300", "mon1:6789", false},
        {"mon1:13300", "mon1:13300", true},
        {"127.0.0.1:13300", "127.0.0.1:13301", false},
        {"[fd00::0001]", "fd00::1", true},
        {"v1:mon1", "mon1", true},
        {"v1:mon1", "v2:mon1", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ERROR struct error error = {0};
        CLEANUP(policy_mons_clear) struct mon_addresses a = {0};
        CLEANUP(policy_mons_clear) struct mon_addresses b = {0};
        assert_int_equal(policy_mons_read(cases[i].a, &a, &error), 0);
        assert_int_equal(policy_mons_read(cases[i].b, &b, &error), 0);
        if (policy_mon_same(&a.items[0], &b.items[0]) != cases[i].same ||
            policy_mon_same(&b.items[0], &a.items[0]) != cases[i].same)
            fail_msg("'%s' and '%s'", cases[i].a, cases[i].b);
    }
}

static void test_ceph_conf(void **state UNUSED)
{
    static const struct {
        const char *text, *mon_host;
    } cases[] = {
        {"[global]\nmon host = a,b\n", "a,b"},
        {"[global]\nmon_host=a\n", "a"},
        {"[global]\n  mon   host  =  a b \n", "a b"},
        {"[global]\nmon_host = a", "a"},
        {"[global]\r\nmon_host = a\r\n", "a"},
        {"\n# mon_host = x\n; mon_host = y\n[global] # here\nmon_host = a # old: b\n", "a"},
        {"[global]\nmon_host = a,\\\nb,\\\nc\nfsid = x\n", "a,b,c"},
        {"[global]\n# mon_host = x \\\nmon_host = a\n", "a"},
        {"[global]\nmon_host = \"a, b\"\n", "a, b"},
        {"[global]\nmon_host = 'a'\n", "a"},
        {"[global]\nmon_host = a\nmon host = b\n", "b"},
        {"[client]\nmon_host = x\n[global]\nmon_host = a\n[mon]\nmon_host = y\n", "a"},
        {"[global]\nfsid = 1\n[osd]\nx = y\n[global]\nmon_host = a\n", "a"},
        {"[ global ]\nmon_host = a\n", "a"},
        {"mon_host = a\n", "a"},
        {"[global]\nmon_host = [v2:1.2.3.4:3300/0,v1:1.2.3.4:6789/0]\n",
         "[v2:1.2.3.4:3300/0,v1:1.2.3.4:6789/0]"},
        {"[global]\nmon_host =\n", NULL},
        {"[global]\nmon_hosts = a\nmon_hos = b\nmon = c\n", NULL},
        {"[client]\nmon_host = a\n", NULL},
        {"[global]\nfsid = x\n", NULL},
        {"", NULL},
        {"[global", NULL},
        {"[global]\nmon_host = a\\", "a\\"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *found = policy_conf_mon_host(cases[i].text, strlen(cases[i].text));
        if (!text_equal(found, cases[i].mon_host))
            fail_msg("'%s' in:\n%s", found ? found : "(none)", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_too_many),  cmocka_unit_test(test_same),
        cmocka_unit_test(test_ceph_conf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
