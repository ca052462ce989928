/* Private to helper/domain: a tiny scanner over a start tag's text.
 *
 * libxml2 tells what a document means, but not where an attribute stands. Within a tag of
 * well-formed XML that is easy to see: names, '=', values in either kind of quotes. Every function
 * is bounded, so that text which is not well-formed makes it give up, never run away. */
#ifndef VP_DOMAIN_SCAN_H
#define VP_DOMAIN_SCAN_H

#include <stdbool.h>
#include <stddef.h>

struct attribute_span {
    size_t lead;              /* where the white space before the name starts */
    size_t name, name_length; /* offsets into the text */
    size_t value, value_length;
    size_t end; /* right behind the closing quote */
};

bool is_xml_space(char c);

/* Behind the '>' of the tag that starts at `start`, quotes respected; 0 when there is none. */
size_t scan_tag_end(const char *text, size_t length, size_t start);

/* The next attribute at or behind *cursor and before limit; moves *cursor behind it. The first call
 * starts behind the element's name. False at the end of the tag. */
bool scan_attribute(const char *text, size_t limit, size_t *cursor, struct attribute_span *span);

/* Behind the name that starts at `start`. */
size_t scan_name_end(const char *text, size_t limit, size_t start);

/* The start of the run of white space that ends at `offset` (which may be empty). */
size_t scan_space_before(const char *text, size_t offset);

#endif
