/* Ends what a domain has under way, and forgets what is waiting for it. */
#include "cli/control.h"
#include "cli/request_cancel.h"

#include <inttypes.h>
#include <time.h>

#define CANCEL_PATIENCE_SECONDS 60
#define POLL_NANOSECONDS 250000000L

enum { OPTION_NO_WAIT = 512 };

static void poll_pause(void)
{
    const struct timespec pause = {.tv_nsec = POLL_NANOSECONDS};
    nanosleep(&pause, NULL);
}

/* ---- the move ---- */

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
    time_t start = time(NULL);
    for (;;) {
        CLEANUP(move_view_clear) struct move_view view = {0};
        if (move_view_read(journal, id, &view, error) < 0)
            return -1;
        if (move_phase_is_final(view.record.phase))
            return tell_outcome(cli, &view, error);
        if (!view.alive)
            return control_refuse_dead(&view, error);
        if (time(NULL) - start >= CANCEL_PATIENCE_SECONDS) {
            error_set(error, ERROR_BUSY,
                      "move %" PRId64 " of domain '%s' was asked to end, but has not within %u s",
                      id, view.record.domain, CANCEL_PATIENCE_SECONDS);
            return error_hint(error,
                              "the wish stands; 'virt-pivot status --watch %s' shows when "
                              "it ends",
                              view.record.domain);
        }
        poll_pause();
    }
}

/* libvirt copies, and only its source can be told to stop; what was left of one that has ended can
 * be settled here. */
static int cancel_incoming(const struct cli *cli, struct session *session, struct move_view *view,
                           struct error *error)
{
    if (!view->alive && control_recover(cli, session, view, error) < 0)
        return -1;
    return move_phase_is_final(view->record.phase) ? tell_outcome(cli, view, error)
                                                   : control_refuse_incoming(view, error);
}

/* The guest is on its new disks for good: only comparing them with the old ones is put off. */
static int stop_verifying(const struct cli *cli, struct session *session, int64_t id, bool wait,
                          struct error *error)
{
    if (journal_ask_cancel(session->journal, id, error) < 0)
        return -1;
    for (time_t start = time(NULL); wait; poll_pause()) {
        CLEANUP(move_view_clear) struct move_view view = {0};
        if (move_view_read(session->journal, id, &view, error) < 0)
            return -1;
        if (!view.verifying)
            break;
        if (time(NULL) - start >= CANCEL_PATIENCE_SECONDS)
            return error_set(error, ERROR_BUSY,
                             "move %" PRId64 " is still being compared; the wish stands", id);
    }
    cli_say(cli,
            "move %" PRId64 " is not compared any more for now: 'virt-pivot verify %" PRId64
            "' does it",
            id, id);
    return 0;
}

int control_cancel(const struct cli *cli, struct session *session, struct move_view *view,
                   bool wait, struct error *error)
{
    const struct move_record *record = &view->record;
    if (view->verifying)
        return stop_verifying(cli, session, record->id, wait, error);
    if (move_phase_is_final(record->phase))
        return tell_outcome(cli, view, error);
    if (record->kind == MOVE_INCOMING)
        return cancel_incoming(cli, session, view, error);
    if (control_has_pivoted(record)) {
        error_set(error, ERROR_FAILED,
                  "too late: move %" PRId64 " of domain '%s' is pivoting, or has", record->id,
                  record->domain);
        return error_hint(error,
                          "the guest goes on on its new disks; the old ones are kept, and once the "
                          "move has ended 'virt-pivot undo %" PRId64 "' goes back to them",
                          record->id);
    }
    if (journal_ask_cancel(session->journal, record->id, error) < 0)
        return -1;
    cli_say(cli, "move %" PRId64 " of domain '%s': %s", record->id, record->domain,
            record->phase == PHASE_UNDOING ? "is being undone already" : "asked to end");
    return wait ? await_end(cli, session->journal, record->id, error) : 0;
}

static int cancel_move(const struct cli *cli, const struct cli_call *call, struct session *session,
                       struct error *error)
{
    CLEANUP(move_view_clear) struct move_view view = {0};
    return control_find(cli, call->arguments[0], session, &view, error) < 0
               ? -1
               : control_cancel(cli, session, &view, !cli_has(call, OPTION_NO_WAIT), error);
}

/* ---- a request that runs, whose move may not have begun yet ---- */

static int find_unfinished(struct session *session, const char *domain, bool *found, bool *too_late,
                           struct error *error)
{
    CLEANUP(move_record_clear) struct move_record record = {0};
    *found = session_find_move(session, domain, &record, error) == 0;
    if (!*found && error->code != ERROR_NOTHING)
        return -1;
    error_clear(error);
    *too_late = *found && !move_phase_is_final(record.phase) && control_has_pivoted(&record);
    return 0;
}

static bool any_process(struct journal *journal, const struct request_records *records)
{
    int pid = 0;
    for (size_t i = 0; i < records->count; i++)
        if (request_has_process(&records->items[i]) ||
            journal_is_locked(journal, records->items[i].uuid, &pid))
            return true;
    return false;
}

/* It looks at the domain first, and asks the clusters: its move comes when it has a plan. */
static int await_move(struct session *session, const char *domain,
                      const struct request_records *running, bool *found, struct error *error)
{
    bool too_late = false;
    for (time_t start = time(NULL); time(NULL) - start < CANCEL_PATIENCE_SECONDS; poll_pause()) {
        bool process = any_process(session->journal,
                                   running); /* before the look: it may begin a move and end */
        if (find_unfinished(session, domain, found, &too_late, error) < 0)
            return -1;
        if (*found || !process)
            return 0;
    }
    error_set(error, ERROR_BUSY,
              "request %" PRId64
              " of domain '%s' is not tried again, but its process (%d) is still "
              "at it",
              running->items[0].id, domain, running->items[0].pid);
    return error_hint(
        error, "'virt-pivot cancel %s' once more, when 'virt-pivot status' shows its move", domain);
}

/* ---- the verb ---- */

static int open_all(const struct cli *cli, const char *domain, struct session *session,
                    struct error *error)
{
    AUTO_ERROR struct error unread = {0};
    if (requests_take_queued(cli, domain, &session->journal, &unread) < 0)
        cli_say(cli, "warning: what waits in the queue is not cancelled: %s", unread.message);
    return session->journal ? 0 : control_open(cli, domain, session, error);
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    const char *domain = call->arguments[0];
    AUTO_SESSION struct session session = {0};
    CLEANUP(cancelled_requests_clear) struct cancelled_requests requests = {0};
    bool found = false, too_late = false;
    if (open_all(cli, domain, &session, error) < 0 ||
        find_unfinished(&session, domain, &found, &too_late, error) < 0 ||
        /* A request whose move has pivoted will be done: there is nothing to try again. */
        requests_cancel(cli, session.journal, domain, !too_late, &requests, error) < 0 ||
        (!found && await_move(&session, domain, &requests.running, &found, error) < 0))
        return -1;
    if (found)
        return cancel_move(cli, call, &session, error);
    if (requests.count)
        return 0;
    error_set(error, ERROR_NOTHING,
              "no move of domain '%s' is under way, and no request for it waits", domain);
    return error_hint(error, "'virt-pivot history' shows the moves that have ended");
}

static const struct cli_option options[] = {
    {"no-wait", OPTION_NO_WAIT, NULL, "return at once; the move ends a little later"},
    {NULL, 0, NULL, NULL},
};
const struct cli_verb cancel_verb = {
    "cancel",
    "DOMAIN",
    "Ends a move that has not pivoted, puts everything back, and forgets its requests",
    options,
    1,
    1,
    run};
