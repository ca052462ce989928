/* Guests that are about to migrate here: which disks are rewritten, left, left for later or
 * refused, in every combination of what there is to know; and what a rewritten one gets. */
#include "plan_fixture.h"

#define CAPACITY (10 * GIB)

/* ---- every combination ---- */

/* What a disk is, as far as it matters here. */
enum nature {
    NATURE_FILE,    /* a file that may move */
    NATURE_OTHER,   /* may move, but is no file */
    NATURE_THERE,   /* in its tier already */
    NATURE_STAYS,   /* of a kind that never moves, and that libvirt does not copy, or not to us */
    NATURE_CONTENT, /* a file that libvirt copies, and that we have no image for */
    NATURE_OTHERS_CONTENT,
};

#define DISK(attributes, inner)                                                                    \
    "<disk " attributes ">" inner "<target dev='vda' bus='virtio'/></disk>"
#define A_FILE "type='file' device='disk'"
#define SOURCE "<source file='/images/a'/>"
#define SLICES "<slices><slice type='storage' offset='0' size='512'/></slices>"
#define LUKS "<encryption format='luks'><secret type='passphrase' uuid='" UUID "'/></encryption>"
#define RBD_SOURCE(name, host, inner)                                                              \
    "<source protocol='rbd' name='" name "'><host name='" host "'/>" inner "</source>"

static const struct kind {
    const char *name, *disk, *reason;
    enum nature nature;
} kinds[] = {
    {"a raw file", DISK(A_FILE, "<driver name='qemu' type='raw'/>" SOURCE), NULL, NATURE_FILE},
    {"a qcow2 file",
     DISK(A_FILE, "<driver name='qemu' type='qcow2'/>" SOURCE
                  "<backingStore type='file'><format type='qcow2'/><source file='/images/base'/>"
                  "<backingStore/></backingStore>"),
     NULL, NATURE_FILE},
    {"a block device", DISK("type='block' device='disk'", "<source dev='/dev/vg/a'/>"), NULL,
     NATURE_OTHER},
    {"RBD in another cluster",
     DISK("type='network' device='disk'", RBD_SOURCE("vms/a", "10.0.0.1", "")), NULL, NATURE_OTHER},
    {"RBD in another pool",
     DISK("type='network' device='disk'", RBD_SOURCE("bulk/a", "10.1.0.1", "")), NULL,
     NATURE_OTHER},
    {"RBD in its tier", DISK("type='network' device='disk'", RBD_SOURCE("fast/a", "10.1.0.2", "")),
     "it is in tier 'gold' already", NATURE_THERE},
    {"NBD",
     DISK("type='network' device='disk'",
          "<source protocol='nbd' name='x'><host name='10.9.9.9'/></source>"),
     NULL, NATURE_OTHER},
    {"a volume", DISK("type='volume' device='disk'", "<source pool='p' volume='v'/>"), NULL,
     NATURE_OTHER},
    {"a cdrom", DISK("type='file' device='cdrom'", SOURCE "<readonly/>"), "removable medium",
     NATURE_STAYS},
    {"a floppy", DISK("type='file' device='floppy'", SOURCE), "removable medium", NATURE_STAYS},
    {"an empty drive", DISK("type='file' device='cdrom'", ""), "removable medium", NATURE_STAYS},
    {"an empty disk", DISK(A_FILE, ""), "empty drive", NATURE_STAYS},
    {"a lun", DISK("type='block' device='lun'", "<source dev='/dev/sdx'/>"), "device='lun'",
     NATURE_STAYS},
    {"vhost-user", DISK("type='vhostuser' device='disk'", "<source type='unix' path='/s'/>"),
     "vhost-user", NATURE_STAYS},
    {"nvme", DISK("type='nvme' device='disk'", "<source type='pci' namespace='1'/>"),
     "not one that can be mirrored", NATURE_STAYS},
    {"read-only", DISK(A_FILE, SOURCE "<readonly/>"), "read-only", NATURE_STAYS},
    {"shareable", DISK(A_FILE, SOURCE "<shareable/>"), "shareable", NATURE_STAYS},
    {"transient", DISK(A_FILE, SOURCE "<transient/>"), "transient", NATURE_STAYS},
    {"read-only and encrypted",
     DISK(A_FILE, "<source file='/images/a'>" LUKS "</source><readonly/>"), "read-only",
     NATURE_STAYS},
    {"an encrypted cdrom",
     DISK("type='file' device='cdrom'", "<source file='/images/a'>" LUKS "</source><readonly/>"),
     "removable medium", NATURE_STAYS},
    {"a shareable slice", DISK(A_FILE, "<source file='/images/a'>" SLICES "</source><shareable/>"),
     "shareable", NATURE_STAYS},
    {"encrypted", DISK(A_FILE, "<source file='/images/a'>" LUKS "</source>"), "it is encrypted",
     NATURE_CONTENT},
    {"a slice", DISK(A_FILE, "<source file='/images/a'>" SLICES "</source>"), "a slice",
     NATURE_CONTENT},
    {"an encrypted slice", DISK(A_FILE, "<source file='/images/a'>" SLICES LUKS "</source>"),
     "it is encrypted", NATURE_CONTENT},
    {"encrypted RBD", DISK("type='network' device='disk'", RBD_SOURCE("vms/a", "10.0.0.1", LUKS)),
     "it is encrypted", NATURE_OTHERS_CONTENT},
    {"a slice of a block device",
     DISK("type='block' device='disk'", "<source dev='/dev/vg/a'>" SLICES "</source>"), "a slice",
     NATURE_OTHERS_CONTENT},
};

enum running { OFF, BY_ID, BY_WHAT_ITS_START_LEFT, BY_ITS_SIZES, RUNNING_WAYS };

static const struct {
    const char *policy, *tier, *reason; /* reason: why it is left; NULL: it is not */
} policies[] = {
    {"rules:\n  - {name: every, match: {}, tier: gold}\n", "gold", NULL},
    {"rules:\n  - {name: every, match: {}, leave: true}\n", NULL, "rule 'every' leaves it"},
    {"rules:\n  - {name: others, match: {domain: x}, tier: gold}\n", NULL,
     "no rule of the policy matches it"},
    {"rules:\n  - {name: big, match: {min_size: 1GiB}, tier: gold}\n", "gold",
     "no rule of the policy matches it"}, /* while its size is not known */
};
#define BY_SIZE 3

#define HEAD                                                                                       \
    "version: 1\n"                                                                                 \
    "clusters:\n"                                                                                  \
    "  old: {mons: ['10.0.0.1:6789'], user: libvirt, secret: old}\n"                               \
    "  new: {mons: ['10.1.0.1:3300', '10.1.0.2'], user: libvirt, secret: new}\n"                   \
    "tiers:\n"                                                                                     \
    "  gold: {pool: new/fast}\n"

struct combination {
    const struct kind *kind;
    enum running running;
    bool shared, local;
    uint64_t capacity;
    size_t policy;
};

static char *xml_of(const struct combination *c)
{
    bool started = c->running == BY_WHAT_ITS_START_LEFT;
    AUTO_FREE char *disk = text_dup(c->kind->disk);
    /* libvirt gives each file and block device the end of its chain. */
    bool has_chain = strstr(disk, "<backingStore") ||
                     (!strstr(disk, "type='file'") && !strstr(disk, "type='block'"));
    const char *place = strstr(disk, "<target");
    AUTO_FREE char *with_chain =
        started && !has_chain
            ? text_format("%.*s<backingStore/>%s", (int)(place - disk), disk, place)
            : text_dup(disk);
    return text_format("<domain type='kvm'%s><name>db-1</name><uuid>" UUID "</uuid>%s%s<devices>%s"
                       "</devices></domain>",
                       c->running == BY_ID ? " id='3'" : "",
                       started ? "<resource><partition>/machine</partition></resource>" : "",
                       c->running == BY_ITS_SIZES
                           ? "<metadata><s:disks xmlns:s='urn:virt-pivot:1:disks'>"
                             "<s:disk target='vda' capacity='10737418240'/></s:disks></metadata>"
                           : "",
                       with_chain);
}

struct expectation {
    enum plan_action action;
    bool later;
    const char *reason;
};

/* As plan.h has it. */
static struct expectation expected(const struct combination *c)
{
    const char *left = policies[c->policy].reason;
    if (left && !(c->policy == BY_SIZE && c->capacity))
        return (struct expectation){PLAN_LEAVE, false, left};
    bool is_file = c->kind->nature == NATURE_FILE || c->kind->nature == NATURE_CONTENT;
    bool must_be_copied = is_file && c->running != OFF && !c->shared && (c->local || !c->capacity);
    const char *unsure = c->running == OFF ? "not a running guest's"
                         : !is_file        ? "it is not a file"
                         : c->shared       ? "this host sees it too"
                                           : "does not say that it is local";
    switch (c->kind->nature) {
    case NATURE_THERE:
    case NATURE_STAYS:
    case NATURE_OTHERS_CONTENT:
        return (struct expectation){PLAN_LEAVE, false, c->kind->reason};
    case NATURE_CONTENT:
        return (struct expectation){must_be_copied ? PLAN_REFUSE : PLAN_LEAVE, false,
                                    c->kind->reason};
    case NATURE_FILE:
    case NATURE_OTHER:
        break;
    }
    if (!must_be_copied)
        return (struct expectation){PLAN_LEAVE, true, unsure};
    return c->capacity
               ? (struct expectation){PLAN_MOVE, false, "the policy wants it in tier 'gold'"}
               : (struct expectation){PLAN_REFUSE, false, "its size is not known"};
}

static struct plan *incoming_of(const char *xml, const struct policy *policy,
                                const struct incoming_fact *facts, size_t count)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = NULL;
    struct plan *plan = NULL;
    if (domain_parse(xml, strlen(xml), &domain, &error) < 0 ||
        plan_make_incoming(domain, policy, facts, count, &plan, &error) < 0)
        fail_msg("%s\nin:\n%s", error.message, xml);
    return plan;
}

static void check_combination(const struct combination *c, const struct policy *policy)
{
    AUTO_FREE char *xml = xml_of(c);
    const struct incoming_fact fact = {
        .target = "vda", .capacity = c->capacity, .shared = c->shared, .local = c->local};
    const struct expectation want = expected(c);
    AUTO_PLAN struct plan *plan = incoming_of(xml, policy, &fact, 1);
    assert_int_equal(plan->disks.count, 1);
    const struct plan_disk *disk = &plan->disks.items[0];
    if (disk->action != want.action || disk->later != want.later ||
        !strstr(disk->reason, want.reason))
        fail_msg("%s, running %d, %s, %s, %llu bytes, policy %zu: %s%s: %s\n(%s)", c->kind->name,
                 c->running, c->shared ? "shared" : "not shared", c->local ? "local" : "not local",
                 (unsigned long long)c->capacity, c->policy, plan_action_word(disk->action),
                 disk->later ? " for later" : "", disk->reason, xml);
    assert_int_equal(disk->hint != NULL, disk->action == PLAN_REFUSE);
    assert_int_equal(disk->destination.image != NULL, disk->action == PLAN_MOVE);
    if (disk->action == PLAN_MOVE)
        assert_int_equal(disk->destination.size, (c->capacity + 511) / 512 * 512);
}

static void every_combination(void **state UNUSED)
{
    static const uint64_t capacities[] = {0, CAPACITY, CAPACITY + 1, CAPACITY + 511};
    long count = 0, moved = 0;
    for (size_t policy = 0; policy < ARRAY_SIZE(policies); policy++) {
        AUTO_FREE char *yaml = text_format(HEAD "%s", policies[policy].policy);
        CLEANUP(policy_freep) const struct policy *parsed = policy_of(yaml);
        for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++)
            for (int running = 0; running < RUNNING_WAYS; running++)
                for (int bits = 0; bits < 16; bits++) {
                    const struct combination c = {.kind = &kinds[kind],
                                                  .running = (enum running)running,
                                                  .shared = bits & 1,
                                                  .local = bits & 2,
                                                  .capacity = capacities[bits >> 2],
                                                  .policy = policy};
                    check_combination(&c, parsed);
                    moved += expected(&c).action == PLAN_MOVE;
                    count++;
                }
    }
    print_message("%ld combinations, %ld are rewritten\n", count, moved);
    assert_true(moved > 0);
}

/* ---- a whole guest ---- */

#define GUEST                                                                                      \
    "<domain type='kvm' id='3'><name>db-1</name><uuid>" UUID "</uuid>"                             \
    "<metadata><p:pivot xmlns:p='urn:virt-pivot:1'><p:tier>labelled</p:tier></p:pivot></metadata>" \
    "<devices>\n"                                                                                  \
    "    <disk type='file' device='disk'>\n"                                                       \
    "      <driver name='qemu' type='qcow2' cache='writeback' io='native'/>\n"                     \
    "      <source file='/images/a'/>\n      <target dev='vda' bus='virtio'/>\n"                   \
    "      <serial>S-a</serial>\n    </disk>\n"                                                    \
    "    <disk type='file' device='disk'>\n      <driver name='qemu' type='raw'/>\n"               \
    "      <source file='/scratch/b'/>\n      <target dev='vdb' bus='virtio'/>\n    </disk>\n"     \
    "    <disk type='file' device='disk'>\n      <driver name='qemu' type='raw'/>\n"               \
    "      <source file='/images/c'/>\n      <target dev='sda' bus='scsi'/>\n"                     \
    "      <iotune><total_iops_sec>70</total_iops_sec></iotune>\n    </disk>\n"                    \
    "    <interface type='bridge'>\n      <mac address='52:54:00:AA:00:01'/>\n"                    \
    "      <source bridge='br0'/>\n    </interface>\n"                                             \
    "    <interface type='network'>\n      <mac address='52:54:00:aa:00:02'/>\n"                   \
    "      <source network='default' portid='" UUID "' bridge='virbr0'/>\n"                        \
    "      <target dev='vnet1'/>\n    </interface>\n"                                              \
    "    <interface type='network'>\n      <source network='storage'/>\n    </interface>\n"        \
    "    <interface type='user'>\n      <mac address='52:54:00:aa:00:04'/>\n    </interface>\n"    \
    "    <interface type='bridge'>\n      <mac address='52:54:00:aa:00:05'/>\n"                    \
    "      <source bridge='virbr0'/>\n    </interface>\n"                                          \
    "  </devices></domain>"

#define NETWORKS "networks: {br0: ovs-a, default: lan, storage: storage, virbr0: lan}\n"

static const struct incoming_fact guest_facts[] = {
    {.target = "sda", .capacity = 3 * GIB + 1, .local = true},
    {.target = "vda", .capacity = CAPACITY, .local = true},
    {.target = "vdz", .capacity = 7, .local = true},
};

static char *with(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (!at)
        fail_msg("there is no %s", from);
    return text_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static struct plan *plan_of_guest(const char *more)
{
    AUTO_FREE char *yaml = text_format("%s%s", POLICY, more);
    CLEANUP(policy_freep) const struct policy *policy = policy_of(yaml);
    return incoming_of(GUEST, policy, guest_facts, ARRAY_SIZE(guest_facts));
}

static void what_the_plan_says(void **state UNUSED)
{
    AUTO_PLAN struct plan *plan = plan_of_guest("limits: {stuck_after: 90s}\n");
    assert_string_equal(plan->domain, "db-1");
    assert_string_equal(plan->uuid, UUID);
    assert_int_equal(plan->strategy, STRATEGY_KEEP); /* nothing is ever undefined */
    assert_false(plan->autostart || plan->persistent);
    assert_int_equal(plan->stuck_after, 90);
    assert_int_equal(plan->disks.count, 3);
    assert_int_equal(plan->networks.count, 0);
    const struct plan_disk *vda = &plan->disks.items[0];
    assert_string_equal(vda->target, "vda");
    assert_string_equal(vda->bus, "virtio");
    assert_string_equal(vda->source, "/images/a");
    assert_string_equal(vda->rule, "files");
    assert_string_equal(vda->tier, "gold");
    assert_int_equal(vda->capacity, CAPACITY);
    assert_true(vda->size_known);
    AUTO_FREE char *where = plan_destination_describe(&vda->destination);
    assert_string_equal(where, "new/fast/db-1-vda");
    assert_int_equal(vda->destination.size, CAPACITY);
    assert_int_equal(vda->destination.object_size, 4 * MIB);
    assert_int_equal(vda->destination.qos.iops, 2000);
    assert_string_equal(vda->destination.cache, "none");
    assert_string_equal(vda->destination.cluster.user, "libvirt");
    assert_string_equal(vda->destination.cluster.mons, "10.1.0.1:3300,10.1.0.2,[fd00::3]:3300");
    assert_false(vda->destination.keeps_iotune || vda->prepare_source);
    assert_string_equal(plan->disks.items[1].rule, "scratch");
    assert_int_equal(plan->disks.items[1].action, PLAN_LEAVE);
    const struct plan_disk *sda = &plan->disks.items[2];
    assert_string_equal(sda->destination.image, "db-1-sda");
    assert_int_equal(sda->destination.size, 3 * GIB + 512);
    assert_true(sda->destination.keeps_iotune);
    AUTO_ERROR struct error error = {0};
    assert_int_equal(plan_check(plan, &error), 0);
}

/* The first rule that matches decides, by the guest's own label for one. */
static void names_by_template(void **state UNUSED)
{
    CLEANUP(policy_freep)
    const struct policy *policy =
        policy_of(HEAD "  silver: {pool: new/bulk/tenant, image: '{uuid}.{target}'}\n"
                       "rules:\n  - {name: label, match: {tier_label: labelled}, tier: silver}\n");
    AUTO_PLAN struct plan *plan = incoming_of(GUEST, policy, guest_facts, ARRAY_SIZE(guest_facts));
    const struct plan_disk *sda = &plan->disks.items[2];
    assert_string_equal(sda->destination.image, UUID ".sda");
    assert_string_equal(sda->destination.pool, "bulk");
    assert_string_equal(sda->destination.name_space, "tenant");
}

/* The guest is labelled with a tier of that name. */
static void a_label_stands_above_the_rules(void **state UNUSED)
{
    static const char *const rules[] = {"rules:\n  - {match: {}, tier: gold}\n",
                                        "rules:\n  - {match: {}, leave: true}\n", ""};
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        AUTO_FREE char *yaml = text_format(HEAD "  labelled: {pool: new/bulk}\n%s", rules[i]);
        CLEANUP(policy_freep) const struct policy *policy = policy_of(yaml);
        AUTO_PLAN struct plan *plan =
            incoming_of(GUEST, policy, guest_facts, ARRAY_SIZE(guest_facts));
        assert_string_equal(plan->disks.items[2].destination.pool, "bulk");
    }
}

/* A name that cannot be an image's is said, and not tried. */
static void a_name_too_long(void **state UNUSED)
{
    CLEANUP(policy_freep) const struct policy *policy = policy_of(POLICY);
    char name[120] = "";
    memset(name, 'x', sizeof(name) - 1);
    AUTO_FREE char *tag = text_format("<name>%s</name>", name);
    AUTO_FREE char *xml = with(GUEST, "<name>db-1</name>", tag);
    AUTO_PLAN struct plan *plan = incoming_of(xml, policy, guest_facts, ARRAY_SIZE(guest_facts));
    assert_int_equal(plan->disks.items[0].action, PLAN_REFUSE);
    assert_non_null(strstr(plan->disks.items[0].reason, "image"));
    assert_null(plan->disks.items[0].destination.image);
}

static void without_uuid(void **state UNUSED)
{
    static const char xml[] = "<domain><name>x</name><devices/></domain>";
    CLEANUP(policy_freep) const struct policy *policy = policy_of(POLICY);
    CLEANUP(domain_freep) struct domain *domain = NULL;
    AUTO_ERROR struct error error = {0};
    struct plan *plan = NULL;
    assert_int_equal(domain_parse(xml, strlen(xml), &domain, &error), 0);
    assert_int_equal(plan_make_incoming(domain, policy, NULL, 0, &plan, &error), -1);
    assert_int_equal(error.code, ERROR_INPUT);
    assert_null(plan);
}

/* A disk of which nobody said anything is one of which nothing is known. */
static void without_facts(void **state UNUSED)
{
    CLEANUP(policy_freep) const struct policy *policy = policy_of(POLICY);
    AUTO_PLAN struct plan *plan = incoming_of(GUEST, policy, NULL, 0);
    assert_int_equal(plan->disks.items[0].action, PLAN_REFUSE);
    assert_non_null(strstr(plan->disks.items[0].hint, "virt-pivot agent"));
    assert_non_null(strstr(plan->disks.items[0].hint, "on_error: pass"));
    AUTO_ERROR struct error error = {0};
    assert_int_equal(plan_check(plan, &error), -1);
    assert_non_null(strstr(error.message, "disk vda"));
}

/* ---- networks ---- */

static void networks_are_mapped(void **state UNUSED)
{
    static const struct plan_network wanted[] = {
        {(char *)"52:54:00:aa:00:01", (char *)"br0", (char *)"ovs-a"},
        {(char *)"52:54:00:aa:00:02", (char *)"default", (char *)"lan"},
        /* Of the others one keeps its name, and one has none; and the last is a bridge that is
         * called as the one behind a network is. */
        {(char *)"52:54:00:aa:00:05", (char *)"virbr0", (char *)"lan"},
    };
    AUTO_PLAN struct plan *plan = plan_of_guest(NETWORKS);
    assert_int_equal(plan->networks.count, ARRAY_SIZE(wanted));
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        assert_string_equal(plan->networks.items[i].mac, wanted[i].mac);
        assert_string_equal(plan->networks.items[i].from, wanted[i].from);
        assert_string_equal(plan->networks.items[i].to, wanted[i].to);
    }
}

static char *rewritten(const struct plan *plan, const char *xml, const char *const *targets,
                       size_t count)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = NULL;
    char *result = NULL;
    if (domain_parse(xml, strlen(xml), &domain, &error) < 0 ||
        plan_rewrite(plan, domain, targets, count, &result, &error) < 0)
        fail_msg("%s", error.message);
    return result;
}

/* Nothing of the interfaces changes but the name. */
static void the_rewrite_has_networks(void **state UNUSED)
{
    AUTO_PLAN struct plan *plan = plan_of_guest(NETWORKS);
    AUTO_PLAN struct plan *without = plan_of_guest("");
    AUTO_FREE char *xml = rewritten(plan, GUEST, NULL, 0);
    AUTO_FREE char *disks_only = rewritten(without, GUEST, NULL, 0);
    AUTO_FREE char *one = with(disks_only, "bridge='br0'", "bridge='ovs-a'");
    AUTO_FREE char *two = with(one, "network='default'", "network='lan'");
    AUTO_FREE char *three = with(two, "source bridge='virbr0'", "source bridge='lan'");
    assert_string_equal(xml, three);
    assert_non_null(strstr(xml, "name='fast/db-1-vda'"));
    assert_non_null(strstr(xml, "name='fast/db-1-sda'"));
    assert_non_null(strstr(xml, "/scratch/b"));
    /* For one disk alone they are there, too; and for none. */
    static const char *const vda[] = {"vda"};
    AUTO_FREE char *first = rewritten(plan, GUEST, vda, 1);
    assert_null(strstr(first, "/images/a"));
    assert_non_null(strstr(first, "/images/c"));
    assert_non_null(strstr(first, "bridge='ovs-a'"));
    AUTO_FREE char *none = rewritten(plan, GUEST, vda, 0);
    assert_non_null(strstr(none, "/images/a"));
    assert_non_null(strstr(none, "bridge='ovs-a'"));
}

/* What is interrupted is done again: names that are swapped must not be swapped back. */
static void twice_is_once(void **state UNUSED)
{
    AUTO_PLAN struct plan *plan = plan_of_guest("networks: {br0: virbr0, virbr0: br0}\n");
    AUTO_FREE char *once = rewritten(plan, GUEST, NULL, 0);
    AUTO_FREE char *twice = rewritten(plan, once, NULL, 0);
    assert_string_equal(once, twice);
    AUTO_FREE char *left = with(once, "bridge='virbr0'/>", "");
    assert_non_null(strstr(left, "bridge='br0'/>"));
}

/* The definition has the interfaces, and not the disks' elements, of the guest that migrates. */
static void another_document(void **state UNUSED)
{
    static const char xml[] =
        "<domain type='kvm'><name>db-1</name><uuid>" UUID "</uuid><devices>"
        "<disk type='file' device='disk'><source file='/images/a'/><target dev='vda'/></disk>"
        "<interface type='network'><mac address='52:54:00:AA:00:02'/>"
        "<source network=\"default\"/></interface></devices></domain>";
    static const char *const vda[] = {"vda"};
    AUTO_PLAN struct plan *plan = plan_of_guest(NETWORKS);
    AUTO_FREE char *result = rewritten(plan, xml, vda, 1);
    assert_non_null(strstr(result, "name='fast/db-1-vda'"));
    assert_non_null(strstr(result, "<source network=\"lan\"/>"));
}

/* ---- the record ---- */

static void the_record(void **state UNUSED)
{
    AUTO_PLAN struct plan *plan = plan_of_guest(NETWORKS);
    AUTO_FREE char *text = plan_to_record(plan);
    AUTO_ERROR struct error error = {0};
    AUTO_PLAN struct plan *again = NULL;
    assert_int_equal(plan_from_record(text, &again, &error), 0);
    AUTO_FREE char *second = plan_to_record(again);
    assert_string_equal(text, second);
    AUTO_FREE char *one = rewritten(plan, GUEST, NULL, 0);
    AUTO_FREE char *other = rewritten(again, GUEST, NULL, 0);
    assert_string_equal(one, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination),
        cmocka_unit_test(what_the_plan_says),
        cmocka_unit_test(names_by_template),
        cmocka_unit_test(a_label_stands_above_the_rules),
        cmocka_unit_test(a_name_too_long),
        cmocka_unit_test(without_uuid),
        cmocka_unit_test(without_facts),
        cmocka_unit_test(networks_are_mapped),
        cmocka_unit_test(the_rewrite_has_networks),
        cmocka_unit_test(twice_is_once),
        cmocka_unit_test(another_document),
        cmocka_unit_test(the_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
