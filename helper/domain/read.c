#include "domain/document.h"

#include "domain/scan.h"

#include <ctype.h>

int domain_refuse(const struct domain *domain, const xmlNode *node, struct error *error,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO_FREE char *reason = text_vformat(format, args);
    va_end(args);
    size_t line = 0, column = 0;
    document_position(domain->xml, document_range(domain->ranges, node)->start, &line, &column);
    return error_set(error, ERROR_INPUT, "domain XML %zu:%zu: %s", line, column, reason);
}

/* ---- Sources ---- */

static const struct {
    const char *word;
    enum source_type type;
    const char *path; /* the attribute of <source> that names the bytes */
} source_types[] = {
    {"file", SOURCE_FILE, "file"},      {"block", SOURCE_BLOCK, "dev"},
    {"network", SOURCE_NETWORK, NULL},  {"volume", SOURCE_VOLUME, NULL},
    {"dir", SOURCE_OTHER, "dir"},       {"vhostuser", SOURCE_VHOST_USER, "path"},
    {"vhostvdpa", SOURCE_OTHER, "dev"},
};

static void read_auth(xmlNode *auth, struct disk_source *source)
{
    if (!auth)
        return;
    source->auth_user = element_attribute(auth, "username");
    xmlNode *secret = element_child(auth, "secret");
    source->secret_uuid = element_attribute(secret, "uuid");
    source->secret_usage = source->secret_uuid ? NULL : element_attribute(secret, "usage");
}

static void read_hosts(xmlNode *node, struct network_hosts *hosts)
{
    for (xmlNode *host = element_child(node, "host"); host; host = element_next(host, "host")) {
        *network_hosts_add(hosts) = (struct network_host){
            .name = element_attribute(host, "name"),
            .port = element_attribute(host, "port"),
            .socket = element_attribute(host, "socket"),
        };
    }
}

static void read_network_source(xmlNode *node, struct disk_source *source)
{
    source->protocol = element_attribute(node, "protocol");
    source->name = element_attribute(node, "name");
    source->snapshot = element_attribute_filled(element_child(node, "snapshot"), "name");
    source->config_file = element_attribute_filled(element_child(node, "config"), "file");
    read_hosts(node, &source->hosts);
}

void domain_read_source(xmlNode *node, const char *type, struct disk_source *source)
{
    if (!node)
        return;
    source->type = SOURCE_OTHER;
    for (size_t i = 0; i < ARRAY_SIZE(source_types); i++) {
        if (strcmp(source_types[i].word, type) != 0)
            continue;
        source->type = source_types[i].type;
        if (source_types[i].path)
            source->path = element_attribute_filled(node, source_types[i].path);
        break;
    }
    if (source->type == SOURCE_NETWORK)
        read_network_source(node, source);
    if (source->type == SOURCE_VOLUME) {
        source->volume_pool = element_attribute(node, "pool");
        source->volume = element_attribute(node, "volume");
    }
    if ((source->type == SOURCE_FILE || source->type == SOURCE_BLOCK) && !source->path)
        source->type = SOURCE_NONE;
    read_auth(element_child(node, "auth"), source);
}

/* ---- Disks ---- */

static int read_device(const struct domain *domain, xmlNode *node, struct disk *disk,
                       struct error *error)
{
    static const char *const words[] = {
        [DEVICE_DISK] = "disk",
        [DEVICE_CDROM] = "cdrom",
        [DEVICE_FLOPPY] = "floppy",
        [DEVICE_LUN] = "lun",
    };
    disk->device_name = element_attribute(node, "device");
    if (!disk->device_name)
        disk->device_name = text_dup("disk");
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcmp(words[i], disk->device_name) == 0) {
            disk->device = (enum disk_device)i;
            return 0;
        }
    }
    return domain_refuse(domain, node, error, "a disk with the unknown device '%s'",
                         disk->device_name);
}

/* libvirt's schema has each of these once. With two of them it would depend on libvirt's version
 * which one counts, and we must not guess where a guest's data are. */
static int refuse_repeated(const struct domain *domain, xmlNode *node, struct error *error)
{
    static const char *const once[] = {"driver", "source", "target", "mirror", "backingStore"};
    for (size_t i = 0; i < ARRAY_SIZE(once); i++) {
        xmlNode *first = element_child(node, once[i]);
        xmlNode *second = first ? element_next(first, once[i]) : NULL;
        if (second)
            return domain_refuse(domain, second, error, "a disk with a second <%s>", once[i]);
    }
    return 0;
}

static bool has_iothread(xmlNode *driver)
{
    AUTO_FREE char *iothread = element_attribute_filled(driver, "iothread");
    return iothread || (driver && element_child(driver, "iothreads"));
}

static void read_driver(xmlNode *driver, struct disk *disk)
{
    disk->has_iothread = has_iothread(driver);
    disk->format = element_attribute(driver, "type");
    disk->cache = element_attribute(driver, "cache");
    disk->io = element_attribute(driver, "io");
    disk->discard = element_attribute(driver, "discard");
    disk->detect_zeroes = element_attribute(driver, "detect_zeroes");
}

static unsigned backing_depth(xmlNode *disk)
{
    unsigned depth = 0;
    xmlNode *store = element_child(disk, "backingStore");
    for (; store; store = element_child(store, "backingStore"))
        depth += element_child(store, "source") != NULL;
    return depth;
}

static void read_mirror(xmlNode *mirror, struct disk *disk)
{
    if (!mirror)
        return;
    disk->has_mirror = true;
    disk->mirror_ready_text = element_attribute(mirror, "ready");
    disk->mirror_ready = text_equal(disk->mirror_ready_text, "yes");
    AUTO_FREE char *type = element_attribute(mirror, "type");
    xmlNode *source = element_child(mirror, "source");
    if (source) {
        domain_read_source(source, type ? type : "file", &disk->mirror_source);
    } else { /* the older notation: <mirror file='…'/> */
        domain_read_source(mirror, "file", &disk->mirror_source);
    }
}

static bool has_children(xmlNode *node, const char *name)
{
    const xmlNode *child = element_child(node, name);
    return child && element_first_child(child);
}

static char *read_iotune(const struct domain *domain, xmlNode *disk)
{
    if (!has_children(disk, "iotune"))
        return NULL;
    const struct element_range *range =
        document_range(domain->ranges, element_child(disk, "iotune"));
    return text_slice(domain->xml + range->start, range->end - range->start);
}

static void read_flags(xmlNode *node, xmlNode *source, struct disk *disk)
{
    disk->readonly = element_child(node, "readonly") != NULL;
    disk->shareable = element_child(node, "shareable") != NULL;
    disk->transient = element_child(node, "transient") != NULL;
    disk->removable = element_attribute_is(element_child(node, "target"), "removable", "on");
    disk->encrypted =
        element_child(node, "encryption") || (source && element_child(source, "encryption"));
    disk->has_slices = source && element_child(source, "slices");
    disk->has_iotune = disk->iotune_xml || has_children(node, "throttlefilters");
}

static int read_disk(struct domain *domain, xmlNode *node, struct error *error)
{
    xmlNode *target = element_child(node, "target");
    AUTO_FREE char *name = element_attribute_filled(target, "dev");
    if (!name)
        return domain_refuse(domain, node, error, "a disk without <target dev=…>");
    if (domain->disks.count == MAX_DEVICES)
        return domain_refuse(domain, node, error, "more than %d disks", MAX_DEVICES);
    if (domain_disk(domain, name))
        return domain_refuse(domain, node, error, "a second disk with the target '%s'", name);

    struct disk *disk = disks_add(&domain->disks);
    *node_list_add(&domain->ranges->disks) = node;
    disk->target = STEAL(name);
    disk->bus = element_attribute_filled(target, "bus");
    disk->type_name = element_attribute(node, "type");
    if (!disk->type_name)
        disk->type_name = text_dup("file"); /* libvirt's default */
    if (read_device(domain, node, disk, error) < 0 || refuse_repeated(domain, node, error) < 0)
        return -1;

    xmlNode *source = element_child(node, "source");
    domain_read_source(source, disk->type_name, &disk->source);
    if (!source || !element_child(source, "auth"))
        read_auth(element_child(node, "auth"), &disk->source);
    read_driver(element_child(node, "driver"), disk);
    disk->serial = element_content(element_child(node, "serial"));
    disk->alias = element_attribute_filled(element_child(node, "alias"), "name");
    disk->backing_depth = backing_depth(node);
    read_mirror(element_child(node, "mirror"), disk);
    disk->iotune_xml = read_iotune(domain, node);
    read_flags(node, source, disk);
    return 0;
}

/* ---- The domain ---- */

/* As libvirt's virUUIDParse: hexadecimal digits, dashes anywhere, white space around. */
static char *canonical_uuid(const char *text)
{
    char digits[33] = "";
    size_t count = 0;
    for (; *text; text++) {
        if (*text == '-')
            continue;
        if (!isxdigit((unsigned char)*text) || count == 32)
            return NULL;
        digits[count++] = (char)tolower((unsigned char)*text);
    }
    if (count != 32)
        return NULL;
    return text_format("%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12, digits + 16,
                       digits + 20);
}

static int read_identity(struct domain *domain, xmlNode *root, struct error *error)
{
    domain->type = element_attribute(root, "type");
    AUTO_FREE char *id = element_attribute_filled(root, "id");
    domain->live = id && strspn(id, "0123456789") == strlen(id); /* not the -1 of one that is off */
    domain->name = element_content(element_child(root, "name"));
    if (!domain->name)
        return domain_refuse(domain, root, error, "a domain without <name>");
    xmlNode *uuid = element_child(root, "uuid");
    AUTO_FREE char *text = element_content_trimmed(uuid);
    if (!text)
        return 0;
    domain->uuid = canonical_uuid(text);
    return domain->uuid ? 0 : domain_refuse(domain, uuid, error, "'%s' is not a UUID", text);
}

/* <nvram>PATH</nvram>, or since libvirt 8.5 <nvram type='file'><source file='PATH'/></nvram>. */
static char *read_nvram(xmlNode *root)
{
    xmlNode *os = element_child(root, "os");
    xmlNode *nvram = os ? element_child(os, "nvram") : NULL;
    if (!nvram)
        return NULL;
    xmlNode *source = element_child(nvram, "source");
    if (!source)
        return element_content_trimmed(nvram);
    char *path = element_attribute_filled(source, "file");
    return path ? path : element_attribute_filled(source, "dev");
}

static void read_tpms(struct domain *domain, xmlNode *devices)
{
    domain->tpm_persistent = true;
    for (xmlNode *tpm = element_child(devices, "tpm"); tpm; tpm = element_next(tpm, "tpm")) {
        xmlNode *backend = element_child(tpm, "backend");
        if (!backend || !element_attribute_is(backend, "type", "emulator"))
            continue;
        domain->has_tpm_emulator = true;
        domain->tpm_persistent &= element_attribute_is(backend, "persistent_state", "yes");
    }
    domain->tpm_persistent &= domain->has_tpm_emulator;
}

/* Of virtio-scsi the controller has the iothread, for all of its disks. */
static void read_controllers(struct domain *domain, xmlNode *devices)
{
    for (xmlNode *controller = element_child(devices, "controller"); controller;
         controller = element_next(controller, "controller")) {
        AUTO_FREE char *index = element_attribute(controller, "index");
        if (!element_attribute_is(controller, "type", "scsi") ||
            !has_iothread(element_child(controller, "driver")))
            continue;
        for (size_t i = 0; i < domain->disks.count; i++) {
            struct disk *disk = &domain->disks.items[i];
            xmlNode *address = element_child(domain->ranges->disks.items[i], "address");
            disk->has_iothread |=
                text_equal(disk->bus, "scsi") && element_attribute_is(address, "controller", index);
        }
    }
}

static bool is_started(const struct domain *domain, const xmlNode *root)
{
    const xmlNode *resource = element_child(root, "resource");
    if (!resource || !element_child(resource, "partition"))
        return false;
    for (size_t i = 0; i < domain->disks.count; i++) {
        enum source_type type = domain->disks.items[i].source.type;
        bool is_local = type == SOURCE_FILE || type == SOURCE_BLOCK;
        if (is_local && !element_child(domain->ranges->disks.items[i], "backingStore"))
            return false;
    }
    return true;
}

static int read_devices(struct domain *domain, xmlNode *devices, struct error *error)
{
    xmlNode *second = element_next(devices, "devices");
    if (second)
        return domain_refuse(domain, second, error, "a second <devices>");
    read_tpms(domain, devices);
    for (xmlNode *disk = element_child(devices, "disk"); disk; disk = element_next(disk, "disk"))
        if (read_disk(domain, disk, error) < 0)
            return -1;
    read_controllers(domain, devices);
    return domain_read_interfaces(domain, devices, error);
}

static int domain_read(struct domain *domain, xmlNode *root, struct error *error)
{
    if (!element_is(root, "domain"))
        return domain_refuse(domain, root, error, "the root element is <%s>, not <domain>",
                             (const char *)root->name);
    if (read_identity(domain, root, error) < 0)
        return -1;
    domain->nvram = read_nvram(root);
    xmlNode *devices = element_child(root, "devices");
    if (devices && read_devices(domain, devices, error) < 0)
        return -1;
    domain->started = is_started(domain, root);
    xmlNode *metadata = element_child(root, "metadata");
    if (metadata)
        domain_read_metadata(domain, metadata);
    return 0;
}

static int disk_read(struct domain *holder, xmlNode *root, struct error *error)
{
    if (!element_is(root, "disk"))
        return domain_refuse(holder, root, error, "the root element is <%s>, not <disk>",
                             (const char *)root->name);
    return read_disk(holder, root, error);
}

/* ---- Life ---- */

typedef int read_function(struct domain *domain, xmlNode *root, struct error *error);

static int parse(const char *xml, size_t length, read_function *read, struct domain **domain,
                 struct error *error)
{
    *domain = NULL;
    if (length > DOMAIN_XML_MAX_BYTES)
        return error_set(error, ERROR_INPUT, "domain XML of %zu bytes: the limit is %u", length,
                         DOMAIN_XML_MAX_BYTES);
    CLEANUP(domain_freep) struct domain *parsed = NEW(struct domain);
    parsed->xml = text_slice(xml, length);
    parsed->xml_length = length;
    parsed->ranges = document_parse(parsed->xml, length, error);
    if (!parsed->ranges || read(parsed, xmlDocGetRootElement(parsed->ranges->tree), error) < 0)
        return -1;
    *domain = STEAL(parsed);
    return 0;
}

int domain_parse(const char *xml, size_t length, struct domain **domain, struct error *error)
{
    return parse(xml, length, domain_read, domain, error);
}

int disk_parse(const char *xml, struct domain **holder, struct error *error)
{
    return parse(xml, strlen(xml), disk_read, holder, error);
}

static void disk_clear(struct disk *disk)
{
    free(disk->target);
    free(disk->bus);
    free(disk->type_name);
    free(disk->device_name);
    disk_source_clear(&disk->source);
    free(disk->format);
    free(disk->cache);
    free(disk->io);
    free(disk->discard);
    free(disk->detect_zeroes);
    free(disk->serial);
    free(disk->alias);
    free(disk->iotune_xml);
    free(disk->mirror_ready_text);
    disk_source_clear(&disk->mirror_source);
}

void domain_free(struct domain *domain)
{
    free(domain->xml);
    free(domain->name);
    free(domain->uuid);
    free(domain->type);
    free(domain->tier_label);
    free(domain->nvram);
    for (size_t i = 0; i < domain->disks.count; i++)
        disk_clear(&domain->disks.items[i]);
    free(domain->disks.items);
    for (size_t i = 0; i < domain->interfaces.count; i++) {
        free(domain->interfaces.items[i].mac);
        free(domain->interfaces.items[i].source);
    }
    free(domain->interfaces.items);
    if (domain->ranges)
        document_free(domain->ranges);
    free(domain);
}

const struct disk *domain_disk(const struct domain *domain, const char *target)
{
    for (size_t i = 0; i < domain->disks.count; i++)
        if (strcmp(domain->disks.items[i].target, target) == 0)
            return &domain->disks.items[i];
    return NULL;
}

static const struct element_range *disk_range(const struct domain *domain, const char *target)
{
    const struct disk *disk = domain_disk(domain, target);
    return disk ? document_range(domain->ranges,
                                 domain->ranges->disks.items[disk - domain->disks.items])
                : NULL;
}

char *domain_disk_xml(const struct domain *domain, const char *target)
{
    const struct element_range *range = disk_range(domain, target);
    return range ? text_slice(domain->xml + range->start, range->end - range->start) : NULL;
}

int domain_replace_disk(const struct domain *domain, const char *disk_xml, char **xml,
                        struct error *error)
{
    CLEANUP(domain_freep) struct domain *holder = NULL, *after = NULL;
    if (disk_parse(disk_xml, &holder, error) < 0 || !holder)
        return -1;
    const struct disk *disk = &holder->disks.items[0];
    const struct element_range *range = disk_range(domain, disk->target);
    if (!range)
        return error_set(error, ERROR_NOT_FOUND, "domain '%s' has no disk '%s'", domain->name,
                         disk->target);
    AUTO_BUFFER struct buffer text = {0};
    buffer_add_slice(&text, domain->xml, range->start);
    buffer_add(&text, disk_xml);
    buffer_add(&text, domain->xml + range->end);
    if (domain_parse(text.text, text.length, &after, error) < 0)
        return error_prefix(error, "the definition with its disk replaced");
    *xml = buffer_take(&text);
    return 0;
}
