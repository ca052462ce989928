/* What finished moves still want: to be compared with their sources, where that was put off, and
 * their sources given up when their grace is over. By a child, one at a time: nothing of it is
 * urgent, and a move that is asked for comes first. */
#include "agent/private.h"

#include "move/move.h"

#include <inttypes.h>
#include <signal.h>

#define CHORES_LOCK "agent.chore" /* held by the child, also when its agent was killed */
#define FAILURE_PAUSE_SECONDS 300 /* doubles, up to a day */
#define NOTHING_PAUSE_SECONDS 3600
#define NOTHING_STATUS 3
#define OPERATOR_STATUS 4
#define YIELD_PAUSE_SECONDS 60

void chores_clear(struct chores *chores)
{
    for (size_t i = 0; i < chores->count; i++)
        trouble_clear(&chores->items[i].trouble);
    free(chores->items);
    *chores = (struct chores){0};
}

static struct chore *find_chore(struct agent *agent, int64_t move, bool verify)
{
    for (size_t i = 0; i < agent->chores.count; i++)
        if (agent->chores.items[i].move == move && agent->chores.items[i].verify == verify)
            return &agent->chores.items[i];
    return NULL;
}

static struct chore *chore_of(struct agent *agent, int64_t move, bool verify)
{
    struct chore *chore = find_chore(agent, move, verify);
    if (!chore) {
        chore = chores_add(&agent->chores);
        *chore = (struct chore){.move = move, .verify = verify, .phase = PHASE_PLANNED};
    }
    chore->listed = true;
    return chore;
}

/* For what goes wrong. */
static const char *chore_noun(bool verify)
{
    return verify ? "comparing with the sources" : "giving up sources";
}

static void forget_done(struct chores *chores)
{
    size_t kept = 0;
    for (size_t i = 0; i < chores->count; i++) {
        if (chores->items[i].listed)
            chores->items[kept++] = chores->items[i];
        else
            trouble_clear(&chores->items[i].trouble);
    }
    chores->count = kept;
}

static bool is_at_one(struct agent *agent)
{
    int pid = 0;
    for (size_t i = 0; i < agent->children.count; i++)
        if (agent->children.items[i].chore)
            return true;
    return journal_is_locked(agent->journal, CHORES_LOCK, &pid);
}

static bool is_child(const struct agent *agent, int64_t move)
{
    for (size_t i = 0; i < agent->children.count; i++)
        if (agent->children.items[i].chore && agent->children.items[i].move == move)
            return true;
    return false;
}

static void free_items(struct arguments *arguments)
{
    free(arguments->items);
}

static void begin(struct agent *agent, const struct move_record *record, struct chore *chore)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(free_items) struct arguments arguments = {0};
    CLEANUP(journal_unlock) int lock = -1;
    AUTO_FREE char *id = text_format("%" PRId64, record->id);
    child_arguments(agent, chore->verify ? "verify" : "retire", &arguments);
    *arguments_add(&arguments) = "--";
    *arguments_add(&arguments) = id;
    arguments_add(&arguments); /* NULL */
    struct child child = {.words = -1, .chore = true, .verify = chore->verify};
    if (journal_lock(agent->journal, CHORES_LOCK, &lock, &error) < 0 ||
        child_start(arguments.items, lock, &child, &error) < 0) {
        if (error.code != ERROR_BUSY)
            trouble_is(&chore->trouble, &agent->voice, chore_noun(chore->verify), &error);
        chore->not_before = agent->now + LOOK_SECONDS;
        return;
    }
    child.uuid = text_dup(record->uuid);
    child.move = record->id;
    *children_add(&agent->children) = child;
    chore->not_before = SCHEDULE_NEVER; /* until it has ended */
    say(&agent->voice, SAY_INFO, "domain %s: move %" PRId64 ": %s", record->domain, record->id,
        chore->verify ? "it is compared with its sources" : "its sources are to be given up");
}

/* Its grace may be long: each look costs a read of the whole story, so the answer is kept. */
static int learn(struct agent *agent, struct chore *chore, struct error *error)
{
    CLEANUP(move_record_clear) struct move_record record = {0};
    int64_t due = 0;
    bool wants = false;
    if (journal_read(agent->journal, chore->move, &record, error) < 0 ||
        move_retire_due(agent->journal, &record, &wants, &due, error) < 0)
        return -1;
    chore->phase = record.phase;
    chore->begun = record.begun;
    chore->not_before = wants ? due : SCHEDULE_NEVER;
    return 0;
}

static void begin_if_due(struct agent *agent, const struct move_record *record, struct chore *chore,
                         bool *busy)
{
    int pid = 0;
    if (chore->not_before <= agent->now && !*busy &&
        text_equal(record->uri, virt_uri(agent->virt)) &&
        !journal_is_locked(agent->journal, record->uuid, &pid) &&
        !(chore->verify && guest_is_pressing(agent, record->uuid))) {
        begin(agent, record, chore);
        *busy = true;
    }
    if (chore->not_before > agent->now)
        agent_wake_at(agent, chore->not_before);
}

static void look_at(struct agent *agent, const struct move_record *record, bool *busy)
{
    AUTO_ERROR struct error error = {0};
    struct chore *chore = chore_of(agent, record->id, false);
    bool changed = chore->phase != record->phase || chore->begun != record->begun;
    if (changed && !is_child(agent, record->id) && learn(agent, chore, &error) < 0) {
        trouble_is(&chore->trouble, &agent->voice, chore_noun(false), &error);
        chore->not_before = agent->now + LOOK_SECONDS;
    }
    begin_if_due(agent, record, chore, busy);
}

/* A user who has cancelled it does it himself. */
static void look_at_unverified(struct agent *agent, const struct move_record *record, bool *busy)
{
    AUTO_ERROR struct error error = {0};
    struct move_control control = {0};
    struct chore *chore = chore_of(agent, record->id, true);
    if (journal_control(agent->journal, record->id, &control, &error) < 0)
        trouble_is(&chore->trouble, &agent->voice, chore_noun(true), &error);
    else if (!control.cancel)
        begin_if_due(agent, record, chore, busy);
}

/* Comparing lasts as long as a copy, and holds the domain's lock. It ends at once and begins anew
 * later. */
static void yield(struct agent *agent)
{
    for (size_t i = 0; i < agent->children.count; i++) {
        const struct child *child = &agent->children.items[i];
        struct chore *chore = child->verify ? find_chore(agent, child->move, true) : NULL;
        if (!chore || child->ended || chore->yielded || !guest_is_pressing(agent, child->uuid))
            continue;
        chore->yielded = kill(child->pid, SIGTERM) == 0;
    }
}

void chores_look(struct agent *agent)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(move_records_clear) struct move_records records = {0};
    CLEANUP(move_records_clear) struct move_records unverified = {0};
    if (!agent->connected)
        return;
    if (journal_glance(agent->journal, MOVES_UNRETIRED, &records, &error) < 0 ||
        journal_glance(agent->journal, MOVES_UNVERIFIED, &unverified, &error) < 0) {
        agent_storage_trouble(agent, &error);
        return;
    }
    for (size_t i = 0; i < agent->chores.count; i++)
        agent->chores.items[i].listed = false;
    yield(agent);
    bool busy = is_at_one(agent);
    for (size_t i = 0; i < unverified.count; i++)
        look_at_unverified(agent, &unverified.items[i], &busy);
    for (size_t i = 0; i < records.count; i++)
        look_at(agent, &records.items[i], &busy);
    forget_done(&agent->chores);
}

void chores_reaped(struct agent *agent, const struct child *child)
{
    const struct child_end *end = &child->end;
    const char *name = guest_name(agent, child->uuid);
    struct chore *chore = find_chore(agent, child->move, child->verify);
    if (end->exited && end->status == 0) {
        say(&agent->voice, SAY_INFO, "domain %s: move %" PRId64 ": %s", name, child->move,
            child->verify ? "it is equal to its sources" : "its sources are given up");
        return;
    }
    if (child->verify && end->exited && end->status == OPERATOR_STATUS) {
        say(&agent->voice, SAY_ERROR, "domain %s: move %" PRId64 ": %s; %s", name, child->move,
            end->reason ? end->reason : "source and target differ", end->hint ? end->hint : "");
        if (chore)
            chore->not_before = SCHEDULE_NEVER;
        return;
    }
    if (!chore)
        return;
    if (chore->yielded) {
        chore->yielded = false;
        chore->not_before = agent->now + YIELD_PAUSE_SECONDS;
        return;
    }
    if (end->exited && end->status == NOTHING_STATUS) {
        chore->not_before = agent->now + NOTHING_PAUSE_SECONDS;
        return;
    }
    AUTO_ERROR struct error error = {0};
    error_set(&error, ERROR_FAILED, "%s", end->reason ? end->reason : "it ended without a word");
    if (end->hint)
        error_hint(&error, "%s", end->hint);
    AUTO_FREE char *what = text_format("domain %s: move %" PRId64 ": %s", name, child->move,
                                       child->verify ? "it is not compared with its sources yet"
                                                     : "its sources are not given up yet");
    trouble_is(&chore->trouble, &agent->voice, what, &error);
    chore->failures++;
    chore->not_before = agent->now + schedule_pause(FAILURE_PAUSE_SECONDS, chore->failures);
}
