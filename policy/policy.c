#include "policy/policy.h"

#include "base/text.h"
#include "policy/draft.h"
#include "policy/mons.h"

static void cluster_free(struct policy_cluster *cluster)
{
    free(cluster->name);
    policy_mons_clear(&cluster->mons);
    free(cluster->conf);
    free(cluster->user);
    free(cluster->secret);
    free(cluster->keyring);
    free(cluster);
}

static void tier_free(struct policy_tier *tier)
{
    free(tier->name);
    free(tier->pool);
    free(tier->name_space);
    free(tier->data_pool);
    free(tier->image);
    free(tier->cache);
    free(tier->discard);
    free(tier->detect_zeroes);
    free(tier);
}

static void rule_free(struct policy_rule *rule)
{
    struct policy_match *match = &rule->match;
    struct text_list *const lists[] = {
        &match->types,  &match->formats, &match->paths, &match->clusters,    &match->pools,
        &match->images, &match->domains, &match->uuids, &match->tier_labels, &match->disks,
    };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        text_list_clear(lists[i]);
    free(rule->name);
    free(rule);
}

void policy_free(const struct policy *policy)
{
    if (!policy)
        return;
    struct policy *own = (struct policy *)policy; /* const to its readers, not to its end */
    for (size_t i = 0; i < own->clusters.count; i++)
        cluster_free(own->clusters.items[i]);
    for (size_t i = 0; i < own->tiers.count; i++)
        tier_free(own->tiers.items[i]);
    for (size_t i = 0; i < own->rules.count; i++)
        rule_free(own->rules.items[i]);
    for (size_t i = 0; i < own->networks.count; i++) {
        free(own->networks.items[i].from);
        free(own->networks.items[i].to);
    }
    free(own->clusters.items);
    free(own->tiers.items);
    free(own->rules.items);
    free(own->networks.items);
    text_list_clear(&own->files);
    free(own);
}

const struct policy_tier *policy_tier(const struct policy *policy, const char *name)
{
    for (size_t i = 0; i < policy->tiers.count; i++)
        if (strcmp(policy->tiers.items[i]->name, name) == 0)
            return policy->tiers.items[i];
    return NULL;
}

const char *policy_labelled_tier(const struct policy *policy, const char *label)
{
    const struct policy_tier *tier = label ? policy_tier(policy, label) : NULL;
    return tier ? tier->name : NULL;
}

const char *policy_network(const struct policy *policy, const char *name)
{
    for (size_t i = 0; i < policy->networks.count; i++)
        if (strcmp(policy->networks.items[i].from, name) == 0)
            return policy->networks.items[i].to;
    return NULL;
}

int policy_parse(const char *text, size_t length, const char *file_name,
                 const struct policy **policy, struct error *error)
{
    CLEANUP(policy_draft_clear) struct policy_draft draft = {0};
    if (policy_draft_begin(&draft, error) < 0 ||
        policy_draft_add(&draft, text, length, file_name, true, error) < 0)
        return -1;
    return policy_draft_finish(&draft, policy, error);
}
