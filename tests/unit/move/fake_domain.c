/* The guest's XML, its disks, and the images there are. */
#include "fake_world.h"

#include "base/text.h"

#define OLD_HOST "<host name='10.0.0.1' port='6789'/>"
#define MIB (1ull << 20)

/* ---- images ---- */

int fake_image_find(const struct fake_world *world, enum fake_where where, const char *name)
{
    for (int i = 0; i < FAKE_IMAGES; i++)
        if (world->images[i].exists && world->images[i].where == where &&
            text_equal(world->images[i].name, name))
            return i;
    return -1;
}

int fake_image_add(struct fake_world *world, enum fake_where where, const char *name, uint64_t size)
{
    for (int i = 0; i < FAKE_IMAGES; i++) {
        struct fake_image *image = &world->images[i];
        if (image->exists || *image->name) /* a name is not used again: fate is to be seen */
            continue;
        *image = (struct fake_image){
            .exists = true, .where = where, .size = size, .features = OLD_FEATURES};
        FAKE_SET(image->name, name);
        return i;
    }
    fake_violate(world, "the fake world has no room for more images");
    abort();
}

int fake_image_of_source(const struct fake_world *world, const struct disk_source *source)
{
    if (source->type == SOURCE_FILE)
        return fake_image_find(world, ON_HOST, source->path);
    if (source->type != SOURCE_NETWORK || source->hosts.count == 0)
        return -1;
    bool old = text_equal(source->hosts.items[0].name, "10.0.0.1");
    return fake_image_find(world, old ? IN_OLD_CLUSTER : IN_NEW_CLUSTER, source->name);
}

int fake_image_defined(const struct fake_world *world, const char *xml, const char *target)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = NULL;
    if (domain_parse(xml, strlen(xml), &domain, &error) < 0)
        return -1;
    const struct disk *disk = domain_disk(domain, target);
    return disk ? fake_image_of_source(world, &disk->source) : -1;
}

/* ---- XML ---- */

static void render_mirror(struct buffer *out, const struct fake_mirror *mirror)
{
    const char *ready = "";
    if (mirror->job == JOB_NONE)
        return;
    if (mirror->job == JOB_PIVOTING || mirror->job == JOB_PIVOTED)
        ready = " ready='pivot'";
    else if (mirror->job == JOB_ABORTING)
        ready = " ready='abort'";
    else if (mirror->shown_ready)
        ready = " ready='yes'";
    buffer_format(out,
                  "      <mirror type='%s' job='copy'%s>\n        <format type='%s'/>\n"
                  "        %s\n      </mirror>\n",
                  mirror->type, ready, mirror->format, mirror->source);
}

char *fake_live_xml(const struct fake_world *world)
{
    AUTO_BUFFER struct buffer out = {0};
    buffer_format(&out, "<domain type='kvm' id='%u'>\n", world->id);
    buffer_add(&out, "  <name>" FAKE_NAME "</name>\n"
                     "  <uuid>" FAKE_UUID "</uuid>\n  <devices>\n");
    for (size_t i = 0; i < world->disk_count; i++) {
        const struct fake_disk *disk = &world->disks[i];
        if (disk->detached)
            continue;
        buffer_format(&out,
                      "    <disk type='%s' device='disk'>\n"
                      "      <driver name='qemu' type='%s'/>\n      %s\n",
                      disk->shown_type, disk->shown_format, disk->shown_source);
        render_mirror(&out, &disk->mirror);
        buffer_format(&out,
                      "      <target dev='%s' bus='virtio'/>\n      <serial>S-%s</serial>\n"
                      "      <alias name='virtio-disk%zu'/>\n    </disk>\n",
                      disk->target, disk->target, i);
    }
    buffer_add(&out, world->journey.interfaces);
    buffer_add(&out, "  </devices>\n</domain>\n");
    return buffer_take(&out);
}

/* VIR_DOMAIN_XML_SECURE is what brings the passwords along. */
char *fake_inactive_xml(const struct fake_world *world, bool secure)
{
    static const char password[] = " passwd='hunter2'";
    const char *found = strstr(world->defined, password);
    if (secure || !found)
        return text_dup(world->defined);
    return text_format("%.*s%s", (int)(found - world->defined), world->defined,
                       found + strlen(password));
}

static const char *const definition_disks[FAKE_DISKS] = {
    "    <disk type='network' device='disk'>\n"
    "      <driver name='qemu' type='raw' cache='writeback'/>\n"
    "      <auth username='libvirt'>\n"
    "        <secret type='ceph' uuid='2d51d16c-b0ef-4a9f-8938-de099f017a62'/>\n"
    "      </auth>\n"
    "      <source protocol='rbd' name='vms/db-vda'>\n        " OLD_HOST "\n      </source>\n"
    "      <target dev='vda' bus='virtio'/>\n      <serial>S-vda</serial>\n"
    "      <boot order='1'/>\n    </disk>\n",
    "    <disk type='file' device='disk'>\n"
    "      <driver name='qemu' type='qcow2' io='native'/>\n"
    "      <source file='/images/db-vdb.qcow2'/>\n"
    "      <target dev='vdb' bus='virtio'/>\n      <serial>S-vdb</serial>\n    </disk>\n",
    "    <disk type='file' device='disk'>\n"
    "      <driver name='qemu' type='raw'/>\n"
    "      <source file='/images/db-vdc.raw'/>\n"
    "      <target dev='vdc' bus='virtio'/>\n      <serial>S-vdc</serial>\n    </disk>\n",
};

static const struct {
    const char *target, *type, *format, *source;
    enum fake_where where;
    const char *image;
} live_disks[FAKE_DISKS] = {
    {"vda", "network", "raw",
     "<source protocol='rbd' name='vms/db-vda' index='1'>\n        " OLD_HOST "\n"
     "        <auth username='libvirt'>\n"
     "          <secret type='ceph' uuid='2d51d16c-b0ef-4a9f-8938-de099f017a62'/>\n"
     "        </auth>\n      </source>",
     IN_OLD_CLUSTER, "vms/db-vda"},
    {"vdb", "file", "qcow2",
     "<source file='/images/db-vdb.qcow2' index='2'/>\n"
     "      <backingStore type='file' index='3'>\n        <format type='qcow2'/>\n"
     "        <source file='/images/base.qcow2'/>\n        <backingStore/>\n"
     "      </backingStore>",
     ON_HOST, "/images/db-vdb.qcow2"},
    {"vdc", "file", "raw", "<source file='/images/db-vdc.raw' index='4'/>\n      <backingStore/>",
     ON_HOST, "/images/db-vdc.raw"},
};

/* ---- set-up ---- */

static void set_disk(struct fake_world *world, size_t i)
{
    struct fake_disk *disk = &world->disks[i];
    FAKE_SET(disk->target, live_disks[i].target);
    FAKE_SET(disk->shown_type, live_disks[i].type);
    FAKE_SET(disk->shown_format, live_disks[i].format);
    FAKE_SET(disk->shown_source, live_disks[i].source);
    disk->source =
        fake_image_add(world, live_disks[i].where, live_disks[i].image, world->ways.disk_size);
    disk->live = disk->shown = disk->source;
    disk->requests = 100;
    disk->nanoseconds = 100000000;
}

void fake_world_set(struct fake_world *world, size_t disks)
{
    *world = (struct fake_world){
        .ways = {.copy_rate = 64 * 1024,
                 .disk_size = 32 * MIB,
                 .ready_lag = 7,
                 .pivot_ms = 2,
                 .settle_ms = 6,
                 .abort_ms = 8,
                 .down_ms = 1500,
                 .stale_watch_ms = 30000,
                 .milliseconds_per_request = 1},
        .now = 1000000,
        .active = true,
        .persistent = true,
        .autostart = true,
        .was_persistent = true,
        .was_autostart = true,
        .id = 7,
        .libvirt_version = 9000000,
        .hypervisor_version = 7002022,
        .disk_count = disks,
        .pool_free = 1ull << 40,
    };
    AUTO_BUFFER struct buffer xml = {0};
    buffer_add(&xml, "<domain type='kvm'>\n  <name>" FAKE_NAME "</name>\n"
                     "  <uuid>" FAKE_UUID "</uuid>\n"
                     "  <metadata>\n    <m:owner xmlns:m='urn:owner'>ops</m:owner>\n  </metadata>\n"
                     "  <memory unit='KiB'>1048576</memory>\n"
                     "  <os>\n    <nvram>/var/lib/nvram/db-1.fd</nvram>\n  </os>\n  <devices>\n");
    for (size_t i = 0; i < disks && i < FAKE_DISKS; i++) {
        set_disk(world, i);
        buffer_add(&xml, definition_disks[i]);
    }
    buffer_add(&xml, "    <graphics type='vnc' port='-1' passwd='hunter2'/>\n"
                     "  </devices>\n</domain>\n");
    FAKE_SET(world->defined, xml.text);
    FAKE_SET(world->config, xml.text);
    FAKE_SET(world->original, xml.text);
    fake_world_run(world, 100);
}

/* In a text that has room for it. */
static void replace_in(char *text, const char *old, const char *new)
{
    char *at = strstr(text, old);
    AUTO_FREE char *changed = text_format("%s%s", new, at + strlen(old));
    memcpy(at, changed, strlen(changed) + 1);
}

void fake_world_make_images(struct fake_world *world)
{
    for (size_t i = 1; i < world->disk_count && i < FAKE_DISKS; i++) {
        struct fake_image *image = &world->images[world->disks[i].source];
        AUTO_FREE char *element = text_dup(definition_disks[0]);
        AUTO_FREE char *name = text_format("vms/db-%s", world->disks[i].target);
        for (char *at = element; (at = strstr(at, "vda"));)
            memcpy(at, world->disks[i].target, 3);
        replace_in(element, "      <boot order='1'/>\n", "");
        replace_in(world->defined, definition_disks[i], element);
        image->where = IN_OLD_CLUSTER;
        FAKE_SET(image->name, name);
    }
    FAKE_SET(world->config, world->defined);
    FAKE_SET(world->original, world->defined);
}

void fake_world_make_idle(struct fake_world *world)
{
    world->active = false;
    world->was_off = true;
    for (size_t i = 0; i < world->disk_count; i++)
        world->disks[i].live = world->disks[i].shown = -1;
}

void fake_world_make_transient(struct fake_world *world)
{
    world->persistent = world->autostart = false;
    world->was_persistent = world->was_autostart = false;
    *world->defined = *world->config = *world->original = '\0';
}
