/* Networks and bridges of other hosts, and what they are called here. */
#include "policy_fixture.h"

#define V "version: 1\n"

static void test_names(void **state UNUSED)
{
    const struct policy *p =
        parse_ok(V "networks:\n  br0: br-vm\n  default: lan\n  \"a b\": 'it''s & <x>'\n"
                   "  lan: lan\n  1: 2\n  \"null\": \"~\"\n  netz-ä: ~x\n");
    static const char *const pairs[][2] = {
        {"br0", "br-vm"}, {"default", "lan"}, {"a b", "it's & <x>"}, {"lan", "lan"},
        {"1", "2"},       {"null", "~"},      {"netz-ä", "~x"},
    };
    assert_int_equal(p->networks.count, ARRAY_SIZE(pairs));
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        assert_string_equal(p->networks.items[i].from, pairs[i][0]);
        assert_string_equal(policy_network(p, pairs[i][0]), pairs[i][1]);
    }
    assert_null(policy_network(p, "br-vm"));
    assert_null(policy_network(p, "BR0"));
    assert_null(policy_network(p, "br"));
    assert_null(policy_network(p, ""));
    policy_free(p);

    p = parse_ok(V "networks: {}\n");
    assert_int_equal(p->networks.count, 0);
    assert_null(policy_network(p, "br0"));
    policy_free(p);
}

static void test_bad_names(void **state UNUSED)
{
    static const char hint[] = "1 to 63 bytes, without '/'";
    static const struct error_case cases[] = {
        {V "networks: br0\n",
         "p.yaml:2:11: networks: expected a mapping of networks and bridges, found 'br0'", NULL},
        {V "networks: [br0]\n",
         "p.yaml:2:11: networks: expected a mapping of networks and bridges, found a list", NULL},
        {V "networks: {br0: [a, b]}\n",
         "p.yaml:2:17: networks: expected the name of a network or bridge, found a list", NULL},
        {V "networks: {br0: {name: a}}\n",
         "p.yaml:2:17: networks: expected the name of a network or bridge, found a mapping", NULL},
        {V "networks: {br0: }\n",
         "p.yaml:2:17: networks: expected the name of a network or bridge, found nothing", NULL},
        {V "networks: {~: a}\n",
         "p.yaml:2:12: networks: expected the name of a network or bridge, found nothing", NULL},
        {V "networks: {br0: \"\"}\n",
         "p.yaml:2:17: networks: '' is not the name of a network or bridge", hint},
        {V "networks: {\"\": a}\n",
         "p.yaml:2:12: networks: '' is not the name of a network or bridge", hint},
        {V "networks: {br0: a/b}\n",
         "p.yaml:2:17: networks: 'a/b' is not the name of a network or bridge", hint},
        {V "networks: {/br0: a}\n",
         "p.yaml:2:12: networks: '/br0' is not the name of a network or bridge", hint},
        {V "networks: {br0: \"a\\x01b\"}\n",
         "p.yaml:2:17: line breaks and control characters are not taken in a value", NULL},
        {V "networks: {\"a\\nb\": c}\n",
         "p.yaml:2:12: line breaks and control characters are not taken in a value", NULL},
        {V "networks:\n  br0: a\n  lan: b\n  br0: a\n",
         "p.yaml:5:3: 'br0' is given again, first at p.yaml:3:3", NULL},
        {V "networks: {br0: a}\nnetworks: {br1: a}\n",
         "p.yaml:3:1: 'networks' is given again, first at p.yaml:2:1", NULL},
    };
    assert_errors(cases, ARRAY_SIZE(cases));
}

static void test_bounds(void **state UNUSED)
{
    char longest[64];
    memset(longest, 'n', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    AUTO_FREE char *fits = text_format(V "networks: {%s: %s}\n", longest, longest);
    const struct policy *p = parse_ok(fits);
    assert_string_equal(policy_network(p, longest), longest);
    policy_free(p);
    AUTO_FREE char *too_long = text_format(V "networks: {br0: %sx}\n", longest);
    AUTO_FREE char *message =
        text_format("p.yaml:2:17: networks: '%sx' is not the name of a network or bridge", longest);
    const struct error_case bytes = {too_long, message, NULL};
    assert_errors(&bytes, 1);

    AUTO_BUFFER struct buffer yaml = {0};
    buffer_add(&yaml, V "networks:\n");
    for (unsigned i = 0; i < 1000; i++)
        buffer_format(&yaml, "  n%u: here\n", i);
    policy_free(parse_ok(yaml.text));
    buffer_add(&yaml, "  last: here\n");
    const struct error_case many = {yaml.text, "p.yaml:1003:3: more than 1000 networks", NULL};
    assert_errors(&many, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
