#include "domain/domain.h"
#include "base/text.h"
#include "virt/private.h"

#define NO_FLAGS 0

virDomainPtr virt_lookup(struct virt *virt, const char *uuid, struct error *error)
{
    virDomainPtr domain = virDomainLookupByUUIDString(virt->connection, uuid);
    if (!domain)
        virt_error(virt, error, "domain %s", uuid);
    return domain;
}

int virt_find(struct virt *virt, const char *name, char uuid[VIRT_UUID_TEXT], struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virDomainLookupByName(virt->connection, name);
    if (!domain && strlen(name) == VIRT_UUID_TEXT - 1)
        domain = virDomainLookupByUUIDString(virt->connection, name);
    if (!domain && *name && strspn(name, "0123456789") == strlen(name) && strlen(name) < 9)
        domain = virDomainLookupByID(virt->connection, atoi(name));
    if (!domain) {
        if (!virt_connected(virt))
            return virt_error(virt, error, "cannot look up domain '%s'", name);
        error_set(error, ERROR_NOT_FOUND, "there is no domain '%s' on %s", name, virt->uri);
        return error_hint(error, "'virsh -c %s list --all' shows them", virt->uri);
    }
    if (virDomainGetUUIDString(domain, uuid) < 0)
        return virt_error(virt, error, "cannot read the UUID of domain '%s'", name);
    return 0;
}

static const char *job_word(int operation)
{
    switch (operation) {
    case VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN:
    case VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT:
        return "migration";
    case VIR_DOMAIN_JOB_OPERATION_SAVE:
    case VIR_DOMAIN_JOB_OPERATION_RESTORE:
        return "save or restore";
    case VIR_DOMAIN_JOB_OPERATION_SNAPSHOT:
    case VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT:
        return "snapshot";
    case VIR_DOMAIN_JOB_OPERATION_DUMP:
        return "dump";
    case VIR_DOMAIN_JOB_OPERATION_BACKUP:
        return "backup";
    default:
        return "job of libvirt's";
    }
}

/* Which long operation holds the domain, or NULL. Drivers without jobs have none. */
static char *running_job(virDomainPtr domain)
{
    int type = VIR_DOMAIN_JOB_NONE;
    int count = 0;
    virTypedParameterPtr parameters = NULL;
    if (virDomainGetJobStats(domain, &type, &parameters, &count, NO_FLAGS) < 0)
        return NULL;
    int operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;
    virTypedParamsGetInt(parameters, count, VIR_DOMAIN_JOB_OPERATION, &operation);
    virTypedParamsFree(parameters, count);
    return type == VIR_DOMAIN_JOB_NONE ? NULL : text_dup(job_word(operation));
}

static int read_state(struct virt *virt, const char *uuid, struct virt_domain *info,
                      struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    int state = 0, reason = 0, autostart = 0;
    int active = virDomainIsActive(domain);
    int persistent = active < 0 ? -1 : virDomainIsPersistent(domain);
    if (persistent < 0 || virDomainGetState(domain, &state, &reason, NO_FLAGS) < 0)
        return virt_error(virt, error, "cannot read the state of domain %s", uuid);
    info->exists = true;
    info->name = text_dup(virDomainGetName(domain));
    info->active = active == 1;
    info->persistent = persistent == 1;
    info->paused = state == VIR_DOMAIN_PAUSED;
    if (info->persistent && virDomainGetAutostart(domain, &autostart) == 0)
        info->autostart = autostart == 1;
    info->managed_save = virDomainHasManagedSaveImage(domain, NO_FLAGS) == 1;
    int snapshots = virDomainSnapshotNum(domain, NO_FLAGS);
    info->snapshots = snapshots > 0 ? (unsigned)snapshots : 0;
    int checkpoints = virDomainListAllCheckpoints(domain, NULL, NO_FLAGS);
    info->checkpoints = checkpoints > 0 ? (unsigned)checkpoints : 0;
    if (info->active)
        info->job = running_job(domain);
    return 0;
}

int virt_domain(struct virt *virt, const char *uuid, struct virt_domain *info, struct error *error)
{
    *info = (struct virt_domain){0};
    if (read_state(virt, uuid, info, error) == 0)
        return 0;
    /* A transient domain may go between any two calls. */
    if (error->code != ERROR_NOT_FOUND)
        return -1;
    error_clear(error);
    virt_domain_clear(info);
    return 0;
}

void virt_domain_clear(struct virt_domain *info)
{
    free(info->name);
    free(info->job);
    *info = (struct virt_domain){0};
}

int virt_domain_xml(struct virt *virt, const char *uuid, enum virt_xml which, char **xml,
                    struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    static const unsigned flags[] = {
        [VIRT_XML_LIVE] = NO_FLAGS,
        [VIRT_XML_INACTIVE] = VIR_DOMAIN_XML_INACTIVE,
        [VIRT_XML_INACTIVE_SECURE] = VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE,
    };
    *xml = virDomainGetXMLDesc(domain, flags[which]);
    if (!*xml)
        return virt_error(virt, error, "cannot read the XML of domain %s", uuid);
    return 0;
}

int virt_define(struct virt *virt, const char *xml, struct error *error)
{
    CLEANUP(virDomainFreep)
    virDomainPtr domain = virDomainDefineXMLFlags(virt->connection, xml, NO_FLAGS);
    if (!domain)
        return virt_error(virt, error, "libvirt does not take the definition");
    return 0;
}

int virt_undefine(struct virt *virt, const char *uuid, struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    if (virDomainIsPersistent(domain) == 0)
        return 0;
    /* An inactive domain would be gone altogether. */
    if (virDomainIsActive(domain) != 1)
        return error_set(error, ERROR_FAILED, "domain %s is not running", uuid);
    if (virDomainUndefineFlags(domain, VIR_DOMAIN_UNDEFINE_KEEP_NVRAM) < 0)
        return virt_error(virt, error, "cannot make domain %s transient", uuid);
    return 0;
}

int virt_set_autostart(struct virt *virt, const char *uuid, bool autostart, struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    if (virDomainSetAutostart(domain, autostart) < 0)
        return virt_error(virt, error, "cannot set the autostart flag of domain %s", uuid);
    return 0;
}

/* Adds up what each layer of a chain uses: "block.N.name" tells which N are this target's. */
static uint64_t chain_allocation(const virDomainStatsRecord *record, const char *target)
{
    unsigned count = 0;
    uint64_t sum = 0;
    if (virTypedParamsGetUInt(record->params, record->nparams, "block.count", &count) != 1)
        return 0;
    for (unsigned i = 0; i < count && i < 4096; i++) {
        AUTO_FREE char *name_key = text_format("block.%u.name", i);
        AUTO_FREE char *allocation_key = text_format("block.%u.allocation", i);
        const char *name = NULL;
        unsigned long long allocation = 0;
        virTypedParamsGetString(record->params, record->nparams, name_key, &name);
        if (text_equal(name, target) && virTypedParamsGetULLong(record->params, record->nparams,
                                                                allocation_key, &allocation) == 1)
            sum += allocation;
    }
    return sum;
}

int virt_disk_size(struct virt *virt, const char *uuid, const char *target,
                   struct virt_disk_size *size, struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    virDomainBlockInfo info;
    if (virDomainGetBlockInfo(domain, target, &info, NO_FLAGS) < 0)
        return virt_error(virt, error, "cannot read the size of disk %s", target);
    size->capacity = info.capacity;
    size->allocation = info.allocation;

    virDomainPtr domains[] = {domain, NULL};
    virDomainStatsRecordPtr *records = NULL;
    if (virDomainListGetStats(domains, VIR_DOMAIN_STATS_BLOCK, &records,
                              VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING) == 1) {
        uint64_t chain = chain_allocation(records[0], target);
        if (chain > size->allocation)
            size->allocation = chain;
    }
    if (records)
        virDomainStatsRecordListFree(records);
    if (size->allocation > size->capacity)
        size->allocation = size->capacity;
    return 0;
}

int virt_disk_latency(struct virt *virt, const char *uuid, const char *target,
                      struct virt_disk_latency *latency, struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    virTypedParameter parameters[16] = {{.field = ""}};
    int count = ARRAY_SIZE(parameters);
    if (virDomainBlockStatsFlags(domain, target, parameters, &count, NO_FLAGS) < 0)
        return virt_error(virt, error, "cannot read the statistics of disk %s", target);
    *latency = (struct virt_disk_latency){0};
    for (int i = 0; i < count; i++) {
        uint64_t value = (uint64_t)parameters[i].value.l;
        const char *field = parameters[i].field;
        if (text_equal(field, VIR_DOMAIN_BLOCK_STATS_READ_REQ) ||
            text_equal(field, VIR_DOMAIN_BLOCK_STATS_WRITE_REQ) ||
            text_equal(field, VIR_DOMAIN_BLOCK_STATS_FLUSH_REQ))
            latency->requests += value;
        if (text_equal(field, VIR_DOMAIN_BLOCK_STATS_READ_TOTAL_TIMES) ||
            text_equal(field, VIR_DOMAIN_BLOCK_STATS_WRITE_TOTAL_TIMES) ||
            text_equal(field, VIR_DOMAIN_BLOCK_STATS_FLUSH_TOTAL_TIMES))
            latency->nanoseconds += value;
        if (text_equal(field, VIR_DOMAIN_BLOCK_STATS_WRITE_BYTES))
            latency->bytes_written = value;
    }
    return 0;
}

int virt_set_iotune(struct virt *virt, const char *uuid, const char *target,
                    const struct iotune *iotune, struct error *error)
{
    const struct {
        const char *field;
        unsigned long long value;
    } limits[] = {
        {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC, iotune->total_bytes_sec},
        {VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC, iotune->read_bytes_sec},
        {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC, iotune->write_bytes_sec},
        {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC, iotune->total_iops_sec},
        {VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC, iotune->read_iops_sec},
        {VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC, iotune->write_iops_sec},
        {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC_MAX, iotune->total_bytes_sec_max},
        {VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC_MAX, iotune->total_iops_sec_max},
    };
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    virTypedParameterPtr parameters = NULL;
    int count = 0, room = 0;
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        if (limits[i].value)
            virTypedParamsAddULLong(&parameters, &count, &room, limits[i].field, limits[i].value);
    int failed = virDomainSetBlockIoTune(domain, target, parameters, count, VIR_DOMAIN_AFFECT_LIVE);
    virTypedParamsFree(parameters, count);
    if (failed)
        return virt_error(virt, error, "cannot set the I/O limits of disk %s", target);
    return 0;
}
