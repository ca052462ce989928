/* The examples and the manual page say what the code does. */
#include "policy/schema.h"
#include "policy_fixture.h"

#include <glob.h>
#include <sys/stat.h>

#define EXAMPLES SOURCE_DIR "/policy/examples"
#define MANUAL SOURCE_DIR "/policy/virt-pivot-policy.pod"

static const struct policy *parse_file(const char *path)
{
    size_t length = 0;
    AUTO_FREE char *text = read_whole(path, &length);
    AUTO_ERROR struct error error = {0};
    const struct policy *policy = NULL;
    if (policy_parse(text, length, path, &policy, &error) < 0)
        fail_msg("%s", error.message);
    return policy;
}

static void test_single_files(void **state UNUSED)
{
    glob_t found = {0};
    assert_int_equal(glob(EXAMPLES "/*.yaml", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 5);
    for (size_t i = 0; i < found.gl_pathc; i++)
        policy_free(parse_file(found.gl_pathv[i]));
    globfree(&found);
}

static void test_folder(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    const struct policy *p = NULL;
    if (policy_load(EXAMPLES "/site", &p, &error) < 0)
        fail_msg("%s", error.message);
    assert_int_equal(p->files.count, 3);
    assert_int_equal(p->tiers.count, 2);
    assert_int_equal(p->rules.count, 3);
    assert_string_equal(p->rules.items[0]->name, "analytics");
    assert_int_equal(p->allow_loss, LOSS_SNAPSHOTS);
    assert_int_equal(p->on_error, ON_ERROR_PASS);
    assert_string_equal(policy_network(p, "br0"), "br-vm");
    assert_string_equal(policy_network(p, "br1"), "br-analytics");
    policy_free(p);
}

/* The design's own sample, read to the last value. */
static void test_design_sample(void **state UNUSED)
{
    const struct policy *p = parse_file(EXAMPLES "/policy.yaml");
    assert_int_equal(p->clusters.count, 2);
    assert_string_equal(p->clusters.items[0]->mons.items[0].port, "13300");
    assert_true(p->clusters.items[0]->secret_is_uuid);
    assert_string_equal(p->clusters.items[1]->conf, "/etc/ceph/flash.conf");
    assert_string_equal(p->clusters.items[1]->secret, "client.libvirt flash");
    assert_string_equal(p->clusters.items[1]->keyring, "/etc/ceph/flash.client.libvirt.keyring");
    const struct policy_tier *gold = policy_tier(p, "gold");
    assert_ptr_equal(gold->cluster, p->clusters.items[1]);
    assert_string_equal(gold->pool, "fast");
    assert_int_equal(gold->qos.iops, 20000);
    assert_int_equal(gold->qos.iops_burst, 40000);
    assert_int_equal(gold->qos.bps, 400 << 20);
    assert_string_equal(gold->cache, "none");
    assert_string_equal(gold->discard, "unmap");
    assert_int_equal(gold->copy_bandwidth, 200 << 20);
    assert_int_equal(gold->copy_mode, COPY_BACKGROUND);
    assert_string_equal(policy_tier(p, "silver")->pool, "bulk");
    assert_int_equal(p->rules.count, 3);
    assert_ptr_equal(p->rules.items[0]->tier, gold);
    assert_null(p->rules.items[2]->tier);
    assert_true(p->max_latency == 1.5);
    assert_int_equal(p->source_grace, 7 * 86400);
    assert_false(p->on_start);
    assert_true(p->on_migrate && p->on_restore);

    struct sample sample;
    sample_rbd(&sample, "vms-old/db-1");
    sample_host(&sample, "127.0.0.1", "13300");
    const struct policy_subject subject = {&sample.domain, &sample.disk, 1 << 30};
    AUTO_FREE char *databases = policy_explain(p, &subject);
    assert_string_equal(databases,
                        "rule 'databases' (" EXAMPLES "/policy.yaml:23:5): yes: tier 'gold'\n");
    sample_file(&sample, "/var/lib/libvirt/images/web/root.qcow2");
    AUTO_FREE char *files = policy_explain(p, &subject);
    assert_string_equal(files,
                        "rule 'databases' (" EXAMPLES "/policy.yaml:23:5): no: the disk is in no "
                        "cluster of the policy, the rule wants cluster 'luminous'\n"
                        "rule 'local files' (" EXAMPLES "/policy.yaml:26:5): yes: tier "
                        "'silver'\n");
    policy_free(p);
}

/* The verbatim block of the manual that begins at START, without its indentation. */
static char *verbatim_block(const char *start)
{
    AUTO_BUFFER struct buffer text = {0};
    const char *line = start;
    while (*line) {
        const char *end = strchrnul(line, '\n');
        size_t blank = strspn(line, " ");
        if (end != line && blank == 0)
            break;
        size_t indent = blank < 2 ? blank : 2;
        buffer_add_slice(&text, line + indent, (size_t)(end - line) - indent);
        buffer_add(&text, "\n");
        line = *end ? end + 1 : end;
    }
    while (text.length > 1 && text.text[text.length - 2] == '\n')
        text.text[--text.length] = '\0';
    return buffer_take(&text);
}

/* Every policy that the manual shows is one, and the first is the design's sample. */
static void test_manual_examples(void **state UNUSED)
{
    size_t length = 0, found = 0, sample_length = 0;
    AUTO_FREE char *manual = read_whole(MANUAL, &length);
    AUTO_FREE char *sample = read_whole(EXAMPLES "/policy.yaml", &sample_length);
    for (const char *start = strstr(manual, "\n  version: 1\n"); start;
         start = strstr(start + 1, "\n  version: 1\n")) {
        AUTO_FREE char *yaml = verbatim_block(start + 1);
        policy_free(parse_ok(yaml));
        if (found++ == 0)
            assert_string_equal(yaml, sample);
    }
    assert_true(found >= 2);
}

static bool is_known(const char *key)
{
    size_t count = 0;
    const char *const *keys = policy_known_keys(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

/* Each key has one "=item B<key>", and there is no such item for what is no key. */
static void test_manual_keys(void **state UNUSED)
{
    size_t length = 0, count = 0, items = 0;
    AUTO_FREE char *manual = read_whole(MANUAL, &length);
    const char *const *keys = policy_known_keys(&count);
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *item = text_format("\n=item B<%s>\n", keys[i]);
        const char *first = strstr(manual, item);
        if (!first)
            fail_msg("the manual has no item for '%s'", keys[i]);
        if (strstr(first + 1, item))
            fail_msg("the manual has two items for '%s'", keys[i]);
    }
    static const char start[] = "\n=item B<";
    for (const char *item = strstr(manual, start); item; item = strstr(item + 1, start)) {
        const char *key = item + strlen(start);
        AUTO_FREE char *name = text_slice(key, strcspn(key, ">"));
        if (!is_known(name))
            fail_msg("the manual has an item for '%s', which is no key", name);
        items++;
    }
    assert_int_equal(items, count);
}

/* Each key's defaults and words stand in its own part of the manual. */
static void test_manual_values(void **state UNUSED)
{
    size_t length = 0, count = 0, defaults = 0;
    AUTO_FREE char *manual = read_whole(MANUAL, &length);
    const struct policy_key *keys = policy_schema(&count);
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *item = text_format("\n=item B<%s>\n", keys[i].path);
        const char *start = strstr(manual, item);
        assert_non_null(start);
        const char *end = strstr(start + 1, "\n=");
        assert_non_null(end);
        AUTO_FREE char *part = text_slice(start, (size_t)(end - start));
        for (char *c = part; *c; c++)
            if (*c == '\n')
                *c = ' ';
        for (const struct policy_word *word = keys[i].words; word && word->text; word++) {
            AUTO_FREE char *wanted = text_format("C<%s>", word->text);
            if (!strstr(part, wanted))
                fail_msg("the manual's '%s' does not name '%s'", keys[i].path, word->text);
        }
        if (!keys[i].fallback)
            continue;
        AUTO_FREE char *wanted = text_format("Default: C<%s>.", keys[i].fallback);
        if (!strstr(part, wanted))
            fail_msg("the manual's '%s' does not say '%s'", keys[i].path, wanted);
        defaults++;
    }
    assert_true(defaults >= 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_files),  cmocka_unit_test(test_folder),
        cmocka_unit_test(test_design_sample), cmocka_unit_test(test_manual_examples),
        cmocka_unit_test(test_manual_keys),   cmocka_unit_test(test_manual_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
