/* Dance or keep, what blocks a whole domain, and what is worth a warning. */
#include "plan_fixture.h"

struct strategy_case {
    const char *name, *policy;
    void (*change)(struct plan_facts *facts);
    enum plan_strategy strategy;
    const char *reason, *blocker, *hint;
};

static void managed_save(struct plan_facts *facts)
{
    facts->state.managed_save = true;
}

static void snapshots(struct plan_facts *facts)
{
    facts->state.snapshots = 3;
}

static void checkpoints(struct plan_facts *facts)
{
    facts->state.checkpoints = 1;
}

static void give_tpm(struct plan_facts *facts, const char *attributes)
{
    domain_freep(&facts->live);
    AUTO_FREE char *tpm = text_format(FILE_DISK("/images/a") "<tpm model='tpm-crb'><backend "
                                                             "type='emulator' version='2.0'%s/>"
                                                             "</tpm>",
                                      attributes);
    facts->live = domain_of(tpm);
}

static void forgetful_tpm(struct plan_facts *facts)
{
    give_tpm(facts, "");
}

static void persistent_tpm(struct plan_facts *facts)
{
    give_tpm(facts, " persistent_state='yes'");
}

static void transient(struct plan_facts *facts)
{
    facts->state.persistent = false;
    domain_freep(&facts->inactive);
}

static void stopped(struct plan_facts *facts)
{
    facts->state.active = false;
    domain_freep(&facts->live);
}

static void other_move(struct plan_facts *facts)
{
    facts->other_move = text_dup("another virt-pivot (process 4711)");
}

static void migrating(struct plan_facts *facts)
{
    facts->state.job = text_dup("migration");
}

static void stopped_with_snapshots(struct plan_facts *facts)
{
    stopped(facts);
    facts->state.snapshots = 2;
}

static void saved(struct plan_facts *facts)
{
    stopped(facts);
    facts->state.managed_save = true;
}

static void saved_without_hook(struct plan_facts *facts)
{
    saved(facts);
    facts->hook_missing = true;
}

static void arriving(struct plan_facts *facts)
{
    facts->state.arriving = true;
}

#define DANCE POLICY "definition: dance\n"
#define KEEP POLICY "definition: keep\n"

static const struct strategy_case cases[] = {
    {"auto", POLICY, NULL, STRATEGY_DANCE, "undefining it loses nothing", NULL, NULL},
    {"auto, managed save", POLICY, managed_save, STRATEGY_KEEP, "managed save image", NULL, NULL},
    {"auto, snapshots", POLICY, snapshots, STRATEGY_KEEP, "keeps snapshots", NULL, NULL},
    {"auto, checkpoints", POLICY, checkpoints, STRATEGY_KEEP, "keeps checkpoints", NULL, NULL},
    {"auto, tpm", POLICY, forgetful_tpm, STRATEGY_KEEP, "emulated TPM", NULL, NULL},
    {"auto, persistent tpm", POLICY, persistent_tpm, STRATEGY_DANCE, "loses nothing", NULL, NULL},
    {"auto, transient", POLICY, transient, STRATEGY_KEEP, "transient", NULL, NULL},
    {"keep", KEEP, NULL, STRATEGY_KEEP, "the policy says so", NULL, NULL},
    {"keep, snapshots", KEEP, snapshots, STRATEGY_KEEP, "the policy says so", NULL, NULL},
    {"dance", DANCE, NULL, STRATEGY_DANCE, "the policy says so", NULL, NULL},
    {"dance, transient", DANCE, transient, STRATEGY_KEEP, "transient", NULL, NULL},
    {"dance, managed save", DANCE, managed_save, STRATEGY_DANCE, "the policy says so",
     "it has a managed save image", "'definition: auto' or 'keep'"},
    {"dance, snapshots", DANCE, snapshots, STRATEGY_DANCE, "", "keeps snapshots", "auto"},
    {"dance, checkpoints", DANCE, checkpoints, STRATEGY_DANCE, "", "keeps checkpoints", "auto"},
    {"dance, tpm", DANCE, forgetful_tpm, STRATEGY_DANCE, "", "emulated TPM", "auto"},
    {"stopped", POLICY, stopped, STRATEGY_KEEP, "it is off", NULL, NULL},
    {"stopped, dance", DANCE, stopped, STRATEGY_KEEP, "it is off", NULL, NULL},
    {"stopped, snapshots", DANCE, stopped_with_snapshots, STRATEGY_KEEP, "it is off", NULL, NULL},
    {"saved", POLICY, saved, STRATEGY_KEEP, "it is off", NULL, NULL},
    {"saved, no hook", POLICY, saved_without_hook, STRATEGY_KEEP, "it is off",
     "hook, which would lead it to its new disks, is not installed", "virsh start"},
    {"saved, hook forbidden", POLICY "triggers: {on_restore: false}\n", saved, STRATEGY_KEEP,
     "it is off", "on_restore: false", "virsh start"},
    {"arriving", POLICY, arriving, STRATEGY_DANCE, "", "on its way to this host", "wait"},
    {"another move", POLICY, other_move, STRATEGY_DANCE, "", "process 4711", "cancel"},
    {"migrating", POLICY, migrating, STRATEGY_DANCE, "", "a migration is under way", "domjobinfo"},
};

static void every_choice(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct strategy_case *c = &cases[i];
        AUTO_SCENE struct scene scene = {0};
        scene_set(&scene, c->policy, FILE_DISK("/images/a"));
        if (c->change)
            c->change(&scene.facts);
        AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
        if (plan->strategy != c->strategy || !strstr(plan->strategy_reason, c->reason))
            fail_msg("%s: %s, %s", c->name, plan_strategy_word(plan->strategy),
                     plan->strategy_reason);
        if (!c->blocker != !plan->blocker || (c->blocker && !strstr(plan->blocker, c->blocker)))
            fail_msg("%s: blocked by: %s", c->name, plan->blocker ? plan->blocker : "nothing");
        AUTO_ERROR struct error error = {0};
        assert_int_equal(plan_check(plan, &error), c->blocker ? -1 : 0);
        if (!c->blocker)
            continue;
        assert_int_equal(error.code, ERROR_FAILED);
        assert_non_null(strstr(error.message, c->blocker));
        assert_non_null(strstr(error.hint, c->hint));
    }
}

/* A stopped domain is planned by its definition. */
static void a_stopped_domain_is_planned(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, FILE_DISK("/images/a"));
    stopped(&scene.facts);
    AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
    assert_false(plan->active);
    assert_int_equal(plan_count(plan, PLAN_MOVE), 1);
}

static void facts_are_carried_over(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY "limits: {max_latency: 1.5x, stuck_after: 15m}\n",
              FILE_DISK("/images/a"));
    scene.facts.state.autostart = true;
    AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
    assert_string_equal(plan->domain, "db-1");
    assert_string_equal(plan->uuid, UUID);
    assert_true(plan->active && plan->persistent && plan->autostart);
    assert_int_equal(plan->stuck_after, 900);
    assert_true(plan->max_latency == 1.5);
}

/* ---- warnings ---- */

static bool warned(const struct plan *plan, const char *part)
{
    for (size_t i = 0; i < plan->warnings.count; i++)
        if (strstr(plan->warnings.items[i], part))
            return true;
    return false;
}

#define LIMITED                                                                                    \
    "<disk type='file' device='disk'><source file='/images/a'/><target dev='vda'/>"                \
    "<iotune><total_iops_sec>9</total_iops_sec></iotune></disk>"

static void limits_of_its_own(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, LIMITED);
    AUTO_PLAN struct plan *gold = plan_of(&scene, &everything);
    assert_true(gold->disks.items[0].destination.keeps_iotune);
    assert_true(warned(gold, "the smaller of them"));
    const struct plan_request request = {.tier = "silver"};
    AUTO_PLAN struct plan *silver = plan_of(&scene, &request); /* that tier has no limits */
    assert_false(warned(silver, "limits of its own"));
}

/* iotune limits of a tier that has only read or write limits count as much. */
static void limits_instead_of_the_tiers(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, LIMITED);
    const struct plan_request request = {.tier = "tuned"};
    AUTO_PLAN struct plan *plan = plan_of(&scene, &request);
    assert_false(plan_wants_iotune(&plan->disks.items[0].destination));
    assert_true(warned(plan, "instead of the tier's"));
}

static void synchronous_mirrors(void **state UNUSED)
{
    static const struct {
        unsigned long libvirt, qemu;
        bool synchronous;
    } versions[] = {{7000000, 8002003, false},
                    {9000000, 7002022, false},
                    {8000000, 8000000, true},
                    {11003000, 10000013, true}};
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        AUTO_SCENE struct scene scene = {0};
        scene_set(&scene, POLICY, FILE_DISK("/images/a"));
        scene.facts.versions = (struct virt_versions){versions[i].libvirt, versions[i].qemu};
        AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
        assert_int_equal(plan->disks.items[0].destination.synchronous, versions[i].synchronous);
        assert_int_equal(warned(plan, "copied in the background"), !versions[i].synchronous);
    }
}

static void holes_as_data(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY "prepare_source: false\n", RBD_DISK("vms/a", "10.0.0.1"));
    struct disk_facts *disk = &scene.facts.disks.items[0];
    disk->source_is_rbd = disk->source_seen = true;
    disk->source_pool = text_dup("vms");
    disk->source_image_name = text_dup("a");
    disk->allocated = disk->capacity;
    disk->allocated_exact = false;
    AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
    assert_false(plan->disks.items[0].prepare_source);
    assert_true(warned(plan, "holes will be copied as data"));
}

static void snapshots_stay_behind(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, FILE_DISK("/images/a"));
    snapshots(&scene.facts);
    AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
    assert_true(warned(plan, "3 snapshot(s)"));
}

#define THREADED                                                                                   \
    "<disk type='file'><driver name='qemu' iothread='1'/><source file='/images/a'/>"               \
    "<target dev='vda' bus='virtio'/></disk>"

static void iothreads(void **state UNUSED)
{
    static const struct {
        const char *disks;
        unsigned long qemu;
        bool off, warned;
    } guests[] = {
        {.disks = THREADED, .qemu = 8002000, .warned = true},
        {.disks = THREADED, .qemu = 8002001},
        {.disks = THREADED, .qemu = 8002000, .off = true},
        {.disks = FILE_DISK("/images/a"), .qemu = 8002000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(guests); i++) {
        AUTO_SCENE struct scene scene = {0};
        scene_set(&scene, POLICY, guests[i].disks);
        scene.facts.versions.hypervisor = guests[i].qemu;
        if (guests[i].off) {
            scene.facts.state.active = false;
            domain_freep(&scene.facts.live);
        }
        AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
        assert_int_equal(plan->disks.items[0].action, PLAN_MOVE);
        assert_int_equal(warned(plan, "disk vda has an iothread"), guests[i].warned);
    }
}

static void nothing_to_warn_of(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, FILE_DISK("/images/a"));
    const struct plan_request request = {.tier = "silver"};
    AUTO_PLAN struct plan *plan = plan_of(&scene, &request);
    assert_int_equal(plan->warnings.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_choice),
        cmocka_unit_test(a_stopped_domain_is_planned),
        cmocka_unit_test(facts_are_carried_over),
        cmocka_unit_test(limits_of_its_own),
        cmocka_unit_test(limits_instead_of_the_tiers),
        cmocka_unit_test(synchronous_mirrors),
        cmocka_unit_test(holes_as_data),
        cmocka_unit_test(snapshots_stay_behind),
        cmocka_unit_test(iothreads),
        cmocka_unit_test(nothing_to_warn_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
