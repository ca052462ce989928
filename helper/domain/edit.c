#include "domain/edit.h"

void edit_list_clear(struct edit_list *edits)
{
    for (size_t i = 0; i < edits->count; i++)
        free(edits->items[i].text);
    free(edits->items);
    *edits = (struct edit_list){0};
}

static int compare_edits(const void *a, const void *b)
{
    const struct edit *one = a, *other = b;
    if (one->start != other->start)
        return one->start < other->start ? -1 : 1;
    return one->end == other->end ? 0 : one->end < other->end ? -1 : 1;
}

int edit_list_splice(const struct domain *domain, struct edit_list *edits, char **xml,
                     struct error *error)
{
    if (edits->count > 0)
        qsort(edits->items, edits->count, sizeof(edits->items[0]), compare_edits);
    AUTO_BUFFER struct buffer out = {0};
    size_t at = 0;
    for (size_t i = 0; i < edits->count; i++) {
        const struct edit *edit = &edits->items[i];
        if (edit->start < at || edit->end < edit->start || edit->end > domain->xml_length)
            return error_set(error, ERROR_INPUT, "cannot locate the elements of a disk");
        buffer_add_slice(&out, domain->xml + at, edit->start - at);
        buffer_add(&out, edit->text);
        at = edit->end;
    }
    buffer_add_slice(&out, domain->xml + at, domain->xml_length - at);
    *xml = buffer_take(&out);
    return 0;
}

bool find_attribute_span(const struct domain *domain, const xmlNode *node, const char *name,
                         struct attribute_span *span)
{
    const struct element_range *range = document_range(domain->ranges, node);
    size_t length = strlen(name);
    size_t cursor = scan_name_end(domain->xml, range->open_end, range->start + 1);
    while (scan_attribute(domain->xml, range->open_end, &cursor, span))
        if (span->name_length == length && memcmp(domain->xml + span->name, name, length) == 0)
            return true;
    return false;
}

const struct element_range *disk_editor_range(const struct disk_editor *editor, const xmlNode *node)
{
    return document_range(editor->domain->ranges, node);
}

void disk_editor_add(const struct disk_editor *editor, size_t start, size_t end, char *text)
{
    *edit_list_add(editor->edits) = (struct edit){.start = start, .end = end, .text = text};
}

void disk_editor_remove(const struct disk_editor *editor, const xmlNode *parent, const char *name)
{
    for (xmlNode *node = element_child(parent, name); node; node = element_next(node, name)) {
        const struct element_range *range = disk_editor_range(editor, node);
        size_t start = scan_space_before(editor->domain->xml, range->start);
        disk_editor_add(editor, start, range->end, text_dup(""));
    }
}

/* ---- White space ---- */

char *disk_editor_space_before(const struct disk_editor *editor, const xmlNode *node)
{
    const char *xml = editor->domain->xml;
    size_t start = disk_editor_range(editor, node)->start;
    size_t space = scan_space_before(xml, start);
    return text_slice(xml + space, start - space);
}

void own_layout_clear(struct own_layout *own)
{
    free(own->indent);
    free(own->step);
}

static const char *last_line(const char *space)
{
    const char *newline = strrchr(space, '\n');
    return newline ? newline + 1 : space;
}

/* A step is what the child is indented further than the disk. */
struct own_layout disk_editor_layout(const struct disk_editor *editor, const xmlNode *child)
{
    AUTO_FREE char *space = disk_editor_space_before(editor, child);
    AUTO_FREE char *outer = disk_editor_space_before(editor, editor->node);
    const char *newline = strrchr(space, '\n');
    const char *indent = last_line(space);
    const char *outer_indent = last_line(outer);
    bool is_deeper =
        text_starts_with(indent, outer_indent) && strlen(indent) > strlen(outer_indent);
    bool is_crlf = newline && newline > space && newline[-1] == '\r';

    struct own_layout own = {
        .indent = text_dup(newline ? indent : ""),
        .step = text_dup(newline && is_deeper ? indent + strlen(outer_indent) : "  "),
    };
    own.layout = (struct layout){
        .newline = !newline  ? ""
                   : is_crlf ? "\r\n"
                             : "\n",
        .indent = own.indent,
        .step = own.step,
    };
    return own;
}
