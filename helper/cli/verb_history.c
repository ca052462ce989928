#include "base/units.h"
#include "cli/cli.h"
#include "cli/move_view.h"
#include "cli/story.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <time.h>

static bool has_moved(const struct move_view *view)
{
    return move_phase_is_final(view->record.phase) && view->record.phase != PHASE_UNDONE;
}

/* How the definition was kept while QEMU copied; a guest that arrives brings its own. */
static bool has_strategy(const struct move_view *view)
{
    return view->plan && (view->record.kind == MOVE_LIVE || view->record.kind == MOVE_UNDO);
}

static char *took_cell(const struct move_view *view)
{
    const struct move_record *record = &view->record;
    bool over = move_phase_is_final(record->phase);
    if (!over && !view->alive && !move_view_awaits_guest(view))
        return NULL;
    int64_t end = record->phase == PHASE_UNDONE ? record->updated : view->ended;
    int64_t seconds = (over ? end : (int64_t)time(NULL)) - record->created;
    return format_duration(seconds > 0 ? (uint64_t)seconds : 0);
}

static char *destination_of(const struct plan_disk *planned)
{
    return planned && plan_has_destination(planned)
               ? plan_destination_describe(&planned->destination)
               : text_dup("?");
}

/* ---- the list ---- */

static char *disks_cell(const struct move_view *view)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < view->disks.count; i++) {
        const char *target = view->disks.items[i].target;
        AUTO_FREE char *destination = destination_of(move_view_planned(view, target));
        buffer_format(&text, "%s%s → %s", i ? ", " : "", target, destination);
    }
    return buffer_take(&text);
}

static char *bytes_cell(const struct move_view *view)
{
    uint64_t sum = 0;
    bool known = false;
    for (size_t i = 0; i < view->disks.count; i++) {
        known |= view->disks.items[i].sampled != 0;
        sum += view->disks.items[i].copied;
    }
    return known ? format_size(sum) : NULL;
}

static char *outcome_cell(const struct move_view *view)
{
    const char *outcome = move_view_outcome(view);
    if (move_phase_is_final(view->record.phase) || view->record.phase == PHASE_NEEDS_OPERATOR)
        return text_dup(outcome);
    return text_format("%s (%s)", outcome, move_phase_word(view->record.phase));
}

static void print_list(const struct move_views *views)
{
    static const char *const headers[] = {"MOVE", "DOMAIN",  "KIND",   "BEGUN",
                                          "TOOK", "OUTCOME", "COPIED", "DISKS"};
    CLEANUP(table_freep) struct table *table = table_new(headers, ARRAY_SIZE(headers));
    for (size_t i = 0; i < views->count; i++) {
        const struct move_view *view = &views->items[i];
        AUTO_FREE char *id = text_format("%" PRId64, view->record.id);
        AUTO_FREE char *begun = format_time(view->record.created);
        AUTO_FREE char *took = took_cell(view);
        AUTO_FREE char *outcome = outcome_cell(view);
        AUTO_FREE char *bytes = bytes_cell(view);
        AUTO_FREE char *disks = disks_cell(view);
        const char *cells[] = {
            id, view->record.domain, move_view_kind(view), begun, took, outcome, bytes, disks};
        table_row(table, cells);
    }
    table_print(table, stdout);
}

static void show_list(const struct cli *cli, const struct move_views *views)
{
    if (cli->format == FORMAT_JSON)
        cli_print_json(move_views_json(views));
    else if (views->count)
        print_list(views);
}

static int list(const struct cli *cli, struct journal *journal, const char *domain,
                struct error *error)
{
    CLEANUP(move_views_clear) struct move_views views = {0};
    if (move_views_read(journal, MOVES_ALL, domain, &views, error) < 0)
        return -1;
    show_list(cli, &views);
    if (domain && views.count == 0)
        return error_set(error, ERROR_NOTHING, "no disk of domain '%s' was ever moved", domain);
    return 0;
}

/* ---- one move ---- */

static void print_head(const struct move_view *view)
{
    const struct move_record *record = &view->record;
    AUTO_FREE char *begun = format_time(record->created);
    AUTO_FREE char *took = took_cell(view);
    AUTO_FREE char *outcome = outcome_cell(view);
    cli_print("Move %" PRId64 " of domain %s (%s)\n", record->id, record->domain, record->uuid);
    cli_print("  kind        %s\n", move_view_kind(view));
    if (record->undoes)
        cli_print("  undoes      move %" PRId64 "\n", record->undoes);
    cli_print("  begun       %s%s%s\n", begun, took ? ", took " : "", took ? took : "");
    cli_print("  outcome     %s\n", outcome);
    if (has_strategy(view))
        cli_print("  strategy    %s%s%s%s\n", plan_strategy_word(view->plan->strategy),
                  view->plan->strategy_reason ? " (" : "",
                  view->plan->strategy_reason ? view->plan->strategy_reason : "",
                  view->plan->strategy_reason ? ")" : "");
    if (record->definition_file)
        cli_print("  definition  saved as %s\n", record->definition_file);
    if (record->pause)
        cli_print("  pause       %" PRIu64 " ms, for the pivot\n", record->pause);
    if (has_moved(view)) {
        AUTO_FREE char *contents = move_view_contents(view);
        cli_print("  contents    %s\n", contents);
    }
    if (record->message)
        cli_print("  message     %s\n", record->message);
    if (record->hint)
        cli_print("  hint        %s\n", record->hint);
}

static char *latency_text(const struct disk_record *disk)
{
    if (disk->latency_before <= 0 || disk->latency_now <= 0)
        return text_dup("");
    return text_format(", latency %.1f ms, before %.1f ms", disk->latency_now,
                       disk->latency_before);
}

static void print_proof(const struct disk_record *disk)
{
    if (disk->verdict == VERDICT_EQUAL)
        cli_print("    equal to its source, SHA-256 %s\n", disk->source_digest);
    if (disk->verdict == VERDICT_DIFFERENT)
        cli_print("    DIFFERENT from its source, first at byte %" PRIu64 ", %" PRIu64
                  " pieces of 4 MiB; SHA-256 of the source %s, of the target %s\n",
                  disk->first_difference, disk->differing, disk->source_digest,
                  disk->target_digest);
    if (disk->snapshot && disk->fate == DISK_PIVOTED)
        cli_print("    the target at the pivot is its snapshot %s\n", disk->snapshot);
}

static void print_disks(const struct move_view *view)
{
    for (size_t i = 0; i < view->disks.count; i++) {
        const struct disk_record *disk = &view->disks.items[i];
        const struct plan_disk *planned = move_view_planned(view, disk->target);
        AUTO_FREE char *destination = destination_of(planned);
        AUTO_FREE char *copied = disk->sampled ? format_size(disk->copied) : NULL;
        AUTO_FREE char *latency = latency_text(disk);
        cli_print("  disk %s: %s → %s\n", disk->target,
                  planned && planned->source ? planned->source : "?", destination);
        cli_print("    %s", disk_fate_word(disk->fate));
        if (planned && planned->tier)
            cli_print(", tier %s%s%s%s", planned->tier, planned->rule ? " by rule '" : "",
                      planned->rule ? planned->rule : "", planned->rule ? "'" : "");
        cli_print("%s%s%s\n", copied ? ", copied " : "", copied ? copied : "", latency);
        print_proof(disk);
    }
}

static void print_story(const struct move_view *view, const struct step_records *steps)
{
    static const char *const headers[] = {"TIME", "TOOK", "STEP", "DETAIL"};
    CLEANUP(story_clear) struct story_lines lines = {0};
    story_tell(steps, view->alive && !move_phase_is_final(view->record.phase), &lines);
    CLEANUP(table_freep) struct table *table = table_new(headers, ARRAY_SIZE(headers));
    for (size_t i = 0; i < lines.count; i++) {
        const struct story_line *line = &lines.items[i];
        AUTO_FREE char *at = format_time(line->at / 1000);
        AUTO_FREE char *took = line->took >= 0 ? format_milliseconds(line->took) : NULL;
        const char *cells[] = {at, took, line->what, line->detail};
        table_row(table, cells);
    }
    cli_print("\n");
    table_print(table, stdout);
}

static struct json_object *story_json(const struct move_view *view,
                                      const struct step_records *steps)
{
    struct json_object *json = move_view_json(view);
    const char *file = view->record.definition_file;
    struct json_object *story = json_object_new_array();
    for (size_t i = 0; i < steps->count; i++) {
        const struct step_record *step = &steps->items[i];
        struct json_object *entry = json_object_new_object();
        json_object_object_add(entry, "at_ms", json_object_new_int64(step->at));
        json_object_object_add(entry, "event", json_object_new_string(step->event));
        json_object_object_add(entry, "phase", json_object_new_string(step->phase));
        json_object_object_add(entry, "detail",
                               step->detail ? json_object_new_string(step->detail) : NULL);
        json_object_array_add(story, entry);
    }
    json_object_object_add(json, "definition",
                           has_strategy(view)
                               ? json_object_new_string(plan_strategy_word(view->plan->strategy))
                               : NULL);
    json_object_object_add(json, "definition_file", file ? json_object_new_string(file) : NULL);
    AUTO_FREE char *contents = has_moved(view) ? move_view_contents(view) : NULL;
    json_object_object_add(json, "contents", contents ? json_object_new_string(contents) : NULL);
    json_object_object_add(json, "steps", story);
    return json;
}

static int tell(const struct cli *cli, struct journal *journal, int64_t id, struct error *error)
{
    CLEANUP(move_view_clear) struct move_view view = {0};
    CLEANUP(step_records_clear) struct step_records steps = {0};
    if (move_view_read(journal, id, &view, error) < 0 ||
        journal_story(journal, id, &steps, error) < 0)
        return -1;
    if (cli->format == FORMAT_JSON) {
        cli_print_json(story_json(&view, &steps));
        return 0;
    }
    print_head(&view);
    print_disks(&view);
    print_story(&view, &steps);
    return 0;
}

/* ---- the verb ---- */

static bool is_number(const char *text, int64_t *number)
{
    char *end = NULL;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}

/* A move's number, or a domain whose name is one. */
static int tell_or_list(const struct cli *cli, struct journal *journal, int64_t id,
                        const char *domain, struct error *error)
{
    if (tell(cli, journal, id, error) == 0)
        return 0;
    AUTO_ERROR struct error ignored = {0};
    CLEANUP(move_views_clear) struct move_views views = {0};
    if (error->code != ERROR_NOT_FOUND ||
        move_views_read(journal, MOVES_ALL, domain, &views, &ignored) < 0 || views.count == 0)
        return -1;
    error_clear(error);
    show_list(cli, &views);
    return 0;
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    const char *which = call->argument_count ? call->arguments[0] : NULL;
    CLEANUP(journal_closep) struct journal *journal = NULL;
    if (journal_open(cli->state, JOURNAL_READ, &journal, error) < 0) {
        if (error->code != ERROR_NOT_FOUND || which)
            return -1;
        show_list(cli, &(struct move_views){0});
        cli_say(cli, "%s", error->message);
        error_clear(error);
        return 0;
    }
    int64_t id = 0;
    return which && is_number(which, &id) ? tell_or_list(cli, journal, id, which, error)
                                          : list(cli, journal, which, error);
}

const struct cli_verb history_verb = {"history",
                                      "[MOVE|DOMAIN]",
                                      "Lists the moves made so far, or tells the story of one",
                                      NULL,
                                      0,
                                      1,
                                      run};
