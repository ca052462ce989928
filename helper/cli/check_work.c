/* `check`, the part about what is under way, waits, or was left: agent, requests, moves. */
#include "agent/agent.h"
#include "cli/check.h"
#include "cli/move_view.h"
#include "cli/request_view.h"
#include "queue/queue.h"

#include <inttypes.h>

void check_journal(struct check *check)
{
    AUTO_ERROR struct error error = {0};
    if (journal_open(check->cli->state, JOURNAL_READ, &check->session.journal, &error) < 0 &&
        error.code != ERROR_NOT_FOUND)
        check_add_failure(&check->report, CHECK_ERROR, "journal", &error);
}

/* ---- requests ---- */

static int read_requests(struct check *check, struct request_views *views, struct error *error)
{
    if (check->session.journal &&
        request_views_read(check->session.journal, NULL, views, error) < 0)
        return -1;
    return request_views_add_queued(check->cli->state, NULL, views, error);
}

static size_t count_open(const struct request_views *views)
{
    size_t count = 0;
    for (size_t i = 0; i < views->count; i++)
        count += request_view_is_open(&views->items[i]);
    return count;
}

static void check_failed(struct check_report *report, const struct request_record *record)
{
    AUTO_FREE char *subject = text_format("request %" PRId64, record->id);
    AUTO_FREE char *hint = request_hint(record);
    check_add(report, CHECK_WARNING, subject, "of domain '%s' (%s%s%s) failed: %s",
              request_domain(record), record->reason, record->tier ? ", tier " : "",
              record->tier ? record->tier : "",
              record->message ? record->message : "nobody knows why");
    check_hint(report, "%s", hint);
}

static void check_bad_files(struct check *check)
{
    AUTO_FREE char *example = NULL;
    size_t bad = queue_bad(check->cli->state, &example);
    if (bad == 0)
        return;
    check_add(&check->report, CHECK_WARNING, "queue",
              "%zu file%s there %s no request, and set aside%s%s", bad, bad == 1 ? "" : "s",
              bad == 1 ? "was" : "were", example ? ": " : "", example ? example : "");
    check_hint(&check->report,
               "the file of the same name with .why says what is wrong; remove both "
               "when you have seen to it");
}

void check_requests(struct check *check)
{
    CLEANUP(request_views_clear) struct request_views views = {0};
    AUTO_ERROR struct error error = {0};
    check_bad_files(check);
    if (read_requests(check, &views, &error) < 0) {
        check_add_failure(&check->report, CHECK_ERROR, "requests", &error);
        return;
    }
    size_t open = count_open(&views);
    if (open == views.count)
        check_add(&check->report, CHECK_OK, "requests", "none has failed (waiting or running: %zu)",
                  open);
    for (size_t i = 0; i < views.count; i++)
        if (!request_view_is_open(&views.items[i]))
            check_failed(&check->report, &views.items[i].record);
}

/* ---- the agent ---- */

static size_t count_incoming(struct check *check)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    AUTO_ERROR struct error ignored = {0}; /* check_moves tells of it */
    size_t count = 0;
    if (check->session.journal &&
        journal_list(check->session.journal, MOVES_UNFINISHED, NULL, &records, &ignored) == 0)
        for (size_t i = 0; i < records.count; i++)
            count += records.items[i].kind == MOVE_INCOMING;
    return count;
}

/* What nobody does when there is no agent; empty: nothing. */
static char *missed_work(struct check *check)
{
    CLEANUP(request_views_clear) struct request_views views = {0};
    AUTO_ERROR struct error ignored = {0}; /* check_requests tells of it */
    AUTO_BUFFER struct buffer text = {0};
    const struct policy *policy = check->session.policy;
    if (policy && policy->on_start)
        buffer_add(&text, ", the trigger on_start does nothing");
    if (policy && policy->on_migrate)
        buffer_add(&text, ", nobody would put right the definition of a guest that arrives here "
                          "(on_migrate)");
    size_t open = read_requests(check, &views, &ignored) == 0 ? count_open(&views) : 0;
    if (open)
        buffer_format(&text, ", %zu request%s", open, open == 1 ? " waits" : "s wait");
    size_t incoming = count_incoming(check);
    if (incoming)
        buffer_format(&text, ", %zu migration%s not settled", incoming,
                      incoming == 1 ? " is" : "s are");
    return buffer_take(&text);
}

void check_agent(struct check *check)
{
    int pid = 0;
    if (agent_is_running(check->cli->state, &pid)) {
        check_add(&check->report, CHECK_OK, "agent", "running (process %d)", pid);
        return;
    }
    AUTO_FREE char *missed = missed_work(check);
    if (!*missed) {
        check_add(&check->report, CHECK_OK, "agent", "not running, and nothing needs it");
        return;
    }
    check_add(&check->report, CHECK_WARNING, "agent", "not running: %s", missed + strlen(", "));
    check_hint(&check->report,
               "start it: 'systemctl enable --now virt-pivot-agent', or 'virt-pivot "
               "agent' in a terminal");
}

/* ---- unfinished moves ---- */

static void check_live(struct check_report *report, const char *subject,
                       const struct move_view *view)
{
    const struct move_record *record = &view->record;
    if (view->alive) {
        check_add(report, CHECK_OK, subject, "of domain '%s' is under way (process %d)",
                  record->domain, view->pid);
    } else if (record->phase == PHASE_NEEDS_OPERATOR) {
        check_add(report, CHECK_WARNING, subject, "of domain '%s' needs you: %s", record->domain,
                  record->message ? record->message : "it could not be brought to an end");
        check_hint(report, "%s",
                   record->hint ? record->hint : "mend the cause, then 'virt-pivot recover'");
    } else {
        check_add(report, CHECK_WARNING, subject,
                  "of domain '%s' was left in phase '%s': its process is gone", record->domain,
                  move_phase_word(record->phase));
        check_hint(report, "'virt-pivot recover' brings it to an end");
    }
}

/* Whether the guest can be trusted not to be here yet: then its old definition harms nobody. */
static bool is_on_its_way(struct check *check, const struct move_view *view)
{
    AUTO_ERROR struct error unknown = {0};
    CLEANUP(virt_domain_clear) struct virt_domain domain = {0};
    if (!move_view_awaits_guest(view) || !check->session.virt ||
        virt_domain(check->session.virt, view->record.uuid, &domain, &unknown) < 0)
        return false;
    return !domain.exists || domain.arriving;
}

static void add_unsettled(struct check_report *report, const char *subject,
                          const struct move_view *view)
{
    const struct move_record *record = &view->record;
    AUTO_FREE char *old = move_view_sources(view);
    AUTO_FREE char *new = move_view_destinations(view);
    bool stuck = record->phase == PHASE_NEEDS_OPERATOR;
    const char *message = stuck ? record->message : NULL, *hint = stuck ? record->hint : NULL;
    check_add(report, CHECK_ERROR, subject,
              "the migration of domain '%s' to this host is not settled: a start from its "
              "definition would use %s instead of %s%s%s",
              record->domain, old, new, message ? ": " : "", message ? message : "");
    check_hint(report, "%s",
               hint ? hint
                    : "do not start it from its definition before the agent or 'virt-pivot "
                      "recover' has put that right");
}

static void check_incoming(struct check *check, const char *subject, const struct move_view *view)
{
    const struct move_record *record = &view->record;
    if (is_on_its_way(check, view))
        check_add(&check->report, CHECK_OK, subject, "waits for domain '%s', which migrates here",
                  record->domain);
    else if (move_view_awaits_guest(view) || move_view_is_unsettled(view) ||
             record->phase == PHASE_NEEDS_OPERATOR)
        add_unsettled(&check->report, subject, view);
    else
        check_live(&check->report, subject, view);
}

static void check_move(struct check *check, const struct move_view *view)
{
    AUTO_FREE char *subject = text_format("move %" PRId64, view->record.id);
    if (view->record.kind == MOVE_INCOMING)
        check_incoming(check, subject, view);
    else
        check_live(&check->report, subject, view);
}

void check_moves(struct check *check)
{
    CLEANUP(move_views_clear) struct move_views views = {0};
    AUTO_ERROR struct error error = {0};
    if (move_views_read(check->session.journal, MOVES_UNFINISHED, NULL, &views, &error) < 0) {
        check_add_failure(&check->report, CHECK_ERROR, "journal", &error);
        return;
    }
    if (views.count == 0)
        check_add(&check->report, CHECK_OK, "journal", "readable; no move is unfinished");
    for (size_t i = 0; i < views.count; i++)
        check_move(check, &views.items[i]);
}
