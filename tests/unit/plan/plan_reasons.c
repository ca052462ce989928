/* Move, leave or refuse: every reason there is, and which comes first. */
#include "plan_fixture.h"

struct reason_case {
    const char *name;
    const char *disk;                         /* live, and defined unless: */
    const char *defined;                      /* what the definition says instead */
    void (*change)(struct plan_facts *facts); /* of what the survey found */
    const char *tier, *only;                  /* of the request */
    const char *policy;                       /* NULL: POLICY */
    enum plan_action action;
    const char *reason, *hint; /* parts of them; hint NULL: there must be none */
};

static void source_is_rbd(struct plan_facts *facts)
{
    struct disk_facts *disk = &facts->disks.items[0];
    disk->source_is_rbd = true;
    disk->source_seen = true;
    disk->source_cluster.name = text_dup("old");
    disk->source_pool = text_dup("vms");
    disk->source_image_name = text_dup("a");
    disk->source_image.size = disk->capacity;
    disk->source_image.allocated_known = true;
}

static void source_unseen(struct plan_facts *facts)
{
    facts->disks.items[0].source_is_rbd = true;
    facts->disks.items[0].source_problem = text_dup("nobody answers");
}

static void with_snapshots(struct plan_facts *facts)
{
    source_is_rbd(facts);
    facts->disks.items[0].source_image.snapshots = 2;
}

static void off(struct plan_facts *facts)
{
    facts->state.active = false;
    domain_freep(&facts->live);
}

static void off_with_snapshots(struct plan_facts *facts)
{
    with_snapshots(facts);
    off(facts);
}

static void off_with_uneven_snapshots(struct plan_facts *facts)
{
    off_with_snapshots(facts);
    facts->disks.items[0].source_image.snapshots_uneven = true;
}

static void with_children(struct plan_facts *facts)
{
    source_is_rbd(facts);
    facts->disks.items[0].source_image.children = 1;
}

static void in_a_group(struct plan_facts *facts)
{
    source_is_rbd(facts);
    facts->disks.items[0].source_image.in_group = true;
}

static void mirrored_to_a_third(struct plan_facts *facts)
{
    source_is_rbd(facts);
    facts->disks.items[0].source_image.mirrored = true;
}

static void journaled(struct plan_facts *facts)
{
    source_is_rbd(facts);
    facts->disks.items[0].source_image.features = 1ull << 6;
}

static void all_losses(struct plan_facts *facts)
{
    with_snapshots(facts);
    struct ceph_image *image = &facts->disks.items[0].source_image;
    image->children = 1;
    image->in_group = image->mirrored = true;
    image->features = 1ull << 6;
}

static void size_unknown(struct plan_facts *facts)
{
    facts->disks.items[0].size_known = false;
}

static void target_broken(struct plan_facts *facts)
{
    facts->disks.items[0].target_problem = text_dup("target pool new/fast is nearly full");
    facts->disks.items[0].target_hint = text_dup("make room");
}

static void target_theirs(struct plan_facts *facts)
{
    facts->disks.items[0].target_exists = true;
}

static void target_ours(struct plan_facts *facts)
{
    target_theirs(facts);
    facts->disks.items[0].target_owner = text_dup("0123-vda");
}

static void qemu_6_2_of_a_file(struct plan_facts *facts)
{
    facts->versions.hypervisor = 6002000;
}

static void qemu_6_2(struct plan_facts *facts)
{
    source_is_rbd(facts);
    facts->versions.hypervisor = 6002000;
}

static void qemu_10_0_8(struct plan_facts *facts)
{
    facts->versions.hypervisor = 10000008;
}

static void libvirt_11_6(struct plan_facts *facts)
{
    facts->versions.libvirt = 11006000;
}

#define DISK(attributes, inner)                                                                    \
    "<disk " attributes ">" inner "<target dev='vda' bus='virtio'/></disk>"
#define NESTED_DISK                                                                                \
    DISK("type='network' device='disk'",                                                           \
         "<driver name='qemu' type='qcow2'/>"                                                      \
         "<source protocol='nbd' name='a'><host name='127.0.0.1' port='10809'/></source>")
#define FILE_SOURCE "<source file='/images/a'/>"
#define GOLD "<source protocol='rbd' name='fast/x'><host name='10.1.0.2'/></source>"
#define RBD_BASE "<source protocol='rbd' name='vms/base'><host name='10.0.0.1'/></source>"
#define OVERLAY(type, source)                                                                      \
    DISK("type='file' device='disk'",                                                              \
         "<driver name='qemu' type='qcow2'/><source file='/images/a'/>"                            \
         "<backingStore type='" type "'><format type='raw'/>" source                               \
         "<backingStore/></backingStore>")
#define LEAVE_OUT "leave it out with a rule"

static const struct reason_case cases[] = {
    {"a rule wants it", FILE_DISK("/images/a"), .action = PLAN_MOVE,
     .reason = "rule 'files' wants it in tier 'gold'"},
    {"asked for by tier", FILE_DISK("/scratch/a"), .tier = "silver", .action = PLAN_MOVE,
     .reason = "tier 'silver' was asked for"},
    {"a rule leaves it", FILE_DISK("/scratch/a"), .action = PLAN_LEAVE,
     .reason = "rule 'scratch' leaves it"},
    {"no rule matches", DISK("type='dir' device='disk'", "<source dir='/x'/>"),
     .action = PLAN_LEAVE, .reason = "no rule of the policy matches it"},
    {"not asked for",
     FILE_DISK("/images/a") "<disk type='file'><source file='/images/b'/>"
                            "<target dev='vdb'/></disk>",
     .only = "vdb", .action = PLAN_LEAVE, .reason = "not asked for"},
    {"in its tier already", RBD_DISK("fast/x", "10.1.0.2"), .change = source_is_rbd,
     .action = PLAN_LEAVE, .reason = "it is in tier 'gold' already"},
    {"shareable, in its tier already", DISK("type='network' device='disk'", GOLD "<shareable/>"),
     .change = source_is_rbd, .action = PLAN_LEAVE, .reason = "it is in tier 'gold' already"},
    {"read-only, in its tier already", DISK("type='network' device='disk'", GOLD "<readonly/>"),
     .change = source_is_rbd, .only = "vda", .action = PLAN_LEAVE,
     .reason = "it is in tier 'gold' already"},
    {"same name in another cluster", RBD_DISK("fast/x", "10.9.9.9"), .change = source_is_rbd,
     .action = PLAN_MOVE, .reason = "rule 'files'"},
    {"another pool of the same cluster", RBD_DISK("bulk/x", "10.1.0.2"), .change = source_is_rbd,
     .action = PLAN_MOVE, .reason = "rule 'files'"},
    {"another namespace of the same pool", RBD_DISK("fast/other/x", "10.1.0.2"),
     .change = source_is_rbd, .action = PLAN_MOVE, .reason = "rule 'files'"},

    {"a cdrom", DISK("type='file' device='cdrom'", FILE_SOURCE "<readonly/>"), .action = PLAN_LEAVE,
     .reason = "removable medium"},
    {"a cdrom by name", DISK("type='file' device='cdrom'", FILE_SOURCE "<readonly/>"),
     .only = "vda", .action = PLAN_REFUSE, .reason = "removable medium", .hint = LEAVE_OUT},
    {"a floppy", DISK("type='file' device='floppy'", FILE_SOURCE), .action = PLAN_LEAVE,
     .reason = "removable medium"},
    {"an empty drive", DISK("type='file' device='disk'", ""), .tier = "gold", .action = PLAN_LEAVE,
     .reason = "empty drive"},
    {"an empty drive by name", DISK("type='file' device='disk'", ""), .tier = "gold", .only = "vda",
     .action = PLAN_REFUSE, .reason = "empty drive", .hint = LEAVE_OUT},
    {"a lun", DISK("type='block' device='lun'", "<source dev='/dev/sdx'/>"), .action = PLAN_REFUSE,
     .reason = "device='lun'", .hint = LEAVE_OUT},
    {"vhost-user", DISK("type='vhostuser' device='disk'", "<source type='unix' path='/s'/>"),
     .tier = "gold", .action = PLAN_REFUSE, .reason = "vhost-user", .hint = LEAVE_OUT},
    {"nvme", DISK("type='nvme' device='disk'", "<source type='pci' namespace='1'/>"),
     .tier = "gold", .action = PLAN_REFUSE, .reason = "not one that can be mirrored",
     .hint = LEAVE_OUT},
    {"read-only", DISK("type='file' device='disk'", FILE_SOURCE "<readonly/>"),
     .action = PLAN_REFUSE, .reason = "read-only", .hint = LEAVE_OUT},
    {"shareable", DISK("type='file' device='disk'", FILE_SOURCE "<shareable/>"),
     .action = PLAN_REFUSE, .reason = "shareable", .hint = LEAVE_OUT},
    {"transient", DISK("type='file' device='disk'", FILE_SOURCE "<transient/>"),
     .action = PLAN_REFUSE, .reason = "transient", .hint = LEAVE_OUT},
    {"encrypted",
     DISK("type='file' device='disk'",
          "<source file='/images/a'><encryption format='luks'><secret type='passphrase' uuid='" UUID
          "'/></encryption></source>"),
     .action = PLAN_REFUSE, .reason = "encrypted", .hint = LEAVE_OUT},

    {"a slice",
     DISK("type='file' device='disk'", "<source file='/images/a'><slices><slice type='storage' "
                                       "offset='0' size='512'/></slices></source>"),
     .action = PLAN_REFUSE, .reason = "a slice of a larger file"},
    {"qcow2 in an export, off", NESTED_DISK, .change = off, .action = PLAN_REFUSE,
     .reason = "qcow2 within a network disk", .hint = "while it runs"},
    {"qcow2 in an export, which QEMU reads", NESTED_DISK, .action = PLAN_MOVE, .reason = "rule"},
    {"a job",
     DISK("type='file' device='disk'",
          FILE_SOURCE "<mirror type='file' job='copy'><source file='/b'/></mirror>"),
     .defined = FILE_DISK("/images/a"), .action = PLAN_REFUSE, .reason = "a block job",
     .hint = "--abort"},
    {"defined otherwise", FILE_DISK("/images/a"), .defined = FILE_DISK("/images/b"),
     .action = PLAN_REFUSE, .reason = "names another source (/images/b)", .hint = "agree first"},
    {"hot-plugged, not defined", FILE_DISK("/images/a"), .defined = "", .action = PLAN_MOVE,
     .reason = "rule 'files'"},
    {"size unknown", FILE_DISK("/images/a"), .change = size_unknown, .action = PLAN_REFUSE,
     .reason = "its size cannot be read", .hint = "domblkinfo"},

    {"source unseen", RBD_DISK("vms/a", "10.0.0.1"), .change = source_unseen, .action = PLAN_REFUSE,
     .reason = "cannot be examined for snapshots and clones: nobody answers",
     .hint = "the source's cluster"},
    {"snapshots", RBD_DISK("vms/a", "10.0.0.1"), .change = with_snapshots, .action = PLAN_REFUSE,
     .reason = "RBD snapshots", .hint = "allow_loss: [snapshots]"},
    {"snapshots cannot be copied of one that runs", RBD_DISK("vms/a", "10.0.0.1"),
     .change = with_snapshots, .policy = POLICY "source: {snapshots: copy}\n",
     .action = PLAN_REFUSE, .reason = "RBD snapshots", .hint = "allow_loss: [snapshots]"},
    {"snapshots of another size", RBD_DISK("vms/a", "10.0.0.1"),
     .change = off_with_uneven_snapshots, .policy = POLICY "source: {snapshots: copy}\n",
     .action = PLAN_REFUSE, .reason = "of another size than it has now",
     .hint = "snapshots: leave"},
    {"snapshots are copied along", RBD_DISK("vms/a", "10.0.0.1"), .change = off_with_snapshots,
     .policy = POLICY "source: {snapshots: copy}\n", .action = PLAN_MOVE, .reason = "rule"},
    {"children", RBD_DISK("vms/a", "10.0.0.1"), .change = with_children, .action = PLAN_REFUSE,
     .reason = "clones that depend on it", .hint = "allow_loss: [children]"},
    {"a group", RBD_DISK("vms/a", "10.0.0.1"), .change = in_a_group, .action = PLAN_REFUSE,
     .reason = "consistency group", .hint = "allow_loss: [group]"},
    {"mirroring", RBD_DISK("vms/a", "10.0.0.1"), .change = mirrored_to_a_third,
     .action = PLAN_REFUSE, .reason = "RBD mirroring", .hint = "allow_loss: [mirroring]"},
    {"journaling", RBD_DISK("vms/a", "10.0.0.1"), .change = journaled, .action = PLAN_REFUSE,
     .reason = "RBD journaling", .hint = "allow_loss: [journaling]"},
    {"one loss allowed, another not", RBD_DISK("vms/a", "10.0.0.1"), .change = all_losses,
     .policy = POLICY "source: {allow_loss: [snapshots]}\n", .action = PLAN_REFUSE,
     .reason = "clones that depend on it", .hint = "allow_loss: [children]"},
    {"all losses allowed", RBD_DISK("vms/a", "10.0.0.1"), .change = all_losses,
     .policy = POLICY "source: {allow_loss: [snapshots, children, group, mirroring, "
                      "journaling]}\n",
     .action = PLAN_MOVE, .reason = "rule 'files'"},

    {"target not well", FILE_DISK("/images/a"), .change = target_broken, .action = PLAN_REFUSE,
     .reason = "target pool new/fast is nearly full", .hint = "make room"},
    {"target exists, not ours", FILE_DISK("/images/a"), .change = target_theirs,
     .action = PLAN_REFUSE, .reason = "target image new/fast/db-1-vda exists already",
     .hint = "will not touch it"},
    {"target exists, ours", FILE_DISK("/images/a"), .change = target_ours, .action = PLAN_REFUSE,
     .reason = "target image new/fast/db-1-vda exists already", .hint = "virt-pivot recover"},

    {"QEMU reads RBD wrongly", RBD_DISK("vms/a", "10.0.0.1"), .change = qemu_6_2,
     .action = PLAN_REFUSE, .reason = "QEMU 6.2 reads data as holes", .hint = "upgrade QEMU"},
    {"QEMU reads RBD below a file wrongly", OVERLAY("network", RBD_BASE),
     .change = qemu_6_2_of_a_file, .action = PLAN_REFUSE, .reason = "QEMU 6.2 reads data as holes",
     .hint = "upgrade QEMU"},
    {"the same QEMU, a file below a file", OVERLAY("file", "<source file='/images/base'/>"),
     .change = qemu_6_2_of_a_file, .action = PLAN_MOVE, .reason = "rule 'files'"},
    {"the same QEMU, RBD below another disk",
     FILE_DISK("/images/a") "<disk type='network'><source protocol='rbd' name='vms/b'/>"
                            "<target dev='vdb'/></disk>",
     .change = qemu_6_2_of_a_file, .action = PLAN_MOVE, .reason = "rule 'files'"},
    {"QEMU loses writes",
     DISK("type='file' device='disk'",
          "<driver name='qemu' type='raw' discard='unmap'/>" FILE_SOURCE),
     .change = qemu_10_0_8, .action = PLAN_REFUSE, .reason = "misses guest writes",
     .hint = "upgrade QEMU"},
    {"the same QEMU without discard", FILE_DISK("/images/a"), .change = qemu_10_0_8,
     .action = PLAN_MOVE, .reason = "rule 'files'"},
    {"a namespace, libvirt too old", FILE_DISK("/images/a"), .tier = "tenant",
     .action = PLAN_REFUSE, .reason = "pool/namespace/image", .hint = ""},
    {"a namespace", FILE_DISK("/images/a"), .tier = "tenant", .change = libvirt_11_6,
     .action = PLAN_MOVE, .reason = "tier 'tenant' was asked for"},
};

static void check_case(const struct reason_case *c)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, c->policy ? c->policy : POLICY, c->disk);
    if (c->defined) {
        domain_freep(&scene.facts.inactive);
        scene.facts.inactive = domain_of(c->defined);
    }
    if (c->change)
        c->change(&scene.facts);
    const struct plan_request request = {
        .targets = &c->only, .target_count = c->only ? 1 : 0, .tier = c->tier};
    AUTO_PLAN struct plan *plan = plan_of(&scene, &request);
    const struct plan_disk *disk = &plan->disks.items[0];
    if (disk->action != c->action || !strstr(disk->reason, c->reason))
        fail_msg("%s: %s: %s", c->name, plan_action_word(disk->action), disk->reason);
    if (!c->hint != !disk->hint || (c->hint && !strstr(disk->hint, c->hint)))
        fail_msg("%s: the hint is '%s'", c->name, disk->hint ? disk->hint : "(none)");
    AUTO_ERROR struct error error = {0};
    if (plan->disks.count == 1) {
        static const enum error_code codes[] = {
            [PLAN_MOVE] = ERROR_NONE, [PLAN_LEAVE] = ERROR_NOTHING, [PLAN_REFUSE] = ERROR_FAILED};
        assert_int_equal(plan_check(plan, &error), c->action == PLAN_MOVE ? 0 : -1);
        assert_int_equal(error.code, codes[c->action]);
        if (c->action == PLAN_REFUSE)
            assert_non_null(strstr(error.message, c->reason));
    }
}

static void every_reason(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_case(&cases[i]);
}

/* One refused disk keeps the others where they are: the operator says what he wants. */
static void a_refusal_stops_the_domain(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY,
              FILE_DISK("/images/a") "<disk type='file' device='disk'><source file='/images/b'/>"
                                     "<target dev='vdb'/><shareable/></disk>"
                                     "<disk type='file' device='disk'><source file='/images/c'/>"
                                     "<target dev='vdc'/><transient/></disk>");
    AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
    AUTO_ERROR struct error error = {0};
    assert_int_equal(plan_check(plan, &error), -1);
    assert_int_equal(error.code, ERROR_FAILED);
    assert_non_null(strstr(error.message, "disk vdb: it is shareable"));
    assert_non_null(strstr(error.message, "disk vdc: it is transient"));
    assert_null(strstr(error.message, "vda"));
    assert_non_null(error.hint);

    const char *first = "vda";
    const struct plan_request request = {.targets = &first, .target_count = 1};
    AUTO_PLAN struct plan *one = plan_of(&scene, &request);
    AUTO_ERROR struct error none = {0};
    assert_int_equal(plan_check(one, &none), 0);
}

static void wrong_requests(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, FILE_DISK("/images/a"));
    const char *vdz = "vdz";
    const struct plan_request requests[] = {{.tier = "glod"}, {.targets = &vdz, .target_count = 1}};
    static const char *const messages[] = {"no tier 'glod'", "no disk 'vdz'"};
    static const char *const hints[] = {"gold, silver, tuned, tenant", "it has: vda"};
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        AUTO_ERROR struct error error = {0};
        struct plan *plan = NULL;
        assert_int_equal(plan_make(&scene.facts, scene.policy, &requests[i], &plan, &error), -1);
        assert_null(plan);
        assert_int_equal(error_exit_status(&error), 2);
        assert_non_null(strstr(error.message, messages[i]));
        assert_non_null(strstr(error.hint, hints[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason),
        cmocka_unit_test(a_refusal_stops_the_domain),
        cmocka_unit_test(wrong_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
