#include "base/text.h"

#include <stdint.h>

static void out_of_memory(void)
{
    fputs("virt-pivot: out of memory; run 'virt-pivot recover'\n", stderr);
    abort();
}

void *memory_new(size_t count, size_t size)
{
    void *pointer = calloc(count ? count : 1, size ? size : 1);
    if (!pointer)
        out_of_memory();
    return pointer;
}

void *memory_resize(void *pointer, size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes))
        out_of_memory();
    void *moved = realloc(pointer, bytes ? bytes : 1);
    if (!moved)
        out_of_memory();
    return moved;
}

char *text_slice(const char *start, size_t length)
{
    char *copy = memory_new(length + 1, 1);
    memcpy(copy, start, length);
    return copy;
}

char *text_dup(const char *text)
{
    return text ? text_slice(text, strlen(text)) : NULL;
}

char *text_vformat(const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        out_of_memory();
    return text;
}

char *text_format(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = text_vformat(format, args);
    va_end(args);
    return text;
}

void text_burn(char **secret)
{
    if (*secret) {
        explicit_bzero(*secret, strlen(*secret));
        free(*secret);
    }
    *secret = NULL;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

#define WORD_MAX 64 /* longer words are nobody's misspelling */

/* Insertions, deletions, replacements, and swaps of neighbours (optimal string alignment). */
static size_t edit_distance(const char *a, const char *b)
{
    size_t width = strlen(b) + 1;
    size_t rows[3][WORD_MAX];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j < width; j++)
        row[j] = j;
    for (size_t i = 1; i <= strlen(a); i++) {
        size_t *reused = before;
        before = above;
        above = row;
        row = reused;
        row[0] = i;
        for (size_t j = 1; j < width; j++) {
            row[j] = smallest(row[j - 1] + 1, above[j] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
    }
    return row[width - 1];
}

const char *text_closest(const char *word, const char *const candidates[], size_t count)
{
    size_t length = strnlen(word, WORD_MAX);
    if (length == WORD_MAX)
        return NULL;
    size_t bound = length / 3 ? length / 3 : 1;
    const char *closest = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strnlen(candidates[i], WORD_MAX) == WORD_MAX)
            continue;
        size_t distance = edit_distance(word, candidates[i]);
        if (distance <= bound) {
            closest = candidates[i];
            bound = distance - (distance > 0);
            if (distance == 0)
                break;
        }
    }
    return closest;
}

void buffer_add_slice(struct buffer *buffer, const char *start, size_t length)
{
    if (length >= SIZE_MAX / 2 - buffer->length)
        out_of_memory();
    if (buffer->length + length + 1 > buffer->room) {
        buffer->room = (buffer->length + length + 1) * 2;
        buffer->text = memory_resize(buffer->text, buffer->room, 1);
    }
    memcpy(buffer->text + buffer->length, start, length);
    buffer->length += length;
    buffer->text[buffer->length] = '\0';
}

void buffer_add(struct buffer *buffer, const char *text)
{
    buffer_add_slice(buffer, text, strlen(text));
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO_FREE char *text = text_vformat(format, args);
    va_end(args);
    buffer_add(buffer, text);
}

void buffer_clear(struct buffer *buffer)
{
    free(buffer->text);
    *buffer = (struct buffer){0};
}

char *buffer_take(struct buffer *buffer)
{
    char *text = buffer->text ? buffer->text : memory_new(1, 1);
    *buffer = (struct buffer){0};
    return text;
}
