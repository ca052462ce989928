/* What status and history make of a move's record. */
#include "cmocka_compat.h"

#include "cli/move_view.h"

#include <json-c/json.h>

struct scene {
    struct move_view view;
    struct disk_record disks[2];
};

static struct scene copying(void)
{
    return (struct scene){
        .view = {.record = {.id = 7,
                            .domain = "db1",
                            .phase = PHASE_COPYING,
                            .begun = PHASE_MIRRORING,
                            .created = 100,
                            .updated = 160},
                 .alive = true,
                 .pid = 4711},
        .disks = {{.target = "vda",
                   .copied = 250,
                   .total = 1000,
                   .rate = 50,
                   .dirty_rate = 5,
                   .sampled = 150},
                  {.target = "vdb"}},
    };
}

/* A scene may be copied: its disks are found anew. */
static const struct move_view *view_of(struct scene *scene)
{
    scene->view.disks.items = scene->disks;
    scene->view.disks.count = 2;
    return &scene->view;
}

static void assert_percent(struct scene scene, int expected)
{
    unsigned percent = 0;
    bool known = disk_percent(view_of(&scene), &scene.disks[0], &percent);
    assert_int_equal(known ? (int)percent : -1, expected);
}

static void percent_is_100_only_when_ready(void **state UNUSED)
{
    struct scene scene = copying();
    assert_percent(scene, 25);
    scene.disks[0].copied = 999;
    assert_percent(scene, 99);
    scene.disks[0].copied = 1000;
    assert_percent(scene, 99); /* all copied is not yet ready to pivot */
    scene.view.record.phase = PHASE_MIRRORING;
    assert_percent(scene, 100);
    scene = copying();
    scene.disks[0].fate = DISK_PIVOTED;
    assert_percent(scene, 100);
}

static void percent_is_not_guessed(void **state UNUSED)
{
    struct scene scene = copying();
    scene.disks[0].sampled = 0;
    assert_percent(scene, -1);
    scene = copying();
    scene.disks[0].total = 0;
    assert_percent(scene, -1);
}

static void assert_eta(struct scene scene, int64_t expected)
{
    uint64_t seconds = 0;
    bool known = disk_eta(view_of(&scene), &scene.disks[0], &seconds);
    assert_int_equal(known ? (int64_t)seconds : -1, expected);
}

static void eta_takes_in_what_the_guest_writes(void **state UNUSED)
{
    struct scene scene = copying();
    assert_eta(scene, 17); /* 750 at 50 - 5 */
    scene.disks[0].copied = 275;
    assert_eta(scene, 17); /* 16.1 */
    scene.disks[0].copied = 280;
    assert_eta(scene, 16);
    scene.disks[0].copied = 1200;
    assert_eta(scene, 0);
    scene = copying();
    scene.disks[0].total = UINT64_MAX / 2;
    scene.disks[0].rate = UINT64_MAX / 4;
    assert_eta(scene, 2);
}

static void eta_of_a_synchronous_copy_is_what_remains_over_the_rate(void **state UNUSED)
{
    struct plan_disk planned = {.target = "vda", .destination = {.synchronous = true}};
    struct plan plan = {.disks = {.items = &planned, .count = 1}};
    struct scene scene = copying();
    scene.view.plan = &plan;
    assert_eta(scene, 15);
    scene.disks[0].dirty_rate = 50;
    assert_eta(scene, 15);
}

static void eta_is_not_guessed(void **state UNUSED)
{
    struct scene scene = copying();
    scene.disks[0].rate = 0;
    assert_eta(scene, -1);
    scene = copying();
    scene.disks[0].dirty_rate = 50; /* the guest is as fast: no end in sight */
    assert_eta(scene, -1);
    scene = copying();
    scene.view.control.paused = true;
    assert_eta(scene, -1);
    scene = copying();
    scene.view.alive = false;
    assert_eta(scene, -1);
    scene = copying();
    scene.disks[0].sampled = 0;
    assert_eta(scene, -1);
    scene = copying();
    scene.view.record.phase = PHASE_UNDOING;
    assert_eta(scene, -1);
}

static void assert_outcome(struct scene scene, enum move_phase phase, const char *expected)
{
    scene.view.record.phase = phase;
    assert_string_equal(move_view_outcome(view_of(&scene)), expected);
}

static void outcome_follows_phase_and_fates(void **state UNUSED)
{
    struct scene scene = copying();
    assert_outcome(scene, PHASE_COPYING, "under way");
    assert_outcome(scene, PHASE_NEEDS_OPERATOR, "under way"); /* its process is still at it */
    assert_outcome(scene, PHASE_UNDONE, "undone");
    scene.view.alive = false;
    assert_outcome(scene, PHASE_COPYING, "process gone");
    assert_outcome(scene, PHASE_NEEDS_OPERATOR, "needs operator");
    scene.disks[0].fate = DISK_PIVOTED;
    scene.disks[1].fate = DISK_RETURNED;
    assert_outcome(scene, PHASE_REDEFINED, "moved in part");
    scene.disks[1].fate = DISK_PIVOTED;
    assert_outcome(scene, PHASE_REDEFINED, "moved");
    assert_outcome(scene, PHASE_VERIFIED, "moved");
    assert_outcome(scene, PHASE_RETIRED, "moved");
    scene.view.alive = true; /* the domain's next move */
    assert_outcome(scene, PHASE_REDEFINED, "moved");
}

/* ---- incoming migrations ---- */

static struct scene incoming(enum move_phase phase, enum move_phase begun)
{
    struct scene scene = copying();
    scene.view.record.kind = MOVE_INCOMING;
    scene.view.record.phase = phase;
    scene.view.record.begun = begun;
    scene.view.alive = false;
    scene.disks[0].sampled = 0;
    return scene;
}

static void assert_incoming(struct scene scene, const char *outcome, bool awaits, bool unsettled)
{
    const struct move_view *view = view_of(&scene);
    assert_string_equal(move_view_outcome(view), outcome);
    assert_int_equal(move_view_awaits_guest(view), awaits);
    assert_int_equal(move_view_is_unsettled(view), unsettled);
}

static void an_incoming_one_is_never_called_dead(void **state UNUSED)
{
    struct scene scene = incoming(PHASE_COPYING, PHASE_COPYING);
    assert_incoming(scene, "waits for its guest", true, false);
    scene.view.alive = true; /* the agent has a look at it */
    assert_incoming(scene, "waits for its guest", true, false);
    scene = incoming(PHASE_LOCKED, PHASE_TARGET_CREATED);
    assert_incoming(scene, "left unfinished", false, false);
    scene.view.alive = true;
    assert_incoming(scene, "under way", false, false);
    assert_incoming(incoming(PHASE_UNDOING, PHASE_UNDOING), "left unfinished", false, false);
    assert_incoming(incoming(PHASE_UNDONE, PHASE_UNDONE), "undone", false, false);
}

static void an_arrived_one_is_unsettled_until_its_definition_is_right(void **state UNUSED)
{
    assert_incoming(incoming(PHASE_PIVOTED, PHASE_PIVOTED), "definition not settled", false, true);
    assert_incoming(incoming(PHASE_PIVOTED, PHASE_REDEFINED), "definition not settled", false,
                    true);
    /* Seen here, and the phase not yet written. */
    struct scene scene = incoming(PHASE_COPYING, PHASE_COPYING);
    scene.disks[0].fate = DISK_PIVOTED;
    assert_incoming(scene, "definition not settled", false, true);
    scene = incoming(PHASE_COPYING, PHASE_PIVOTED);
    assert_incoming(scene, "definition not settled", false, true);
    scene = incoming(PHASE_REDEFINED, PHASE_REDEFINED);
    assert_incoming(scene, "moved", false, false);
    assert_incoming(incoming(PHASE_NEEDS_OPERATOR, PHASE_NEEDS_OPERATOR), "needs operator", false,
                    false);
}

static void assert_kind(struct scene scene, const char *expected)
{
    assert_string_equal(move_view_kind(view_of(&scene)), expected);
}

static void only_what_has_arrived_is_said_to(void **state UNUSED)
{
    assert_kind(copying(), "live move");
    assert_kind(incoming(PHASE_COPYING, PHASE_COPYING), "by migration");
    assert_kind(incoming(PHASE_UNDONE, PHASE_UNDONE), "by migration");
    assert_kind(incoming(PHASE_PIVOTED, PHASE_PIVOTED), "arrived by migration");
    assert_kind(incoming(PHASE_VERIFIED, PHASE_VERIFIED), "arrived by migration");
}

static void disks_and_networks_are_named_before_and_after(void **state UNUSED)
{
    struct scene scene = incoming(PHASE_COPYING, PHASE_COPYING);
    struct plan_disk disk = {
        .target = "vda",
        .source = "/srv/db1.img",
        .destination = {.cluster = {.name = "flash"}, .pool = "fast", .image = "db1-vda"},
    };
    struct plan_network network = {.from = "br0", .to = "br-vm"};
    struct plan plan = {.disks = {.items = &disk, .count = 1},
                        .networks = {.items = &network, .count = 1}};
    scene.view.plan = &plan;
    AUTO_FREE char *old = move_view_sources(view_of(&scene));
    AUTO_FREE char *new = move_view_destinations(view_of(&scene));
    assert_string_equal(old, "/srv/db1.img (vda), ? (vdb), br0 (network)");
    assert_string_equal(new, "flash/fast/db1-vda (vda), ? (vdb), br-vm (network)");
}

static struct json_object *get(struct json_object *json, const char *key)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(json, key, &value))
        fail_msg("no key '%s'", key);
    return value;
}

static void json_says_null_where_nothing_is_known(void **state UNUSED)
{
    struct scene scene = copying();
    struct json_object *json = move_view_json(view_of(&scene));
    assert_int_equal(json_object_get_int(get(json, "id")), 7);
    assert_string_equal(json_object_get_string(get(json, "phase")), "copying");
    assert_string_equal(json_object_get_string(get(json, "step")), "mirroring");
    assert_int_equal(json_object_get_int(get(json, "process")), 4711);
    assert_null(get(json, "bandwidth"));
    assert_null(get(json, "message"));
    struct json_object *disks = get(json, "disks");
    struct json_object *vda = json_object_array_get_idx(disks, 0);
    struct json_object *vdb = json_object_array_get_idx(disks, 1);
    assert_int_equal(json_object_get_int64(get(vda, "copied")), 250);
    assert_int_equal(json_object_get_int64(get(vda, "eta_seconds")), 17);
    assert_null(get(vda, "latency_now_ms"));
    assert_null(get(vda, "destination")); /* the plan cannot be read */
    static const char *const unknown[] = {"copied",     "total",       "percent", "rate",
                                          "dirty_rate", "eta_seconds", "sampled"};
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
        assert_null(get(vdb, unknown[i]));
    json_object_put(json);
}

static void json_tells_an_unlimited_bandwidth_from_none(void **state UNUSED)
{
    struct scene scene = copying();
    scene.view.control.bandwidth_set = true;
    struct json_object *json = move_view_json(view_of(&scene));
    assert_true(json_object_is_type(get(json, "bandwidth"), json_type_int));
    assert_int_equal(json_object_get_int(get(json, "bandwidth")), 0);
    json_object_put(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent_is_100_only_when_ready),
        cmocka_unit_test(percent_is_not_guessed),
        cmocka_unit_test(eta_takes_in_what_the_guest_writes),
        cmocka_unit_test(eta_of_a_synchronous_copy_is_what_remains_over_the_rate),
        cmocka_unit_test(eta_is_not_guessed),
        cmocka_unit_test(outcome_follows_phase_and_fates),
        cmocka_unit_test(an_incoming_one_is_never_called_dead),
        cmocka_unit_test(an_arrived_one_is_unsettled_until_its_definition_is_right),
        cmocka_unit_test(only_what_has_arrived_is_said_to),
        cmocka_unit_test(disks_and_networks_are_named_before_and_after),
        cmocka_unit_test(json_says_null_where_nothing_is_known),
        cmocka_unit_test(json_tells_an_unlimited_bandwidth_from_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
