#include "base/crash.h"
#include "base/text.h"
#include "virt/private.h"

int virt_mirror_start(struct virt *virt, const char *uuid, const char *target, const char *disk_xml,
                      const struct virt_mirror_options *options, struct error *error)
{
    unsigned flags = VIR_DOMAIN_BLOCK_COPY_REUSE_EXT;
    if (options->transient_job)
        flags |= VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB;
    if (options->synchronous) {
#if LIBVIR_CHECK_VERSION(8, 0, 0)
        flags |= VIR_DOMAIN_BLOCK_COPY_SYNCHRONOUS_WRITES;
#else
        return error_set(
            error, ERROR_UNSUPPORTED,
            "this build is for a libvirt before 8.0, which cannot mirror synchronously");
#endif
    }
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    virTypedParameterPtr parameters = NULL;
    int count = 0, room = 0;
    virTypedParamsAddULLong(&parameters, &count, &room, VIR_DOMAIN_BLOCK_COPY_BUF_SIZE,
                            VIRT_MIRROR_BUFFER);
    if (options->bandwidth)
        virTypedParamsAddULLong(&parameters, &count, &room, VIR_DOMAIN_BLOCK_COPY_BANDWIDTH,
                                options->bandwidth);
    int failed =
        CRASH_AROUND(virDomainBlockCopy(domain, target, disk_xml, parameters, count, flags));
    virTypedParamsFree(parameters, count);
    if (failed)
        return virt_error(virt, error, "cannot start the mirror of disk %s", target);
    return 0;
}

int virt_mirror(struct virt *virt, const char *uuid, const char *target, struct virt_mirror *mirror,
                struct error *error)
{
    *mirror = (struct virt_mirror){0};
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    virDomainBlockJobInfo info;
    int jobs =
        virDomainGetBlockJobInfo(domain, target, &info, VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES);
    if (jobs < 0)
        return virt_error(virt, error, "cannot read the progress of disk %s", target);
    if (jobs == 1)
        *mirror = (struct virt_mirror){
            .present = true, .copied = info.cur, .total = info.end, .bandwidth = info.bandwidth};
    return 0;
}

int virt_mirror_set_bandwidth(struct virt *virt, const char *uuid, const char *target,
                              uint64_t bandwidth, struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    if (CRASH_AROUND(virDomainBlockJobSetSpeed(domain, target, bandwidth,
                                               VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES)) < 0)
        return virt_error(virt, error, "cannot set the bandwidth of disk %s", target);
    return 0;
}

int virt_mirror_pivot(struct virt *virt, const char *uuid, const char *target, struct error *error)
{
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    if (CRASH_AROUND(virDomainBlockJobAbort(
            domain, target, VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT | VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC)) <
        0)
        return virt_error(virt, error, "cannot pivot disk %s", target);
    return 0;
}

int virt_mirror_abort(struct virt *virt, const char *uuid, const char *target, struct error *error)
{
    struct virt_mirror mirror;
    if (virt_mirror(virt, uuid, target, &mirror, error) < 0)
        return -1;
    if (!mirror.present)
        return 0;
    CLEANUP(virDomainFreep) virDomainPtr domain = virt_lookup(virt, uuid, error);
    if (!domain)
        return -1;
    if (CRASH_AROUND(virDomainBlockJobAbort(domain, target, VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC)) == 0)
        return 0;
    virt_error(virt, error, "cannot cancel the mirror of disk %s", target);
    /* It may have ended in between. */
    AUTO_ERROR struct error again = {0};
    if (virt_mirror(virt, uuid, target, &mirror, &again) == 0 && !mirror.present) {
        error_clear(error);
        return 0;
    }
    return -1;
}
