/* Where a disk goes: onto an image that is made for it, or back onto the disk that it had. */
#include "plan/private.h"

DEFINE_VECTOR(host_list, struct network_host);

/* "a:1,[::1]:2,c" → hosts whose strings point into *text, which is cut up. */
static struct host_list split_mons(char *text)
{
    struct host_list hosts = {0};
    char *rest = NULL;
    for (char *mon = strtok_r(text, ",", &rest); mon; mon = strtok_r(NULL, ",", &rest)) {
        struct network_host *host = host_list_add(&hosts);
        char *bracket = *mon == '[' ? strchr(mon, ']') : NULL;
        char *colon = strrchr(bracket ? bracket : mon, ':');
        if (colon) {
            *colon = '\0';
            host->port = colon + 1;
        }
        if (bracket) {
            *bracket = '\0';
            mon++;
        }
        host->name = mon;
    }
    return hosts;
}

struct rbd_destination plan_rbd_destination(const struct plan_destination *destination,
                                            struct network_host **hosts)
{
    const struct plan_cluster *cluster = &destination->cluster;
    struct host_list list = {0};
    if (cluster->mons) {
        /* One block for the hosts and the text they point into, so that one free(3) is enough. */
        AUTO_FREE char *mons = text_dup(cluster->mons);
        size_t length = strlen(mons) + 1;
        list = split_mons(mons);
        size_t bytes = list.count * sizeof(*list.items);
        list.items = memory_resize(list.items, bytes + length, 1);
        char *copy = (char *)list.items + bytes;
        memcpy(copy, mons, length);
        for (size_t i = 0; i < list.count; i++) {
            list.items[i].name = copy + (list.items[i].name - mons);
            if (list.items[i].port)
                list.items[i].port = copy + (list.items[i].port - mons);
        }
    }
    *hosts = list.items;
    return (struct rbd_destination){
        .hosts = list.items,
        .host_count = list.count,
        .config_file = cluster->conf,
        .user = cluster->user,
        .secret_uuid = cluster->secret_is_uuid ? cluster->secret : NULL,
        .secret_usage = cluster->secret_is_uuid ? NULL : cluster->secret,
        .pool = destination->pool,
        .name_space = destination->name_space,
        .image = destination->image,
    };
}

/* The one disk of an element that was checked when the plan was made; NULL: somebody has touched
 * the record. */
static const struct disk *old_disk(const char *element, struct domain **holder)
{
    AUTO_ERROR struct error unreadable = {0};
    return disk_parse(element, holder, &unreadable) == 0 && (*holder)->disks.count == 1
               ? &(*holder)->disks.items[0]
               : NULL;
}

bool plan_has_destination(const struct plan_disk *disk)
{
    return disk->destination.image || disk->destination.old_disk;
}

bool plan_destination_is_rbd(const struct plan_destination *destination)
{
    return destination->image != NULL;
}

char *plan_destination_describe(const struct plan_destination *destination)
{
    if (!plan_destination_is_rbd(destination)) {
        CLEANUP(disk_source_clear) struct disk_source source = {0};
        plan_destination_source(destination, &source);
        return disk_source_describe(&source);
    }
    return text_format("%s/%s%s%s/%s", destination->cluster.name, destination->pool,
                       destination->name_space ? "/" : "",
                       destination->name_space ? destination->name_space : "", destination->image);
}

void plan_destination_source(const struct plan_destination *destination, struct disk_source *source)
{
    *source = (struct disk_source){0};
    if (destination->old_disk) {
        CLEANUP(domain_freep) struct domain *holder = NULL;
        const struct disk *disk = old_disk(destination->old_disk, &holder);
        if (disk)
            disk_source_copy(source, &disk->source);
        return;
    }
    struct network_host *hosts = NULL;
    const struct rbd_destination rbd = plan_rbd_destination(destination, &hosts);
    rbd_destination_source(&rbd, source);
    free(hosts);
}

bool plan_is_destination(const struct plan_destination *destination,
                         const struct disk_source *source)
{
    CLEANUP(disk_source_clear) struct disk_source wanted = {0};
    CLEANUP(domain_freep) struct domain *holder = NULL;
    plan_destination_source(destination, &wanted);
    if (wanted.type != SOURCE_NONE && disk_source_same(source, &wanted))
        return true;
    /* A volume is called by its name in a definition, and by its path where it was mirrored to. */
    const struct disk *defined =
        destination->old_definition ? old_disk(destination->old_definition, &holder) : NULL;
    return defined && disk_source_same(source, &defined->source);
}

char *plan_mirror_xml(const struct plan_disk *disk)
{
    if (disk->destination.old_disk)
        return disk_without_chain(disk->destination.old_disk);
    struct network_host *hosts = NULL;
    const struct rbd_destination rbd = plan_rbd_destination(&disk->destination, &hosts);
    char *xml = rbd_destination_disk_xml(&rbd, disk->target, disk->bus);
    free(hosts);
    return xml;
}
