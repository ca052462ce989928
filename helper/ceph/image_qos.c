#include "base/crash.h"
#include "ceph/private.h"

#include <inttypes.h>

/* A pair of limit and burst, as librbd wants them: a burst without a limit, or below it, is
 * ignored there with nothing but a line in a log. */
static int check_burst(const char *what, uint64_t limit, uint64_t burst, struct error *error)
{
    if (burst == 0 || (limit != 0 && burst >= limit))
        return 0;
    error_set(error, ERROR_INPUT, "QoS: %s_burst %" PRIu64 " needs a %s limit of at most that",
              what, burst, what);
    return error_hint(error, "set %s, and %s_burst to at least as much", what, what);
}

/* Sets one key, or removes it where the value is 0. Returns 0 or a negative errno. */
static int set_value(rbd_image_t image, const char *key, uint64_t value)
{
    AUTO_FREE char *present = NULL;
    int result = ceph_metadata_read(image, key, &present);
    if (result < 0)
        return result;
    if (value == 0) {
        result = present ? CRASH_AROUND(rbd_metadata_remove(image, key)) : 0;
        return result == -ENOENT ? 0 : result;
    }
    AUTO_FREE char *text = text_format("%" PRIu64, value);
    if (text_equal(present, text)) /* each change is a notification to who has the image open */
        return 0;
    return CRASH_AROUND(rbd_metadata_set(image, key, text));
}

int ceph_image_set_qos(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                       const struct ceph_qos *qos, struct error *error)
{
    const struct {
        const char *key;
        uint64_t value;
    } settings[] = {
        {"conf_rbd_qos_iops_limit", qos->iops},
        {"conf_rbd_qos_iops_burst", qos->iops_burst},
        {"conf_rbd_qos_read_iops_limit", qos->read_iops},
        {"conf_rbd_qos_write_iops_limit", qos->write_iops},
        {"conf_rbd_qos_bps_limit", qos->bps},
        {"conf_rbd_qos_bps_burst", qos->bps_burst},
        {"conf_rbd_qos_read_bps_limit", qos->read_bps},
        {"conf_rbd_qos_write_bps_limit", qos->write_bps},
        /* No tier has these. They are somebody else's, who had other limits in mind. */
        {"conf_rbd_qos_read_iops_burst", 0},
        {"conf_rbd_qos_write_iops_burst", 0},
        {"conf_rbd_qos_read_bps_burst", 0},
        {"conf_rbd_qos_write_bps_burst", 0},
        {"conf_rbd_qos_iops_burst_seconds", 0},
        {"conf_rbd_qos_read_iops_burst_seconds", 0},
        {"conf_rbd_qos_write_iops_burst_seconds", 0},
        {"conf_rbd_qos_bps_burst_seconds", 0},
        {"conf_rbd_qos_read_bps_burst_seconds", 0},
        {"conf_rbd_qos_write_bps_burst_seconds", 0},
    };

    if (check_burst("iops", qos->iops, qos->iops_burst, error) < 0 ||
        check_burst("bps", qos->bps, qos->bps_burst, error) < 0)
        return -1;
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_image_open(cluster, name, false, &open, error) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
        int result = set_value(open.image, settings[i].key, settings[i].value);
        if (result < 0) {
            AUTO_FREE char *text = ceph_image_text(name);
            ceph_failure(error, cluster, name->pool, result,
                         "image %s: %s cannot be set to %" PRIu64, text, settings[i].key,
                         settings[i].value);
            return error->hint
                       ? -1
                       : error_hint(error, "'rbd config image ls %s' shows what it has", text);
        }
    }
    return 0;
}
