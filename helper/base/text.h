/* Text and memory that cannot fail.
 *
 * Out of memory ends the process: it may be killed at any instruction anyway, and `recover` brings
 * an unfinished move to its end. That is far safer than thousands of untested error paths. */
#ifndef VP_BASE_TEXT_H
#define VP_BASE_TEXT_H

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Zeroed memory for count elements of size bytes; never NULL. */
void *memory_new(size_t count, size_t size) MUST_CHECK;
/* realloc(3) for count elements; never NULL. */
void *memory_resize(void *pointer, size_t count, size_t size) MUST_CHECK;
#define NEW(type) ((type *)memory_new(1, sizeof(type)))

/* Each returns a new string, to be released with free(3). NULL in gives NULL out for text_dup. */
char *text_dup(const char *text) MUST_CHECK;
char *text_slice(const char *start, size_t length) MUST_CHECK;
char *text_format(const char *format, ...) PRINTF(1, 2) MUST_CHECK;
char *text_vformat(const char *format, va_list args) PRINTF(1, 0) MUST_CHECK;

/* Equality in which two NULLs are equal. */
static inline bool text_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}
static inline bool text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}
/* NULL and "" alike. */
static inline bool text_empty(const char *text)
{
    return !text || !*text;
}

/* Overwrites a secret before it is released; for CLEANUP on a char *. */
void text_burn(char **secret);

/* The candidate that a misspelt word most likely meant (insertions, deletions, replacements
 * and swapped letters: at most a third of its length, at least 1), or NULL. */
const char *text_closest(const char *word, const char *const candidates[], size_t count);

/* A growing piece of text. Zero-initialise; release with buffer_clear, or take .text away. */
struct buffer {
    char *text; /* always NUL-terminated once anything was added; may be NULL before */
    size_t length;
    size_t room;
};
#define AUTO_BUFFER CLEANUP(buffer_clear)
void buffer_add(struct buffer *buffer, const char *text);
void buffer_add_slice(struct buffer *buffer, const char *start, size_t length);
void buffer_format(struct buffer *buffer, const char *format, ...) PRINTF(2, 3);
void buffer_clear(struct buffer *buffer);
/* The text, owned by the caller ("" when nothing was added); the buffer is empty afterwards. */
char *buffer_take(struct buffer *buffer) MUST_CHECK;

#endif
