/* Unfinished moves whose process is gone, and incoming migrations, are brought to their end. */
#include "agent/private.h"

#include "move/move.h"

#include <inttypes.h>

#define PATIENCE_SECONDS 5 /* within one look; who is not through by then is looked at again */
#define FAILURE_PAUSE_SECONDS 10
#define FAILURE_PAUSE_ATTEMPTS 6 /* it doubles no further: five minutes */
#define OPERATOR_PAUSE_SECONDS                                                                     \
    3600 /* a person has to do something, and may run recover himself                              \
          */
#define OPERATOR_STATUS 4

static struct errand *errand_of(struct agent *agent, const struct move_record *record)
{
    for (size_t i = 0; i < agent->errands.count; i++)
        if (agent->errands.items[i].move == record->id)
            return &agent->errands.items[i];
    struct errand *errand = errands_add(&agent->errands);
    errand->move = record->id;
    errand->incoming = record->kind == MOVE_INCOMING;
    snprintf(errand->uuid, sizeof(errand->uuid), "%s", record->uuid);
    return errand;
}

void errands_clear(struct errands *errands)
{
    for (size_t i = 0; i < errands->count; i++)
        trouble_clear(&errands->items[i].trouble);
    free(errands->items);
    *errands = (struct errands){0};
}

static void forget_finished(struct errands *errands)
{
    size_t kept = 0;
    for (size_t i = 0; i < errands->count; i++) {
        if (errands->items[i].listed)
            errands->items[kept++] = errands->items[i];
        else
            trouble_clear(&errands->items[i].trouble);
    }
    errands->count = kept;
}

/* A guest that migrates brings its events. One whose move cannot be settled is not tried at each of
 * them; a recovery by a child is not at all: a busy guest has many. */
void settle_wake(struct agent *agent, const char *uuid)
{
    for (size_t i = 0; i < agent->errands.count; i++) {
        struct errand *errand = &agent->errands.items[i];
        if (!errand->incoming || (uuid && !text_equal(errand->uuid, uuid)))
            continue;
        int64_t when = errand->failures ? errand->tried + LOOK_SECONDS : 0;
        if (when < errand->not_before)
            errand->not_before = when;
    }
}

bool settle_is_unsettled(const struct move_records *unfinished, const char *uuid)
{
    for (size_t i = 0; i < unfinished->count; i++)
        if (unfinished->items[i].kind == MOVE_INCOMING &&
            text_equal(unfinished->items[i].uuid, uuid))
            return true;
    return false;
}

static void put_off(struct agent *agent, struct errand *errand, bool operator_needed)
{
    errand->failures++;
    unsigned doubled =
        errand->failures < FAILURE_PAUSE_ATTEMPTS ? errand->failures : FAILURE_PAUSE_ATTEMPTS;
    errand->not_before =
        agent->now +
        (operator_needed ? OPERATOR_PAUSE_SECONDS : schedule_pause(FAILURE_PAUSE_SECONDS, doubled));
}

/* ---- incoming migrations: here ---- */

struct listener {
    struct agent *agent;
    const char *name;
};

static void on_warning(void *opaque, const char *text)
{
    struct listener *listener = opaque;
    say(&listener->agent->voice, SAY_WARNING, "domain %s: %s", listener->name, text);
}

static void report_outcome(struct agent *agent, struct errand *errand, const char *name,
                           enum move_outcome outcome)
{
    if (outcome == OUTCOME_WAITING) {
        if (!errand->announced)
            say(&agent->voice, SAY_INFO, "domain %s: move %" PRId64 ": migrates to this host", name,
                errand->move);
        errand->announced = true;
        errand->failures = 0;
        errand->not_before = agent->now + ARRIVING_SECONDS;
        return;
    }
    say(&agent->voice, SAY_INFO, "domain %s: move %" PRId64 ": %s", name, errand->move,
        outcome == OUTCOME_FINISHED ? "it is here, and its definition names its new disks"
                                    : "it did not come, and its images are given up");
    errand->not_before = SCHEDULE_NEVER; /* the journal lists it no more */
    trouble_clear(&errand->trouble);
}

static void settle_incoming(struct agent *agent, const struct move_record *record,
                            struct errand *errand)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(journal_unlock) int lock = -1;
    enum move_outcome outcome = OUTCOME_WAITING;
    struct listener listener = {agent, record->domain};
    const struct mover mover = {
        .journal = agent->journal,
        .virt = agent->virt,
        .clusters = agent->clusters,
        .uri = virt_uri(agent->virt),
        .audience = {.opaque = &listener, .warning = on_warning},
        .never_ran = watch_never_ran,
        .has_arrived = watch_has_arrived,
        .has_left = watch_has_left,
        .watch_opaque = agent,
        .patience = PATIENCE_SECONDS,
    };
    errand->tried = agent->now;
    if (journal_lock(agent->journal, record->uuid, &lock, &error) == 0 &&
        move_recover(&mover, record->id, &outcome, &error) == 0) {
        report_outcome(agent, errand, record->domain, outcome);
        return;
    }
    if (error.code == ERROR_BUSY && lock < 0) { /* the hook, or a user, is at it */
        errand->not_before = agent->now + ARRIVING_SECONDS;
        return;
    }
    AUTO_FREE char *what = text_format("domain %s: move %" PRId64, record->domain, record->id);
    trouble_is(&errand->trouble, &agent->voice, what, &error);
    put_off(agent, errand, error.code == ERROR_OPERATOR);
}

/* ---- others: by a child ---- */

static bool has_child(const struct agent *agent, const char *uuid)
{
    for (size_t i = 0; i < agent->children.count; i++)
        if (text_equal(agent->children.items[i].uuid, uuid))
            return true;
    return false;
}

static void free_items(struct arguments *arguments)
{
    free(arguments->items);
}

static void recover(struct agent *agent, const struct move_record *record, struct errand *errand)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(free_items) struct arguments arguments = {0};
    /* One recovery of a domain at once, also if this agent is killed and another starts one. */
    AUTO_FREE char *name = text_format("%s.recover", record->uuid);
    CLEANUP(journal_unlock) int lock = -1;
    errand->tried = agent->now;
    child_arguments(agent, "recover", &arguments);
    *arguments_add(&arguments) = "--";
    *arguments_add(&arguments) = record->uuid;
    arguments_add(&arguments); /* NULL */
    struct child child = {.words = -1};
    if (journal_lock(agent->journal, name, &lock, &error) < 0 ||
        child_start(arguments.items, lock, &child, &error) < 0) {
        if (error.code != ERROR_BUSY)
            trouble_is(&errand->trouble, &agent->voice, "recovery", &error);
        put_off(agent, errand, false);
        return;
    }
    child.uuid = text_dup(record->uuid);
    child.move = record->id;
    *children_add(&agent->children) = child;
    errand->not_before = SCHEDULE_NEVER; /* until it has ended */
    say(&agent->voice, SAY_INFO,
        "domain %s: move %" PRId64 " was left in phase '%s'; it is being recovered", record->domain,
        record->id, move_phase_word(record->phase));
}

void settle_reaped(struct agent *agent, const struct child *child)
{
    const char *name = guest_name(agent, child->uuid);
    bool done = child->end.exited && (child->end.status == 0 || child->end.status == 3);
    if (done)
        say(&agent->voice, SAY_INFO, "domain %s: move %" PRId64 ": recovered", name, child->move);
    for (size_t i = 0; i < agent->errands.count; i++) {
        struct errand *errand = &agent->errands.items[i];
        if (errand->incoming || !text_equal(errand->uuid, child->uuid))
            continue;
        if (!done) {
            AUTO_ERROR struct error error = {0};
            error_set(&error, ERROR_FAILED, "%s",
                      child->end.reason ? child->end.reason : "its recovery said nothing");
            if (child->end.hint)
                error_hint(&error, "%s", child->end.hint);
            AUTO_FREE char *what = text_format("domain %s: move %" PRId64, name, errand->move);
            trouble_is(&errand->trouble, &agent->voice, what, &error);
        }
        /* Also when it went well: if the journal still lists it then, something is amiss. */
        put_off(agent, errand, child->end.exited && child->end.status == OPERATOR_STATUS);
    }
}

/* ---- both ---- */

static bool is_ours(const struct agent *agent, const struct move_record *record)
{
    return text_equal(record->uri, virt_uri(agent->virt));
}

static void settle_one(struct agent *agent, const struct move_record *record)
{
    int pid = 0;
    struct errand *errand = errand_of(agent, record);
    errand->listed = true;
    bool alive = journal_is_locked(agent->journal, record->uuid, &pid);
    if (alive || has_child(agent, record->uuid)) {
        agent_wake_at(agent, agent->now + (errand->incoming ? ARRIVING_SECONDS : LOOK_SECONDS));
        return;
    }
    /* The hook does not know which connection the agent has; but there is one host. */
    if (!errand->incoming && !is_ours(agent, record))
        return;
    if (agent->now >= errand->not_before) {
        if (errand->incoming)
            settle_incoming(agent, record, errand);
        else
            recover(agent, record, errand);
    }
    agent_wake_at(agent, errand->not_before);
}

void settle_moves(struct agent *agent, const struct move_records *unfinished)
{
    if (!agent->connected)
        return;
    for (size_t i = 0; i < agent->errands.count; i++)
        agent->errands.items[i].listed = false;
    for (size_t i = 0; i < unfinished->count && virt_connected(agent->virt); i++) {
        settle_one(agent, &unfinished->items[i]);
        notify_alive(&agent->voice);
    }
    if (virt_connected(agent->virt))
        forget_finished(&agent->errands);
    /* An idle client may cling to what a cluster was like; see clusters_reset. */
    clusters_reset(agent->clusters);
}
