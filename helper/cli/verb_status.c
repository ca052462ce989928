#include "base/units.h"
#include "cli/cli.h"
#include "cli/move_view.h"
#include "cli/watch.h"

#include <inttypes.h>
#include <json-c/json.h>

enum { OPTION_WATCH = 512 };

/* ---- cells; NULL prints as "-" ---- */

static char *done_cell(const struct move_view *view, const struct disk_record *disk)
{
    unsigned percent = 0;
    return disk_percent(view, disk, &percent) ? text_format("%u %%", percent) : NULL;
}

static char *copied_cell(const struct disk_record *disk)
{
    if (!disk->sampled)
        return NULL;
    AUTO_FREE char *copied = format_size(disk->copied);
    AUTO_FREE char *total = format_size(disk->total);
    return text_format("%s of %s", copied, total);
}

static char *latency_cell(const struct disk_record *disk)
{
    if (disk->latency_now <= 0)
        return NULL;
    if (disk->latency_before <= 0)
        return text_format("%.1f ms", disk->latency_now);
    return text_format("%.1f ms (was %.1f)", disk->latency_now, disk->latency_before);
}

static char *rate_cell(const struct move_view *view, const struct disk_record *disk)
{
    return view->control.paused ? text_dup("paused") : format_rate(disk->rate);
}

static void add_disk(struct table *table, const struct move_view *view,
                     const struct disk_record *disk)
{
    uint64_t seconds = 0;
    bool copying = view->alive && view->record.phase == PHASE_COPYING && disk->sampled;
    AUTO_FREE char *id = text_format("%" PRId64, view->record.id);
    AUTO_FREE char *done = done_cell(view, disk);
    AUTO_FREE char *copied = copied_cell(disk);
    AUTO_FREE char *rate = copying ? rate_cell(view, disk) : NULL;
    AUTO_FREE char *dirty = copying ? format_rate(disk->dirty_rate) : NULL;
    AUTO_FREE char *eta = disk_eta(view, disk, &seconds) ? format_duration(seconds) : NULL;
    AUTO_FREE char *latency = latency_cell(disk);
    const char *cells[] = {id,           view->record.domain,
                           disk->target, move_phase_word(view->record.phase),
                           done,         copied,
                           rate,         dirty,
                           eta,          latency};
    table_row(table, cells);
}

/* ---- what a table has no room for ---- */

static void print_wishes(const struct move_view *view, FILE *file)
{
    AUTO_BUFFER struct buffer text = {0};
    if (view->control.cancel)
        buffer_add(&text, "; cancel asked");
    if (view->control.paused)
        buffer_add(&text, "; paused");
    if (view->control.bandwidth_set) {
        AUTO_FREE char *rate =
            view->control.bandwidth ? format_rate(view->control.bandwidth) : text_dup("unlimited");
        buffer_format(&text, "; bandwidth %s", rate);
    }
    if (text.length)
        fprintf(file, "move %" PRId64 ": %s\n", view->record.id, text.text + strlen("; "));
}

static void print_remarks(const struct move_view *view, FILE *file)
{
    const struct move_record *record = &view->record;
    print_wishes(view, file);
    if (!view->alive && record->phase != PHASE_NEEDS_OPERATOR)
        fprintf(file, "move %" PRId64 ": process gone: 'virt-pivot recover' brings it to an end\n",
                record->id);
    if (record->message)
        fprintf(file, "move %" PRId64 ": %s%s\n", record->id,
                record->phase == PHASE_NEEDS_OPERATOR ? "needs you: " : "", record->message);
    if (record->hint && record->phase == PHASE_NEEDS_OPERATOR)
        fprintf(file, "move %" PRId64 ": hint: %s\n", record->id, record->hint);
}

static void print_plain(const struct move_views *views, FILE *file)
{
    static const char *const headers[] = {"MOVE",   "DOMAIN", "DISK",         "PHASE", "DONE",
                                          "COPIED", "RATE",   "GUEST WRITES", "ETA",   "LATENCY"};
    CLEANUP(table_freep) struct table *table = table_new(headers, ARRAY_SIZE(headers));
    for (size_t i = 0; i < views->count; i++)
        for (size_t disk = 0; disk < views->items[i].disks.count; disk++)
            add_disk(table, &views->items[i], &views->items[i].disks.items[disk]);
    table_print(table, file);
    for (size_t i = 0; i < views->count; i++)
        print_remarks(&views->items[i], file);
}

/* ---- once, or again and again ---- */

/* No journal is no move. */
static int read_views(const struct cli *cli, const char *domain, struct move_views *views,
                      struct error *error)
{
    CLEANUP(journal_closep) struct journal *journal = NULL;
    if (journal_open(cli->state, JOURNAL_READ, &journal, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error);
        return 0;
    }
    return move_views_read(journal, MOVES_UNFINISHED, domain, views, error);
}

static int print_none(const struct cli *cli, const char *domain, struct error *error)
{
    if (domain)
        return error_set(error, ERROR_NOTHING, "no move of domain '%s' is under way", domain);
    cli_say(cli, "no move is under way");
    return 0;
}

static int show_once(const struct cli *cli, const char *domain, struct error *error)
{
    CLEANUP(move_views_clear) struct move_views views = {0};
    if (read_views(cli, domain, &views, error) < 0)
        return -1;
    if (cli->format == FORMAT_JSON)
        cli_print_json(move_views_json(&views));
    else if (views.count)
        print_plain(&views, stdout);
    return views.count ? 0 : print_none(cli, domain, error);
}

/* The moves that were there the last time and are not any more. */
static int tell_ended(const struct cli *cli, struct watch *watch, const struct move_views *before,
                      const struct move_views *now, struct error *error)
{
    CLEANUP(journal_closep) struct journal *journal = NULL;
    for (size_t i = 0; i < before->count; i++) {
        bool still = false;
        for (size_t j = 0; j < now->count; j++)
            still |= now->items[j].record.id == before->items[i].record.id;
        CLEANUP(move_view_clear) struct move_view view = {0};
        if (still)
            continue;
        if ((!journal && journal_open(cli->state, JOURNAL_READ, &journal, error) < 0) ||
            move_view_read(journal, before->items[i].record.id, &view, error) < 0)
            return -1;
        watch_break(watch);
        cli_say(cli, "move %" PRId64 " of domain '%s': %s%s%s", view.record.id, view.record.domain,
                move_view_outcome(&view), view.record.message ? ": " : "",
                view.record.message ? view.record.message : "");
    }
    return 0;
}

static bool any_alive(const struct move_views *views)
{
    for (size_t i = 0; i < views->count; i++)
        if (views->items[i].alive)
            return true;
    return false;
}

static int show_until_done(const struct cli *cli, const char *domain, struct error *error)
{
    CLEANUP(move_views_clear) struct move_views before = {0};
    struct watch watch;
    watch_begin(&watch, stdout);
    for (bool first = true;; first = false) {
        CLEANUP(move_views_clear) struct move_views views = {0};
        if (read_views(cli, domain, &views, error) < 0)
            return -1;
        if (first && views.count == 0)
            return print_none(cli, domain, error);
        if (cli->format == FORMAT_JSON) {
            cli_print_json(move_views_json(&views));
        } else if (views.count) {
            FILE *block = watch_block(&watch);
            print_plain(&views, block);
            watch_show(&watch);
        }
        if (tell_ended(cli, &watch, &before, &views, error) < 0)
            return -1;
        if (!any_alive(&views) || !watch_wait(&watch))
            return 0;
        move_views_clear(&before);
        before = views;
        views = (struct move_views){0};
    }
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    const char *domain = call->argument_count ? call->arguments[0] : NULL;
    return cli_has(call, OPTION_WATCH) ? show_until_done(cli, domain, error)
                                       : show_once(cli, domain, error);
}

static const struct cli_option options[] = {
    {"watch", OPTION_WATCH, NULL, "show it again every second until all moves have ended"},
    {NULL, 0, NULL, NULL},
};
const struct cli_verb status_verb = {
    "status", "[DOMAIN]", "Shows the moves that are under way", options, 0, 1, run};
