/* virt.h, in the fake world. */
#include "fake_world.h"

#include "base/text.h"

/* Every call but those on the connection itself: the event, then the connection. */
static int enter(struct virt *virt, enum fake_call call, struct error *error)
{
    if (fake_enter(virt->world, call, error) < 0)
        return -1;
    if (virt_connected(virt))
        return 0;
    error_set(error, ERROR_DISCONNECTED, "%s: libvirt's daemon went away", fake_call_name(call));
    return error_hint(error, "see 'systemctl status libvirtd virtqemud'; the guests go on");
}

static bool is_there(const struct fake_world *world)
{
    return world->active || world->journey.arriving || world->persistent;
}

static bool is_neighbour(const struct fake_world *world, const char *uuid)
{
    return text_equal(uuid, FAKE_NEIGHBOUR) &&
           (*world->neighbour_live || *world->neighbour_defined);
}

static int check_there(const struct fake_world *world, const char *uuid, struct error *error)
{
    if (text_equal(uuid, FAKE_UUID) && is_there(world))
        return 0;
    return error_set(error, ERROR_NOT_FOUND, "domain %s", uuid);
}

static int check_running(const struct fake_world *world, const char *uuid, struct error *error)
{
    if (check_there(world, uuid, error) < 0)
        return -1;
    return world->active ? 0 : error_set(error, ERROR_FAILED, "domain is not running");
}

/* ---- connection ---- */

void fake_virt_connect(struct virt *virt, struct fake_world *world)
{
    if (world->now < world->up_at)
        fake_world_run(world, (unsigned)(world->up_at - world->now));
    *virt = (struct virt){.world = world, .generation = world->generation};
}

bool virt_connected(struct virt *virt)
{
    return virt->generation == virt->world->generation && virt->world->now >= virt->world->up_at;
}

int virt_reconnect(struct virt *virt, unsigned seconds, struct error *error)
{
    struct fake_world *world = virt->world;
    if (fake_enter(world, CALL_RECONNECT, error) < 0)
        return -1;
    for (;; fake_world_run(world, 1000)) {
        if (world->now >= world->up_at) {
            virt->generation = world->generation;
            return fake_leave(world, CALL_RECONNECT, 0, error);
        }
        if (seconds-- == 0)
            return error_set(error, ERROR_UNREACHABLE, "cannot connect to libvirt");
    }
}

void virt_wait(struct virt *virt, unsigned milliseconds)
{
    AUTO_ERROR struct error ignored = {0};
    if (fake_enter(virt->world, CALL_WAIT, &ignored) == 0)
        fake_world_run(virt->world, milliseconds);
    if (fake_leave(virt->world, CALL_WAIT, 0, &ignored) < 0)
        error_clear(&ignored);
}

int virt_versions(struct virt *virt, struct virt_versions *versions, struct error *error)
{
    if (enter(virt, CALL_VERSIONS, error) < 0)
        return -1;
    *versions =
        (struct virt_versions){virt->world->libvirt_version, virt->world->hypervisor_version};
    return fake_leave(virt->world, CALL_VERSIONS, 0, error);
}

/* The key of a fake cluster is where its world is. */
int virt_secret(struct virt *virt, const char *secret UNUSED, bool is_uuid UNUSED, char **key,
                struct error *error)
{
    if (enter(virt, CALL_SECRET, error) < 0)
        return -1;
    *key = text_format("%p", (void *)virt->world);
    return 0;
}

/* ---- the domain ---- */

static void add_uuid(struct virt_uuids *uuids, const char *uuid)
{
    snprintf(virt_uuids_add(uuids)->text, VIRT_UUID_TEXT, "%s", uuid);
}

int virt_list(struct virt *virt, struct virt_uuids *uuids, struct error *error)
{
    if (enter(virt, CALL_LIST, error) < 0)
        return -1;
    if (is_there(virt->world))
        add_uuid(uuids, FAKE_UUID);
    if (is_neighbour(virt->world, FAKE_NEIGHBOUR))
        add_uuid(uuids, FAKE_NEIGHBOUR);
    return fake_leave(virt->world, CALL_LIST, 0, error);
}

int virt_domain(struct virt *virt, const char *uuid, struct virt_domain *domain,
                struct error *error)
{
    const struct fake_world *world = virt->world;
    *domain = (struct virt_domain){0};
    if (enter(virt, CALL_DOMAIN, error) < 0)
        return -1;
    if (text_equal(uuid, FAKE_UUID) && is_there(world))
        *domain = (struct virt_domain){
            .exists = true,
            .name = text_dup(FAKE_NAME),
            .active = world->active || world->journey.arriving,
            .arriving = world->journey.arriving,
            .paused = world->paused,
            .id = world->active ? (int)world->id : 0,
            .persistent = world->persistent,
            .autostart = world->persistent && world->autostart,
            .managed_save = world->managed_save,
            .snapshots = world->snapshots,
            .checkpoints = world->checkpoints,
            .job = *world->job ? text_dup(world->job) : NULL,
        };
    if (is_neighbour(world, uuid))
        *domain = (struct virt_domain){.exists = true,
                                       .name = text_dup("neighbour"),
                                       .active = *world->neighbour_live != '\0',
                                       .persistent = *world->neighbour_defined != '\0'};
    return fake_leave(virt->world, CALL_DOMAIN, 0, error);
}

void virt_domain_clear(struct virt_domain *domain)
{
    free(domain->name);
    free(domain->job);
    *domain = (struct virt_domain){0};
}

int virt_domain_xml(struct virt *virt, const char *uuid, enum virt_xml which, char **xml,
                    struct error *error)
{
    enum fake_call call = which == VIRT_XML_LIVE ? CALL_XML_LIVE : CALL_XML_INACTIVE;
    struct fake_world *world = virt->world;
    if (enter(virt, call, error) < 0)
        return -1;
    if (is_neighbour(world, uuid)) {
        *xml = text_dup(which == VIRT_XML_LIVE ? world->neighbour_live : world->neighbour_defined);
        return fake_leave(world, call, 0, error);
    }
    if (check_there(world, uuid, error) < 0)
        return -1;
    if (which == VIRT_XML_LIVE && world->journey.arriving)
        *xml = text_dup(world->journey.handed);
    else if (which == VIRT_XML_LIVE && world->active)
        *xml = fake_live_xml(world);
    else
        *xml = fake_inactive_xml(world, which == VIRT_XML_INACTIVE_SECURE);
    return fake_leave(world, call, 0, error);
}

int virt_is_off(struct virt *virt, const char *uuid, bool *off, struct error *error)
{
    struct fake_world *world = virt->world;
    if (enter(virt, CALL_IS_OFF, error) < 0 || check_there(world, uuid, error) < 0)
        return -1;
    *off = !world->active && !world->journey.arriving;
    return fake_leave(world, CALL_IS_OFF, 0, error);
}

void virt_watch_runs(struct virt *virt, const char *uuid)
{
    if (!text_equal(uuid, FAKE_UUID))
        fake_violate(virt->world, "%s is watched", uuid);
    virt->watched_runs = virt->world->runs;
    virt->watched_generation = virt->world->generation;
}

enum virt_runs virt_runs(struct virt *virt)
{
    if (virt->watched_generation != virt->world->generation)
        return VIRT_RUN_UNSEEN;
    return virt->watched_runs == virt->world->runs ? VIRT_NO_RUN : VIRT_A_RUN;
}

bool virt_await_defined(struct virt *virt, unsigned milliseconds UNUSED)
{
    AUTO_ERROR struct error lost = {0};
    return enter(virt, CALL_AWAIT_DEFINED, &lost) == 0 &&
           fake_leave(virt->world, CALL_AWAIT_DEFINED, 0, &lost) == 0;
}

int virt_volume_path(struct virt *virt, const char *pool, const char *volume, char **path,
                     struct error *error)
{
    if (enter(virt, CALL_VOLUME, error) < 0)
        return -1;
    *path = text_format("/%s/%s", pool, volume);
    return fake_leave(virt->world, CALL_VOLUME, 0, error);
}

static int define(struct fake_world *world, const char *xml, struct error *error)
{
    CLEANUP(domain_freep) struct domain *domain = NULL;
    if (domain_parse(xml, strlen(xml), &domain, error) < 0)
        return -1;
    if (!text_equal(domain->uuid, FAKE_UUID))
        return error_set(error, ERROR_FAILED, "another domain has this name");
    FAKE_SET(world->defined, xml);
    FAKE_SET(world->config, xml);
    world->persistent = true;
    return 0;
}

int virt_define(struct virt *virt, const char *xml, struct error *error)
{
    if (enter(virt, CALL_DEFINE, error) < 0)
        return -1;
    return fake_leave(virt->world, CALL_DEFINE, define(virt->world, xml, error), error);
}

static int undefine(struct fake_world *world, const char *uuid, struct error *error)
{
    if (check_there(world, uuid, error) < 0)
        return -1;
    if (!world->persistent)
        return 0;
    if (!world->active)
        return error_set(error, ERROR_FAILED, "domain %s is not running", uuid);
    if (world->managed_save || world->snapshots || world->checkpoints)
        return error_set(error, ERROR_FAILED, "refusing to undefine: something would be lost");
    world->persistent = world->autostart = false;
    *world->config = '\0';
    return 0;
}

int virt_undefine(struct virt *virt, const char *uuid, struct error *error)
{
    if (enter(virt, CALL_UNDEFINE, error) < 0)
        return -1;
    return fake_leave(virt->world, CALL_UNDEFINE, undefine(virt->world, uuid, error), error);
}

static int set_autostart(struct fake_world *world, const char *uuid, bool autostart,
                         struct error *error)
{
    if (check_there(world, uuid, error) < 0)
        return -1;
    if (!world->persistent)
        return error_set(error, ERROR_FAILED, "cannot set autostart for transient domain");
    world->autostart = autostart;
    return 0;
}

int virt_set_autostart(struct virt *virt, const char *uuid, bool autostart, struct error *error)
{
    if (enter(virt, CALL_AUTOSTART, error) < 0)
        return -1;
    return fake_leave(virt->world, CALL_AUTOSTART,
                      set_autostart(virt->world, uuid, autostart, error), error);
}

int virt_suspend(struct virt *virt, const char *uuid, struct error *error)
{
    struct fake_world *world = virt->world;
    if (enter(virt, CALL_SUSPEND, error) < 0 || check_running(world, uuid, error) < 0)
        return -1;
    if (!world->paused)
        world->paused_at = world->now;
    world->paused = true;
    return fake_leave(world, CALL_SUSPEND, 0, error);
}

int virt_resume(struct virt *virt, const char *uuid, struct error *error)
{
    struct fake_world *world = virt->world;
    if (enter(virt, CALL_RESUME, error) < 0 || check_running(world, uuid, error) < 0)
        return -1;
    fake_world_unpause(world);
    return fake_leave(world, CALL_RESUME, 0, error);
}

/* ---- its disks ---- */

static int find_disk(struct fake_world *world, const char *uuid, const char *target,
                     struct fake_disk **disk, struct error *error)
{
    if (check_running(world, uuid, error) < 0)
        return -1;
    *disk = fake_disk(world, target);
    return *disk ? 0 : error_set(error, ERROR_FAILED, "disk %s not found", target);
}

int virt_disk_size(struct virt *virt, const char *uuid, const char *target,
                   struct virt_disk_size *size, struct error *error)
{
    struct fake_disk *disk = NULL;
    if (enter(virt, CALL_DISK_SIZE, error) < 0 ||
        find_disk(virt->world, uuid, target, &disk, error) < 0)
        return -1;
    uint64_t bytes = virt->world->images[disk->live].size;
    *size = (struct virt_disk_size){.capacity = bytes, .allocation = bytes / 2};
    return fake_leave(virt->world, CALL_DISK_SIZE, 0, error);
}

int virt_disk_latency(struct virt *virt, const char *uuid, const char *target,
                      struct virt_disk_latency *latency, struct error *error)
{
    struct fake_disk *disk = NULL;
    if (enter(virt, CALL_LATENCY, error) < 0 ||
        find_disk(virt->world, uuid, target, &disk, error) < 0)
        return -1;
    *latency = (struct virt_disk_latency){disk->requests, disk->nanoseconds, disk->bytes_written};
    return fake_leave(virt->world, CALL_LATENCY, 0, error);
}

int virt_set_iotune(struct virt *virt, const char *uuid, const char *target,
                    const struct iotune *iotune, struct error *error)
{
    struct fake_disk *disk = NULL;
    if (enter(virt, CALL_IOTUNE, error) < 0 ||
        find_disk(virt->world, uuid, target, &disk, error) < 0)
        return -1;
    disk->iotune = *iotune;
    disk->iotune_set = true;
    return fake_leave(virt->world, CALL_IOTUNE, 0, error);
}

/* ---- mirrors ---- */

static char *source_element(const char *disk_xml)
{
    const char *start = strstr(disk_xml, "<source");
    const char *close = start ? strchr(start, '>') : NULL;
    const char *end = start ? strstr(start, "</source>") : NULL;
    if (close && close[-1] == '/')
        return text_slice(start, (size_t)(close - start) + 1);
    return end ? text_slice(start, (size_t)(end - start) + strlen("</source>")) : NULL;
}

/* libvirt wants to be told of the top layer alone. */
static int image_of_disk_xml(const struct fake_world *world, const struct disk *disk,
                             struct error *error)
{
    if (disk->backing_depth > 0)
        return error_set(error, ERROR_FAILED, "backingStore of mirror doesn't make sense");
    int image = fake_image_of_source(world, &disk->source);
    return image >= 0 ? image : error_set(error, ERROR_FAILED, "error opening the target");
}

/* "We write only to images that we created for this move and that nobody else watches", or that the
 * guest had left before. */
static void check_target(struct fake_world *world, const struct fake_disk *disk, int image)
{
    bool was_left = image == disk->source && disk->live != disk->source;
    if (!*world->images[image].token && !was_left)
        fake_violate(world, "a mirror writes to %s, which virt-pivot has not made",
                     world->images[image].name);
    if (fake_watchers(world, image, NULL) > 0)
        fake_violate(world, "a mirror writes to %s, which somebody has open",
                     world->images[image].name);
}

static int mirror_start(struct fake_world *world, struct fake_disk *disk, const char *disk_xml,
                        const struct virt_mirror_options *options, struct error *error)
{
    if (disk->mirror.job != JOB_NONE)
        return error_set(error, ERROR_FAILED, "disk %s already in active block job", disk->target);
    if (world->persistent && !options->transient_job)
        return error_set(error, ERROR_FAILED, "domain is not transient");
    CLEANUP(domain_freep) struct domain *holder = NULL;
    if (disk_parse(disk_xml, &holder, error) < 0)
        return -1;
    const struct disk *wanted = &holder->disks.items[0];
    int image = image_of_disk_xml(world, wanted, error);
    if (image < 0)
        return -1;
    check_target(world, disk, image);
    world->images[image].content = (struct fake_writes){{0}};
    world->images[image].written_over = true;
    AUTO_FREE char *source = source_element(disk_xml);
    disk->mirror = (struct fake_mirror){
        .job = JOB_COPYING,
        .image = image,
        .since = world->now,
        .synchronous = options->synchronous,
        .total = world->images[disk->live].size,
        .bandwidth = options->bandwidth,
    };
    FAKE_SET(disk->mirror.source, source);
    FAKE_SET(disk->mirror.type, wanted->type_name);
    FAKE_SET(disk->mirror.format, wanted->format);
    bool is_whole = !disk_is_nested(wanted); /* else the image is but a container */
    if (is_whole && world->images[image].size != world->images[disk->live].size)
        fake_job_over(world, disk, false); /* accepted, and failed a moment later */
    return 0;
}

int virt_mirror_start(struct virt *virt, const char *uuid, const char *target, const char *disk_xml,
                      const struct virt_mirror_options *options, struct error *error)
{
    struct fake_disk *disk = NULL;
    if (enter(virt, CALL_MIRROR_START, error) < 0 ||
        find_disk(virt->world, uuid, target, &disk, error) < 0)
        return -1;
    return fake_leave(virt->world, CALL_MIRROR_START,
                      mirror_start(virt->world, disk, disk_xml, options, error), error);
}

int virt_mirror(struct virt *virt, const char *uuid, const char *target, struct virt_mirror *mirror,
                struct error *error)
{
    struct fake_disk *disk = NULL;
    *mirror = (struct virt_mirror){0};
    if (enter(virt, CALL_MIRROR, error) < 0 ||
        find_disk(virt->world, uuid, target, &disk, error) < 0)
        return -1;
    if (disk->mirror.job != JOB_NONE)
        *mirror = (struct virt_mirror){.present = true,
                                       .copied = disk->mirror.copied,
                                       .total = disk->mirror.total,
                                       .bandwidth = disk->mirror.bandwidth};
    return fake_leave(virt->world, CALL_MIRROR, 0, error);
}

int virt_mirror_set_bandwidth(struct virt *virt, const char *uuid, const char *target,
                              uint64_t bandwidth, struct error *error)
{
    struct fake_disk *disk = NULL;
    if (enter(virt, CALL_BANDWIDTH, error) < 0 ||
        find_disk(virt->world, uuid, target, &disk, error) < 0)
        return -1;
    if (disk->mirror.job == JOB_NONE)
        return error_set(error, ERROR_FAILED, "disk %s does not have an active block job", target);
    disk->mirror.bandwidth = bandwidth;
    return fake_leave(virt->world, CALL_BANDWIDTH, 0, error);
}

/* libvirt qemu_driver.c, qemuDomainBlockJobAbort: a job that is being ended takes no more orders.
 */
static int check_not_ending(const struct fake_disk *disk, struct error *error)
{
    if (disk->mirror.job == JOB_NONE)
        return error_set(error, ERROR_FAILED, "disk %s does not have an active block job",
                         disk->target);
    if (disk->mirror.job >= JOB_PIVOTING)
        return error_set(error, ERROR_FAILED, "block job on disk '%s' is still being ended",
                         disk->target);
    return 0;
}

static int end_mirror(struct fake_world *world, struct fake_disk *disk, enum fake_job job,
                      struct error *error)
{
    if (check_not_ending(disk, error) < 0)
        return -1;
    if (job == JOB_PIVOTING && !disk->mirror.shown_ready)
        return error_set(error, ERROR_BUSY, "block job '%s' not ready for pivot yet", disk->target);
    disk->mirror.job = job;
    disk->mirror.since = world->now;
    return 0;
}

int virt_mirror_pivot(struct virt *virt, const char *uuid, const char *target, struct error *error)
{
    struct fake_disk *disk = NULL;
    if (enter(virt, CALL_PIVOT, error) < 0 ||
        find_disk(virt->world, uuid, target, &disk, error) < 0)
        return -1;
    return fake_leave(virt->world, CALL_PIVOT, end_mirror(virt->world, disk, JOB_PIVOTING, error),
                      error);
}

int virt_mirror_abort(struct virt *virt, const char *uuid, const char *target, struct error *error)
{
    struct fake_disk *disk = NULL;
    if (enter(virt, CALL_ABORT, error) < 0 ||
        find_disk(virt->world, uuid, target, &disk, error) < 0)
        return -1;
    int result =
        disk->mirror.job == JOB_NONE ? 0 : end_mirror(virt->world, disk, JOB_ABORTING, error);
    return fake_leave(virt->world, CALL_ABORT, result, error);
}
