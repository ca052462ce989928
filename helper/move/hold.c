/* The guest stands still while its disks change over, so that source and target can be seen as they
 * were at that very instant. It goes on whatever happens: when we have what we want, when anything
 * fails or takes too long; when we die, by the guard; and by whoever recovers. */
#include "move/private.h"

#include <inttypes.h>
#include <time.h>

#define HOLD_MILLISECONDS 5000 /* for the pivots; the snapshots have as long again */
#define TRIES 10
#define TRY_MILLISECONDS 200

/* What each disk has written so far, by QEMU's own count; NULL: not known. */
static uint64_t *count_written(struct move *move)
{
    AUTO_FREE uint64_t *written = memory_new(move->disks.count, sizeof(*written));
    for (size_t i = 0; i < move->disks.count; i++) {
        struct virt_disk_latency counters = {0};
        AUTO_ERROR struct error ignored = {0};
        if (virt_disk_latency(move->mover->virt, move->plan->uuid, move->disks.items[i].target,
                              &counters, &ignored) < 0)
            return NULL;
        written[i] = counters.bytes_written;
    }
    return STEAL(written);
}

static int pause_guest(struct move *move, struct hold *hold, int run, struct error *error)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (guard_start(move, run, &hold->guard, error) < 0 ||
        journal_hold(move->mover->journal, move->id, error) < 0)
        return -1;
    move->held = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    hold->held = true; /* also when the answer gets lost */
    hold->since = move_now_ms();
    return virt_suspend(move->mover->virt, move->plan->uuid, error);
}

int hold_begin(struct move *move, struct hold *hold, struct error *error)
{
    struct virt_domain state = {0};
    *hold = (struct hold){.guard.life = -1};
    if (virt_domain(move->mover->virt, move->plan->uuid, &state, error) < 0)
        return -1;
    bool active = state.active, paused = state.paused;
    int run = state.id;
    virt_domain_clear(&state);
    if (!active)
        return error_set(error, ERROR_FAILED, "the guest is not running any more");
    hold->since = move_now_ms();
    if (!paused && pause_guest(move, hold, run, error) < 0)
        return -1;
    hold->still = true;
    hold->written = count_written(move);
    return 0;
}

bool hold_is_over_time(const struct hold *hold)
{
    return hold->still && move_now_ms() - hold->since > HOLD_MILLISECONDS;
}

int hold_check(struct move *move, const struct hold *hold, struct error *error)
{
    struct virt_domain state = {0};
    if (virt_domain(move->mover->virt, move->plan->uuid, &state, error) < 0)
        return -1;
    bool still = state.active && state.paused;
    virt_domain_clear(&state);
    AUTO_FREE uint64_t *written = still && hold->written ? count_written(move) : NULL;
    for (size_t i = 0; written && i < move->disks.count; i++)
        still &= written[i] == hold->written[i];
    return still ? 0 : error_set(error, ERROR_FAILED, "somebody let the guest go on meanwhile");
}

/* ---- on ---- */

static void note_release(struct move *move, uint64_t milliseconds)
{
    move->pause += milliseconds;
    /* Without room for it the mark stays: whoever finds it looks whether the guest is paused. */
    AUTO_ERROR struct error unwritten = {0};
    if (journal_release(move->mover->journal, move->id, move->pause, &unwritten) == 0)
        move->held = 0;
}

/* Whether the guest that we have paused is there still, and paused. */
static int is_still_held(struct move *move, bool *held, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    *held = world.live && world.state.paused && !is_another_run(move, &world);
    return 0;
}

static int let_go(struct move *move, bool *was_held, struct error *error)
{
    if (is_still_held(move, was_held, error) < 0)
        return -1;
    return *was_held ? virt_resume(move->mover->virt, move->plan->uuid, error) : 0;
}

static int insist_on_letting_go(struct move *move, struct error *error)
{
    bool was_held = false;
    for (unsigned tries = 1; let_go(move, &was_held, error) < 0; tries++) {
        if (tries == TRIES) {
            error_prefix(error, "the guest is paused for its pivot, and cannot be let go on");
            error->code = ERROR_OPERATOR;
            return error_hint(error, "'virsh resume %s'; then 'virt-pivot recover'",
                              move->plan->domain);
        }
        bool gone = error->code == ERROR_DISCONNECTED;
        error_clear(error);
        AUTO_ERROR struct error away = {0};
        if (gone && virt_reconnect(move->mover->virt, move_patience(move), &away) < 0)
            continue;
        virt_wait(move->mover->virt, TRY_MILLISECONDS);
    }
    return 0;
}

int hold_end(struct move *move, struct hold *hold, struct error *error)
{
    free(STEAL(hold->written));
    hold->still = false;
    if (!hold->held) {
        guard_dismiss(&hold->guard);
        return 0;
    }
    AUTO_ERROR struct error ignored = {0};
    if (virt_resume(move->mover->virt, move->plan->uuid, &ignored) < 0 &&
        insist_on_letting_go(move, error) < 0)
        return -1; /* the guard goes on trying */
    hold->held = false;
    note_release(move, (uint64_t)(move_now_ms() - hold->since));
    guard_dismiss(&hold->guard);
    return 0;
}

int move_let_go(struct move *move, struct error *error)
{
    if (!move->held)
        return 0;
    struct timespec now;
    bool was_held = false;
    if (let_go(move, &was_held, error) < 0 && insist_on_letting_go(move, error) < 0)
        return -1;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t milliseconds = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - move->held;
    if (was_held)
        move_warn(move, "the guest had been left paused in its pivot; it goes on");
    note_release(move, was_held && milliseconds > 0 ? (uint64_t)milliseconds : 0);
    return 0;
}
