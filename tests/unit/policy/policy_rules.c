/* Rules that are incomplete, can never match, or are left nothing by an earlier one. */
#include "policy_fixture.h"

/* Line 1 to 4; rules begin in line 5, column 5. */
#define HEAD                                                                                       \
    "version: 1\nclusters: {c: {mons: a}, d: {mons: b}}\ntiers: {t: {pool: c/p}, gold: {pool: "    \
    "d/p}}\nrules:\n"

static void test_incomplete(void **state UNUSED)
{
    static const struct error_case cases[] = {
        {HEAD "  - match: {}\n", "p.yaml:5:5: rule 'rule 1' has neither 'tier' nor 'leave'",
         "write 'tier: NAME', or 'leave: true'"},
        {HEAD "  - {name: x, match: {}, tier: t, leave: true}\n",
         "p.yaml:5:42: rule 'x' has both 'tier' and 'leave'", NULL},
        {HEAD "  - {name: x, tier: t}\n", "p.yaml:5:5: rule 'x' has no 'match'",
         "a rule for every disk says so: 'match: {}'"},
        {HEAD "  - {match: {}, tier: godl}\n", "p.yaml:5:23: unknown tier 'godl'",
         "did you mean 'gold'?"},
        {HEAD "  - {match: {}, tier: platinum}\n", "p.yaml:5:23: unknown tier 'platinum'",
         "tiers are defined under 'tiers'"},
        {HEAD "  - {match: {cluster: [c, e]}, tier: t}\n", "p.yaml:5:27: unknown cluster 'e'",
         "did you mean 'c'?"},
        {HEAD "  - {name: x, match: {domain: a}, tier: t}\n"
              "  - {name: x, match: {domain: b}, tier: t}\n",
         "p.yaml:6:12: rule 'x' is given again, first at p.yaml:5:12", NULL},
        {HEAD "  - {name: rule 2, match: {domain: a}, tier: t}\n"
              "  - {match: {domain: b}, tier: t}\n",
         "p.yaml:6:5: rule 'rule 2' is given again, first at p.yaml:5:12", NULL},
    };
    assert_errors(cases, ARRAY_SIZE(cases));
}

static void test_never(void **state UNUSED)
{
    static const struct error_case cases[] = {
        {HEAD "  - {match: {pool: x, path: /a}, tier: t}\n",
         "p.yaml:5:29: rule 'rule 1' can never match: 'pool' is of RBD images, 'path' of files and "
         "block devices",
         NULL},
        {HEAD "  - {match: {path: /a, cluster: c}, tier: t}\n",
         "p.yaml:5:20: rule 'rule 1' can never match: 'cluster' is of RBD images, 'path' of files "
         "and block devices",
         NULL},
        {HEAD "  - {match: {type: [file, block], image: x}, tier: t}\n",
         "p.yaml:5:42: rule 'rule 1' can never match: 'image' is of RBD images, but 'type' has no "
         "network",
         NULL},
        {HEAD "  - {match: {type: volume, cluster: c}, tier: t}\n",
         "p.yaml:5:37: rule 'rule 1' can never match: 'cluster' is of RBD images, but 'type' has "
         "no network",
         NULL},
        {HEAD "  - {match: {type: network, path: /a}, tier: t}\n",
         "p.yaml:5:35: rule 'rule 1' can never match: only files and block devices have a path",
         NULL},
        {HEAD "  - {match: {type: [network, volume], path: /a}, tier: t}\n",
         "p.yaml:5:45: rule 'rule 1' can never match: only files and block devices have a path",
         NULL},
        {HEAD "  - {match: {min_size: 2G, max_size: 1G}, tier: t}\n",
         "p.yaml:5:24: rule 'rule 1' can never match: min_size is greater than max_size", NULL},
        {HEAD "  - {match: {path: [/a, \"*.qcow2\"]}, tier: t}\n",
         "p.yaml:5:25: rule 'rule 1' can never match: a path begins with '/', this pattern does "
         "not",
         "'**/*.qcow2' is below any folder"},
        {HEAD "  - {match: {path: images/a}, tier: t}\n",
         "p.yaml:5:20: rule 'rule 1' can never match: a path begins with '/', this pattern does "
         "not",
         "'**/images/a' is below any folder"},
        {HEAD "  - {match: {pool: c/p}, tier: t}\n",
         "p.yaml:5:20: rule 'rule 1' can never match: no pool has a '/' in its name",
         "the parts are matched apart, by 'cluster', 'pool' and 'image'"},
        {HEAD "  - {match: {image: [x, p/y]}, tier: t}\n",
         "p.yaml:5:25: rule 'rule 1' can never match: no image has a '/' in its name", NULL},
    };
    assert_errors(cases, ARRAY_SIZE(cases));
}

/* Pairs of conditions: whether a second rule with NARROW is shadowed by a first with WIDE. */
static void test_shadowed(void **state UNUSED)
{
    static const struct {
        const char *wide, *narrow;
        bool shadowed;
    } cases[] = {
        {"{}", "{}", true},
        {"{}", "{domain: x}", true},
        {"{domain: x}", "{}", false},
        {"{domain: \"*\"}", "{domain: x}", true},
        {"{domain: \"db-*\"}", "{domain: db-1}", true},
        {"{domain: \"db-*\"}", "{domain: [db-1, web-1]}", false},
        {"{domain: [\"db-*\", \"web-*\"]}", "{domain: [db-1, web-1]}", true},
        {"{domain: \"db-*\"}", "{domain: \"db-*\", disk: vda}", true},
        {"{domain: \"db-*\", disk: vda}", "{domain: \"db-*\"}", false},
        {"{type: file}", "{type: file, path: /a}", true},
        {"{type: [file, block]}", "{path: /a}", true},
        {"{type: file}", "{path: /a}", false},
        {"{type: network}", "{cluster: c}", true},
        {"{type: network}", "{pool: p}", true},
        {"{type: network}", "{image: i}", true},
        {"{type: [file, network]}", "{type: [network, file]}", true},
        {"{type: file}", "{type: [network, file]}", false},
        {"{type: [file, block, network, volume]}", "{}", false},
        {"{type: [file, block, network, volume]}", "{type: volume}", true},
        {"{type: file}", "{type: [network, file], path: /a}", true},
        {"{path: \"/a/**\"}", "{path: \"/a/b/*\"}", true},
        {"{path: \"/a/*\"}", "{path: \"/a/b/*\"}", false},
        {"{cluster: [c, d]}", "{cluster: d}", true},
        {"{cluster: c}", "{cluster: [c, d]}", false},
        {"{format: [raw, qcow2]}", "{format: raw}", true},
        {"{format: raw}", "{}", false},
        {"{min_size: 1G}", "{min_size: 2G}", true},
        {"{min_size: 2G}", "{min_size: 1G}", false},
        {"{min_size: 2G}", "{}", false},
        {"{max_size: 2G}", "{max_size: 1G}", true},
        {"{max_size: 1G}", "{max_size: 2G}", false},
        {"{max_size: 1G}", "{min_size: 2G}", false},
        {"{min_size: 1G, max_size: 9G}", "{min_size: 2G, max_size: 3G}", true},
        {"{uuid: c7a5fdbd-cdaf-9455-926a-d65c16db1809}",
         "{uuid: C7A5FDBD-CDAF-9455-926A-D65C16DB1809}", true},
        {"{tier_label: \"g*\"}", "{tier_label: gold}", true},
        {"{tier_label: gold}", "{tier_label: \"*\"}", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *yaml = text_format(HEAD "  - {name: x, match: {disk: hdc}, leave: true}\n"
                                                "  - {name: wide, match: %s, tier: t}\n"
                                                "  - {name: narrow, match: %s, leave: true}\n",
                                           cases[i].wide, cases[i].narrow);
        AUTO_ERROR struct error error = {0};
        const struct policy *policy = NULL;
        int result = policy_parse(yaml, strlen(yaml), "p.yaml", &policy, &error);
        if (result == 0)
            policy_free(policy);
        if (cases[i].shadowed != (result < 0))
            fail_msg("%s and %s: %s", cases[i].wide, cases[i].narrow,
                     result < 0 ? error.message : "not seen");
        if (result < 0) {
            assert_string_equal(error.message,
                                "p.yaml:7:5: rule 'narrow' can never match: rule 'wide' at "
                                "p.yaml:6:5 takes all of its disks");
            assert_string_equal(error.hint, "move rule 'wide' below rule 'narrow'");
        }
    }
}

/* Looking for shadowed rules stops where it would take long; the policy is taken then. */
static void test_large_policies_end(void **state UNUSED)
{
    AUTO_BUFFER struct buffer yaml = {0};
    buffer_add(&yaml, HEAD);
    for (unsigned i = 0; i < 1000; i++) {
        buffer_format(&yaml, "  - {match: {domain: [");
        for (unsigned j = 0; j < 10; j++)
            buffer_format(&yaml, "%s'*a*b*c*d*e*f*g*h*i*j*%03u-%u*'", j ? "," : "", i, j);
        buffer_add(&yaml, "]}, tier: t}\n");
    }
    const struct policy *policy = parse_ok(yaml.text);
    assert_int_equal(policy->rules.count, 1000);
    policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_incomplete),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_shadowed),
        cmocka_unit_test(test_large_policies_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
