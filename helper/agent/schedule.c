#include "agent/schedule.h"

#include "base/text.h"

#define PAUSE_MAX_SECONDS 86400

/* virt-pivot's exit statuses (error_exit_status). */
enum { EXIT_DONE = 0, EXIT_NOTHING = 3, EXIT_OPERATOR = 4 };

/* ---- what to do now ---- */

static struct schedule_decision leave(const char *message)
{
    return (struct schedule_decision){SCHEDULE_LEAVE, message, SCHEDULE_NEVER};
}

static struct schedule_decision absent(const struct request_record *request,
                                       const struct schedule_facts *facts)
{
    bool migrates = text_equal(request->reason, "migrate");
    int64_t since = migrates ? request->created : facts->missing_since;
    int64_t until = since + SCHEDULE_ARRIVAL_SECONDS;
    if (facts->now >= until)
        return (struct schedule_decision){SCHEDULE_CANCEL,
                                          migrates ? "the domain did not migrate to this host"
                                                   : "the domain is not here any more",
                                          SCHEDULE_NEVER};
    return (struct schedule_decision){
        SCHEDULE_LEAVE, migrates ? "waits for its migration to this host" : "waits for its domain",
        until};
}

static struct schedule_decision decide_waiting(const struct request_record *request,
                                               const struct schedule_facts *facts)
{
    if (request->attempts > facts->retries && facts->policy)
        return (struct schedule_decision){SCHEDULE_GIVE_UP, request->message, SCHEDULE_NEVER};
    if (request->not_before > facts->now)
        return (struct schedule_decision){SCHEDULE_LEAVE, NULL, request->not_before};
    if (!facts->connected)
        return leave("waits for libvirt's daemon");
    if (!facts->known)
        return absent(request, facts);
    if (facts->arriving)
        return leave("waits for the end of its migration to this host");
    /* What a user asks for by name is moved while it is off. By itself nothing is: the guest may
     * well run on another host, and be defined here as well. */
    if (!facts->active && !text_equal(request->reason, "user"))
        return leave("waits for its start");
    if (facts->unsettled)
        return leave("waits until its migration to this host is settled");
    if (facts->busy || facts->carried)
        return leave("waits for the end of the move that is under way");
    if (facts->job)
        return leave("waits for the end of a migration, save, snapshot or backup");
    if (!facts->policy)
        return leave("waits for a valid policy");
    if (facts->moves >= facts->per_host)
        return leave("waits for its turn: as many moves are under way as the policy allows");
    return (struct schedule_decision){SCHEDULE_RUN, NULL, SCHEDULE_NEVER};
}

struct schedule_decision schedule_decide(const struct request_record *request,
                                         const struct schedule_facts *facts)
{
    switch (request->state) {
    case REQUEST_WAITING:
        return decide_waiting(request, facts);
    case REQUEST_RUNNING:
        /* `busy`: what it led to may be under way, or being recovered, in another process. */
        if (facts->carried || facts->busy)
            return leave(NULL);
        return (struct schedule_decision){SCHEDULE_SETTLE, NULL, SCHEDULE_NEVER};
    default:
        return leave(NULL);
    }
}

bool schedule_is_pressing(const struct request_record *request, const struct schedule_facts *facts)
{
    struct schedule_facts alone = *facts;
    alone.busy = alone.carried = false;
    return request->state == REQUEST_RUNNING ||
           schedule_decide(request, &alone).act == SCHEDULE_RUN;
}

/* ---- what an attempt's end means ---- */

int64_t schedule_pause(uint64_t first, unsigned attempts)
{
    uint64_t pause = first;
    for (unsigned i = 1; i < attempts && pause && pause < PAUSE_MAX_SECONDS; i++)
        pause *= 2;
    return pause < PAUSE_MAX_SECONDS ? (int64_t)pause : PAUSE_MAX_SECONDS;
}

static void set(struct request_record *request, enum request_state state, char *message,
                const char *hint)
{
    char *own_hint = text_dup(hint);
    request->state = state;
    free(request->message);
    free(request->hint);
    request->message = message;
    request->hint = own_hint;
}

static bool ended_well(const struct move_record *move)
{
    return move && move_phase_is_final(move->phase) && move->phase != PHASE_UNDONE;
}

static const char *reason_of(const struct schedule_end *end)
{
    if (end->reason)
        return end->reason;
    if (end->move && end->move->message)
        return end->move->message;
    return end->seen ? "it said nothing" : "its process is gone, and nobody saw how it ended";
}

static bool needs_operator(const struct schedule_end *end)
{
    if (end->seen && end->exited)
        return end->status == EXIT_OPERATOR;
    return !end->seen && end->move && end->move->phase == PHASE_NEEDS_OPERATOR;
}

static void fail(struct request_record *request, const struct schedule_end *end)
{
    const char *reason = reason_of(end);
    const char *hint = end->reason || !end->move ? end->hint : end->move->hint;
    unsigned most = end->retries + 1;
    if (needs_operator(end)) {
        set(request, REQUEST_FAILED, text_dup(reason), hint);
    } else if (end->cancelled) {
        set(request, REQUEST_CANCELLED, text_dup("its move was cancelled"), NULL);
    } else if (request->attempts >= most) {
        set(request, REQUEST_FAILED,
            text_format("given up after %u attempt%s: %s", request->attempts,
                        request->attempts == 1 ? "" : "s", reason),
            hint);
    } else {
        set(request, REQUEST_WAITING,
            text_format("attempt %u of %u failed: %s", request->attempts, most, reason), hint);
        request->not_before = end->now + schedule_pause(end->pause, request->attempts);
    }
}

void schedule_finish(struct request_record *request, const struct schedule_end *end)
{
    bool told = end->seen && end->exited;
    request->pid = 0;
    if (end->move)
        request->move = end->move->id;
    if (told && end->status == EXIT_NOTHING)
        set(request, REQUEST_DONE, text_dup(end->reason), NULL);
    else if (told ? end->status == EXIT_DONE : ended_well(end->move))
        set(request, REQUEST_DONE, NULL, NULL);
    else
        fail(request, end);
}
