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
    struct move_audience audience;
    unsigned patience; /* seconds for libvirt's daemon to come back, for a job to end after it was
                          cancelled, for a watcher to go; 0 = 60 */
};

/* Does what the plan says (plan_check passed). live_xml is kept in the journal. *id is set as soon
 * as the move has a number. Exit states: 0, moved and proven; ERROR_FAILED or ERROR_CANCELLED and
 * the like, all is as it was; ERROR_OPERATOR, a person is needed, the message says for what. */
int move_execute(const struct mover *mover, const struct plan *plan, const char *live_xml,
                 int64_t *id, struct error *error) MUST_CHECK;

enum move_outcome { OUTCOME_UNDONE, OUTCOME_FINISHED };
/* Brings an unfinished move whose process is gone to its end. Whether it is undone or finished
 * depends on where the guest writes now, not on what the journal hoped. */
int move_recover(const struct mover *mover, int64_t id, enum move_outcome *outcome,
                 struct error *error) MUST_CHECK;

#endif
