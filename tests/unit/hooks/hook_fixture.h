/* What the tests of hooks/ share: a folder, a policy, an input, and a helper that does as told. */
#ifndef TESTS_UNIT_HOOKS_FIXTURE_H
#define TESTS_UNIT_HOOKS_FIXTURE_H

#include "journal/scratch.h"

#include "hooks/hook.h"
#include "journal/journal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define UUID "c7a5fdbd-cdaf-9455-926a-d65c16db1809"
#define OTHER_UUID "00000000-0000-4000-8000-000000000002"
#define GIB (1ull << 30)

#define OK(call)                                                                                   \
    do {                                                                                           \
        AUTO_ERROR struct error ok_error = {0};                                                    \
        struct error *why = &ok_error;                                                             \
        if ((call) < 0)                                                                            \
            fail_msg("%s: %s", #call, ok_error.message ? ok_error.message : "no message");         \
        assert_false(error_is_set(&ok_error));                                                     \
    } while (0)

#define POLICY                                                                                     \
    "version: 1\n"                                                                                 \
    "clusters: {flash: {mons: ['10.1.0.1:3300', '10.1.0.2'], user: libvirt,"                       \
    " secret: 2d51d16c-b0ef-4a9f-8938-de099f017a62}}\n"                                            \
    "tiers: {gold: {pool: flash/fast, driver: {cache: none, discard: unmap}}}\n"                   \
    "rules: [{name: files, match: {type: [file, block, network]}, tier: gold}]\n"

static inline UNUSED void write_file(const char *path, const char *text, mode_t mode)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static inline UNUSED char *read_file(const char *path)
{
    AUTO_BUFFER struct buffer text = {0};
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char block[4096];
    for (ssize_t count = 0; (count = read(fd, block, sizeof(block))) > 0;)
        buffer_add_slice(&text, block, (size_t)count);
    return buffer_take(&text);
}

struct desk {
    char *folder, *policy, *state, *helper;
    struct hook_settings settings;
};

static inline UNUSED int desk_open(void **state)
{
    struct desk *desk = NEW(struct desk);
    desk->folder = scratch_new();
    desk->policy = text_format("%s/policy.yaml", desk->folder);
    desk->state = text_format("%s/state", desk->folder);
    desk->helper = text_format("%s/helper", desk->folder);
    assert_int_equal(mkdir(desk->state, 0700), 0);
    desk->settings = (struct hook_settings){
        .policy = desk->policy,
        .state = desk->state,
        .helper = desk->helper,
        .input = -1,
        .input_seconds = 5,
        .helper_seconds = 20,
    };
    *state = desk;
    return 0;
}

static inline UNUSED int desk_close(void **state)
{
    struct desk *desk = *state;
    scratch_remove(&desk->folder);
    free(desk->policy);
    free(desk->state);
    free(desk->helper);
    if (desk->settings.input >= 0)
        close(desk->settings.input);
    free(desk);
    return 0;
}

static inline UNUSED void give_policy(struct desk *desk, const char *more)
{
    AUTO_FREE char *text = text_format("%s%s", POLICY, more);
    write_file(desk->policy, text, 0600);
}

/* A shell script; $0.NAME are its files. */
static inline UNUSED void give_helper(struct desk *desk, const char *script)
{
    AUTO_FREE char *text = text_format("#!/bin/sh\ncat >\"$0.input\"\n%s\n", script);
    write_file(desk->helper, text, 0700);
}

static inline UNUSED char *helper_file(const struct desk *desk, const char *name)
{
    AUTO_FREE char *path = text_format("%s.%s", desk->helper, name);
    return read_file(path);
}

static inline UNUSED void give_input(struct desk *desk, const char *xml)
{
    if (desk->settings.input >= 0)
        close(desk->settings.input);
    desk->settings.input = memfd_create("input", MFD_CLOEXEC);
    assert_true(desk->settings.input >= 0);
    assert_int_equal(write(desk->settings.input, xml, strlen(xml)), (ssize_t)strlen(xml));
    assert_int_equal(lseek(desk->settings.input, 0, SEEK_SET), 0);
}

/* A running guest as libvirt gives it to the hook: without its id, but with what its start has left
 * in it. SIZES are <disk> elements of the metadata. */
static inline UNUSED char *guest(const char *sizes, const char *devices)
{
    return text_format(
        "<domain type='kvm'>\n  <name>db1</name>\n  <uuid>" UUID "</uuid>\n"
        "  <metadata>\n    <s:disks xmlns:s='" DOMAIN_SIZES_NAMESPACE "'>%s"
        "</s:disks>\n  </metadata>\n"
        "  <resource><partition>/machine</partition></resource>\n  <devices>\n%s  </devices>\n"
        "  <seclabel type='none'/>\n</domain>\n",
        sizes, devices);
}

static inline UNUSED struct domain *domain_of(const char *xml)
{
    struct domain *domain = NULL;
    OK(domain_parse(xml, strlen(xml), &domain, why));
    return domain;
}

#define SIZE(target, bytes, local)                                                                 \
    "<s:disk target='" target "' capacity='" bytes "' local='" local "'/>"
#define FILE_DISK(target, path, format)                                                            \
    "    <disk type='file' device='disk'>\n"                                                       \
    "      <driver name='qemu' type='" format "'/>\n"                                              \
    "      <source file='" path "'/>\n"                                                            \
    "      <backingStore/>\n"                                                                      \
    "      <target dev='" target "' bus='virtio'/>\n"                                              \
    "    </disk>\n"
#define RBD_DISK(target, name)                                                                     \
    "    <disk type='network' device='disk'>\n"                                                    \
    "      <driver name='qemu' type='raw' cache='none' discard='unmap'/>\n"                        \
    "      <source protocol='rbd' name='" name "'>\n"                                              \
    "        <host name='10.1.0.1' port='3300'/>\n"                                                \
    "        <auth username='libvirt'>\n"                                                          \
    "          <secret type='ceph' uuid='2d51d16c-b0ef-4a9f-8938-de099f017a62'/>\n"                \
    "        </auth>\n"                                                                            \
    "      </source>\n"                                                                            \
    "      <target dev='" target "' bus='virtio'/>\n"                                              \
    "    </disk>\n"

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (!(text) || !strstr((text), (part)))                                                    \
            fail_msg("'%s' not in:\n%s", (part), (text) ? (text) : "(nothing)");                   \
    } while (0)

#endif
