#include "fake_world.h"

#include "base/text.h"

#define GUARD_MS 500
#define STEP_MS 5 /* of virtual time: finer than anything in it takes */
#define LEAST_BANDWIDTH_THAT_MOVES 1024

/* ---- small things ---- */

void fake_set(char *field, size_t room, const char *text)
{
    if ((size_t)snprintf(field, room, "%s", text) >= room) {
        fprintf(stderr, "a field of the fake world is too small for: %s\n", text);
        abort();
    }
}

void fake_violate(struct fake_world *world, const char *format, ...)
{
    if (*world->violation)
        return;
    va_list args;
    va_start(args, format);
    AUTO_FREE char *text = text_vformat(format, args);
    va_end(args);
    snprintf(world->violation, sizeof(world->violation), "call %ld: %s", world->calls, text);
}

struct fake_disk *fake_disk(struct fake_world *world, const char *target)
{
    for (size_t i = 0; i < world->disk_count; i++)
        if (text_equal(world->disks[i].target, target))
            return &world->disks[i];
    return NULL;
}

void fake_writes_add(struct fake_writes *all, const struct fake_writes *more)
{
    for (size_t i = 0; i < ARRAY_SIZE(all->bits); i++)
        all->bits[i] |= more->bits[i];
}

bool fake_writes_contain(const struct fake_writes *all, const struct fake_writes *some)
{
    for (size_t i = 0; i < ARRAY_SIZE(all->bits); i++)
        if (some->bits[i] & ~all->bits[i])
            return false;
    return true;
}

size_t fake_watchers(const struct fake_world *world, int image, struct text_list *watchers)
{
    const struct fake_image *at = &world->images[image];
    size_t count = 0;
    for (size_t i = 0; world->active && i < world->disk_count; i++) {
        const struct fake_disk *disk = &world->disks[i];
        count +=
            disk->live == image || (disk->mirror.job != JOB_NONE && disk->mirror.image == image);
    }
    count += at->stale_watch_until > world->now;
    count += at->held;
    for (size_t i = 0; world->journey.arriving && i < world->disk_count; i++)
        count += world->journey.images[i] == image;
    for (size_t i = 0; watchers && i < count; i++)
        text_list_append(watchers, "10.0.0.9:0/1 client.4711");
    bool foreign = world->foreign_watchers && *at->token;
    if (foreign && watchers)
        text_list_append(watchers, "10.0.0.66:0/6 client.666");
    return count + foreign;
}

/* ---- QEMU and libvirt, as time passes ---- */

/* Some are left for the time after a journey. */
static unsigned most_writes(const struct fake_world *world)
{
    return world->journey.away ? FAKE_WRITES / 2 : FAKE_WRITES;
}

static void guest_writes(struct fake_world *world, struct fake_disk *disk)
{
    disk->requests += 3;
    disk->nanoseconds += (uint64_t)(3e6 * world->ways.milliseconds_per_request);
    if (disk->next_write >= most_writes(world) || world->ways.guest_idle || disk->live < 0)
        return;
    uint64_t bit = 1ull << (disk->next_write % 64);
    size_t word = disk->next_write / 64;
    disk->next_write++;
    disk->bytes_written += 4096;
    disk->acknowledged.bits[word] |= bit;
    world->images[disk->live].content.bits[word] |= bit;
    if (!world->images[disk->live].exists)
        fake_violate(world, "the guest writes to %s, which is gone",
                     world->images[disk->live].name);
    if (world->images[disk->live].migrated)
        fake_violate(world, "the guest writes to %s, which is migrated",
                     world->images[disk->live].name);
    if (world->images[disk->live].written)
        fake_violate(world, "%s has two writers: the guest and virt-pivot",
                     world->images[disk->live].name);
    for (size_t i = 0; i < world->disk_count; i++) {
        const struct fake_mirror *mirror = &world->disks[i].mirror;
        bool is_own_pivot = &world->disks[i] == disk && mirror->job == JOB_PIVOTED;
        if (mirror->job != JOB_NONE && mirror->image == disk->live && !is_own_pivot)
            fake_violate(world, "%s has two writers", world->images[disk->live].name);
    }
}

static void enter_job(struct fake_world *world, struct fake_mirror *mirror, enum fake_job job)
{
    mirror->job = job;
    mirror->since = world->now;
}

/* The guest's own writes come along from the start; the rest at the copy's speed. */
static void copy(struct fake_world *world, struct fake_disk *disk, unsigned milliseconds)
{
    struct fake_mirror *mirror = &disk->mirror;
    bool full = world->pool_full && world->images[mirror->image].where == IN_NEW_CLUSTER;
    bool slow = mirror->bandwidth && mirror->bandwidth < LEAST_BANDWIDTH_THAT_MOVES;
    if (full && !world->ways.full_hangs) {
        fake_job_over(world, disk, false);
        return;
    }
    if (full || slow || world->ways.stands_still)
        return;
    double rate = world->ways.copy_rate;
    if (mirror->bandwidth && (double)mirror->bandwidth / 1000 < rate)
        rate = (double)mirror->bandwidth / 1000;
    mirror->fraction += rate * milliseconds;
    mirror->copied += (uint64_t)mirror->fraction;
    mirror->fraction -= (double)(uint64_t)mirror->fraction;
    if (world->ways.copy_fails[disk - world->disks] && mirror->copied > mirror->total / 2) {
        fake_job_over(world, disk, false);
        return;
    }
    if (mirror->copied < mirror->total)
        return;
    mirror->copied = mirror->total;
    enter_job(world, mirror, JOB_READY);
}

/* From here on the guest writes to the target; what it had written before is on both. */
static void pivot_in_qemu(struct fake_world *world, struct fake_disk *disk)
{
    struct fake_mirror *mirror = &disk->mirror;
    if (world->ways.pivot_fails[disk - world->disks]) {
        fake_job_over(world, disk, false);
        return;
    }
    fake_writes_add(&world->images[mirror->image].content, &world->images[disk->live].content);
    disk->before_pivot = disk->acknowledged;
    disk->live = mirror->image;
    if (world->ways.pivot_loses[disk - world->disks])
        world->images[disk->live].content.bits[0] &= ~1ull;
    enter_job(world, mirror, JOB_PIVOTED);
}

static void advance_job(struct fake_world *world, struct fake_disk *disk, unsigned milliseconds)
{
    struct fake_mirror *mirror = &disk->mirror;
    int64_t age = world->now - mirror->since;
    bool daemon_up = world->now >= world->up_at;
    bool hangs = world->pool_full && world->ways.full_hangs;
    switch (mirror->job) {
    case JOB_NONE:
        break;
    case JOB_COPYING:
        copy(world, disk, milliseconds);
        break;
    case JOB_READY:
        /* The mirror lags behind the guest by a step. */
        fake_writes_add(&world->images[mirror->image].content, &world->images[disk->live].content);
        mirror->shown_ready |= age >= world->ways.ready_lag && daemon_up;
        if (world->pivot_by_hand && mirror->shown_ready && disk == world->disks)
            enter_job(world, mirror, JOB_PIVOTING);
        break;
    case JOB_PIVOTING:
        if (age >= world->ways.pivot_ms)
            pivot_in_qemu(world, disk);
        break;
    case JOB_PIVOTED:
        if (age >= world->ways.settle_ms && daemon_up)
            fake_job_over(world, disk, true);
        break;
    case JOB_ABORTING:
        if (age >= world->ways.abort_ms && daemon_up && !hangs)
            fake_job_over(world, disk, false);
        break;
    }
}

void fake_world_guard(struct fake_world *world)
{
    if (world->paused && !world->was_paused)
        world->guard_at = world->now + GUARD_MS;
    for (size_t i = 0; i < FAKE_IMAGES; i++) {
        struct fake_image *image = &world->images[i];
        if (image->opened_for_snapshot)
            image->stale_watch_until = world->now + world->ways.stale_watch_ms;
        image->opened_for_snapshot = false;
    }
}

void fake_world_unpause(struct fake_world *world)
{
    if (world->paused && world->now - world->paused_at > world->longest_pause)
        world->longest_pause = (unsigned)(world->now - world->paused_at);
    world->paused = false;
    world->guard_at = 0;
}

static void step(struct fake_world *world, unsigned milliseconds)
{
    world->now += milliseconds;
    if (world->guard_at && world->now >= world->guard_at)
        fake_world_unpause(world);
    bool runs = world->active || world->journey.away;
    for (size_t i = 0; runs && i < world->disk_count; i++) {
        advance_job(world, &world->disks[i], milliseconds);
        if (!world->paused)
            guest_writes(world, &world->disks[i]);
    }
}

/* Nothing but the time passes: of a guest that migrates only the writes are of interest. */
static bool is_still(const struct fake_world *world)
{
    bool is_distant = *world->journey.interfaces != '\0';
    bool runs = world->active || world->journey.away;
    for (size_t i = 0; runs && i < world->disk_count; i++)
        if (world->disks[i].mirror.job != JOB_NONE ||
            (world->disks[i].next_write < most_writes(world) && !world->ways.guest_idle))
            return false;
    return is_distant || !runs;
}

void fake_world_run(struct fake_world *world, unsigned milliseconds)
{
    while (milliseconds > 0) {
        if (is_still(world)) {
            world->now += milliseconds;
            return;
        }
        unsigned now = milliseconds < STEP_MS ? milliseconds : STEP_MS;
        step(world, now);
        milliseconds -= now;
    }
}

/* ---- calls, and what happens around them ---- */

static const char *const call_names[CALL_KINDS] = {
    [CALL_NONE] = "nothing",
    [CALL_LIST] = "virt_list",
    [CALL_DOMAIN] = "virt_domain",
    [CALL_XML_LIVE] = "virt_domain_xml(live)",
    [CALL_XML_INACTIVE] = "virt_domain_xml(inactive)",
    [CALL_DEFINE] = "virt_define",
    [CALL_UNDEFINE] = "virt_undefine",
    [CALL_AUTOSTART] = "virt_set_autostart",
    [CALL_DISK_SIZE] = "virt_disk_size",
    [CALL_LATENCY] = "virt_disk_latency",
    [CALL_MIRROR_START] = "virt_mirror_start",
    [CALL_MIRROR] = "virt_mirror",
    [CALL_BANDWIDTH] = "virt_mirror_set_bandwidth",
    [CALL_PIVOT] = "virt_mirror_pivot",
    [CALL_ABORT] = "virt_mirror_abort",
    [CALL_IOTUNE] = "virt_set_iotune",
    [CALL_SUSPEND] = "virt_suspend",
    [CALL_RESUME] = "virt_resume",
    [CALL_IS_OFF] = "virt_is_off",
    [CALL_AWAIT_DEFINED] = "virt_await_defined",
    [CALL_VOLUME] = "virt_volume_path",
    [CALL_SECRET] = "virt_secret",
    [CALL_VERSIONS] = "virt_versions",
    [CALL_WAIT] = "virt_wait",
    [CALL_RECONNECT] = "virt_reconnect",
    [CALL_CONNECT] = "ceph_connect",
    [CALL_HEALTH] = "ceph_health",
    [CALL_POOL] = "ceph_pool",
    [CALL_NAMESPACE] = "ceph_namespace_exists",
    [CALL_IMAGE] = "ceph_image",
    [CALL_CREATE] = "ceph_image_create",
    [CALL_CREATE_RENAME] = "ceph_image_create(rename)",
    [CALL_REMOVE] = "ceph_image_remove_owned",
    [CALL_TRASH] = "ceph_image_trash_owned",
    [CALL_WATCHERS] = "ceph_image_watchers",
    [CALL_FAST_DIFF] = "ceph_image_enable_fast_diff",
    [CALL_DISABLE] = "ceph_image_disable_features",
    [CALL_QOS] = "ceph_image_set_qos",
    [CALL_SNAPSHOT] = "ceph_snapshot_create",
    [CALL_SNAPSHOT_REMOVE] = "ceph_snapshot_remove",
    [CALL_SNAPSHOT_LOOK] = "ceph_snapshot_exists",
    [CALL_SOURCE_TRASH] = "ceph_image_trash",
    [CALL_SOURCE_RESTORE] = "ceph_image_restore",
    [CALL_SOURCE_REMOVE] = "ceph_image_remove",
    [CALL_SOURCE_HALF] = "ceph_image_remove(half)",
    [CALL_SOURCE_LOOK] = "ceph_image_id",
    [CALL_MIGRATION_PREPARE] = "ceph_migration_prepare",
    [CALL_MIGRATION_HALF] = "ceph_migration(half)",
    [CALL_MIGRATION_ABORT] = "ceph_migration_abort",
    [CALL_MIGRATION_EXECUTE] = "ceph_migration_execute",
    [CALL_MIGRATION_COMMIT] = "ceph_migration_commit",
    [CALL_MIGRATION_LOOK] = "ceph_migration_look",
    [CALL_BLOCKS_OPEN] = "blocks_open",
    [CALL_BLOCKS_IDLE] = "blocks_check_idle",
    [CALL_BLOCKS_COMPARE] = "blocks_compare",
    [CALL_BLOCKS_COPY] = "blocks_copy",
    [CALL_FILE_LOOK] = "files_look",
    [CALL_FILE_HOLDER] = "files_holder",
    [CALL_FILE_RENAME] = "files_rename",
    [CALL_FILE_REMOVE] = "files_remove",
    [CALL_FILE_BACKING] = "files_backing",
};

const char *fake_call_name(enum fake_call call)
{
    return call_names[call];
}

bool fake_call_is_libvirts(enum fake_call call)
{
    return call > CALL_NONE && call < CALL_CONNECT;
}

bool fake_call_changes(enum fake_call call)
{
    switch (call) {
    case CALL_DEFINE:
    case CALL_UNDEFINE:
    case CALL_AUTOSTART:
    case CALL_MIRROR_START:
    case CALL_BANDWIDTH:
    case CALL_PIVOT:
    case CALL_ABORT:
    case CALL_IOTUNE:
    case CALL_CREATE:
    case CALL_CREATE_RENAME:
    case CALL_REMOVE:
    case CALL_TRASH:
    case CALL_FAST_DIFF:
    case CALL_DISABLE:
    case CALL_QOS:
    case CALL_SUSPEND:
    case CALL_RESUME:
    case CALL_SNAPSHOT:
    case CALL_SNAPSHOT_REMOVE:
    case CALL_SOURCE_TRASH:
    case CALL_SOURCE_RESTORE:
    case CALL_SOURCE_REMOVE:
    case CALL_SOURCE_HALF:
    case CALL_MIGRATION_PREPARE:
    case CALL_MIGRATION_HALF:
    case CALL_MIGRATION_ABORT:
    case CALL_MIGRATION_EXECUTE:
    case CALL_MIGRATION_COMMIT:
    case CALL_FILE_RENAME:
    case CALL_FILE_REMOVE:
        return true;
    default:
        return false;
    }
}

static bool is_due(const struct fake_world *world, const struct fake_event *event,
                   enum fake_call call, bool after)
{
    if (event->deed == DEED_NONE || event->after != after)
        return false;
    if (event->at)
        return event->at == world->calls;
    return event->kind == call && (event->nth == 0 || event->nth == world->calls_of[call]);
}

/* -1: the call is to fail. */
static int let_happen(struct fake_world *world, enum fake_call call, bool after,
                      struct error *error)
{
    int result = 0;
    for (size_t i = 0; i < FAKE_EVENTS; i++) {
        const struct fake_event *event = &world->events[i];
        if (!is_due(world, event, call, after))
            continue;
        if (event->deed == DEED_FAIL)
            result = error_set(error, event->code, "%s was told to fail", fake_call_name(call));
        else
            fake_world_happen(world, event->deed);
        if (event->deed == DEED_DISCONNECT && after && fake_call_is_libvirts(call))
            result = error_set(error, ERROR_DISCONNECTED, "the answer of %s got lost",
                               fake_call_name(call));
    }
    bool asks_cluster = call >= CALL_CONNECT && call < CALL_FILE_LOOK;
    if (world->cluster_away && asks_cluster && !after)
        result = error_set(error, ERROR_UNREACHABLE, "cluster 'new' does not answer");
    return result;
}

int fake_enter(struct fake_world *world, enum fake_call call, struct error *error)
{
    if (world->calls < FAKE_CALLS)
        world->kinds[world->calls] = (unsigned char)call;
    world->calls++;
    world->calls_of[call]++;
    step(world, 1);
    if (world->restart_every && call == CALL_LATENCY &&
        world->calls_of[call] % world->restart_every == 0)
        fake_world_happen(world, DEED_DISCONNECT);
    return let_happen(world, call, false, error);
}

int fake_leave(struct fake_world *world, enum fake_call call, int result, struct error *error)
{
    AUTO_ERROR struct error lost = {0};
    if (let_happen(world, call, true, &lost) == 0 || result < 0)
        return result;
    error_move(error, &lost);
    return -1;
}

void fake_world_forget_calls(struct fake_world *world)
{
    world->calls = 0;
    memset(world->calls_of, 0, sizeof(world->calls_of));
    memset(world->events, 0, sizeof(world->events));
}
