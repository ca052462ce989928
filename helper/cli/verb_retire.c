/* Gives up sources whose grace is over, or says why not. */
#include "cli/json_values.h"
#include "cli/prepare.h"
#include "cli/retiring.h"

#include <inttypes.h>
#include <time.h>

enum { OPTION_NOW = OPTION_KEEP + 64 };

/* ---- which moves ---- */

/* The first of those that are not due yet; 0: none. */
static int select_due(struct session *session, bool now, struct move_records *chosen, int64_t *next,
                      struct error *error)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    if (journal_list(session->journal, MOVES_UNRETIRED, NULL, &records, error) < 0)
        return -1;
    for (size_t i = 0; i < records.count; i++) {
        bool wants = false;
        int64_t due = 0;
        if (move_retire_due(session->journal, &records.items[i], &wants, &due, error) < 0)
            return -1;
        if (!wants)
            continue;
        if (now || due <= (int64_t)time(NULL)) {
            *move_records_add(chosen) = records.items[i];
            records.items[i] = (struct move_record){0};
        } else if (*next == 0 || due < *next) {
            *next = due;
        }
    }
    return 0;
}

static int select_named(struct session *session, const struct cli_call *call,
                        struct move_records *chosen, struct error *error)
{
    for (size_t i = 0; i < call->argument_count; i++) {
        int64_t id = 0;
        if (cli_move_number(call->arguments[i], &id, error) < 0 ||
            journal_read(session->journal, id, move_records_add(chosen), error) < 0)
            return -1;
    }
    return 0;
}

static int nothing_due(int64_t next, struct error *error)
{
    error_set(error, ERROR_NOTHING, "no move has sources whose grace is over");
    if (next == 0)
        return error_hint(error, "'virt-pivot report' shows what became of each");
    AUTO_FREE char *when = format_time(next);
    return error_hint(error, "the next one is over on %s; 'virt-pivot retire --now' does not wait",
                      when);
}

/* ---- what came of it ---- */

static void add_rows(struct table *table, const struct retirement *told)
{
    AUTO_FREE char *id = text_format("%" PRId64, told->id);
    for (size_t i = 0; i < told->disks.count; i++) {
        const struct retirement_disk *disk = &told->disks.items[i];
        AUTO_FREE char *fate = disk->obstacle ? text_format("not now: %s", disk->obstacle)
                                              : text_dup(disk->fate ? disk->fate : "not looked at");
        const char *cells[] = {id, told->domain, disk->target, disk->source, fate};
        table_row(table, cells);
    }
}

static struct json_object *told_json(const struct retirement *told, const struct error *error)
{
    struct json_object *json = json_object_new_object();
    struct json_object *disks = json_object_new_array();
    for (size_t i = 0; i < told->disks.count; i++) {
        const struct retirement_disk *disk = &told->disks.items[i];
        struct json_object *entry = json_object_new_object();
        json_object_object_add(entry, "target", text_or_null(disk->target));
        json_object_object_add(entry, "source", text_or_null(disk->source));
        json_object_object_add(entry, "fate", text_or_null(disk->fate));
        json_object_object_add(entry, "kept", json_object_new_boolean(disk->kept));
        json_object_object_add(entry, "obstacle", text_or_null(disk->obstacle));
        json_object_object_add(entry, "hint", text_or_null(disk->hint));
        json_object_array_add(disks, entry);
    }
    json_object_object_add(json, "move", json_object_new_int64(told->id));
    json_object_object_add(json, "domain", text_or_null(told->domain));
    json_object_object_add(json, "disks", disks);
    json_object_object_add(json, "error", text_or_null(error->message));
    json_object_object_add(json, "hint", text_or_null(error->hint));
    return json;
}

struct output {
    const struct cli *cli;
    struct table *table;
    struct json_object *moves;
};

static void output_close(struct output *output)
{
    struct json_object *json = json_object_new_object();
    bool any = json_object_array_length(output->moves) > 0;
    json_object_object_add(json, "moves", output->moves);
    if (output->cli->format == FORMAT_JSON)
        cli_print_json(json);
    else
        json_object_put(json);
    if (any && output->cli->format == FORMAT_PLAIN && !output->cli->quiet)
        table_print(output->table, stdout);
    table_freep(&output->table);
}

static int retire_all(const struct cli *cli, struct session *session,
                      const struct move_records *records, const struct retire_wishes *wishes,
                      struct error *error)
{
    static const char *const headers[] = {"MOVE", "DOMAIN", "DISK", "SOURCE", "WHAT BECOMES OF IT"};
    struct output output = {cli, table_new(headers, ARRAY_SIZE(headers)), json_object_new_array()};
    AUTO_ERROR struct error first = {0};
    for (size_t i = 0; i < records->count; i++) {
        const struct move_record *record = &records->items[i];
        AUTO_ERROR struct error failure = {0};
        CLEANUP(retirement_clear) struct retirement told = {.id = record->id};
        if (retire_one(session, record, wishes, false, &told, &failure) < 0)
            error_prefix(&failure, "move %" PRId64 " of domain '%s'", record->id, record->domain);
        add_rows(output.table, &told);
        json_object_array_add(output.moves, told_json(&told, &failure));
        if (!error_is_set(&failure))
            continue;
        bool is_worse = first.code == ERROR_NOTHING && failure.code != ERROR_NOTHING;
        if (error_is_set(&first) && !is_worse) {
            cli_print_error(cli, &failure);
            continue;
        }
        if (is_worse)
            cli_print_error(cli, &first);
        error_clear(&first);
        error_move(&first, &failure);
    }
    output_close(&output);
    if (!error_is_set(&first))
        return 0;
    error_move(error, &first);
    return -1;
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    AUTO_SESSION struct session session = {0};
    CLEANUP(move_records_clear) struct move_records records = {0};
    const struct retire_wishes wishes = {.now = cli_has(call, OPTION_NOW),
                                         .dry_run = cli_has(call, OPTION_DRY_RUN)};
    int64_t next = 0;
    if (session_open(cli, SESSION_VIRT | SESSION_JOURNAL, &session, error) < 0)
        return -1;
    if ((call->argument_count ? select_named(&session, call, &records, error)
                              : select_due(&session, wishes.now, &records, &next, error)) < 0)
        return -1;
    if (retire_all(cli, &session, &records, &wishes, error) < 0)
        return -1;
    return records.count ? 0 : nothing_due(next, error);
}

static const struct cli_option options[] = {
    {"dry-run", OPTION_DRY_RUN, NULL, "only say what would become of each source, or why not"},
    {"now", OPTION_NOW, NULL, "do not wait for the end of the grace period"},
    {NULL, 0, NULL, NULL},
};
const struct cli_verb retire_verb = {
    "retire", "[MOVE]...", "Gives up the sources of moves whose grace is over", options, 0,
    SIZE_MAX, run};
