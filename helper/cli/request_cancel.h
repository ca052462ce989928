/* Cancelling the requests of a domain, by the state directory alone: the domain may be gone from
 * libvirt. */
#ifndef VP_CLI_REQUEST_CANCEL_H
#define VP_CLI_REQUEST_CANCEL_H

#include "cli/cli.h"

struct cancelled_requests {
    size_t count;                   /* that waited, had failed, or ran */
    struct request_records running; /* those whose process may be at work still */
};
void cancelled_requests_clear(struct cancelled_requests *cancelled);

/* Takes what lies in the queue folder for the domain into the journal, as the agent does: cancelled
 * there, nobody can carry it out any more, whoever took it first. The journal is opened, and made,
 * if need be. */
int requests_take_queued(const struct cli *cli, const char *domain, struct journal **journal,
                         struct error *error) MUST_CHECK;
/* Cancels the requests of the domain, named by name or UUID; running ones, too, if asked for, which
 * says only that they are not tried again: their moves are the caller's. Says what it cancelled. */
int requests_cancel(const struct cli *cli, struct journal *journal, const char *domain,
                    bool running, struct cancelled_requests *cancelled, struct error *error)
    MUST_CHECK;
/* Whether the process of one that ran is still there: it may be about to begin its move. */
bool request_has_process(const struct request_record *record);

#endif
