#include "domain/domain.h"
#include "base/crash.h"
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

int virt_list(struct virt *virt, struct virt_uuids *uuids, struct error *error)
{
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(virt->connection, &domains, NO_FLAGS);
    if (count < 0)
        return virt_error(virt, error, "cannot list the domains");
    for (int i = 0; i < count; i++) {
        virDomainGetUUIDString(domains[i], virt_uuids_add(uuids)->text);
        virDomainFree(domains[i]);
    }
    free(domains);
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

/* Which long operation holds the domain: a VIR_DOMAIN_JOB_OPERATION or an enum virt_job.
 * Drivers without jobs have none that could be read. */
static int running_job(virDomainPtr domain)
{
    int type = VIR_DOMAIN_JOB_NONE;
    int count = 0;
    virTypedParameterPtr parameters = NULL;
    if (virDomainGetJobStats(domain, &type, &parameters, &count, NO_FLAGS) < 0) {
        /* An incoming migration never shows in statistics: "migration statistics are available
         * only on the source host", and there is no other use of this code on that path
         * (qemu_driver.c, qemuDomainGetJobStatsInternal; libvirt 7.0, 9.0 and 11.3 alike). */
        const virError *cause = virGetLastError();
        return cause && cause->code == VIR_ERR_OPERATION_UNSUPPORTED
                   ? VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN
                   : VIRT_JOB_UNREADABLE;
    }
    int operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;
    virTypedParamsGetInt(parameters, count, VIR_DOMAIN_JOB_OPERATION, &operation);
    virTypedParamsFree(parameters, count);
    return type == VIR_DOMAIN_JOB_NONE ? VIRT_JOB_NONE : operation;
}

/* What a destination shows (qemu_migration.c and qemu_process.c of libvirt 7.0, 9.0 and 11.3; seen,
 * but for the first line; the MIGRATION_IN job is there from the first to the last):
 *
 *   SHUTOFF, transient    Prepare, before QEMU is there; an offline migration until its Finish
 *   PAUSED, STARTING_UP   Prepare, while QEMU starts (qemuProcessInit)
 *   PAUSED, MIGRATION     from the end of Prepare (qemuProcessFinishStartup) into Finish, even
 *                         after it became persistent (qemuMigrationDstPersist)
 *   RUNNING, MIGRATED     Finish, once QEMU runs the guest (qemuProcessStartCPUs)
 *   RUNNING, POSTCOPY     the same of a post-copy migration, while memory still arrives
 *   PAUSED, USER          Finish of a guest that was migrated paused (qemuMigrationDstComplete)
 *
 * The source of a migration is PAUSED, MIGRATION too, at the switch-over, and stays so without any
 * job if its daemon died just then: hence the job. */
bool virt_is_arriving(int job, int state, int reason)
{
    if (state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_STARTING_UP)
        return true;
    if (state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_MIGRATION)
        return job == VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN || job == VIRT_JOB_UNREADABLE;
    return state == VIR_DOMAIN_SHUTOFF && job == VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN;
}

static int read_state(struct virt *virt, const char *uuid, struct virt_domain *info,
                      struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    const unsigned off = (unsigned)-1;
    unsigned id = virDomainGetID(domain);
    int state = 0, reason = 0, autostart = 0, job = VIRT_JOB_NONE;
    int persistent = virDomainIsPersistent(domain);
    /* What is neither running nor defined is being made just now, by a migration. */
    if (id != off || persistent == 0)
        job = running_job(domain);
    if (persistent < 0 || virDomainGetState(domain, &state, &reason, NO_FLAGS) < 0)
        return virt_error(virt, error, "cannot read the state of domain %s", uuid);
    info->exists = true;
    info->name = text_dup(virDomainGetName(domain));
    /* The id is of the look-up: the guest may have gone since. */
    info->active = id != off && state != VIR_DOMAIN_SHUTOFF;
    info->id = info->active ? (int)id : 0;
    info->persistent = persistent == 1;
    info->paused = state == VIR_DOMAIN_PAUSED;
    info->arriving = virt_is_arriving(job, state, reason);
    info->migrated = state == VIR_DOMAIN_RUNNING && (reason == VIR_DOMAIN_RUNNING_MIGRATED ||
                                                     reason == VIR_DOMAIN_RUNNING_POSTCOPY);
    if (info->persistent && virDomainGetAutostart(domain, &autostart) == 0)
        info->autostart = autostart == 1;
    info->managed_save = virDomainHasManagedSaveImage(domain, NO_FLAGS) == 1;
    int snapshots = virDomainSnapshotNum(domain, NO_FLAGS);
    info->snapshots = snapshots > 0 ? (unsigned)snapshots : 0;
    int checkpoints = virDomainListAllCheckpoints(domain, NULL, NO_FLAGS);
    info->checkpoints = checkpoints > 0 ? (unsigned)checkpoints : 0;
    if (job >= 0)
        info->job = text_dup(job_word(job));
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

int virt_is_off(struct virt *virt, const char *uuid, bool *off, struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    /* libvirt numbers a domain before it starts its QEMU (qemu_process.c, qemuProcessInit). */
    *off = virDomainGetID(domain) == (unsigned)-1;
    return 0;
}

bool virt_answers(struct virt *virt, const char *uuid)
{
    AUTO_ERROR struct error gone = {0};
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, &gone);
    virDomainControlInfo info = {0};
    /* It fails for a domain that is off. QEMU is not asked. */
    if (!domain || virDomainGetControlInfo(domain, &info, NO_FLAGS) < 0)
        return true;
    return info.state != VIR_DOMAIN_CONTROL_ERROR &&
           (info.state != VIR_DOMAIN_CONTROL_OCCUPIED || info.stateTime < 1000);
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
    virDomainPtr domain = CRASH_AROUND(virDomainDefineXMLFlags(virt->connection, xml, NO_FLAGS));
    if (!domain)
        return virt_error(virt, error, "libvirt does not take the definition");
    return 0;
}

int virt_undefine(struct virt *virt, const char *uuid, struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    int persistent = virDomainIsPersistent(domain), active = virDomainIsActive(domain);
    if (persistent < 0 || active < 0)
        return virt_error(virt, error, "cannot read the state of domain %s", uuid);
    if (!persistent)
        return 0;
    /* An inactive domain would be gone altogether. */
    if (!active)
        return error_set(error, ERROR_FAILED, "domain %s is not running", uuid);
    if (CRASH_AROUND(virDomainUndefineFlags(domain, VIR_DOMAIN_UNDEFINE_KEEP_NVRAM)) < 0)
        return virt_error(virt, error, "cannot make domain %s transient", uuid);
    return 0;
}

int virt_set_autostart(struct virt *virt, const char *uuid, bool autostart, struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    if (CRASH_AROUND(virDomainSetAutostart(domain, autostart)) < 0)
        return virt_error(virt, error, "cannot set the autostart flag of domain %s", uuid);
    return 0;
}

/* The domain, and whether its guest is paused; NULL with the error if that cannot be told: not to
 * know is not to be running. */
static virDomainPtr look_up_paused(struct virt *virt, const char *uuid, bool *paused,
                                   struct error *error)
{
    int state = 0;
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return NULL;
    if (virDomainGetState(domain, &state, NULL, NO_FLAGS) < 0) {
        virt_error(virt, error, "cannot read the state of domain %s", uuid);
        return NULL;
    }
    *paused = state == VIR_DOMAIN_PAUSED;
    return STEAL(domain);
}

int virt_suspend(struct virt *virt, const char *uuid, struct error *error)
{
    bool paused = false;
    CLEANUP(virDomainFreep) virDomainPtr domain = look_up_paused(virt, uuid, &paused, error);
    if (!domain)
        return -1;
    if (!paused && CRASH_AROUND(virDomainSuspend(domain)) < 0)
        return virt_error(virt, error, "cannot pause domain %s", uuid);
    return 0;
}

int virt_resume(struct virt *virt, const char *uuid, struct error *error)
{
    bool paused = false;
    CLEANUP(virDomainFreep) virDomainPtr domain = look_up_paused(virt, uuid, &paused, error);
    if (!domain)
        return -1;
    if (paused && CRASH_AROUND(virDomainResume(domain)) < 0)
        return virt_error(virt, error, "cannot let domain %s go on", uuid);
    return 0;
}

int virt_set_live_metadata(struct virt *virt, const char *uuid, const char *name_space,
                           const char *prefix, const char *xml, struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    if (CRASH_AROUND(virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml, prefix,
                                          name_space, VIR_DOMAIN_AFFECT_LIVE)) < 0)
        return virt_error(virt, error, "cannot set the metadata of domain %s", uuid);
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
    bool any = false;
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        any |= limits[i].value != 0;
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        if (limits[i].value || !any)
            virTypedParamsAddULLong(&parameters, &count, &room, limits[i].field, limits[i].value);
    int failed = CRASH_AROUND(
        virDomainSetBlockIoTune(domain, target, parameters, count, VIR_DOMAIN_AFFECT_LIVE));
    virTypedParamsFree(parameters, count);
    if (failed)
        return virt_error(virt, error, "cannot set the I/O limits of disk %s", target);
    return 0;
}
