/* What befalls the guest, the daemon and the host. */
#include "fake_world.h"

#include "base/text.h"

static char *between(const char *from, const char *until)
{
    return text_slice(from, (size_t)(until - from));
}

/* libvirt changes the source within the definition, its type and format, and nothing else of the
 * disk. */
static void rewrite_definition(struct fake_world *world, const struct fake_disk *disk)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = NULL;
    if (domain_parse(world->defined, strlen(world->defined), &domain, &error) < 0)
        abort();
    AUTO_FREE char *old = domain_disk_xml(domain, disk->target);
    const char *auth = strstr(old, "<auth"), *source = strstr(old, "<source");
    const char *rest = strstr(old, "<target"), *type = strstr(old, "type='");
    const char *driver = strstr(old, "<driver"), *format = strstr(driver, "type='");
    const char *head_end = auth && auth < source ? auth : source;
    AUTO_FREE char *before = between(old, type);
    AUTO_FREE char *middle = between(strchr(type + 6, '\'') + 1, format);
    AUTO_FREE char *after = between(strchr(format + 6, '\'') + 1, head_end);
    AUTO_FREE char *element =
        text_format("%stype='%s'%stype='%s'%s%s\n      %s", before, disk->mirror.type, middle,
                    disk->mirror.format, after, disk->mirror.source, rest);
    AUTO_FREE char *changed = NULL;
    if (domain_replace_disk(domain, element, &changed, &error) < 0)
        abort();
    FAKE_SET(world->defined, changed);
}

void fake_job_over(struct fake_world *world, struct fake_disk *disk, bool pivoted)
{
    bool same_place =
        *world->defined && fake_image_defined(world, world->defined, disk->target) == disk->shown;
    if (pivoted) {
        if (same_place)
            rewrite_definition(world, disk);
        disk->shown = disk->live;
        FAKE_SET(disk->shown_type, disk->mirror.type);
        FAKE_SET(disk->shown_format, disk->mirror.format);
        FAKE_SET(disk->shown_source, disk->mirror.source);
    }
    disk->mirror = (struct fake_mirror){.job = JOB_NONE};
    /* Persistent or not: libvirt qemu_blockjob.c saves what it keeps in memory. */
    FAKE_SET(world->config, world->defined);
}

static void stop_guest(struct fake_world *world)
{
    fake_journey_leave(world);
    if (!world->active)
        return;
    int64_t until = world->now + world->ways.stale_watch_ms;
    for (size_t i = 0; i < world->disk_count; i++) {
        struct fake_disk *disk = &world->disks[i];
        world->images[disk->live].stale_watch_until = until;
        world->in_doubt |= disk->mirror.job == JOB_PIVOTING || disk->mirror.job == JOB_PIVOTED;
        if (disk->mirror.job != JOB_NONE)
            world->images[disk->mirror.image].stale_watch_until = until;
        disk->mirror = (struct fake_mirror){.job = JOB_NONE};
        disk->live = disk->shown = -1;
    }
    world->active = world->paused = world->was_paused = false;
    world->journey.left_at = world->now;
    world->persistent_at_stop = world->persistent;
}

/* A transient domain is its guest. The file that a job's end may have left stays on disk. */
static void destroy_guest(struct fake_world *world)
{
    stop_guest(world);
    if (world->persistent)
        return;
    *world->defined = '\0';
    world->autostart = false;
}

bool fake_disk_open(struct fake_world *world, struct fake_disk *disk, const char *xml)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = NULL;
    if (domain_parse(xml, strlen(xml), &domain, &error) < 0)
        abort();
    const struct disk *wanted = domain_disk(domain, disk->target);
    int image = wanted ? fake_image_of_source(world, &wanted->source) : -1;
    if (image < 0)
        return false;
    disk->live = disk->shown = image;
    world->images[image].opened++;
    /* The whole disk is taken as it stands there. */
    const char *start = strstr(xml, disk->target);
    while (start > xml && strncmp(start, "<source", 7) != 0)
        start--;
    const char *end = strstr(start, "<target");
    AUTO_FREE char *source = text_slice(start, (size_t)(end - start));
    FAKE_SET(disk->shown_type, wanted->type_name);
    FAKE_SET(disk->shown_format, wanted->format);
    FAKE_SET(disk->shown_source, source);
    return true;
}

static void start_guest(struct fake_world *world)
{
    /* Of a guest that has come without its data only the definition is of interest. */
    if (world->active || !world->persistent || world->journey.arriving || world->journey.offline)
        return;
    for (size_t i = 0; i < world->disk_count; i++) {
        if (fake_disk_open(world, &world->disks[i], world->defined))
            continue;
        /* Its image is being migrated: QEMU does not find it. */
        if (world->images[world->disks[i].source].migrated)
            return;
        /* What a migrated definition names may be another host's: then libvirt refuses. */
        if (!world->journey.ran_here && !world->journey.away)
            fake_violate(world, "the guest is started without its disk %s", world->disks[i].target);
        return;
    }
    world->active = true;
    world->runs++;
    world->journey.was_started = true;
    world->id++;
    /* Of a copy of virt-pivot's own that is the moment from which the source lacks writes. */
    for (size_t i = 0; world->was_off && i < world->disk_count; i++) {
        struct fake_disk *disk = &world->disks[i];
        static const struct fake_writes none;
        if (disk->live != disk->source && fake_writes_contain(&none, &disk->before_pivot))
            disk->before_pivot = disk->acknowledged;
    }
    for (size_t i = 0; i < world->disk_count; i++) {
        const struct fake_disk *disk = &world->disks[i];
        world->stale_start |=
            !fake_writes_contain(&world->images[disk->live].content, &disk->acknowledged);
    }
}

/* What is on disk is all that libvirt knows after a start. */
static void start_daemon(struct fake_world *world)
{
    fake_journey_leave(world); /* libvirt kills a QEMU that still waits for its guest */
    world->generation++;
    world->up_at = world->now + world->ways.down_ms;
    if (world->persistent)
        return;
    /* What was retained in memory is lost; a file that a job's end has left is loaded. */
    world->persistent = *world->config != '\0';
    FAKE_SET(world->defined, world->config);
}

static void reboot_host(struct fake_world *world)
{
    stop_guest(world);
    world->host_restarted = true;
    world->id--; /* so that its start gives it the same */
    world->persistent = false;
    *world->defined = '\0';
    start_daemon(world);
    if (world->autostart)
        start_guest(world);
}

#define THEIR_TITLE "  <title>changed by hand</title>\n"

static char *with_title(const char *xml)
{
    const char *place = strstr(xml, "  <metadata>");
    return text_format("%.*s%s%s", (int)(place - xml), xml, THEIR_TITLE, place);
}

static void redefine(struct fake_world *world)
{
    if (!*world->defined || strstr(world->defined, THEIR_TITLE))
        return;
    bool is_distant = *world->journey.interfaces != '\0';
    AUTO_FREE char *theirs = with_title(world->defined);
    AUTO_FREE char *original = is_distant ? with_title(world->original) : text_dup(theirs);
    FAKE_SET(world->defined, theirs);
    FAKE_SET(world->config, theirs);
    FAKE_SET(world->original, original);
    world->persistent = world->redefined = true;
}

static void die(struct fake_world *world)
{
    fake_blocks_die(world);
    if (world->death)
        longjmp(*world->death, 1);
    _exit(FAKE_KILLED);
}

void fake_world_happen(struct fake_world *world, enum fake_deed deed)
{
    switch (deed) {
    case DEED_NONE:
    case DEED_FAIL:
    case DEED_RESET: /* QEMU and its jobs stay */
        break;
    case DEED_DISCONNECT:
        start_daemon(world);
        break;
    case DEED_KILL:
        die(world);
        break;
    case DEED_DESTROY:
        destroy_guest(world);
        break;
    case DEED_RESUME:
        world->paused = world->was_paused = false;
        break;
    case DEED_REDEFINE:
        redefine(world);
        break;
    case DEED_HOST_REBOOT:
        reboot_host(world);
        die(world);
        break;
    case DEED_START:
        start_guest(world);
        break;
    case DEED_POOL_FULL:
        world->pool_full = true;
        break;
    case DEED_DEFINE_OLD:
        FAKE_SET(world->defined, world->original);
        FAKE_SET(world->config, world->original);
        world->persistent = true;
        world->journey.offline = false;
        break;
    case DEED_OPEN_TARGET:
        world->foreign_watchers = true;
        break;
    case DEED_OPEN_SOURCES:
        for (int i = 0; i < FAKE_IMAGES; i++)
            world->images[i].held |= !*world->images[i].token;
        return;
    case DEED_CLUSTER_AWAY:
        world->cluster_away = true;
        break;
    case DEED_LIST:
        fake_journey_list(world);
        break;
    case DEED_ARRIVE:
        fake_journey_arrive(world);
        break;
    case DEED_LEAVE:
        fake_journey_leave(world);
        break;
    }
}
