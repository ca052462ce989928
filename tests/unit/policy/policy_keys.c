/* Every key: where its value goes, its default, and what it refuses. */
#include "policy/schema.h"
#include "policy_fixture.h"

static void test_defaults(void **state UNUSED)
{
    const struct policy *p =
        parse_ok("version: 1\nclusters: {c: {mons: a}}\ntiers: {t: {pool: c/p}}\n"
                 "rules: [{match: {}, tier: t}]\n");
    assert_int_equal(p->definition, DEFINITION_AUTO);
    assert_true(p->prepare_source);
    assert_int_equal(p->offline, OFFLINE_COPY);
    assert_int_equal(p->verify, VERIFY_FULL);
    assert_int_equal(p->source_after, SOURCE_KEEP);
    assert_int_equal(p->source_grace, 7 * 86400);
    assert_int_equal(p->allow_loss, 0);
    assert_int_equal(p->source_snapshots, SNAPSHOTS_LEAVE);
    assert_int_equal(p->per_host, 2);
    assert_true(p->max_latency == 0);
    assert_int_equal(p->stuck_after, 600);
    assert_int_equal(p->retries, 5);
    assert_int_equal(p->retry_pause, 30);
    assert_int_equal(p->networks.count, 0);
    assert_int_equal(p->on_error, ON_ERROR_REFUSE);
    assert_false(p->on_start);
    assert_true(p->on_migrate);
    assert_true(p->on_restore);

    const struct policy_tier *t = p->tiers.items[0];
    assert_ptr_equal(t->cluster, p->clusters.items[0]);
    assert_string_equal(t->pool, "p");
    assert_null(t->name_space);
    assert_null(t->data_pool);
    assert_string_equal(t->image, "{name}-{target}");
    assert_int_equal(t->object_size, 4 << 20);
    assert_int_equal(t->qos.enforce, QOS_RBD);
    assert_int_equal(t->qos.iops + t->qos.bps + t->qos.read_iops + t->qos.write_bps, 0);
    assert_null(t->cache);
    assert_null(t->discard);
    assert_null(t->detect_zeroes);
    assert_int_equal(t->copy_bandwidth, 0);
    assert_int_equal(t->copy_mode, COPY_AUTO);

    const struct policy_cluster *c = p->clusters.items[0];
    assert_null(c->conf);
    assert_null(c->user);
    assert_null(c->secret);
    assert_null(c->keyring);
    assert_false(c->mons_from_conf);

    assert_string_equal(p->rules.items[0]->name, "rule 1");
    assert_string_equal(p->files.items[0], "p.yaml");
    policy_free(p);
}

static void test_settings(void **state UNUSED)
{
    const struct policy *p = parse_ok(
        "version: 1\ndefinition: dance\nprepare_source: false\noffline: migrate\n"
        "verify: none\n"
        "source:\n  after: remove\n  grace: 2w\n  snapshots: copy\n  allow_loss: [snapshots, "
        "group, journaling]\n"
        "limits: {per_host: 64, max_latency: 1.5x, stuck_after: 90, retries: 100,\n"
        "  retry_pause: 1d}\n"
        "triggers: {on_start: true, on_migrate: false, on_restore: false}\non_error: pass\n");
    assert_int_equal(p->definition, DEFINITION_DANCE);
    assert_false(p->prepare_source);
    assert_int_equal(p->offline, OFFLINE_MIGRATE);
    assert_int_equal(p->verify, VERIFY_NONE);
    assert_int_equal(p->source_after, SOURCE_REMOVE);
    assert_int_equal(p->source_grace, 14 * 86400);
    assert_int_equal(p->source_snapshots, SNAPSHOTS_COPY);
    assert_int_equal(p->allow_loss, LOSS_SNAPSHOTS | LOSS_GROUP | LOSS_JOURNALING);
    assert_int_equal(p->per_host, 64);
    assert_true(p->max_latency == 1.5);
    assert_int_equal(p->stuck_after, 90);
    assert_int_equal(p->retries, 100);
    assert_int_equal(p->retry_pause, 86400);
    assert_int_equal(p->on_error, ON_ERROR_PASS);
    assert_true(p->on_start);
    assert_false(p->on_migrate);
    assert_false(p->on_restore);
    policy_free(p);

    p = parse_ok(
        "version: 1\ndefinition: keep\nsource: {after: trash, allow_loss: [children, "
        "mirroring]}\nlimits: {max_latency: 0, retries: 0, retry_pause: 1}\non_error: refuse\n");
    assert_int_equal(p->definition, DEFINITION_KEEP);
    assert_int_equal(p->source_after, SOURCE_TRASH);
    assert_int_equal(p->allow_loss, LOSS_CHILDREN | LOSS_MIRRORING);
    assert_int_equal(p->retries, 0);
    assert_int_equal(p->retry_pause, 1);
    assert_int_equal(p->on_error, ON_ERROR_REFUSE);
    policy_free(p);

    p = parse_ok("version: 1\ndefinition: auto\noffline: copy\nverify: full\n"
                 "source: {after: keep, allow_loss: []}\n");
    assert_int_equal(p->offline, OFFLINE_COPY);
    assert_int_equal(p->allow_loss, 0);
    policy_free(p);
    p = parse_ok("version: 1\nsource: {allow_loss: group}\n");
    assert_int_equal(p->allow_loss, LOSS_GROUP);
    policy_free(p);
}

static void test_cluster(void **state UNUSED)
{
    const struct policy *p =
        parse_ok("version: 1\nclusters:\n"
                 "  a:\n    mons: [\"mon1:6789, mon2\", \"::1\"]\n    conf: /etc/ceph/a.conf\n"
                 "    user: libvirt\n    secret: 2D51D16C-b0ef-4a9f-8938-de099f017a62\n"
                 "    keyring: /etc/ceph/a.keyring\n"
                 "  b.2_x-y: {conf: /etc/ceph/b.conf, user: admin, secret: client.admin secret}\n");
    assert_int_equal(p->clusters.count, 2);
    const struct policy_cluster *a = p->clusters.items[0];
    assert_string_equal(a->name, "a");
    assert_int_equal(a->place.line, 3);
    assert_int_equal(a->place.column, 3);
    assert_string_equal(a->place.file, "p.yaml");
    assert_int_equal(a->mons.count, 3);
    assert_string_equal(a->mons.items[0].host, "mon1");
    assert_string_equal(a->mons.items[0].port, "6789");
    assert_string_equal(a->mons.items[1].host, "mon2");
    assert_null(a->mons.items[1].port);
    assert_string_equal(a->mons.items[2].host, "::1");
    assert_string_equal(a->conf, "/etc/ceph/a.conf");
    assert_string_equal(a->user, "libvirt");
    assert_string_equal(a->secret, "2d51d16c-b0ef-4a9f-8938-de099f017a62");
    assert_true(a->secret_is_uuid);
    assert_string_equal(a->keyring, "/etc/ceph/a.keyring");
    const struct policy_cluster *b = p->clusters.items[1];
    assert_int_equal(b->mons.count, 0); /* policy_parse reads no file */
    assert_false(b->mons_from_conf);
    assert_string_equal(b->secret, "client.admin secret");
    assert_false(b->secret_is_uuid);
    policy_free(p);
}

static void test_tier(void **state UNUSED)
{
    const struct policy *p = parse_ok(
        "version: 1\nclusters: {c: {mons: a}}\ntiers:\n  t:\n    pool: c/p/n\n    data_pool: d\n"
        "    image: vm-{uuid}.{target}\n    object_size: 32MiB\n"
        "    qos: {iops: 1, iops_burst: 2, read_iops: 3, write_iops: 4, bps: 5, bps_burst: 1K,\n"
        "          read_bps: 7MiB/s, write_bps: 8kB, enforce: rbd}\n"
        "    driver: {cache: directsync, discard: ignore, detect_zeroes: unmap}\n"
        "    copy: {bandwidth: 200MiB, mode: synchronous}\n"
        "  u: {pool: c/p, object_size: 4096, copy: {mode: background}, qos: {enforce: iotune}}\n");
    const struct policy_tier *t = p->tiers.items[0];
    assert_string_equal(t->pool, "p");
    assert_string_equal(t->name_space, "n");
    assert_string_equal(t->data_pool, "d");
    assert_string_equal(t->image, "vm-{uuid}.{target}");
    assert_int_equal(t->object_size, 32 << 20);
    assert_int_equal(t->qos.iops, 1);
    assert_int_equal(t->qos.iops_burst, 2);
    assert_int_equal(t->qos.read_iops, 3);
    assert_int_equal(t->qos.write_iops, 4);
    assert_int_equal(t->qos.bps, 5);
    assert_int_equal(t->qos.bps_burst, 1024);
    assert_int_equal(t->qos.read_bps, 7 << 20);
    assert_int_equal(t->qos.write_bps, 8000);
    assert_int_equal(t->qos.enforce, QOS_RBD);
    assert_string_equal(t->cache, "directsync");
    assert_string_equal(t->discard, "ignore");
    assert_string_equal(t->detect_zeroes, "unmap");
    assert_int_equal(t->copy_bandwidth, 200 << 20);
    assert_int_equal(t->copy_mode, COPY_SYNCHRONOUS);
    const struct policy_tier *u = p->tiers.items[1];
    assert_int_equal(u->object_size, 4096);
    assert_int_equal(u->copy_mode, COPY_BACKGROUND);
    assert_int_equal(u->qos.enforce, QOS_IOTUNE);
    assert_ptr_equal(policy_tier(p, "u"), u);
    assert_null(policy_tier(p, "v"));
    policy_free(p);
}

static void assert_list(const struct text_list *list, const char *expected)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < list->count; i++)
        buffer_format(&text, "%s%s", i ? " " : "", list->items[i]);
    assert_string_equal(text.text ? text.text : "", expected);
}

static void test_rule(void **state UNUSED)
{
    const struct policy *p = parse_ok(
        "version: 1\nclusters: {c: {mons: a}, d: {mons: b}}\ntiers: {t: {pool: c/p}}\nrules:\n"
        "  - name: images\n    match: {type: network, cluster: [c, d], pool: p*, image: [x, y],\n"
        "            domain: \"d-*\", uuid: C7A5FDBD-cdaf-9455-926a-d65c16db1809, disk: \"vd?\"}\n"
        "    tier: t\n"
        "  - match: {type: [file, block], format: [raw, qcow2], path: /a/**, tier_label: gold,\n"
        "            min_size: 1GiB, max_size: 2TiB}\n"
        "    leave: true\n");
    const struct policy_match *m = &p->rules.items[0]->match;
    assert_string_equal(p->rules.items[0]->name, "images");
    assert_int_equal(p->rules.items[0]->place.line, 5);
    assert_int_equal(p->rules.items[0]->place.column, 5);
    assert_ptr_equal(p->rules.items[0]->tier, p->tiers.items[0]);
    assert_list(&m->types, "network");
    assert_list(&m->clusters, "c d");
    assert_list(&m->pools, "p*");
    assert_list(&m->images, "x y");
    assert_list(&m->domains, "d-*");
    assert_list(&m->uuids, "c7a5fdbd-cdaf-9455-926a-d65c16db1809");
    assert_list(&m->disks, "vd?");
    m = &p->rules.items[1]->match;
    assert_string_equal(p->rules.items[1]->name, "rule 2");
    assert_null(p->rules.items[1]->tier);
    assert_list(&m->types, "file block");
    assert_list(&m->formats, "raw qcow2");
    assert_list(&m->paths, "/a/**");
    assert_list(&m->tier_labels, "gold");
    assert_true(m->min_size == 1ull << 30);
    assert_true(m->max_size == 2ull << 40);
    policy_free(p);
}

/* YAML with VALUE at the key's path, in block style so that any value fits. */
static char *yaml_with(const char *path, const char *value)
{
    AUTO_BUFFER struct buffer yaml = {0};
    buffer_add(&yaml, "version: 1\n");
    AUTO_FREE char *copy = text_dup(path);
    unsigned indent = 0;
    bool in_list = false;
    char *rest = copy;
    for (char *part = strsep(&rest, "."); part; part = strsep(&rest, ".")) {
        if (strcmp(part, "*") == 0 && strncmp(path, "rules", 5) == 0) {
            in_list = true;
            continue;
        }
        buffer_format(&yaml, "%*s%s%s:", (int)indent, "", in_list ? "- " : "",
                      strcmp(part, "*") == 0 ? "n" : part);
        buffer_add(&yaml, rest ? "\n" : " ");
        indent += in_list ? 4 : 2;
        in_list = false;
    }
    buffer_format(&yaml, "%s\n", value);
    return buffer_take(&yaml);
}

/* No key takes a mapping or list where it wants a value, nor the reverse, nor nothing at all; and
 * the message names the key and what was found. */
static void test_wrong_types(void **state UNUSED)
{
    size_t count = 0;
    const char *const *keys = policy_known_keys(&count);
    for (size_t i = 0; i < count; i++) {
        bool takes_mapping = strcmp(keys[i], "networks") == 0; /* by names, as no other does */
        for (size_t j = 0; j < count; j++) {
            size_t length = strlen(keys[i]);
            takes_mapping |= strncmp(keys[j], keys[i], length) == 0 && keys[j][length] == '.';
        }
        const char *const wrong[] = {"", "~", "null", takes_mapping ? "text" : "{a: b}",
                                     takes_mapping ? "[[a]]" : "[[]]"};
        const char *name = strrchr(keys[i], '.') ? strrchr(keys[i], '.') + 1 : keys[i];
        for (size_t j = 0; j < ARRAY_SIZE(wrong); j++) {
            AUTO_FREE char *yaml = yaml_with(keys[i], wrong[j]);
            AUTO_ERROR struct error error = {0};
            const struct policy *policy = NULL;
            if (strcmp(keys[i], "version") == 0)
                memmove(yaml, yaml + strlen("version: 1\n"), strlen(yaml) - 10);
            if (policy_parse(yaml, strlen(yaml), "p.yaml", &policy, &error) == 0)
                fail_msg("taken:\n%s", yaml);
            AUTO_FREE char *expected = text_format(": %s: expected ", name);
            if (!strstr(error.message, expected) || !strstr(error.message, ", found "))
                fail_msg("'%s' says nothing of '%s', for:\n%s", error.message, expected, yaml);
        }
    }
    assert_true(count > 60);
}

static const struct error_case bad_values[] = {
    {"version: 2\n", "p.yaml:1:10: version: '2' is not a version that this virt-pivot knows",
     "write 'version: 1', or install a newer virt-pivot"},
    {"new_key: 1\nversion: 2\n",
     "p.yaml:2:10: version: '2' is not a version that this virt-pivot knows", NULL},
    {"version: [1]\n", "p.yaml:1:10: version: expected 1, found a list", NULL},
    {"version: 1\ndefinition: dence\n",
     "p.yaml:2:13: definition: expected auto, dance or keep, found 'dence'",
     "did you mean 'dance'?"},
    {"version: 1\noffline: migrte\n",
     "p.yaml:2:10: offline: expected copy or migrate, found 'migrte'", "did you mean 'migrate'?"},
    {"version: 1\noffline: true\n", "p.yaml:2:10: offline: expected copy or migrate, found 'true'",
     NULL},
    {"version: 1\nverify: crc\n", "p.yaml:2:9: verify: expected none or full, found 'crc'", NULL},
    {"version: 1\nprepare_source: yes\n",
     "p.yaml:2:17: prepare_source: expected true or false, found 'yes'", NULL},
    {"version: 1\nprepare_source: \"true\"\n",
     "p.yaml:2:17: prepare_source: expected true or false, found 'true'", NULL},
    {"version: 1\nlimits: {per_host: 0}\n",
     "p.yaml:2:20: per_host: '0' is out of range, it must be 1 to 64", NULL},
    {"version: 1\nlimits: {per_host: 65}\n",
     "p.yaml:2:20: per_host: '65' is out of range, it must be 1 to 64", NULL},
    {"version: 1\nlimits: {per_host: -1}\n", "p.yaml:2:20: per_host: '-1' is not a whole number",
     NULL},
    {"version: 1\nlimits: {per_host: 1.5}\n", "p.yaml:2:20: per_host: '1.5' is not a whole number",
     NULL},
    {"version: 1\nlimits: {per_host: 4294967298}\n",
     "p.yaml:2:20: per_host: '4294967298' is out of range, it must be 1 to 64", NULL},
    {"version: 1\nlimits: {per_host: 99999999999999999999}\n",
     "p.yaml:2:20: per_host: '99999999999999999999' is too large", NULL},
    {"version: 1\nlimits: {max_latency: 0.5x}\n",
     "p.yaml:2:23: max_latency: '0.5x' is out of range, it must be 0 or 1x to 1000x", NULL},
    {"version: 1\nlimits: {max_latency: fast}\n",
     "p.yaml:2:23: max_latency: 'fast' is not a factor", "write it like 1.5x"},
    {"version: 1\nlimits: {stuck_after: 0}\n",
     "p.yaml:2:23: stuck_after: '0' is out of range, it must be 1 s to 7 d 00 h", NULL},
    {"version: 1\nlimits: {stuck_after: 3 days}\n",
     "p.yaml:2:23: stuck_after: '3 days' has an unknown unit 'days'",
     "write it like 90s, 15m, 12h or 7d"},
    {"version: 1\nlimits: {retries: 101}\n",
     "p.yaml:2:19: retries: '101' is out of range, it must be 0 to 100", NULL},
    {"version: 1\nlimits: {retries: -1}\n", "p.yaml:2:19: retries: '-1' is not a whole number",
     NULL},
    {"version: 1\nlimits: {retries: often}\n",
     "p.yaml:2:19: retries: 'often' is not a whole number", NULL},
    {"version: 1\nlimits: {retry_pause: 0s}\n",
     "p.yaml:2:23: retry_pause: '0s' is out of range, it must be 1 s to 1 d 00 h", NULL},
    {"version: 1\nlimits: {retry_pause: 25h}\n",
     "p.yaml:2:23: retry_pause: '25h' is out of range, it must be 1 s to 1 d 00 h", NULL},
    {"version: 1\non_error: fail\n", "p.yaml:2:11: on_error: expected refuse or pass, found 'fail'",
     NULL},
    {"version: 1\non_error: [pass]\n",
     "p.yaml:2:11: on_error: expected refuse or pass, found a list", NULL},
    {"version: 1\nsource: {after: delete}\n",
     "p.yaml:2:17: after: expected keep, trash or remove, found 'delete'", NULL},
    {"version: 1\nsource: {allow_loss: [snapshots, groups]}\n",
     "p.yaml:2:34: allow_loss: expected snapshots, children, group, mirroring or journaling, "
     "found 'groups'",
     "did you mean 'group'?"},
    {"version: 1\nclusters: {c: {mons: [a, \"b c:x\"]}}\n",
     "p.yaml:2:26: mons: 'c:x' is not the address of a monitor", NULL},
    {"version: 1\nclusters: {c: {mons: []}}\n", "p.yaml:2:22: mons: the list is empty", NULL},
    {"version: 1\nclusters: {c: {conf: a.conf}}\n",
     "p.yaml:2:22: conf: expected a path that starts with '/', found 'a.conf'", NULL},
    {"version: 1\nclusters: {c: {mons: a, user: client.libvirt}}\n",
     "p.yaml:2:31: user: expected a cephx user without 'client.', found 'client.libvirt'",
     "write 'user: libvirt'"},
    {"version: 1\nclusters: {c: {mons: a, user: a b}}\n",
     "p.yaml:2:31: user: expected a cephx user, found 'a b'", NULL},
    {"version: 1\nclusters: {c: {mons: a, user: a, secret: \"\"}}\n",
     "p.yaml:2:42: secret: must have 1 to 128 bytes", NULL},
    {"version: 1\nclusters: {c: {mons: a, user: a, secret: "
     "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==}}\n",
     "p.yaml:2:42: secret: this looks like a cephx key itself",
     "give the key to libvirt (virsh secret-set-value), and here the UUID or usage name of that "
     "secret"},
    {"version: 1\nclusters: {a/b: {mons: a}}\n", "p.yaml:2:12: clusters: 'a/b' is not a name",
     "letters, digits, '.', '_' and '-', a letter or digit first, 64 at most"},
    {"version: 1\ntiers: {.t: {pool: c/p}}\n", "p.yaml:2:9: tiers: '.t' is not a name", NULL},
    {"version: 1\ntiers: {\"\": {pool: c/p}}\n", "p.yaml:2:9: tiers: '' is not a name", NULL},
    {"version: 1\ntiers: {t: c/p}\n", "p.yaml:2:12: tiers: expected a mapping for 't', found 'c/p'",
     NULL},
    {"version: 1\ntiers: {t: {pool: c/p, object_size: 4XB}}\n",
     "p.yaml:2:37: object_size: '4XB' has an unknown unit 'XB'", "write it like 4MiB or 10GiB"},
    {"version: 1\ntiers: {t: {pool: c/p, object_size: 2KiB}}\n",
     "p.yaml:2:37: object_size: '2KiB' is out of range, it must be 4 KiB to 32 MiB", NULL},
    {"version: 1\ntiers: {t: {pool: c/p, object_size: 64MiB}}\n",
     "p.yaml:2:37: object_size: '64MiB' is out of range, it must be 4 KiB to 32 MiB", NULL},
    {"version: 1\ntiers: {t: {pool: c/p, data_pool: c/d}}\n",
     "p.yaml:2:35: data_pool: expected the name of a pool alone, found 'c/d'",
     "it is in the cluster that 'pool' names"},
    {"version: 1\ntiers: {t: {pool: c/p, qos: {bps: fast}}}\n",
     "p.yaml:2:35: bps: 'fast' does not start with a number", "write it like 200MiB or 200MiB/s"},
    {"version: 1\ntiers: {t: {pool: c/p, qos: {iops: 1000000000000001}}}\n",
     "p.yaml:2:36: iops: '1000000000000001' is out of range, it must be 0 to 1000000000000000",
     NULL},
    {"version: 1\ntiers: {t: {pool: c/p, qos: {enforce: both}}}\n",
     "p.yaml:2:39: enforce: expected rbd or iotune, found 'both'", NULL},
    {"version: 1\ntiers: {t: {pool: c/p, driver: {cache: write-back}}}\n",
     "p.yaml:2:40: cache: expected default, none, writeback, writethrough, directsync or "
     "unsafe, found 'write-back'",
     "did you mean 'writeback'?"},
    {"version: 1\ntiers: {t: {pool: c/p, driver: {discard: on}}}\n",
     "p.yaml:2:42: discard: expected unmap or ignore, found 'on'", NULL},
    {"version: 1\ntiers: {t: {pool: c/p, driver: {detect_zeroes: yes}}}\n",
     "p.yaml:2:48: detect_zeroes: expected off, on or unmap, found 'yes'", NULL},
    {"version: 1\ntiers: {t: {pool: c/p, copy: {mode: fast}}}\n",
     "p.yaml:2:37: mode: expected background, synchronous or auto, found 'fast'", NULL},
    {"version: 1\nrules: [{match: {type: [file, net]}, leave: true}]\n",
     "p.yaml:2:31: type: expected file, block, network or volume, found 'net'", NULL},
    {"version: 1\nrules: [{match: {type: []}, leave: true}]\n",
     "p.yaml:2:24: type: the list is empty", NULL},
    {"version: 1\nrules: [{match: {format: qcow3}, leave: true}]\n",
     "p.yaml:2:26: format: expected raw, qcow2, qcow, qed, vmdk, vdi, vpc, vhd, luks, dmg, "
     "iso, bochs, cloop or ploop, found 'qcow3'",
     "did you mean 'qcow2'?"},
    {"version: 1\nrules: [{match: {path: [/a, \"/b[\"]}, leave: true}]\n",
     "p.yaml:2:29: path: '/b[' is no pattern: '[' is not closed",
     "a backslash takes the next character as it is"},
    {"version: 1\nrules: [{match: {domain: \"a\\\\\"}, leave: true}]\n",
     "p.yaml:2:26: domain: 'a\\' is no pattern: it ends in a backslash", NULL},
    {"version: 1\nrules: [{match: {disk: \"\"}, leave: true}]\n",
     "p.yaml:2:24: disk: '' is no pattern: it is empty", NULL},
    {"version: 1\nrules: [{match: {uuid: c7a5fdbd}, leave: true}]\n",
     "p.yaml:2:24: uuid: expected a UUID with its dashes, found 'c7a5fdbd'", NULL},
    {"version: 1\nrules: [{match: {min_size: 0}, leave: true}]\n",
     "p.yaml:2:28: min_size: '0' is too small, the least is 1 B", NULL},
    {"version: 1\nrules: [{match: {min_size: -1G}, leave: true}]\n",
     "p.yaml:2:28: min_size: '-1G' does not start with a number", NULL},
    {"version: 1\nrules: [{match: {}, leave: false}]\n",
     "p.yaml:2:28: leave: expected true, found 'false'", NULL},
    {"version: 1\nrules: [text]\n",
     "p.yaml:2:9: rules: expected a rule, which is a mapping, found 'text'", NULL},
};

static void test_bad_values(void **state UNUSED)
{
    assert_errors(bad_values, ARRAY_SIZE(bad_values));
}

static void test_unknown_and_repeated(void **state UNUSED)
{
    static const struct error_case cases[] = {
        {"version: 1\ntires: {}\n", "p.yaml:2:1: unknown key 'tires'", "did you mean 'tiers'?"},
        {"version: 1\nxyzzy: {}\n", "p.yaml:2:1: unknown key 'xyzzy'",
         "known here: version, clusters, tiers, rules, definition, prepare_source, offline, "
         "verify, source, limits, triggers, networks, on_error"},
        {"version: 1\nper_host: 2\n", "p.yaml:2:1: unknown key 'per_host'",
         "'per_host' is a key, but as 'limits.per_host'"},
        {"version: 1\nretries: 2\n", "p.yaml:2:1: unknown key 'retries'",
         "'retries' is a key, but as 'limits.retries'"},
        {"version: 1\nnetwork: {}\n", "p.yaml:2:1: unknown key 'network'",
         "did you mean 'networks'?"},
        {"version: 1\ntiers: {t: {pol: c/p}}\n", "p.yaml:2:13: unknown key 'pol' in tiers.*",
         "did you mean 'pool'?"},
        {"version: 1\ntiers: {t: {iops: 5}}\n", "p.yaml:2:13: unknown key 'iops' in tiers.*",
         "'iops' is a key, but as 'tiers.*.qos.iops'"},
        {"version: 1\ntiers: {t: {qos: {iop: 5}}}\n",
         "p.yaml:2:19: unknown key 'iop' in tiers.*.qos", "did you mean 'iops'?"},
        {"version: 1\nclusters: {c: {monitors: a}}\n",
         "p.yaml:2:16: unknown key 'monitors' in clusters.*",
         "known here: mons, conf, user, secret, keyring"},
        {"version: 1\nrules: [{match: {}, teir: t}]\n",
         "p.yaml:2:21: unknown key 'teir' in rules.*", "did you mean 'tier'?"},
        {"version: 1\nrules: [{match: {domains: a}}]\n",
         "p.yaml:2:18: unknown key 'domains' in rules.*.match", "did you mean 'domain'?"},
        {"version: 1\nverify: full\nlimits: {}\nverify: none\n",
         "p.yaml:4:1: 'verify' is given again, first at p.yaml:2:1", NULL},
        {"version: 1\non_error: pass\non_error: pass\n",
         "p.yaml:3:1: 'on_error' is given again, first at p.yaml:2:1", NULL},
        {"version: 1\ntiers:\n  t: {pool: c/p}\n  t: {pool: c/q}\n",
         "p.yaml:4:3: 't' is given again, first at p.yaml:3:3", NULL},
        {"version: 1\ntiers: {t: {pool: c/p, \"pool\": c/q}}\n",
         "p.yaml:2:24: 'pool' is given again, first at p.yaml:2:13", NULL},
        {"version: 1\nlimits: {per_host: 1}\nlimits: {max_latency: 2}\n",
         "p.yaml:3:1: 'limits' is given again, first at p.yaml:2:1", NULL},
        {"version: 1\nrules: [{name: a, match: {type: file, type: block}, leave: true}]\n",
         "p.yaml:2:39: 'type' is given again, first at p.yaml:2:27", NULL},
    };
    assert_errors(cases, ARRAY_SIZE(cases));

    /* A long key is cut in the message, between two characters. */
    AUTO_BUFFER struct buffer yaml = {0};
    buffer_add(&yaml, "version: 1\nx");
    for (unsigned i = 0; i < 100; i++)
        buffer_add(&yaml, "ä");
    buffer_add(&yaml, ": 1\n");
    AUTO_ERROR struct error error = {0};
    const struct policy *policy = NULL;
    assert_int_equal(policy_parse(yaml.text, yaml.length, "p.yaml", &policy, &error), -1);
    AUTO_BUFFER struct buffer expected = {0};
    buffer_add(&expected, "p.yaml:2:1: unknown key 'x");
    for (unsigned i = 0; i < 39; i++)
        buffer_add(&expected, "ä");
    buffer_add(&expected, "…'");
    assert_string_equal(error.message, expected.text);
}

/* Every enumeration's every word is taken by its key. */
static void test_words(void **state UNUSED)
{
    size_t count = 0, tried = 0;
    const struct policy_key *keys = policy_schema(&count);
    for (size_t i = 0; i < count; i++) {
        for (const struct policy_word *word = keys[i].words; word && word->text; word++) {
            AUTO_FREE char *yaml = yaml_with(keys[i].path, word->text);
            AUTO_ERROR struct error error = {0};
            const struct policy *policy = NULL;
            if (policy_parse(yaml, strlen(yaml), "p.yaml", &policy, &error) == 0)
                policy_free(policy);
            else if (strstr(error.message, "expected"))
                fail_msg("%s\nfor:\n%s", error.message, yaml);
            tried++;
        }
    }
    assert_true(tried > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_settings),
        cmocka_unit_test(test_cluster),    cmocka_unit_test(test_tier),
        cmocka_unit_test(test_rule),       cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_bad_values), cmocka_unit_test(test_unknown_and_repeated),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
