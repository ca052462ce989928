/* Wishes to a move that another process runs: throttle, pause, resume, cancel. */
#include "base/units.h"
#include "cli/cli.h"
#include "cli/move_view.h"
#include "cli/prepare.h"

#include <inttypes.h>
#include <time.h>

#define CANCEL_PATIENCE_SECONDS 60
#define POLL_NANOSECONDS 250000000L

enum { OPTION_NO_WAIT = 512 };

/* ---- the move that is meant ---- */

/* Nothing is made where no move was ever made. */
static int open_journal(const struct cli *cli, const char *domain, struct session *session,
                        struct error *error)
{
    if (journal_open(cli->state, JOURNAL_READ, &session->journal, error) == 0)
        return 0;
    if (error->code == ERROR_NOT_FOUND)
        error_set(error, ERROR_NOTHING, "no move of domain '%s' is under way (%s holds no journal)",
                  domain, cli->state);
    return -1;
}

static int refuse_dead(const struct move_view *view, struct error *error)
{
    const struct move_record *record = &view->record;
    if (record->phase == PHASE_NEEDS_OPERATOR) {
        error_set(error, ERROR_OPERATOR, "move %" PRId64 " of domain '%s' needs you: %s",
                  record->id, record->domain, record->message ? record->message : "it failed");
        return error_hint(
            error, "%s", record->hint ? record->hint : "mend the cause, then 'virt-pivot recover'");
    }
    error_set(error, ERROR_FAILED,
              "the process that ran move %" PRId64 " of domain '%s' is gone: nobody would heed it",
              record->id, record->domain);
    return error_hint(error, "'virt-pivot recover %s' brings the move to an end", record->domain);
}

/* Brings a move whose process is gone to its end, as every verb does that changes things. */
static int end_dead(const struct cli *cli, struct session *session, struct move_view *view,
                    struct error *error)
{
    CLEANUP(journal_unlock) int lock = -1;
    size_t count = 0, under_way = 0;
    AUTO_ERROR struct error failure = {0};
    if (session_open(cli, SESSION_VIRT, session, &failure) < 0 ||
        journal_lock(session->journal, view->record.uuid, &lock, &failure) < 0 ||
        recover_moves(cli, session, view->record.uuid, &count, &under_way, &failure) < 0) {
        refuse_dead(view, error);
        cli_say(cli, "it cannot be brought to its end now: %s", failure.message);
        return -1;
    }
    journal_unlock(&lock);
    int64_t id = view->record.id;
    move_view_clear(view);
    return move_view_read(session->journal, id, view, error);
}

/* The pivot begins with the step, not when it is reached. */
static bool has_pivoted(const struct move_record *record)
{
    return (record->phase >= PHASE_PIVOTED && record->phase <= PHASE_RETIRED) ||
           (record->begun >= PHASE_PIVOTED && record->begun <= PHASE_RETIRED);
}

static int has_ended(const struct move_view *view, struct error *error)
{
    return error_set(error, ERROR_NOTHING, "move %" PRId64 " of domain '%s' has ended: %s",
                     view->record.id, view->record.domain, move_view_outcome(view));
}

/* Finds the move; it is alive, or has come to its end in this very call. */
static int find_move(const struct cli *cli, const char *domain, struct session *session,
                     struct move_view *view, struct error *error)
{
    CLEANUP(move_record_clear) struct move_record record = {0};
    if (open_journal(cli, domain, session, error) < 0 ||
        session_find_move(session, domain, &record, error) < 0 ||
        move_view_read(session->journal, record.id, view, error) < 0)
        return -1;
    if (view->alive || move_phase_is_final(view->record.phase))
        return 0;
    return end_dead(cli, session, view, error);
}

/* Finds the move and makes sure that somebody would hear what is asked of it. */
static int find_living(const struct cli *cli, const char *domain, struct session *session,
                       struct move_view *view, struct error *error)
{
    if (find_move(cli, domain, session, view, error) < 0)
        return -1;
    return move_phase_is_final(view->record.phase) ? has_ended(view, error) : 0;
}

/* For all but cancel: a copy must be going on, or be about to. */
static int find_copying(const struct cli *cli, const char *domain, struct session *session,
                        struct move_view *view, struct error *error)
{
    if (find_living(cli, domain, session, view, error) < 0)
        return -1;
    const struct move_record *record = &view->record;
    if (has_pivoted(record))
        return error_set(error, ERROR_FAILED,
                         "move %" PRId64 " of domain '%s' has pivoted already: nothing is copied "
                         "any more",
                         record->id, record->domain);
    if (record->phase >= PHASE_UNDOING || view->control.cancel)
        return error_set(error, ERROR_FAILED,
                         "move %" PRId64 " of domain '%s' is being undone: nothing is copied any "
                         "more",
                         record->id, record->domain);
    return 0;
}

/* ---- throttle ---- */

static int parse_limit(const char *text, uint64_t *rate, struct error *error)
{
    *rate = 0;
    if (text_equal(text, "unlimited"))
        return 0;
    if (parse_rate(text, rate, error) == 0)
        return 0;
    error->code = ERROR_USAGE;
    return error_hint(error, "write it like 200MiB; 0 or 'unlimited' lifts the limit");
}

static int throttle(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    uint64_t rate = 0;
    AUTO_SESSION struct session session = {0};
    CLEANUP(move_view_clear) struct move_view view = {0};
    if (parse_limit(call->arguments[1], &rate, error) < 0 ||
        find_copying(cli, call->arguments[0], &session, &view, error) < 0 ||
        journal_ask_bandwidth(session.journal, view.record.id, rate, error) < 0)
        return -1;
    AUTO_FREE char *text = rate ? format_rate(rate) : NULL;
    cli_say(cli, "move %" PRId64 " of domain '%s': asked for %s%s%s", view.record.id,
            view.record.domain, rate ? "at most " : "no limit of the bandwidth", rate ? text : "",
            rate && view.disks.count > 1 ? " for each disk" : "");
    return 0;
}

const struct cli_verb throttle_verb = {
    "throttle",
    "DOMAIN RATE",
    "Limits the bandwidth of a move's copy, like 200MiB; 0 lifts it",
    NULL,
    2,
    2,
    throttle};

/* ---- pause and resume ---- */

static int ask_pause(const struct cli *cli, const char *domain, bool paused, struct error *error)
{
    AUTO_SESSION struct session session = {0};
    CLEANUP(move_view_clear) struct move_view view = {0};
    if (find_copying(cli, domain, &session, &view, error) < 0)
        return -1;
    if (view.control.paused == paused)
        return error_set(error, ERROR_NOTHING, "move %" PRId64 " of domain '%s' is %s",
                         view.record.id, view.record.domain,
                         paused ? "paused already" : "not paused");
    if (journal_ask_pause(session.journal, view.record.id, paused, error) < 0)
        return -1;
    cli_say(cli, "move %" PRId64 " of domain '%s': asked to %s", view.record.id, view.record.domain,
            paused ? "pause; 'virt-pivot resume' lets it go on" : "go on");
    return 0;
}

static int pause_move(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    return ask_pause(cli, call->arguments[0], true, error);
}

static int resume_move(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    return ask_pause(cli, call->arguments[0], false, error);
}

const struct cli_verb pause_verb = {
    "pause", "DOMAIN", "Holds a move's copy back until it is resumed", NULL, 1, 1, pause_move};
const struct cli_verb resume_verb = {"resume", "DOMAIN",   "Lets a paused move go on", NULL, 1,
                                     1,        resume_move};

/* ---- cancel ---- */

static int tell_outcome(const struct cli *cli, const struct move_view *view, struct error *error)
{
    const struct move_record *record = &view->record;
    if (record->phase == PHASE_UNDONE) {
        cli_say(cli, "move %" PRId64 " of domain '%s' was undone: everything is as it was",
                record->id, record->domain);
        return 0;
    }
    error_set(error, ERROR_FAILED, "too late: move %" PRId64 " of domain '%s' has ended: %s",
              record->id, record->domain, move_view_outcome(view));
    return error_hint(error, "'virt-pivot history %" PRId64 "' tells where each disk is",
                      record->id);
}

static int await_end(const struct cli *cli, struct journal *journal, int64_t id,
                     struct error *error)
{
    const struct timespec pause = {.tv_nsec = POLL_NANOSECONDS};
    time_t start = time(NULL);
    for (;;) {
        CLEANUP(move_view_clear) struct move_view view = {0};
        if (move_view_read(journal, id, &view, error) < 0)
            return -1;
        if (move_phase_is_final(view.record.phase))
            return tell_outcome(cli, &view, error);
        if (!view.alive)
            return refuse_dead(&view, error);
        if (time(NULL) - start >= CANCEL_PATIENCE_SECONDS) {
            error_set(error, ERROR_BUSY,
                      "move %" PRId64 " of domain '%s' was asked to end, but has not within %u s",
                      id, view.record.domain, CANCEL_PATIENCE_SECONDS);
            return error_hint(error,
                              "the wish stands; 'virt-pivot status --watch %s' shows when "
                              "it ends",
                              view.record.domain);
        }
        nanosleep(&pause, NULL);
    }
}

static int cancel(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    AUTO_SESSION struct session session = {0};
    CLEANUP(move_view_clear) struct move_view view = {0};
    if (find_move(cli, call->arguments[0], &session, &view, error) < 0)
        return -1;
    if (move_phase_is_final(view.record.phase))
        return tell_outcome(cli, &view, error);
    if (has_pivoted(&view.record)) {
        error_set(error, ERROR_FAILED,
                  "too late: move %" PRId64 " of domain '%s' is pivoting, or has", view.record.id,
                  view.record.domain);
        return error_hint(error, "the guest goes on on its new disks; the old ones are kept");
    }
    if (journal_ask_cancel(session.journal, view.record.id, error) < 0)
        return -1;
    cli_say(cli, "move %" PRId64 " of domain '%s': %s", view.record.id, view.record.domain,
            view.record.phase == PHASE_UNDOING ? "is being undone already" : "asked to end");
    if (cli_has(call, OPTION_NO_WAIT))
        return 0;
    return await_end(cli, session.journal, view.record.id, error);
}

static const struct cli_option cancel_options[] = {
    {"no-wait", OPTION_NO_WAIT, NULL, "return at once; the move ends a little later"},
    {NULL, 0, NULL, NULL},
};
const struct cli_verb cancel_verb = {
    "cancel",       "DOMAIN", "Ends a move that has not pivoted, and puts everything back",
    cancel_options, 1,        1,
    cancel};
