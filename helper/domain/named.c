/* Every place that a domain's XML names for its disks: not only where each one is, but what it
 * stands on and where it is copied to. */
#include "domain/document.h"

#define MAX_CHAIN 256 /* libvirt's own limit is 200 */

void named_sources_clear(struct named_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        free(sources->items[i].target);
        free(sources->items[i].format);
        disk_source_clear(&sources->items[i].source);
    }
    free(sources->items);
    *sources = (struct named_sources){0};
}

static char *format_of(xmlNode *element)
{
    xmlNode *driver = element_child(element, "driver");
    return element_attribute(driver ? driver : element_child(element, "format"), "type");
}

static void add(xmlNode *element, const char *target, struct named_sources *sources)
{
    AUTO_FREE char *type = element_attribute(element, "type");
    struct disk_source source = {0};
    domain_read_source(element_child(element, "source"), type ? type : "file", &source);
    if (source.type == SOURCE_NONE)
        return;
    *named_sources_add(sources) = (struct named_source){
        .target = text_dup(target),
        .source = source,
        .format = format_of(element),
        .is_told = element_child(element, "backingStore") != NULL,
    };
}

/* A disk, a mirror or a backing store, with all below it. A qcow2 image's data may be in a file of
 * their own (<dataStore>, within <source>). */
static void add_chain(xmlNode *element, const char *target, struct named_sources *sources)
{
    for (unsigned depth = 0; element && depth < MAX_CHAIN; depth++) {
        const xmlNode *source = element_child(element, "source");
        xmlNode *data = source ? element_child(source, "dataStore") : NULL;
        add(element, target, sources);
        if (data)
            add(data, target, sources);
        element = element_child(element, "backingStore");
    }
}

void domain_named_sources(const struct domain *domain, struct named_sources *sources)
{
    for (size_t i = 0; i < domain->disks.count; i++) {
        const struct disk *disk = &domain->disks.items[i];
        xmlNode *node = domain->ranges->disks.items[i];
        add_chain(node, disk->target, sources);
        xmlNode *mirror = element_child(node, "mirror");
        if (!mirror)
            continue;
        add_chain(mirror, disk->target, sources);
        if (element_child(mirror, "source") || disk->mirror_source.type == SOURCE_NONE)
            continue;
        struct named_source *old = named_sources_add(sources); /* the older notation */
        old->target = text_dup(disk->target);
        disk_source_copy(&old->source, &disk->mirror_source);
    }
}
