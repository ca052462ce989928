/* The record of evidence: what was moved, when, by which rule, what it cost the guest, how it was
 * proven, and what became of the source. */
#include "base/units.h"
#include "cli/cli.h"
#include "cli/json_values.h"
#include "cli/move_view.h"
#include "move/given_up.h"

#include <inttypes.h>

#define DIGEST_SHOWN 12 /* characters in the table; all of it in JSON */

static bool has_moved(const struct move_view *view)
{
    return move_phase_is_final(view->record.phase) && view->record.phase != PHASE_UNDONE;
}

/* ---- of one disk ---- */

/* What the source is by now, for people; new string. */
static char *source_state(const struct move_view *view, const struct disk_record *disk)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(given_up_clear) struct given_up given_up = {0};
    if (given_up_parse(disk->given_up, &given_up, &error) < 0)
        return text_dup(disk->given_up);
    AUTO_FREE char *state = given_up_describe(&given_up);
    bool pending = given_up.kind != GIVEN_UP_NOTHING && view->record.phase != PHASE_RETIRED;
    return text_format("%s%s", pending ? "not finished: " : "", state);
}

static char *latency_cell(const struct disk_record *disk)
{
    if (disk->latency_before <= 0)
        return NULL;
    return disk->latency_now > 0
               ? text_format("%.1f → %.1f ms", disk->latency_before, disk->latency_now)
               : text_format("%.1f ms", disk->latency_before);
}

static void add_row(struct table *table, const struct move_view *view,
                    const struct disk_record *disk)
{
    const struct plan_disk *planned = move_view_planned(view, disk->target);
    AUTO_FREE char *id = text_format("%" PRId64, view->record.id);
    AUTO_FREE char *when = format_time(view->ended);
    AUTO_FREE char *to = planned && plan_has_destination(planned)
                             ? plan_destination_describe(&planned->destination)
                             : NULL;
    AUTO_FREE char *latency = latency_cell(disk);
    AUTO_FREE char *pause =
        view->record.pause ? text_format("%" PRIu64 " ms", view->record.pause) : NULL;
    AUTO_FREE char *digest =
        disk->target_digest ? text_format("%.*s", DIGEST_SHOWN, disk->target_digest) : NULL;
    AUTO_FREE char *source = source_state(view, disk);
    const char *cells[] = {id,
                           view->record.domain,
                           disk->target,
                           planned ? planned->source : NULL,
                           to,
                           when,
                           planned ? planned->rule : NULL,
                           latency,
                           pause,
                           move_view_verdict(view, disk),
                           digest,
                           source};
    table_row(table, cells);
}

/* ---- JSON ---- */

static struct json_object *disk_json(const struct move_view *view, const struct disk_record *disk)
{
    const struct plan_disk *planned = move_view_planned(view, disk->target);
    AUTO_FREE char *to = planned && plan_has_destination(planned)
                             ? plan_destination_describe(&planned->destination)
                             : NULL;
    AUTO_FREE char *state = source_state(view, disk);
    bool differs = disk->verdict == VERDICT_DIFFERENT;
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "target", text_or_null(disk->target));
    json_object_object_add(json, "source", text_or_null(planned ? planned->source : NULL));
    json_object_object_add(json, "destination", text_or_null(to));
    json_object_object_add(json, "place", text_or_null(disk_fate_word(disk->fate)));
    json_object_object_add(json, "rule", text_or_null(planned ? planned->rule : NULL));
    json_object_object_add(json, "tier", text_or_null(planned ? planned->tier : NULL));
    json_object_object_add(
        json, "capacity",
        number_or_null(planned != NULL, planned ? (int64_t)planned->capacity : 0));
    json_object_object_add(json, "copied",
                           number_or_null(disk->sampled != 0, (int64_t)disk->copied));
    json_object_object_add(json, "latency_before_ms", milliseconds_or_null(disk->latency_before));
    json_object_object_add(json, "latency_after_ms", milliseconds_or_null(disk->latency_now));
    json_object_object_add(json, "contents", text_or_null(move_view_verdict(view, disk)));
    json_object_object_add(json, "compared",
                           number_or_null(disk->compared > 0, (int64_t)disk->compared));
    json_object_object_add(json, "first_difference",
                           number_or_null(differs, (int64_t)disk->first_difference));
    json_object_object_add(json, "differing", number_or_null(differs, (int64_t)disk->differing));
    json_object_object_add(json, "source_digest", text_or_null(disk->source_digest));
    json_object_object_add(json, "target_digest", text_or_null(disk->target_digest));
    json_object_object_add(json, "source_state", text_or_null(state));
    json_object_object_add(json, "given_up", text_or_null(disk->given_up));
    return json;
}

static struct json_object *move_json(const struct move_view *view)
{
    const struct move_record *record = &view->record;
    struct json_object *json = json_object_new_object();
    struct json_object *disks = json_object_new_array();
    for (size_t i = 0; i < view->disks.count; i++)
        json_object_array_add(disks, disk_json(view, &view->disks.items[i]));
    json_object_object_add(json, "move", json_object_new_int64(record->id));
    json_object_object_add(json, "domain", text_or_null(record->domain));
    json_object_object_add(json, "uuid", text_or_null(record->uuid));
    json_object_object_add(json, "kind", text_or_null(move_kind_word(record->kind)));
    json_object_object_add(json, "phase", text_or_null(move_phase_word(record->phase)));
    json_object_object_add(json, "outcome", text_or_null(move_view_outcome(view)));
    json_object_object_add(json, "begun", json_object_new_int64(record->created));
    json_object_object_add(json, "ended", json_object_new_int64(view->ended));
    json_object_object_add(json, "verify",
                           view->plan ? json_object_new_boolean(view->plan->verify) : NULL);
    json_object_object_add(json, "pause_ms",
                           number_or_null(record->pause > 0, (int64_t)record->pause));
    json_object_object_add(json, "disks", disks);
    return json;
}

/* ---- the verb ---- */

struct report {
    struct table *table;
    struct json_object *moves;
    size_t count;
};

static void add_move(struct report *report, const struct move_view *view)
{
    if (!has_moved(view))
        return;
    report->count++;
    json_object_array_add(report->moves, move_json(view));
    for (size_t i = 0; i < view->disks.count; i++)
        if (view->disks.items[i].fate == DISK_PIVOTED)
            add_row(report->table, view, &view->disks.items[i]);
}

static void print_report(const struct cli *cli, struct report *report)
{
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "moves", report->moves);
    if (cli->format == FORMAT_JSON)
        cli_print_json(json);
    else
        json_object_put(json);
    if (cli->format == FORMAT_PLAIN && report->count)
        table_print(report->table, stdout);
}

/* A number is a move's, or else the name of a domain. */
static int read_views(struct journal *journal, const char *which, struct move_views *views,
                      struct error *error)
{
    AUTO_ERROR struct error no_number = {0};
    int64_t id = 0;
    if (which && cli_move_number(which, &id, &no_number) == 0) {
        if (move_view_read(journal, id, move_views_add(views), error) == 0)
            return 0;
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        move_views_clear(views);
        error_clear(error);
    }
    return move_views_read(journal, MOVES_ALL, which, views, error);
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    static const char *const headers[] = {"MOVE",  "DOMAIN",   "DISK",   "FROM",
                                          "TO",    "MOVED",    "RULE",   "LATENCY",
                                          "PAUSE", "CONTENTS", "SHA256", "SOURCE"};
    const char *which = call->argument_count ? call->arguments[0] : NULL;
    CLEANUP(journal_closep) struct journal *journal = NULL;
    CLEANUP(move_views_clear) struct move_views views = {0};
    if (journal_open(cli->state, JOURNAL_READ, &journal, error) < 0) {
        if (error->code != ERROR_NOT_FOUND || which)
            return -1;
        error_clear(error); /* nothing was ever moved here */
    } else if (read_views(journal, which, &views, error) < 0) {
        return -1;
    }
    CLEANUP(table_freep) struct table *table = table_new(headers, ARRAY_SIZE(headers));
    struct report report = {table, json_object_new_array(), 0};
    for (size_t i = 0; i < views.count; i++)
        add_move(&report, &views.items[i]);
    print_report(cli, &report);
    if (which && report.count == 0)
        return error_set(error, ERROR_NOTHING, "no disk of '%s' was ever moved for good", which);
    return 0;
}

const struct cli_verb report_verb = {
    "report",
    "[MOVE|DOMAIN]",
    "Shows of every disk moved: when, why, how it was proven, and what became of its source",
    NULL,
    0,
    1,
    run};
