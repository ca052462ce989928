/* The way back: of a move that goes on by cancelling it, of one that has ended by another move. */
#include "base/units.h"
#include "cli/control.h"
#include "cli/prove.h"
#include "cli/stage.h"
#include "survey/survey.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

struct undo {
    const struct cli *cli;
    struct stage stage;
    struct session session;
    struct move_undo_request request;
    bool dry_run;
};

static int read_request(const struct cli_call *call, struct move_undo_request *request,
                        struct error *error)
{
    const char *text = call->arguments[0], *bandwidth = cli_value(call, OPTION_BANDWIDTH);
    char *end = NULL;
    errno = 0;
    request->id = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno) {
        error_set(error, ERROR_USAGE, "'%s' is no move: a move has a number", text);
        return error_hint(error, "'virt-pivot history' lists them");
    }
    if (bandwidth && parse_rate(bandwidth, &request->bandwidth, error) < 0) {
        error->code = ERROR_USAGE;
        return error_prefix(error, "--bandwidth");
    }
    return 0;
}

/* ---- before the pivot ---- */

static int read_view(struct undo *undo, struct move_view *view, struct error *error)
{
    return move_view_read(undo->session.journal, undo->request.id, view, error);
}

static int cancel(struct undo *undo, struct move_view *view, struct error *error)
{
    if (!undo->dry_run)
        return control_cancel(undo->cli, &undo->session, view, true, error);
    cli_say(undo->cli, "move %" PRId64 " of domain '%s' goes on (%s): it would be cancelled",
            view->record.id, view->record.domain, move_phase_word(view->record.phase));
    return 0;
}

/* One whose process is gone is brought to its end like any other: that may well be the undoing. */
static int recover(struct undo *undo, const char *uuid, bool was_final, bool *undone,
                   struct error *error)
{
    struct recovery recovery = {0};
    CLEANUP(move_view_clear) struct move_view view = {0};
    *undone = false;
    if (undo->dry_run)
        return 0;
    if (recover_moves(undo->cli, &undo->session, uuid, &recovery, error) < 0 ||
        read_view(undo, &view, error) < 0)
        return -1;
    *undone = !was_final && view.record.phase == PHASE_UNDONE;
    return 0;
}

/* ---- after it ---- */

static void report(const struct plan *plan, int64_t seconds)
{
    AUTO_FREE char *duration = format_duration((uint64_t)seconds);
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        if (disk->action != PLAN_MOVE)
            continue;
        AUTO_FREE char *where = plan_destination_describe(&disk->destination);
        cli_print("%s %s: back on %s in %s; %s, where it was, is kept\n", plan->domain,
                  disk->target, where, duration, disk->source);
    }
    fflush(stdout);
}

static int execute(struct undo *undo, const struct mover *mover, const struct plan *plan,
                   const struct plan_facts *facts, struct error *error)
{
    int64_t id = 0;
    time_t begin = time(NULL);
    const struct domain *domain = facts->live ? facts->live : facts->inactive;
    if (move_undo(mover, plan, undo->request.id, domain->xml, &id, error) < 0)
        return -1;
    struct proof proof = {0};
    int64_t seconds = time(NULL) - begin;
    stage_moved(&undo->stage);
    if (undo->cli->format == FORMAT_PLAIN)
        report(plan, seconds);
    int result = prove_after_move(undo->cli, mover, plan, id, &proof, error);
    if (undo->cli->format == FORMAT_JSON)
        proof_print_json(&proof, plan, id, undo->request.id, seconds);
    proof_clear(&proof);
    return result;
}

static int take_back(struct undo *undo, struct error *error)
{
    struct session *session = &undo->session;
    AUTO_FREE char *program = cli_own_path(undo->cli);
    struct mover mover = prepare_mover(session, program);
    mover.audience = stage_audience(&undo->stage);
    CLEANUP(survey_clear)
    struct plan_facts facts = {.assumed_rate = journal_usual_rate(session->journal)};
    CLEANUP(plan_freep) struct plan *plan = NULL;
    if (move_plan_undo(&mover, &undo->request, &facts, &plan, error) < 0)
        return -1;
    if (undo->cli->format == FORMAT_PLAIN && !undo->cli->quiet)
        print_plan(undo->cli, plan);
    else if (undo->dry_run)
        cli_print_json(plan_json(plan));
    if (plan_check(plan, error) < 0)
        return -1;
    int result = undo->dry_run ? 0 : execute(undo, &mover, plan, &facts, error);
    progress_clear(&undo->stage.progress);
    return result;
}

static int run_undo(struct undo *undo, struct error *error)
{
    CLEANUP(move_view_clear) struct move_view view = {0};
    CLEANUP(journal_unlock) int lock = -1;
    bool undone = false;
    if (journal_open(undo->cli->state, JOURNAL_CHANGE, &undo->session.journal, error) < 0 ||
        read_view(undo, &view, error) < 0)
        return -1;
    bool is_final = move_phase_is_final(view.record.phase);
    if (!is_final && view.alive)
        return cancel(undo, &view, error);
    if (session_open(undo->cli, SESSION_VIRT, &undo->session, error) < 0)
        return -1;
    stage_set(&undo->stage, undo->cli, -1);
    if (session_lock(&undo->session, view.record.uuid, &lock, error) < 0 ||
        recover(undo, view.record.uuid, is_final, &undone, error) < 0)
        return -1;
    return undone ? 0 : take_back(undo, error);
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    struct undo undo = {.cli = cli, .dry_run = cli_has(call, OPTION_DRY_RUN)};
    int result = read_request(call, &undo.request, error) < 0 ? -1 : run_undo(&undo, error);
    session_close(&undo.session);
    return result;
}

static const struct cli_option options[] = {
    {"bandwidth", OPTION_BANDWIDTH, "RATE", "limit of each disk's copy, like 200MiB"},
    {"dry-run", OPTION_DRY_RUN, NULL, "stop after the plan"},
    {NULL, 0, NULL, NULL},
};
const struct cli_verb undo_verb = {
    "undo", "MOVE", "Takes a move back: the guest's disks return to where they were", options, 1,
    1,      run};
