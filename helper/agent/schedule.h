/* What is to be done about a request now, and what an attempt's end means for it: decided from
 * plain facts. Pure. */
#ifndef VP_AGENT_SCHEDULE_H
#define VP_AGENT_SCHEDULE_H

#include "journal/journal.h"

#define SCHEDULE_NEVER INT64_MAX
#define SCHEDULE_ARRIVAL_SECONDS 900 /* for a domain that is not here to come */

struct schedule_facts {
    int64_t now;
    bool connected; /* libvirt answers: what follows of the domain is so */
    bool policy;    /* there is one, and its files are right as they are now */
    unsigned retries;
    unsigned per_host; /* moves at once */

    bool known;            /* libvirt has this domain */
    bool active, arriving; /* running; not through with its migration to this host */
    const char *job;       /* a long operation of libvirt's on it; NULL: none */
    int64_t missing_since; /* if not known */
    bool unsettled;        /* it migrated to this host, and its definition is not put right yet */

    bool carried;   /* a process carries out this very request, ours or an earlier agent's */
    bool busy;      /* another process is at work on the domain */
    unsigned moves; /* under way on this host, of other domains */
};

enum schedule_act {
    SCHEDULE_LEAVE, /* as it is */
    SCHEDULE_RUN,
    SCHEDULE_SETTLE, /* nobody carries it out any more: see what came of it */
    SCHEDULE_CANCEL,
    SCHEDULE_GIVE_UP,
};
struct schedule_decision {
    enum schedule_act act;
    const char *message; /* what it waits for, or why it ends; NULL: what it says stays */
    int64_t until;       /* look again then, if nothing happens before; SCHEDULE_NEVER */
};
struct schedule_decision schedule_decide(const struct request_record *request,
                                         const struct schedule_facts *facts);

/* Whether it is carried out, or would be if nobody were at work on its domain. */
bool schedule_is_pressing(const struct request_record *request, const struct schedule_facts *facts);

/* How an attempt went. */
struct schedule_end {
    int64_t now;
    unsigned retries;
    uint64_t pause;                 /* seconds before the second attempt; doubles */
    bool seen;                      /* its process was our child; else only the journal tells */
    bool exited;                    /* if seen: else killed by a signal */
    int status;                     /* its exit status */
    const char *reason, *hint;      /* what it said; may be NULL */
    const struct move_record *move; /* that it led to; NULL: none is known */
    bool cancelled;                 /* a user asked that move to end */
};
/* Sets the request's state, not_before, pid, move, message and hint. */
void schedule_finish(struct request_record *request, const struct schedule_end *end);

/* The pause after so many attempts: doubles each time, at most a day. */
int64_t schedule_pause(uint64_t first, unsigned attempts);

#endif
