#include "cli/request_view.h"

#include "base/units.h"
#include "cli/json_values.h"
#include "queue/queue.h"

#include <inttypes.h>

void request_views_clear(struct request_views *views)
{
    for (size_t i = 0; i < views->count; i++)
        request_record_clear(&views->items[i].record);
    free(views->items);
    *views = (struct request_views){0};
}

bool request_is_of(const char *uuid, const char *name, const char *domain)
{
    return !domain || text_equal(name, domain) || text_equal(uuid, domain);
}

const char *request_domain(const struct request_record *record)
{
    return record->domain ? record->domain : record->uuid;
}

int request_views_read(struct journal *journal, const char *domain, struct request_views *views,
                       struct error *error)
{
    CLEANUP(request_records_clear) struct request_records records = {0};
    if (journal_requests(journal, REQUESTS_PENDING, NULL, &records, error) < 0)
        return -1;
    for (size_t i = 0; i < records.count; i++) {
        struct request_record *record = &records.items[i];
        if (!request_is_of(record->uuid, record->domain, domain))
            continue;
        request_views_add(views)->record = *record;
        *record = (struct request_record){0};
    }
    return 0;
}

/* ---- in the queue folder ---- */

/* Taken by the agent between the look at the folder and the one at the journal. */
static bool is_taken(const struct request_views *views, const char *file)
{
    for (size_t i = 0; i < views->count; i++)
        if (text_equal(views->items[i].record.file, file))
            return true;
    return false;
}

static char *joined(const struct text_list *list)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < list->count; i++)
        buffer_format(&text, "%s%s", i ? "," : "", list->items[i]);
    return text.text ? buffer_take(&text) : NULL;
}

int request_views_add_queued(const char *state, const char *domain, struct request_views *views,
                             struct error *error)
{
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 0; /* `check` tells of them */
    if (queue_take(state, &requests, &bad, error) < 0)
        return -1;
    for (size_t i = 0; i < requests.count; i++) {
        struct request *request = &requests.items[i];
        if (!request_is_of(request->uuid, request->domain, domain) ||
            is_taken(views, request->file))
            continue;
        *request_views_add(views) = (struct request_view){
            .record = {.file = STEAL(request->file),
                       .uuid = STEAL(request->uuid),
                       .domain = STEAL(request->domain),
                       .reason = STEAL(request->reason),
                       .tier = STEAL(request->tier),
                       .targets = joined(&request->targets),
                       .bandwidth = request->bandwidth,
                       .created = request->created,
                       .updated = request->created},
            .queued = true,
        };
    }
    return 0;
}

/* ---- words ---- */

const char *request_view_state(const struct request_view *view)
{
    return view->queued ? "queued" : request_state_word(view->record.state);
}

bool request_view_is_open(const struct request_view *view)
{
    return view->record.state == REQUEST_WAITING || view->record.state == REQUEST_RUNNING;
}

char *request_view_why(const struct request_view *view)
{
    const struct request_record *record = &view->record;
    if (view->queued)
        return text_dup("waits for an agent to take it");
    if (record->state == REQUEST_RUNNING && record->move)
        return text_format("move %" PRId64, record->move);
    return text_dup(record->message);
}

char *request_view_next_try(const struct request_view *view, int64_t now)
{
    const struct request_record *record = &view->record;
    if (view->queued || record->state != REQUEST_WAITING)
        return NULL;
    if (record->not_before <= now)
        return text_dup("now");
    AUTO_FREE char *pause = format_duration((uint64_t)(record->not_before - now));
    return text_format("in %s", pause);
}

char *request_hint(const struct request_record *record)
{
    AUTO_BUFFER struct buffer text = {0};
    AUTO_FREE char *targets = text_dup(record->targets);
    char *rest = targets;
    if (record->hint)
        buffer_format(&text, "%s; ", record->hint);
    buffer_format(&text, "'virt-pivot move %s", request_domain(record));
    for (char *target = strsep(&rest, ","); target; target = strsep(&rest, ","))
        buffer_format(&text, " --disk %s", target);
    if (record->tier)
        buffer_format(&text, " --tier %s", record->tier);
    if (record->bandwidth)
        buffer_format(&text, " --bandwidth %" PRIu64, record->bandwidth);
    buffer_format(&text, " --queue' tries again, 'virt-pivot cancel %s' forgets it",
                  request_domain(record));
    return buffer_take(&text);
}

/* ---- JSON ---- */

/* An array; null: all that the policy moves. */
static struct json_object *targets_or_null(const char *targets)
{
    if (text_empty(targets))
        return NULL;
    struct json_object *array = json_object_new_array();
    for (const char *rest = targets; *rest;) {
        size_t length = strcspn(rest, ",");
        json_object_array_add(array, json_object_new_string_len(rest, (int)length));
        rest += length + (rest[length] == ',');
    }
    return array;
}

static struct json_object *request_view_json(const struct request_view *view)
{
    const struct request_record *record = &view->record;
    bool waits = !view->queued && record->state == REQUEST_WAITING;
    bool runs = record->state == REQUEST_RUNNING && record->pid > 0;
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "id", number_or_null(!view->queued, record->id));
    json_object_object_add(json, "domain", text_or_null(record->domain));
    json_object_object_add(json, "uuid", text_or_null(record->uuid));
    json_object_object_add(json, "reason", text_or_null(record->reason));
    json_object_object_add(json, "tier", text_or_null(record->tier));
    json_object_object_add(json, "disks", targets_or_null(record->targets));
    json_object_object_add(json, "bandwidth",
                           number_or_null(record->bandwidth != 0, (int64_t)record->bandwidth));
    json_object_object_add(json, "state", text_or_null(request_view_state(view)));
    json_object_object_add(json, "attempts", json_object_new_int64(record->attempts));
    json_object_object_add(json, "next_try",
                           number_or_null(waits && record->not_before > 0, record->not_before));
    json_object_object_add(json, "process", number_or_null(runs, record->pid));
    json_object_object_add(json, "move", number_or_null(record->move != 0, record->move));
    json_object_object_add(json, "message", text_or_null(record->message));
    json_object_object_add(json, "hint", text_or_null(record->hint));
    json_object_object_add(json, "created", json_object_new_int64(record->created));
    json_object_object_add(json, "updated", json_object_new_int64(record->updated));
    return json;
}

struct json_object *request_views_json(const struct request_views *views)
{
    struct json_object *array = json_object_new_array();
    for (size_t i = 0; i < views->count; i++)
        json_object_array_add(array, request_view_json(&views->items[i]));
    return array;
}
