/* What the tests of the policy share. */
#ifndef TESTS_UNIT_POLICY_FIXTURE_H
#define TESTS_UNIT_POLICY_FIXTURE_H

#include "cmocka_compat.h"

#include "base/text.h"
#include "policy/policy.h"

/* One text and the error that it has to give: the whole message, and the hint (NULL: any). */
struct error_case {
    const char *yaml, *message, *hint;
};

static inline UNUSED const struct policy *parse_ok(const char *yaml)
{
    AUTO_ERROR struct error error = {0};
    const struct policy *policy = NULL;
    if (policy_parse(yaml, strlen(yaml), "p.yaml", &policy, &error) < 0)
        fail_msg("%s\nin:\n%s", error.message, yaml);
    assert_non_null(policy);
    assert_false(error_is_set(&error));
    return policy;
}

static inline UNUSED void assert_errors(const struct error_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO_ERROR struct error error = {0};
        const struct policy *policy = NULL;
        int result = policy_parse(cases[i].yaml, strlen(cases[i].yaml), "p.yaml", &policy, &error);
        if (result == 0)
            fail_msg("taken, but it ought to be refused:\n%s", cases[i].yaml);
        assert_null(policy);
        assert_string_equal(error.message, cases[i].message);
        assert_int_equal(error.code, ERROR_POLICY);
        if (cases[i].hint)
            assert_string_equal(error.hint ? error.hint : "(no hint)", cases[i].hint);
    }
}

static inline UNUSED char *read_whole(const char *path, size_t *length)
{
    AUTO_FCLOSE FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("cannot open %s", path);
    AUTO_BUFFER struct buffer content = {0};
    char block[4096];
    for (size_t n = fread(block, 1, sizeof(block), file); n;
         n = fread(block, 1, sizeof(block), file))
        buffer_add_slice(&content, block, n);
    *length = content.length;
    return buffer_take(&content);
}

/* A domain of one disk, on the stack of the test: nothing in it is owned. */
struct sample {
    struct domain domain;
    struct disk disk;
    struct network_host hosts[4];
};

static inline UNUSED void sample_init(struct sample *sample, enum source_type type)
{
    memset(sample, 0, sizeof(*sample));
    sample->domain.name = (char *)"db-1";
    sample->domain.uuid = (char *)"c7a5fdbd-cdaf-9455-926a-d65c16db1809";
    sample->disk.target = (char *)"vda";
    sample->disk.bus = (char *)"virtio";
    sample->disk.source.type = type;
    sample->disk.source.hosts.items = sample->hosts;
}

static inline UNUSED void sample_host(struct sample *sample, const char *name, const char *port)
{
    struct network_hosts *hosts = &sample->disk.source.hosts;
    assert_true(hosts->count < ARRAY_SIZE(sample->hosts));
    sample->hosts[hosts->count++] =
        (struct network_host){.name = (char *)name, .port = (char *)port};
}

static inline UNUSED void sample_rbd(struct sample *sample, const char *name)
{
    sample_init(sample, SOURCE_NETWORK);
    sample->disk.source.protocol = (char *)"rbd";
    sample->disk.source.name = (char *)name;
    sample->disk.format = (char *)"raw";
}

static inline UNUSED void sample_file(struct sample *sample, const char *path)
{
    sample_init(sample, SOURCE_FILE);
    sample->disk.source.path = (char *)path;
    sample->disk.format = (char *)"qcow2";
}

#endif
