/* Private to helper/domain: edits of a domain's text, collected disk by disk, then spliced in. */
#ifndef VP_DOMAIN_EDIT_H
#define VP_DOMAIN_EDIT_H

#include "domain/document.h"
#include "domain/render.h"
#include "domain/scan.h"

/* One replacement in the original text; start == end inserts. */
struct edit {
    size_t start, end;
    char *text; /* owned */
};
DEFINE_VECTOR(edit_list, struct edit);

void edit_list_clear(struct edit_list *edits);
/* The text with all edits made, a new string. Edits that overlap fail: nothing is guessed. */
int edit_list_splice(const struct domain *domain, struct edit_list *edits, char **xml,
                     struct error *error) MUST_CHECK;

/* Where an attribute of an element stands, by its name as written; false when it is not there. */
bool find_attribute_span(const struct domain *domain, const xmlNode *node, const char *name,
                         struct attribute_span *span);

/* What every step of one disk's rewrite needs. */
struct disk_editor {
    const struct domain *domain;
    const struct disk *disk;
    const struct disk_rewrite *rewrite;
    xmlNode *node;
    struct edit_list *edits;
};

const struct element_range *disk_editor_range(const struct disk_editor *editor,
                                              const xmlNode *node);
/* Takes the text. */
void disk_editor_add(const struct disk_editor *editor, size_t start, size_t end, char *text);
/* Removes the parent's children of this name, each with the white space before it. */
void disk_editor_remove(const struct disk_editor *editor, const xmlNode *parent, const char *name);

/* The white space before an element, which a new sibling of it gets as well; a new string. */
char *disk_editor_space_before(const struct disk_editor *editor, const xmlNode *node) MUST_CHECK;

/* A layout that owns its strings. */
struct own_layout {
    struct layout layout;
    char *indent, *step;
};
void own_layout_clear(struct own_layout *own);
/* The layout of the line on which this child of the disk starts. */
struct own_layout disk_editor_layout(const struct disk_editor *editor, const xmlNode *child);

/* <driver> (driver.c): type='raw', the wanted settings, nothing of qcow2. */
void disk_editor_set_driver(const struct disk_editor *editor, xmlNode *driver);
/* The same for a disk that has none. */
void disk_editor_insert_driver(const struct disk_editor *editor, bool with_source);

/* Before and after (check.c). */
/* UTF-8, not empty, without control characters; NULL is plain too. */
bool is_plain(const char *text);
/* Whether the index-th <disk> is the same text in both. */
bool is_same_disk_text(const struct domain *before, const struct domain *after, size_t index);
const struct disk_rewrite *rewrite_find(const struct disk_rewrite *rewrites, size_t count,
                                        const char *target);
int rewrite_check_request(const struct domain *domain, const struct disk_rewrite *rewrites,
                          size_t index, struct error *error) MUST_CHECK;
int rewrite_check_result(const struct domain *before, const char *xml,
                         const struct disk_rewrite *rewrites, size_t count, struct error *error)
    MUST_CHECK;

#endif
