#include "domain/document.h"

#include "domain/scan.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/SAX2.h>
#include <libxml/xmlerror.h>
#include <stdint.h>
#include <strings.h>

/* libvirt's own limit of a backing chain is 200 images; libxml2's own limit of depth is 256. */
#define MAX_DEPTH 250
/* A large domain has a few thousand elements, and none of them has more than 40 attributes. Without
 * these limits 16 MiB could be made to cost hours: libxml2 2.9 looks for repeated attributes in
 * quadratic time. */
#define MAX_ELEMENTS 200000
#define MAX_ATTRIBUTES 256
#define MAX_NAMESPACES 256 /* declared around an element; each name is looked up among them */

struct parse {
    const char *text;
    size_t length;
    size_t cursor; /* behind the last tag that was located */
    size_t depth;
    size_t namespaces[MAX_DEPTH + 1]; /* by depth: declared by the elements that are open */
    struct element_ranges *document;
    struct error *error;
};

void document_position(const char *text, size_t offset, size_t *line, size_t *column)
{
    *line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            (*line)++;
            line_start = i + 1;
        }
    }
    *column = offset - line_start + 1;
}

static int refuse_at(const char *text, size_t offset, const char *reason, struct error *error)
{
    size_t line = 0, column = 0;
    document_position(text, offset, &line, &column);
    return error_set(error, ERROR_INPUT, "domain XML %zu:%zu: %s", line, column, reason);
}

/* ---- Before the parser sees it ---- */

static size_t byte_order_mark(const char *text, size_t length)
{
    return length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

/* The parser is told to ignore the declared encoding, so a document that declares another one would
 * be misread: it is refused. */
static int check_encoding(const char *text, size_t length, struct error *error)
{
    size_t start = byte_order_mark(text, length);
    if (length - start < 6 || memcmp(text + start, "<?xml", 5) != 0 ||
        !is_xml_space(text[start + 5]))
        return 0;
    size_t limit = scan_tag_end(text, length, start);
    size_t cursor = start + 5;
    struct attribute_span span;
    while (scan_attribute(text, limit, &cursor, &span)) {
        bool is_encoding = span.name_length == 8 && memcmp(text + span.name, "encoding", 8) == 0;
        bool is_utf8 = span.value_length == 5 && strncasecmp(text + span.value, "UTF-8", 5) == 0;
        if (is_encoding && !is_utf8)
            return refuse_at(text, span.value, "the encoding is not UTF-8", error);
    }
    return 0;
}

/* Behind the comment, CDATA section, processing instruction or declaration at `start`; `start`
 * itself when there is a tag; length when it does not end. */
static size_t skip_non_tag(const char *text, size_t length, size_t start)
{
    static const struct {
        const char *opening, *closing;
    } kinds[] = {{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}, {"<!", ">"}};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t opening = strlen(kinds[i].opening);
        if (length - start < opening || memcmp(text + start, kinds[i].opening, opening) != 0)
            continue;
        const char *closing = memmem(text + start + opening, length - start - opening,
                                     kinds[i].closing, strlen(kinds[i].closing));
        return closing ? (size_t)(closing - text) + strlen(kinds[i].closing) : length;
    }
    return start;
}

/* The first start or end tag at or behind `at`; length when there is none. In well-formed XML each
 * '<' that is not skipped here begins a tag, for it is illegal in text and in attribute values. */
static size_t next_tag(const char *text, size_t length, size_t at)
{
    while (at < length) {
        const char *opening = memchr(text + at, '<', length - at);
        if (!opening)
            return length;
        at = (size_t)(opening - text);
        size_t behind = skip_non_tag(text, length, at);
        if (behind == at)
            return at;
        at = behind;
    }
    return length;
}

/* Counts '=' outside quotes in each tag: at least the number of its attributes. */
static int check_tag_sizes(const char *text, size_t length, struct error *error)
{
    size_t at = next_tag(text, length, 0);
    for (; at < length; at = next_tag(text, length, at)) {
        size_t attributes = 0;
        char quote = '\0';
        for (at++; at < length && text[at] != '<' && (quote || text[at] != '>'); at++) {
            if (quote)
                quote = text[at] == quote ? '\0' : quote;
            else if (text[at] == '"' || text[at] == '\'')
                quote = text[at];
            else if (text[at] == '=' && ++attributes > MAX_ATTRIBUTES)
                return refuse_at(text, at, "too many attributes in one tag", error);
        }
    }
    return 0;
}

static int check_text(const char *text, size_t length, struct error *error)
{
    const char *nul = memchr(text, '\0', length);
    if (nul)
        return refuse_at(text, (size_t)(nul - text), "a NUL character", error);
    if (!xmlCheckUTF8((const xmlChar *)text))
        return error_set(error, ERROR_INPUT, "domain XML: not valid UTF-8");
    /* UTF-16 and EBCDIC, which a parser would detect by itself, end here too. */
    size_t first = byte_order_mark(text, length);
    while (first < length && is_xml_space(text[first]))
        first++;
    if (first == length)
        return error_set(error, ERROR_INPUT, "domain XML: the document is empty");
    if (text[first] != '<')
        return refuse_at(text, first, "not XML: '<' expected", error);
    if (check_encoding(text, length, error) < 0)
        return -1;
    return check_tag_sizes(text, length, error);
}

/* ---- While it parses ---- */

static void stop(xmlParserCtxt *context, size_t offset, const char *reason)
{
    struct parse *parse = context->_private;
    if (!error_is_set(parse->error))
        refuse_at(parse->text, offset, reason, parse->error);
    xmlStopParser(context);
}

/* Finds the tag that the parser reports: it is the next one in the text. (xmlByteConsumed would
 * tell as well, but is deprecated since libxml2 2.15.) A tag that is not the expected one is never
 * accepted: a rewrite in the wrong place would be worse than none. */
static bool locate(const struct parse *parse, const char *opening, const xmlChar *prefix,
                   const xmlChar *name, size_t *start, size_t *end)
{
    *start = next_tag(parse->text, parse->length, parse->cursor);
    *end = scan_tag_end(parse->text, parse->length, *start);

    AUTO_FREE char *expected = text_format("%s%s%s%s", opening, prefix ? (const char *)prefix : "",
                                           prefix ? ":" : "", (const char *)name);
    size_t length = strlen(expected);
    const char *found = parse->text + *start;
    if (*end == 0 || *end - *start <= length || memcmp(found, expected, length) != 0)
        return false;
    return found[length] == '>' || found[length] == '/' || is_xml_space(found[length]);
}

static void start_element(void *data, const xmlChar *name, const xmlChar *prefix,
                          const xmlChar *uri, int namespace_count, const xmlChar **namespaces,
                          int attribute_count, int defaulted, const xmlChar **attributes)
{
    xmlParserCtxt *context = data;
    struct parse *parse = context->_private;
    struct range_list *list = &parse->document->list;
    if (++parse->depth > MAX_DEPTH) {
        stop(context, parse->cursor, "elements are nested too deeply");
        return;
    }
    size_t *in_scope = &parse->namespaces[parse->depth];
    *in_scope = in_scope[-1] + (size_t)namespace_count;
    if (*in_scope > MAX_NAMESPACES) {
        stop(context, parse->cursor, "too many namespaces");
        return;
    }
    if (list->count == MAX_ELEMENTS) {
        stop(context, parse->cursor, "too many elements");
        return;
    }
    size_t start = 0, end = 0;
    if (!locate(parse, "<", prefix, name, &start, &end)) {
        stop(context, parse->cursor, "cannot locate an element");
        return;
    }
    const xmlNode *parent = context->node;
    xmlSAX2StartElementNs(data, name, prefix, uri, namespace_count, namespaces, attribute_count,
                          defaulted, attributes);
    if (!context->node || context->node == parent) {
        stop(context, parse->cursor, "cannot locate an element");
        return;
    }
    struct element_range *range = range_list_add(list);
    range->start = start;
    range->open_end = end;
    range->close_start = end;
    range->end = end;
    parse->cursor = end;
    context->node->_private =
        (void *)(uintptr_t)list->count; /* NOLINT(performance-no-int-to-ptr) */
}

static void end_element(void *data, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    xmlParserCtxt *context = data;
    struct parse *parse = context->_private;
    struct range_list *list = &parse->document->list;
    size_t index = context->node ? (size_t)(uintptr_t)context->node->_private : 0;
    if (index == 0 || index > list->count) {
        stop(context, parse->cursor, "cannot locate an element");
        return;
    }
    struct element_range *range = &list->items[index - 1];
    bool is_empty_tag = parse->text[range->open_end - 2] == '/';
    if (!is_empty_tag && !locate(parse, "</", prefix, name, &range->close_start, &range->end)) {
        stop(context, parse->cursor, "cannot locate the end of an element");
        return;
    }
    parse->cursor = range->end;
    parse->depth--;
    xmlSAX2EndElementNs(data, name, prefix, uri);
}

static void refuse_doctype(void *data, const xmlChar *name UNUSED, const xmlChar *external UNUSED,
                           const xmlChar *system UNUSED)
{
    xmlParserCtxt *context = data;
    const struct parse *parse = context->_private;
    const char *found = strstr(parse->text, "<!DOCTYPE");
    stop(context, found ? (size_t)(found - parse->text) : 0, "a DOCTYPE is not accepted");
}

#if LIBXML_VERSION >= 21200
typedef const xmlError *error_pointer;
#else
typedef xmlError *error_pointer;
#endif

/* One line, whatever the document put into it. */
static char *plain_message(const char *message)
{
    char *plain = text_dup(message ? message : "not well-formed");
    for (char *c = plain; *c; c++)
        *c = (unsigned char)*c < ' ' ? ' ' : *c;
    size_t length = strlen(plain);
    while (length > 0 && plain[length - 1] == ' ')
        plain[--length] = '\0';
    return plain;
}

/* Keeps the first fatal error. Others (an unbound namespace prefix) do not bother libvirt either.
 */
static void take_error(void *data, error_pointer problem)
{
    xmlParserCtxt *context = data;
    struct parse *parse = context->_private;
    if (problem->level < XML_ERR_FATAL || problem->code == XML_ERR_USER_STOP ||
        error_is_set(parse->error))
        return;
    AUTO_FREE char *message = plain_message(problem->message);
    error_set(parse->error, ERROR_INPUT, "domain XML %d:%d: %s", problem->line, problem->int2,
              message);
}

static void free_context(xmlParserCtxt **context)
{
    if (*context)
        xmlFreeParserCtxt(*context);
}

struct element_ranges *document_parse(const char *text, size_t length, struct error *error)
{
    if (check_text(text, length, error) < 0)
        return NULL;
    CLEANUP(document_freep) struct element_ranges *document = NEW(struct element_ranges);
    CLEANUP(free_context) xmlParserCtxt *context = xmlNewParserCtxt();
    if (!context) {
        error_set(error, ERROR_FAILED, "libxml2 cannot make a parser");
        return NULL;
    }
    struct parse parse = {.text = text, .length = length, .document = document, .error = error};
    context->_private = &parse;
    context->sax->startElementNs = start_element;
    context->sax->endElementNs = end_element;
    context->sax->internalSubset = refuse_doctype;
    context->sax->serror = take_error;

    document->tree = xmlCtxtReadMemory(context, text, (int)length, NULL, NULL,
                                       XML_PARSE_NONET | XML_PARSE_IGNORE_ENC);
    if (error_is_set(error))
        return NULL;
    if (!document->tree || !context->wellFormed) {
        error_set(error, ERROR_INPUT, "domain XML: not well-formed");
        return NULL;
    }
    return STEAL(document);
}

void document_free(struct element_ranges *document)
{
    if (document->tree)
        xmlFreeDoc(document->tree);
    free(document->list.items);
    free(document->disks.items);
    free(document->interfaces.items);
    free(document);
}

const struct element_range *document_range(const struct element_ranges *document,
                                           const xmlNode *node)
{
    return &document->list.items[(size_t)(uintptr_t)node->_private - 1];
}
