/* Facts as a survey would find them, and a policy to judge them by. */
#ifndef TESTS_UNIT_PLAN_FIXTURE_H
#define TESTS_UNIT_PLAN_FIXTURE_H

#include "cmocka_compat.h"

#include "plan/plan.h"
#include "survey/survey.h"

#define UUID "c7a5fdbd-cdaf-9455-926a-d65c16db1809"
#define GIB (1ull << 30)
#define MIB (1ull << 20)

/* Two clusters, four tiers, two rules; %s is a place for more. */
#define POLICY                                                                                     \
    "version: 1\n"                                                                                 \
    "clusters:\n"                                                                                  \
    "  old: {mons: ['10.0.0.1:6789'], user: libvirt,"                                              \
    " secret: 2d51d16c-b0ef-4a9f-8938-de099f017a62}\n"                                             \
    "  new: {mons: ['10.1.0.1:3300', '10.1.0.2', '[fd00::3]:3300'], user: libvirt,"                \
    " secret: client.libvirt new}\n"                                                               \
    "tiers:\n"                                                                                     \
    "  gold: {pool: new/fast, qos: {iops: 2000, bps: 100MiB}, driver: {cache: none, discard: "     \
    "unmap}, copy: {bandwidth: 200MiB, mode: synchronous}}\n"                                      \
    "  silver: {pool: new/bulk, data_pool: bulk-ec, object_size: 8MiB}\n"                          \
    "  tuned: {pool: new/bulk, qos: {enforce: iotune, read_iops: 10, write_bps: 1MiB}}\n"          \
    "  tenant: {pool: new/fast/tenant}\n"                                                          \
    "rules:\n"                                                                                     \
    "  - {name: scratch, match: {path: /scratch/**}, leave: true}\n"                               \
    "  - {name: files, match: {type: [file, block, volume, network]}, tier: gold}\n"

struct scene {
    struct plan_facts facts;
    const struct policy *policy;
};

static inline UNUSED const struct policy *policy_of(const char *yaml)
{
    AUTO_ERROR struct error error = {0};
    const struct policy *policy = NULL;
    if (policy_parse(yaml, strlen(yaml), "p.yaml", &policy, &error) < 0)
        fail_msg("%s\nin:\n%s", error.message, yaml);
    return policy;
}

static inline UNUSED struct domain *domain_of(const char *devices)
{
    AUTO_FREE char *xml = text_format("<domain type='kvm'><name>db-1</name><uuid>" UUID
                                      "</uuid><devices>%s</devices></domain>",
                                      devices);
    AUTO_ERROR struct error error = {0};
    struct domain *domain = NULL;
    if (domain_parse(xml, strlen(xml), &domain, &error) < 0)
        fail_msg("%s\nin:\n%s", error.message, xml);
    return domain;
}

/* A running, persistent domain with these disks, each of 10 GiB with 4 in use, and free targets. */
static inline UNUSED void scene_set(struct scene *scene, const char *yaml, const char *devices)
{
    scene->policy = policy_of(yaml);
    struct plan_facts *facts = &scene->facts;
    facts->uuid = text_dup(UUID);
    facts->state = (struct virt_domain){
        .exists = true, .name = text_dup("db-1"), .active = true, .persistent = true};
    facts->live = domain_of(devices);
    facts->inactive = domain_of(devices);
    facts->versions = (struct virt_versions){9000000, 7002022};
    facts->assumed_rate = 100e6;
    for (size_t i = 0; i < facts->live->disks.count; i++) {
        const char *target = facts->live->disks.items[i].target;
        *disks_facts_add(&facts->disks) = (struct disk_facts){
            .target = text_dup(target),
            .size_known = true,
            .capacity = 10 * GIB,
            .allocated = 4 * GIB,
            .allocated_exact = true,
            .target_image = text_format("db-1-%s", target),
        };
    }
}

static inline UNUSED void scene_clear(struct scene *scene)
{
    survey_clear(&scene->facts);
    policy_freep(&scene->policy);
}
#define AUTO_SCENE CLEANUP(scene_clear)
#define AUTO_PLAN CLEANUP(plan_freep)

static const struct plan_request everything;

static inline UNUSED struct plan *plan_of(const struct scene *scene,
                                          const struct plan_request *request)
{
    AUTO_ERROR struct error error = {0};
    struct plan *plan = NULL;
    if (plan_make(&scene->facts, scene->policy, request, &plan, &error) < 0)
        fail_msg("no plan: %s", error.message);
    assert_false(error_is_set(&error));
    return plan;
}

#define FILE_DISK(path)                                                                            \
    "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='" path          \
    "'/><target dev='vda' bus='virtio'/></disk>"
#define RBD_DISK(name, host)                                                                       \
    "<disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='rbd' "   \
    "name='" name "'><host name='" host "'/></source><target dev='vda' bus='virtio'/></disk>"

#endif
