/* One attempt at a request: its process, from its start to what came of it. */
#include "agent/private.h"

#include "base/units.h"

#include <inttypes.h>

/* Where there is no policy any more when an attempt ends: the policy's own defaults. */
#define DEFAULT_RETRIES 5
#define DEFAULT_PAUSE 30

char *request_title(const struct request_record *record)
{
    return text_format("request %" PRId64 " (%s%s%s%s)", record->id,
                       record->tier ? "tier " : record->reason, record->tier ? record->tier : "",
                       record->targets ? ", disks " : "", record->targets ? record->targets : "");
}

/* The lock that its process inherits: held exactly as long as that lives, whoever started it. */
static char *lock_name(const char *uuid)
{
    return text_format("%s.request", uuid);
}

bool attempt_is_alive(struct agent *agent, const char *uuid)
{
    int pid = 0;
    AUTO_FREE char *name = lock_name(uuid);
    for (size_t i = 0; i < agent->children.count; i++)
        if (agent->children.items[i].request && text_equal(agent->children.items[i].uuid, uuid))
            return true;
    return journal_is_locked(agent->journal, name, &pid);
}

/* ---- end ---- */

/* The newest move of the domain, if it began in this attempt: *found. */
static int find_move(struct agent *agent, const struct request_record *record,
                     struct move_record *move, bool *found, struct error *error)
{
    CLEANUP(move_records_clear) struct move_records moves = {0};
    if (journal_list(agent->journal, MOVES_ALL, record->uuid, &moves, error) < 0)
        return -1;
    for (size_t i = moves.count; i-- > 0 && !*found;) {
        struct move_record *candidate = &moves.items[i];
        if (candidate->kind != MOVE_LIVE && candidate->kind != MOVE_OFFLINE)
            continue;
        if (candidate->id <= record->after_move)
            break;
        *move = *candidate;
        *candidate = (struct move_record){0};
        *found = true;
    }
    return 0;
}

static void report(struct agent *agent, const struct request_record *record)
{
    AUTO_FREE char *title = request_title(record);
    const char *name = guest_name(agent, record->uuid);
    const char *message = record->message ? record->message : "";
    AUTO_FREE char *hint = record->hint ? text_format(" (%s)", record->hint) : text_dup("");
    int64_t pause = record->not_before - agent->now;
    AUTO_FREE char *when = format_duration(pause > 0 ? (uint64_t)pause : 0);
    switch (record->state) {
    case REQUEST_DONE:
        if (record->message)
            say(&agent->voice, SAY_INFO, "domain %s: %s: nothing to do: %s", name, title, message);
        else
            say(&agent->voice, SAY_INFO, "domain %s: %s: done", name, title);
        return;
    case REQUEST_WAITING:
        say(&agent->voice, SAY_WARNING, "domain %s: %s: %s%s; again in %s", name, title, message,
            hint, when);
        return;
    case REQUEST_CANCELLED:
        say(&agent->voice, SAY_INFO, "domain %s: %s: cancelled: %s", name, title, message);
        return;
    default:
        say(&agent->voice, SAY_ERROR, "domain %s: %s: %s%s", name, title, message, hint);
    }
}

static int write_end(struct agent *agent, struct request_record *record,
                     const struct child_end *end, struct error *error)
{
    CLEANUP(move_record_clear) struct move_record move = {0};
    bool found = false;
    struct move_control control = {0};
    if (find_move(agent, record, &move, &found, error) < 0 ||
        (found && journal_control(agent->journal, move.id, &control, error) < 0))
        return -1;
    const struct policy *policy = agent->rulebook.policy;
    const struct schedule_end facts = {
        .now = agent->now,
        .retries = policy ? policy->retries : DEFAULT_RETRIES,
        .pause = policy ? policy->retry_pause : DEFAULT_PAUSE,
        .seen = end != NULL,
        .exited = end && end->exited,
        .status = end ? end->status : 0,
        .reason = end ? end->reason : NULL,
        .hint = end ? end->hint : NULL,
        .move = found ? &move : NULL,
        .cancelled = control.cancel,
    };
    schedule_finish(record, &facts);
    return journal_request_update(agent->journal, record, error);
}

int attempt_finish(struct agent *agent, struct request_record *record, const struct child_end *end)
{
    AUTO_ERROR struct error error = {0};
    if (write_end(agent, record, end, &error) < 0 && error.code != ERROR_CANCELLED) {
        agent_storage_trouble(agent, &error);
        return -1;
    }
    if (error_is_set(&error))
        return 0;
    report(agent, record);
    if (record->state == REQUEST_WAITING)
        agent_wake_at(agent, record->not_before);
    return 0;
}

/* ---- begin ---- */

void child_arguments(const struct agent *agent, const char *verb, struct arguments *arguments)
{
    const struct agent_settings *settings = agent->settings;
    const char *const common[] = {
        settings->program, "-q", "-c", settings->uri, "--policy", settings->policy, "--state",
        settings->state,   verb};
    for (size_t i = 0; i < ARRAY_SIZE(common); i++)
        *arguments_add(arguments) = common[i];
}

static void option(struct arguments *arguments, const char *name, const char *value)
{
    *arguments_add(arguments) = name;
    *arguments_add(arguments) = value;
}

static void free_items(struct arguments *arguments)
{
    free(arguments->items);
}

static int start(struct agent *agent, const struct request_record *record, int lock,
                 struct child *child, struct error *error)
{
    CLEANUP(free_items) struct arguments arguments = {0};
    AUTO_FREE char *targets = text_dup(record->targets);
    AUTO_FREE char *bandwidth = text_format("%" PRIu64, record->bandwidth);
    child_arguments(agent, "move", &arguments);
    if (record->tier)
        option(&arguments, "--tier", record->tier);
    char *rest = targets;
    for (char *target = strsep(&rest, ","); target; target = strsep(&rest, ","))
        option(&arguments, "--disk", target);
    if (record->bandwidth)
        option(&arguments, "--bandwidth", bandwidth);
    option(&arguments, "--", record->uuid);
    arguments_add(&arguments); /* NULL */
    return child_start(arguments.items, lock, child, error);
}

static int newest_move(struct agent *agent, const char *uuid, int64_t *id, struct error *error)
{
    CLEANUP(move_records_clear) struct move_records moves = {0};
    if (journal_list(agent->journal, MOVES_ALL, uuid, &moves, error) < 0)
        return -1;
    *id = moves.count ? moves.items[moves.count - 1].id : 0;
    return 0;
}

/* That it runs is written down before it does: whoever finds it so, with nobody holding the lock,
 * knows that an attempt was made. */
static int announce(struct agent *agent, struct request_record *record)
{
    AUTO_ERROR struct error error = {0};
    if (newest_move(agent, record->uuid, &record->after_move, &error) < 0) {
        agent_storage_trouble(agent, &error);
        return -1;
    }
    AUTO_FREE char *title = request_title(record);
    record->state = REQUEST_RUNNING;
    record->attempts++;
    record->not_before = 0;
    free(record->message);
    free(record->hint);
    record->message = record->hint = NULL;
    if (journal_request_update(agent->journal, record, &error) < 0) {
        if (error.code != ERROR_CANCELLED)
            agent_storage_trouble(agent, &error);
        return -1;
    }
    record->updated = agent->now;
    say(&agent->voice, SAY_INFO, "domain %s: %s: begins, attempt %u of %u",
        guest_name(agent, record->uuid), title, record->attempts,
        agent->rulebook.policy->retries + 1);
    return 0;
}

void attempt_begin(struct agent *agent, struct request_record *record)
{
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *name = lock_name(record->uuid);
    CLEANUP(journal_unlock) int lock = -1;
    if (journal_lock(agent->journal, name, &lock, &error) < 0) {
        if (error.code != ERROR_BUSY)
            agent_storage_trouble(agent, &error);
        return;
    }
    if (announce(agent, record) < 0)
        return;
    struct child *child = children_add(&agent->children);
    *child = (struct child){.uuid = text_dup(record->uuid), .request = record->id, .words = -1};
    if (start(agent, record, lock, child, &error) < 0) {
        /* As if it had been a short attempt. */
        child->ended = child->end.exited = true;
        child->end.status = 1;
        child->end.reason = text_dup(error.message);
        agent_wake_at(agent, agent->now + 1);
        return;
    }
    record->pid = child->pid;
    if (journal_request_update(agent->journal, record, &error) < 0)
        agent_storage_trouble(agent, &error); /* for people only */
}
