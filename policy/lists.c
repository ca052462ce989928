/* One value of the YAML into one field: words, and what may be one value or a list of them. */
#include "base/text.h"
#include "policy/glob_analysis.h"
#include "policy/mons.h"
#include "policy/schema.h"

static int no_such_word(const struct policy_key *key, const struct policy_node *value,
                        struct error *error)
{
    enum { MOST = 32 };
    const char *texts[MOST];
    size_t count = 0;
    AUTO_BUFFER struct buffer expected = {0};
    for (const struct policy_word *word = key->words; word->text && count < MOST; word++) {
        buffer_format(&expected, "%s%s", count ? (word[1].text ? ", " : " or ") : "", word->text);
        texts[count++] = word->text;
    }
    policy_expected(key, value, expected.text, error);
    const char *closest =
        value->kind == NODE_SCALAR ? text_closest(value->text, texts, count) : NULL;
    return closest ? error_hint(error, "did you mean '%s'?", closest) : -1;
}

const struct policy_word *policy_find_word(const struct policy_key *key,
                                           const struct policy_node *value, struct error *error)
{
    for (const struct policy_word *word = key->words; value->kind == NODE_SCALAR && word->text;
         word++)
        if (strcmp(word->text, value->text) == 0)
            return word;
    no_such_word(key, value, error);
    return NULL;
}

typedef int bind_item(const struct policy_key *key, void *field, const struct policy_node *item,
                      struct error *error);

/* Binds a scalar alone, or each scalar of a list that has at least one. */
static int bind_each(const struct policy_key *key, void *field, const struct policy_node *value,
                     const char *expected, bind_item *bind, struct error *error)
{
    if (value->kind == NODE_SCALAR && !policy_node_is_null(value))
        return bind(key, field, value, error);
    if (value->kind != NODE_LIST)
        return policy_expected(key, value, expected, error);
    if (value->items.count == 0)
        return policy_fault(&value->place, error, "%s: the list is empty", policy_key_name(key));
    for (size_t i = 0; i < value->items.count; i++) {
        const struct policy_node *item = value->items.items[i];
        if (item->kind != NODE_SCALAR || policy_node_is_null(item))
            return policy_expected(key, item, expected, error);
        if (bind(key, field, item, error) < 0)
            return -1;
    }
    return 0;
}

static int add_word(const struct policy_key *key, void *field, const struct policy_node *item,
                    struct error *error)
{
    const struct policy_word *word = policy_find_word(key, item, error);
    if (!word)
        return -1;
    text_list_append(field, word->text);
    return 0;
}

int policy_bind_words(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                      const struct policy_node *value, struct error *error)
{
    return bind_each(key, field, value, "a word or a list of words", add_word, error);
}

static int add_flag(const struct policy_key *key, void *field, const struct policy_node *item,
                    struct error *error)
{
    const struct policy_word *word = policy_find_word(key, item, error);
    if (!word)
        return -1;
    *(unsigned *)field |= word->value;
    return 0;
}

/* Unlike a condition's list this one may be empty: nothing may be lost. */
int policy_bind_flags(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                      const struct policy_node *value, struct error *error)
{
    if (value->kind == NODE_LIST && value->items.count == 0)
        return 0;
    return bind_each(key, field, value, "a word or a list of words", add_flag, error);
}

static int add_name(const struct policy_key *key UNUSED, void *field,
                    const struct policy_node *item, struct error *error UNUSED)
{
    text_list_append(field, item->text);
    return 0;
}

int policy_bind_names(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                      const struct policy_node *value, struct error *error)
{
    return bind_each(key, field, value, "a name or a list of names", add_name, error);
}

static int add_glob(const struct policy_key *key, void *field, const struct policy_node *item,
                    struct error *error)
{
    const char *problem = glob_problem(item->text);
    if (problem) {
        AUTO_FREE char *pattern = policy_shorten(item->text);
        policy_fault(&item->place, error, "%s: '%s' is no pattern: %s", policy_key_name(key),
                     pattern, problem);
        return error_hint(error, "a backslash takes the next character as it is");
    }
    text_list_append(field, item->text);
    return 0;
}

int policy_bind_globs(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                      const struct policy_node *value, struct error *error)
{
    return bind_each(key, field, value, "a pattern or a list of patterns", add_glob, error);
}

static int add_uuid(const struct policy_key *key, void *field, const struct policy_node *item,
                    struct error *error)
{
    char *uuid = NULL;
    if (!policy_uuid_read(item->text, &uuid))
        return policy_expected(key, item, "a UUID with its dashes", error);
    *text_list_add(field) = uuid;
    return 0;
}

int policy_bind_uuids(struct policy_draft *draft UNUSED, const struct policy_key *key, void *field,
                      const struct policy_node *value, struct error *error)
{
    return bind_each(key, field, value, "a UUID or a list of UUIDs", add_uuid, error);
}

static int add_monitors(const struct policy_key *key, void *field, const struct policy_node *item,
                        struct error *error)
{
    if (policy_mons_read(item->text, field, error) < 0)
        return policy_fault_wrap(&item->place, policy_key_name(key), error);
    return 0;
}

int policy_bind_monitors(struct policy_draft *draft UNUSED, const struct policy_key *key,
                         void *field, const struct policy_node *value, struct error *error)
{
    return bind_each(key, field, value, "an address or a list of addresses", add_monitors, error);
}
