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
    /* As struct domain's vectors, in the same order. */
    struct node_list disks, interfaces;
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

/* ---- The tree (tree.c) ---- */

/* Elements in no namespace only: <x:disk> and <disk xmlns='…'> are somebody else's. */
bool element_is(const xmlNode *node, const char *name);
/* An element of this namespace. */
bool element_is_of(const xmlNode *node, const char *name_space, const char *name);
xmlNode *element_child(const xmlNode *parent, const char *name);
xmlNode *element_first_child(const xmlNode *parent);
/* The next sibling element of the same kind as element_child finds, or NULL. */
xmlNode *element_next(const xmlNode *node, const char *name);

/* Attributes in no namespace, new strings. NULL when the node, or its attribute, is not there; of
 * the second also when it is empty. */
char *element_attribute(xmlNode *node, const char *name) MUST_CHECK;
char *element_attribute_filled(xmlNode *node, const char *name) MUST_CHECK;
bool element_attribute_is(xmlNode *node, const char *name, const char *expected);
/* The text below a node, new string; NULL when there is none. */
char *element_content(xmlNode *node) MUST_CHECK;
char *element_content_trimmed(xmlNode *node) MUST_CHECK;

/* ---- From the tree to struct domain ---- */

#define MAX_DEVICES 4096 /* disks, and interfaces: each is compared with all others */

/* ERROR_INPUT with the place of the node. */
int domain_refuse(const struct domain *domain, const xmlNode *node, struct error *error,
                  const char *format, ...) PRINTF(4, 5);
/* `type` is the type= of the element that <source> is in; nothing named is SOURCE_NONE. */
void domain_read_source(xmlNode *node, const char *type, struct disk_source *source);
int domain_read_interfaces(struct domain *domain, xmlNode *devices, struct error *error) MUST_CHECK;
/* The tier label, and the sizes of the disks, which have been read before. */
void domain_read_metadata(struct domain *domain, xmlNode *metadata);

#endif
