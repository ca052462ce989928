/* Requests: out of the queue into the journal, and each to its time. */
#include "agent/private.h"

#include "queue/queue.h"

#include <inttypes.h>

/* ---- out of the queue ---- */

static char *join(const struct text_list *targets)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < targets->count; i++)
        buffer_format(&text, "%s%s", i ? "," : "", targets->items[i]);
    return targets->count ? buffer_take(&text) : NULL;
}

static void announce(struct agent *agent, const struct request_record *record, int64_t id)
{
    const struct request_record numbered = {
        .id = id, .reason = record->reason, .tier = record->tier, .targets = record->targets};
    AUTO_FREE char *title = request_title(&numbered);
    const char *name = guest_name(agent, record->uuid);
    say(&agent->voice, SAY_INFO, "domain %s: %s: taken, asked for by %s",
        text_equal(name, record->uuid) && record->domain ? record->domain : name, title,
        text_equal(record->reason, "start")     ? "its start"
        : text_equal(record->reason, "migrate") ? "its migration to this host"
        : text_equal(record->reason, "tier")    ? "its metadata"
                                                : "a user");
}

static int take_one(struct agent *agent, const struct request *request, struct error *error)
{
    AUTO_FREE char *targets = join(&request->targets);
    const struct request_record record = {
        .file = request->file,
        .uuid = request->uuid,
        .domain = request->domain,
        .reason = request->reason,
        .tier = request->tier,
        .targets = targets,
        .bandwidth = request->bandwidth,
        .created = request->created,
    };
    int64_t id = 0;
    if (journal_request_add(agent->journal, &record, &id, error) < 0)
        return -1;
    announce(agent, &record, id);
    return 0;
}

static void report_garbage(struct agent *agent, size_t bad)
{
    if (bad == 0)
        return;
    AUTO_FREE char *example = NULL;
    queue_bad(agent->settings->state, &example);
    say(&agent->voice, SAY_WARNING, "%zu file%s in the queue %s no request%s, and set aside%s%s",
        bad, bad == 1 ? "" : "s", bad == 1 ? "was" : "were", bad == 1 ? "" : "s",
        example ? ": " : "", example ? example : "");
}

/* A file goes when the journal has its request: whoever is killed in between takes it once more,
 * and the journal knows its name. */
static int take_all(struct agent *agent, size_t *bad, struct error *error)
{
    CLEANUP(requests_clear) struct requests requests = {0};
    if (queue_take(agent->settings->state, &requests, bad, error) < 0)
        return -1;
    for (size_t i = 0; i < requests.count; i++)
        if (take_one(agent, &requests.items[i], error) < 0 ||
            queue_done(agent->settings->state, requests.items[i].file, error) < 0)
            return -1;
    return 0;
}

void requests_take(struct agent *agent)
{
    AUTO_ERROR struct error error = {0};
    size_t bad = 0;
    if (agent->queue < 0)
        agent->queue = queue_watch(agent->settings->state);
    queue_changed(agent->queue);
    if (take_all(agent, &bad, &error) < 0) {
        trouble_is(&agent->queue_trouble, &agent->voice,
                   "requests stay in the queue for the time being", &error);
        agent_wake_at(agent, agent->now + ARRIVING_SECONDS);
    } else {
        trouble_over(&agent->queue_trouble, &agent->voice, "requests are taken again");
    }
    report_garbage(agent, bad);
}

int request_add(struct agent *agent, const struct guest *guest, const char *reason,
                const char *tier, struct error *error)
{
    const struct request_record record = {.uuid = (char *)guest->uuid,
                                          .domain = guest->name,
                                          .reason = (char *)reason,
                                          .tier = (char *)tier,
                                          .created = agent->now};
    int64_t id = 0;
    if (journal_request_add(agent->journal, &record, &id, error) < 0)
        return -1;
    announce(agent, &record, id);
    return 0;
}

/* ---- attempts that have ended ---- */

static struct request_record *find_request(struct request_records *records, int64_t id)
{
    for (size_t i = 0; i < records->count; i++)
        if (records->items[i].id == id)
            return &records->items[i];
    return NULL;
}

/* Success when there is nothing more to be written down of it. */
static int finish_child(struct agent *agent, const struct child *child)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(request_records_clear) struct request_records records = {0};
    if (journal_requests(agent->journal, REQUESTS_OPEN, child->uuid, &records, &error) < 0) {
        agent_storage_trouble(agent, &error);
        return -1;
    }
    struct request_record *record = find_request(&records, child->request);
    return record ? attempt_finish(agent, record, &child->end) : 0;
}

void requests_reap(struct agent *agent)
{
    for (size_t i = 0; i < agent->children.count;) {
        struct child *child = &agent->children.items[i];
        child_look(child);
        if (!child->ended || (child->request && finish_child(agent, child) < 0)) {
            i++;
            continue;
        }
        if (child->chore)
            chores_reaped(agent, child);
        else if (!child->request)
            settle_reaped(agent, child);
        children_remove(&agent->children, i);
    }
}

/* ---- to each its time ---- */

/* Who is at work on this host. */
struct host_view {
    const struct move_records *unfinished;
    struct request_records open;
    struct text_list at_work; /* UUIDs of domains whose disks are being moved */
};

static void host_view_clear(struct host_view *view)
{
    request_records_clear(&view->open);
    text_list_clear(&view->at_work);
}

static bool contains(const struct text_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (text_equal(list->items[i], text))
            return true;
    return false;
}

static void count_in(struct text_list *list, const char *uuid)
{
    if (!contains(list, uuid))
        text_list_append(list, uuid);
}

static int see_host(struct agent *agent, const struct move_records *unfinished,
                    struct host_view *view, struct error *error)
{
    int pid = 0;
    view->unfinished = unfinished;
    if (journal_requests(agent->journal, REQUESTS_OPEN, NULL, &view->open, error) < 0)
        return -1;
    for (size_t i = 0; i < unfinished->count; i++)
        if (journal_is_locked(agent->journal, unfinished->items[i].uuid, &pid))
            count_in(&view->at_work, unfinished->items[i].uuid);
    for (size_t i = 0; i < view->open.count; i++)
        if (view->open.items[i].state == REQUEST_RUNNING &&
            attempt_is_alive(agent, view->open.items[i].uuid))
            count_in(&view->at_work, view->open.items[i].uuid);
    return 0;
}

static bool is_recovered(const struct agent *agent, const char *uuid)
{
    for (size_t i = 0; i < agent->children.count; i++)
        if (!agent->children.items[i].request && text_equal(agent->children.items[i].uuid, uuid))
            return true;
    return false;
}

static struct schedule_facts facts_of(struct agent *agent, const struct host_view *view,
                                      const struct request_record *record)
{
    int pid = 0;
    const struct guest *guest = guest_of(agent, record->uuid);
    const struct policy *policy = agent->rulebook.policy;
    bool own = contains(&view->at_work, record->uuid);
    return (struct schedule_facts){
        .now = agent->now,
        .connected = agent->connected,
        .policy = agent->rulebook.valid,
        .retries = policy ? policy->retries : 0,
        .per_host = policy ? policy->per_host : 0,
        .known = guest->known,
        .active = guest->active,
        .arriving = guest->arriving,
        .job = guest->job,
        .missing_since = guest->missing_since,
        .unsettled = settle_is_unsettled(view->unfinished, record->uuid),
        .carried = attempt_is_alive(agent, record->uuid),
        .busy = journal_is_locked(agent->journal, record->uuid, &pid) ||
                is_recovered(agent, record->uuid),
        .moves = (unsigned)(view->at_work.count - own),
    };
}

static struct schedule_decision decide(struct agent *agent, const struct host_view *view,
                                       const struct request_record *record)
{
    const struct schedule_facts facts = facts_of(agent, view, record);
    return schedule_decide(record, &facts);
}

/* Its state is looked at anew before it is moved or given up, or when it was never looked at. */
static int refresh(struct agent *agent, const struct request_record *record)
{
    AUTO_ERROR struct error error = {0};
    struct guest *guest = guest_of(agent, record->uuid);
    if (guest_refresh(agent, guest, &error) == 0)
        return 0;
    if (error.code != ERROR_DISCONNECTED)
        trouble_is(&guest->trouble, &agent->voice, guest_name(agent, record->uuid), &error);
    return -1;
}

static void end_request(struct agent *agent, struct request_record *record,
                        enum request_state state, const char *message)
{
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *title = request_title(record);
    char *text = text_dup(message ? message : "given up");
    record->state = state;
    free(record->message);
    record->message = text;
    if (journal_request_update(agent->journal, record, &error) < 0) {
        if (error.code != ERROR_CANCELLED)
            agent_storage_trouble(agent, &error);
        return;
    }
    say(&agent->voice, state == REQUEST_FAILED ? SAY_ERROR : SAY_WARNING, "domain %s: %s: %s: %s",
        guest_name(agent, record->uuid), title, request_state_word(state), record->message);
}

/* What it waits for is written down, and said, only when it is something else than before. */
static void note_waiting(struct agent *agent, struct request_record *record, const char *message)
{
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *title = request_title(record);
    if (!message || text_equal(message, record->message))
        return;
    free(record->message);
    free(record->hint);
    record->message = text_dup(message);
    record->hint = NULL;
    if (journal_request_update(agent->journal, record, &error) < 0) {
        if (error.code != ERROR_CANCELLED)
            agent_storage_trouble(agent, &error);
        return;
    }
    say(&agent->voice, SAY_INFO, "domain %s: %s: %s", guest_name(agent, record->uuid), title,
        message);
}

static void act(struct agent *agent, struct host_view *view, struct request_record *record)
{
    struct schedule_decision decision = decide(agent, view, record);
    bool unseen = agent->connected && guest_of(agent, record->uuid)->dirty;
    bool decisive = decision.act == SCHEDULE_RUN || decision.act == SCHEDULE_CANCEL;
    if ((decisive || unseen) && record->state == REQUEST_WAITING) {
        if (refresh(agent, record) < 0)
            return;
        decision = decide(agent, view, record);
    }
    switch (decision.act) {
    case SCHEDULE_RUN:
        attempt_begin(agent, record);
        if (record->state == REQUEST_RUNNING)
            count_in(&view->at_work, record->uuid);
        break;
    case SCHEDULE_SETTLE:
        if (attempt_finish(agent, record, NULL) == 0 && record->state == REQUEST_WAITING)
            agent_wake_at(agent, record->not_before);
        break;
    case SCHEDULE_CANCEL:
        end_request(agent, record, REQUEST_CANCELLED, decision.message);
        break;
    case SCHEDULE_GIVE_UP:
        end_request(agent, record, REQUEST_FAILED, decision.message);
        break;
    default:
        if (record->state == REQUEST_WAITING)
            note_waiting(agent, record, decision.message);
        agent_wake_at(agent, decision.until);
    }
}

/* For the chores, which make way for it. */
static void note_pressing(struct agent *agent, const struct host_view *view,
                          const struct request_record *record)
{
    const struct schedule_facts facts = facts_of(agent, view, record);
    guest_of(agent, record->uuid)->pressing |= schedule_is_pressing(record, &facts);
}

void requests_look(struct agent *agent, const struct move_records *unfinished)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(host_view_clear) struct host_view view = {0};
    if (see_host(agent, unfinished, &view, &error) < 0) {
        agent_storage_trouble(agent, &error);
        return;
    }
    for (size_t i = 0; i < agent->guests.count; i++)
        agent->guests.items[i].pressing = false;
    for (size_t i = 0; i < view.open.count; i++) {
        act(agent, &view, &view.open.items[i]);
        note_pressing(agent, &view, &view.open.items[i]);
        notify_alive(&agent->voice);
    }
    agent->open_requests = view.open.count;
    agent->moves = view.at_work.count;
}
