/* What virt-pivot keeps in a domain's <metadata>: the tier that an operator asks for, and the sizes
 * of the disks. */
#include "domain/document.h"
#include "domain/render.h"

#include <stdint.h>

/* ---- The tier label ---- */

static xmlNode *find_tier(xmlNode *parent)
{
    for (xmlNode *node = parent->children; node; node = node->next) {
        if (node->type != XML_ELEMENT_NODE)
            continue;
        if (element_is_of(node, DOMAIN_METADATA_NAMESPACE, "tier"))
            return node;
        xmlNode *below = find_tier(node); /* document.c bounds the depth */
        if (below)
            return below;
    }
    return NULL;
}

/* ---- Sizes ---- */

#define SECTOR 512

static bool is_capacity(uint64_t bytes)
{
    return bytes > 0 && bytes <= INT64_MAX && bytes % SECTOR == 0;
}

/* Digits only, as domain_sizes_xml writes them; 0 when it is no capacity. */
static uint64_t read_capacity(const char *text)
{
    uint64_t bytes = 0;
    for (; text && *text; text++) {
        if (*text < '0' || *text > '9' || bytes > INT64_MAX / 10)
            return 0;
        bytes = bytes * 10 + (uint64_t)(*text - '0');
    }
    return is_capacity(bytes) ? bytes : 0;
}

static void read_size(struct domain *domain, xmlNode *node)
{
    AUTO_FREE char *target = element_attribute_filled(node, "target");
    AUTO_FREE char *text = element_attribute_filled(node, "capacity");
    AUTO_FREE char *local = element_attribute_filled(node, "local");
    AUTO_FREE char *source = element_attribute_filled(node, "source");
    for (size_t i = 0; target && i < domain->disks.count; i++) {
        struct disk *disk = &domain->disks.items[i];
        if (strcmp(disk->target, target) != 0)
            continue;
        AUTO_FREE char *own = disk_source_describe(&disk->source);
        if (disk->capacity || (source && !text_equal(source, own))) /* the first valid one counts */
            return;
        disk->capacity = read_capacity(text);
        disk->local = disk->capacity && text_equal(local, "yes");
        return;
    }
}

/* libvirt gives the children the prefix of their parent; one that does not is understood too. */
static bool is_size(const xmlNode *node)
{
    return element_is(node, "disk") || element_is_of(node, DOMAIN_SIZES_NAMESPACE, "disk");
}

static void read_sizes(struct domain *domain, xmlNode *metadata)
{
    size_t left = MAX_DEVICES; /* each is looked up among the disks */
    for (const xmlNode *list = metadata->children; list; list = list->next) {
        if (!element_is_of(list, DOMAIN_SIZES_NAMESPACE, "disks"))
            continue;
        for (xmlNode *node = list->children; node && left > 0; node = node->next) {
            if (!is_size(node))
                continue;
            read_size(domain, node);
            domain->sizes++;
            left--;
        }
    }
}

void domain_read_metadata(struct domain *domain, xmlNode *metadata)
{
    domain->tier_label = element_content_trimmed(find_tier(metadata));
    read_sizes(domain, metadata);
}

char *domain_sizes_xml(const struct disk_capacity *sizes, size_t count)
{
    AUTO_BUFFER struct buffer out = {0};
    buffer_add(&out, "<disks>");
    for (size_t i = 0; i < count; i++) {
        if (!is_capacity(sizes[i].bytes))
            continue;
        buffer_add(&out, "<disk");
        render_attribute(&out, "target", sizes[i].target);
        buffer_format(&out, " capacity='%llu'%s", (unsigned long long)sizes[i].bytes,
                      sizes[i].local ? " local='yes'" : "");
        if (sizes[i].source)
            render_attribute(&out, "source", sizes[i].source);
        buffer_add(&out, "/>");
    }
    buffer_add(&out, "</disks>");
    return buffer_take(&out);
}
