/* Files into a draft: the mappings of the format, and clusters, tiers, rules and networks by their
 * names. */
#include "policy/draft.h"

#include "base/text.h"

#include <ctype.h>

enum { NAME_MAX_BYTES = 64, NETWORK_MAX_BYTES = 63 };

int policy_draft_begin(struct policy_draft *draft, struct error *error)
{
    size_t count = 0;
    (void)policy_schema(&count);
    *draft = (struct policy_draft){.policy = NEW(struct policy), .nodes_left = POLICY_MAX_NODES};
    draft->given = memory_new(count, sizeof(*draft->given));
    return policy_bind_defaults(draft, "", draft->policy, error);
}

void policy_draft_clear(struct policy_draft *draft)
{
    policy_free(draft->policy);
    for (size_t i = 0; i < draft->documents.count; i++)
        policy_node_free(draft->documents.items[i]);
    free(draft->documents.items);
    free(draft->clusters.items);
    free(draft->tiers.items);
    free(draft->rules.items);
    free(draft->networks.items);
    free(draft->given);
    *draft = (struct policy_draft){0};
}

int policy_bind_section(struct policy_draft *draft, const struct policy_key *key, void *field,
                        const struct policy_node *value, struct error *error)
{
    if (value->kind != NODE_MAPPING)
        return policy_expected(key, value, "a mapping", error);
    return policy_bind_mapping(draft, key->path, field, value, error);
}

/* Names go into "cluster/pool", into messages and onto the command line. */
static int check_name(const struct policy_key *key, const struct policy_node *name,
                      struct error *error)
{
    bool legal = isalnum((unsigned char)*name->text) && strlen(name->text) <= NAME_MAX_BYTES;
    for (const char *c = name->text; *c; c++)
        legal = legal && (isalnum((unsigned char)*c) || strchr("-._", *c));
    if (legal)
        return 0;
    AUTO_FREE char *found = policy_shorten(name->text);
    policy_fault(&name->place, error, "%s: '%s' is not a name", key->path, found);
    return error_hint(error,
                      "letters, digits, '.', '_' and '-', a letter or digit first, %d at most",
                      NAME_MAX_BYTES);
}

static int check_new_name(const struct policy_key *key, const struct policy_entries *entries,
                          const struct policy_node *name, struct error *error)
{
    for (size_t i = 0; i < entries->count; i++) {
        const struct policy_node *other = entries->items[i].key;
        if (strcmp(other->text, name->text) != 0)
            continue;
        AUTO_FREE char *first = policy_place_text(&other->place);
        return policy_fault(&name->place, error, "%s: '%s' is given again, first at %s", key->path,
                            name->text, first);
    }
    return 0;
}

/* Checks the I-th member of a mapping by names, and files it. */
static int add_entry(const struct policy_key *key, const struct policy_node *mapping, size_t i,
                     struct policy_entries *entries, struct error *error)
{
    const struct policy_node *name = mapping->items.items[i];
    const struct policy_node *value = mapping->items.items[i + 1];
    if (check_name(key, name, error) < 0 || check_new_name(key, entries, name, error) < 0)
        return -1;
    if (value->kind != NODE_MAPPING) {
        AUTO_FREE char *found = policy_node_describe(value);
        return policy_fault(&value->place, error, "%s: expected a mapping for '%s', found %s",
                            key->path, name->text, found);
    }
    *policy_entries_add(entries) = (struct policy_entry){name, value};
    return 0;
}

int policy_bind_clusters(struct policy_draft *draft, const struct policy_key *key,
                         void *field UNUSED, const struct policy_node *value, struct error *error)
{
    if (value->kind != NODE_MAPPING)
        return policy_expected(key, value, "a mapping of clusters by name", error);
    for (size_t i = 0; i + 1 < value->items.count; i += 2) {
        if (add_entry(key, value, i, &draft->clusters, error) < 0)
            return -1;
        const struct policy_node *name = value->items.items[i];
        if (draft->clusters.count > POLICY_MAX_CLUSTERS)
            return policy_fault(&name->place, error, "more than %u clusters", POLICY_MAX_CLUSTERS);
        struct policy_cluster *cluster = NEW(struct policy_cluster);
        *policy_clusters_add(&draft->policy->clusters) = cluster;
        cluster->name = text_dup(name->text);
        cluster->place = name->place;
        if (policy_bind_mapping(draft, "clusters.*", cluster, value->items.items[i + 1], error) < 0)
            return -1;
    }
    return 0;
}

int policy_bind_tiers(struct policy_draft *draft, const struct policy_key *key, void *field UNUSED,
                      const struct policy_node *value, struct error *error)
{
    if (value->kind != NODE_MAPPING)
        return policy_expected(key, value, "a mapping of tiers by name", error);
    for (size_t i = 0; i + 1 < value->items.count; i += 2) {
        if (add_entry(key, value, i, &draft->tiers, error) < 0)
            return -1;
        const struct policy_node *name = value->items.items[i];
        struct policy_tier *tier = NEW(struct policy_tier);
        *policy_tiers_add(&draft->policy->tiers) = tier;
        tier->name = text_dup(name->text);
        tier->place = name->place;
        if (policy_bind_defaults(draft, "tiers.*", tier, error) < 0 ||
            policy_bind_mapping(draft, "tiers.*", tier, value->items.items[i + 1], error) < 0)
            return -1;
    }
    return 0;
}

int policy_bind_rules(struct policy_draft *draft, const struct policy_key *key, void *field UNUSED,
                      const struct policy_node *value, struct error *error)
{
    if (value->kind != NODE_LIST)
        return policy_expected(key, value, "a list of rules", error);
    for (size_t i = 0; i < value->items.count; i++) {
        const struct policy_node *item = value->items.items[i];
        if (item->kind != NODE_MAPPING)
            return policy_expected(key, item, "a rule, which is a mapping", error);
        struct policy_rule *rule = NEW(struct policy_rule);
        *policy_rules_add(&draft->policy->rules) = rule;
        *policy_entries_add(&draft->rules) = (struct policy_entry){NULL, item};
        rule->place = item->place;
        if (policy_bind_mapping(draft, "rules.*", rule, item, error) < 0)
            return -1;
        if (!rule->name)
            rule->name = text_format("rule %zu", draft->rules.count);
    }
    return 0;
}

/* What libvirt and the kernel take has no '/'; control characters are in no value at all. */
static int check_network(const struct policy_key *key, const struct policy_node *name,
                         struct error *error)
{
    if (name->kind != NODE_SCALAR || policy_node_is_null(name))
        return policy_expected(key, name, "the name of a network or bridge", error);
    size_t length = strlen(name->text);
    if (length > 0 && length <= NETWORK_MAX_BYTES && !strchr(name->text, '/'))
        return 0;
    AUTO_FREE char *found = policy_shorten(name->text);
    policy_fault(&name->place, error, "networks: '%s' is not the name of a network or bridge",
                 found);
    return error_hint(error, "1 to %d bytes, without '/'", NETWORK_MAX_BYTES);
}

int policy_bind_networks(struct policy_draft *draft, const struct policy_key *key, void *field,
                         const struct policy_node *value, struct error *error)
{
    if (value->kind != NODE_MAPPING)
        return policy_expected(key, value, "a mapping of networks and bridges", error);
    for (size_t i = 0; i + 1 < value->items.count; i += 2) {
        const struct policy_node *from = value->items.items[i];
        const struct policy_node *to = value->items.items[i + 1];
        if (check_network(key, from, error) < 0 || check_network(key, to, error) < 0 ||
            check_new_name(key, &draft->networks, from, error) < 0)
            return -1;
        *policy_entries_add(&draft->networks) = (struct policy_entry){from, to};
        if (draft->networks.count > POLICY_MAX_NETWORKS)
            return policy_fault(&from->place, error, "more than %u networks", POLICY_MAX_NETWORKS);
        *policy_networks_add(field) = (struct policy_network){
            .from = text_dup(from->text),
            .to = text_dup(to->text),
        };
    }
    return 0;
}

/* The version comes first: in a file of a later version every other complaint would mislead. */
static int check_version(struct policy_draft *draft, const struct policy_node *root,
                         const char *file, bool required, struct error *error)
{
    const struct policy_node *version = policy_node_member(root, "version");
    if (version) {
        const struct policy_key key = {.path = "version"};
        return policy_bind_version(draft, &key, NULL, version, error);
    }
    if (!required)
        return 0;
    struct policy_place start = {file, 1, 1};
    policy_fault(root ? &root->place : &start, error, "there is no 'version'");
    return error_hint(error, "the file begins with 'version: 1'");
}

int policy_draft_add(struct policy_draft *draft, const char *text, size_t length, const char *file,
                     bool version_required, struct error *error)
{
    text_list_append(&draft->policy->files, file);
    const char *name = draft->policy->files.items[draft->policy->files.count - 1];
    struct policy_node *root = NULL;
    if (policy_yaml_read(text, length, name, &draft->nodes_left, &root, error) < 0)
        return -1;
    if (root)
        *policy_nodes_add(&draft->documents) = root;
    if (root && root->kind != NODE_MAPPING) {
        AUTO_FREE char *found = policy_node_describe(root);
        return policy_fault(&root->place, error, "expected a mapping of settings, found %s", found);
    }
    if (check_version(draft, root, name, version_required, error) < 0)
        return -1;
    return root ? policy_bind_mapping(draft, "", draft->policy, root, error) : 0;
}

int policy_draft_finish(struct policy_draft *draft, const struct policy **policy,
                        struct error *error)
{
    if (policy_validate_clusters(draft, error) < 0 || policy_validate_tiers(draft, error) < 0 ||
        policy_validate_rules(draft, error) < 0 || policy_find_shadowed(draft, error) < 0)
        return -1;
    *policy = STEAL(draft->policy);
    return 0;
}
