/* What may be asked for, and whether it was done. */
#include "domain/edit.h"

#include <libxml/xmlstring.h>

const struct disk_rewrite *rewrite_find(const struct disk_rewrite *rewrites, size_t count,
                                        const char *target)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rewrites[i].target, target) == 0)
            return &rewrites[i];
    return NULL;
}

/* ---- What may be asked for ---- */

bool is_plain(const char *text)
{
    if (!text)
        return true;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ')
            return false;
    return *text && xmlCheckUTF8((const xmlChar *)text);
}

/* A '/' or '@' would make QEMU read another pool, namespace or snapshot out of the name. */
static bool is_rbd_part(const char *part)
{
    return !part || (is_plain(part) && !strpbrk(part, "/@"));
}

static int check_destination(const struct rbd_destination *destination, const char *target,
                             struct error *error)
{
    const char *name_space = text_empty(destination->name_space) ? NULL : destination->name_space;
    bool has_names = destination->pool && destination->image;
    if (!has_names || !is_rbd_part(destination->pool) || !is_rbd_part(name_space) ||
        !is_rbd_part(destination->image))
        return error_set(error, ERROR_INPUT, "disk '%s': not a valid RBD pool or image name",
                         target);
    bool is_auth_plain = is_plain(destination->user) && is_plain(destination->secret_uuid) &&
                         is_plain(destination->secret_usage) && is_plain(destination->config_file);
    bool has_one_secret = !destination->secret_uuid != !destination->secret_usage;
    if (!is_auth_plain || (destination->user && !has_one_secret))
        return error_set(error, ERROR_INPUT,
                         "disk '%s': not a valid user, secret or configuration file", target);
    for (size_t i = 0; i < destination->host_count; i++) {
        const struct network_host *host = &destination->hosts[i];
        bool has_place = host->name || host->socket;
        if (!has_place || !is_plain(host->name) || !is_plain(host->port) || !is_plain(host->socket))
            return error_set(error, ERROR_INPUT, "disk '%s': not a valid monitor address", target);
    }
    return 0;
}

int rewrite_check_request(const struct domain *domain, const struct disk_rewrite *rewrites,
                          size_t index, struct error *error)
{
    const struct disk_rewrite *rewrite = &rewrites[index];
    const struct disk *disk = domain_disk(domain, rewrite->target);
    if (!disk)
        return error_set(error, ERROR_NOT_FOUND, "domain '%s' has no disk '%s'", domain->name,
                         rewrite->target);
    if (rewrite_find(rewrites, index, rewrite->target))
        return error_set(error, ERROR_INPUT, "disk '%s' is to be rewritten twice", rewrite->target);
    /* What is left of <encryption> would describe an image that is not there any more. */
    if (disk->encrypted)
        return error_set(error, ERROR_UNSUPPORTED, "disk '%s' is encrypted", rewrite->target);
    return check_destination(&rewrite->destination, rewrite->target, error);
}

/* ---- Afterwards ---- */

bool is_same_disk_text(const struct domain *before, const struct domain *after, size_t index)
{
    AUTO_FREE char *old_text = domain_disk_xml(before, before->disks.items[index].target);
    AUTO_FREE char *new_text = domain_disk_xml(after, after->disks.items[index].target);
    return strcmp(old_text, new_text) == 0;
}

static bool is_rewritten(const struct disk *disk, const struct rbd_destination *destination)
{
    CLEANUP(disk_source_clear) struct disk_source wanted = {0};
    rbd_destination_source(destination, &wanted);
    return disk_source_same(&disk->source, &wanted) &&
           text_equal(disk->source.config_file, wanted.config_file) &&
           text_equal(disk->source.auth_user, wanted.auth_user) &&
           text_equal(disk->source.secret_uuid, wanted.secret_uuid) &&
           text_equal(disk->source.secret_usage, wanted.secret_usage) &&
           text_equal(disk->type_name, "network") && text_equal(disk->format, "raw") &&
           disk->backing_depth == 0 && !disk->has_mirror;
}

/* Reads the result back. A definition in which a disk is not where it should be would cost the
 * guest its data, so a mistake of ours must end here. */
int rewrite_check_result(const struct domain *before, const char *xml,
                         const struct disk_rewrite *rewrites, size_t count, struct error *error)
{
    CLEANUP(domain_freep) struct domain *after = NULL;
    if (domain_parse(xml, strlen(xml), &after, error) < 0)
        return error_prefix(error, "the rewritten XML does not parse");
    if (after->disks.count != before->disks.count || !text_equal(after->uuid, before->uuid))
        return error_set(error, ERROR_INPUT, "the rewritten XML has other disks than before");
    for (size_t i = 0; i < after->disks.count; i++) {
        const struct disk *disk = &after->disks.items[i];
        const struct disk_rewrite *rewrite = rewrite_find(rewrites, count, disk->target);
        bool is_right = rewrite ? is_rewritten(disk, &rewrite->destination)
                                : is_same_disk_text(before, after, i);
        if (strcmp(disk->target, before->disks.items[i].target) != 0 || !is_right)
            return error_set(error, ERROR_INPUT,
                             "the rewritten XML does not name the right source for disk '%s'",
                             disk->target);
    }
    return 0;
}
