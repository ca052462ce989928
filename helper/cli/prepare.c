#include "cli/prepare.h"

#include "base/units.h"
#include "cli/check.h"
#include "cli/prove.h"
#include "cli/stage.h"
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
    AUTO_FREE char *hook = NULL;
    enum hook_state state =
        virt_is_local(session->virt) ? hook_look(HOOK_FOLDER, &hook) : HOOK_UNSEEN;
    facts->hook_missing = state == HOOK_MISSING || state == HOOK_BROKEN;
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
    cli_print("Domain %s (%s), definition: %s (%s)\n\n", plan->domain, plan->uuid,
              plan_strategy_word(plan->strategy), plan->strategy_reason);
    CLEANUP(table_freep) struct table *table = table_new(headers, ARRAY_SIZE(headers));
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        bool moves = disk->action == PLAN_MOVE;
        AUTO_FREE char *destination =
            plan_has_destination(disk) ? plan_destination_describe(&disk->destination) : NULL;
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

/* ---- dead moves ---- */

/* The domain may well be unknown to this daemon, and defined by it all the same. Of an incoming
 * migration the hook, which must not ask libvirt, has recorded no connection. */
static int refuse_foreign(const struct move_record *record, const char *uri, struct error *error)
{
    if (*record->uri == '\0' || text_equal(record->uri, uri))
        return 0;
    error_set(error, ERROR_FAILED,
              "move %" PRId64 " of domain '%s' was begun on %s, and this is %s: not touched",
              record->id, record->domain, record->uri, uri);
    return error_hint(error, "'virt-pivot -c %s recover' brings it to an end", record->uri);
}

static void tell_begin(const struct cli *cli, const struct move_record *record)
{
    if (record->kind == MOVE_INCOMING)
        cli_say(cli, "move %" PRId64 " of domain '%s' came by migration; looking for its guest",
                record->id, record->domain);
    else
        cli_say(cli,
                "move %" PRId64 " of domain '%s' was left in phase '%s'; bringing it to an end",
                record->id, record->domain, move_phase_word(record->phase));
}

static void tell_end(const struct cli *cli, const struct move_record *record,
                     enum move_outcome outcome)
{
    bool finished = outcome == OUTCOME_FINISHED;
    const char *incoming = finished ? "it has arrived, and its definition is put right"
                                    : "it has not arrived; what was made for it is removed";
    const char *live = !finished                      ? "undone, everything is as it was"
                       : record->kind == MOVE_OFFLINE ? "its definition names the copies; "
                                                        "finished"
                                                      : "the guest had pivoted already; finished";
    if (outcome == OUTCOME_WAITING)
        cli_say(cli, "move %" PRId64 ": domain '%s' is still on its way; look again", record->id,
                record->domain);
    else
        cli_say(cli, "move %" PRId64 " of domain '%s': %s", record->id, record->domain,
                record->kind == MOVE_INCOMING ? incoming : live);
}

static bool it_did_run(void *opaque UNUSED, const char *uuid UNUSED, int64_t since UNUSED)
{
    return true;
}

struct mover prepare_mover(const struct session *session, const char *program)
{
    return (struct mover){.journal = session->journal,
                          .virt = session->virt,
                          .clusters = session->clusters,
                          .uri = virt_uri(session->virt),
                          .program = program};
}

/* It ends as it would have if it had not been killed. */
static int prove_resumed(const struct cli *cli, const struct mover *mover, struct stage *stage,
                         const struct move_record *record, struct error *error)
{
    CLEANUP(plan_freep) struct plan *plan = NULL;
    struct proof proof = {0};
    if (plan_from_record(record->plan, &plan, error) < 0)
        return -1;
    stage_moved(stage);
    int result = prove_after_move(cli, mover, plan, record->id, &proof, error);
    proof_clear(&proof);
    return result;
}

static int resume_one(const struct cli *cli, struct mover *mover, struct stage *stage,
                      const struct move_record *record, enum move_outcome *outcome,
                      struct error *error)
{
    stage_set(stage, cli, -1);
    mover->audience = stage_audience(stage);
    int result = move_resume(mover, record->id, outcome, error);
    if (result == 0)
        tell_end(cli, record, *outcome);
    if (result == 0 && record->kind == MOVE_OFFLINE && *outcome == OUTCOME_FINISHED)
        result = prove_resumed(cli, mover, stage, record, error);
    progress_clear(&stage->progress);
    return result;
}

static int recover_one(const struct cli *cli, struct session *session,
                       const struct move_record *record, enum move_outcome *outcome,
                       struct error *error)
{
    const char *uri = virt_uri(session->virt);
    if (refuse_foreign(record, uri, error) < 0)
        return -1;
    AUTO_FREE char *program = cli_own_path(cli);
    struct mover mover = prepare_mover(session, program);
    mover.has_arrived = session->keep ? it_did_run : NULL;
    tell_begin(cli, record);
    if (session->resume)
        return resume_one(cli, &mover, session->resume, record, outcome, error);
    mover.audience = (struct move_audience){.opaque = (void *)cli, .warning = cli_warn};
    if (move_recover(&mover, record->id, outcome, error) < 0)
        return -1;
    tell_end(cli, record, *outcome);
    return 0;
}

/* One move under its domain's lock; success too when it is alive. */
static int lock_and_recover(const struct cli *cli, struct session *session,
                            const struct move_record *record, bool locked,
                            struct recovery *recovery, struct error *error)
{
    CLEANUP(journal_unlock) int lock = -1;
    int pid = 0;
    if (!locked && journal_lock(session->journal, record->uuid, &lock, error) < 0 &&
        journal_is_locked(session->journal, record->uuid, &pid)) {
        error_clear(error);
        recovery->under_way++;
        cli_say(cli, "move %" PRId64 " of domain '%s' is under way (process %d)", record->id,
                record->domain, pid);
        return 0;
    }
    enum move_outcome outcome = OUTCOME_UNDONE;
    int result = error_is_set(error) ? -1 : recover_one(cli, session, record, &outcome, error);
    if (result == 0 && outcome == OUTCOME_WAITING)
        recovery->waiting++;
    else
        recovery->dead++;
    return result;
}

int recover_moves(const struct cli *cli, struct session *session, const char *uuid,
                  struct recovery *recovery, struct error *error)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    *recovery = (struct recovery){0};
    if (journal_list(session->journal, MOVES_UNFINISHED, uuid, &records, error) < 0)
        return -1;
    for (size_t i = 0; i < records.count; i++) {
        AUTO_ERROR struct error failure = {0};
        if (lock_and_recover(cli, session, &records.items[i], uuid != NULL, recovery, &failure) ==
            0)
            continue;
        /* One that cannot be recovered does not keep the others waiting. */
        if (error_is_set(error))
            cli_print_error(cli, &failure);
        else
            error_move(error, &failure);
    }
    return error_is_set(error) ? -1 : 0;
}
