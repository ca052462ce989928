#include "base/text.h"
#include "policy/node.h"

#include <yaml.h>

/* libyaml's events become a tree here, within bounds: it is given text that nobody has vetted. */
struct reader {
    yaml_parser_t *parser;
    const char *text; /* the whole file */
    size_t length;
    const char *file;
    size_t *nodes_left;
    struct error *error;
};

static struct policy_place place_of(const struct reader *reader, const yaml_mark_t *mark)
{
    return (struct policy_place){reader->file, (unsigned)mark->line + 1,
                                 (unsigned)mark->column + 1};
}

/* libyaml names only the byte when the text is not proper UTF-8. */
static struct policy_place place_of_byte(const struct reader *reader, size_t offset)
{
    struct policy_place place = {reader->file, 1, 1};
    for (size_t i = 0; i < offset && i < reader->length; i++) {
        unsigned char byte = (unsigned char)reader->text[i];
        if (byte == '\n') {
            place.line++;
            place.column = 1;
        } else if ((byte & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

static int syntax_error(const struct reader *reader)
{
    const yaml_parser_t *parser = reader->parser;
    const char *problem = parser->problem ? parser->problem : "not readable";
    if (parser->error == YAML_READER_ERROR) {
        struct policy_place place = place_of_byte(reader, parser->problem_offset);
        return policy_fault(&place, reader->error, "not valid YAML: %s", problem);
    }
    struct policy_place place = place_of(reader, &parser->problem_mark);
    if (!parser->context)
        return policy_fault(&place, reader->error, "not valid YAML: %s", problem);
    return policy_fault(&place, reader->error, "not valid YAML: %s, %s at line %u", problem,
                        parser->context, (unsigned)parser->context_mark.line + 1);
}

static int next_event(const struct reader *reader, yaml_event_t *event)
{
    yaml_event_delete(event);
    if (!yaml_parser_parse(reader->parser, event))
        return syntax_error(reader);
    return 0;
}

static bool has_control_character(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
            return true;
    return false;
}

/* Whether the node that this event begins uses anything of YAML that the format does without. */
static int check_event(const struct reader *reader, const yaml_event_t *event)
{
    struct policy_place place = place_of(reader, &event->start_mark);
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (event->type == YAML_ALIAS_EVENT || anchor)
        return policy_fault(&place, reader->error, "anchors and aliases are not taken here");
    if (tag)
        return policy_fault(&place, reader->error, "tags are not taken here");
    if (*reader->nodes_left == 0)
        return policy_fault(&place, reader->error, "the policy has more than %u values",
                            POLICY_MAX_NODES);
    (*reader->nodes_left)--;
    return 0;
}

static int read_scalar(const struct reader *reader, const yaml_event_t *event,
                       struct policy_node *node)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (length > POLICY_MAX_SCALAR_BYTES)
        return policy_fault(&node->place, reader->error, "a value of more than %u bytes",
                            POLICY_MAX_SCALAR_BYTES);
    if (strlen(text) != length || has_control_character(text))
        return policy_fault(&node->place, reader->error,
                            "line breaks and control characters are not taken in a value");
    node->text = text_slice(text, length);
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return 0;
}

static int check_key(const struct reader *reader, const struct policy_node *mapping,
                     const struct policy_node *key)
{
    if (key->kind != NODE_SCALAR) {
        AUTO_FREE char *found = policy_node_describe(key);
        return policy_fault(&key->place, reader->error, "expected a key, found %s", found);
    }
    for (size_t i = 0; i < mapping->items.count; i += 2) {
        const struct policy_node *other = mapping->items.items[i];
        if (strcmp(other->text, key->text) != 0)
            continue;
        AUTO_FREE char *word = policy_shorten(key->text);
        AUTO_FREE char *first = policy_place_text(&other->place);
        return policy_fault(&key->place, reader->error, "'%s' is given again, first at %s", word,
                            first);
    }
    return 0;
}

static struct policy_node *read_node(const struct reader *reader, const yaml_event_t *event,
                                     unsigned depth);

static int read_items(const struct reader *reader, struct policy_node *node, unsigned depth)
{
    if (depth > POLICY_MAX_DEPTH)
        return policy_fault(&node->place, reader->error, "nested deeper than %u levels",
                            POLICY_MAX_DEPTH);
    for (;;) {
        CLEANUP(yaml_event_delete) yaml_event_t event = {0};
        if (next_event(reader, &event) < 0)
            return -1;
        if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT)
            return 0;
        CLEANUP(policy_node_freep) struct policy_node *item = read_node(reader, &event, depth);
        bool is_key = node->kind == NODE_MAPPING && node->items.count % 2 == 0;
        if (!item || (is_key && check_key(reader, node, item) < 0))
            return -1;
        *policy_nodes_add(&node->items) = STEAL(item);
    }
}

static struct policy_node *read_node(const struct reader *reader, const yaml_event_t *event,
                                     unsigned depth)
{
    if (check_event(reader, event) < 0)
        return NULL;
    CLEANUP(policy_node_freep) struct policy_node *node = NEW(struct policy_node);
    node->place = place_of(reader, &event->start_mark);
    if (event->type == YAML_SCALAR_EVENT) {
        node->kind = NODE_SCALAR;
        return read_scalar(reader, event, node) < 0 ? NULL : STEAL(node);
    }
    node->kind = event->type == YAML_MAPPING_START_EVENT ? NODE_MAPPING : NODE_LIST;
    return read_items(reader, node, depth + 1) < 0 ? NULL : STEAL(node);
}

/* From the document's start, which has been read, to the end of the file. */
static int read_document(const struct reader *reader, yaml_event_t *event,
                         struct policy_node **root)
{
    struct policy_place place = place_of(reader, &event->start_mark);
    if (event->data.document_start.tag_directives.start !=
        event->data.document_start.tag_directives.end)
        return policy_fault(&place, reader->error, "tags are not taken here");
    if (next_event(reader, event) < 0)
        return -1;
    CLEANUP(policy_node_freep) struct policy_node *node = read_node(reader, event, 0);
    if (!node)
        return -1;
    do { /* past the document's end */
        if (next_event(reader, event) < 0)
            return -1;
    } while (event->type == YAML_DOCUMENT_END_EVENT);
    place = place_of(reader, &event->start_mark);
    if (event->type != YAML_STREAM_END_EVENT)
        return policy_fault(&place, reader->error, "a second document begins here");
    *root = policy_node_is_null(node) ? NULL : STEAL(node);
    return 0;
}

int policy_yaml_read(const char *text, size_t length, const char *file, size_t *nodes_left,
                     struct policy_node **root, struct error *error)
{
    *root = NULL;
    struct policy_place start = {file, 1, 1};
    if (length > POLICY_MAX_BYTES)
        return policy_fault(&start, error, "larger than %u bytes", POLICY_MAX_BYTES);

    CLEANUP(yaml_parser_delete) yaml_parser_t parser = {0};
    if (!yaml_parser_initialize(&parser))
        return policy_fault(&start, error, "out of memory");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);

    struct reader reader = {&parser, text, length, file, nodes_left, error};
    CLEANUP(yaml_event_delete) yaml_event_t event = {0};
    do { /* past the stream's start */
        if (next_event(&reader, &event) < 0)
            return -1;
    } while (event.type == YAML_STREAM_START_EVENT);
    if (event.type == YAML_STREAM_END_EVENT)
        return 0;
    return read_document(&reader, &event, root);
}
