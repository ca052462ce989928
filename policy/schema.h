/* The format as a table: a row a key, binding YAML to a field of a struct. Private to policy/.
 *
 * The rows are in keys.def; the functions that bind a value are in values.c (scalars and lists of
 * them) and draft.c (clusters, tiers, rules, networks). */
#ifndef VP_POLICY_SCHEMA_H
#define VP_POLICY_SCHEMA_H

#include "policy/node.h"

struct policy_draft;
struct policy_key;

/* Binds VALUE to FIELD, which is the key's offset into the object of the surrounding mapping. */
typedef int policy_bind(struct policy_draft *draft, const struct policy_key *key, void *field,
                        const struct policy_node *value, struct error *error);

struct policy_word {
    const char *text;
    unsigned value;
};

struct policy_key {
    const char *path; /* "tiers.*.qos.iops" */
    policy_bind *bind;
    size_t offset;
    const char *fallback;            /* the default, as one would write it; NULL: none */
    const struct policy_word *words; /* what is taken, ended by a NULL text; NULL: anything */
    uint64_t minimum, maximum;       /* of numbers; a maximum of 0: UINT64_MAX */
    bool repeatable;                 /* may be given in several files */
};

const struct policy_key *policy_schema(size_t *count);

/* "iops" of "tiers.*.qos.iops". */
const char *policy_key_name(const struct policy_key *key);

/* Binds every key of a mapping that stands at PATH ("" for the file's top), to OBJECT. */
int policy_bind_mapping(struct policy_draft *draft, const char *path, void *object,
                        const struct policy_node *mapping, struct error *error) MUST_CHECK;
/* Gives OBJECT, which stands at PATH, its defaults. */
int policy_bind_defaults(struct policy_draft *draft, const char *path, void *object,
                         struct error *error) MUST_CHECK;

/* "KEY: expected WHAT, found …" at the value's place. */
int policy_expected(const struct policy_key *key, const struct policy_node *value,
                    const char *expected, struct error *error);

/* values.c */
policy_bind policy_bind_version, policy_bind_text, policy_bind_file, policy_bind_user,
    policy_bind_secret, policy_bind_pool_name, policy_bind_reference, policy_bind_boolean,
    policy_bind_true, policy_bind_count, policy_bind_small_count, policy_bind_size,
    policy_bind_rate, policy_bind_duration, policy_bind_factor, policy_bind_word,
    policy_bind_word_text;
/* lists.c */
policy_bind policy_bind_words, policy_bind_flags, policy_bind_names, policy_bind_globs,
    policy_bind_uuids, policy_bind_monitors;
/* draft.c */
policy_bind policy_bind_section, policy_bind_clusters, policy_bind_tiers, policy_bind_rules,
    policy_bind_networks;

/* The word of the key's that VALUE is; NULL with the error set when it is none. */
const struct policy_word *policy_find_word(const struct policy_key *key,
                                           const struct policy_node *value, struct error *error);
/* Takes "4f2a…" with dashes, in either case; *uuid (new string) is in lower case. */
bool policy_uuid_read(const char *text, char **uuid);

#endif
