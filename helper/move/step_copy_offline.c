/* The disks of a domain that is off: copied by ourselves, while nobody else uses either end. A
 * guest that is started meanwhile starts, on its old disks, and that is the end of the copy. */
#include "base/units.h"
#include "move/offline.h"
#include "move/pace.h"

#define LOOK_MILLISECONDS 100   /* while the copy is paused */
#define SAMPLE_MILLISECONDS 500 /* from one line in the journal to the next */
#define RECONNECT_MILLISECONDS 1000

/* ---- both ends ---- */

void offline_close(struct move *move)
{
    struct offline_ends *ends = STEAL(move->ends);
    for (size_t i = 0; ends && i < ends->count; i++) {
        blocks_closep(&ends->from[i]);
        blocks_closep(&ends->to[i]);
    }
    if (ends) {
        free(ends->from);
        free(ends->to);
    }
    free(ends);
}

void offline_close_targets(struct move *move)
{
    for (size_t i = 0; move->ends && i < move->ends->count; i++)
        if (move->ends->to[i])
            blocks_close(STEAL(move->ends->to[i]));
}

static int started_meanwhile(struct error *error)
{
    error_set(error, ERROR_FAILED, "the guest was started while its disks were copied");
    return error_hint(error, "it runs on its old disks, as if nothing had been; 'virt-pivot move' "
                             "moves it while it runs");
}

int offline_check_off(struct move *move, struct error *error)
{
    bool off = false;
    if (virt_is_off(move->mover->virt, move->plan->uuid, &off, error) < 0) {
        if (error->code == ERROR_NOT_FOUND)
            error_set(error, ERROR_FAILED, "the domain was undefined while its disks were copied");
        return -1;
    }
    return off && virt_runs(move->mover->virt) != VIRT_A_RUN ? 0 : started_meanwhile(error);
}

int offline_check_sources(struct move *move, struct error *error)
{
    for (size_t i = 0; i < move->ends->count; i++) {
        if (blocks_check_idle(move->ends->from[i], error) == 0)
            continue;
        /* Most likely by our guest: that says more. */
        AUTO_ERROR struct error by_guest = {0};
        if (offline_check_off(move, &by_guest) < 0 && by_guest.code == ERROR_FAILED)
            error_move(error, &by_guest);
        else
            error_prefix(error, "disk %s: its source is used while it is copied",
                         move->disks.items[i].target);
        return -1;
    }
    return 0;
}

static int open_ends(struct move *move, struct error *error)
{
    move->ends = NEW(struct offline_ends);
    move->ends->count = move->disks.count;
    move->ends->from = memory_new(move->disks.count, sizeof(struct blocks *));
    move->ends->to = memory_new(move->disks.count, sizeof(struct blocks *));
    for (size_t i = 0; i < move->disks.count; i++)
        if (move_open_source(move, i, true, &move->ends->from[i], error) < 0 ||
            move_open_target(move, i, NULL, true, &move->ends->to[i], error) < 0)
            return error_prefix(error, "disk %s", move->disks.items[i].target);
    return 0;
}

/* ---- begin ---- */

int offline_check_definition(struct move *move, const struct world *world, struct error *error)
{
    if (world->state.active)
        return started_meanwhile(error);
    if (!world->state.persistent)
        return error_set(error, ERROR_FAILED,
                         "the domain was undefined while its disks were copied");
    for (size_t i = 0; i < move->disks.count; i++)
        if (world->disks[i].defined != PLACE_SOURCE)
            return error_set(error, ERROR_FAILED,
                             "somebody gave disk %s another source in the definition meanwhile",
                             move->disks.items[i].target);
    return 0;
}

static int make_ready(struct move *move, struct error *error)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if (move_target(move_plan_of(move, i))->ready(move, i, error) < 0)
            return error_prefix(error, "disk %s", move->disks.items[i].target);
    return 0;
}

static int begin(struct move *move, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    virt_watch_runs(move->mover->virt, move->plan->uuid);
    offline_close(move); /* what an earlier try has left */
    /* Looked at twice: what happened before the watch, and before the ends were open. */
    if (observe(move, &world, error) < 0 || offline_check_definition(move, &world, error) < 0 ||
        make_ready(move, error) < 0 || open_ends(move, error) < 0)
        return -1;
    return offline_check_off(move, error);
}

static int let_go(struct move *move, struct error *error UNUSED)
{
    offline_close(move);
    return 0;
}

static int never_done(struct move *move UNUSED, bool *is_done, struct error *error UNUSED)
{
    *is_done = false; /* acting again is harmless */
    return 0;
}

static char *describe_begun(const struct move *move)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct plan_destination *destination = &move_plan_of(move, i)->destination;
        AUTO_FREE char *rate =
            destination->bandwidth ? format_rate(destination->bandwidth) : text_dup("unlimited");
        buffer_format(&text, "%s%s (%s)",
                      i ? ", " : "the domain is off: ", move->disks.items[i].target, rate);
    }
    return buffer_take(&text);
}

const struct step copy_offline_step = {PHASE_COPYING, begin, let_go, never_done, describe_begun};

/* ---- copy ---- */

struct copying {
    struct move *move;
    size_t index;
    struct pace pace;
    struct move_control control;
    struct blocks *from; /* the source, or one of its snapshots */
    uint64_t base;       /* bytes of the states before this one, each the disk's size */
    uint64_t offset;     /* within this state */
    bool onto_data;      /* the target holds something already */
    uint64_t bandwidth;  /* as set now */
    int64_t sampled, connected;
    bool again;           /* the copy was ended to go on in another way */
    struct error failure; /* why it was ended otherwise */
};

static uint64_t wanted_bandwidth(const struct copying *copying)
{
    return copying->control.bandwidth_set
               ? copying->control.bandwidth
               : move_plan_of(copying->move, copying->index)->destination.bandwidth;
}

static void report(const struct copying *copying)
{
    const struct move *move = copying->move;
    const struct move_audience *audience = &move->mover->audience;
    if (!audience->progress)
        return;
    AUTO_FREE struct disk_progress *progress = memory_new(move->disks.count, sizeof(*progress));
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct disk_record *record = &move->disks.items[i];
        bool now = i == copying->index;
        progress[i] = (struct disk_progress){
            .target = record->target,
            .copied = record->copied,
            .total = record->total,
            .rate = now ? record->rate : 0,
            .eta = now                  ? pace_eta(&copying->pace)
                   : i < copying->index ? 0
                                        : UINT64_MAX,
            .ready = record->total && record->copied == record->total,
        };
    }
    audience->progress(audience->opaque, progress, move->disks.count, copying->control.paused);
}

static void sample(struct copying *copying, uint64_t done)
{
    struct move *move = copying->move;
    struct disk_record *record = &move->disks.items[copying->index];
    int64_t now = move_now_ms();
    record->copied = done;
    pace_sample(&copying->pace, now, record->copied, record->total);
    if (copying->control.paused)
        pace_excuse(&copying->pace, now);
    record->rate = (uint64_t)copying->pace.rate;
    bool whole = record->copied == record->total;
    if (!whole && copying->sampled && now - copying->sampled < SAMPLE_MILLISECONDS)
        return;
    copying->sampled = now;
    AUTO_ERROR struct error unwritten = {0};
    if (journal_sample(move->mover->journal, move->id, record, &unwritten) < 0)
        error_clear(&unwritten); /* only looked at by others */
}

/* Where the storage itself shows whether somebody came, libvirt's daemon may be started anew. */
static bool needs_no_events(const struct move *move)
{
    for (size_t i = 0; i < move->ends->count; i++)
        if (!blocks_knows_idle(move->ends->from[i]))
            return false;
    return true;
}

int offline_check_unseen(struct move *move, struct error *error)
{
    if (virt_runs(move->mover->virt) != VIRT_RUN_UNSEEN || needs_no_events(move))
        return 0;
    return error_set(error, ERROR_FAILED,
                     "the connection to libvirt's daemon was lost for a while: the guest may have "
                     "run, and written to its disks while they were copied");
}

static int check_guest(struct copying *copying, struct error *error)
{
    struct move *move = copying->move;
    int64_t now = move_now_ms();
    if (offline_check_sources(move, error) < 0)
        return -1;
    if (offline_check_off(move, error) == 0) {
        copying->connected = now;
        return offline_check_unseen(move, error);
    }
    if (error->code != ERROR_DISCONNECTED || !needs_no_events(move))
        return -1;
    if (now - copying->connected >= RECONNECT_MILLISECONDS) {
        copying->connected = now;
        error_clear(error);
        if (virt_reconnect(move->mover->virt, 0, error) == 0)
            return 0;
    }
    error_clear(error); /* asked again before anything is switched over */
    return 0;
}

static int check_stuck(const struct copying *copying, struct error *error)
{
    const struct move *move = copying->move;
    uint64_t still = pace_still_for(&copying->pace, move_now_ms());
    if (copying->control.paused || still < move->plan->stuck_after)
        return 0;
    AUTO_FREE char *duration = format_duration(still);
    error_set(error, ERROR_FAILED, "the copy of disk %s has stood still for %s",
              move->disks.items[copying->index].target, duration);
    return error_hint(error, "look at both clusters ('ceph -s') and at the network to them; the "
                             "limit is 'limits: {stuck_after: ...}' in the policy");
}

static int look(struct copying *copying, uint64_t done, struct error *error)
{
    if (move_check_interrupted(copying->move, &copying->control, error) < 0 ||
        check_guest(copying, error) < 0)
        return -1;
    sample(copying, done);
    report(copying);
    return check_stuck(copying, error);
}

/* blocks_copy's and blocks_update's. */
static bool on_progress(void *opaque, uint64_t done, uint64_t read UNUSED)
{
    struct copying *copying = opaque;
    if (look(copying, copying->base + done, &copying->failure) < 0)
        return false;
    copying->again = copying->control.paused || wanted_bandwidth(copying) != copying->bandwidth;
    return !copying->again;
}

static int wait_while_paused(struct copying *copying, struct error *error)
{
    struct move *move = copying->move;
    while (copying->control.paused) {
        virt_wait(move->mover->virt, LOOK_MILLISECONDS);
        if (look(copying, move->disks.items[copying->index].copied, error) < 0)
            return -1;
    }
    return 0;
}

/* Onto what is empty, or holds something already: maybe most of it, or nobody knows what
 * (resume.c).
 */
static int transfer(struct copying *copying, const struct blocks_watch *watch, struct error *error)
{
    struct blocks *to = copying->move->ends->to[copying->index];
    uint64_t written = 0;
    return copying->onto_data
               ? blocks_update(copying->from, to, copying->offset, watch, &copying->offset,
                               &written, error)
               : blocks_copy(copying->from, to, copying->offset, watch, &copying->offset, error);
}

/* Until it ends otherwise than by a wish of the user's. */
static int copy_on(struct copying *copying, struct error *error)
{
    struct disk_record *record = &copying->move->disks.items[copying->index];
    if (wait_while_paused(copying, error) < 0)
        return -1;
    copying->again = false;
    copying->bandwidth = wanted_bandwidth(copying);
    const struct blocks_watch watch = {copying, on_progress, copying->bandwidth};
    int result = transfer(copying, &watch, error);
    record->copied = copying->base + copying->offset;
    if (result == 0 || !copying->again)
        return result;
    if (error->code != ERROR_CANCELLED)
        return -1;
    error_clear(error);
    return 1;
}

static int copy_to_its_end(struct copying *copying, struct error *error)
{
    struct move *move = copying->move;
    int result = look(copying, move->disks.items[copying->index].copied, error);
    while (result >= 0 && (result = copy_on(copying, error)) > 0)
        ;
    /* What the last look found, when all was copied, ends nothing: the next step looks again. */
    if (result < 0 && error_is_set(&copying->failure))
        error_move(error, &copying->failure);
    error_clear(&copying->failure);
    if (result == 0)
        return 0;
    /* A read that failed because somebody came: that is the news. */
    AUTO_ERROR struct error cause = {0};
    if (error->code != ERROR_CANCELLED && offline_check_sources(move, &cause) < 0 &&
        cause.code == ERROR_FAILED)
        error_move(error, &cause);
    return -1;
}

/* One of the source's snapshots, or (NULL) the source as it is. */
static int copy_state(struct copying *copying, const char *snapshot, struct error *error)
{
    struct move *move = copying->move;
    struct disk_record *record = &move->disks.items[copying->index];
    const uint64_t size = blocks_size(move->ends->from[copying->index]);
    CLEANUP(blocks_closep) struct blocks *then = NULL;
    if (snapshot && offline_open_snapshot(move, copying->index, snapshot, &then, error) < 0)
        return -1;
    copying->from = then ? then : move->ends->from[copying->index];
    copying->offset = record->copied > copying->base ? record->copied - copying->base : 0;
    if (copying->offset > size)
        copying->offset = size;
    if (copy_to_its_end(copying, error) < 0 ||
        (snapshot && offline_keep_snapshot(move, copying->index, snapshot, error) < 0))
        return -1;
    copying->base += size;
    copying->onto_data = true;
    record->copied = copying->base;
    return 0;
}

static int copy_disk(struct move *move, size_t index, struct error *error)
{
    struct disk_record *record = &move->disks.items[index];
    const struct plan_destination *destination = &move_plan_of(move, index)->destination;
    const uint64_t size = blocks_size(move->ends->from[index]);
    CLEANUP(text_list_clear) struct text_list snapshots = {0};
    size_t copied = 0;
    if (offline_list_snapshots(move, index, &snapshots, &copied, error) < 0)
        return -1;
    record->total = size * (snapshots.count + 1);
    struct copying copying = {
        .move = move,
        .index = index,
        .connected = move_now_ms(),
        .base = size * copied,
        .onto_data = copied > 0 || move->resumed || (destination->old_disk && !destination->remade),
    };
    for (size_t i = copied; i <= snapshots.count; i++)
        if (copy_state(&copying, i < snapshots.count ? snapshots.items[i] : NULL, error) < 0)
            return -1;
    sample(&copying, record->total);
    report(&copying);
    return 0;
}

static int copy_all(struct move *move, struct error *error)
{
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct disk_record *record = &move->disks.items[i];
        if ((!record->total || record->copied < record->total) && copy_disk(move, i, error) < 0)
            return -1;
    }
    return 0;
}

static char *describe_copied(const struct move *move)
{
    return text_format("%zu disk%s copied, and still nobody uses %s", move->disks.count,
                       move->disks.count == 1 ? "" : "s", move->disks.count == 1 ? "it" : "them");
}

const struct step copied_offline_step = {PHASE_MIRRORING, copy_all, let_go, never_done,
                                         describe_copied};
