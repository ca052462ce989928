#include "domain_fixture.h"

static void writes_what_gnu_diff_writes(void **state UNUSED)
{
#define HEADER "--- o\n+++ n\n"
    static const struct {
        const char *old_text, *new_text, *diff;
    } cases[] = {
        {"", "", ""},
        {"a\nb\n", "a\nb\n", ""},
        {"a", "a", ""},
        {"a\n", "b\n", HEADER "@@ -1 +1 @@\n-a\n+b\n"},
        {"", "a\n", HEADER "@@ -0,0 +1 @@\n+a\n"},
        {"a\nb\n", "", HEADER "@@ -1,2 +0,0 @@\n-a\n-b\n"},
        {"a\n", "a", HEADER "@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n"},
        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n",
         HEADER "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n"},
        /* six lines between two changes: one hunk; seven: two */
        {"a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
         HEADER "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n"},
        {"a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
         HEADER "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n"
                "@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n"},
        {"a\nb\nc\n", "a\nc\nd\n", HEADER "@@ -1,3 +1,3 @@\n a\n-b\n c\n+d\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *diff = text_diff("o", cases[i].old_text, "n", cases[i].new_text);
        assert_string_equal(diff, cases[i].diff);
    }
}

/* ---- Any diff, applied, gives the new text ---- */

static const char *behind_line(const char *text)
{
    const char *newline = strchr(text, '\n');
    return newline ? newline + 1 : text + strlen(text);
}

static void copy_line(struct buffer *out, const char *line)
{
    buffer_add_slice(out, line, (size_t)(behind_line(line) - line));
}

static void drop_newline(struct buffer *out)
{
    assert_true(out->length > 0 && out->text[out->length - 1] == '\n');
    out->text[--out->length] = '\0';
}

/* patch(1) without its tolerance: every line that is kept or removed has to be there. */
static char *apply(const char *old_text, const char *diff)
{
    AUTO_BUFFER struct buffer out = {0};
    size_t number = 0; /* lines of the old text already taken */
    char last = ' ';
    for (; *diff; diff = behind_line(diff)) {
        size_t first = 0, count = 1;
        if (text_starts_with(diff, "--- ") || text_starts_with(diff, "+++ "))
            continue;
        if (sscanf(diff, "@@ -%zu,%zu", &first, &count) >= 1) {
            first -= count > 0;
            for (; number < first; number++, old_text = behind_line(old_text))
                copy_line(&out, old_text);
            continue;
        }
        if (*diff == '\\') {
            if (last != '-')
                drop_newline(&out);
            continue;
        }
        last = *diff;
        if (last != '-')
            copy_line(&out, diff + 1);
        if (last != '+') {
            size_t length = strcspn(old_text, "\n");
            assert_memory_equal(old_text, diff + 1, length);
            old_text = behind_line(old_text);
            number++;
        }
    }
    buffer_add(&out, old_text);
    return buffer_take(&out);
}

/* A reproducible sequence: no two runs of a test should differ. */
static unsigned next_number(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static char *random_text(unsigned *seed)
{
    AUTO_BUFFER struct buffer text = {0};
    size_t lines = next_number(seed) % 30;
    for (size_t i = 0; i < lines; i++)
        buffer_format(&text, "line %u\n", next_number(seed) % 4);
    if (next_number(seed) % 4 == 0)
        buffer_add(&text, "the end");
    return buffer_take(&text);
}

static void gives_the_new_text_when_applied(void **state UNUSED)
{
    unsigned seed = 1;
    for (size_t i = 0; i < 3000; i++) {
        AUTO_FREE char *old_text = random_text(&seed);
        AUTO_FREE char *new_text = random_text(&seed);
        AUTO_FREE char *diff = text_diff("o", old_text, "n", new_text);
        AUTO_FREE char *applied = apply(old_text, diff);
        assert_string_equal(applied, new_text);
        assert_int_equal(*diff == '\0', strcmp(old_text, new_text) == 0);
    }
}

static char *numbered(size_t from, size_t count)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < count; i++)
        buffer_format(&text, "%zu\n", from + i);
    return buffer_take(&text);
}

static void is_bounded_for_big_texts(void **state UNUSED)
{
    AUTO_FREE char *old_text = numbered(0, 50000);
    AUTO_FREE char *new_text = numbered(100000, 50000);
    AUTO_FREE char *diff = text_diff("o", old_text, "n", new_text);
    assert_true(text_starts_with(diff, HEADER "@@ -1,50000 +1,50000 @@\n-0\n"));
    AUTO_FREE char *applied = apply(old_text, diff);
    assert_string_equal(applied, new_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_gnu_diff_writes),
        cmocka_unit_test(gives_the_new_text_when_applied),
        cmocka_unit_test(is_bounded_for_big_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
