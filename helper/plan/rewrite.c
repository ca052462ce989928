#include "plan/private.h"

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

static int rewrite_networks(const struct plan *plan, const struct domain *domain, char **xml,
                            struct error *error)
{
    size_t count = plan->networks.count;
    AUTO_FREE struct network_rename *renames = memory_new(count, sizeof(*renames));
    for (size_t i = 0; i < count; i++) {
        const struct plan_network *network = &plan->networks.items[i];
        renames[i] = (struct network_rename){network->mac, network->from, network->to};
    }
    return domain_rename_networks(domain, renames, count, xml, error);
}

static int rewrite_disks(const struct plan *plan, const struct domain *domain,
                         const char *const *targets, size_t target_count, char **xml,
                         struct error *error)
{
    size_t room = plan->disks.count;
    AUTO_FREE struct disk_rewrite *rewrites = memory_new(room, sizeof(*rewrites));
    AUTO_FREE struct iotune *iotunes = memory_new(room, sizeof(*iotunes));
    AUTO_FREE struct network_host **hosts = memory_new(room, sizeof(*hosts));
    size_t count = 0;
    for (size_t i = 0; i < room; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        const struct plan_destination *destination = &disk->destination;
        if (destination->old_disk || !chosen(disk, targets, target_count))
            continue;
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

/* Each disk that goes back gets its old element, byte for byte. */
static int put_back_disks(const struct plan *plan, const struct domain *domain,
                          const char *const *targets, size_t target_count, char **xml,
                          struct error *error)
{
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        const struct plan_destination *destination = &disk->destination;
        if (!destination->old_disk || !chosen(disk, targets, target_count))
            continue;
        const char *element = !domain->live && destination->old_definition
                                  ? destination->old_definition
                                  : destination->old_disk;
        CLEANUP(domain_freep) struct domain *halfway = NULL;
        CLEANUP(text_burn) char *half = STEAL(*xml);
        if (domain_parse(half, strlen(half), &halfway, error) < 0 ||
            domain_replace_disk(halfway, element, xml, error) < 0)
            return -1;
    }
    return 0;
}

int plan_rewrite(const struct plan *plan, const struct domain *domain, const char *const *targets,
                 size_t target_count, char **xml, struct error *error)
{
    if (rewrite_disks(plan, domain, targets, target_count, xml, error) < 0 ||
        put_back_disks(plan, domain, targets, target_count, xml, error) < 0)
        return -1;
    if (plan->networks.count == 0)
        return 0;
    CLEANUP(text_burn) char *half = STEAL(*xml);
    CLEANUP(domain_freep) struct domain *halfway = NULL;
    return domain_parse(half, strlen(half), &halfway, error) < 0
               ? -1
               : rewrite_networks(plan, halfway, xml, error);
}
