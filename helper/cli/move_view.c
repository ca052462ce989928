#include "cli/move_view.h"

#include "cli/json_values.h"

void move_view_clear(struct move_view *view)
{
    move_record_clear(&view->record);
    disk_records_clear(&view->disks);
    plan_freep(&view->plan);
    *view = (struct move_view){0};
}

void move_views_clear(struct move_views *views)
{
    for (size_t i = 0; i < views->count; i++)
        move_view_clear(&views->items[i]);
    free(views->items);
    *views = (struct move_views){0};
}

bool move_is_verifying(const struct move_record *record, bool alive, int pid)
{
    return alive && record->phase == PHASE_REDEFINED && record->begun == PHASE_VERIFIED &&
           (pid == 0 || record->pid == pid);
}

int move_view_read(struct journal *journal, int64_t id, struct move_view *view, struct error *error)
{
    if (journal_read(journal, id, &view->record, error) < 0)
        return -1;
    view->alive = journal_is_locked(journal, view->record.uuid, &view->pid);
    if (!view->alive) {
        /* It may have come to its end between the two looks: then it is not a dead one. */
        move_record_clear(&view->record);
        if (journal_read(journal, id, &view->record, error) < 0)
            return -1;
    }
    view->verifying = move_is_verifying(&view->record, view->alive, view->pid);
    AUTO_ERROR struct error unreadable = {0};
    if (plan_from_record(view->record.plan, &view->plan, &unreadable) < 0)
        view->plan = NULL; /* the rest of the record is worth showing all the same */
    if (journal_disks(journal, id, &view->disks, error) < 0 ||
        journal_ended(journal, &view->record, &view->ended, error) < 0)
        return -1;
    return journal_control(journal, id, &view->control, error);
}

int move_views_read(struct journal *journal, enum journal_selection selection, const char *domain,
                    struct move_views *views, struct error *error)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    if (journal_list(journal, selection, NULL, &records, error) < 0)
        return -1;
    for (size_t i = 0; i < records.count; i++) {
        const struct move_record *record = &records.items[i];
        if (domain && !text_equal(record->domain, domain) && !text_equal(record->uuid, domain))
            continue;
        if (move_view_read(journal, record->id, move_views_add(views), error) < 0)
            return -1;
    }
    return 0;
}

static bool any_on_target(const struct move_view *view, bool *all)
{
    bool any = false;
    *all = true;
    for (size_t i = 0; i < view->disks.count; i++) {
        bool there = view->disks.items[i].fate == DISK_PIVOTED;
        any |= there;
        *all &= there;
    }
    return any;
}

/* The step in which the definition is written anew, or one after it. */
static bool is_settling(enum move_phase begun)
{
    return begun >= PHASE_PIVOTED && begun <= PHASE_VERIFIED;
}

bool move_view_awaits_guest(const struct move_view *view)
{
    const struct move_record *record = &view->record;
    return record->kind == MOVE_INCOMING && !move_view_is_unsettled(view) &&
           (record->phase == PHASE_COPYING || record->phase == PHASE_MIRRORING);
}

bool move_view_is_unsettled(const struct move_view *view)
{
    const struct move_record *record = &view->record;
    bool all = false;
    return record->kind == MOVE_INCOMING && !move_phase_is_final(record->phase) &&
           (record->phase == PHASE_PIVOTED || is_settling(record->begun) ||
            any_on_target(view, &all));
}

static const char *incoming_outcome(const struct move_view *view)
{
    if (view->record.phase == PHASE_NEEDS_OPERATOR)
        return "needs operator";
    if (move_view_is_unsettled(view))
        return "definition not settled";
    if (move_view_awaits_guest(view))
        return "waits for its guest";
    return view->alive ? "under way" : "left unfinished";
}

const char *move_view_outcome(const struct move_view *view)
{
    bool all = false;
    if (view->record.phase == PHASE_UNDONE)
        return "undone";
    if (move_phase_is_final(view->record.phase))
        return any_on_target(view, &all) && !all ? "moved in part" : "moved";
    if (view->record.kind == MOVE_INCOMING)
        return incoming_outcome(view);
    if (view->alive)
        return "under way";
    return view->record.phase == PHASE_NEEDS_OPERATOR ? "needs operator" : "process gone";
}

const char *move_view_verdict(const struct move_view *view, const struct disk_record *disk)
{
    switch (disk->verdict) {
    case VERDICT_EQUAL:
        return "equal";
    case VERDICT_DIFFERENT:
        return "DIFFERENT";
    case VERDICT_IMPOSSIBLE:
        return "cannot be compared";
    case VERDICT_NONE:
        break;
    }
    if (view->plan && !view->plan->verify)
        return "not asked for";
    return view->verifying ? "being compared" : "not compared yet";
}

bool move_view_differs(const struct move_view *view)
{
    for (size_t i = 0; i < view->disks.count; i++)
        if (view->disks.items[i].fate == DISK_PIVOTED &&
            view->disks.items[i].verdict == VERDICT_DIFFERENT)
            return true;
    return false;
}

char *move_view_contents(const struct move_view *view)
{
    AUTO_BUFFER struct buffer text = {0};
    const char *first = NULL;
    bool all_alike = true;
    for (size_t i = 0; i < view->disks.count; i++) {
        const struct disk_record *disk = &view->disks.items[i];
        if (disk->fate != DISK_PIVOTED)
            continue;
        const char *verdict = move_view_verdict(view, disk);
        first = first ? first : verdict;
        all_alike &= text_equal(first, verdict);
        buffer_format(&text, "%s%s: %s", text.length ? ", " : "", disk->target, verdict);
    }
    return all_alike && first ? text_dup(first) : buffer_take(&text);
}

const char *move_view_kind(const struct move_view *view)
{
    const struct move_record *record = &view->record;
    if (record->kind == MOVE_OFFLINE)
        return "offline move";
    if (record->kind == MOVE_UNDO)
        return "undo";
    if (record->kind != MOVE_INCOMING)
        return "live move";
    bool here = move_view_is_unsettled(view) ||
                (move_phase_is_final(record->phase) && record->phase != PHASE_UNDONE);
    return here ? "arrived by migration" : "by migration";
}

const struct plan_disk *move_view_planned(const struct move_view *view, const char *target)
{
    for (size_t i = 0; view->plan && i < view->plan->disks.count; i++)
        if (text_equal(view->plan->disks.items[i].target, target))
            return &view->plan->disks.items[i];
    return NULL;
}

static void add_place(struct buffer *text, const char *place, const char *target)
{
    buffer_format(text, "%s%s (%s)", text->length ? ", " : "", place ? place : "?", target);
}

char *move_view_sources(const struct move_view *view)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < view->disks.count; i++) {
        const char *target = view->disks.items[i].target;
        const struct plan_disk *planned = move_view_planned(view, target);
        add_place(&text, planned ? planned->source : NULL, target);
    }
    for (size_t i = 0; view->plan && i < view->plan->networks.count; i++)
        add_place(&text, view->plan->networks.items[i].from, "network");
    return buffer_take(&text);
}

char *move_view_destinations(const struct move_view *view)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < view->disks.count; i++) {
        const char *target = view->disks.items[i].target;
        const struct plan_disk *planned = move_view_planned(view, target);
        AUTO_FREE char *place = planned && plan_has_destination(planned)
                                    ? plan_destination_describe(&planned->destination)
                                    : NULL;
        add_place(&text, place, target);
    }
    for (size_t i = 0; view->plan && i < view->plan->networks.count; i++)
        add_place(&text, view->plan->networks.items[i].to, "network");
    return buffer_take(&text);
}

bool disk_percent(const struct move_view *view, const struct disk_record *disk, unsigned *percent)
{
    if (!disk->sampled || disk->total == 0)
        return false;
    bool ready = disk->fate == DISK_PIVOTED || view->record.phase == PHASE_MIRRORING;
    double share = (double)disk->copied * 100 / (double)disk->total;
    *percent = ready ? 100 : share < 99 ? (unsigned)share : 99; /* all copied, yet not ready */
    return true;
}

static bool is_copying(const struct move_view *view, const struct disk_record *disk)
{
    return view->alive && view->record.phase == PHASE_COPYING && disk->sampled &&
           disk->fate == DISK_WAITING;
}

/* By how much less there is to copy each second. What the guest writes meanwhile has to be copied
 * as well, where it is not written to both sides at once. */
static uint64_t net_rate(const struct move_view *view, const struct disk_record *disk)
{
    const struct plan_disk *planned = move_view_planned(view, disk->target);
    if (planned && planned->destination.synchronous)
        return disk->rate;
    return disk->rate > disk->dirty_rate ? disk->rate - disk->dirty_rate : 0;
}

bool disk_eta(const struct move_view *view, const struct disk_record *disk, uint64_t *seconds)
{
    uint64_t rate = net_rate(view, disk);
    if (!is_copying(view, disk) || view->control.paused || rate == 0)
        return false;
    uint64_t remaining = disk->total > disk->copied ? disk->total - disk->copied : 0;
    *seconds = remaining / rate + (remaining % rate != 0);
    return true;
}

/* ---- JSON ---- */

static struct json_object *disk_json(const struct move_view *view, const struct disk_record *disk)
{
    const struct plan_disk *planned = move_view_planned(view, disk->target);
    AUTO_FREE char *destination = planned && plan_has_destination(planned)
                                      ? plan_destination_describe(&planned->destination)
                                      : NULL;
    unsigned percent = 0;
    uint64_t eta = 0;
    bool sampled = disk->sampled != 0, copying = is_copying(view, disk);
    bool percent_known = disk_percent(view, disk, &percent);
    bool eta_known = disk_eta(view, disk, &eta);
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "target", text_or_null(disk->target));
    json_object_object_add(json, "source", text_or_null(planned ? planned->source : NULL));
    json_object_object_add(json, "destination", text_or_null(destination));
    json_object_object_add(json, "tier", text_or_null(planned ? planned->tier : NULL));
    json_object_object_add(json, "rule", text_or_null(planned ? planned->rule : NULL));
    json_object_object_add(json, "place", text_or_null(disk_fate_word(disk->fate)));
    json_object_object_add(json, "copied", number_or_null(sampled, disk->copied));
    json_object_object_add(json, "total", number_or_null(sampled, disk->total));
    json_object_object_add(json, "percent", number_or_null(percent_known, percent));
    json_object_object_add(json, "rate", number_or_null(copying, disk->rate));
    json_object_object_add(json, "dirty_rate", number_or_null(copying, disk->dirty_rate));
    json_object_object_add(json, "eta_seconds", number_or_null(eta_known, eta));
    json_object_object_add(json, "latency_before_ms", milliseconds_or_null(disk->latency_before));
    json_object_object_add(json, "latency_now_ms", milliseconds_or_null(disk->latency_now));
    json_object_object_add(json, "sampled", number_or_null(sampled, disk->sampled));
    bool moved = disk->fate == DISK_PIVOTED, differs = disk->verdict == VERDICT_DIFFERENT;
    json_object_object_add(json, "contents",
                           text_or_null(moved ? move_view_verdict(view, disk) : NULL));
    json_object_object_add(json, "compared", number_or_null(disk->compared > 0, disk->compared));
    json_object_object_add(json, "first_difference",
                           number_or_null(differs, disk->first_difference));
    json_object_object_add(json, "differing", number_or_null(differs, disk->differing));
    json_object_object_add(json, "source_digest", text_or_null(disk->source_digest));
    json_object_object_add(json, "target_digest", text_or_null(disk->target_digest));
    json_object_object_add(json, "snapshot", text_or_null(moved ? disk->snapshot : NULL));
    return json;
}

struct json_object *move_view_json(const struct move_view *view)
{
    const struct move_record *record = &view->record;
    bool running = view->alive && (view->verifying || !move_phase_is_final(record->phase));
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "id", json_object_new_int64(record->id));
    json_object_object_add(json, "domain", text_or_null(record->domain));
    json_object_object_add(json, "uuid", text_or_null(record->uuid));
    json_object_object_add(json, "kind", text_or_null(move_kind_word(record->kind)));
    json_object_object_add(json, "undoes", number_or_null(record->undoes != 0, record->undoes));
    json_object_object_add(json, "phase", text_or_null(move_phase_word(record->phase)));
    json_object_object_add(json, "step", text_or_null(move_phase_word(record->begun)));
    json_object_object_add(json, "outcome", text_or_null(move_view_outcome(view)));
    json_object_object_add(json, "begun", json_object_new_int64(record->created));
    json_object_object_add(json, "updated", json_object_new_int64(record->updated));
    json_object_object_add(json, "process", number_or_null(running && view->pid > 0, view->pid));
    json_object_object_add(json, "verifying", json_object_new_boolean(view->verifying));
    json_object_object_add(json, "pause_ms", number_or_null(record->pause > 0, record->pause));
    json_object_object_add(json, "paused", json_object_new_boolean(view->control.paused));
    json_object_object_add(json, "cancel_asked", json_object_new_boolean(view->control.cancel));
    json_object_object_add(json, "bandwidth",
                           number_or_null(view->control.bandwidth_set, view->control.bandwidth));
    json_object_object_add(json, "message", text_or_null(record->message));
    json_object_object_add(json, "hint", text_or_null(record->hint));
    struct json_object *disks = json_object_new_array();
    for (size_t i = 0; i < view->disks.count; i++)
        json_object_array_add(disks, disk_json(view, &view->disks.items[i]));
    json_object_object_add(json, "disks", disks);
    return json;
}

struct json_object *move_views_json(const struct move_views *views)
{
    struct json_object *moves = json_object_new_array();
    for (size_t i = 0; i < views->count; i++)
        json_object_array_add(moves, move_view_json(&views->items[i]));
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "moves", moves);
    return json;
}
