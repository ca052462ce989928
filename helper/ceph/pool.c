#include "ceph/mon_command.h"
#include "ceph/private.h"

/* A pool's statistics come from the managers, some seconds after the pool itself. */
#define STATISTICS_PAUSE_MS 500

static json_object *find_pool(json_object *pools, const char *key, const char *pool)
{
    size_t count = pools ? json_object_array_length(pools) : 0;
    for (size_t i = 0; i < count; i++) {
        json_object *candidate = json_object_array_get_idx(pools, i);
        const char *name = ceph_reply_text(candidate, key);
        if (name && strcmp(name, pool) == 0)
            return candidate;
    }
    return NULL;
}

/* Whether a comma-separated list holds the word. */
static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

int ceph_pool_read_flags(json_object *reply, const char *pool, struct ceph_pool *info,
                         struct error *error)
{
    if (!json_object_is_type(reply, json_type_array))
        return error_set(error, ERROR_INPUT, "the monitors' list of pools is not a list");
    json_object *found = find_pool(reply, "pool_name", pool);
    if (!found) {
        error_set(error, ERROR_NOT_FOUND, "there is no pool '%s'", pool);
        return error_hint(error, "'ceph osd pool ls' lists the pools");
    }
    const char *flags = ceph_reply_text(found, "flags_names");
    if (!flags)
        return error_set(error, ERROR_INPUT, "the monitors do not say pool '%s's flags", pool);
    info->full = has_word(flags, "full") || has_word(flags, "full_quota");
    info->nearfull = has_word(flags, "nearfull") || has_word(flags, "backfillfull");

    json_object *applications = ceph_reply_member(found, "application_metadata", json_type_object);
    info->rbd_application = ceph_reply_member(applications, "rbd", json_type_object) != NULL;
    return 0;
}

int ceph_pool_read_sizes(json_object *reply, const char *pool, struct ceph_pool *info,
                         struct error *error)
{
    json_object *pools = ceph_reply_member(reply, "pools", json_type_array);
    if (!pools)
        return error_set(error, ERROR_INPUT, "the monitors' answer about space has no pools");
    json_object *stats =
        ceph_reply_member(find_pool(pools, "name", pool), "stats", json_type_object);
    if (!stats)
        return error_set(error, ERROR_NOT_FOUND, "there are no statistics of pool '%s'", pool);

    uint64_t available = 0, objects = 0, quota_objects = 0;
    if (!ceph_reply_number(stats, "max_avail", &available) ||
        (!ceph_reply_number(stats, "stored", &info->stored_bytes) &&
         !ceph_reply_number(stats, "bytes_used", &info->stored_bytes))) /* before Ceph 14 */
        return error_set(error, ERROR_INPUT, "the statistics of pool '%s' lack its sizes", pool);

    ceph_reply_number(stats, "quota_bytes", &info->quota_bytes);
    ceph_reply_number(stats, "quota_objects", &quota_objects);
    ceph_reply_number(stats, "objects", &objects);
    info->free_bytes = available;
    if (info->quota_bytes) {
        uint64_t stored = info->stored_bytes;
        uint64_t left = stored < info->quota_bytes ? info->quota_bytes - stored : 0;
        info->free_bytes = left < available ? left : available;
    }
    if ((info->quota_bytes && info->stored_bytes >= info->quota_bytes) ||
        (quota_objects && objects >= quota_objects))
        info->full = true;
    return 0;
}

static int read_sizes(struct ceph_cluster *cluster, const char *pool, struct ceph_pool *info,
                      struct error *error)
{
    double deadline = ceph_clock() + cluster->timeout;
    for (;;) {
        AUTO_JSON json_object *reply = NULL;
        if (ceph_mon_command(cluster, CEPH_COMMAND_DF, &reply, error) < 0)
            return -1;
        if (ceph_pool_read_sizes(reply, pool, info, error) == 0)
            return 0;
        if (error->code != ERROR_NOT_FOUND)
            return error_prefix(error, "cluster '%s'", cluster->name);
        if (ceph_clock() >= deadline)
            break;
        error_clear(error);
        ceph_pause(STATISTICS_PAUSE_MS);
    }
    error_set(error, ERROR_UNREACHABLE, "cluster '%s' has pool '%s', but no statistics of it",
              cluster->name, pool);
    return error_hint(error, "'ceph -s': is a manager (mgr) active?");
}

int ceph_pool(struct ceph_cluster *cluster, const char *pool, struct ceph_pool *info,
              struct error *error)
{
    *info = (struct ceph_pool){0};
    AUTO_JSON json_object *reply = NULL;
    if (ceph_mon_command(cluster, CEPH_COMMAND_POOLS, &reply, error) < 0)
        return -1;
    if (ceph_pool_read_flags(reply, pool, info, error) < 0)
        return error_prefix(error, "cluster '%s'", cluster->name);
    return read_sizes(cluster, pool, info, error);
}

int ceph_namespace_exists(struct ceph_cluster *cluster, const char *pool, const char *name_space,
                          bool *exists, struct error *error)
{
    *exists = true;
    AUTO_POOL rados_ioctx_t handle = NULL;
    if (ceph_pool_open(cluster, pool, NULL, &handle, error) < 0)
        return -1;
    if (text_empty(name_space))
        return 0;
    int result = rbd_namespace_exists(handle, name_space, exists);
    if (result < 0)
        return ceph_failure(error, cluster, pool, result,
                            "whether pool '%s' has namespace '%s' cannot be read", pool,
                            name_space);
    return 0;
}
