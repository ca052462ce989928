/* A plan as the journal keeps it: every field by a table row, so that writing and reading cannot
 * drift apart. A field that an older version did not write reads back as its zero. */
#include "plan/plan.h"

#include <json-c/json.h>
#include <stddef.h>

DEFINE_CLEANUP(struct json_object, json_object_put);

enum field_type { FIELD_TEXT, FIELD_NUMBER, FIELD_REAL, FIELD_FLAG, FIELD_WORD, FIELD_STRUCT };

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    const struct field *inner; /* FIELD_STRUCT */
    size_t inner_count;
};

#define TEXT(type, member)                                                                         \
    {                                                                                              \
#member, FIELD_TEXT, offsetof(struct type, member), NULL, 0                                \
    }
#define NUMBER(type, member)                                                                       \
    {                                                                                              \
#member, FIELD_NUMBER, offsetof(struct type, member), NULL, 0                              \
    }
#define REAL(type, member)                                                                         \
    {                                                                                              \
#member, FIELD_REAL, offsetof(struct type, member), NULL, 0                                \
    }
#define FLAG(type, member)                                                                         \
    {                                                                                              \
#member, FIELD_FLAG, offsetof(struct type, member), NULL, 0                                \
    }
#define WORD(type, member)                                                                         \
    {                                                                                              \
#member, FIELD_WORD, offsetof(struct type, member), NULL, 0                                \
    }
#define STRUCT(type, member, table)                                                                \
    {                                                                                              \
#member, FIELD_STRUCT, offsetof(struct type, member), table, ARRAY_SIZE(table)             \
    }

static const struct field cluster_fields[] = {
    TEXT(plan_cluster, name),    TEXT(plan_cluster, mons),   TEXT(plan_cluster, conf),
    TEXT(plan_cluster, user),    TEXT(plan_cluster, secret), FLAG(plan_cluster, secret_is_uuid),
    TEXT(plan_cluster, keyring),
};
static const struct field qos_fields[] = {
    NUMBER(policy_qos, iops),       NUMBER(policy_qos, iops_burst), NUMBER(policy_qos, read_iops),
    NUMBER(policy_qos, write_iops), NUMBER(policy_qos, bps),        NUMBER(policy_qos, bps_burst),
    NUMBER(policy_qos, read_bps),   NUMBER(policy_qos, write_bps),  WORD(policy_qos, enforce),
};
static const struct field destination_fields[] = {
    STRUCT(plan_destination, cluster, cluster_fields),
    TEXT(plan_destination, pool),
    TEXT(plan_destination, name_space),
    TEXT(plan_destination, image),
    TEXT(plan_destination, data_pool),
    NUMBER(plan_destination, size),
    NUMBER(plan_destination, object_size),
    STRUCT(plan_destination, qos, qos_fields),
    FLAG(plan_destination, keeps_iotune),
    TEXT(plan_destination, cache),
    TEXT(plan_destination, discard),
    TEXT(plan_destination, detect_zeroes),
    NUMBER(plan_destination, bandwidth),
    FLAG(plan_destination, synchronous),
    TEXT(plan_destination, old_disk),
    TEXT(plan_destination, old_identity),
    TEXT(plan_destination, old_definition),
    FLAG(plan_destination, remade),
    FLAG(plan_destination, clears_iotune),
};
static const struct field disk_fields[] = {
    TEXT(plan_disk, target),
    TEXT(plan_disk, bus),
    WORD(plan_disk, action),
    TEXT(plan_disk, reason),
    TEXT(plan_disk, rule),
    TEXT(plan_disk, tier),
    TEXT(plan_disk, source),
    NUMBER(plan_disk, capacity),
    NUMBER(plan_disk, allocated),
    FLAG(plan_disk, allocated_exact),
    FLAG(plan_disk, size_known),
    NUMBER(plan_disk, expected_seconds),
    STRUCT(plan_disk, destination, destination_fields),
    FLAG(plan_disk, prepare_source),
    FLAG(plan_disk, takes_snapshots),
    STRUCT(plan_disk, source_cluster, cluster_fields),
    TEXT(plan_disk, source_pool),
    TEXT(plan_disk, source_name_space),
    TEXT(plan_disk, source_image),
    TEXT(plan_disk, source_id),
    TEXT(plan_disk, source_identity),
};
static const struct field network_fields[] = {
    TEXT(plan_network, mac),
    TEXT(plan_network, from),
    TEXT(plan_network, to),
};
static const struct field plan_fields[] = {
    TEXT(plan, domain),          TEXT(plan, uuid),          FLAG(plan, active),
    FLAG(plan, persistent),      FLAG(plan, autostart),     WORD(plan, strategy),
    TEXT(plan, strategy_reason), NUMBER(plan, stuck_after), REAL(plan, max_latency),
    FLAG(plan, verify),          WORD(plan, source_after),  NUMBER(plan, grace),
    FLAG(plan, migrates),
};

static struct json_object *write_fields(const void *object, const struct field *fields,
                                        size_t count)
{
    struct json_object *json = json_object_new_object();
    for (size_t i = 0; i < count; i++) {
        const void *member = (const char *)object + fields[i].offset;
        struct json_object *value = NULL;
        switch (fields[i].type) {
        case FIELD_TEXT:
            value = *(char *const *)member ? json_object_new_string(*(char *const *)member) : NULL;
            break;
        case FIELD_NUMBER:
            value = json_object_new_int64((int64_t) * (const uint64_t *)member);
            break;
        case FIELD_REAL:
            value = json_object_new_double(*(const double *)member);
            break;
        case FIELD_FLAG:
            value = json_object_new_boolean(*(const bool *)member);
            break;
        case FIELD_WORD:
            value = json_object_new_int(*(const int *)member);
            break;
        case FIELD_STRUCT:
            value = write_fields(member, fields[i].inner, fields[i].inner_count);
            break;
        }
        json_object_object_add(json, fields[i].name, value);
    }
    return json;
}

static void read_fields(struct json_object *json, void *object, const struct field *fields,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *member = (char *)object + fields[i].offset;
        struct json_object *value = NULL;
        if (!json_object_object_get_ex(json, fields[i].name, &value) || !value)
            continue;
        switch (fields[i].type) {
        case FIELD_TEXT:
            *(char **)member = text_dup(json_object_get_string(value));
            break;
        case FIELD_NUMBER:
            *(uint64_t *)member = (uint64_t)json_object_get_int64(value);
            break;
        case FIELD_REAL:
            *(double *)member = json_object_get_double(value);
            break;
        case FIELD_FLAG:
            *(bool *)member = json_object_get_boolean(value);
            break;
        case FIELD_WORD:
            *(int *)member = json_object_get_int(value);
            break;
        case FIELD_STRUCT:
            read_fields(value, member, fields[i].inner, fields[i].inner_count);
            break;
        }
    }
}

char *plan_to_record(const struct plan *plan)
{
    CLEANUP(json_object_putp)
    struct json_object *json = write_fields(plan, plan_fields, ARRAY_SIZE(plan_fields));
    struct json_object *disks = json_object_new_array();
    for (size_t i = 0; i < plan->disks.count; i++)
        json_object_array_add(
            disks, write_fields(&plan->disks.items[i], disk_fields, ARRAY_SIZE(disk_fields)));
    json_object_object_add(json, "disks", disks);
    struct json_object *networks = json_object_new_array();
    for (size_t i = 0; i < plan->networks.count; i++)
        json_object_array_add(networks, write_fields(&plan->networks.items[i], network_fields,
                                                     ARRAY_SIZE(network_fields)));
    json_object_object_add(json, "networks", networks);
    return text_dup(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
}

int plan_from_record(const char *text, struct plan **result, struct error *error)
{
    CLEANUP(json_object_putp) struct json_object *json = json_tokener_parse(text);
    struct json_object *disks = NULL;
    if (!json_object_object_get_ex(json, "disks", &disks) ||
        !json_object_is_type(disks, json_type_array)) {
        error_set(error, ERROR_OPERATOR, "the journal's record of a plan cannot be read");
        return error_hint(error, "keep the state directory as it is; definitions/ in it holds the "
                                 "saved XML for 'virsh define'");
    }
    struct plan *plan = NEW(struct plan);
    read_fields(json, plan, plan_fields, ARRAY_SIZE(plan_fields));
    for (size_t i = 0; i < json_object_array_length(disks); i++)
        read_fields(json_object_array_get_idx(disks, i), plan_disks_add(&plan->disks), disk_fields,
                    ARRAY_SIZE(disk_fields));
    struct json_object *networks = NULL; /* not in records of the first version */
    if (json_object_object_get_ex(json, "networks", &networks) &&
        json_object_is_type(networks, json_type_array))
        for (size_t i = 0; i < json_object_array_length(networks); i++)
            read_fields(json_object_array_get_idx(networks, i), plan_networks_add(&plan->networks),
                        network_fields, ARRAY_SIZE(network_fields));
    *result = plan;
    return 0;
}

/* ---- what `plan --format json` prints ---- */

static struct json_object *text_or_null(const char *text)
{
    return text ? json_object_new_string(text) : NULL;
}

static struct json_object *disk_json(const struct plan_disk *disk)
{
    struct json_object *json = json_object_new_object();
    AUTO_FREE char *destination =
        plan_has_destination(disk) ? plan_destination_describe(&disk->destination) : NULL;
    json_object_object_add(json, "target", text_or_null(disk->target));
    json_object_object_add(json, "source", text_or_null(disk->source));
    json_object_object_add(json, "action", json_object_new_string(plan_action_word(disk->action)));
    json_object_object_add(json, "reason", text_or_null(disk->reason));
    json_object_object_add(json, "hint", text_or_null(disk->hint));
    json_object_object_add(json, "rule", text_or_null(disk->rule));
    json_object_object_add(json, "tier", text_or_null(disk->tier));
    json_object_object_add(json, "destination", text_or_null(destination));
    json_object_object_add(
        json, "capacity", disk->size_known ? json_object_new_int64((int64_t)disk->capacity) : NULL);
    json_object_object_add(json, "allocated",
                           disk->size_known ? json_object_new_int64((int64_t)disk->allocated)
                                            : NULL);
    json_object_object_add(json, "allocated_exact", json_object_new_boolean(disk->allocated_exact));
    json_object_object_add(json, "expected_seconds",
                           json_object_new_int64((int64_t)disk->expected_seconds));
    return json;
}

struct json_object *plan_json(const struct plan *plan)
{
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "domain", text_or_null(plan->domain));
    json_object_object_add(json, "uuid", text_or_null(plan->uuid));
    json_object_object_add(json, "active", json_object_new_boolean(plan->active));
    json_object_object_add(json, "definition",
                           json_object_new_string(plan_strategy_word(plan->strategy)));
    json_object_object_add(json, "migrates", json_object_new_boolean(plan->migrates));
    json_object_object_add(json, "blocker", text_or_null(plan->blocker));
    struct json_object *disks = json_object_new_array();
    for (size_t i = 0; i < plan->disks.count; i++)
        json_object_array_add(disks, disk_json(&plan->disks.items[i]));
    json_object_object_add(json, "disks", disks);
    struct json_object *warnings = json_object_new_array();
    for (size_t i = 0; i < plan->warnings.count; i++)
        json_object_array_add(warnings, json_object_new_string(plan->warnings.items[i]));
    json_object_object_add(json, "warnings", warnings);
    return json;
}
