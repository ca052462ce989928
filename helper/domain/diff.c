/* A line-based unified diff: the longest common subsequence between what is left when the common
 * start and end are taken away, which for a rewritten domain is a few hundred lines at most. */
#include "domain/domain.h"

#include <stdint.h>

#define CONTEXT 3
/* Beyond this many pairs of lines the middle is shown as replaced as a whole. */
#define MAX_PAIRS (4u << 20)

struct line {
    const char *text;
    size_t length; /* with its newline, if it has one */
};
DEFINE_VECTOR(line_list, struct line);

enum change {
    KEPT,
    REMOVED,
    ADDED,
};

struct step {
    enum change change;
    struct line line;
    size_t old_number, new_number; /* lines of either text before this step */
};
DEFINE_VECTOR(step_list, struct step);

struct comparison {
    struct line_list old_lines, new_lines;
    struct step_list steps;
};

static void comparison_clear(struct comparison *comparison)
{
    free(comparison->old_lines.items);
    free(comparison->new_lines.items);
    free(comparison->steps.items);
}

static void split_lines(const char *text, struct line_list *lines)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        length += text[length] == '\n';
        *line_list_add(lines) = (struct line){.text = text, .length = length};
        text += length;
    }
}

static bool same_line(const struct line *a, const struct line *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

/* Takes the next line of the old text (KEPT, REMOVED) or of the new one (ADDED). */
static void add_step(struct comparison *comparison, enum change change, size_t *old_at,
                     size_t *new_at)
{
    *step_list_add(&comparison->steps) = (struct step){
        .change = change,
        .line = change == ADDED ? comparison->new_lines.items[*new_at]
                                : comparison->old_lines.items[*old_at],
        .old_number = *old_at,
        .new_number = *new_at,
    };
    *old_at += change != ADDED;
    *new_at += change != REMOVED;
}

/* common[i * (columns + 1) + j]: the longest common subsequence of rows i… and columns j… */
static uint32_t *common_table(const struct line *old_lines, size_t rows,
                              const struct line *new_lines, size_t columns)
{
    size_t width = columns + 1;
    uint32_t *common = memory_new((rows + 1) * width, sizeof(*common));
    for (size_t i = rows; i-- > 0;) {
        for (size_t j = columns; j-- > 0;) {
            uint32_t down = common[(i + 1) * width + j], right = common[i * width + j + 1];
            common[i * width + j] = same_line(&old_lines[i], &new_lines[j])
                                        ? common[(i + 1) * width + j + 1] + 1
                                    : down > right ? down
                                                   : right;
        }
    }
    return common;
}

static void compare_middle(struct comparison *comparison, size_t start, size_t old_end,
                           size_t new_end)
{
    size_t rows = old_end - start, columns = new_end - start;
    size_t i = start, j = start;
    if (rows > 0 && columns > 0 && rows <= MAX_PAIRS / columns) {
        const struct line *old_lines = comparison->old_lines.items;
        const struct line *new_lines = comparison->new_lines.items;
        AUTO_FREE uint32_t *common =
            common_table(old_lines + start, rows, new_lines + start, columns);
        while (i < old_end && j < new_end) {
            const uint32_t *here = &common[(i - start) * (columns + 1) + (j - start)];
            if (same_line(&old_lines[i], &new_lines[j]))
                add_step(comparison, KEPT, &i, &j);
            else
                add_step(comparison, here[columns + 1] >= here[1] ? REMOVED : ADDED, &i, &j);
        }
    }
    while (i < old_end)
        add_step(comparison, REMOVED, &i, &j);
    while (j < new_end)
        add_step(comparison, ADDED, &i, &j);
}

static void compare(struct comparison *comparison)
{
    const struct line_list *old_lines = &comparison->old_lines;
    const struct line_list *new_lines = &comparison->new_lines;
    size_t i = 0, j = 0;
    while (i < old_lines->count && i < new_lines->count &&
           same_line(&old_lines->items[i], &new_lines->items[i]))
        add_step(comparison, KEPT, &i, &j);
    size_t old_end = old_lines->count, new_end = new_lines->count;
    while (old_end > i && new_end > i &&
           same_line(&old_lines->items[old_end - 1], &new_lines->items[new_end - 1])) {
        old_end--;
        new_end--;
    }
    compare_middle(comparison, i, old_end, new_end);
    i = old_end;
    j = new_end;
    while (i < old_lines->count)
        add_step(comparison, KEPT, &i, &j);
}

/* ---- Printing ---- */

/* The start of the first change at or behind `at`, or the end. */
static size_t next_change(const struct step_list *steps, size_t at)
{
    while (at < steps->count && steps->items[at].change == KEPT)
        at++;
    return at;
}

/* Behind the last change of the hunk that starts with the change at `at`: changes whose context
 * would touch or overlap are one hunk. */
static size_t hunk_changes_end(const struct step_list *steps, size_t at)
{
    size_t end = at;
    while (at < steps->count && at - end <= (size_t)2 * CONTEXT) {
        end = at;
        while (end < steps->count && steps->items[end].change != KEPT)
            end++;
        at = next_change(steps, end);
    }
    return end;
}

/* GNU diff's notation: the count is left out when it is 1, an empty range names the line before. */
static void print_range(struct buffer *out, char sign, size_t first, size_t count)
{
    buffer_format(out, " %c%zu", sign, count == 0 ? first : first + 1);
    if (count != 1)
        buffer_format(out, ",%zu", count);
}

static void print_hunk(struct buffer *out, const struct step_list *steps, size_t start, size_t end)
{
    static const char signs[] = {[KEPT] = ' ', [REMOVED] = '-', [ADDED] = '+'};
    size_t old_count = 0, new_count = 0;
    for (size_t i = start; i < end; i++) {
        old_count += steps->items[i].change != ADDED;
        new_count += steps->items[i].change != REMOVED;
    }
    buffer_add(out, "@@");
    print_range(out, '-', steps->items[start].old_number, old_count);
    print_range(out, '+', steps->items[start].new_number, new_count);
    buffer_add(out, " @@\n");
    for (size_t i = start; i < end; i++) {
        const struct line *line = &steps->items[i].line;
        buffer_add_slice(out, &signs[steps->items[i].change], 1);
        buffer_add_slice(out, line->text, line->length);
        if (line->text[line->length - 1] != '\n')
            buffer_add(out, "\n\\ No newline at end of file\n");
    }
}

char *text_diff(const char *old_name, const char *old_text, const char *new_name,
                const char *new_text)
{
    CLEANUP(comparison_clear) struct comparison comparison = {0};
    split_lines(old_text, &comparison.old_lines);
    split_lines(new_text, &comparison.new_lines);
    compare(&comparison);

    AUTO_BUFFER struct buffer out = {0};
    const struct step_list *steps = &comparison.steps;
    for (size_t at = next_change(steps, 0); at < steps->count; at = next_change(steps, at)) {
        if (out.length == 0)
            buffer_format(&out, "--- %s\n+++ %s\n", old_name, new_name);
        size_t start = at > CONTEXT ? at - CONTEXT : 0;
        at = hunk_changes_end(steps, at);
        size_t end = steps->count - at > CONTEXT ? at + CONTEXT : steps->count;
        print_hunk(&out, steps, start, end);
    }
    return buffer_take(&out);
}
