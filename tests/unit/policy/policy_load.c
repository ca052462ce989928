/* Files: which are read, in which order, how they add up, and monitors out of a ceph.conf. */
#include "policy_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

struct folder {
    char path[64];
};

static int make_folder(void **state)
{
    struct folder *folder = NEW(struct folder);
    strcpy(folder->path, "/tmp/virt-pivot-policy-XXXXXX");
    *state = folder;
    return mkdtemp(folder->path) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status UNUSED, int type UNUSED,
                      struct FTW *walk UNUSED)
{
    return remove(path);
}

static int remove_folder(void **state)
{
    struct folder *folder = *state;
    int result = nftw(folder->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(folder);
    return result;
}

static void put(const struct folder *folder, const char *name, const char *text)
{
    AUTO_FREE char *path = text_format("%s/%s", folder->path, name);
    for (char *slash = strchr(path + strlen(folder->path) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
        *slash = '/';
    }
    AUTO_FCLOSE FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
}

static const struct policy *load_ok(const struct folder *folder, const char *name)
{
    AUTO_FREE char *path = text_format("%s%s", folder->path, name);
    AUTO_ERROR struct error error = {0};
    const struct policy *policy = NULL;
    if (policy_load(path, &policy, &error) < 0)
        fail_msg("%s", error.message);
    return policy;
}

/* "@" in the expected texts stands for the folder. */
static void assert_refused(const struct folder *folder, const char *name, enum error_code code,
                           const char *message, const char *hint)
{
    AUTO_FREE char *path = text_format("%s%s", folder->path, name);
    AUTO_ERROR struct error error = {0};
    const struct policy *policy = NULL;
    assert_int_equal(policy_load(path, &policy, &error), -1);
    assert_null(policy);
    AUTO_BUFFER struct buffer expected = {0};
    for (const char *c = message; *c; c++) {
        if (*c == '@')
            buffer_add(&expected, folder->path);
        else
            buffer_add_slice(&expected, c, 1);
    }
    assert_string_equal(error.message, expected.text);
    assert_int_equal(error.code, code);
    if (hint)
        assert_string_equal(error.hint ? error.hint : "(no hint)", hint);
}

#define CLUSTERS "clusters: {c: {mons: a}}\n"
#define TIERS "tiers: {t: {pool: c/p}}\n"

static void test_single_file(void **state)
{
    put(*state, "p.yaml", "version: 1\n" CLUSTERS TIERS);
    put(*state, "policy.d/a.yaml", "not read");
    const struct policy *p = load_ok(*state, "/p.yaml");
    assert_int_equal(p->files.count, 1);
    assert_string_equal(p->clusters.items[0]->place.file, p->files.items[0]);
    policy_free(p);
    put(*state, "p.yaml", CLUSTERS);
    assert_refused(*state, "/p.yaml", ERROR_POLICY, "@/p.yaml:1:1: there is no 'version'",
                   "the file begins with 'version: 1'");
}

static void test_order(void **state)
{
    const struct folder *folder = *state;
    put(folder, "policy.yaml", "version: 1\nrules: [{name: main, match: {disk: vda}, tier: t}]\n");
    put(folder, "policy.d/20-b.yaml",
        TIERS "rules: [{name: b, match: {disk: vdb}, tier: t}, {match: {disk: vdx}, tier: t}]\n");
    put(folder, "policy.d/10-a.yaml",
        "version: 1\nrules: [{name: a, match: {disk: vdc}, tier: t}]\n");
    put(folder, "policy.d/3-c.yaml", CLUSTERS "rules: [{name: c, match: {}, leave: true}]\n");
    put(folder, "policy.d/empty.yaml", "# nothing yet\n");
    put(folder, "policy.d/ignored.yml", "not: read");
    put(folder, "policy.d/ignored.yaml.rpmsave", "not: read");
    put(folder, "policy.d/.#hidden.yaml", "not: read");
    put(folder, "policy.d/.yaml", "not: read");
    put(folder, "other.yaml", "not: read");
    for (unsigned slashes = 0; slashes < 2; slashes++) {
        const struct policy *p = load_ok(folder, slashes ? "//" : "");
        static const char *const names[] = {"main", "a", "b", "rule 4", "c"};
        static const char *const files[] = {"policy.yaml", "policy.d/10-a.yaml",
                                            "policy.d/20-b.yaml", "policy.d/3-c.yaml",
                                            "policy.d/empty.yaml"};
        assert_int_equal(p->rules.count, ARRAY_SIZE(names));
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
            assert_string_equal(p->rules.items[i]->name, names[i]);
        assert_int_equal(p->files.count, ARRAY_SIZE(files));
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
            AUTO_FREE char *file = text_format("%s/%s", folder->path, files[i]);
            assert_string_equal(p->files.items[i], file);
        }
        assert_ptr_equal(p->rules.items[0]->tier, p->tiers.items[0]);
        policy_free(p);
    }
}

static void test_drop_ins_alone(void **state)
{
    put(*state, "policy.d/1.yaml", CLUSTERS);
    put(*state, "policy.d/2.yaml", TIERS "limits: {per_host: 3}\nnetworks: {br0: a}\n");
    put(*state, "policy.d/3.yaml",
        "limits: {max_latency: 3x}\nverify: none\nnetworks: {br1: a, a: b}\n");
    const struct policy *p = load_ok(*state, "");
    assert_int_equal(p->per_host, 3);
    assert_true(p->max_latency == 3);
    assert_int_equal(p->verify, VERIFY_NONE);
    assert_string_equal(p->tiers.items[0]->cluster->name, "c");
    assert_int_equal(p->networks.count, 3);
    assert_string_equal(policy_network(p, "br0"), "a");
    assert_string_equal(policy_network(p, "br1"), "a");
    assert_string_equal(policy_network(p, "a"), "b");
    policy_free(p);
}

static void test_clashes(void **state)
{
    const struct folder *folder = *state;
    put(folder, "policy.yaml",
        "version: 1\n" CLUSTERS TIERS "rules:\n  - {name: r, match: {disk: a}, tier: t}\n"
        "verify: full\nlimits: {per_host: 2}\nnetworks: {br0: a}\non_error: pass\n");
    static const struct {
        const char *drop_in, *message, *hint;
    } cases[] = {
        {"clusters:\n  c: {mons: b}\n",
         "@/policy.d/x.yaml:2:3: clusters: 'c' is given again, first at @/policy.yaml:2:12", NULL},
        {"tiers:\n  t: {pool: c/q}\n",
         "@/policy.d/x.yaml:2:3: tiers: 't' is given again, first at @/policy.yaml:3:9", NULL},
        {"rules:\n  - {name: r, match: {disk: b}, tier: t}\n",
         "@/policy.d/x.yaml:2:12: rule 'r' is given again, first at @/policy.yaml:5:12", NULL},
        {"verify: full\n",
         "@/policy.d/x.yaml:1:1: 'verify' is given again, first at @/policy.yaml:6:1", NULL},
        {"limits: {stuck_after: 5m, per_host: 2}\n",
         "@/policy.d/x.yaml:1:27: 'limits.per_host' is given again, first at @/policy.yaml:7:10",
         NULL},
        {"networks:\n  br0: a\n",
         "@/policy.d/x.yaml:2:3: networks: 'br0' is given again, first at @/policy.yaml:8:12",
         NULL},
        {"on_error: pass\n",
         "@/policy.d/x.yaml:1:1: 'on_error' is given again, first at @/policy.yaml:9:1", NULL},
        {"version: 2\n",
         "@/policy.d/x.yaml:1:10: version: '2' is not a version that this virt-pivot knows", NULL},
        {"clusters:\n  d: {mons: [x, a]}\n",
         "@/policy.d/x.yaml:2:13: clusters 'c' and 'd' have the same monitor 'a', first at "
         "@/policy.yaml:2:22",
         NULL},
        {"tiers:\n  u: {pool: d/q}\n", "@/policy.d/x.yaml:2:13: unknown cluster 'd'",
         "did you mean 'c'?"},
        {"- a\n", "@/policy.d/x.yaml:1:1: expected a mapping of settings, found a list", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        put(folder, "policy.d/x.yaml", cases[i].drop_in);
        AUTO_BUFFER struct buffer message = {0};
        buffer_add(&message, cases[i].message);
        assert_refused(folder, "", ERROR_POLICY, message.text, cases[i].hint);
    }
}

static void test_catch_all(void **state)
{
    put(*state, "policy.yaml",
        "version: 1\n" CLUSTERS TIERS "rules:\n  - {name: the rest, match: {}, leave: true}\n");
    put(*state, "policy.d/50.yaml", "rules:\n  - {name: databases, match: {disk: a}, tier: t}\n");
    assert_refused(*state, "", ERROR_POLICY,
                   "@/policy.d/50.yaml:2:5: rule 'databases' can never match: rule 'the rest' at "
                   "@/policy.yaml:5:5 takes all of its disks",
                   "move rule 'the rest' into the last file of policy.d");
}

static void test_no_policy(void **state)
{
    assert_refused(*state, "/none.yaml", ERROR_NOT_FOUND,
                   "cannot read '@/none.yaml': No such file or directory",
                   "see virt-pivot-policy(5) for how to write a policy");
    static const char nothing[] = "there is no policy: neither @/policy.yaml nor @/policy.d/*.yaml";
    assert_refused(*state, "", ERROR_NOT_FOUND, nothing, NULL);
    put(*state, "policy.d/a.txt", "");
    assert_refused(*state, "", ERROR_NOT_FOUND, nothing, NULL);
}

/* Opening a FIFO or a device could block for ever: libvirt would wait for the hook. */
static void test_odd_files(void **state)
{
    const struct folder *folder = *state;
    AUTO_FREE char *path = text_format("%s/policy.yaml", folder->path);
    assert_int_equal(mkfifo(path, 0644), 0);
    assert_refused(folder, "/policy.yaml", ERROR_POLICY, "'@/policy.yaml' is not a regular file",
                   NULL);
    assert_refused(folder, "", ERROR_POLICY, "'@/policy.yaml' is not a regular file", NULL);
    assert_int_equal(unlink(path), 0);

    assert_int_equal(symlink("nowhere", path), 0);
    assert_refused(folder, "", ERROR_POLICY,
                   "cannot read '@/policy.yaml': No such file or directory", NULL);
    assert_int_equal(unlink(path), 0);

    put(folder, "policy.d", "a file");
    assert_refused(folder, "", ERROR_POLICY, "cannot read '@/policy.d': Not a directory", NULL);
    assert_refused(folder, "/policy.d/x", ERROR_NOT_FOUND,
                   "cannot read '@/policy.d/x': Not a directory", NULL);
    AUTO_FREE char *drop_ins = text_format("%s/policy.d", folder->path);
    assert_int_equal(unlink(drop_ins), 0);

    put(folder, "real.yaml", "version: 1\n" CLUSTERS);
    assert_int_equal(symlink("real.yaml", path), 0);
    policy_free(load_ok(folder, ""));
    put(folder, "policy.d/sub.yaml/file", "");
    assert_refused(folder, "", ERROR_POLICY, "'@/policy.d/sub.yaml' is not a regular file", NULL);
}

static void test_bounds(void **state)
{
    const struct folder *folder = *state;
    put(folder, "policy.yaml", "version: 1\n");
    AUTO_FREE char *path = text_format("%s/policy.yaml", folder->path);
    assert_int_equal(truncate(path, (1 << 20) + 1), 0);
    assert_refused(folder, "", ERROR_POLICY, "'@/policy.yaml' is larger than 1048576 bytes", NULL);

    put(folder, "policy.yaml", "version: 1\n");
    for (unsigned i = 0; i < 256; i++) {
        AUTO_FREE char *name = text_format("policy.d/%u.yaml", i);
        put(folder, name, "");
    }
    policy_free(load_ok(folder, ""));
    put(folder, "policy.d/last.yaml", "");
    assert_refused(folder, "", ERROR_POLICY, "'@/policy.d' has more than 256 files", NULL);
}

/* The bound on values holds for all files together. */
static void test_values_add_up(void **state)
{
    AUTO_BUFFER struct buffer yaml = {0};
    buffer_add(&yaml, "rules:\n");
    for (unsigned i = 0; i < 1100; i++)
        buffer_format(&yaml, "- {match: {domain: [a, b, c]}, leave: true, name: x}\n");
    put(*state, "policy.yaml", "version: 1\n");
    put(*state, "policy.d/1.yaml", yaml.text);
    AUTO_ERROR struct error error = {0};
    const struct policy *policy = NULL;
    assert_int_equal(policy_load(((struct folder *)*state)->path, &policy, &error), -1);
    assert_non_null(strstr(error.message, "rule 'x' is given again"));
    put(*state, "policy.d/2.yaml", yaml.text);
    assert_int_equal(policy_load(((struct folder *)*state)->path, &policy, &error), -1);
    assert_non_null(strstr(error.message, "policy.d/2.yaml:"));
    assert_non_null(strstr(error.message, "the policy has more than 20000 values"));
}

static void test_conf(void **state)
{
    const struct folder *folder = *state;
    AUTO_FREE char *yaml = text_format("version: 1\nclusters:\n  c:\n    conf: %s/ceph.conf\n"
                                       "  d: {mons: b, conf: %s/missing.conf}\n",
                                       folder->path, folder->path);
    put(folder, "policy.yaml", yaml);
    assert_refused(folder, "", ERROR_POLICY,
                   "@/policy.yaml:4:11: conf: cannot read '@/ceph.conf': No such file or directory",
                   "install it on this host, or name the monitors with 'mons'");
    put(folder, "ceph.conf", "[global]\nfsid = 1\n");
    assert_refused(folder, "", ERROR_POLICY,
                   "@/policy.yaml:4:11: conf: '@/ceph.conf' has no 'mon host' in [global]",
                   "name the monitors with 'mons'");
    put(folder, "ceph.conf", "[global]\nmon host = m1:x\n");
    assert_refused(folder, "", ERROR_POLICY,
                   "@/policy.yaml:4:11: conf: 'mon host' in '@/ceph.conf': 'm1:x' is not the "
                   "address of a monitor",
                   NULL);
    put(folder, "ceph.conf", "[global]\nmon host = m1, b:6789\n");
    assert_refused(folder, "", ERROR_POLICY,
                   "@/policy.yaml:5:13: clusters 'c' and 'd' have the same monitor 'b', first at "
                   "@/policy.yaml:4:11",
                   NULL);

    put(folder, "ceph.conf", "[global]\nmon host = [v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0] m2\n");
    const struct policy *p = load_ok(folder, "");
    const struct policy_cluster *c = p->clusters.items[0];
    assert_true(c->mons_from_conf);
    assert_int_equal(c->mons.count, 3);
    assert_string_equal(c->mons.items[0].host, "10.0.0.1");
    assert_string_equal(c->mons.items[0].port, "3300");
    assert_string_equal(c->mons.items[2].host, "m2");
    assert_false(p->clusters.items[1]->mons_from_conf);
    assert_int_equal(p->clusters.items[1]->mons.count, 1);
    policy_free(p);

    AUTO_FREE char *conf = text_format("%s/ceph.conf", folder->path);
    assert_int_equal(unlink(conf), 0);
    assert_int_equal(mkfifo(conf, 0644), 0);
    assert_refused(folder, "", ERROR_POLICY,
                   "@/policy.yaml:4:11: conf: '@/ceph.conf' is not a regular file", NULL);
}

static void test_unreadable(void **state)
{
    const struct folder *folder = *state;
    put(folder, "policy.yaml", "version: 1\n");
    AUTO_FREE char *path = text_format("%s/policy.yaml", folder->path);
    assert_int_equal(chmod(path, 0), 0);
    /* Root reads everything, so for a moment this is nobody. */
    uid_t user = geteuid();
    assert_int_equal(chmod(folder->path, 0755), 0);
    assert_int_equal(user == 0 ? seteuid(65534) : 0, 0);
    assert_refused(folder, "", ERROR_POLICY, "cannot read '@/policy.yaml': Permission denied",
                   NULL);
    assert_int_equal(user == 0 ? seteuid(0) : 0, 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_single_file), IN_FOLDER(test_order),      IN_FOLDER(test_drop_ins_alone),
        IN_FOLDER(test_clashes),     IN_FOLDER(test_catch_all),  IN_FOLDER(test_no_policy),
        IN_FOLDER(test_odd_files),   IN_FOLDER(test_bounds),     IN_FOLDER(test_values_add_up),
        IN_FOLDER(test_conf),        IN_FOLDER(test_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
