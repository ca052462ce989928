/* Questions to the monitors, and their answers in JSON. */
#ifndef VP_CEPH_MON_COMMAND_H
#define VP_CEPH_MON_COMMAND_H

#include "ceph/ceph.h"

#include <json.h>

static inline void cleanup_json(json_object **json)
{
    if (*json)
        json_object_put(*json);
}
#define AUTO_JSON CLEANUP(cleanup_json)

/* Sends a command, e.g. {"prefix":"health","format":"json"}, and parses what comes back. */
int ceph_mon_command(struct ceph_cluster *cluster, const char *command, json_object **reply,
                     struct error *error) MUST_CHECK;

/* The same for a text at hand. Bounded in size and depth; ERROR_INPUT when it is not JSON. */
int ceph_reply_parse(const char *text, size_t length, json_object **reply, struct error *error)
    MUST_CHECK;

/* A member of an object, if it has this type; else NULL, as for a NULL object. */
json_object *ceph_reply_member(json_object *object, const char *key, enum json_type type);
/* A string member, borrowed, or NULL. */
const char *ceph_reply_text(json_object *object, const char *key);
/* Whether there is an integer member; *number is it, or 0 for a negative one. */
bool ceph_reply_number(json_object *object, const char *key, uint64_t *number);

/* The commands, and what their answers say: pure. */

#define CEPH_COMMAND_HEALTH "{\"prefix\":\"health\",\"format\":\"json\"}"
#define CEPH_COMMAND_POOLS "{\"prefix\":\"osd pool ls\",\"detail\":\"detail\",\"format\":\"json\"}"
#define CEPH_COMMAND_DF "{\"prefix\":\"df\",\"detail\":\"detail\",\"format\":\"json\"}"

/* ERROR_INPUT when the answer lacks what it must have. */
int ceph_health_read(json_object *reply, struct ceph_health *health, struct error *error)
    MUST_CHECK;
/* Flags and the application tag, from CEPH_COMMAND_POOLS. ERROR_NOT_FOUND: no such pool. */
int ceph_pool_read_flags(json_object *reply, const char *pool, struct ceph_pool *info,
                         struct error *error) MUST_CHECK;
/* Sizes, from CEPH_COMMAND_DF; adds to `full`. ERROR_NOT_FOUND: no statistics of such a pool. */
int ceph_pool_read_sizes(json_object *reply, const char *pool, struct ceph_pool *info,
                         struct error *error) MUST_CHECK;

#endif
