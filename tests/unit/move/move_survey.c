/* The survey, which asks libvirt and Ceph for what a plan is made of. */
#include "cmocka_compat.h"

#include "points.h"

#include "base/text.h"

#define MIB (1ull << 20)

/* A survey of a stage's domain as it is now, and the plan that comes of it. */
struct look {
    struct plan_facts facts;
    struct plan *plan;
};

static void look_clear(struct look *look)
{
    plan_freep(&look->plan);
    survey_clear(&look->facts);
}
#define AUTO_LOOK CLEANUP(look_clear)

static int survey(struct stage *stage, const struct plan_request *request, struct look *look,
                  struct error *error)
{
    struct virt virt;
    fake_virt_connect(&virt, stage->world);
    fake_files_follow(stage->world);
    CLEANUP(clusters_freep) struct clusters *clusters = clusters_new(&virt);
    if (survey_domain(&virt, clusters, stage->policy, request, FAKE_UUID, &look->facts, error) < 0)
        return -1;
    return plan_make(&look->facts, stage->policy, request, &look->plan, error);
}

static void look_at(struct stage *stage, const struct plan_request *request, struct look *look)
{
    AUTO_ERROR struct error error = {0};
    if (survey(stage, request, look, &error) < 0)
        fail_msg("%s", error.message);
}

static const struct stage_kind three_disks = {.disks = 3, .definition = "auto"};
static const struct plan_request everything;

static void assert_actions(const struct look *look, const char *expected)
{
    AUTO_BUFFER struct buffer actions = {0};
    for (size_t i = 0; i < look->plan->disks.count; i++)
        buffer_format(&actions, "%s%s", i ? " " : "",
                      plan_action_word(look->plan->disks.items[i].action));
    if (!text_equal(actions.text, expected))
        for (size_t i = 0; i < look->plan->disks.count; i++)
            print_message("%s: %s\n", look->plan->disks.items[i].target,
                          look->plan->disks.items[i].reason);
    assert_string_equal(actions.text, expected);
}

/* ---- what is found ---- */

static void facts_of_a_running_domain(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    AUTO_LOOK struct look look = {0};
    stage_open(&stage, &three_disks);
    look_at(&stage, &everything, &look);
    assert_string_equal(look.facts.uuid, FAKE_UUID);
    assert_true(look.facts.state.active && look.facts.state.persistent);
    assert_int_equal(look.facts.disks.count, 3);
    const struct disk_facts *vda = &look.facts.disks.items[0], *vdb = &look.facts.disks.items[1],
                            *vdc = &look.facts.disks.items[2];
    assert_true(vda->size_known && vda->capacity == 32 * MIB);
    assert_true(vda->source_is_rbd && vda->source_seen);
    assert_string_equal(vda->source_cluster.name, "old");
    assert_string_equal(vda->source_pool, "vms");
    assert_string_equal(vda->source_image_name, "db-vda");
    assert_string_equal(vda->target_image, "db-1-vda");
    assert_false(vda->allocated_exact); /* no fast-diff */
    assert_true(!vdb->source_is_rbd && vdb->allocated == 16 * MIB);
    assert_false(vdb->allocated_exact); /* qcow2: what the chain takes, not what it holds */
    assert_true(vdc->allocated_exact);
    assert_actions(&look, "move move move");
    assert_true(look.plan->disks.items[0].prepare_source);
}

/* As an undo leaves it: the guest was mirrored to the volume's path, and is defined by its name. */
static void a_volume_by_its_path(void **state UNUSED)
{
    static const struct {
        const char *volume, *actions;
    } cases[] = {{"db-vdc.raw", "move move move"}, {"db-vdx.raw", "move move refuse"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_STAGE struct stage stage;
        AUTO_LOOK struct look look = {0};
        stage_open(&stage, &three_disks);
        char *at = strstr(stage.world->defined, "<disk type='file' device='disk'>\n"
                                                "      <driver name='qemu' type='raw'/>");
        AUTO_FREE char *volume = text_format(
            "<disk type='volume' device='disk'>\n      <driver name='qemu' type='raw'/>\n"
            "      <source pool='images' volume='%s'/>%s",
            cases[i].volume, strstr(at, "\n      <target"));
        memcpy(at, volume, strlen(volume) + 1);
        look_at(&stage, &everything, &look);
        assert_actions(&look, cases[i].actions);
    }
}

/* What it finds out it does not change. */
static void nothing_is_changed(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    AUTO_LOOK struct look look = {0};
    stage_open(&stage, &three_disks);
    look_at(&stage, &everything, &look);
    for (int call = CALL_NONE; call < CALL_KINDS; call++)
        if (fake_call_changes((enum fake_call)call))
            assert_int_equal(stage.world->calls_of[call], 0);
}

static void a_domain_that_is_gone(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    AUTO_LOOK struct look look = {0};
    AUTO_ERROR struct error error = {0};
    stage_open(&stage, &three_disks);
    stage.world->active = stage.world->persistent = false;
    assert_int_equal(survey(&stage, &everything, &look, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

/* ---- space: disks of one pool share it ---- */

static void the_sum_must_fit(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &three_disks);
    static const struct {
        uint64_t room;
        const char *actions;
    } cases[] = {
        {48 * MIB, "move move move"},
        {47 * MIB, "move move refuse"},
        {31 * MIB, "move refuse refuse"},
        {15 * MIB, "refuse refuse refuse"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_LOOK struct look look = {0};
        stage.world->pool_free = cases[i].room;
        look_at(&stage, &everything, &look);
        assert_actions(&look, cases[i].actions);
    }
}

static void disks_not_asked_for_take_no_room(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    AUTO_LOOK struct look look = {0};
    const char *last = "vdc";
    const struct plan_request request = {.targets = &last, .target_count = 1};
    stage_open(&stage, &three_disks);
    stage.world->pool_free = 20 * MIB;
    look_at(&stage, &request, &look);
    assert_actions(&look, "leave leave move");
}

/* vda and vdb have moved; what they take is not taken again. */
static void disks_that_are_there_take_no_room(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    AUTO_LOOK struct look look = {0};
    stage_open(&stage, &three_disks);
    stage.world->ways.pivot_fails[2] = true;
    assert_int_equal(stage_move(&stage)->status, 4);
    stage.world->pool_free = 20 * MIB;
    look_at(&stage, &everything, &look);
    assert_actions(&look, "leave leave move");
}

/* Two tiers with pools of their own, and their data in one. */
static void a_data_pool_is_shared(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    AUTO_LOOK struct look look = {0};
    const struct stage_kind kind = {
        .disks = 3,
        .definition = "auto",
        .tiers =
            "  ec1: {pool: new/meta1, data_pool: ec}\n  ec2: {pool: new/meta2, data_pool: ec}\n",
        .rules = "  - {match: {disk: vda}, tier: ec1}\n  - {match: {disk: vdb}, tier: ec2}\n"
                 "  - {match: {disk: vdc}, leave: true}\n",
    };
    stage_open(&stage, &kind);
    stage.world->pool_free = 20 * MIB;
    look_at(&stage, &everything, &look);
    assert_actions(&look, "move refuse leave");
}

/* ---- clusters ---- */

static void an_ill_cluster(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    AUTO_LOOK struct look look = {0};
    stage_open(&stage, &three_disks);
    stage.world->nearly_full = true;
    look_at(&stage, &everything, &look);
    assert_actions(&look, "refuse refuse refuse");
    assert_non_null(strstr(look.plan->disks.items[0].reason, "OSD_NEARFULL"));
}

/* It takes ten seconds to learn that nobody answers: once is enough. */
static void a_dead_cluster_is_asked_once(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    AUTO_LOOK struct look look = {0};
    stage_open(&stage, &three_disks);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_FAIL, .kind = CALL_CONNECT, .code = ERROR_UNREACHABLE};
    look_at(&stage, &everything, &look);
    assert_actions(&look, "refuse refuse refuse");
    assert_int_equal(stage.world->calls_of[CALL_CONNECT], 2); /* the old one and the new one */
    assert_int_equal(stage.world->calls_of[CALL_CREATE], 0);
}

/* ---- failures ---- */

/* What cannot be found out about a disk is a reason to refuse it, never one to move it blindly. */
static void any_call_may_fail(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &three_disks);
    {
        AUTO_LOOK struct look look = {0};
        look_at(&stage, &everything, &look);
    }
    long calls = stage.world->calls, refused = 0, failed = 0;
    for (long at = 1; at <= calls; at++) {
        AUTO_LOOK struct look look = {0};
        AUTO_ERROR struct error error = {0};
        fake_world_forget_calls(stage.world);
        stage.world->events[0] =
            (struct fake_event){.deed = DEED_FAIL, .at = at, .code = ERROR_FAILED};
        if (survey(&stage, &everything, &look, &error) < 0) {
            assert_true(error_is_set(&error));
            failed++;
            continue;
        }
        refused += plan_count(look.plan, PLAN_REFUSE) > 0;
        for (size_t i = 0; i < look.plan->disks.count; i++) {
            const struct plan_disk *disk = &look.plan->disks.items[i];
            if (disk->action == PLAN_MOVE)
                assert_true(disk->destination.size == 32 * MIB && disk->destination.image);
        }
    }
    print_message("%ld calls: %ld times an error, %ld times a refusal\n", calls, failed, refused);
    assert_true(failed > 0 && refused > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_of_a_running_domain),
        cmocka_unit_test(a_volume_by_its_path),
        cmocka_unit_test(nothing_is_changed),
        cmocka_unit_test(a_domain_that_is_gone),
        cmocka_unit_test(the_sum_must_fit),
        cmocka_unit_test(disks_not_asked_for_take_no_room),
        cmocka_unit_test(disks_that_are_there_take_no_room),
        cmocka_unit_test(a_data_pool_is_shared),
        cmocka_unit_test(an_ill_cluster),
        cmocka_unit_test(a_dead_cluster_is_asked_once),
        cmocka_unit_test(any_call_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
