#include "domain/domain.h"

#include <arpa/inet.h>
#include <strings.h>

void disk_source_clear(struct disk_source *source)
{
    free(source->path);
    free(source->protocol);
    free(source->name);
    free(source->snapshot);
    free(source->config_file);
    for (size_t i = 0; i < source->hosts.count; i++) {
        free(source->hosts.items[i].name);
        free(source->hosts.items[i].port);
        free(source->hosts.items[i].socket);
    }
    free(source->hosts.items);
    free(source->auth_user);
    free(source->secret_uuid);
    free(source->secret_usage);
    free(source->volume_pool);
    free(source->volume);
    *source = (struct disk_source){0};
}

static void copy_host(struct network_hosts *hosts, const struct network_host *host)
{
    *network_hosts_add(hosts) = (struct network_host){
        .name = text_dup(host->name),
        .port = text_dup(host->port),
        .socket = text_dup(host->socket),
    };
}

void disk_source_copy(struct disk_source *copy, const struct disk_source *source)
{
    *copy = (struct disk_source){
        .type = source->type,
        .path = text_dup(source->path),
        .protocol = text_dup(source->protocol),
        .name = text_dup(source->name),
        .snapshot = text_dup(source->snapshot),
        .config_file = text_dup(source->config_file),
        .auth_user = text_dup(source->auth_user),
        .secret_uuid = text_dup(source->secret_uuid),
        .secret_usage = text_dup(source->secret_usage),
        .volume_pool = text_dup(source->volume_pool),
        .volume = text_dup(source->volume),
    };
    for (size_t i = 0; i < source->hosts.count; i++)
        copy_host(&copy->hosts, &source->hosts.items[i]);
}

/* ---- The same bytes? ---- */

/* What a client tries when no port is given. A Ceph monitor listens on two. */
static const struct {
    const char *protocol, *port;
} default_ports[] = {
    {"rbd", "6789"},      {"rbd", "3300"}, {"nbd", "10809"},     {"iscsi", "3260"},
    {"gluster", "24007"}, {"ssh", "22"},   {"sheepdog", "7000"}, {"http", "80"},
    {"https", "443"},     {"ftp", "21"},   {"ftps", "990"},      {"tftp", "69"},
    {"vxhs", "9999"},
};

static bool is_default_port(const char *protocol, const char *port)
{
    for (size_t i = 0; i < ARRAY_SIZE(default_ports); i++)
        if (text_equal(default_ports[i].protocol, protocol) &&
            text_equal(default_ports[i].port, port))
            return true;
    return false;
}

static bool same_port(const char *protocol, const char *a, const char *b)
{
    if (text_empty(a) || text_empty(b))
        return (text_empty(a) && text_empty(b)) || is_default_port(protocol, text_empty(a) ? b : a);
    return strcmp(a, b) == 0;
}

static bool same_host_name(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    struct in6_addr address_a, address_b;
    if (inet_pton(AF_INET6, a, &address_a) == 1 && inet_pton(AF_INET6, b, &address_b) == 1)
        return memcmp(&address_a, &address_b, sizeof(address_a)) == 0;
    return strcasecmp(a, b) == 0;
}

static bool same_host(const char *protocol, const struct network_host *a,
                      const struct network_host *b)
{
    if (a->socket || b->socket)
        return text_equal(a->socket, b->socket);
    return same_host_name(a->name, b->name) && same_port(protocol, a->port, b->port);
}

static bool have_common_host(const struct disk_source *a, const struct disk_source *b)
{
    for (size_t i = 0; i < a->hosts.count; i++)
        for (size_t j = 0; j < b->hosts.count; j++)
            if (same_host(a->protocol, &a->hosts.items[i], &b->hosts.items[j]))
                return true;
    return false;
}

/* Without hosts a cluster is known by its configuration file only. */
static const char *config_or_default(const struct disk_source *source)
{
    bool has_default = text_equal(source->protocol, "rbd");
    return source->config_file || !has_default ? source->config_file : "/etc/ceph/ceph.conf";
}

static bool same_place(const struct disk_source *a, const struct disk_source *b)
{
    if (a->hosts.count == 0 && b->hosts.count == 0)
        return text_equal(config_or_default(a), config_or_default(b));
    return have_common_host(a, b);
}

static bool same_text(const char *a, const char *b)
{
    return (text_empty(a) && text_empty(b)) || text_equal(a, b);
}

bool disk_source_same(const struct disk_source *a, const struct disk_source *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case SOURCE_NONE:
        return true;
    case SOURCE_FILE:
    case SOURCE_BLOCK:
    case SOURCE_VHOST_USER:
    case SOURCE_OTHER:
        return a->path && text_equal(a->path, b->path);
    case SOURCE_NETWORK:
        return text_equal(a->protocol, b->protocol) && same_text(a->name, b->name) &&
               same_text(a->snapshot, b->snapshot) && same_place(a, b);
    case SOURCE_VOLUME:
        return a->volume && text_equal(a->volume_pool, b->volume_pool) &&
               text_equal(a->volume, b->volume);
    }
    return false;
}

bool disk_is_nested(const struct disk *disk)
{
    return disk->source.type == SOURCE_NETWORK && disk->format && !text_equal(disk->format, "raw");
}

/* ---- For people ---- */

static void describe_host(struct buffer *out, const struct network_host *host)
{
    if (!host->name)
        return;
    bool is_ipv6 = strchr(host->name, ':') != NULL;
    buffer_format(out, "%s%s%s", is_ipv6 ? "[" : "", host->name, is_ipv6 ? "]" : "");
    if (host->port)
        buffer_format(out, ":%s", host->port);
}

static char *describe_network(const struct disk_source *source)
{
    AUTO_BUFFER struct buffer out = {0};
    const char *protocol = source->protocol ? source->protocol : "network";
    const char *name = source->name ? source->name : "";
    const char *socket = source->hosts.count > 0 ? source->hosts.items[0].socket : NULL;
    if (text_equal(source->protocol, "rbd")) {
        buffer_format(&out, "rbd:%s", name);
    } else {
        buffer_format(&out, "%s%s://", protocol, socket ? "+unix" : "");
        if (source->hosts.count > 0)
            describe_host(&out, &source->hosts.items[0]);
        buffer_format(&out, "%s%s", *name == '/' ? "" : "/", name);
    }
    if (source->snapshot)
        buffer_format(&out, "@%s", source->snapshot);
    if (socket)
        buffer_format(&out, "?socket=%s", socket);
    return buffer_take(&out);
}

char *disk_source_describe(const struct disk_source *source)
{
    switch (source->type) {
    case SOURCE_NETWORK:
        return describe_network(source);
    case SOURCE_VOLUME:
        return text_format("volume %s/%s", source->volume_pool ? source->volume_pool : "",
                           source->volume ? source->volume : "");
    case SOURCE_NONE:
        return text_dup("no source");
    default:
        return text_dup(source->path ? source->path : "unknown source");
    }
}

/* ---- RBD names ---- */

bool rbd_name_split(const char *name, char **pool, char **name_space, char **image)
{
    *pool = NULL;
    *name_space = NULL;
    *image = NULL;
    const char *first = name ? strchr(name, '/') : NULL;
    if (!first)
        return false;
    const char *second = strchr(first + 1, '/');
    *pool = text_slice(name, (size_t)(first - name));
    if (second && second > first + 1) /* "pool//image" is the default namespace */
        *name_space = text_slice(first + 1, (size_t)(second - first - 1));
    *image = text_dup(second ? second + 1 : first + 1);
    return true;
}

void rbd_destination_source(const struct rbd_destination *destination, struct disk_source *source)
{
    bool has_namespace = !text_empty(destination->name_space);
    *source = (struct disk_source){
        .type = SOURCE_NETWORK,
        .protocol = text_dup("rbd"),
        .name = text_format("%s/%s%s%s", destination->pool,
                            has_namespace ? destination->name_space : "", has_namespace ? "/" : "",
                            destination->image),
        .config_file = text_dup(destination->config_file),
        .auth_user = text_dup(destination->user),
        .secret_uuid = text_dup(destination->user ? destination->secret_uuid : NULL),
        .secret_usage = text_dup(destination->user ? destination->secret_usage : NULL),
    };
    for (size_t i = 0; i < destination->host_count; i++)
        copy_host(&source->hosts, &destination->hosts[i]);
}

bool rbd_destination_of_source(const struct disk_source *source, struct rbd_parts *parts)
{
    *parts = (struct rbd_parts){0};
    /* A snapshot is not what a guest can write to: as a destination it would lose its name. */
    bool is_image = source->type == SOURCE_NETWORK && text_equal(source->protocol, "rbd") &&
                    !source->snapshot &&
                    rbd_name_split(source->name, &parts->pool, &parts->name_space, &parts->image);
    if (!is_image || text_empty(parts->pool) || text_empty(parts->image)) {
        rbd_parts_clear(parts);
        return false;
    }
    parts->destination = (struct rbd_destination){
        .hosts = source->hosts.items,
        .host_count = source->hosts.count,
        .config_file = source->config_file,
        .user = source->auth_user,
        .secret_uuid = source->auth_user ? source->secret_uuid : NULL,
        .secret_usage = source->auth_user ? source->secret_usage : NULL,
        .pool = parts->pool,
        .name_space = parts->name_space,
        .image = parts->image,
    };
    return true;
}

void rbd_parts_clear(struct rbd_parts *parts)
{
    free(parts->pool);
    free(parts->name_space);
    free(parts->image);
    *parts = (struct rbd_parts){0};
}
