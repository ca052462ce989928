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
    const struct mover mover = {.journal = session->journal,
                                .virt = session->virt,
                                .clusters = session->clusters,
                                .uri = cli->uri};
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

int recover_moves(const struct cli *cli, struct session *session, const char *uuid, size_t *count,
                  struct error *error)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    *count = 0;
    if (journal_list(session->journal, MOVES_UNFINISHED, uuid, &records, error) < 0)
        return -1;
    AUTO_ERROR struct error first = {0};
    for (size_t i = 0; i < records.count; i++) {
        AUTO_ERROR struct error failure = {0};
        CLEANUP(journal_unlock) int lock = -1;
        int pid = 0;
        if (!uuid && journal_lock(session->journal, records.items[i].uuid, &lock, &failure) < 0) {
            if (journal_is_locked(session->journal, records.items[i].uuid, &pid)) {
                cli_say(cli, "move %" PRId64 " of domain '%s' is under way (process %d)",
                        records.items[i].id, records.items[i].domain, pid);
                continue;
            }
        } else {
            (*count)++;
            if (recover_one(cli, session, &records.items[i], &failure) == 0)
                continue;
        }
        /* One that cannot be recovered does not keep the others waiting. */
        cli_print_error(cli, &failure);
        if (!error_is_set(&first))
            error_move(&first, &failure);
    }
    if (!error_is_set(&first))
        return 0;
    error_move(error, &first);
    return -1;
}
