/* Network interfaces: what they are on, and other names for that. */
#include "domain/edit.h"

#include <ctype.h>
#include <strings.h>

/* ---- Reading ---- */

/* By the interface's own type. In live XML the <source> of type='network' names the bridge behind
 * the network too; that is libvirt's affair. */
static const struct {
    const char *type, *attribute; /* of <source> */
} kinds[] = {
    [INTERFACE_NETWORK] = {"network", "network"},
    [INTERFACE_BRIDGE] = {"bridge", "bridge"},
};

static enum interface_kind read_kind(xmlNode *node)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (element_attribute_is(node, "type", kinds[i].type))
            return (enum interface_kind)i;
    return INTERFACE_OTHER;
}

/* The child of this name. With a second one it would depend on libvirt's version which one counts:
 * then there is none. */
static xmlNode *only_child(const xmlNode *node, const char *name)
{
    xmlNode *child = element_child(node, name);
    return child && !element_next(child, name) ? child : NULL;
}

static char *read_mac(xmlNode *node)
{
    char *mac = element_attribute_filled(only_child(node, "mac"), "address");
    for (char *c = mac; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return mac;
}

int domain_read_interfaces(struct domain *domain, xmlNode *devices, struct error *error)
{
    for (xmlNode *node = element_child(devices, "interface"); node;
         node = element_next(node, "interface")) {
        if (domain->interfaces.count == MAX_DEVICES)
            return domain_refuse(domain, node, error, "more than %d interfaces", MAX_DEVICES);
        enum interface_kind kind = read_kind(node);
        *node_list_add(&domain->ranges->interfaces) = node;
        *interfaces_add(&domain->interfaces) = (struct interface){
            .mac = read_mac(node),
            .kind = kind,
            .source = kind == INTERFACE_OTHER ? NULL
                                              : element_attribute_filled(only_child(node, "source"),
                                                                         kinds[kind].attribute),
        };
    }
    return 0;
}

/* ---- Renaming ---- */

static int check_renames(const struct network_rename *renames, size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct network_rename *rename = &renames[i];
        if (!rename->from || !rename->to || !is_plain(rename->from) || !is_plain(rename->to))
            return error_set(error, ERROR_INPUT, "not a valid name of a network or bridge");
    }
    return 0;
}

/* What the interface's network or bridge is to be called; NULL when it has none. */
static const char *wanted_name(const struct interface *interface,
                               const struct network_rename *renames, size_t count)
{
    for (size_t i = 0; interface->source && i < count; i++) {
        bool is_meant =
            !renames[i].mac || (interface->mac && strcasecmp(renames[i].mac, interface->mac) == 0);
        if (is_meant && strcmp(renames[i].from, interface->source) == 0)
            return renames[i].to;
    }
    return interface->source;
}

static int rename_one(const struct domain *domain, size_t index, const char *name,
                      struct edit_list *edits, struct error *error)
{
    const struct interface *interface = &domain->interfaces.items[index];
    const xmlNode *source = element_child(domain->ranges->interfaces.items[index], "source");
    struct attribute_span span;
    if (!source || !find_attribute_span(domain, source, kinds[interface->kind].attribute, &span))
        return error_set(error, ERROR_INPUT, "cannot locate the network of an interface");
    AUTO_BUFFER struct buffer value = {0};
    render_escaped(&value, name);
    *edit_list_add(edits) = (struct edit){
        .start = span.value, .end = span.value + span.value_length, .text = buffer_take(&value)};
    return 0;
}

/* Reads the result back: the interfaces on their networks, and the disks as they were. */
static int check_renamed(const struct domain *before, const char *xml,
                         const struct network_rename *renames, size_t count, struct error *error)
{
    CLEANUP(domain_freep) struct domain *after = NULL;
    if (domain_parse(xml, strlen(xml), &after, error) < 0)
        return error_prefix(error, "the XML with other networks does not parse");
    bool is_right = after->interfaces.count == before->interfaces.count &&
                    after->disks.count == before->disks.count &&
                    text_equal(after->uuid, before->uuid);
    for (size_t i = 0; is_right && i < after->interfaces.count; i++) {
        const struct interface *old = &before->interfaces.items[i];
        const struct interface *new = &after->interfaces.items[i];
        is_right = new->kind == old->kind &&text_equal(new->mac, old->mac) &&
                   text_equal(new->source, wanted_name(old, renames, count));
    }
    for (size_t i = 0; is_right && i < after->disks.count; i++)
        is_right = is_same_disk_text(before, after, i);
    if (!is_right)
        return error_set(error, ERROR_INPUT,
                         "the XML with other networks is not what was asked for");
    return 0;
}

int domain_rename_networks(const struct domain *domain, const struct network_rename *renames,
                           size_t count, char **xml, struct error *error)
{
    *xml = NULL;
    if (check_renames(renames, count, error) < 0)
        return -1;
    CLEANUP(edit_list_clear) struct edit_list edits = {0};
    for (size_t i = 0; i < domain->interfaces.count; i++) {
        const struct interface *interface = &domain->interfaces.items[i];
        const char *name = wanted_name(interface, renames, count);
        if (!text_equal(name, interface->source) && rename_one(domain, i, name, &edits, error) < 0)
            return -1;
    }
    AUTO_FREE char *result = NULL;
    if (edit_list_splice(domain, &edits, &result, error) < 0 ||
        check_renamed(domain, result, renames, count, error) < 0)
        return -1;
    *xml = STEAL(result);
    return 0;
}
