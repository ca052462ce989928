#include "domain/edit.h"

static void insert_source_behind(const struct disk_editor *editor, xmlNode *driver)
{
    AUTO_FREE char *space = disk_editor_space_before(editor, driver);
    CLEANUP(own_layout_clear) struct own_layout own = disk_editor_layout(editor, driver);
    AUTO_BUFFER struct buffer out = {0};
    buffer_add(&out, space);
    render_rbd_source(&out, &editor->rewrite->destination, &own.layout);
    size_t place = disk_editor_range(editor, driver)->end;
    disk_editor_add(editor, place, place, buffer_take(&out));
}

static void replace_source(const struct disk_editor *editor, xmlNode *source)
{
    CLEANUP(own_layout_clear) struct own_layout own = disk_editor_layout(editor, source);
    AUTO_BUFFER struct buffer out = {0};
    render_rbd_source(&out, &editor->rewrite->destination, &own.layout);
    const struct element_range *range = disk_editor_range(editor, source);
    disk_editor_add(editor, range->start, range->end, buffer_take(&out));
}

static void edit_type(const struct disk_editor *editor)
{
    const char *xml = editor->domain->xml;
    struct attribute_span span;
    if (!find_attribute_span(editor->domain, editor->node, "type", &span)) {
        const struct element_range *range = disk_editor_range(editor, editor->node);
        size_t name_end = scan_name_end(xml, range->open_end, range->start + 1);
        disk_editor_add(editor, name_end, name_end, text_dup(" type='network'"));
    } else if (strcmp(editor->disk->type_name, "network") != 0) {
        disk_editor_add(editor, span.value, span.value + span.value_length, text_dup("network"));
    }
}

static void add_iotune(const struct disk_editor *editor)
{
    xmlNode *empty = element_child(editor->node, "iotune");
    xmlNode *target = element_child(editor->node, "target");
    xmlNode *place = empty ? empty : target;
    CLEANUP(own_layout_clear) struct own_layout own = disk_editor_layout(editor, place);
    AUTO_BUFFER struct buffer out = {0};
    if (editor->rewrite->iotune_xml)
        buffer_add(&out, editor->rewrite->iotune_xml);
    else if (editor->rewrite->iotune)
        render_iotune(&out, editor->rewrite->iotune, &own.layout);
    if (out.length == 0)
        return;
    const struct element_range *range = disk_editor_range(editor, place);
    if (empty) {
        disk_editor_add(editor, range->start, range->end, buffer_take(&out));
        return;
    }
    AUTO_FREE char *space = disk_editor_space_before(editor, target);
    disk_editor_add(editor, range->end, range->end, text_format("%s%s", space, out.text));
}

static void edit_disk(const struct disk_editor *editor)
{
    xmlNode *driver = element_child(editor->node, "driver");
    xmlNode *source = element_child(editor->node, "source");
    edit_type(editor);
    if (driver)
        disk_editor_set_driver(editor, driver);
    else
        disk_editor_insert_driver(editor, !source);
    if (source)
        replace_source(editor, source);
    else if (driver)
        insert_source_behind(editor, driver);
    disk_editor_remove(editor, editor->node, "auth");
    disk_editor_remove(editor, editor->node, "backingStore");
    disk_editor_remove(editor, editor->node, "mirror");
    if (!editor->disk->has_iotune)
        add_iotune(editor);
}

int domain_rewrite(const struct domain *domain, const struct disk_rewrite *rewrites, size_t count,
                   char **xml, struct error *error)
{
    *xml = NULL;
    CLEANUP(edit_list_clear) struct edit_list edits = {0};
    for (size_t i = 0; i < count; i++) {
        if (rewrite_check_request(domain, rewrites, i, error) < 0)
            return -1;
        const struct disk *disk = domain_disk(domain, rewrites[i].target);
        const struct disk_editor editor = {
            .domain = domain,
            .disk = disk,
            .rewrite = &rewrites[i],
            .node = domain->ranges->disks.items[disk - domain->disks.items],
            .edits = &edits,
        };
        edit_disk(&editor);
    }
    AUTO_FREE char *result = NULL;
    if (edit_list_splice(domain, &edits, &result, error) < 0 ||
        rewrite_check_result(domain, result, rewrites, count, error) < 0)
        return -1;
    *xml = STEAL(result);
    return 0;
}

char *disk_without_chain(const char *disk_xml)
{
    AUTO_ERROR struct error unreadable = {0};
    CLEANUP(domain_freep) struct domain *holder = NULL;
    CLEANUP(edit_list_clear) struct edit_list edits = {0};
    char *result = NULL;
    if (disk_parse(disk_xml, &holder, &unreadable) < 0 || holder->disks.count != 1)
        return text_dup(disk_xml);
    const struct disk_editor editor = {.domain = holder,
                                       .disk = &holder->disks.items[0],
                                       .node = holder->ranges->disks.items[0],
                                       .edits = &edits};
    disk_editor_remove(&editor, editor.node, "backingStore");
    disk_editor_remove(&editor, editor.node, "mirror");
    return edit_list_splice(holder, &edits, &result, &unreadable) == 0 ? result
                                                                       : text_dup(disk_xml);
}
