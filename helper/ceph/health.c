#include "ceph/mon_command.h"
#include "ceph/private.h"

/* What forbids starting a copy onto this cluster: it is full, will soon be, or data in it cannot be
 * reached. In this order the first is named. A muted check counts too: muting hides a warning, the
 * space is still gone. */
static const char *const blockers[] = {
    "OSD_FULL", "POOL_FULL", "PG_AVAILABILITY", "OSD_BACKFILLFULL", "POOL_NEARFULL", "OSD_NEARFULL",
};

static const char *summary_of(json_object *check)
{
    json_object *summary = ceph_reply_member(check, "summary", json_type_object);
    const char *message = ceph_reply_text(summary, "message");
    return message ? message : "no summary";
}

static char *blocker_text(const char *code, json_object *check)
{
    AUTO_FREE char *summary = ceph_printable(summary_of(check));
    return text_format("%s: %s", code, summary);
}

static char *find_blocker(json_object *checks)
{
    for (size_t i = 0; i < ARRAY_SIZE(blockers); i++) {
        json_object *check = ceph_reply_member(checks, blockers[i], json_type_object);
        if (check)
            return blocker_text(blockers[i], check);
    }
    return NULL;
}

/* HEALTH_ERR for a reason that is none of the above, with the reason. */
static char *error_blocker(json_object *checks)
{
    if (checks) {
        json_object_object_foreach(checks, code, check)
        {
            const char *severity = ceph_reply_text(check, "severity");
            if (!severity || strcmp(severity, "HEALTH_ERR") != 0)
                continue;
            AUTO_FREE char *printable = ceph_printable(code);
            AUTO_FREE char *reason = blocker_text(printable, check);
            return text_format("HEALTH_ERR: %s", reason);
        }
    }
    return text_dup("HEALTH_ERR");
}

int ceph_health_read(json_object *reply, struct ceph_health *health, struct error *error)
{
    const char *status = ceph_reply_text(reply, "status");
    if (!status)
        return error_set(error, ERROR_INPUT, "the monitors' answer about health has no status");

    health->status = ceph_printable(status);
    json_object *checks = ceph_reply_member(reply, "checks", json_type_object);
    if (checks) {
        json_object_object_foreach(checks, code, check)
        {
            (void)check;
            *text_list_add(&health->checks) = ceph_printable(code);
        }
    }
    health->blocker = find_blocker(checks);
    if (!health->blocker && strcmp(status, "HEALTH_ERR") == 0)
        health->blocker = error_blocker(checks);
    return 0;
}

int ceph_health(struct ceph_cluster *cluster, struct ceph_health *health, struct error *error)
{
    *health = (struct ceph_health){0};
    AUTO_JSON json_object *reply = NULL;
    if (ceph_mon_command(cluster, CEPH_COMMAND_HEALTH, &reply, error) < 0)
        return -1;
    if (ceph_health_read(reply, health, error) < 0)
        return error_prefix(error, "cluster '%s'", cluster->name);
    return 0;
}

void ceph_health_clear(struct ceph_health *health)
{
    free(health->status);
    free(health->blocker);
    text_list_clear(&health->checks);
    *health = (struct ceph_health){0};
}
