/* Which rule a disk falls under, the explanation, and the cluster that a disk is in. */
#include "policy_fixture.h"

#define HEAD                                                                                       \
    "version: 1\nclusters:\n"                                                                      \
    "  luminous: {mons: [10.0.0.1, \"10.0.0.2:6789\", \"[fd00::3]:3300\", Mon4.Example.org]}\n"    \
    "  flash: {mons: \"127.0.0.1:13301\", conf: /etc/ceph/flash.conf}\n"                           \
    "  local: {mons: \"127.0.0.1:13300\", conf: /etc/ceph/ceph.conf}\n"                            \
    "tiers: {gold: {pool: flash/fast}}\nrules:\n"

static void test_cluster_of(void **state UNUSED)
{
    static const struct {
        const char *host, *port, *second_host, *conf, *cluster;
    } cases[] = {
        {"10.0.0.1", NULL, NULL, NULL, "luminous"},
        {"10.0.0.1", "6789", NULL, NULL, "luminous"},
        {"10.0.0.1", "3300", NULL, NULL, "luminous"},
        {"10.0.0.1", "13300", NULL, NULL, NULL},
        {"10.0.0.2", NULL, NULL, NULL, "luminous"},
        {"10.0.0.2", "6789", NULL, NULL, "luminous"},
        {"10.0.0.2", "3300", NULL, NULL, NULL},
        {"10.0.0.9", NULL, "10.0.0.1", NULL, "luminous"},
        {"fd00:0::3", "3300", NULL, NULL, "luminous"},
        {"mon4.example.ORG", "6789", NULL, NULL, "luminous"},
        {"127.0.0.1", "13300", NULL, NULL, "local"},
        {"127.0.0.1", "13301", NULL, NULL, "flash"},
        {"127.0.0.1", NULL, NULL, NULL, NULL},
        {NULL, NULL, NULL, "/etc/ceph/flash.conf", "flash"},
        {NULL, NULL, NULL, "/etc/ceph/other.conf", NULL},
        {NULL, NULL, NULL, NULL, "local"}, /* QEMU reads /etc/ceph/ceph.conf then */
        {"10.0.0.9", NULL, NULL, "/etc/ceph/flash.conf", "flash"},
        {"10.0.0.1", NULL, NULL, "/etc/ceph/flash.conf", "luminous"},
    };
    const struct policy *p = parse_ok(HEAD "  - {match: {}, leave: true}\n");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct sample sample;
        sample_rbd(&sample, "p/i");
        if (cases[i].host)
            sample_host(&sample, cases[i].host, cases[i].port);
        if (cases[i].second_host)
            sample_host(&sample, cases[i].second_host, NULL);
        sample.disk.source.config_file = (char *)cases[i].conf;
        const struct policy_cluster *cluster = policy_cluster_of(p, &sample.disk.source);
        if (!text_equal(cluster ? cluster->name : NULL, cases[i].cluster))
            fail_msg("case %zu: %s", i, cluster ? cluster->name : "none");
    }
    struct sample sample;
    sample_rbd(&sample, "p/i");
    sample_host(&sample, NULL, NULL); /* a Unix socket */
    assert_null(policy_cluster_of(p, &sample.disk.source));
    sample_host(&sample, "10.0.0.1", NULL);
    assert_non_null(policy_cluster_of(p, &sample.disk.source));
    sample.disk.source.protocol = (char *)"nbd";
    assert_null(policy_cluster_of(p, &sample.disk.source));
    sample_file(&sample, "/a");
    assert_null(policy_cluster_of(p, &sample.disk.source));
    policy_free(p);
}

/* The subjects that conditions are tried on. */
enum subject {
    IMAGE,     /* rbd vms-1/db, in luminous */
    NAMESPACE, /* rbd vms-1/ns/db, in no cluster */
    FILE_,     /* /var/lib/libvirt/images/db/a.qcow2 */
    DEVICE,    /* /dev/vg/db, without a format */
    NO_POOL,   /* rbd without a pool */
    NBD,
    VOLUME,
    EMPTY, /* a drive without a medium */
};

static void make_subject(struct sample *sample, enum subject kind)
{
    switch (kind) {
    case IMAGE:
        sample_rbd(sample, "vms-1/db");
        sample_host(sample, "10.0.0.1", "6789");
        break;
    case NAMESPACE:
        sample_rbd(sample, "vms-1/ns/db");
        sample_host(sample, "10.9.9.9", NULL);
        break;
    case FILE_:
        sample_file(sample, "/var/lib/libvirt/images/db/a.qcow2");
        sample->domain.tier_label = (char *)"gold";
        break;
    case DEVICE:
        sample_init(sample, SOURCE_BLOCK);
        sample->disk.source.path = (char *)"/dev/vg/db";
        break;
    case NO_POOL:
        sample_rbd(sample, "image");
        break;
    case NBD:
        sample_rbd(sample, "export");
        sample->disk.source.protocol = (char *)"nbd";
        break;
    case VOLUME:
        sample_init(sample, SOURCE_VOLUME);
        break;
    default:
        sample_init(sample, SOURCE_NONE);
    }
}

static void test_conditions(void **state UNUSED)
{
    static const struct {
        const char *match;
        enum subject subject;
        uint64_t capacity;
        const char *reason; /* NULL: matches */
    } cases[] = {
        {"{}", IMAGE, 0, NULL},
        {"{}", EMPTY, 0, NULL},
        {"{type: network}", IMAGE, 0, NULL},
        {"{type: [file, network]}", NBD, 0, NULL},
        {"{type: [file, network]}", VOLUME, 0,
         "type is 'volume', the rule wants 'file' or 'network'"},
        {"{type: [file, network, block]}", VOLUME, 0,
         "type is 'volume', the rule wants 'file', 'network' or 'block'"},
        {"{type: file}", EMPTY, 0, "the disk has no type, the rule wants type 'file'"},
        {"{format: raw}", IMAGE, 0, NULL},
        {"{format: raw}", DEVICE, 0, NULL},
        {"{format: raw}", FILE_, 0, "format is 'qcow2', the rule wants 'raw'"},
        {"{format: raw}", VOLUME, 0, "the format is not known, the rule wants format 'raw'"},
        {"{path: \"/var/lib/libvirt/images/**\"}", FILE_, 0, NULL},
        {"{path: \"/var/lib/libvirt/images/*\"}", FILE_, 0,
         "path is '/var/lib/libvirt/images/db/a.qcow2', the rule wants "
         "'/var/lib/libvirt/images/*'"},
        {"{path: [/x, \"/dev/vg/*\"]}", DEVICE, 0, NULL},
        {"{path: \"**\"}", IMAGE, 0, "the disk has no path, the rule wants path '**'"},
        {"{cluster: luminous}", IMAGE, 0, NULL},
        {"{cluster: [flash, luminous]}", IMAGE, 0, NULL},
        {"{cluster: flash}", IMAGE, 0, "cluster is 'luminous', the rule wants 'flash'"},
        {"{cluster: luminous}", NAMESPACE, 0,
         "the disk is in no cluster of the policy, the rule wants cluster 'luminous'"},
        {"{cluster: luminous}", FILE_, 0,
         "the disk is in no cluster of the policy, the rule wants cluster 'luminous'"},
        {"{pool: \"vms*\"}", IMAGE, 0, NULL},
        {"{pool: \"vms*\", image: db}", NAMESPACE, 0, NULL},
        {"{pool: vms}", IMAGE, 0, "pool is 'vms-1', the rule wants 'vms'"},
        {"{pool: \"*\"}", NBD, 0, "the disk is no RBD image, the rule wants pool '*'"},
        {"{pool: \"*\"}", NO_POOL, 0, "the disk is no RBD image, the rule wants pool '*'"},
        {"{image: \"d?\"}", IMAGE, 0, NULL},
        {"{image: \"e?\"}", IMAGE, 0, "image is 'db', the rule wants 'e?'"},
        {"{image: \"*\"}", FILE_, 0, "the disk is no RBD image, the rule wants image '*'"},
        {"{domain: \"db-*\"}", FILE_, 0, NULL},
        {"{domain: \"web-*\"}", FILE_, 0, "domain is 'db-1', the rule wants 'web-*'"},
        {"{uuid: C7A5FDBD-CDAF-9455-926A-D65C16DB1809}", FILE_, 0, NULL},
        {"{uuid: 00000000-cdaf-9455-926a-d65c16db1809}", FILE_, 0,
         "uuid is 'c7a5fdbd-cdaf-9455-926a-d65c16db1809', the rule wants "
         "'00000000-cdaf-9455-926a-d65c16db1809'"},
        {"{tier_label: gold}", FILE_, 0, NULL},
        {"{tier_label: silver}", FILE_, 0, "tier_label is 'gold', the rule wants 'silver'"},
        {"{tier_label: \"*\"}", IMAGE, 0,
         "the domain names no tier, the rule wants tier_label '*'"},
        {"{disk: \"vd[a-c]\"}", IMAGE, 0, NULL},
        {"{disk: [sda, sdb, sdc, sdd, sde, sdf]}", IMAGE, 0,
         "disk is 'vda', the rule wants 'sda', 'sdb', 'sdc', 'sdd' or 2 more"},
        {"{min_size: 1GiB}", IMAGE, 1ull << 30, NULL},
        {"{min_size: 1GiB}", IMAGE, (1ull << 30) - 512,
         "size is 1.0 GiB (1073741312 bytes), the rule wants at least 1 GiB"},
        {"{max_size: 1GiB}", IMAGE, 1ull << 30, NULL},
        {"{max_size: 1GiB}", IMAGE, 2ull << 30,
         "size is 2 GiB (2147483648 bytes), the rule wants at most 1 GiB"},
        {"{min_size: 1GiB, max_size: 2GiB}", IMAGE, 3ull << 30,
         "size is 3 GiB (3221225472 bytes), the rule wants at least 1 GiB and at most 2 GiB"},
        {"{min_size: 1}", IMAGE, 0, "size is not known, the rule wants at least 1 B"},
        {"{max_size: 1GiB}", IMAGE, 0, "size is not known, the rule wants at most 1 GiB"},
        {"{domain: \"db-*\", cluster: flash, disk: sda}", IMAGE, 0,
         "cluster is 'luminous', the rule wants 'flash'"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *yaml =
            text_format(HEAD "  - {name: r, match: %s, tier: gold}\n", cases[i].match);
        const struct policy *p = parse_ok(yaml);
        struct sample sample;
        make_subject(&sample, cases[i].subject);
        const struct policy_subject subject = {&sample.domain, &sample.disk, cases[i].capacity};
        struct policy_decision decision = policy_decide(p, &subject);
        AUTO_FREE char *explained = policy_explain(p, &subject);
        AUTO_FREE char *expected =
            text_format("rule 'r' (p.yaml:8:5): %s%s\n", cases[i].reason ? "no: " : "",
                        cases[i].reason ? cases[i].reason : "yes: tier 'gold'");
        assert_string_equal(explained, expected);
        assert_ptr_equal(decision.rule, cases[i].reason ? NULL : p->rules.items[0]);
        assert_ptr_equal(decision.tier, cases[i].reason ? NULL : p->tiers.items[0]);
        policy_free(p);
    }
}

static void test_first_rule_decides(void **state UNUSED)
{
    const struct policy *p =
        parse_ok(HEAD "  - {name: one, match: {disk: sda}, tier: gold}\n"
                      "  - {name: two, match: {disk: vda}, leave: true}\n"
                      "  - {name: three, match: {domain: db-1}, tier: gold}\n");
    struct sample sample;
    make_subject(&sample, IMAGE);
    const struct policy_subject subject = {&sample.domain, &sample.disk, 0};
    struct policy_decision decision = policy_decide(p, &subject);
    assert_ptr_equal(decision.rule, p->rules.items[1]);
    assert_null(decision.tier);
    AUTO_FREE char *explained = policy_explain(p, &subject);
    assert_string_equal(explained, "rule 'one' (p.yaml:8:5): no: disk is 'vda', the rule wants "
                                   "'sda'\n"
                                   "rule 'two' (p.yaml:9:5): yes: the disk stays where it is\n");
    sample.disk.target = (char *)"vdb";
    decision = policy_decide(p, &subject);
    assert_ptr_equal(decision.rule, p->rules.items[2]);
    sample.domain.name = (char *)"other";
    decision = policy_decide(p, &subject);
    assert_null(decision.rule);
    policy_free(p);

    p = parse_ok("version: 1\n");
    assert_null(policy_decide(p, &subject).rule);
    AUTO_FREE char *nothing = policy_explain(p, &subject);
    assert_string_equal(nothing, "");
    policy_free(p);
}

/* A domain's XML is not to be trusted: neither with the terminal nor with our time. */
static void test_hostile_domain(void **state UNUSED)
{
    const struct policy *p = parse_ok(HEAD "  - {name: r, match: {domain: \"x**\"}, tier: gold}\n");
    struct sample sample;
    make_subject(&sample, FILE_);
    sample.domain.name = (char *)"a\nrule 'y': yes\x1b[31m\x7f\xc2\x9b'ä";
    const struct policy_subject subject = {&sample.domain, &sample.disk, 0};
    AUTO_FREE char *explained = policy_explain(p, &subject);
    assert_string_equal(explained, "rule 'r' (p.yaml:8:5): no: domain is 'a?rule 'y': "
                                   "yes?[31m??\x9b'ä', the rule wants 'x**'\n");

    AUTO_BUFFER struct buffer name = {0};
    for (unsigned i = 0; i < 1000000; i++)
        buffer_add(&name, "x");
    sample.domain.name = name.text;
    assert_null(policy_decide(p, &subject).rule); /* longer than any path: not looked at */
    AUTO_FREE char *shortened = policy_explain(p, &subject);
    assert_true(strlen(shortened) < 400);
    name.text[4000] = '\0';
    assert_non_null(policy_decide(p, &subject).rule);
    policy_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cluster_of),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_first_rule_decides),
        cmocka_unit_test(test_hostile_domain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
