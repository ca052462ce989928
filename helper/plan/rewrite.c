#include "plan/plan.h"

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

struct iotune plan_iotune(const struct policy_qos *qos)
{
    return (struct iotune){
        .total_bytes_sec = qos->bps,
        .read_bytes_sec = qos->read_bps,
        .write_bytes_sec = qos->write_bps,
        .total_iops_sec = qos->iops,
        .read_iops_sec = qos->read_iops,
        .write_iops_sec = qos->write_iops,
        .total_bytes_sec_max = qos->bps_burst,
        .total_iops_sec_max = qos->iops_burst,
    };
}

bool plan_wants_iotune(const struct plan_destination *destination)
{
    const struct policy_qos *qos = &destination->qos;
    return qos->enforce == QOS_IOTUNE && !destination->keeps_iotune &&
           (qos->iops || qos->bps || qos->read_iops || qos->write_iops || qos->read_bps ||
            qos->write_bps);
}

static bool chosen(const struct plan_disk *disk, const char *const *targets, size_t count)
{
    if (disk->action != PLAN_MOVE)
        return false;
    for (size_t i = 0; i < count; i++)
        if (text_equal(targets[i], disk->target))
            return true;
    return !targets;
}

int plan_rewrite(const struct plan *plan, const struct domain *domain, const char *const *targets,
                 size_t target_count, char **xml, struct error *error)
{
    size_t room = plan->disks.count;
    AUTO_FREE struct disk_rewrite *rewrites = memory_new(room, sizeof(*rewrites));
    AUTO_FREE struct iotune *iotunes = memory_new(room, sizeof(*iotunes));
    AUTO_FREE struct network_host **hosts = memory_new(room, sizeof(*hosts));
    size_t count = 0;
    for (size_t i = 0; i < room; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        if (!chosen(disk, targets, target_count))
            continue;
        const struct plan_destination *destination = &disk->destination;
        iotunes[count] = plan_iotune(&destination->qos);
        rewrites[count] = (struct disk_rewrite){
            .target = disk->target,
            .destination = plan_rbd_destination(destination, &hosts[count]),
            .cache = destination->cache,
            .discard = destination->discard,
            .detect_zeroes = destination->detect_zeroes,
            .iotune = plan_wants_iotune(destination) ? &iotunes[count] : NULL,
        };
        count++;
    }
    int result = domain_rewrite(domain, rewrites, count, xml, error);
    for (size_t i = 0; i < count; i++)
        free(hosts[i]);
    return result;
}
