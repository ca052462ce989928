/* A plan in the journal and back, and what `plan --format json` prints. */
#include "plan_fixture.h"

#include <json-c/json.h>

/* ---- the record ---- */

static char *word(const char *member)
{
    return text_format("<%s> \"'\\ \xc3\xa4", member);
}

static void fill_cluster(struct plan_cluster *cluster, const char *whose)
{
    *cluster = (struct plan_cluster){
        .name = text_format("%s name", whose),
        .mons = text_format("%s mons", whose),
        .conf = text_format("%s conf", whose),
        .user = text_format("%s user", whose),
        .secret = text_format("%s secret", whose),
        .secret_is_uuid = true,
        .keyring = text_format("%s keyring", whose),
    };
}

/* Every member has a value of its own, and none is zero. */
static struct plan *full_plan(void)
{
    struct plan *plan = NEW(struct plan);
    plan->domain = word("domain");
    plan->uuid = word("uuid");
    plan->active = plan->persistent = plan->autostart = true;
    plan->strategy = STRATEGY_KEEP;
    plan->strategy_reason = word("strategy_reason");
    plan->stuck_after = 601;
    plan->max_latency = 1.7;
    struct plan_disk *disk = plan_disks_add(&plan->disks);
    *disk = (struct plan_disk){
        .target = word("target"),
        .bus = word("bus"),
        .action = PLAN_REFUSE,
        .reason = word("reason"),
        .rule = word("rule"),
        .tier = word("tier"),
        .source = word("source"),
        .capacity = UINT64_MAX,
        .allocated = 1ull << 63,
        .allocated_exact = true,
        .size_known = true,
        .expected_seconds = 5,
        .prepare_source = true,
        .source_pool = word("source_pool"),
        .source_name_space = word("source_name_space"),
        .source_image = word("source_image"),
    };
    fill_cluster(&disk->source_cluster, "source");
    disk->destination = (struct plan_destination){
        .pool = word("pool"),
        .name_space = word("name_space"),
        .image = word("image"),
        .data_pool = word("data_pool"),
        .size = 1ull << 50,
        .object_size = 4 * MIB,
        .qos = {11, 12, 13, 14, 15, 16, 17, 18, QOS_IOTUNE},
        .keeps_iotune = true,
        .cache = word("cache"),
        .discard = word("discard"),
        .detect_zeroes = word("detect_zeroes"),
        .bandwidth = 19,
        .synchronous = true,
    };
    fill_cluster(&disk->destination.cluster, "destination");
    struct plan_disk *bare = plan_disks_add(&plan->disks);
    bare->target = text_dup("vdb");
    *plan_networks_add(&plan->networks) =
        (struct plan_network){word("mac"), word("from"), word("to")};
    *plan_networks_add(&plan->networks) =
        (struct plan_network){NULL, text_dup("br0"), text_dup("br1")};
    return plan;
}

static void assert_same_cluster(const struct plan_cluster *a, const struct plan_cluster *b)
{
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->mons, b->mons);
    assert_string_equal(a->conf, b->conf);
    assert_string_equal(a->user, b->user);
    assert_string_equal(a->secret, b->secret);
    assert_string_equal(a->keyring, b->keyring);
    assert_int_equal(a->secret_is_uuid, b->secret_is_uuid);
}

static void assert_same_destination(const struct plan_destination *a,
                                    const struct plan_destination *b)
{
    assert_same_cluster(&a->cluster, &b->cluster);
    assert_string_equal(a->pool, b->pool);
    assert_string_equal(a->name_space, b->name_space);
    assert_string_equal(a->image, b->image);
    assert_string_equal(a->data_pool, b->data_pool);
    assert_true(a->size == b->size && a->object_size == b->object_size);
    assert_memory_equal(&a->qos, &b->qos, offsetof(struct policy_qos, enforce));
    assert_int_equal(a->qos.enforce, b->qos.enforce);
    assert_int_equal(a->keeps_iotune, b->keeps_iotune);
    assert_string_equal(a->cache, b->cache);
    assert_string_equal(a->discard, b->discard);
    assert_string_equal(a->detect_zeroes, b->detect_zeroes);
    assert_int_equal(a->bandwidth, b->bandwidth);
    assert_int_equal(a->synchronous, b->synchronous);
}

static struct plan *there_and_back(const struct plan *plan)
{
    AUTO_FREE char *text = plan_to_record(plan);
    AUTO_ERROR struct error error = {0};
    struct plan *again = NULL;
    if (plan_from_record(text, &again, &error) < 0)
        fail_msg("%s: %s", error.message, text);
    AUTO_FREE char *second = plan_to_record(again);
    assert_string_equal(text, second);
    return again;
}

static void every_field_comes_back(void **state UNUSED)
{
    AUTO_PLAN struct plan *plan = full_plan();
    AUTO_PLAN struct plan *again = there_and_back(plan);
    assert_string_equal(again->domain, plan->domain);
    assert_string_equal(again->uuid, plan->uuid);
    assert_true(again->active && again->persistent && again->autostart);
    assert_int_equal(again->strategy, STRATEGY_KEEP);
    assert_string_equal(again->strategy_reason, plan->strategy_reason);
    assert_int_equal(again->stuck_after, 601);
    assert_true(again->max_latency == 1.7);
    assert_int_equal(again->disks.count, 2);
    const struct plan_disk *a = &again->disks.items[0], *b = &plan->disks.items[0];
    assert_string_equal(a->target, b->target);
    assert_string_equal(a->bus, b->bus);
    assert_int_equal(a->action, PLAN_REFUSE);
    assert_string_equal(a->reason, b->reason);
    assert_string_equal(a->rule, b->rule);
    assert_string_equal(a->tier, b->tier);
    assert_string_equal(a->source, b->source);
    assert_true(a->capacity == b->capacity && a->allocated == b->allocated);
    assert_true(a->allocated_exact && a->size_known && a->prepare_source);
    assert_int_equal(a->expected_seconds, 5);
    assert_same_destination(&a->destination, &b->destination);
    assert_same_cluster(&a->source_cluster, &b->source_cluster);
    assert_string_equal(a->source_pool, b->source_pool);
    assert_string_equal(a->source_name_space, b->source_name_space);
    assert_string_equal(a->source_image, b->source_image);
    assert_int_equal(again->networks.count, 2);
    assert_string_equal(again->networks.items[0].mac, plan->networks.items[0].mac);
    assert_string_equal(again->networks.items[0].from, plan->networks.items[0].from);
    assert_string_equal(again->networks.items[0].to, plan->networks.items[0].to);
    assert_null(again->networks.items[1].mac);
    assert_string_equal(again->networks.items[1].to, "br1");
}

/* Records of the first version had none. */
static void without_networks(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, FILE_DISK("/images/a"));
    AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
    AUTO_FREE char *text = plan_to_record(plan);
    struct json_object *json = json_tokener_parse(text);
    assert_true(json_object_object_get_ex(json, "networks", NULL));
    json_object_object_del(json, "networks");
    AUTO_PLAN struct plan *again = NULL;
    AUTO_ERROR struct error error = {0};
    assert_int_equal(plan_from_record(json_object_to_json_string(json), &again, &error), 0);
    json_object_put(json);
    assert_int_equal(again->networks.count, 0);
    AUTO_FREE char *before = NULL;
    AUTO_FREE char *after = NULL;
    assert_int_equal(plan_rewrite(plan, scene.facts.live, NULL, 0, &before, &error), 0);
    assert_int_equal(plan_rewrite(again, scene.facts.live, NULL, 0, &after, &error), 0);
    assert_string_equal(before, after);
}

static void what_is_not_set_stays_so(void **state UNUSED)
{
    AUTO_PLAN struct plan *plan = full_plan();
    AUTO_PLAN struct plan *again = there_and_back(plan);
    const struct plan_disk *bare = &again->disks.items[1];
    assert_string_equal(bare->target, "vdb");
    assert_null(bare->bus);
    assert_null(bare->destination.name_space);
    assert_null(bare->destination.cluster.mons);
    assert_int_equal(bare->action, PLAN_MOVE); /* 0 */
    assert_false(bare->size_known);
}

/* A plan that plan_make made, and not only one that was filled in by hand. */
static void a_real_plan(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, FILE_DISK("/images/a"));
    AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
    AUTO_PLAN struct plan *again = there_and_back(plan);
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *before = NULL;
    AUTO_FREE char *after = NULL;
    assert_int_equal(plan_rewrite(plan, scene.facts.live, NULL, 0, &before, &error), 0);
    assert_int_equal(plan_rewrite(again, scene.facts.live, NULL, 0, &after, &error), 0);
    assert_string_equal(before, after);
}

static void broken_records(void **state UNUSED)
{
    static const char *const records[] = {
        "",
        "x",
        "null",
        "[]",
        "{}",
        "{\"disks\":{}}",
        "{\"disks\":",
        "\"disks\"",
        "7",
        "{\"disks\":null}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        AUTO_ERROR struct error error = {0};
        struct plan *plan = NULL;
        assert_int_equal(plan_from_record(records[i], &plan, &error), -1);
        assert_null(plan);
        assert_int_equal(error.code, ERROR_OPERATOR);
        assert_non_null(strstr(error.hint, "definitions/"));
    }
}

/* Wrong types give something or nothing, and never a crash. */
static void odd_records(void **state UNUSED)
{
    static const char *const records[] = {
        "{\"disks\":[]}",
        "{\"disks\":[null]}",
        "{\"disks\":[7, \"x\", []]}",
        "{\"disks\":[{\"target\":7,\"capacity\":\"x\",\"destination\":3,\"action\":{}}]}",
        "{\"disks\":[],\"domain\":[1],\"uuid\":null,\"active\":\"yes\",\"later\":{}}",
        "{\"disks\":[{\"destination\":{\"cluster\":[],\"qos\":null,\"size\":1e99}}]}",
        "{\"disks\":[],\"networks\":null}",
        "{\"disks\":[],\"networks\":{\"mac\":\"x\"}}",
        "{\"disks\":[],\"networks\":[null,7,{\"mac\":[],\"from\":1},\"x\"]}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        AUTO_ERROR struct error error = {0};
        AUTO_PLAN struct plan *plan = NULL;
        assert_int_equal(plan_from_record(records[i], &plan, &error), 0);
        AUTO_FREE char *again = plan_to_record(plan);
        assert_non_null(again);
    }
}

/* ---- JSON for others ---- */

static struct json_object *member(struct json_object *json, const char *name)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(json, name, &value))
        fail_msg("there is no '%s' in %s", name, json_object_to_json_string(json));
    return value;
}

static void assert_text(struct json_object *json, const char *name, const char *expected)
{
    struct json_object *value = member(json, name);
    assert_true(json_object_is_type(value, expected ? json_type_string : json_type_null));
    if (expected)
        assert_string_equal(json_object_get_string(value), expected);
}

static void assert_number(struct json_object *json, const char *name, int64_t expected)
{
    assert_true(json_object_is_type(member(json, name), json_type_int));
    assert_int_equal(json_object_get_int64(member(json, name)), expected);
}

/* design.md's shape: what scripts rely on. */
static void the_shape(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY,
              FILE_DISK("/images/a") "<disk type='file'><source file='/scratch/b'/>"
                                     "<target dev='vdb'/></disk>"
                                     "<disk type='file'><source file='/images/c'/>"
                                     "<target dev='vdc'/><transient/></disk>");
    scene.facts.disks.items[1].size_known = false;
    AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
    struct json_object *json = plan_json(plan);
    assert_text(json, "domain", "db-1");
    assert_text(json, "uuid", UUID);
    assert_true(json_object_get_boolean(member(json, "active")));
    assert_text(json, "definition", "dance");
    struct json_object *disks = member(json, "disks");
    assert_int_equal(json_object_array_length(disks), 3);

    struct json_object *vda = json_object_array_get_idx(disks, 0);
    assert_text(vda, "target", "vda");
    assert_text(vda, "source", "/images/a");
    assert_text(vda, "action", "move");
    assert_text(vda, "reason", "rule 'files' wants it in tier 'gold'");
    assert_text(vda, "rule", "files");
    assert_text(vda, "tier", "gold");
    assert_text(vda, "destination", "new/fast/db-1-vda");
    assert_number(vda, "capacity", 10 * GIB);
    assert_number(vda, "allocated", 4 * GIB);

    struct json_object *vdb = json_object_array_get_idx(disks, 1);
    assert_text(vdb, "action", "leave");
    assert_text(vdb, "rule", "scratch");
    assert_text(vdb, "tier", NULL);
    assert_text(vdb, "destination", NULL);
    assert_text(vdb, "capacity", NULL);
    assert_text(vdb, "allocated", NULL);
    assert_text(json_object_array_get_idx(disks, 2), "action", "refuse");
    json_object_put(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(what_is_not_set_stays_so),
        cmocka_unit_test(without_networks),
        cmocka_unit_test(a_real_plan),
        cmocka_unit_test(broken_records),
        cmocka_unit_test(odd_records),
        cmocka_unit_test(the_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
