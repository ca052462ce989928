#include "domain/scan.h"

#include <string.h>

bool is_xml_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

size_t scan_tag_end(const char *text, size_t length, size_t start)
{
    char quote = '\0';
    for (size_t i = start; i < length; i++) {
        if (quote) {
            if (text[i] == quote)
                quote = '\0';
        } else if (text[i] == '"' || text[i] == '\'') {
            quote = text[i];
        } else if (text[i] == '>') {
            return i + 1;
        }
    }
    return 0;
}

static size_t skip_space(const char *text, size_t limit, size_t at)
{
    while (at < limit && is_xml_space(text[at]))
        at++;
    return at;
}

size_t scan_name_end(const char *text, size_t limit, size_t start)
{
    size_t at = start;
    while (at < limit && !is_xml_space(text[at]) && !strchr("=/>?<\"'", text[at]))
        at++;
    return at;
}

bool scan_attribute(const char *text, size_t limit, size_t *cursor, struct attribute_span *span)
{
    span->lead = *cursor;
    span->name = skip_space(text, limit, *cursor);
    size_t name_end = scan_name_end(text, limit, span->name);
    span->name_length = name_end - span->name;
    size_t equals = skip_space(text, limit, name_end);
    if (span->name_length == 0 || equals >= limit || text[equals] != '=')
        return false;
    size_t quote = skip_space(text, limit, equals + 1);
    if (quote >= limit || (text[quote] != '"' && text[quote] != '\''))
        return false;
    span->value = quote + 1;
    const char *closing = memchr(text + span->value, text[quote], limit - span->value);
    if (!closing)
        return false;
    span->value_length = (size_t)(closing - text) - span->value;
    span->end = (size_t)(closing - text) + 1;
    *cursor = span->end;
    return true;
}

size_t scan_space_before(const char *text, size_t offset)
{
    while (offset > 0 && is_xml_space(text[offset - 1]))
        offset--;
    return offset;
}
