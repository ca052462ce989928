/* Any domain XML: what parses can be rewritten, and what was rewritten reads back as the
 * destination with everything else as it was; the same for networks; a disk cut out of it reads as
 * in it; and sizes written are the sizes read. Corpus: corpus/, one domain per file. */
#include "domain/domain.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(3): the property is checked whatever NDEBUG says. */
static void require(bool holds, const char *property, const struct error *error)
{
    if (holds)
        return;
    fprintf(stderr, "does not hold: %s %s\n", property,
            error && error->message ? error->message : "");
    abort();
}

static struct domain *parse(const char *xml, const char *property)
{
    AUTO_ERROR struct error error = {0};
    struct domain *domain = NULL;
    int result = domain_parse(xml, strlen(xml), &domain, &error);
    require(result == 0, property, &error);
    return domain;
}

/* ---- One disk before and after ---- */

static void require_same_text(const char *a, const char *b, const char *property)
{
    require(text_equal(a, b), property, NULL);
}

static void require_same_guest_view(const struct disk *a, const struct disk *b)
{
    require_same_text(a->target, b->target, "target is kept");
    require_same_text(a->bus, b->bus, "bus is kept");
    require_same_text(a->serial, b->serial, "serial is kept");
    require_same_text(a->alias, b->alias, "alias is kept");
    require_same_text(a->device_name, b->device_name, "device is kept");
    require(a->readonly == b->readonly && a->shareable == b->shareable &&
                a->transient == b->transient && a->removable == b->removable,
            "flags are kept", NULL);
}

static void require_untouched(const struct disk *a, const struct disk *b)
{
    require_same_guest_view(a, b);
    require_same_text(a->type_name, b->type_name, "type of another disk is kept");
    require_same_text(a->source.path, b->source.path, "path of another disk is kept");
    require_same_text(a->source.name, b->source.name, "name of another disk is kept");
    require_same_text(a->format, b->format, "format of another disk is kept");
    require_same_text(a->cache, b->cache, "cache of another disk is kept");
    require_same_text(a->io, b->io, "io of another disk is kept");
    require(a->source.type == b->source.type && a->backing_depth == b->backing_depth &&
                a->has_mirror == b->has_mirror && a->has_iotune == b->has_iotune,
            "another disk is kept", NULL);
}

static void require_rewritten(const struct disk *before, const struct disk *after,
                              const struct disk_rewrite *rewrite)
{
    CLEANUP(disk_source_clear) struct disk_source wanted = {0};
    rbd_destination_source(&rewrite->destination, &wanted);
    require_same_guest_view(before, after);
    require(disk_source_same(&after->source, &wanted), "the source is the destination", NULL);
    require_same_text(after->source.auth_user, wanted.auth_user, "user");
    require_same_text(after->source.secret_usage, wanted.secret_usage, "secret");
    require_same_text(after->type_name, "network", "type='network'");
    require_same_text(after->format, "raw", "driver type='raw'");
    require_same_text(after->cache, rewrite->cache ? rewrite->cache : before->cache, "cache");
    require_same_text(after->discard, rewrite->discard ? rewrite->discard : before->discard,
                      "discard");
    require(!text_equal(after->io, "native") && !text_equal(after->io, "io_uring"),
            "no io of files", NULL);
    require(after->backing_depth == 0 && !after->has_mirror && !after->has_slices,
            "nothing of the old source", NULL);
    require(after->has_iotune == (before->has_iotune || rewrite->iotune), "iotune", NULL);
}

/* ---- One rewrite ---- */

static bool has_control_character(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            return true;
    return false;
}

static void check_rewrite(const struct domain *domain, const struct disk_rewrite *rewrite)
{
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *xml = NULL;
    const struct disk *disk = domain_disk(domain, rewrite->target);
    int result = domain_rewrite(domain, rewrite, 1, &xml, &error);
    if (disk->encrypted) {
        require(result < 0 && error.code == ERROR_UNSUPPORTED, "encrypted is refused", &error);
        return;
    }
    if (has_control_character(domain->name)) {
        require(result < 0 && error.code == ERROR_INPUT, "a control character is refused", &error);
        return;
    }
    require(result == 0, "what parses can be rewritten", &error);

    CLEANUP(domain_freep) struct domain *after = parse(xml, "what was written parses");
    require(after->disks.count == domain->disks.count, "the number of disks", NULL);
    require_same_text(after->name, domain->name, "name");
    require_same_text(after->tier_label, domain->tier_label, "tier label");
    for (size_t i = 0; i < after->disks.count; i++) {
        if (&domain->disks.items[i] == disk)
            require_rewritten(disk, &after->disks.items[i], rewrite);
        else
            require_untouched(&domain->disks.items[i], &after->disks.items[i]);
    }
    AUTO_FREE char *again = NULL;
    require(domain_rewrite(after, rewrite, 1, &again, &error) == 0, "again", &error);
    require_same_text(again, xml, "once more changes nothing");
    AUTO_FREE char *diff = text_diff("before", domain->xml, "after", xml);
    require((*diff == '\0') == text_equal(domain->xml, xml), "the diff tells", NULL);
}

/* ---- Disks by themselves ---- */

static void check_destination(const struct disk *disk)
{
    CLEANUP(rbd_parts_clear) struct rbd_parts parts;
    if (!rbd_destination_of_source(&disk->source, &parts))
        return;
    CLEANUP(disk_source_clear) struct disk_source back = {0};
    rbd_destination_source(&parts.destination, &back);
    AUTO_FREE char *pool = NULL, *name_space = NULL, *image = NULL;
    require(rbd_name_split(back.name, &pool, &name_space, &image), "an rbd name", NULL);
    require_same_text(pool, parts.pool, "pool");
    require_same_text(name_space, parts.name_space, "namespace");
    require_same_text(image, parts.image, "image");
    require(back.hosts.count == disk->source.hosts.count, "hosts", NULL);
    require_same_text(back.config_file, disk->source.config_file, "configuration file");
    require_same_text(back.auth_user, disk->source.auth_user, "user");
}

static void check_cut_out(const struct domain *domain, const struct disk *disk)
{
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *xml = domain_disk_xml(domain, disk->target);
    CLEANUP(domain_freep) struct domain *holder = NULL;
    require(disk_parse(xml, &holder, &error) == 0, "a disk by itself parses", &error);
    require(holder->disks.count == 1, "one disk", NULL);
    const struct disk *cut = &holder->disks.items[0];
    require_untouched(disk, cut);
    CLEANUP(disk_source_clear) struct disk_source copy = {0};
    disk_source_copy(&copy, &disk->source);
    require(disk_source_same(&cut->source, &copy) == disk_source_same(&disk->source, &copy),
            "the source of a disk by itself", NULL);
    AUTO_FREE char *again = domain_disk_xml(holder, disk->target);
    require_same_text(again, xml, "cut out again");
}

/* The domain's first disks in a domain of their own, with sizes in its metadata. */
static void check_sizes(const struct domain *domain)
{
    enum { MOST = 4 };
    struct disk_capacity sizes[MOST];
    size_t count = domain->disks.count < MOST ? domain->disks.count : MOST;
    AUTO_BUFFER struct buffer disks = {0};
    for (size_t i = 0; i < count; i++) {
        const struct disk *disk = &domain->disks.items[i];
        require(disk->capacity % 512 == 0 && disk->capacity <= INT64_MAX, "a capacity", NULL);
        AUTO_FREE char *xml = domain_disk_xml(domain, disk->target);
        buffer_add(&disks, xml);
        sizes[i] = (struct disk_capacity){disk->target, (i + 1) * 512, i % 2, NULL};
    }
    AUTO_FREE char *element = domain_sizes_xml(sizes, count);
    AUTO_FREE char *xml = text_format(
        "<domain><name>d</name><metadata><disks xmlns='" DOMAIN_SIZES_NAMESPACE "'%s</metadata>"
        "<devices>%s</devices></domain>",
        element + strlen("<disks"), disks.text ? disks.text : "");
    CLEANUP(domain_freep) struct domain *small = parse(xml, "disks of their own parse");
    require(small->disks.count == count, "as many disks", NULL);
    for (size_t i = 0; i < count; i++)
        require(small->disks.items[i].capacity == sizes[i].bytes, "the size written", NULL);
}

/* ---- Networks ---- */

static size_t count_tags(const char *xml)
{
    size_t count = 0;
    for (; *xml; xml++)
        count += *xml == '<';
    return count;
}

static void require_renamed(const struct domain *before, const struct domain *after,
                            const struct network_rename *rename)
{
    require(after->interfaces.count == before->interfaces.count, "the number of interfaces", NULL);
    for (size_t i = 0; i < after->interfaces.count; i++) {
        const struct interface *a = &before->interfaces.items[i];
        const struct interface *b = &after->interfaces.items[i];
        bool is_meant = text_equal(a->source, rename->from) &&
                        (!rename->mac || text_equal(a->mac, rename->mac));
        require(a->kind == b->kind, "the kind of an interface", NULL);
        require_same_text(a->mac, b->mac, "address");
        require_same_text(b->source, is_meant ? rename->to : a->source, "network");
    }
    for (size_t i = 0; i < before->disks.count; i++)
        require_untouched(&before->disks.items[i], &after->disks.items[i]);
}

static void check_rename(const struct domain *domain, const struct network_rename *rename)
{
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *xml = NULL;
    int result = domain_rename_networks(domain, rename, 1, &xml, &error);
    if (has_control_character(rename->from) || has_control_character(rename->to)) {
        require(result < 0 && error.code == ERROR_INPUT && !xml, "control characters", &error);
        return;
    }
    require(result == 0, "what parses can be renamed", &error);
    require(count_tags(xml) == count_tags(domain->xml), "no tag comes or goes", NULL);
    if (text_equal(rename->from, rename->to))
        require_same_text(xml, domain->xml, "the same name changes nothing");
    CLEANUP(domain_freep) struct domain *after = parse(xml, "what was renamed parses");
    require_same_text(after->name, domain->name, "name");
    require(after->disks.count == domain->disks.count, "the number of disks", NULL);
    require_renamed(domain, after, rename);
    AUTO_FREE char *again = NULL;
    require(domain_rename_networks(after, rename, 1, &again, &error) == 0, "again", &error);
    require_same_text(again, xml, "renamed once more changes nothing");
}

static void check_networks(const struct domain *domain)
{
    for (size_t i = 0; i < domain->interfaces.count && i < 3; i++) {
        const struct interface *interface = &domain->interfaces.items[i];
        if (!interface->source)
            continue;
        const struct network_rename renames[] = {
            {NULL, interface->source, domain->name}, /* any text that XML can hold */
            {NULL, interface->source, interface->source},
            {interface->mac, interface->source, "<'&\">"},
        };
        for (size_t j = 0; j < ARRAY_SIZE(renames); j++)
            check_rename(domain, &renames[j]);
    }
}

/* ---- All of it ---- */

static void check_disk(const struct domain *domain, const struct disk *disk)
{
    const struct network_host host = {.name = (char *)"fd00::1", .port = (char *)"6789"};
    const struct iotune iotune = {.total_iops_sec = 1};
    const struct disk_rewrite rewrites[] = {
        {.target = disk->target,
         .destination = {.hosts = &host,
                         .host_count = 1,
                         .user = domain->name, /* any text that XML can hold */
                         .secret_usage = domain->name,
                         .pool = "p",
                         .image = "i"},
         .cache = "none",
         .io = "threads",
         .discard = "unmap",
         .detect_zeroes = "unmap",
         .iotune = &iotune},
        {.target = disk->target,
         .destination =
             {.config_file = domain->name, .pool = "p", .name_space = "n", .image = "i"}},
    };
    check_rewrite(domain, &rewrites[0]);
    check_rewrite(domain, &rewrites[1]);
    check_destination(disk);
    check_cut_out(domain, disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = NULL;
    if (domain_parse((const char *)data, size, &domain, &error) < 0) {
        require(!domain && error.code == ERROR_INPUT && error.message, "refused well", &error);
        return 0;
    }
    AUTO_FREE char *same = NULL;
    require(domain_rewrite(domain, NULL, 0, &same, &error) == 0, "pass-through", &error);
    require_same_text(same, domain->xml, "pass-through changes nothing");
    for (size_t i = 0; i < domain->disks.count && i < 3; i++)
        check_disk(domain, &domain->disks.items[i]);
    check_sizes(domain);
    check_networks(domain);
    return 0;
}
