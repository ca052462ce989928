/* What befalls the guest, the daemon and the host. */
#include "fake_world.h"

#include "base/text.h"

/* libvirt changes the source within the definition, and nothing else of the disk. */
static void rewrite_definition(struct fake_world *world, const struct fake_disk *disk)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = NULL;
    CLEANUP(domain_freep) struct domain *mirror = NULL;
    AUTO_FREE char *xml = text_format("<domain><name>x</name><devices><disk type='network'>%s"
                                      "<target dev='x'/></disk></devices></domain>",
                                      disk->mirror.source);
    AUTO_FREE char *changed = NULL;
    AUTO_FREE char *pool = NULL;
    AUTO_FREE char *name_space = NULL;
    AUTO_FREE char *image = NULL;
    if (domain_parse(world->defined, strlen(world->defined), &domain, &error) < 0 ||
        domain_parse(xml, strlen(xml), &mirror, &error) < 0)
        abort();
    const struct disk_source *source = &mirror->disks.items[0].source;
    if (!rbd_name_split(source->name, &pool, &name_space, &image))
        abort();
    const struct disk_rewrite rewrite = {
        .target = disk->target,
        .destination = {.hosts = source->hosts.items,
                        .host_count = source->hosts.count,
                        .user = source->auth_user,
                        .secret_uuid = source->secret_uuid,
                        .secret_usage = source->secret_usage,
                        .pool = pool,
                        .name_space = name_space,
                        .image = image},
    };
    if (domain_rewrite(domain, &rewrite, 1, &changed, &error) < 0)
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
        FAKE_SET(disk->shown_type, "network");
        FAKE_SET(disk->shown_format, "raw");
        FAKE_SET(disk->shown_source, disk->mirror.source);
    }
    disk->mirror = (struct fake_mirror){.job = JOB_NONE};
    /* Persistent or not: libvirt qemu_blockjob.c saves what it keeps in memory. */
    FAKE_SET(world->config, world->defined);
}

static void stop_guest(struct fake_world *world)
{
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
    world->active = false;
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

static void start_guest(struct fake_world *world)
{
    if (world->active || !world->persistent)
        return;
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = NULL;
    if (domain_parse(world->defined, strlen(world->defined), &domain, &error) < 0)
        abort();
    world->active = true;
    world->id++;
    for (size_t i = 0; i < world->disk_count; i++) {
        struct fake_disk *disk = &world->disks[i];
        const struct disk *defined = domain_disk(domain, disk->target);
        disk->live = disk->shown = defined ? fake_image_of_source(world, &defined->source) : -1;
        if (disk->live < 0) {
            fake_violate(world, "the guest is started without its disk %s", disk->target);
            world->active = false;
            return;
        }
        world->stale_start |=
            !fake_writes_contain(&world->images[disk->live].content, &disk->acknowledged);
        /* The whole disk is taken as it stands in the definition. */
        const char *start = strstr(world->defined, disk->target);
        while (start > world->defined && strncmp(start, "<source", 7) != 0)
            start--;
        const char *end = strstr(start, "<target");
        AUTO_FREE char *source = text_slice(start, (size_t)(end - start));
        FAKE_SET(disk->shown_type, defined->type_name);
        FAKE_SET(disk->shown_format, defined->format);
        FAKE_SET(disk->shown_source, source);
    }
}

/* What is on disk is all that libvirt knows after a start. */
static void start_daemon(struct fake_world *world)
{
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

static void redefine(struct fake_world *world)
{
    if (!*world->defined || strstr(world->defined, THEIR_TITLE))
        return;
    const char *place = strstr(world->defined, "  <metadata>");
    AUTO_FREE char *theirs =
        text_format("%.*s%s%s", (int)(place - world->defined), world->defined, THEIR_TITLE, place);
    FAKE_SET(world->defined, theirs);
    FAKE_SET(world->config, theirs);
    FAKE_SET(world->original, theirs);
    world->persistent = world->redefined = true;
}

static void die(struct fake_world *world)
{
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
        break;
    case DEED_OPEN_TARGET:
        world->foreign_watchers = true;
        break;
    }
}
