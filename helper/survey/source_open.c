#include "survey/source_open.h"

#include "files/files.h"

static int open_path(const char *path, const struct disk *disk, enum source_access access,
                     struct blocks **blocks, struct error *error)
{
    const char *format = disk->format ? disk->format : "raw";
    if (files_check_chain(path, format, error) < 0)
        return -1;
    return access == SOURCE_IDLE
               ? blocks_open_file_idle(path, format, blocks, error)
               : blocks_open_file(path, format, access == SOURCE_WRITE, blocks, error);
}

static int open_volume(struct virt *virt, const struct disk *disk, enum source_access access,
                       struct blocks **blocks, struct error *error)
{
    AUTO_FREE char *path = NULL;
    if (virt_volume_path(virt, disk->source.volume_pool, disk->source.volume, &path, error) < 0)
        return -1;
    if (*path != '/')
        return error_set(error, ERROR_UNSUPPORTED, "volume %s/%s is neither a file nor a device",
                         disk->source.volume_pool, disk->source.volume);
    return open_path(path, disk, access, blocks, error);
}

/* RFC 3986: whatever is not unreserved is escaped. */
static void add_escaped(struct buffer *text, const char *part)
{
    for (const unsigned char *at = (const unsigned char *)part; at && *at; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= '0' && *at <= '9') || strchr("-._~/", *at);
        buffer_format(text, plain ? "%c" : "%%%02X", *at);
    }
}

static int open_export(const struct disk_source *source, bool writable, struct blocks **blocks,
                       struct error *error)
{
    const struct network_host *host = source->hosts.count ? &source->hosts.items[0] : NULL;
    AUTO_BUFFER struct buffer uri = {0};
    if (!host || !(host->name || host->socket))
        return error_set(error, ERROR_INPUT, "an NBD disk without a server");
    bool brackets = host->name && strchr(host->name, ':');
    if (host->socket)
        buffer_add(&uri, "nbd+unix:///");
    else
        buffer_format(&uri, "nbd://%s%s%s%s%s/", brackets ? "[" : "", host->name,
                      brackets ? "]" : "", host->port ? ":" : "", host->port ? host->port : "");
    add_escaped(&uri, source->name);
    if (host->socket) {
        buffer_add(&uri, "?socket=");
        add_escaped(&uri, host->socket);
    }
    return blocks_open_nbd(uri.text, writable, blocks, error);
}

int source_open(struct virt *virt, const struct disk *disk, enum source_access access,
                struct blocks **blocks, struct error *error)
{
    const struct disk_source *source = &disk->source;
    if (source->type == SOURCE_FILE || source->type == SOURCE_BLOCK)
        return open_path(source->path, disk, access, blocks, error);
    if (source->type == SOURCE_VOLUME)
        return open_volume(virt, disk, access, blocks, error);
    if (source->type == SOURCE_NETWORK && text_equal(source->protocol, "nbd"))
        return open_export(source, access == SOURCE_WRITE, blocks, error);
    error_set(error, ERROR_UNSUPPORTED, "it can be read by the guest's QEMU only");
    return error_hint(error, "start the guest, and move it while it runs");
}
