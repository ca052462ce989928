/* The connection to libvirt, and what its events tell. */
#include "agent/private.h"

#include <time.h>

#define RECONNECT_SECONDS 2
/* Between libvirt's answer to a question and the events that it had sent before that answer, which
 * a thread of its own delivers. */
#define DELIVERY_MICROSECONDS 100000

/* ---- who ran since when ---- */

static int64_t clock_skew(void)
{
    struct timespec wall, up;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &up);
    return (int64_t)wall.tv_sec - (int64_t)up.tv_sec;
}

static void watch_anew(struct watch *watch)
{
    watch->since = time(NULL);
    watch->skew = clock_skew();
}

/* When the clock is set, times from before and after do not compare. Nobody has watched since a
 * time that either clock has seen, and all that waits for its time is looked at now. */
static void mind_the_clock(struct agent *agent)
{
    struct watch *watch = &agent->watch;
    int64_t drift = clock_skew() - watch->skew;
    if (drift >= -1 && drift <= 1) {
        watch->skew += drift;
        return;
    }
    watch_anew(watch);
    watch->since += drift < 0 ? -drift : 0;
    watch->runs.count = 0;
    agent->connect_at = agent->look_at = 0;
    settle_wake(agent, NULL);
}

static struct virt_change *find_run(const struct agent *agent, const char *uuid)
{
    const struct virt_changes *runs = &agent->watch.runs;
    for (size_t i = 0; i < runs->count; i++)
        if (text_equal(runs->items[i].uuid, uuid))
            return &runs->items[i];
    return NULL;
}

static struct virt_change *run_of(struct agent *agent, const char *uuid)
{
    struct virt_change *run = find_run(agent, uuid);
    if (run)
        return run;
    run = virt_changes_add(&agent->watch.runs);
    snprintf(run->uuid, sizeof(run->uuid), "%s", uuid);
    return run;
}

bool watch_never_ran(void *opaque, const char *uuid, int64_t since)
{
    struct agent *agent = opaque;
    usleep(DELIVERY_MICROSECONDS);
    watch_collect(agent);
    if (agent->watch.since == 0 || agent->watch.since >= since)
        return false;
    const struct virt_change *run = find_run(agent, uuid);
    return !run || run->ran_at < since;
}

bool watch_has_arrived(void *opaque, const char *uuid, int64_t since)
{
    const struct virt_change *run = find_run(opaque, uuid);
    return run && run->arrived_at > since;
}

bool watch_has_left(void *opaque, const char *uuid, int64_t since)
{
    const struct virt_change *run = find_run(opaque, uuid);
    return run && run->stopped_at >= since;
}

/* ---- connection ---- */

static int connect_now(struct agent *agent, struct error *error)
{
    if (agent->virt)
        return virt_reconnect(agent->virt, 0, error);
    if (virt_open(agent->settings->uri, &agent->virt, error) < 0)
        return -1;
    virt_collect_changes(agent->virt);
    agent->clusters = clusters_new(agent->virt);
    return 0;
}

void watch_connect(struct agent *agent)
{
    AUTO_ERROR struct error error = {0};
    agent->connected = agent->virt && virt_connected(agent->virt);
    if (agent->connected)
        return;
    agent->watch.since = 0; /* what happens now, nobody sees */
    if (agent->now >= agent->connect_at && connect_now(agent, &error) == 0) {
        trouble_over(&agent->libvirt, &agent->voice, "libvirt's daemon is there again");
        agent->connected = true;
        return;
    }
    if (error_is_set(&error)) {
        trouble_is(&agent->libvirt, &agent->voice, "libvirt's daemon is away and waited for",
                   &error);
        agent->connect_at = agent->now + RECONNECT_SECONDS;
    }
    agent_wake_at(agent, agent->connect_at);
}

/* ---- events ---- */

static void take(struct agent *agent, const struct virt_change *change)
{
    guest_of(agent, change->uuid)->dirty = true;
    agent->any_dirty = true;
    settle_wake(agent, change->uuid);
    if (!change->ran_at && !change->stopped_at)
        return;
    virt_change_add(run_of(agent, change->uuid), change);
}

void watch_collect(struct agent *agent)
{
    struct virt_changes changes = {0};
    bool all = false;
    if (!agent->virt)
        return;
    virt_take_changes(agent->virt, &changes, &all);
    if (all) {
        watch_anew(&agent->watch);
        agent->all_dirty = true;
        settle_wake(agent, NULL);
    }
    mind_the_clock(agent);
    for (size_t i = 0; i < changes.count; i++)
        take(agent, &changes.items[i]);
    free(changes.items);
    if (!virt_connected(agent->virt))
        agent->watch.since = 0;
}
