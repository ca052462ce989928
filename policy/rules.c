/* Rules by themselves: complete, resolved, and able to match. shadow.c looks at them together. */
#include "base/text.h"
#include "policy/draft.h"

static bool has_word(const struct text_list *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (strcmp(words->items[i], word) == 0)
            return true;
    return false;
}

static int never(const struct policy_rule *rule, const struct policy_node *node,
                 struct error *error, const char *why)
{
    return policy_fault(&node->place, error, "rule '%s' can never match: %s", rule->name, why);
}

static const struct policy_node *first_of(const struct policy_node *match,
                                          const char *const names[], size_t count,
                                          const char **name)
{
    for (size_t i = 0; i < count; i++) {
        *name = names[i];
        const struct policy_node *node = policy_node_member(match, names[i]);
        if (node)
            return node;
    }
    return NULL;
}

/* An RBD image has a cluster, a pool and a name; a file or device has a path. */
static int check_kinds(const struct policy_rule *rule, const struct policy_node *match,
                       struct error *error)
{
    static const char *const of_images[] = {"cluster", "pool", "image"};
    const char *name = NULL;
    const struct policy_node *image = first_of(match, of_images, ARRAY_SIZE(of_images), &name);
    const struct policy_node *path = policy_node_member(match, "path");
    const struct text_list *types = &rule->match.types;
    AUTO_FREE char *why = NULL;
    if (image && path) {
        why = text_format("'%s' is of RBD images, 'path' of files and block devices", name);
        return never(rule, path, error, why);
    }
    if (types->count == 0)
        return 0;
    if (image && !has_word(types, "network")) {
        why = text_format("'%s' is of RBD images, but 'type' has no network", name);
        return never(rule, image, error, why);
    }
    if (path && !has_word(types, "file") && !has_word(types, "block"))
        return never(rule, path, error, "only files and block devices have a path");
    return 0;
}

/* Every place at which a condition's patterns stand. */
static const struct policy_node *item_of(const struct policy_node *value, size_t i)
{
    return value->kind == NODE_LIST ? value->items.items[i] : value;
}

/* libvirt's paths are absolute, so '*.qcow2', with its one star, is below no folder. */
static int check_paths(const struct policy_rule *rule, const struct policy_node *match,
                       struct error *error)
{
    const struct text_list *paths = &rule->match.paths;
    for (size_t i = 0; i < paths->count; i++) {
        const char *pattern = paths->items[i];
        if (text_starts_with(pattern, "/") || text_starts_with(pattern, "\\/") ||
            text_starts_with(pattern, "**"))
            continue;
        never(rule, item_of(policy_node_member(match, "path"), i), error,
              "a path begins with '/', this pattern does not");
        return error_hint(error, "'**/%s' is below any folder", pattern);
    }
    return 0;
}

static int check_without_slash(const struct policy_rule *rule, const struct policy_node *match,
                               const char *key, const struct text_list *patterns,
                               struct error *error)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (!strchr(patterns->items[i], '/'))
            continue;
        AUTO_FREE char *why = text_format("no %s has a '/' in its name", key);
        never(rule, item_of(policy_node_member(match, key), i), error, why);
        return error_hint(error, "the parts are matched apart, by 'cluster', 'pool' and 'image'");
    }
    return 0;
}

static int check_sizes(const struct policy_rule *rule, const struct policy_node *match,
                       struct error *error)
{
    if (rule->match.max_size == 0 || rule->match.min_size <= rule->match.max_size)
        return 0;
    return never(rule, policy_node_member(match, "min_size"), error,
                 "min_size is greater than max_size");
}

static int check_clusters(const struct policy_draft *draft, const struct policy_rule *rule,
                          const struct policy_node *match, struct error *error)
{
    const struct text_list *names = &rule->match.clusters;
    for (size_t i = 0; i < names->count; i++)
        if (!policy_draft_cluster(draft, names->items[i]))
            return policy_unknown_cluster(draft, item_of(policy_node_member(match, "cluster"), i),
                                          names->items[i], error);
    return 0;
}

static int check_match(const struct policy_draft *draft, const struct policy_rule *rule,
                       const struct policy_node *match, struct error *error)
{
    if (check_clusters(draft, rule, match, error) < 0 || check_kinds(rule, match, error) < 0 ||
        check_paths(rule, match, error) < 0 || check_sizes(rule, match, error) < 0 ||
        check_without_slash(rule, match, "pool", &rule->match.pools, error) < 0)
        return -1;
    return check_without_slash(rule, match, "image", &rule->match.images, error);
}

static int unknown_tier(const struct policy_draft *draft, const struct policy_node *node,
                        struct error *error)
{
    const struct policy_tiers *tiers = &draft->policy->tiers;
    AUTO_FREE const char **names = memory_new(tiers->count, sizeof(*names));
    for (size_t i = 0; i < tiers->count; i++)
        names[i] = tiers->items[i]->name;
    AUTO_FREE char *word = policy_shorten(node->text);
    policy_fault(&node->place, error, "unknown tier '%s'", word);
    const char *closest = text_closest(node->text, names, tiers->count);
    return closest ? error_hint(error, "did you mean '%s'?", closest)
                   : error_hint(error, "tiers are defined under 'tiers'");
}

static int resolve_outcome(const struct policy_draft *draft, struct policy_rule *rule,
                           const struct policy_node *yaml, struct error *error)
{
    const struct policy_node *tier = policy_node_member(yaml, "tier");
    const struct policy_node *leave = policy_node_member(yaml, "leave");
    if (tier && leave)
        return policy_fault(&leave->place, error, "rule '%s' has both 'tier' and 'leave'",
                            rule->name);
    if (!tier && !leave) {
        policy_fault(&rule->place, error, "rule '%s' has neither 'tier' nor 'leave'", rule->name);
        return error_hint(error, "write 'tier: NAME', or 'leave: true'");
    }
    rule->tier = tier ? policy_tier(draft->policy, tier->text) : NULL;
    return tier && !rule->tier ? unknown_tier(draft, tier, error) : 0;
}

static int check_rule_name(const struct policy_draft *draft, size_t index, struct error *error)
{
    const struct policy_rule *rule = draft->policy->rules.items[index];
    const struct policy_node *name = policy_node_member(draft->rules.items[index].value, "name");
    for (size_t i = 0; i < index; i++) {
        const struct policy_rule *other = draft->policy->rules.items[i];
        if (strcmp(rule->name, other->name) != 0)
            continue;
        const struct policy_node *first = policy_node_member(draft->rules.items[i].value, "name");
        AUTO_FREE char *first_place = policy_place_text(first ? &first->place : &other->place);
        return policy_fault(name ? &name->place : &rule->place, error,
                            "rule '%s' is given again, first at %s", rule->name, first_place);
    }
    return 0;
}

int policy_validate_rules(struct policy_draft *draft, struct error *error)
{
    for (size_t i = 0; i < draft->policy->rules.count; i++) {
        struct policy_rule *rule = draft->policy->rules.items[i];
        const struct policy_node *yaml = draft->rules.items[i].value;
        const struct policy_node *match = policy_node_member(yaml, "match");
        if (check_rule_name(draft, i, error) < 0)
            return -1;
        if (!match) {
            policy_fault(&rule->place, error, "rule '%s' has no 'match'", rule->name);
            return error_hint(error, "a rule for every disk says so: 'match: {}'");
        }
        if (resolve_outcome(draft, rule, yaml, error) < 0 ||
            check_match(draft, rule, match, error) < 0)
            return -1;
    }
    return 0;
}
