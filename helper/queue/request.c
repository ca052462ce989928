/* A request as JSON. The text may come from anybody: what is not a request to the letter is none. A
 * key that is not known is one that was meant to say something; carrying the rest out would do what
 * nobody asked for. */
#include "queue/private.h"

#include <ctype.h>
#include <json-c/json.h>

#define VERSION 1
#define DEPTH_MAX 3 /* an object, an array in it, and what json-c counts as one more */
#define NAME_MAX_BYTES 1024
#define TARGETS_MAX 512
#define BANDWIDTH_MAX ((int64_t)1 << 50)
#define CREATED_MAX 253402300799 /* the end of the year 9999 */
#define UUID_TEXT 36

void request_clear(struct request *request)
{
    free(request->file);
    free(request->uuid);
    free(request->domain);
    free(request->reason);
    free(request->tier);
    text_list_clear(&request->targets);
    *request = (struct request){0};
}

void requests_clear(struct requests *requests)
{
    for (size_t i = 0; i < requests->count; i++)
        request_clear(&requests->items[i]);
    free(requests->items);
    *requests = (struct requests){0};
}

static void free_json(json_object *object)
{
    json_object_put(object);
}
DEFINE_CLEANUP(json_object, free_json);
DEFINE_CLEANUP(json_tokener, json_tokener_free);
#define AUTO_JSON CLEANUP(free_jsonp) json_object *

/* ---- what a word may be ---- */

/* The length of the UTF-8 character that begins here, 0 when none does: overlong forms, surrogates
 * and control characters (C0, DEL, C1) are none. */
static size_t printable_length(const unsigned char *text)
{
    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7f;
    size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80) /* the NUL at the end is caught here */
            return 0;
    bool bad = (text[0] == 0xc2 && text[1] < 0xa0) || (text[0] == 0xe0 && text[1] < 0xa0) ||
               (text[0] == 0xed && text[1] > 0x9f) || (text[0] == 0xf0 && text[1] < 0x90) ||
               (text[0] == 0xf4 && text[1] > 0x8f);
    return bad ? 0 : length;
}

static bool is_name(const char *text)
{
    if (!*text || strlen(text) > NAME_MAX_BYTES)
        return false;
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        size_t length = printable_length(c);
        if (!length)
            return false;
        c += length;
    }
    return true;
}

/* A domain's name is for people only, and not ours to refuse: what cannot be shown becomes '?'. */
static char *make_name(const char *text)
{
    AUTO_BUFFER struct buffer name = {0};
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        size_t length = printable_length(c);
        if (name.length + length > NAME_MAX_BYTES)
            break;
        buffer_add_slice(&name, length ? (const char *)c : "?", length ? length : 1);
        c += length ? length : 1;
    }
    return name.length ? buffer_take(&name) : NULL;
}

static bool is_reason(const char *text)
{
    static const char *const reasons[] = {"start", "migrate", "tier", "user"};
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (text_equal(text, reasons[i]))
            return true;
    return false;
}

/* As libvirt names disks: vda, sdb, xvdc, hda1. */
static bool is_target(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length > 32 || text[0] < 'a' || text[0] > 'z')
        return false;
    for (const char *c = text; *c; c++)
        if (!isascii(*c) || (!isalnum((unsigned char)*c) && *c != '_'))
            return false;
    return true;
}

static bool is_uuid(const char *text)
{
    if (strlen(text) != UUID_TEXT)
        return false;
    for (size_t i = 0; i < UUID_TEXT; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
    }
    return true;
}

static char *lower_case(const char *text)
{
    char *copy = text_dup(text);
    for (char *c = copy; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return copy;
}

/* Both ways: what is put there must be what will be taken. */
static int check(const struct request *request, struct error *error)
{
    if (!request->uuid || !is_uuid(request->uuid))
        return error_set(error, ERROR_INPUT, "'uuid' must be a domain's UUID, with dashes");
    if (!request->reason || !is_reason(request->reason))
        return error_set(error, ERROR_INPUT, "'reason' must be one of: start, migrate, tier, user");
    if (request->domain && !is_name(request->domain))
        return error_set(error, ERROR_INPUT, "'domain' must be a name without control characters");
    if (request->tier && !is_name(request->tier))
        return error_set(error, ERROR_INPUT, "'tier' must be a name without control characters");
    if (request->targets.count > TARGETS_MAX)
        return error_set(error, ERROR_INPUT, "'targets' names more than %d disks", TARGETS_MAX);
    for (size_t i = 0; i < request->targets.count; i++)
        if (!is_target(request->targets.items[i]))
            return error_set(error, ERROR_INPUT, "'targets' must be names of disks, like vda");
    if (request->bandwidth > (uint64_t)BANDWIDTH_MAX)
        return error_set(error, ERROR_INPUT, "'bandwidth' must be bytes per second, up to 2^50");
    if (request->created < 0 || request->created > CREATED_MAX)
        return error_set(error, ERROR_INPUT, "'created' must be seconds since the epoch");
    return 0;
}

/* ---- writing ---- */

char *request_to_json(const struct request *request, struct error *error)
{
    AUTO_FREE char *domain = request->domain ? make_name(request->domain) : NULL;
    struct request tame = *request; /* borrows the rest */
    tame.domain = domain;
    if (check(&tame, error) < 0)
        return NULL;
    AUTO_FREE char *uuid = lower_case(request->uuid);
    AUTO_JSON object = json_object_new_object();
    json_object_object_add(object, "version", json_object_new_int(VERSION));
    json_object_object_add(object, "uuid", json_object_new_string(uuid));
    if (domain)
        json_object_object_add(object, "domain", json_object_new_string(domain));
    json_object_object_add(object, "reason", json_object_new_string(request->reason));
    if (request->tier)
        json_object_object_add(object, "tier", json_object_new_string(request->tier));
    json_object *targets = json_object_new_array();
    for (size_t i = 0; i < request->targets.count; i++)
        json_object_array_add(targets, json_object_new_string(request->targets.items[i]));
    json_object_object_add(object, "targets", targets);
    json_object_object_add(object, "bandwidth", json_object_new_int64((int64_t)request->bandwidth));
    json_object_object_add(object, "created", json_object_new_int64(request->created));
    const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
    return text_format("%s\n", text);
}

/* ---- reading ---- */

static int read_text(json_object *value, const char *key, char **text, struct error *error)
{
    if (!json_object_is_type(value, json_type_string))
        return error_set(error, ERROR_INPUT, "'%s' must be a string", key);
    const char *bytes = json_object_get_string(value);
    if (strlen(bytes) != (size_t)json_object_get_string_len(value))
        return error_set(error, ERROR_INPUT, "'%s' holds a NUL", key);
    free(*text);
    *text = text_dup(bytes);
    return 0;
}

/* json-c makes a number that is too large the largest one: far above any limit here. */
static int read_number(json_object *value, const char *key, int64_t max, int64_t *number,
                       struct error *error)
{
    if (!json_object_is_type(value, json_type_int))
        return error_set(error, ERROR_INPUT, "'%s' must be a whole number", key);
    *number = json_object_get_int64(value);
    if (*number >= 0 && *number <= max)
        return 0;
    return error_set(error, ERROR_INPUT, "'%s' is out of range", key);
}

static int read_targets(json_object *value, struct text_list *targets, struct error *error)
{
    if (!json_object_is_type(value, json_type_array))
        return error_set(error, ERROR_INPUT, "'targets' must be a list");
    size_t count = (size_t)json_object_array_length(value);
    if (count > TARGETS_MAX)
        return error_set(error, ERROR_INPUT, "'targets' names more than %d disks", TARGETS_MAX);
    text_list_clear(targets);
    for (size_t i = 0; i < count; i++)
        if (read_text(json_object_array_get_idx(value, i), "targets", text_list_add(targets),
                      error) < 0)
            return -1;
    return 0;
}

static int read_key(const char *key, json_object *value, struct request *request, int64_t *version,
                    struct error *error)
{
    int64_t bandwidth = 0;
    if (text_equal(key, "version"))
        return read_number(value, key, INT32_MAX, version, error);
    if (text_equal(key, "uuid"))
        return read_text(value, key, &request->uuid, error);
    if (text_equal(key, "domain"))
        return read_text(value, key, &request->domain, error);
    if (text_equal(key, "reason"))
        return read_text(value, key, &request->reason, error);
    if (text_equal(key, "tier"))
        return read_text(value, key, &request->tier, error);
    if (text_equal(key, "targets"))
        return read_targets(value, &request->targets, error);
    if (text_equal(key, "created"))
        return read_number(value, key, CREATED_MAX, &request->created, error);
    if (!text_equal(key, "bandwidth"))
        return error_set(error, ERROR_INPUT, "'%.40s' is no key of a request", key);
    if (read_number(value, key, BANDWIDTH_MAX, &bandwidth, error) < 0)
        return -1;
    request->bandwidth = (uint64_t)bandwidth;
    return 0;
}

static json_object *parse(const char *bytes, size_t length, struct error *error)
{
    if (memchr(bytes, '\0', length)) {
        error_set(error, ERROR_INPUT, "it holds a NUL");
        return NULL;
    }
    CLEANUP(json_tokener_freep) json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT); /* nothing may follow the object */
    AUTO_JSON object = json_tokener_parse_ex(tokener, bytes, (int)length);
    enum json_tokener_error failure = json_tokener_get_error(tokener);
    if (failure == json_tokener_success && json_object_is_type(object, json_type_object))
        return STEAL(object);
    if (failure == json_tokener_success)
        error_set(error, ERROR_INPUT, "it is not a JSON object");
    else
        error_set(error, ERROR_INPUT, "it is not JSON: %s",
                  failure == json_tokener_continue ? "it ends too early"
                                                   : json_tokener_error_desc(failure));
    return NULL;
}

static int read_object(json_object *object, struct request *request, struct error *error)
{
    int64_t version = 0;
    json_object *value = NULL;
    /* First of all: what another version means by its keys is not known here. */
    if (!json_object_object_get_ex(object, "version", &value) ||
        read_number(value, "version", INT32_MAX, &version, error) < 0 || version != VERSION)
        return error_set(error, ERROR_INPUT, "'version' must be %d", VERSION);
    struct json_object_iterator it = json_object_iter_begin(object);
    struct json_object_iterator end = json_object_iter_end(object);
    for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it))
        if (read_key(json_object_iter_peek_name(&it), json_object_iter_peek_value(&it), request,
                     &version, error) < 0)
            return -1;
    return check(request, error);
}

int request_from_json(const char *bytes, size_t length, struct request *request,
                      struct error *error)
{
    AUTO_JSON object = parse(bytes, length, error);
    if (!object)
        return -1;
    if (read_object(object, request, error) < 0) {
        request_clear(request);
        return -1;
    }
    AUTO_FREE char *uuid = request->uuid;
    request->uuid = lower_case(uuid);
    return 0;
}
