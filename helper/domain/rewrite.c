#include "domain/document.h"
#include "domain/render.h"
#include "domain/scan.h"

#include <libxml/xmlstring.h>

/* One replacement in the original text; start == end inserts. */
struct edit {
    size_t start, end;
    char *text;
};
DEFINE_VECTOR(edit_list, struct edit);

static void edit_list_clear(struct edit_list *edits)
{
    for (size_t i = 0; i < edits->count; i++)
        free(edits->items[i].text);
    free(edits->items);
    *edits = (struct edit_list){0};
}

/* What every step of one disk's rewrite needs. */
struct disk_editor {
    const struct domain *domain;
    const struct disk *disk;
    const struct disk_rewrite *rewrite;
    xmlNode *node;
    struct edit_list *edits;
};

static const struct element_range *range_of(const struct disk_editor *editor, const xmlNode *node)
{
    return document_range(editor->domain->ranges, node);
}

static void add_edit(const struct disk_editor *editor, size_t start, size_t end, char *text)
{
    *edit_list_add(editor->edits) = (struct edit){.start = start, .end = end, .text = text};
}

/* ---- White space ---- */

/* The white space before an element, which a new sibling of it gets as well. */
static char *space_before(const struct disk_editor *editor, const xmlNode *node)
{
    const char *xml = editor->domain->xml;
    size_t start = range_of(editor, node)->start;
    size_t space = scan_space_before(xml, start);
    return text_slice(xml + space, start - space);
}

/* A layout that owns its strings. */
struct own_layout {
    struct layout layout;
    char *indent, *step;
};

static void own_layout_clear(struct own_layout *own)
{
    free(own->indent);
    free(own->step);
}

static const char *last_line(const char *space)
{
    const char *newline = strrchr(space, '\n');
    return newline ? newline + 1 : space;
}

/* The layout of the line on which this child of the disk starts. A step is what the child is
 * indented further than the disk. */
static struct own_layout layout_of(const struct disk_editor *editor, const xmlNode *child)
{
    AUTO_FREE char *space = space_before(editor, child);
    AUTO_FREE char *outer = space_before(editor, editor->node);
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

/* ---- <driver> ---- */

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
    "discard_no_unref",
    "iothread",
    "detect_zeroes",
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
    free(list->items[at].name);
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

static void remove_elements(const struct disk_editor *editor, const xmlNode *parent,
                            const char *name)
{
    for (xmlNode *node = element_child(parent, name); node; node = element_next(node, name)) {
        const struct element_range *range = range_of(editor, node);
        size_t start = scan_space_before(editor->domain->xml, range->start);
        add_edit(editor, start, range->end, text_dup(""));
    }
}

static void edit_driver(const struct disk_editor *editor, xmlNode *driver)
{
    const char *xml = editor->domain->xml;
    const struct element_range *range = range_of(editor, driver);
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
        add_edit(editor, range->start, range->end, buffer_take(&tag));
        return;
    }
    buffer_add_slice(&tag, xml + cursor, range->open_end - cursor);
    add_edit(editor, range->start, range->open_end, buffer_take(&tag));
    if (has_cache)
        remove_elements(editor, driver, "metadata_cache");
}

/* <driver> and, when there is none either, <source> as the first children of the disk. */
static void insert_driver(const struct disk_editor *editor, bool with_source)
{
    xmlNode *sibling = element_first_child(editor->node);
    AUTO_FREE char *space = space_before(editor, sibling);
    CLEANUP(attribute_list_clear) struct attribute_list list = {0};
    set_attribute(&list, "name", NULL, "qemu");
    set_driver_attributes(editor, &list);

    AUTO_BUFFER struct buffer out = {0};
    buffer_add(&out, space);
    buffer_add(&out, "<driver");
    add_attributes(&out, &list);
    buffer_add(&out, "/>");
    if (with_source) {
        CLEANUP(own_layout_clear) struct own_layout own = layout_of(editor, sibling);
        buffer_add(&out, space);
        render_rbd_source(&out, &editor->rewrite->destination, &own.layout);
    }
    size_t place = range_of(editor, editor->node)->open_end;
    add_edit(editor, place, place, buffer_take(&out));
}

/* ---- <source>, type=, <iotune> ---- */

static void insert_source_behind(const struct disk_editor *editor, xmlNode *driver)
{
    AUTO_FREE char *space = space_before(editor, driver);
    CLEANUP(own_layout_clear) struct own_layout own = layout_of(editor, driver);
    AUTO_BUFFER struct buffer out = {0};
    buffer_add(&out, space);
    render_rbd_source(&out, &editor->rewrite->destination, &own.layout);
    size_t place = range_of(editor, driver)->end;
    add_edit(editor, place, place, buffer_take(&out));
}

static void replace_source(const struct disk_editor *editor, xmlNode *source)
{
    CLEANUP(own_layout_clear) struct own_layout own = layout_of(editor, source);
    AUTO_BUFFER struct buffer out = {0};
    render_rbd_source(&out, &editor->rewrite->destination, &own.layout);
    const struct element_range *range = range_of(editor, source);
    add_edit(editor, range->start, range->end, buffer_take(&out));
}

static void edit_type(const struct disk_editor *editor)
{
    const char *xml = editor->domain->xml;
    const struct element_range *range = range_of(editor, editor->node);
    size_t name_end = scan_name_end(xml, range->open_end, range->start + 1);
    size_t cursor = name_end;
    struct attribute_span span;
    while (scan_attribute(xml, range->open_end, &cursor, &span)) {
        if (span.name_length != 4 || memcmp(xml + span.name, "type", 4) != 0)
            continue;
        if (strcmp(editor->disk->type_name, "network") != 0)
            add_edit(editor, span.value, span.value + span.value_length, text_dup("network"));
        return;
    }
    add_edit(editor, name_end, name_end, text_dup(" type='network'"));
}

static void add_iotune(const struct disk_editor *editor)
{
    xmlNode *empty = element_child(editor->node, "iotune");
    xmlNode *target = element_child(editor->node, "target");
    xmlNode *place = empty ? empty : target;
    CLEANUP(own_layout_clear) struct own_layout own = layout_of(editor, place);
    AUTO_BUFFER struct buffer out = {0};
    render_iotune(&out, editor->rewrite->iotune, &own.layout);
    if (out.length == 0)
        return;
    const struct element_range *range = range_of(editor, place);
    if (empty) {
        add_edit(editor, range->start, range->end, buffer_take(&out));
        return;
    }
    AUTO_FREE char *space = space_before(editor, target);
    add_edit(editor, range->end, range->end, text_format("%s%s", space, out.text));
}

static void edit_disk(const struct disk_editor *editor)
{
    xmlNode *driver = element_child(editor->node, "driver");
    xmlNode *source = element_child(editor->node, "source");
    edit_type(editor);
    if (driver)
        edit_driver(editor, driver);
    else
        insert_driver(editor, !source);
    if (source)
        replace_source(editor, source);
    else if (driver)
        insert_source_behind(editor, driver);
    remove_elements(editor, editor->node, "auth");
    remove_elements(editor, editor->node, "backingStore");
    remove_elements(editor, editor->node, "mirror");
    if (editor->rewrite->iotune && !editor->disk->has_iotune)
        add_iotune(editor);
}

/* ---- Putting it together ---- */

static int compare_edits(const void *a, const void *b)
{
    const struct edit *one = a, *other = b;
    if (one->start != other->start)
        return one->start < other->start ? -1 : 1;
    return one->end == other->end ? 0 : one->end < other->end ? -1 : 1;
}

static int splice(const struct domain *domain, struct edit_list *edits, char **xml,
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

static const struct disk_rewrite *find_rewrite(const struct disk_rewrite *rewrites, size_t count,
                                               const char *target)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rewrites[i].target, target) == 0)
            return &rewrites[i];
    return NULL;
}

/* The text of the index-th <disk>, new string. */
static char *disk_text(const struct domain *domain, size_t index)
{
    const struct element_range *range =
        document_range(domain->ranges, domain->ranges->disks.items[index]);
    return text_slice(domain->xml + range->start, range->end - range->start);
}

static bool is_same_disk(const struct domain *before, const struct domain *after, size_t index)
{
    AUTO_FREE char *old_text = disk_text(before, index);
    AUTO_FREE char *new_text = disk_text(after, index);
    return strcmp(old_text, new_text) == 0;
}

static bool is_rewritten(const struct disk *disk, const struct rbd_destination *destination)
{
    CLEANUP(disk_source_clear) struct disk_source wanted = {0};
    rbd_destination_source(destination, &wanted);
    return disk_source_same(&disk->source, &wanted) &&
           text_equal(disk->source.config_file, wanted.config_file) &&
           text_equal(disk->source.auth_user, wanted.auth_user) &&
           text_equal(disk->source.secret_uuid, wanted.secret_uuid) &&
           text_equal(disk->source.secret_usage, wanted.secret_usage) &&
           text_equal(disk->type_name, "network") && text_equal(disk->format, "raw") &&
           disk->backing_depth == 0 && !disk->has_mirror;
}

/* Reads the result back. A definition in which a disk is not where it should be would cost the
 * guest its data, so a mistake of ours must end here. */
static int check_result(const struct domain *before, const char *xml,
                        const struct disk_rewrite *rewrites, size_t count, struct error *error)
{
    CLEANUP(domain_freep) struct domain *after = NULL;
    if (domain_parse(xml, strlen(xml), &after, error) < 0)
        return error_prefix(error, "the rewritten XML does not parse");
    if (after->disks.count != before->disks.count || !text_equal(after->uuid, before->uuid))
        return error_set(error, ERROR_INPUT, "the rewritten XML has other disks than before");
    for (size_t i = 0; i < after->disks.count; i++) {
        const struct disk *disk = &after->disks.items[i];
        const struct disk_rewrite *rewrite = find_rewrite(rewrites, count, disk->target);
        bool is_right =
            rewrite ? is_rewritten(disk, &rewrite->destination) : is_same_disk(before, after, i);
        if (strcmp(disk->target, before->disks.items[i].target) != 0 || !is_right)
            return error_set(error, ERROR_INPUT,
                             "the rewritten XML does not name the right source for disk '%s'",
                             disk->target);
    }
    return 0;
}

/* ---- What may be asked for ---- */

static bool is_plain(const char *text)
{
    if (!text)
        return true;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ')
            return false;
    return *text && xmlCheckUTF8((const xmlChar *)text);
}

/* A '/' or '@' would make QEMU read another pool, namespace or snapshot out of the name. */
static bool is_rbd_part(const char *part)
{
    return !part || (is_plain(part) && !strpbrk(part, "/@"));
}

static int check_destination(const struct rbd_destination *destination, const char *target,
                             struct error *error)
{
    const char *name_space = text_empty(destination->name_space) ? NULL : destination->name_space;
    bool has_names = destination->pool && destination->image;
    if (!has_names || !is_rbd_part(destination->pool) || !is_rbd_part(name_space) ||
        !is_rbd_part(destination->image))
        return error_set(error, ERROR_INPUT, "disk '%s': not a valid RBD pool or image name",
                         target);
    bool is_auth_plain = is_plain(destination->user) && is_plain(destination->secret_uuid) &&
                         is_plain(destination->secret_usage) && is_plain(destination->config_file);
    bool has_one_secret = !destination->secret_uuid != !destination->secret_usage;
    if (!is_auth_plain || (destination->user && !has_one_secret))
        return error_set(error, ERROR_INPUT,
                         "disk '%s': not a valid user, secret or configuration file", target);
    for (size_t i = 0; i < destination->host_count; i++) {
        const struct network_host *host = &destination->hosts[i];
        bool has_place = host->name || host->socket;
        if (!has_place || !is_plain(host->name) || !is_plain(host->port) || !is_plain(host->socket))
            return error_set(error, ERROR_INPUT, "disk '%s': not a valid monitor address", target);
    }
    return 0;
}

static int check_rewrite(const struct domain *domain, const struct disk_rewrite *rewrites,
                         size_t index, struct error *error)
{
    const struct disk_rewrite *rewrite = &rewrites[index];
    const struct disk *disk = domain_disk(domain, rewrite->target);
    if (!disk)
        return error_set(error, ERROR_NOT_FOUND, "domain '%s' has no disk '%s'", domain->name,
                         rewrite->target);
    if (find_rewrite(rewrites, index, rewrite->target))
        return error_set(error, ERROR_INPUT, "disk '%s' is to be rewritten twice", rewrite->target);
    /* What is left of <encryption> would describe an image that is not there any more. */
    if (disk->encrypted)
        return error_set(error, ERROR_UNSUPPORTED, "disk '%s' is encrypted", rewrite->target);
    return check_destination(&rewrite->destination, rewrite->target, error);
}

int domain_rewrite(const struct domain *domain, const struct disk_rewrite *rewrites, size_t count,
                   char **xml, struct error *error)
{
    *xml = NULL;
    CLEANUP(edit_list_clear) struct edit_list edits = {0};
    for (size_t i = 0; i < count; i++) {
        if (check_rewrite(domain, rewrites, i, error) < 0)
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
    if (splice(domain, &edits, &result, error) < 0 ||
        check_result(domain, result, rewrites, count, error) < 0)
        return -1;
    *xml = STEAL(result);
    return 0;
}
