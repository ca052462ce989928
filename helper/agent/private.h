/* Shared by the files of helper/agent only. */
#ifndef VP_AGENT_PRIVATE_H
#define VP_AGENT_PRIVATE_H

#include "agent/agent.h"
#include "agent/children.h"
#include "agent/notify.h"
#include "agent/schedule.h"
#include "domain/domain.h"
#include "journal/journal.h"
#include "policy/policy.h"
#include "survey/clusters.h"
#include "virt/virt.h"

#define LOOK_SECONDS 30    /* between two looks at everything */
#define ARRIVING_SECONDS 5 /* between two looks at a guest that is migrating here */

/* The policy, and whether its files are right as they are now. */
struct rulebook {
    const struct policy *policy; /* the last good one; NULL: there was none yet */
    bool valid;
    char *print; /* of the files: path, time, size */
    struct trouble trouble;
};

/* What was seen of this host's guests since `since`, without a gap. */
struct watch {
    int64_t since; /* 0: nobody watches */
    int64_t skew;  /* wall clock less uptime, to notice when the clock is set */
    struct virt_changes runs;
};

/* A domain as it was at the last look. */
struct guest {
    char uuid[VIRT_UUID_TEXT];
    char *name; /* NULL: not known */
    bool dirty; /* something happened: look again */
    bool known, active, arriving, migrated;
    bool pressing; /* a request of it is carried out, or only waits for who is at work on it */
    char *job;
    int id;
    int64_t missing_since;
    struct sighting sighting; /* as in the journal */
    bool sighting_read, seen;
    char *sizes; /* that were written into its metadata */
    int64_t sizes_at;
    struct trouble trouble;
};
DEFINE_VECTOR(guests, struct guest);

/* An unfinished move that waits to be brought to its end. */
struct errand {
    int64_t move;
    char uuid[VIRT_UUID_TEXT];
    bool incoming;
    bool listed; /* the journal has it still */
    bool announced;
    unsigned failures;
    int64_t tried, not_before;
    struct trouble trouble;
};
DEFINE_VECTOR(errands, struct errand);

/* What a finished move still wants: its sources compared with its targets, or given up. */
struct chore {
    int64_t move;
    bool verify;                  /* else retire */
    enum move_phase phase, begun; /* of the move, when it was looked at; of retire only */
    bool listed;
    bool yielded; /* it was told to end for a move that is asked for */
    unsigned failures;
    int64_t not_before; /* SCHEDULE_NEVER: it wants nothing, or a child is at it */
    struct trouble trouble;
};
DEFINE_VECTOR(chores, struct chore);

struct agent {
    const struct agent_settings *settings;
    struct voice voice;
    struct journal *journal;
    struct rulebook rulebook;
    char *boot;
    int64_t now, due; /* seconds since the epoch: this pass, and when the next one must be */
    int lock;         /* one agent a state directory */
    int queue;        /* queue_watch; -1 */

    struct virt *virt; /* NULL before the first connection */
    struct clusters *clusters;
    int64_t connect_at;
    struct watch watch;

    struct guests guests;
    struct children children;
    struct errands errands;
    struct chores chores;
    int64_t look_at;             /* the next look at every guest */
    size_t open_requests, moves; /* at the last look */
    struct trouble libvirt, storage, queue_trouble;

    bool connected;
    bool all_dirty, any_dirty; /* guests are to be looked at */
    bool newcomer; /* no agent has ever looked at every domain: what runs now has always run */
    bool newcomer_known;
    bool storage_failed; /* in this pass */
};

/* The next pass is at this time or before. */
void agent_wake_at(struct agent *agent, int64_t when);
/* The journal or the queue does not work: said once, tried again soon. */
void agent_storage_trouble(struct agent *agent, const struct error *error);

/* ---- rulebook.c ---- */

/* Reads the policy if its files changed, or if force. */
void rulebook_refresh(struct agent *agent, bool force);
void rulebook_clear(struct rulebook *rulebook);

/* ---- watch.c ---- */

/* Connects to libvirt when it is time to. */
void watch_connect(struct agent *agent);
/* Takes libvirt's events in. */
void watch_collect(struct agent *agent);
/* struct mover's never_ran; opaque is the agent. */
bool watch_never_ran(void *opaque, const char *uuid, int64_t since);
/* struct mover's has_arrived and has_left. */
bool watch_has_arrived(void *opaque, const char *uuid, int64_t since);
bool watch_has_left(void *opaque, const char *uuid, int64_t since);

/* ---- guests.c ---- */

/* The guest of this UUID, made if need be; valid until the next one is. */
struct guest *guest_of(struct agent *agent, const char *uuid);
/* Its name for people, or the UUID. */
const char *guest_name(struct agent *agent, const char *uuid);
/* Whether a request of the domain is pressing. */
bool guest_is_pressing(struct agent *agent, const char *uuid);
void guests_clear(struct guests *guests);
/* Looks at every domain of which something changed: what it is, its disks' sizes, what its run and
 * its tier ask for. */
void guests_look(struct agent *agent);
/* Looks at this one's state alone; -1 when it cannot be told. */
int guest_refresh(struct agent *agent, struct guest *guest, struct error *error) MUST_CHECK;

/* ---- sizes.c ---- */

/* Keeps the sizes of its disks in a running guest's metadata. */
int sizes_keep(struct agent *agent, struct guest *guest, const struct domain *domain,
               struct error *error) MUST_CHECK;

/* ---- requests.c ---- */

/* Takes what is in the queue into the journal. */
void requests_take(struct agent *agent);
/* Ends the attempts whose process has ended. */
void requests_reap(struct agent *agent);
/* Does what is to be done about every open request. */
void requests_look(struct agent *agent, const struct move_records *unfinished);
/* Adds a request of the agent's own. */
int request_add(struct agent *agent, const struct guest *guest, const char *reason,
                const char *tier, struct error *error) MUST_CHECK;

/* ---- attempt.c ---- */

/* Starts the process for a request, which the journal knows before. */
void attempt_begin(struct agent *agent, struct request_record *record);
/* What the request's last attempt came to: from its child, or NULL when it was not ours. -1 when it
 * could not be written down. */
int attempt_finish(struct agent *agent, struct request_record *record, const struct child_end *end)
    MUST_CHECK;
/* Whether a process still carries out a request of this domain. */
bool attempt_is_alive(struct agent *agent, const char *uuid);
/* "request 12 (tier gold)", new string. */
char *request_title(const struct request_record *record) MUST_CHECK;
/* The arguments that every child gets, then those given, a NULL at the end; free .items. */
DEFINE_VECTOR(arguments, const char *);
void child_arguments(const struct agent *agent, const char *verb, struct arguments *arguments);

/* ---- settle.c ---- */

/* Brings unfinished moves to their end: those of incoming migrations here, others by a child. */
void settle_moves(struct agent *agent, const struct move_records *unfinished);
/* A recovery's child has ended. */
void settle_reaped(struct agent *agent, const struct child *child);
/* Something happened to this domain (NULL: to any). */
void settle_wake(struct agent *agent, const char *uuid);
/* Whether an incoming migration of the domain waits to be settled. */
bool settle_is_unsettled(const struct move_records *unfinished, const char *uuid);
void errands_clear(struct errands *errands);

/* ---- chores.c ---- */

/* Begins what finished moves want, if it is due and no other chore is under way. */
void chores_look(struct agent *agent);
/* A chore's child has ended. */
void chores_reaped(struct agent *agent, const struct child *child);
void chores_clear(struct chores *chores);

#endif
