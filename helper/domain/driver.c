#include "domain/edit.h"

/* As virDomainDiskDefFormatDriver prints them. */
static const char *const driver_order[] = {
    "name",
    "type",
    "cache",
    "error_policy",
    "rerror_policy",
    "io",
    "ioeventfd",
    "event_idx",
    "copy_on_read",
    "discard",
    "iothread",
    "detect_zeroes",
    "discard_no_unref",
    "queues",
    "queue_size",
    "iommu",
    "ats",
    "packed",
    "page_per_vq",
};

static size_t driver_rank(const char *name)
{
    size_t rank = 0;
    while (rank < ARRAY_SIZE(driver_order) && strcmp(driver_order[rank], name) != 0)
        rank++;
    return rank;
}

struct tag_attribute {
    char *name;
    char *text; /* white space, name, value, quotes: as it goes into the tag */
};
DEFINE_VECTOR(attribute_list, struct tag_attribute);

static void attribute_list_clear(struct attribute_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].text);
    }
    free(list->items);
    *list = (struct attribute_list){0};
}

/* The attributes of the tag whose name ends at *cursor; *cursor ends up behind the last one. */
static void scan_attributes(const char *xml, size_t limit, size_t *cursor,
                            struct attribute_list *list)
{
    struct attribute_span span;
    while (scan_attribute(xml, limit, cursor, &span)) {
        *attribute_list_add(list) = (struct tag_attribute){
            .name = text_slice(xml + span.name, span.name_length),
            .text = text_slice(xml + span.lead, span.end - span.lead),
        };
    }
}

static size_t find_attribute(const struct attribute_list *list, const char *name)
{
    size_t i = 0;
    while (i < list->count && strcmp(list->items[i].name, name) != 0)
        i++;
    return i;
}

static void remove_attribute(struct attribute_list *list, const char *name)
{
    size_t at = find_attribute(list, name);
    if (at == list->count)
        return;
    free(list->items[at].name); /* NOLINT(clang-analyzer-core.NullDereference): at < count */
    free(list->items[at].text);
    list->count--;
    memmove(&list->items[at], &list->items[at + 1], (list->count - at) * sizeof(list->items[0]));
}

/* Behind the attribute that libvirt prints last of those before it. */
static size_t insertion_place(const struct attribute_list *list, const char *name)
{
    size_t place = 0;
    for (size_t i = 0; i < list->count; i++)
        if (driver_rank(list->items[i].name) < driver_rank(name))
            place = i + 1;
    return place;
}

/* The present value is compared as parsed: what already says the same stays as it is written. */
static void set_attribute(struct attribute_list *list, const char *name, const char *present,
                          const char *wanted)
{
    if (text_equal(present, wanted))
        return;
    AUTO_BUFFER struct buffer text = {0};
    render_attribute(&text, name, wanted);
    size_t at = find_attribute(list, name);
    if (at < list->count) {
        struct tag_attribute *attribute = &list->items[at];
        size_t lead = strspn(attribute->text, " \t\r\n");
        char *replacement = text_format("%.*s%s", (int)lead, attribute->text, text.text + 1);
        free(attribute->text);
        attribute->text = replacement;
        return;
    }
    size_t place = insertion_place(list, name);
    attribute_list_add(list);
    memmove(&list->items[place + 1], &list->items[place],
            (list->count - 1 - place) * sizeof(list->items[0]));
    list->items[place] = (struct tag_attribute){.name = text_dup(name), .text = buffer_take(&text)};
}

static void set_driver_attributes(const struct disk_editor *editor, struct attribute_list *list)
{
    const struct disk *disk = editor->disk;
    const struct disk_rewrite *rewrite = editor->rewrite;
    bool is_file_io = text_equal(disk->io, "native") || text_equal(disk->io, "io_uring");
    set_attribute(list, "type", disk->format, "raw");
    if (rewrite->cache)
        set_attribute(list, "cache", disk->cache, rewrite->cache);
    if (rewrite->io)
        set_attribute(list, "io", disk->io, rewrite->io);
    else if (is_file_io)
        remove_attribute(list, "io");
    if (rewrite->discard)
        set_attribute(list, "discard", disk->discard, rewrite->discard);
    remove_attribute(list, "discard_no_unref");
    if (rewrite->detect_zeroes)
        set_attribute(list, "detect_zeroes", disk->detect_zeroes, rewrite->detect_zeroes);
}

static void add_attributes(struct buffer *out, const struct attribute_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        buffer_add(out, list->items[i].text);
}

/* Whether nothing but white space is left of <driver>'s content without <metadata_cache>. */
static bool is_empty_without_cache(xmlNode *driver)
{
    for (xmlNode *child = driver->children; child; child = child->next) {
        bool is_blank = child->type == XML_TEXT_NODE && xmlIsBlankNode(child);
        if (!is_blank && !element_is(child, "metadata_cache"))
            return false;
    }
    return true;
}

void disk_editor_set_driver(const struct disk_editor *editor, xmlNode *driver)
{
    const char *xml = editor->domain->xml;
    const struct element_range *range = disk_editor_range(editor, driver);
    size_t name_end = scan_name_end(xml, range->open_end, range->start + 1);
    size_t cursor = name_end;
    CLEANUP(attribute_list_clear) struct attribute_list list = {0};
    scan_attributes(xml, range->open_end, &cursor, &list);
    set_driver_attributes(editor, &list);

    AUTO_BUFFER struct buffer tag = {0};
    buffer_add_slice(&tag, xml + range->start, name_end - range->start);
    add_attributes(&tag, &list);
    bool has_cache = element_child(driver, "metadata_cache") != NULL;
    if (has_cache && is_empty_without_cache(driver)) {
        buffer_add(&tag, "/>");
        disk_editor_add(editor, range->start, range->end, buffer_take(&tag));
        return;
    }
    buffer_add_slice(&tag, xml + cursor, range->open_end - cursor);
    disk_editor_add(editor, range->start, range->open_end, buffer_take(&tag));
    if (has_cache)
        disk_editor_remove(editor, driver, "metadata_cache");
}

/* <driver> and, when there is none either, <source> as the first children of the disk. */
void disk_editor_insert_driver(const struct disk_editor *editor, bool with_source)
{
    xmlNode *sibling = element_first_child(editor->node);
    AUTO_FREE char *space = disk_editor_space_before(editor, sibling);
    CLEANUP(attribute_list_clear) struct attribute_list list = {0};
    set_attribute(&list, "name", NULL, "qemu");
    set_driver_attributes(editor, &list);

    AUTO_BUFFER struct buffer out = {0};
    buffer_add(&out, space);
    buffer_add(&out, "<driver");
    add_attributes(&out, &list);
    buffer_add(&out, "/>");
    if (with_source) {
        CLEANUP(own_layout_clear) struct own_layout own = disk_editor_layout(editor, sibling);
        buffer_add(&out, space);
        render_rbd_source(&out, &editor->rewrite->destination, &own.layout);
    }
    size_t place = disk_editor_range(editor, editor->node)->open_end;
    disk_editor_add(editor, place, place, buffer_take(&out));
}
