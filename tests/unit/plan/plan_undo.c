/* The way back: what is refused because of what the old disk was. */
#include "plan_fixture.h"

#define RBD "<source protocol='rbd' name='vms/a'><host name='10.0.0.1'/></source>"
#define NBD "<source protocol='nbd' name='a'><host name='10.0.0.1'/></source>"
#define CHAIN                                                                                      \
    "<backingStore type='network'><format type='raw'/><source protocol='rbd' name='vms/base'>"     \
    "<host name='10.0.0.1'/></source><backingStore/></backingStore>"
#define OLD_DISK(format, source)                                                                   \
    "<disk type='network' device='disk'><driver name='qemu' type='" format "'/>" source            \
    "<target dev='vda' bus='virtio'/></disk>"

struct old_disk_case {
    const char *old;
    bool off;
    bool verified;             /* the way back is, if it is not refused */
    const char *reason, *hint; /* NULL: it is not refused */
};

static const struct old_disk_case cases[] = {
    {OLD_DISK("raw", RBD), .verified = true},
    {OLD_DISK("raw", RBD), .off = true, .verified = true},
    {OLD_DISK("raw", NBD), .off = true},
    {.old = OLD_DISK("qcow2", RBD)},
    {.old = OLD_DISK("qcow2", NBD)},
    {OLD_DISK("qcow2", RBD), .off = true, .reason = "rbd:vms/a (qcow2 within a network disk) can",
     .hint = "start the guest"},
    {OLD_DISK("qcow2", NBD), .off = true, .reason = "can be written to by the guest's QEMU only",
     .hint = "start the guest"},
    {OLD_DISK("qcow2", RBD CHAIN), .reason = "on a backing file", .hint = "no way back"},
    {OLD_DISK("qcow2", RBD CHAIN), .off = true, .reason = "on a backing file",
     .hint = "no way back"},
};

static void source_is_known(struct disk_facts *facts)
{
    facts->source_is_rbd = facts->source_seen = true;
    facts->source_cluster.name = text_dup("old");
    facts->source_cluster.mons = text_dup("10.0.0.1");
    facts->source_pool = text_dup("vms");
    facts->source_image_name = text_dup("a");
}

/* The guest is on its new disk by now. */
static void go_on(struct scene *scene, const struct plan *was, const struct domain *before,
                  bool off)
{
    AUTO_FREE char *xml = NULL;
    AUTO_ERROR struct error error = {0};
    if (plan_rewrite(was, before, NULL, 0, &xml, &error) < 0)
        fail_msg("%s", error.message);
    struct plan_facts *facts = &scene->facts;
    domain_freep(&facts->live);
    domain_freep(&facts->inactive);
    facts->state.active = !off;
    assert_int_equal(domain_parse(xml, strlen(xml), &facts->inactive, &error), 0);
    if (!off)
        assert_int_equal(domain_parse(xml, strlen(xml), &facts->live, &error), 0);
}

static void check_case(const struct old_disk_case *c)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY "verify: full\n", c->old);
    if (strstr(c->old, "'rbd'"))
        source_is_known(&scene.facts.disks.items[0]);
    AUTO_PLAN struct plan *was = plan_of(&scene, &everything);
    assert_int_equal(was->disks.items[0].action, PLAN_MOVE);
    CLEANUP(domain_freep) struct domain *before = domain_of(c->old);
    go_on(&scene, was, before, c->off);

    const struct undo_origin origin = {7, was, before, before};
    const struct undo_fact fact = {.target = "vda", .moved = true, .verified = true};
    AUTO_PLAN struct plan *plan = plan_make_undo(&scene.facts, &origin, &fact, 1, 0);
    const struct plan_disk *disk = &plan->disks.items[0];
    if (disk->action != (c->reason ? PLAN_REFUSE : PLAN_MOVE) ||
        (c->reason && !strstr(disk->reason, c->reason)))
        fail_msg("%s: %s: %s", c->old, plan_action_word(disk->action), disk->reason);
    if (c->hint)
        assert_non_null(strstr(disk->hint, c->hint));
    else
        assert_int_equal(plan->verify, c->verified);
}

static void old_disks(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_case(&cases[i]);
}

static void a_mirror_back_may_hang_as_well(void **state UNUSED)
{
    static const char threaded[] =
        "<disk type='file'><driver name='qemu' iothread='1'/><source file='/images/a'/>"
        "<target dev='vda' bus='virtio'/></disk>";
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, threaded);
    AUTO_PLAN struct plan *was = plan_of(&scene, &everything);
    CLEANUP(domain_freep) struct domain *before = domain_of(threaded);
    go_on(&scene, was, before, false);
    scene.facts.versions.hypervisor = 8001000;
    const struct undo_origin origin = {7, was, before, before};
    const struct undo_fact fact = {.target = "vda", .moved = true, .verified = true};
    AUTO_PLAN struct plan *plan = plan_make_undo(&scene.facts, &origin, &fact, 1, 0);
    assert_int_equal(plan->disks.items[0].action, PLAN_MOVE);
    assert_non_null(strstr(plan->warnings.items[0], "disk vda has an iothread"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_disks),
        cmocka_unit_test(a_mirror_back_may_hang_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
