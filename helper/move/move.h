/* The state machine that carries out a plan, step by step, with a journal entry before and after
 * each; and that brings to an end what a dead process left unfinished.
 *
 * Whatever is called here, the caller holds the domain's lock (journal_lock). */
#ifndef VP_MOVE_MOVE_H
#define VP_MOVE_MOVE_H

#include "journal/journal.h"
#include "plan/plan.h"
#include "survey/clusters.h"
#include "virt/virt.h"

struct disk_progress {
    const char *target;
    uint64_t copied, total; /* bytes */
    uint64_t rate;          /* bytes per second, smoothed; 0 when not known yet */
    uint64_t dirty_rate;    /* bytes per second that the guest writes meanwhile */
    uint64_t eta;           /* seconds; UINT64_MAX when it does not converge or is not known */
    double latency_before, latency_now; /* milliseconds per request; 0: not known */
    bool ready;
    bool verifying; /* it has moved, and is compared with its source: copied is what was compared */
};

/* Who looks on: the terminal, a log, a test. Every callback may be NULL. */
struct move_audience {
    void *opaque;
    void (*phase)(void *opaque, int64_t id, enum move_phase phase, const char *detail);
    void (*warning)(void *opaque, const char *text);
    void (*progress)(void *opaque, const struct disk_progress *disks, size_t count, bool paused);
    /* Asked several times a second; true ends the move cleanly. */
    bool (*interrupted)(void *opaque);
};

struct mover {
    struct journal *journal;
    struct virt *virt;
    struct clusters *clusters;
    const char *uri;
    /* The path of virt-pivot: for a process that lets a paused guest go on if we die. NULL: we do
     * without. */
    const char *program;
    struct move_audience audience;
    /* Whether the guest is known not to have run on this host since then (seconds since the epoch):
     * somebody watched all the time. NULL: nobody did. */
    bool (*never_ran)(void *opaque, const char *uuid, int64_t since);
    /* Whether it is known to have run here after that second because it migrated: one that was
     * started here from a definition need not have been on its images. NULL: nobody looked. */
    bool (*has_arrived)(void *opaque, const char *uuid, int64_t since);
    /* Whether the guest, or a QEMU that waited for it, was seen to end on this host since then.
     * NULL: nobody looked. */
    bool (*has_left)(void *opaque, const char *uuid, int64_t since);
    void *watch_opaque; /* of all three */
    unsigned patience;  /* seconds for libvirt's daemon to come back, for a job to end after it was
                           cancelled, for a watcher to go; 0 = 60 */
};

/* Does what the plan says (plan_check passed). xml, the live one or that of a domain which is off,
 * without passwords, is kept in the journal. *id is set as soon as the move has a number. Exit
 * states: 0, moved and proven; ERROR_FAILED or ERROR_CANCELLED and the like, all is as it was;
 * ERROR_OPERATOR, a person is needed, the message says for what. */
int move_execute(const struct mover *mover, const struct plan *plan, const char *xml, int64_t *id,
                 struct error *error) MUST_CHECK;

struct move_undo_request {
    int64_t id;         /* of the move that is to be taken back */
    uint64_t bandwidth; /* 0: that move's */
};
/* Plans the way back of a finished move's disks. facts is filled in for the caller, who may have
 * set other_move and assumed_rate before, and releases it with survey_clear, after a failure too.
 * ERROR_NOTHING: it was undone already. */
int move_plan_undo(const struct mover *mover, const struct move_undo_request *request,
                   struct plan_facts *facts, struct plan **plan, struct error *error) MUST_CHECK;
/* As move_execute, for such a plan. The move that it takes back is `undone` afterwards, unless some
 * of its disks are left. */
int move_undo(const struct mover *mover, const struct plan *plan, int64_t undoes,
              const char *live_xml, int64_t *id, struct error *error) MUST_CHECK;

/* The targets of a guest that is about to migrate here, for the hook: libvirt then copies. Nothing
 * of libvirt is asked (mover->virt may be NULL): a hook must not. xml is a domain with the disks as
 * they are at the source, without passwords. After success the move waits for its guest, and
 * move_recover brings it to its end: the persistent definition is put right once the guest is here,
 * or the images are removed if it does not come. */
int move_expect(const struct mover *mover, const struct plan *plan, const char *xml, int64_t *id,
                struct error *error) MUST_CHECK;

/* Ends the rows of the ledger that lead away from a disk on which the guest runs: somebody has put
 * it back there, and its saved states must not be led to the disk it left. live was read after the
 * rows (or under the domain's lock), so that no move came in between. told gets a line for each. */
int move_note_return(struct journal *journal, const struct ledger_rows *rows,
                     const struct domain *live, struct text_list *told, struct error *error)
    MUST_CHECK;

/* What becomes, or would become, of the sources of a finished move. */
struct retirement_disk {
    char *target, *source;
    char *fate; /* for people: "to the trash of pool vms, for 7d"; once done: "removed" */
    bool kept;
    char *obstacle, *hint; /* why it may not be given up now; NULL */
};
DEFINE_VECTOR(retirement_disks, struct retirement_disk);
struct retirement {
    int64_t id;
    char *domain;
    bool begun; /* by a process that died */
    struct retirement_disks disks;
};
void retirement_clear(struct retirement *told);

struct retire_wishes {
    bool now;     /* do not wait for the end of its grace */
    bool dry_run; /* only look */
};
/* Gives up the sources of a finished move as its policy says, or brings that to its end where it
 * was begun: all of them, or none that anybody names, watches or holds. ERROR_NOTHING when there is
 * nothing to give up; any other error: those that are not given up are where they were, for as much
 * as told says. */
int move_retire(const struct mover *mover, int64_t id, const struct retire_wishes *wishes,
                struct retirement *told, struct error *error) MUST_CHECK;
/* Whether a retirement was begun and has not come to its end. */
bool move_is_retiring(const struct move_record *record);
/* When the grace of a move is over that waits to be retired by itself: seconds since the epoch;
 * *wants is false when it does not. */
int move_retire_due(struct journal *journal, const struct move_record *record, bool *wants,
                    int64_t *due, struct error *error) MUST_CHECK;

/* Compares every disk that the move brought to its target with its source, both as they were at the
 * pivot, and writes down what it finds. 0: all that could be compared are equal (a warning names
 * those that cannot be), and the move is verified. ERROR_OPERATOR: they differ; source and target
 * are kept, and so is the target's snapshot. ERROR_NOTHING: there is nothing to compare (any more).
 * ERROR_CANCELLED and others: it can be called again, and begins anew. again: what was found
 * different before is compared once more. */
int move_verify(const struct mover *mover, int64_t id, bool again, struct error *error) MUST_CHECK;

/* Brings the data of one migrated disk over, to its end: for a process that may be killed in that,
 * as a part of move_verify, whose caller holds the lock. progress is told of the disk's objects. */
int move_bring(const struct mover *mover, int64_t id, const char *target,
               void (*progress)(void *opaque, uint64_t done, uint64_t total), void *opaque,
               struct error *error) MUST_CHECK;

/* How long the process that watches over a paused guest looks on, before it lets it go. */
#define GUARD_SECONDS 15

enum move_outcome {
    OUTCOME_UNDONE,
    OUTCOME_FINISHED,
    OUTCOME_WAITING, /* for a guest that is still migrating here: look again */
};
/* Brings an unfinished move whose process is gone to its end. Whether it is undone or finished
 * depends on where the guest writes now, not on what the journal hoped. */
int move_recover(const struct mover *mover, int64_t id, enum move_outcome *outcome,
                 struct error *error) MUST_CHECK;
/* The same, but if it was copying the disks of a domain that is still off, that goes on, and the
 * move ends as one of move_execute does. If it cannot go on, a warning says why. */
int move_resume(const struct mover *mover, int64_t id, enum move_outcome *outcome,
                struct error *error) MUST_CHECK;

#endif
