/* The mirrors: all disks at once, until every one of them is ready to pivot. */
#include "base/units.h"
#include "move/pace.h"
#include "move/private.h"

#define POLL_MILLISECONDS 500
#define POOL_CHECK_MILLISECONDS 10000
/* libvirt cannot pause a block job. QEMU paces a mirror by its speed, and looks again as soon as
 * the speed is raised (qemu blockjob.c, block_job_set_speed): a byte a second is a pause. */
#define PAUSE_BANDWIDTH 1
#define LATENCY_REQUESTS 20 /* fewer in a sample say nothing */

/* ---- start ---- */

static int start_one(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    if (move_target(disk)->ready(move, index, error) < 0)
        return -1;
    AUTO_FREE char *xml = plan_mirror_xml(disk);
    const struct virt_mirror_options options = {
        .bandwidth = disk->destination.bandwidth,
        .synchronous = disk->destination.synchronous,
        .transient_job = true, /* harmless on a transient domain */
    };
    return virt_mirror_start(move->mover->virt, move->plan->uuid, disk->target, xml, &options,
                             error);
}

/* Ours has been started; somebody may even have pivoted it since, while we were away. */
static bool is_under_way(const struct disk_view *view)
{
    return view->mirrored || view->live == PLACE_TARGET;
}

static int start_all(struct move *move, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    if (!world.state.active)
        return error_set(error, ERROR_FAILED, "the guest is not running any more");
    for (size_t i = 0; i < move->disks.count; i++) {
        if (world.disks[i].foreign_job) {
            error_set(error, ERROR_BUSY, "somebody started another block job on disk %s",
                      move->disks.items[i].target);
            return error_hint(error, "'virsh blockjob' shows it; it was not touched");
        }
        if (!is_under_way(&world.disks[i]) && start_one(move, i, error) < 0)
            return -1;
    }
    return 0;
}

int move_abort_mirrors(struct move *move, struct error *error)
{
    const int64_t start = move_now_ms();
    bool asked = false;
    for (;;) {
        AUTO_WORLD struct world world = {0};
        if (observe(move, &world, error) < 0)
            return -1;
        size_t left = 0, which = 0;
        bool refused = false; /* libvirt is busy with another client's question */
        for (size_t i = 0; i < move->disks.count; i++) {
            if (!world.disks[i].mirrored || move->disks.items[i].fate == DISK_PIVOTED)
                continue;
            left++;
            which = i;
            if (asked || world.disks[i].ending)
                continue;
            if (virt_mirror_abort(move->mover->virt, move->plan->uuid, move->disks.items[i].target,
                                  error) == 0)
                continue;
            if (error->code != ERROR_BUSY || move_out_of_patience(move, start))
                return -1;
            error_clear(error);
            refused = true;
        }
        if (left == 0)
            return 0;
        asked = !refused;
        if (move_out_of_patience(move, start)) {
            error_set(error, ERROR_OPERATOR,
                      "the mirror of disk %s was cancelled, but QEMU has not ended it: a write to "
                      "the target is hanging",
                      move->disks.items[which].target);
            return error_hint(error, "the guest goes on on its source; make the target cluster "
                                     "answer (is its pool full, is it down?), then 'virt-pivot "
                                     "recover'");
        }
        virt_wait(move->mover->virt, POLL_MILLISECONDS);
    }
}

static int has_started(struct move *move, bool *is_done, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    *is_done = true;
    for (size_t i = 0; i < move->disks.count; i++)
        *is_done &= is_under_way(&world.disks[i]);
    return 0;
}

static char *describe_started(const struct move *move)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct plan_destination *destination = &move_plan_of(move, i)->destination;
        AUTO_FREE char *rate =
            destination->bandwidth ? format_rate(destination->bandwidth) : text_dup("unlimited");
        buffer_format(&text, "%s%s (%s, %s)", i ? ", " : "", move->disks.items[i].target,
                      destination->synchronous ? "synchronous" : "background", rate);
    }
    return buffer_take(&text);
}

const struct step copy_step = {PHASE_COPYING, start_all, move_abort_mirrors, has_started,
                               describe_started};

/* ---- wait until all are ready ---- */

struct disk_watch {
    struct pace pace;
    struct latency_reading first, last;
    uint64_t written;
    uint64_t bandwidth; /* as set now */
    double latency_before, latency_now;
    bool ready;
};

struct vigil {
    struct move *move;
    struct disk_watch *disks;
    struct move_control control;
    int64_t pools_checked;
};

static int check_pool(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct plan_destination *destination = &disk->destination;
    const char *pool = destination->data_pool ? destination->data_pool : destination->pool;
    struct ceph_cluster *cluster = NULL;
    struct ceph_pool info = {0};
    AUTO_ERROR struct error ignored = {0};
    if (!plan_destination_is_rbd(destination) ||
        move_target_cluster(move, disk, &cluster, &ignored) < 0 ||
        ceph_pool(cluster, pool, &info, &ignored) < 0)
        return 0; /* not knowing is no reason to stop; a copy that stands still is found anyway */
    if (!info.full && info.free_bytes > 0)
        return 0;
    error_set(error, ERROR_NO_SPACE, "target pool %s/%s ran out of space while disk %s was copied",
              destination->cluster.name, pool, disk->target);
    return error_hint(error, "make room or raise the pool's quota, then move again");
}

/* The reason is looked for only once it is known that there must be one. */
static int explain_lost_job(struct move *move, size_t index, struct error *error)
{
    if (check_pool(move, index, error) < 0)
        return -1;
    error_set(error, ERROR_FAILED,
              "the mirror of disk %s ended with an error; the guest still writes to its source",
              move->disks.items[index].target);
    return error_hint(error, "QEMU's log (/var/log/libvirt/qemu/%s.log) and libvirt's may say why",
                      move->plan->domain);
}

static int check_disk(struct vigil *vigil, const struct world *world, size_t index,
                      struct error *error)
{
    struct move *move = vigil->move;
    const struct disk_view *view = &world->disks[index];
    if (view->live == PLACE_TARGET && !view->mirrored) {
        vigil->disks[index].ready = true;
        if (move->disks.items[index].fate == DISK_PIVOTED)
            return 0; /* said already */
        move_warn(move, "disk %s was pivoted by somebody else", move->disks.items[index].target);
        return move_set_fate(move, index, DISK_PIVOTED, error);
    }
    if (view->live == PLACE_ELSEWHERE)
        return error_set(error, ERROR_FAILED, "somebody gave disk %s another source meanwhile",
                         move->disks.items[index].target);
    if (!view->mirrored)
        return explain_lost_job(move, index, error);
    vigil->disks[index].ready = view->ready;
    return 0;
}

static void sample_latency(struct vigil *vigil, size_t index, double seconds)
{
    struct disk_watch *watch = &vigil->disks[index];
    struct virt_disk_latency latency = {0};
    AUTO_ERROR struct error ignored = {0};
    if (virt_disk_latency(vigil->move->mover->virt, vigil->move->plan->uuid,
                          vigil->move->disks.items[index].target, &latency, &ignored) < 0)
        return;
    struct latency_reading reading = {latency.requests, latency.nanoseconds};
    if (watch->first.requests == 0) {
        static const struct latency_reading birth = {0};
        watch->first = watch->last = reading;
        watch->written = latency.bytes_written;
        watch->latency_before = latency_between(&birth, &reading, LATENCY_REQUESTS);
        return;
    }
    double now = latency_between(&watch->last, &reading, LATENCY_REQUESTS);
    if (now > 0) {
        watch->latency_now = now;
        watch->last = reading;
    }
    if (seconds > 0 && latency.bytes_written >= watch->written)
        vigil->move->disks.items[index].dirty_rate =
            (uint64_t)((double)(latency.bytes_written - watch->written) / seconds);
    watch->written = latency.bytes_written;
}

static int sample_disk(struct vigil *vigil, size_t index, struct error *error)
{
    struct move *move = vigil->move;
    struct disk_watch *watch = &vigil->disks[index];
    struct disk_record *record = &move->disks.items[index];
    struct virt_mirror mirror;
    if (virt_mirror(move->mover->virt, move->plan->uuid, record->target, &mirror, error) < 0) {
        if (error->code == ERROR_DISCONNECTED)
            return -1;
        error_clear(error); /* libvirt may be busy with another client's question for a while */
        return 0;
    }
    if (!mirror.present)
        return 0; /* the next look at the XML will tell what became of it */
    int64_t before = watch->pace.at, now = move_now_ms();
    /* We may have been here before, or another process: what was said to QEMU last still holds. */
    if (before == 0)
        watch->bandwidth = mirror.bandwidth;
    pace_sample(&watch->pace, now, mirror.copied, mirror.total);
    if (watch->pace.at == before)
        return 0;
    sample_latency(vigil, index, before ? (double)(now - before) / 1000 : 0);
    if (vigil->control.paused)
        pace_excuse(&watch->pace, now);
    record->copied = mirror.copied;
    record->total = mirror.total;
    record->rate = (uint64_t)watch->pace.rate;
    record->latency_before = watch->latency_before;
    record->latency_now = watch->latency_now;
    /* Only looked at by others: without room for it the copy goes on. What must be written is
     * written before each step. */
    AUTO_ERROR struct error unwritten = {0};
    if (journal_sample(move->mover->journal, move->id, record, &unwritten) < 0)
        error_clear(&unwritten);
    return 0;
}

/* QEMU may send off all of a mirror's buffer at once, and then wait until its limit allows more. */
static uint64_t patience_with(const struct move *move, const struct disk_watch *watch)
{
    uint64_t burst = watch->bandwidth ? VIRT_MIRROR_BUFFER / watch->bandwidth : 0;
    return move->plan->stuck_after + burst;
}

static int check_stuck(struct vigil *vigil, size_t index, struct error *error)
{
    struct move *move = vigil->move;
    struct disk_watch *watch = &vigil->disks[index];
    uint64_t still = pace_still_for(&watch->pace, move_now_ms());
    if (watch->ready || vigil->control.paused || still < patience_with(move, watch))
        return 0;
    AUTO_FREE char *duration = format_duration(still);
    error_set(error, ERROR_FAILED, "the copy of disk %s has stood still for %s",
              move->disks.items[index].target, duration);
    return error_hint(error, "look at the target cluster ('ceph -s') and at the network to it; the "
                             "limit is 'limits: {stuck_after: ...}' in the policy");
}

static int set_bandwidth(struct vigil *vigil, size_t index, struct error *error)
{
    struct move *move = vigil->move;
    struct disk_watch *watch = &vigil->disks[index];
    if (watch->ready)
        return 0; /* QEMU does not pace a mirror that is ready */
    uint64_t wanted = vigil->control.bandwidth_set
                          ? vigil->control.bandwidth
                          : move_plan_of(move, index)->destination.bandwidth;
    uint64_t bandwidth =
        vigil->control.paused
            ? PAUSE_BANDWIDTH
            : pace_bandwidth(watch->bandwidth == PAUSE_BANDWIDTH ? wanted : watch->bandwidth,
                             wanted, watch->pace.rate, watch->latency_before, watch->latency_now,
                             move->plan->max_latency);
    if (bandwidth == watch->bandwidth)
        return 0;
    if (virt_mirror_set_bandwidth(move->mover->virt, move->plan->uuid,
                                  move->disks.items[index].target, bandwidth, error) < 0) {
        if (error->code == ERROR_DISCONNECTED)
            return -1;
        error_clear(error); /* the job has just ended: the next look tells */
        return 0;
    }
    watch->bandwidth = bandwidth;
    return 0;
}

static void report(const struct vigil *vigil)
{
    const struct move *move = vigil->move;
    const struct move_audience *audience = &move->mover->audience;
    if (!audience->progress)
        return;
    AUTO_FREE struct disk_progress *progress = memory_new(move->disks.count, sizeof(*progress));
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct disk_record *record = &move->disks.items[i];
        progress[i] = (struct disk_progress){
            .target = record->target,
            .copied = record->copied,
            .total = record->total,
            .rate = record->rate,
            .dirty_rate = record->dirty_rate,
            .eta = pace_eta(&vigil->disks[i].pace),
            .latency_before = record->latency_before,
            .latency_now = record->latency_now,
            .ready = vigil->disks[i].ready,
        };
    }
    audience->progress(audience->opaque, progress, move->disks.count, vigil->control.paused);
}

static int check_world(struct vigil *vigil, struct error *error)
{
    struct move *move = vigil->move;
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    if (!world.state.active) {
        error_set(error, ERROR_FAILED, "the guest was stopped while it was copied");
        return error_hint(error, "start it and move it again");
    }
    for (size_t i = 0; i < move->disks.count; i++)
        if (check_disk(vigil, &world, i, error) < 0)
            return -1;
    return 0;
}

static int watch_once(struct vigil *vigil, bool *all_ready, struct error *error)
{
    struct move *move = vigil->move;
    bool was_paused = vigil->control.paused;
    if (move_check_interrupted(move, &vigil->control, error) < 0 || check_world(vigil, error) < 0)
        return -1;
    bool pools_due = move_now_ms() - vigil->pools_checked > POOL_CHECK_MILLISECONDS;
    *all_ready = !vigil->control.paused;
    for (size_t i = 0; i < move->disks.count; i++) {
        if (was_paused && !vigil->control.paused)
            pace_excuse(&vigil->disks[i].pace, move_now_ms());
        if (set_bandwidth(vigil, i, error) < 0 || sample_disk(vigil, i, error) < 0 ||
            check_stuck(vigil, i, error) < 0 || (pools_due && check_pool(move, i, error) < 0))
            return -1;
        *all_ready &= vigil->disks[i].ready;
    }
    if (pools_due)
        vigil->pools_checked = move_now_ms();
    report(vigil);
    return 0;
}

/* A call may fail because the guest or the job has just gone: then that is the news. */
static int explain(struct vigil *vigil, struct error *error)
{
    AUTO_ERROR struct error cause = {0};
    bool unexplained = error->code == ERROR_FAILED || error->code == ERROR_NOT_FOUND;
    if (unexplained && check_world(vigil, &cause) < 0)
        error_move(error, &cause);
    return -1;
}

static int wait_ready(struct move *move, struct error *error)
{
    AUTO_FREE struct disk_watch *disks = memory_new(move->disks.count, sizeof(*disks));
    struct vigil vigil = {.move = move, .disks = disks, .pools_checked = move_now_ms()};
    for (size_t i = 0; i < move->disks.count; i++)
        disks[i].bandwidth = move_plan_of(move, i)->destination.bandwidth;
    for (;;) {
        bool all_ready = false;
        if (watch_once(&vigil, &all_ready, error) < 0)
            return explain(&vigil, error);
        if (all_ready)
            return 0;
        virt_wait(move->mover->virt, POLL_MILLISECONDS);
    }
}

static int never_done(struct move *move UNUSED, bool *is_done, struct error *error UNUSED)
{
    *is_done = false; /* waiting again is how to find out */
    return 0;
}

static char *describe_ready(const struct move *move)
{
    return text_format("%zu disk%s ready to pivot", move->disks.count,
                       move->disks.count == 1 ? "" : "s");
}

/* There is nothing to take back in having waited: copy_step ends the jobs. */
static int nothing_to_undo(struct move *move UNUSED, struct error *error UNUSED)
{
    return 0;
}

const struct step mirror_step = {PHASE_MIRRORING, wait_ready, nothing_to_undo, never_done,
                                 describe_ready};
