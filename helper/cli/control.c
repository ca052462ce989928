#include "cli/control.h"

#include "cli/prepare.h"

#include <inttypes.h>

int control_open(const struct cli *cli, const char *domain, struct session *session,
                 struct error *error)
{
    if (journal_open(cli->state, JOURNAL_CHANGE, &session->journal, error) == 0)
        return 0;
    if (error->code == ERROR_NOT_FOUND)
        error_set(error, ERROR_NOTHING, "no move of domain '%s' is under way (%s holds no journal)",
                  domain, cli->state);
    return -1;
}

bool control_has_pivoted(const struct move_record *record)
{
    return (record->phase >= PHASE_PIVOTED && record->phase <= PHASE_RETIRED) ||
           (record->begun >= PHASE_PIVOTED && record->begun <= PHASE_RETIRED);
}

int control_refuse_dead(const struct move_view *view, struct error *error)
{
    const struct move_record *record = &view->record;
    if (record->phase == PHASE_NEEDS_OPERATOR) {
        error_set(error, ERROR_OPERATOR, "move %" PRId64 " of domain '%s' needs you: %s",
                  record->id, record->domain, record->message ? record->message : "it failed");
        return error_hint(
            error, "%s", record->hint ? record->hint : "mend the cause, then 'virt-pivot recover'");
    }
    if (record->kind == MOVE_INCOMING)
        error_set(error, ERROR_FAILED,
                  "move %" PRId64
                  " of domain '%s' is a migration to this host: nobody here runs it",
                  record->id, record->domain);
    else
        error_set(error, ERROR_FAILED,
                  "the process that ran move %" PRId64 " of domain '%s' is gone: nobody would heed "
                  "it",
                  record->id, record->domain);
    return error_hint(error, "'virt-pivot recover %s' brings the move to an end", record->domain);
}

int control_refuse_incoming(const struct move_view *view, struct error *error)
{
    const struct move_record *record = &view->record;
    error_set(error, ERROR_FAILED,
              "move %" PRId64 " of domain '%s' is a migration to this host, which libvirt carries "
              "out",
              record->id, record->domain);
    return error_hint(error,
                      "at its source 'virsh domjobabort %s' ends it (what was made for it here is "
                      "then removed), and 'virsh migrate-setspeed' limits it",
                      record->domain);
}

int control_recover(const struct cli *cli, struct session *session, struct move_view *view,
                    struct error *error)
{
    CLEANUP(journal_unlock) int lock = -1;
    struct recovery recovery = {0};
    AUTO_ERROR struct error failure = {0};
    if (session_open(cli, SESSION_VIRT, session, &failure) < 0 ||
        session_lock(session, view->record.uuid, &lock, &failure) < 0 ||
        recover_moves(cli, session, view->record.uuid, &recovery, &failure) < 0) {
        control_refuse_dead(view, error);
        cli_say(cli, "it cannot be brought to its end now: %s", failure.message);
        return -1;
    }
    journal_unlock(&lock);
    int64_t id = view->record.id;
    move_view_clear(view);
    return move_view_read(session->journal, id, view, error);
}

int control_find(const struct cli *cli, const char *domain, struct session *session,
                 struct move_view *view, struct error *error)
{
    CLEANUP(move_record_clear) struct move_record record = {0};
    if ((!session->journal && control_open(cli, domain, session, error) < 0) ||
        session_find_move(session, domain, &record, error) < 0 ||
        move_view_read(session->journal, record.id, view, error) < 0)
        return -1;
    if (view->alive || move_phase_is_final(view->record.phase) ||
        view->record.kind == MOVE_INCOMING)
        return 0;
    return control_recover(cli, session, view, error);
}

static int has_ended(const struct move_view *view, struct error *error)
{
    return error_set(error, ERROR_NOTHING, "move %" PRId64 " of domain '%s' has ended: %s",
                     view->record.id, view->record.domain, move_view_outcome(view));
}

int control_find_copying(const struct cli *cli, const char *domain, struct session *session,
                         struct move_view *view, struct error *error)
{
    if (control_find(cli, domain, session, view, error) < 0)
        return -1;
    const struct move_record *record = &view->record;
    if (view->verifying)
        return 0; /* comparing heeds the same wishes */
    if (move_phase_is_final(record->phase))
        return has_ended(view, error);
    if (record->kind == MOVE_INCOMING)
        return control_refuse_incoming(view, error);
    if (control_has_pivoted(record))
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
