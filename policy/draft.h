/* A policy in the making: what validation needs beside the policy itself. Private to policy/. */
#ifndef VP_POLICY_DRAFT_H
#define VP_POLICY_DRAFT_H

#include "policy/schema.h"

#define POLICY_MAX_CLUSTERS 100u
#define POLICY_MAX_NETWORKS 1000u
#define POLICY_MAX_MONITORS 64u /* of one cluster */

/* The YAML of a cluster, tier, rule or network, by which messages find the places in it. */
struct policy_entry {
    const struct policy_node *key; /* its name; NULL for a rule */
    const struct policy_node *value;
};
DEFINE_VECTOR(policy_entries, struct policy_entry);

struct policy_draft {
    struct policy *policy;
    struct policy_nodes documents; /* owned: the entries point into them */
    struct policy_entries clusters, tiers, rules,
        networks;                     /* in the order of the policy's own vectors */
    const struct policy_node **given; /* by row of the schema: what set it */
    size_t nodes_left;
    bool reads_files; /* conf files of clusters may be opened */
};

/* Fills the draft with an empty policy and the defaults. */
int policy_draft_begin(struct policy_draft *draft, struct error *error) MUST_CHECK;
void policy_draft_clear(struct policy_draft *draft);

/* Adds one file's text. */
int policy_draft_add(struct policy_draft *draft, const char *text, size_t length, const char *file,
                     bool version_required, struct error *error) MUST_CHECK;

/* Checks the whole, resolves the references, and hands the policy over. */
int policy_draft_finish(struct policy_draft *draft, const struct policy **policy,
                        struct error *error) MUST_CHECK;

/* The parts of that: validate.c, rules.c, shadow.c. */
int policy_validate_clusters(struct policy_draft *draft, struct error *error) MUST_CHECK;
int policy_validate_tiers(struct policy_draft *draft, struct error *error) MUST_CHECK;
int policy_validate_rules(struct policy_draft *draft, struct error *error) MUST_CHECK;
int policy_find_shadowed(const struct policy_draft *draft, struct error *error) MUST_CHECK;

/* Looks names up; NULL when there is none. */
struct policy_cluster *policy_draft_cluster(const struct policy_draft *draft, const char *name);
/* "unknown WHAT 'NAME'" at the place, with the likely one as the hint. */
int policy_unknown_cluster(const struct policy_draft *draft, const struct policy_node *node,
                           const char *name, struct error *error);

#endif
