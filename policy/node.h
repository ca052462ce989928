/* A YAML file as a tree, every value with the place where it stands. Private to policy/. */
#ifndef VP_POLICY_NODE_H
#define VP_POLICY_NODE_H

#include "policy/policy.h"

#define POLICY_MAX_BYTES (1u << 20)   /* of one file */
#define POLICY_MAX_NODES 20000u       /* of all files of a policy */
#define POLICY_MAX_DEPTH 16u          /* mappings and lists within each other */
#define POLICY_MAX_SCALAR_BYTES 4096u /* of one value */

enum policy_node_kind { NODE_SCALAR, NODE_LIST, NODE_MAPPING };

DEFINE_VECTOR(policy_nodes, struct policy_node *);

struct policy_node {
    enum policy_node_kind kind;
    struct policy_place place; /* its file is borrowed */
    char *text;                /* NODE_SCALAR: no control characters in it */
    bool plain;                /* NODE_SCALAR: written without quotes */
    struct policy_nodes items; /* NODE_LIST: its items; NODE_MAPPING: key, value, key, value … */
};

/* Reads one YAML document. *nodes_left is what may still be read of the whole policy, and is
 * counted down. *root is NULL when the document is empty. Keys of mappings are always scalars, and
 * no key is there twice. FILE must outlive the tree. */
int policy_yaml_read(const char *text, size_t length, const char *file, size_t *nodes_left,
                     struct policy_node **root, struct error *error) MUST_CHECK;
void policy_node_free(struct policy_node *node);
DEFINE_CLEANUP(struct policy_node, policy_node_free);

/* The value of a mapping's key; NULL when it is not there, or node is NULL or no mapping. */
const struct policy_node *policy_node_member(const struct policy_node *node, const char *key);
/* Whether it is YAML's null: nothing at all, "~" or "null" without quotes. */
bool policy_node_is_null(const struct policy_node *node);
/* What is there, for messages, new string: "a list", "nothing", "'text'". */
char *policy_node_describe(const struct policy_node *node) MUST_CHECK;
/* As text_dup, cut to what fits into a message. */
char *policy_shorten(const char *text) MUST_CHECK;

/* ERROR_POLICY: "FILE:LINE:COLUMN: what". */
int policy_fault(const struct policy_place *place, struct error *error, const char *format, ...)
    PRINTF(3, 4);
/* Makes an error of a lower layer one of ours: "FILE:LINE:COLUMN: WHAT: message"; the hint stays.
 */
int policy_fault_wrap(const struct policy_place *place, const char *what, struct error *error);
/* "FILE:LINE:COLUMN", new string. */
char *policy_place_text(const struct policy_place *place) MUST_CHECK;

#endif
