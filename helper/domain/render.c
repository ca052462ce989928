#include "domain/render.h"

/* The same five as libvirt's virBufferEscapeString. White space other than the blank would be
 * normalised away within an attribute, so it is written as a character reference; other control
 * characters cannot be in XML at all and are left out, as libvirt does. */
void render_escaped(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            buffer_add(out, "&lt;");
            break;
        case '>':
            buffer_add(out, "&gt;");
            break;
        case '&':
            buffer_add(out, "&amp;");
            break;
        case '"':
            buffer_add(out, "&quot;");
            break;
        case '\'':
            buffer_add(out, "&apos;");
            break;
        case '\t':
        case '\n':
        case '\r':
            buffer_format(out, "&#%d;", *text);
            break;
        default:
            if ((unsigned char)*text >= ' ')
                buffer_add_slice(out, text, 1);
        }
    }
}

void render_attribute(struct buffer *out, const char *name, const char *value)
{
    if (!value)
        return;
    buffer_format(out, " %s='", name);
    render_escaped(out, value);
    buffer_add(out, "'");
}

static void new_line(struct buffer *out, const struct layout *layout, unsigned level)
{
    if (!*layout->newline)
        return;
    buffer_add(out, layout->newline);
    buffer_add(out, layout->indent);
    for (unsigned i = 0; i < level; i++)
        buffer_add(out, layout->step);
}

static void render_host(struct buffer *out, const struct network_host *host)
{
    buffer_add(out, "<host");
    if (host->socket) {
        render_attribute(out, "transport", "unix");
        render_attribute(out, "socket", host->socket);
    } else {
        render_attribute(out, "name", host->name);
        render_attribute(out, "port", host->port);
    }
    buffer_add(out, "/>");
}

static void render_auth(struct buffer *out, const struct rbd_destination *destination,
                        const struct layout *layout)
{
    buffer_add(out, "<auth");
    render_attribute(out, "username", destination->user);
    buffer_add(out, ">");
    new_line(out, layout, 2);
    buffer_add(out, "<secret");
    render_attribute(out, "type", "ceph");
    if (destination->secret_uuid)
        render_attribute(out, "uuid", destination->secret_uuid);
    else
        render_attribute(out, "usage", destination->secret_usage);
    buffer_add(out, "/>");
    new_line(out, layout, 1);
    buffer_add(out, "</auth>");
}

void render_rbd_source(struct buffer *out, const struct rbd_destination *destination,
                       const struct layout *layout)
{
    CLEANUP(disk_source_clear) struct disk_source source = {0};
    rbd_destination_source(destination, &source);
    buffer_add(out, "<source");
    render_attribute(out, "protocol", "rbd");
    render_attribute(out, "name", source.name);
    if (destination->host_count == 0 && !destination->config_file && !destination->user) {
        buffer_add(out, "/>");
        return;
    }
    buffer_add(out, ">");
    for (size_t i = 0; i < destination->host_count; i++) {
        new_line(out, layout, 1);
        render_host(out, &destination->hosts[i]);
    }
    if (destination->config_file) {
        new_line(out, layout, 1);
        buffer_add(out, "<config");
        render_attribute(out, "file", destination->config_file);
        buffer_add(out, "/>");
    }
    if (destination->user) {
        new_line(out, layout, 1);
        render_auth(out, destination, layout);
    }
    new_line(out, layout, 0);
    buffer_add(out, "</source>");
}

void render_iotune(struct buffer *out, const struct iotune *iotune, const struct layout *layout)
{
    const struct {
        const char *name;
        unsigned long long value;
    } limits[] = {
        /* in libvirt's order */
        {"total_bytes_sec", iotune->total_bytes_sec},
        {"read_bytes_sec", iotune->read_bytes_sec},
        {"write_bytes_sec", iotune->write_bytes_sec},
        {"total_iops_sec", iotune->total_iops_sec},
        {"read_iops_sec", iotune->read_iops_sec},
        {"write_iops_sec", iotune->write_iops_sec},
        {"total_bytes_sec_max", iotune->total_bytes_sec_max},
        {"total_iops_sec_max", iotune->total_iops_sec_max},
    };
    bool any = false;
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        if (limits[i].value == 0)
            continue;
        if (!any)
            buffer_add(out, "<iotune>");
        any = true;
        new_line(out, layout, 1);
        buffer_format(out, "<%s>%llu</%s>", limits[i].name, limits[i].value, limits[i].name);
    }
    if (any) {
        new_line(out, layout, 0);
        buffer_add(out, "</iotune>");
    }
}

char *rbd_destination_disk_xml(const struct rbd_destination *destination, const char *target,
                               const char *bus)
{
    const struct layout layout = {.newline = "\n", .indent = "  ", .step = "  "};
    AUTO_BUFFER struct buffer out = {0};
    buffer_add(&out, "<disk type='network' device='disk'>\n"
                     "  <driver name='qemu' type='raw'/>\n"
                     "  ");
    render_rbd_source(&out, destination, &layout);
    buffer_add(&out, "\n  <target");
    render_attribute(&out, "dev", target);
    render_attribute(&out, "bus", bus);
    buffer_add(&out, "/>\n</disk>\n");
    return buffer_take(&out);
}

char *local_disk_xml(const char *path, bool is_device, const char *format, const char *target,
                     const char *bus)
{
    AUTO_BUFFER struct buffer out = {0};
    buffer_format(&out, "<disk type='%s' device='disk'>\n  <driver name='qemu'",
                  is_device ? "block" : "file");
    render_attribute(&out, "type", format);
    buffer_add(&out, "/>\n  <source");
    render_attribute(&out, is_device ? "dev" : "file", path);
    buffer_add(&out, "/>\n  <target");
    render_attribute(&out, "dev", target);
    render_attribute(&out, "bus", bus);
    buffer_add(&out, "/>\n</disk>");
    return buffer_take(&out);
}
