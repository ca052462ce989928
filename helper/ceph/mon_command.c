#include "ceph/mon_command.h"

#include "ceph/private.h"

#define MAX_REPLY_BYTES (64u << 20) /* df of ten thousand pools is 5 MiB */
#define MAX_REPLY_DEPTH 16

int ceph_reply_parse(const char *text, size_t length, json_object **reply, struct error *error)
{
    *reply = NULL;
    if (length > MAX_REPLY_BYTES)
        return error_set(error, ERROR_INPUT, "the monitors' answer is longer than %u MiB",
                         MAX_REPLY_BYTES >> 20);
    json_tokener *tokener = json_tokener_new_ex(MAX_REPLY_DEPTH);
    if (!tokener)
        return error_set(error, ERROR_FAILED, "no JSON parser to be had");
    *reply = json_tokener_parse_ex(tokener, text, (int)length);
    enum json_tokener_error result = json_tokener_get_error(tokener);
    json_tokener_free(tokener);
    if (result == json_tokener_success)
        return 0;

    if (*reply)
        json_object_put(*reply);
    *reply = NULL;
    return error_set(error, ERROR_INPUT, "the monitors' answer is not JSON: %s",
                     json_tokener_error_desc(result));
}

/* "df" of {"prefix":"df",…}, new string. */
static char *prefix_of(const char *command)
{
    static const char key[] = "\"prefix\":\"";
    const char *start = strstr(command, key);
    start = start ? start + strlen(key) : command;
    return text_slice(start, strcspn(start, "\""));
}

int ceph_mon_command(struct ceph_cluster *cluster, const char *command, json_object **reply,
                     struct error *error)
{
    char *output = NULL, *status = NULL;
    size_t output_length = 0, status_length = 0;
    int result = rados_mon_command(cluster->rados, &command, 1, "", 0, &output, &output_length,
                                   &status, &status_length);
    int failed = 0;
    AUTO_FREE char *prefix = prefix_of(command);
    if (result < 0)
        failed = ceph_failure(error, cluster, NULL, result, "the monitors do not answer 'ceph %s'",
                              prefix);
    else if (ceph_reply_parse(output ? output : "", output_length, reply, error) < 0)
        failed = error_prefix(error, "cluster '%s'", cluster->name);
    rados_buffer_free(output);
    rados_buffer_free(status);
    return failed;
}

json_object *ceph_reply_member(json_object *object, const char *key, enum json_type type)
{
    json_object *member = NULL;
    if (!object || !json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, key, &member) || !json_object_is_type(member, type))
        return NULL;
    return member;
}

const char *ceph_reply_text(json_object *object, const char *key)
{
    json_object *member = ceph_reply_member(object, key, json_type_string);
    return member ? json_object_get_string(member) : NULL;
}

bool ceph_reply_number(json_object *object, const char *key, uint64_t *number)
{
    json_object *member = ceph_reply_member(object, key, json_type_int);
    if (!member)
        return false;
    int64_t value = json_object_get_int64(member);
    *number = value > 0 ? (uint64_t)value : 0;
    return true;
}
