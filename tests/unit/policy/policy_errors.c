/* What is wrong only when the whole policy is looked at: clusters, tiers, references. */
#include "policy_fixture.h"

#define V "version: 1\n"
#define C V "clusters: {ceph: {mons: a}}\n"

static void test_clusters(void **state UNUSED)
{
    static const struct error_case cases[] = {
        {V "clusters:\n  c: {user: libvirt}\n",
         "p.yaml:3:3: cluster 'c' has neither 'mons' nor 'conf'", NULL},
        {V "clusters:\n  c: {}\n", "p.yaml:3:3: cluster 'c' has neither 'mons' nor 'conf'", NULL},
        {V "clusters:\n  c:\n    mons: a\n    secret: s\n",
         "p.yaml:5:13: cluster 'c' has a secret but no user", NULL},
        {V "clusters:\n  c: {mons: [a, b]}\n  d: {mons: [x, b]}\n",
         "p.yaml:4:13: clusters 'c' and 'd' have the same monitor 'b', first at p.yaml:3:13", NULL},
        {V "clusters:\n  c: {mons: a}\n  d: {mons: \"x,A:6789\"}\n",
         "p.yaml:4:13: clusters 'c' and 'd' have the same monitor 'a:6789', first at p.yaml:3:13",
         NULL},
        {V "clusters:\n  c: {mons: \"::1\"}\n  x: {mons: z}\n  d: {mons: \"[0:0::1]:3300\"}\n",
         "p.yaml:5:13: clusters 'c' and 'd' have the same monitor '::1:3300', first at "
         "p.yaml:3:13",
         NULL},
        {V "clusters:\n  c: {conf: /etc/ceph/c.conf}\n  d: {conf: /etc/ceph/c.conf}\n",
         "p.yaml:4:13: clusters 'c' and 'd' have the same conf, first at p.yaml:3:13", NULL},
        {V "clusters:\n  c: {conf: /c.conf, mons: a}\n  d: {conf: /c.conf, mons: b}\n",
         "p.yaml:4:13: clusters 'c' and 'd' have the same conf, first at p.yaml:3:28", NULL},
    };
    assert_errors(cases, ARRAY_SIZE(cases));

    /* The same host is no clash when the ports differ, as of two test clusters on one machine. */
    policy_free(parse_ok(V "clusters:\n  c: {mons: \"127.0.0.1:13300\"}\n"
                           "  d: {mons: \"127.0.0.1:13301\"}\n  e: {mons: \"127.0.0.1\"}\n"));
}

static void test_too_many_clusters(void **state UNUSED)
{
    AUTO_BUFFER struct buffer yaml = {0};
    buffer_add(&yaml, V "clusters:\n");
    for (unsigned i = 0; i < 100; i++)
        buffer_format(&yaml, "  c%u: {mons: m%u}\n", i, i);
    policy_free(parse_ok(yaml.text));
    buffer_add(&yaml, "  last: {mons: last}\n");
    const struct error_case too_many = {yaml.text, "p.yaml:103:3: more than 100 clusters", NULL};
    assert_errors(&too_many, 1);
}

static void test_tiers(void **state UNUSED)
{
    static const char form[] = "expected cluster/pool or cluster/pool/namespace, found";
    AUTO_FREE char *bare = text_format("p.yaml:4:13: pool: %s 'pool'", form);
    AUTO_FREE char *no_pool = text_format("p.yaml:4:13: pool: %s 'ceph/'", form);
    AUTO_FREE char *no_cluster = text_format("p.yaml:4:13: pool: %s '/pool'", form);
    AUTO_FREE char *no_namespace = text_format("p.yaml:4:13: pool: %s 'ceph/p/'", form);
    AUTO_FREE char *too_long = text_format("p.yaml:4:13: pool: %s 'ceph/p/n/x'", form);
    AUTO_FREE char *empty_pool = text_format("p.yaml:4:13: pool: %s 'ceph//n'", form);
    AUTO_FREE char *snapshot = text_format("p.yaml:4:13: pool: %s 'ceph/p@s'", form);
    const struct error_case cases[] = {
        {C "tiers:\n  t: {data_pool: d}\n", "p.yaml:4:3: tier 't' has no pool",
         "write 'pool: CLUSTER/POOL'"},
        {C "tiers:\n  t: {pool: pool}\n", bare, NULL},
        {C "tiers:\n  t: {pool: ceph/}\n", no_pool, NULL},
        {C "tiers:\n  t: {pool: /pool}\n", no_cluster, NULL},
        {C "tiers:\n  t: {pool: ceph/p/}\n", no_namespace, NULL},
        {C "tiers:\n  t: {pool: ceph/p/n/x}\n", too_long, NULL},
        {C "tiers:\n  t: {pool: ceph//n}\n", empty_pool, NULL},
        {C "tiers:\n  t: {pool: ceph/p@s}\n", snapshot, NULL},
        {C "tiers:\n  t: {pool: cehp/p}\n", "p.yaml:4:13: unknown cluster 'cehp'",
         "did you mean 'ceph'?"},
        {C "tiers:\n  t: {pool: flash/p}\n", "p.yaml:4:13: unknown cluster 'flash'",
         "clusters are defined under 'clusters'"},
        {V "tiers:\n  t: {pool: flash/p}\n", "p.yaml:3:13: unknown cluster 'flash'", NULL},
        {C "tiers:\n  t: {pool: ceph/p, object_size: 5MiB}\n",
         "p.yaml:4:34: object_size: '5MiB' is not a power of two", NULL},
    };
    assert_errors(cases, ARRAY_SIZE(cases));
}

static void test_image_templates(void **state UNUSED)
{
    static const struct error_case cases[] = {
        {C "tiers:\n  t:\n    pool: ceph/p\n    image: \"{nam}-{target}\"\n",
         "p.yaml:6:12: image: unknown '{nam}'", "there are {name}, {uuid} and {target}"},
        {C "tiers:\n  t:\n    pool: ceph/p\n    image: \"{name}-{target\"\n",
         "p.yaml:6:12: image: unknown '{target'", NULL},
        {C "tiers:\n  t:\n    pool: ceph/p\n    image: \"{name}}-{target}\"\n",
         "p.yaml:6:12: image: unknown '}'", NULL},
        {C "tiers:\n  t:\n    pool: ceph/p\n    image: \"{name}\"\n",
         "p.yaml:6:12: image: '{name}' is the same for several disks",
         "it needs {target}, and {name} or {uuid}"},
        {C "tiers:\n  t:\n    pool: ceph/p\n    image: \"disk-{target}\"\n",
         "p.yaml:6:12: image: 'disk-{target}' is the same for several disks", NULL},
        {C "tiers:\n  t:\n    pool: ceph/p\n    image: vm/{uuid}-{target}\n",
         "p.yaml:6:12: image: 'vm/{uuid}-{target}' gives no legal name: no '/', no '@', no '.' "
         "first",
         NULL},
        {C "tiers:\n  t:\n    pool: ceph/p\n    image: .{uuid}-{target}\n",
         "p.yaml:6:12: image: '.{uuid}-{target}' gives no legal name: no '/', no '@', no '.' first",
         NULL},
        {C "tiers:\n  t:\n    pool: ceph/p\n    image: \"{uuid}@{target}\"\n",
         "p.yaml:6:12: image: '{uuid}@{target}' gives no legal name: no '/', no '@', no '.' first",
         NULL},
        {C "tiers:\n  t:\n    pool: ceph/p\n    image: {name}-{target}\n",
         "p.yaml:6:18: not valid YAML: did not find expected key, while parsing a block mapping at "
         "line 5",
         NULL},
    };
    assert_errors(cases, ARRAY_SIZE(cases) - 1);
    /* Without quotes a template that begins with a brace is a mapping: libyaml's words vary. */
    AUTO_ERROR struct error error = {0};
    const struct policy *policy = NULL;
    const char *yaml = cases[ARRAY_SIZE(cases) - 1].yaml;
    assert_int_equal(policy_parse(yaml, strlen(yaml), "p.yaml", &policy, &error), -1);
    assert_true(text_starts_with(error.message, "p.yaml:6:18: not valid YAML: "));
}

static void test_qos(void **state UNUSED)
{
    static const struct error_case cases[] = {
        {C "tiers: {t: {pool: ceph/p, qos: {iops_burst: 100}}}\n",
         "p.yaml:3:45: iops_burst without iops has no effect", NULL},
        {C "tiers: {t: {pool: ceph/p, qos: {bps_burst: 100, bps: 0}}}\n",
         "p.yaml:3:44: bps_burst without bps has no effect", NULL},
        {C "tiers: {t: {pool: ceph/p, qos: {iops: 200, iops_burst: 100}}}\n",
         "p.yaml:3:56: iops_burst is less than iops", NULL},
        {C "tiers: {t: {pool: ceph/p, qos: {bps: 2M, bps_burst: 1M}}}\n",
         "p.yaml:3:53: bps_burst is less than bps", NULL},
        {C "tiers: {t: {pool: ceph/p, qos: {iops: 200, read_iops: 100, enforce: iotune}}}\n",
         "p.yaml:3:39: with 'enforce: iotune' there is either iops, or read_iops and write_iops",
         NULL},
        {C "tiers: {t: {pool: ceph/p, qos: {write_bps: 1M, bps: 2M, enforce: iotune}}}\n",
         "p.yaml:3:53: with 'enforce: iotune' there is either bps, or read_bps and write_bps",
         NULL},
    };
    assert_errors(cases, ARRAY_SIZE(cases));
    policy_free(parse_ok(C "tiers: {t: {pool: ceph/p, qos: {iops: 200, read_iops: 100}}}\n"));
    policy_free(parse_ok(C "tiers: {t: {pool: ceph/p, qos: {iops: 200, iops_burst: 200}}}\n"));
    policy_free(parse_ok(
        C "tiers: {t: {pool: ceph/p, qos: {iops: 200, write_bps: 1M, enforce: iotune}}}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clusters), cmocka_unit_test(test_too_many_clusters),
        cmocka_unit_test(test_tiers),    cmocka_unit_test(test_image_templates),
        cmocka_unit_test(test_qos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
