/* Finding the move that another process runs, for the verbs that wish something of it. */
#ifndef VP_CLI_CONTROL_H
#define VP_CLI_CONTROL_H

#include "cli/cli.h"
#include "cli/move_view.h"

/* Opens the journal for writing; nothing is made where no move was ever made: ERROR_NOTHING. */
int control_open(const struct cli *cli, const char *domain, struct session *session,
                 struct error *error) MUST_CHECK;
/* Finds the domain's unfinished move. One whose process is gone is brought to its end first, as
 * every verb does that changes things: afterwards it is alive, or has ended, or is an incoming
 * migration, which has no process. */
int control_find(const struct cli *cli, const char *domain, struct session *session,
                 struct move_view *view, struct error *error) MUST_CHECK;
/* The same for what only a copy can heed: one is going on, or about to. */
int control_find_copying(const struct cli *cli, const char *domain, struct session *session,
                         struct move_view *view, struct error *error) MUST_CHECK;

/* Brings a move whose process is gone to its end, and looks again. Success, too, when an incoming
 * migration is still on its way. */
int control_recover(const struct cli *cli, struct session *session, struct move_view *view,
                    struct error *error) MUST_CHECK;

/* Asks it to end, and waits until it has (or not). ERROR_FAILED: it is too late. */
int control_cancel(const struct cli *cli, struct session *session, struct move_view *view,
                   bool wait, struct error *error) MUST_CHECK;

/* The pivot begins with the step, not when it is reached. */
bool control_has_pivoted(const struct move_record *record);
/* Why nobody would heed a wish to this move. */
int control_refuse_dead(const struct move_view *view, struct error *error);
int control_refuse_incoming(const struct move_view *view, struct error *error);

#endif
