#include "cli/prepare.h"

#include "base/units.h"
#include "survey/survey.h"

#include <inttypes.h>

int prepare_request(const struct cli_call *call, struct plan_request *request,
                    const char ***targets, struct error *error)
{
    *targets = memory_new(call->options.count, sizeof(**targets));
    for (size_t i = 0; i < call->options.count; i++)
        if (call->options.items[i].letter == OPTION_DISK)
            (*targets)[request->target_count++] = call->options.items[i].value;
    request->targets = *targets;
    request->tier = cli_value(call, OPTION_TIER);
    const char *bandwidth = cli_value(call, OPTION_BANDWIDTH);
    if (bandwidth && parse_rate(bandwidth, &request->bandwidth, error) < 0) {
        error->code = ERROR_USAGE;
        return error_prefix(error, "--bandwidth");
    }
    return 0;
}

int prepare_plan(struct session *session, const struct plan_request *request, const char *uuid,
                 bool own_lock, struct plan_facts *facts, struct plan **plan, struct error *error)
{
    if (survey_domain(session->virt, session->clusters, session->policy, request, uuid, facts,
                      error) < 0)
        return -1;
    if (session->journal) {
        int pid = 0;
        double rate = journal_usual_rate(session->journal);
        if (rate > 0)
            facts->assumed_rate = rate;
        if (!own_lock && journal_is_locked(session->journal, uuid, &pid))
            facts->other_move = text_format("another virt-pivot (process %d)", pid);
    }
    return plan_make(facts, session->policy, request, plan, error);
}

static char *size_cell(const struct plan_disk *disk, uint64_t bytes, bool exact)
{
    if (!disk->size_known)
        return NULL;
    AUTO_FREE char *size = format_size(bytes);
    return text_format("%s%s", exact ? "" : "≤ ", size);
}

void print_plan(const struct cli *cli, const struct plan *plan)
{
    static const char *const headers[] = {"DISK", "ACTION", "SOURCE",   "DESTINATION",
                                          "SIZE", "COPY",   "EXPECTED", "WHY"};
    printf("Domain %s (%s), definition: %s (%s)\n\n", plan->domain, plan->uuid,
           plan_strategy_word(plan->strategy), plan->strategy_reason);
    CLEANUP(table_freep) struct table *table = table_new(headers, ARRAY_SIZE(headers));
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        bool moves = disk->action == PLAN_MOVE;
        AUTO_FREE char *destination =
            disk->destination.image ? plan_destination_describe(&disk->destination) : NULL;
        AUTO_FREE char *size = size_cell(disk, disk->capacity, true);
        AUTO_FREE char *copy =
            moves ? size_cell(disk, disk->allocated, disk->allocated_exact) : NULL;
        AUTO_FREE char *expected = moves ? format_duration(disk->expected_seconds) : NULL;
        const char *cells[] = {disk->target, plan_action_word(disk->action),
                               disk->source, destination,
                               size,         copy,
                               expected,     disk->reason};
        table_row(table, cells);
    }
    table_print(table, stdout);
    for (size_t i = 0; i < plan->warnings.count; i++)
        cli_say(cli, "warning: %s", plan->warnings.items[i]);
}

static int recover_one(const struct cli *cli, struct session *session,
                       const struct move_record *record, struct error *error)
{
    const char *uri = virt_uri(session->virt);
    /* The domain may well be unknown to this daemon, and defined by it all the same. */
    if (!text_equal(record->uri, uri)) {
        error_set(error, ERROR_FAILED,
                  "move %" PRId64 " of domain '%s' was begun on %s, and this is %s: not touched",
                  record->id, record->domain, record->uri, uri);
        return error_hint(error, "'virt-pivot -c %s recover' brings it to an end", record->uri);
    }
    const struct mover mover = {.journal = session->journal,
                                .virt = session->virt,
                                .clusters = session->clusters,
                                .uri = uri};
    cli_say(cli, "move %" PRId64 " of domain '%s' was left in phase '%s'; bringing it to an end",
            record->id, record->domain, move_phase_word(record->phase));
    enum move_outcome outcome = OUTCOME_UNDONE;
    if (move_recover(&mover, record->id, &outcome, error) < 0)
        return -1;
    cli_say(cli, "move %" PRId64 " of domain '%s': %s", record->id, record->domain,
            outcome == OUTCOME_FINISHED ? "the guest was on its new disks already; finished"
                                        : "undone, everything is as it was");
    return 0;
}

/* One move under its domain's lock; success too when it is alive, which *alive then says. */
static int lock_and_recover(const struct cli *cli, struct session *session,
                            const struct move_record *record, bool locked, bool *alive,
                            struct error *error)
{
    CLEANUP(journal_unlock) int lock = -1;
    int pid = 0;
    if (!locked && journal_lock(session->journal, record->uuid, &lock, error) < 0) {
        *alive = journal_is_locked(session->journal, record->uuid, &pid);
        if (!*alive)
            return -1;
        error_clear(error);
        cli_say(cli, "move %" PRId64 " of domain '%s' is under way (process %d)", record->id,
                record->domain, pid);
        return 0;
    }
    return recover_one(cli, session, record, error);
}

int recover_moves(const struct cli *cli, struct session *session, const char *uuid, size_t *count,
                  size_t *under_way, struct error *error)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    *count = *under_way = 0;
    if (journal_list(session->journal, MOVES_UNFINISHED, uuid, &records, error) < 0)
        return -1;
    for (size_t i = 0; i < records.count; i++) {
        AUTO_ERROR struct error failure = {0};
        bool alive = false;
        int result =
            lock_and_recover(cli, session, &records.items[i], uuid != NULL, &alive, &failure);
        *under_way += alive;
        *count += !alive;
        if (result == 0)
            continue;
        /* One that cannot be recovered does not keep the others waiting. */
        if (error_is_set(error))
            cli_print_error(cli, &failure);
        else
            error_move(error, &failure);
    }
    return error_is_set(error) ? -1 : 0;
}
