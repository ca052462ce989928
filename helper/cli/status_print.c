/* `status` for people: a table of moves, one of requests, and remarks. */
#include "base/units.h"
#include "cli/status_view.h"

#include <inttypes.h>
#include <time.h>

/* ---- a move's disks; NULL prints as "-" ---- */

static bool has_ended(const struct move_view *view)
{
    return move_phase_is_final(view->record.phase);
}

/* Of a move that has ended there is only the proof to tell of. */
static uint64_t size_of(const struct move_view *view, const struct disk_record *disk)
{
    const struct plan_disk *planned = move_view_planned(view, disk->target);
    return planned ? planned->destination.size : 0;
}

static char *done_cell(const struct move_view *view, const struct disk_record *disk)
{
    unsigned percent = 0;
    uint64_t size = size_of(view, disk);
    if (has_ended(view))
        return size ? text_format("%u %%", (unsigned)((double)disk->compared * 100 / (double)size))
                    : NULL;
    return disk_percent(view, disk, &percent) ? text_format("%u %%", percent) : NULL;
}

static char *copied_cell(const struct move_view *view, const struct disk_record *disk)
{
    if (has_ended(view)) {
        AUTO_FREE char *compared = format_size(disk->compared);
        AUTO_FREE char *size = format_size(size_of(view, disk));
        return text_format("compared %s of %s", compared, size);
    }
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
    AUTO_FREE char *copied = copied_cell(view, disk);
    AUTO_FREE char *rate = copying ? rate_cell(view, disk) : NULL;
    AUTO_FREE char *dirty = copying ? format_rate(disk->dirty_rate) : NULL;
    AUTO_FREE char *eta = disk_eta(view, disk, &seconds) ? format_duration(seconds) : NULL;
    AUTO_FREE char *latency = latency_cell(disk);
    const char *cells[] = {
        id,
        view->record.domain,
        disk->target,
        has_ended(view) ? move_view_verdict(view, disk) : move_phase_word(view->record.phase),
        done,
        copied,
        rate,
        dirty,
        eta,
        latency};
    table_row(table, cells);
}

static void print_moves(const struct move_views *views, FILE *file)
{
    static const char *const headers[] = {"MOVE",   "DOMAIN", "DISK",         "PHASE", "DONE",
                                          "COPIED", "RATE",   "GUEST WRITES", "ETA",   "LATENCY"};
    CLEANUP(table_freep) struct table *table = table_new(headers, ARRAY_SIZE(headers));
    for (size_t i = 0; i < views->count; i++)
        for (size_t disk = 0; disk < views->items[i].disks.count; disk++)
            add_disk(table, &views->items[i], &views->items[i].disks.items[disk]);
    table_print(table, file);
}

/* ---- what that table has no room for ---- */

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

static void print_remark(FILE *file, const struct move_view *view, const char *format, ...)
    PRINTF(3, 4);
static void print_remark(FILE *file, const struct move_view *view, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO_FREE char *text = text_vformat(format, args);
    va_end(args);
    AUTO_FREE char *printable = cli_printable(text);
    fprintf(file, "move %" PRId64 ": %s\n", view->record.id, printable);
}

/* Nobody here runs it, so nobody has died; but until it is settled its definition is a trap. */
static void print_incoming(const struct move_view *view, bool agent, FILE *file)
{
    AUTO_FREE char *old = move_view_sources(view);
    AUTO_FREE char *new = move_view_destinations(view);
    if (move_view_is_unsettled(view))
        print_remark(file, view,
                     "ATTENTION: the guest is on %s, and the persistent definition still names "
                     "%s; it is put right by the agent or 'virt-pivot recover'",
                     new, old);
    else if (move_view_awaits_guest(view) && agent)
        print_remark(file, view, "waits for its guest, which libvirt migrates here");
    else if (move_view_awaits_guest(view))
        print_remark(file, view,
                     "waits for its guest, and no agent runs: if the guest is here already, its "
                     "persistent definition still names %s; 'virt-pivot recover' puts it right",
                     old);
    else if (!view->alive && view->record.phase != PHASE_NEEDS_OPERATOR)
        print_remark(file, view,
                     "its images were not made to the end; they are removed by the agent or "
                     "'virt-pivot recover'");
}

static void print_unproven(const struct move_view *view, bool agent, FILE *file)
{
    const struct move_record *record = &view->record;
    if (move_view_differs(view))
        print_remark(file, view, "ATTENTION: %s",
                     record->message ? record->message : "source and target differ");
    else if (record->message)
        print_remark(file, view, "%s", record->message);
    else if (!view->verifying)
        print_remark(file, view,
                     "the guest is on its new disks; not compared with the old ones "
                     "yet");
    if (record->hint)
        print_remark(file, view, "hint: %s", record->hint);
    if (!view->verifying && !move_view_differs(view))
        print_remark(file, view, "%s'virt-pivot verify %" PRId64 "' compares",
                     agent && !view->control.cancel ? "the agent or " : "", record->id);
}

static void print_dead(const struct move_view *view, FILE *file)
{
    const struct move_record *record = &view->record;
    if (record->kind == MOVE_OFFLINE &&
        (record->phase == PHASE_COPYING || record->phase == PHASE_MIRRORING))
        print_remark(file, view,
                     "process gone: 'virt-pivot recover --resume %s' goes on with its copy; "
                     "'virt-pivot recover' takes it back",
                     record->domain);
    else
        print_remark(file, view, "process gone: 'virt-pivot recover' brings it to an end");
}

static void print_remarks(const struct move_view *view, bool agent, FILE *file)
{
    const struct move_record *record = &view->record;
    print_wishes(view, file);
    if (record->kind == MOVE_INCOMING)
        print_incoming(view, agent, file);
    else if (has_ended(view))
        print_unproven(view, agent, file);
    else if (!view->alive && record->phase != PHASE_NEEDS_OPERATOR)
        print_dead(view, file);
    if (record->message && !has_ended(view))
        print_remark(file, view, "%s%s", record->phase == PHASE_NEEDS_OPERATOR ? "needs you: " : "",
                     record->message);
    if (record->hint && record->phase == PHASE_NEEDS_OPERATOR)
        print_remark(file, view, "hint: %s", record->hint);
}

/* ---- requests ---- */

static void add_request(struct table *table, const struct request_view *view, int64_t now)
{
    const struct request_record *record = &view->record;
    AUTO_FREE char *id = view->queued ? NULL : text_format("%" PRId64, record->id);
    AUTO_FREE char *attempts = text_format("%u", record->attempts);
    AUTO_FREE char *next = request_view_next_try(view, now);
    AUTO_FREE char *why = request_view_why(view);
    const char *cells[] = {id,
                           request_domain(record),
                           record->targets ? record->targets : "by policy",
                           record->tier ? record->tier : "by policy",
                           record->reason,
                           request_view_state(view),
                           attempts,
                           next,
                           why};
    table_row(table, cells);
}

static void print_requests(const struct request_views *views, FILE *file)
{
    static const char *const headers[] = {"REQUEST", "DOMAIN", "DISKS",    "TIER", "REASON",
                                          "STATE",   "TRIES",  "NEXT TRY", "WHY"};
    CLEANUP(table_freep) struct table *table = table_new(headers, ARRAY_SIZE(headers));
    for (size_t i = 0; i < views->count; i++)
        add_request(table, &views->items[i], (int64_t)time(NULL));
    table_print(table, file);
    for (size_t i = 0; i < views->count; i++) {
        const struct request_record *record = &views->items[i].record;
        if (record->state != REQUEST_FAILED)
            continue;
        AUTO_FREE char *hint = request_hint(record);
        AUTO_FREE char *printable = cli_printable(hint);
        fprintf(file, "request %" PRId64 ": hint: %s\n", record->id, printable);
    }
}

void status_view_print(const struct status_view *view, FILE *file)
{
    if (view->moves.count)
        print_moves(&view->moves, file);
    for (size_t i = 0; i < view->moves.count; i++)
        print_remarks(&view->moves.items[i], view->agent, file);
    if (view->moves.count && view->requests.count)
        fputc('\n', file);
    if (view->requests.count)
        print_requests(&view->requests, file);
    size_t waiting = status_view_open_requests(view);
    if (waiting && !view->agent)
        fprintf(file, "no agent runs: nobody carries out %s until 'virt-pivot agent' is started\n",
                waiting == 1 ? "this request" : "these requests");
}
