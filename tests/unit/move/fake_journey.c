/* A guest of another host that migrates here. What that host does is not shown: its guest writes to
 * its files there, libvirt copies them into the images that the hook's XML names, and when it is
 * through the guest runs here on them. */
#include "fake_world.h"

#include "base/text.h"

static const char interfaces[] =
    "    <interface type='network'>\n      <mac address='52:54:00:00:00:01'/>\n"
    "      <source network='office'/>\n      <model type='virtio'/>\n    </interface>\n"
    "    <interface type='bridge'>\n      <mac address='52:54:00:00:00:02'/>\n"
    "      <source bridge='br-a'/>\n      <model type='virtio'/>\n    </interface>\n";

void fake_world_make_distant(struct fake_world *world, bool lasting)
{
    struct fake_journey *journey = &world->journey;
    AUTO_BUFFER struct buffer cookie = {0};
    const char *place = strstr(world->defined, "    <graphics");
    buffer_add_slice(&cookie, world->defined, (size_t)(place - world->defined));
    buffer_add(&cookie, interfaces);
    buffer_add(&cookie, place);
    *journey = (struct fake_journey){.away = true};
    FAKE_SET(journey->cookie, lasting ? cookie.text : "");
    FAKE_SET(journey->interfaces, interfaces);
    for (size_t i = 0; i < world->disk_count; i++)
        if (world->images[world->disks[i].source].where == ON_HOST)
            world->images[world->disks[i].source].where = ON_OTHER_HOST;
    world->active = world->persistent = world->autostart = false;
    world->was_persistent = world->was_autostart = false;
    *world->defined = *world->config = '\0';
    FAKE_SET(world->original, cookie.text);
}

void fake_journey_hand(struct fake_world *world, const char *xml)
{
    FAKE_SET(world->journey.handed, xml);
    world->journey.tries++;
}

void fake_journey_list(struct fake_world *world)
{
    struct fake_journey *journey = &world->journey;
    if (!journey->away || !*journey->handed || world->active || journey->arriving)
        return;
    for (size_t i = 0; i < world->disk_count; i++) {
        journey->images[i] = fake_image_defined(world, journey->handed, world->disks[i].target);
        if (journey->images[i] < 0)
            return; /* QEMU cannot open it: the migration fails */
    }
    journey->arriving = true;
    world->id++;
}

static void take_interfaces(struct fake_world *world, const char *xml)
{
    const char *start = strstr(xml, "    <interface");
    const char *end = strstr(xml, "  </devices>");
    AUTO_FREE char *taken = text_slice(start, (size_t)(end - start));
    FAKE_SET(world->journey.interfaces, taken);
}

void fake_journey_arrive(struct fake_world *world)
{
    struct fake_journey *journey = &world->journey;
    fake_journey_list(world);
    if (!journey->arriving)
        return;
    for (size_t i = 0; i < world->disk_count; i++) {
        struct fake_disk *disk = &world->disks[i];
        disk->before_pivot = disk->acknowledged;
        if (journey->images[i] != disk->source)
            fake_writes_add(&world->images[journey->images[i]].content,
                            &world->images[disk->source].content);
        fake_disk_open(world, disk, journey->handed);
    }
    take_interfaces(world, journey->handed);
    journey->away = journey->arriving = false;
    journey->ran_here = world->active = true;
    /* libvirt qemu_migration.c, qemuMigrationDstPersist: as the other host has it. */
    if (*journey->cookie) {
        FAKE_SET(world->defined, journey->cookie);
        FAKE_SET(world->config, journey->cookie);
        world->persistent = true;
    }
    fake_world_run(world, 20);
}

void fake_journey_leave(struct fake_world *world)
{
    struct fake_journey *journey = &world->journey;
    if (!journey->arriving)
        return;
    journey->arriving = false;
    journey->left_at = world->now;
    for (size_t i = 0; i < world->disk_count; i++) {
        struct fake_image *image = &world->images[journey->images[i]];
        if (journey->images[i] == world->disks[i].source)
            continue;
        image->stale_watch_until = world->now + world->ways.stale_watch_ms;
        image->content.bits[0] |= world->images[world->disks[i].source].content.bits[0];
    }
}
