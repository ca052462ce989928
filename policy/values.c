/* One value of the YAML into one field: scalars. */
#include "base/text.h"
#include "base/units.h"
#include "policy/schema.h"

#include <ctype.h>
#include <inttypes.h>

enum { NAME_MAX_BYTES = 128 };

/* The text of a scalar, or NULL with the error set. */
static const char *scalar(const struct policy_key *key, const struct policy_node *value,
                          const char *expected, struct error *error)
{
    if (value->kind == NODE_SCALAR && !policy_node_is_null(value))
        return value->text;
    policy_expected(key, value, expected, error);
    return NULL;
}

static void replace(char **field, const char *text)
{
    char *old = *field;
    *field = text_dup(text);
    free(old);
}

int policy_bind_version(struct policy_draft *draft UNUSED, const struct policy_key *key,
                        void *field UNUSED, const struct policy_node *value, struct error *error)
{
    const char *text = scalar(key, value, "1", error);
    if (!text)
        return -1;
    if (strcmp(text, "1") == 0)
        return 0;
    AUTO_FREE char *found = policy_node_describe(value);
    policy_fault(&value->place, error, "version: %s is not a version that this virt-pivot knows",
                 found);
    return error_hint(error, "write 'version: 1', or install a newer virt-pivot");
}

int policy_bind_text(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                     const struct policy_node *value, struct error *error)
{
    const char *text = scalar(key, value, "text", error);
    if (!text)
        return -1;
    if (!*text || strlen(text) > NAME_MAX_BYTES)
        return policy_fault(&value->place, error, "%s: must have 1 to %d bytes",
                            policy_key_name(key), NAME_MAX_BYTES);
    replace(field, text);
    return 0;
}

int policy_bind_file(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                     const struct policy_node *value, struct error *error)
{
    const char *text = scalar(key, value, "the path of a file", error);
    if (!text)
        return -1;
    if (*text != '/')
        return policy_expected(key, value, "a path that starts with '/'", error);
    replace(field, text);
    return 0;
}

int policy_bind_user(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                     const struct policy_node *value, struct error *error)
{
    const char *text = scalar(key, value, "a cephx user", error);
    if (!text)
        return -1;
    if (text_starts_with(text, "client.") && text[strlen("client.")]) {
        policy_expected(key, value, "a cephx user without 'client.'", error);
        return error_hint(error, "write 'user: %s'", text + strlen("client."));
    }
    if (!*text || strlen(text) > NAME_MAX_BYTES || strpbrk(text, " /@,;=:\"'\\"))
        return policy_expected(key, value, "a cephx user", error);
    replace(field, text);
    return 0;
}

/* Forty characters of base64, as ceph-authtool prints a key. */
static bool is_cephx_key(const char *text)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return strlen(text) == 40 && strspn(text, base64) == 38 && strcmp(text + 38, "==") == 0;
}

/* Whoever writes the key itself is told so without it being repeated. */
int policy_bind_secret(struct policy_draft *draft, const struct policy_key *key, void *field,
                       const struct policy_node *value, struct error *error)
{
    if (value->kind != NODE_SCALAR || !is_cephx_key(value->text))
        return policy_bind_text(draft, key, field, value, error);
    policy_fault(&value->place, error, "secret: this looks like a cephx key itself");
    return error_hint(error, "give the key to libvirt (virsh secret-set-value), and here the UUID "
                             "or usage name of that secret");
}

int policy_bind_pool_name(struct policy_draft *draft UNUSED, const struct policy_key *key,
                          void *field, const struct policy_node *value, struct error *error)
{
    const char *text = scalar(key, value, "the name of a pool", error);
    if (!text)
        return -1;
    if (!*text || strlen(text) > NAME_MAX_BYTES || strpbrk(text, "/@")) {
        policy_expected(key, value, "the name of a pool alone", error);
        return error_hint(error, "it is in the cluster that 'pool' names");
    }
    replace(field, text);
    return 0;
}

/* A name that can be looked up only when every file has been read: validation takes it from the
 * tree again. */
int policy_bind_reference(struct policy_draft *draft UNUSED, const struct policy_key *key,
                          void *field UNUSED, const struct policy_node *value, struct error *error)
{
    return scalar(key, value, "a name", error) ? 0 : -1;
}

int policy_bind_boolean(struct policy_draft *draft UNUSED, const struct policy_key *key,
                        void *field, const struct policy_node *value, struct error *error)
{
    bool is_plain = value->kind == NODE_SCALAR && value->plain;
    if (!is_plain || (strcmp(value->text, "true") != 0 && strcmp(value->text, "false") != 0))
        return policy_expected(key, value, "true or false", error);
    *(bool *)field = strcmp(value->text, "true") == 0;
    return 0;
}

/* 'leave' has no second value: a rule that does not leave names a tier. */
int policy_bind_true(struct policy_draft *draft UNUSED, const struct policy_key *key,
                     void *field UNUSED, const struct policy_node *value, struct error *error)
{
    if (value->kind != NODE_SCALAR || !value->plain || strcmp(value->text, "true") != 0)
        return policy_expected(key, value, "true", error);
    return 0;
}

/* A kind of number: how it is read, and written again in messages. */
struct measure {
    const char *expected;
    int (*parse)(const char *text, uint64_t *number, struct error *error);
    char *(*format)(uint64_t number);
};

static int parse_count(const char *text, uint64_t *number, struct error *error)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits])
        return error_set(error, ERROR_INPUT, "'%s' is not a whole number", text);
    if (digits > 18)
        return error_set(error, ERROR_INPUT, "'%s' is too large", text);
    *number = strtoull(text, NULL, 10);
    return 0;
}

static char *format_count(uint64_t number)
{
    return text_format("%" PRIu64, number);
}

static int out_of_range(const struct policy_key *key, const struct policy_node *value,
                        const struct measure *measure, struct error *error)
{
    AUTO_FREE char *minimum = measure->format(key->minimum);
    if (!key->maximum)
        return policy_fault(&value->place, error, "%s: '%s' is too small, the least is %s",
                            policy_key_name(key), value->text, minimum);
    AUTO_FREE char *maximum = measure->format(key->maximum);
    return policy_fault(&value->place, error, "%s: '%s' is out of range, it must be %s to %s",
                        policy_key_name(key), value->text, minimum, maximum);
}

static int read_measure(const struct policy_key *key, const struct policy_node *value,
                        const struct measure *measure, uint64_t *number, struct error *error)
{
    const char *text = scalar(key, value, measure->expected, error);
    if (!text)
        return -1;
    if (measure->parse(text, number, error) < 0)
        return policy_fault_wrap(&value->place, policy_key_name(key), error);
    if (*number < key->minimum || (key->maximum && *number > key->maximum))
        return out_of_range(key, value, measure, error);
    return 0;
}

static const struct measure count_measure = {"a whole number", parse_count, format_count};
static const struct measure size_measure = {"a size such as 4MiB", parse_size, format_size};
static const struct measure rate_measure = {"a rate such as 200MiB", parse_rate, format_rate};
static const struct measure duration_measure = {"a duration such as 7d", parse_duration,
                                                format_duration};

int policy_bind_count(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                      const struct policy_node *value, struct error *error)
{
    return read_measure(key, value, &count_measure, field, error);
}

int policy_bind_small_count(struct policy_draft *draft UNUSED, const struct policy_key *key,
                            void *field, const struct policy_node *value, struct error *error)
{
    uint64_t number = 0;
    if (read_measure(key, value, &count_measure, &number, error) < 0)
        return -1;
    *(unsigned *)field = (unsigned)number;
    return 0;
}

int policy_bind_size(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                     const struct policy_node *value, struct error *error)
{
    return read_measure(key, value, &size_measure, field, error);
}

int policy_bind_rate(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                     const struct policy_node *value, struct error *error)
{
    return read_measure(key, value, &rate_measure, field, error);
}

int policy_bind_duration(struct policy_draft *draft UNUSED, const struct policy_key *key,
                         void *field, const struct policy_node *value, struct error *error)
{
    return read_measure(key, value, &duration_measure, field, error);
}

/* 0 switches off what the factor is for, whatever the minimum. */
int policy_bind_factor(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                       const struct policy_node *value, struct error *error)
{
    const char *text = scalar(key, value, "a factor such as 1.5x", error);
    if (!text)
        return -1;
    double factor = 0;
    if (parse_factor(text, &factor, error) < 0)
        return policy_fault_wrap(&value->place, policy_key_name(key), error);
    if (factor != 0 && (factor < (double)key->minimum || factor > (double)key->maximum))
        return policy_fault(&value->place, error,
                            "%s: '%s' is out of range, it must be 0 or %" PRIu64 "x to %" PRIu64
                            "x",
                            policy_key_name(key), text, key->minimum, key->maximum);
    *(double *)field = factor;
    return 0;
}

int policy_bind_word(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                     const struct policy_node *value, struct error *error)
{
    const struct policy_word *word = policy_find_word(key, value, error);
    if (!word)
        return -1;
    *(unsigned *)field = word->value; /* an enum without negative values is an unsigned int */
    return 0;
}

int policy_bind_word_text(struct policy_draft *draft UNUSED, const struct policy_key *key,
                          void *field, const struct policy_node *value, struct error *error)
{
    const struct policy_word *word = policy_find_word(key, value, error);
    if (!word)
        return -1;
    replace(field, word->text);
    return 0;
}

bool policy_uuid_read(const char *text, char **uuid)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (strlen(text) != sizeof(shape) - 1)
        return false;
    for (size_t i = 0; shape[i]; i++)
        if (shape[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != '-')
            return false;
    char *lower = text_dup(text);
    for (char *c = lower; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    *uuid = lower;
    return true;
}
