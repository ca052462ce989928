/* Private to helper/domain: the parsed tree, and where each element stands in the text. */
#ifndef VP_DOMAIN_DOCUMENT_H
#define VP_DOMAIN_DOCUMENT_H

#include "domain/domain.h"

#include <libxml/tree.h>

/*   <source file='x'>  …  </source>
 *   ^start          ^open_end      ^end
 *                      ^close_start
 * Each is an offset into the text; for <source/> the last three are equal. */
struct element_range {
    size_t start, open_end, close_start, end;
};
DEFINE_VECTOR(range_list, struct element_range);
DEFINE_VECTOR(node_list, xmlNode *);

struct element_ranges {
    xmlDoc *tree;
    struct range_list list;
    struct node_list disks; /* as in struct domain's disks, in the same order */
};

/* The tree of a well-formed, bounded UTF-8 document without DTD, or NULL. The text ends with a NUL
 * and is not kept. */
struct element_ranges *document_parse(const char *text, size_t length, struct error *error)
    MUST_CHECK;
void document_free(struct element_ranges *document);
DEFINE_CLEANUP(struct element_ranges, document_free);

const struct element_range *document_range(const struct element_ranges *document,
                                           const xmlNode *node);

/* Line and column of an offset, both from 1; a column counts bytes. */
void document_position(const char *text, size_t offset, size_t *line, size_t *column);

/* Elements in no namespace only: <x:disk> and <disk xmlns='…'> are somebody else's. */
bool element_is(const xmlNode *node, const char *name);
xmlNode *element_child(const xmlNode *parent, const char *name);
xmlNode *element_first_child(const xmlNode *parent);
/* The next sibling element of the same kind as element_child finds, or NULL. */
xmlNode *element_next(const xmlNode *node, const char *name);

/* struct domain from the tree (read.c). */
int domain_read(struct domain *domain, struct error *error) MUST_CHECK;

#endif
