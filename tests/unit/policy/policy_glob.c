#include "policy/glob.h"

#include "policy/glob_analysis.h"
#include "policy_fixture.h"

static void test_matches(void **state UNUSED)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"db-*", "db-1", true},
        {"db-*", "db-", true},
        {"db-*", "xdb-1", false},
        {"db-*", "db-1/2", false},
        {"*", "anything", true},
        {"*", "a/b", false},
        {"*", "", true},
        {"**", "a/b/c", true},
        {"**", "", true},
        {"?", "a", true},
        {"?", "", false},
        {"?", "/", false},
        {"?", "ä", true},
        {"??", "ä", false},
        {"v?a", "vda", true},
        {"v?a", "v/a", false},
        {"vd[a-c]", "vdb", true},
        {"vd[a-c]", "vdd", false},
        {"vd[!a-c]", "vdd", true},
        {"vd[!a-c]", "vdb", false},
        {"vd[^a-c]", "vdb", false},
        {"vd[^a-c]", "vdd", true},
        {"a[!b]c", "a/c", false},
        {"a[/]c", "a/c", false},
        {"[]]", "]", true},
        {"[!]]", "]", false},
        {"[!]]", "a", true},
        {"[a-]", "-", true},
        {"[\\]]", "]", true},
        {"[a\\-c]", "b", false},
        {"[a\\-c]", "-", true},
        {"[A-\\]]", "Z", true},
        {"[ä-ö]", "ö", true},
        {"[ä-ö]", "ü", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"\\a", "a", true},
        {"/var/lib/libvirt/images/**", "/var/lib/libvirt/images/a/b.qcow2", true},
        {"/var/lib/libvirt/images/**", "/var/lib/libvirt/images", false},
        {"/var/lib/*/images/*", "/var/lib/libvirt/images/a.qcow2", true},
        {"/var/lib/*/images/*", "/var/lib/libvirt/images/b/a.qcow2", false},
        {"/srv/**/*.qcow2", "/srv/a/b/c.qcow2", true},
        {"/srv/**/*.qcow2", "/srv/c.qcow2", true},
        {"/srv/**/*.qcow2", "/srvc.qcow2", false},
        {"**/*.qcow2", "/a/b.qcow2", true},
        {"**/*.qcow2", "b.qcow2", true},
        {"**.qcow2", "/a/b.qcow2", true},
        {"/a**/b", "/axx/yy/b", true},
        {"/a**/b", "/a/b", true},
        {"/a**/b", "/ab", false},
        {"***", "a/b", true},
        {"/**/**/x", "/x", true},
        {"a*b*c", "axxbyyc", true},
        {"a*b*c", "axxbyy", false},
        /* what is no pattern matches nothing, not even itself */
        {"[", "[", false},
        {"[]", "]", false},
        {"a\\", "a\\", false},
        {"[z-a]", "m", false},
        /* text that is no UTF-8 */
        {"?", "\xff", true},
        {"\xff", "\xff", true},
        {"\xc3", "\xc3\xa4", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (glob_matches(cases[i].pattern, cases[i].text) != cases[i].matches)
            fail_msg("'%s' and '%s': expected %s", cases[i].pattern, cases[i].text,
                     cases[i].matches ? "a match" : "no match");
}

static void test_problems(void **state UNUSED)
{
    static const struct {
        const char *pattern, *problem;
    } cases[] = {
        {"a*?[a-z]**\\[", NULL},
        {"[!]a]", NULL},
        {"", "it is empty"},
        {"a[", "'[' is not closed"},
        {"a[!", "'[' is not closed"},
        {"[]", "'[' is not closed"},
        {"[a-", "'[' is not closed"},
        {"[a\\]", "'[' is not closed"},
        {"a\\", "it ends in a backslash"},
        {"[z-a]", "a range in '[' and ']' runs backwards"},
        {"[", "'[' is not closed"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *problem = glob_problem(cases[i].pattern);
        assert_string_equal(problem ? problem : "none",
                            cases[i].problem ? cases[i].problem : "none");
    }
}

/* Patterns that take a backtracking matcher exponential time. Work is counted, not timed. */
static void test_work_is_bounded(void **state UNUSED)
{
    static const char *const parts[] = {"*a", "**a", "*?", "**/", "*[ab]", "a*"};
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < 3000; i++)
        buffer_add(&text, i % 50 == 49 ? "/" : "a");
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        AUTO_BUFFER struct buffer pattern = {0};
        for (size_t j = 0; j < 100; j++)
            buffer_add(&pattern, parts[i]);
        buffer_add(&pattern, "x");
        size_t steps = 0;
        assert_false(glob_matches_counted(pattern.text, text.text, &steps));
        assert_true(steps > 0);
        assert_true(steps <= (pattern.length + 1) * (text.length + 1));
        size_t covering = 0;
        assert_true(glob_covers(pattern.text, pattern.text, &covering));
        assert_true(covering > 0 && covering <= (pattern.length + 1) * (pattern.length + 1));
    }
}

static void test_covers(void **state UNUSED)
{
    static const struct {
        const char *wide, *narrow;
        bool covers;
    } cases[] = {
        {"*", "db-*", true},
        {"db-*", "*", false},
        {"db-*", "db-1", true},
        {"db-*", "db-1-*", true},
        {"db-?", "db-*", false},
        {"db-?", "db-[0-9]", true},
        {"db-[0-9]", "db-[0-9]", true},
        {"db-[0-9]", "db-7", true},
        {"db-[0-9]", "db-x", false},
        {"**", "/var/**", true},
        {"/var/**", "/var/lib/*", true},
        {"/var/*", "/var/lib/*", false},
        {"/var/*", "/var/**", false},
        {"/var/**/x", "/var/x", true},
        {"/var/**/x", "/var/**/x", true},
        {"/var/**/x", "/var/a/**/x", true},
        {"**/x", "/**/x", true},
        {"*", "**", false},
        {"[", "[", false},
        {"*", "a\\", false},
        {"a", "[a]", false}, /* true in fact, but nobody looks that closely */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t steps = 0;
        if (glob_covers(cases[i].wide, cases[i].narrow, &steps) != cases[i].covers)
            fail_msg("'%s' over '%s': expected %s", cases[i].wide, cases[i].narrow,
                     cases[i].covers ? "yes" : "no");
    }
}

/* The definition of a match, written down as plainly as can be, however slow. */
static bool matches_by_definition(const char *pattern, const char *text, bool at_component)
{
    if (!*pattern)
        return !*text;
    if (*pattern == '*') {
        size_t stars = strspn(pattern, "*");
        const char *rest = pattern + stars;
        bool folders = stars > 1 && at_component && *rest == '/';
        if (folders && matches_by_definition(rest + 1, text, true))
            return true;
        for (const char *t = text;; t++) {
            if (folders ? t > text && t[-1] == '/' && matches_by_definition(rest + 1, t, true)
                        : matches_by_definition(rest, t, false))
                return true;
            if (!*t || (stars == 1 && *t == '/'))
                return false;
        }
    }
    if (!*text)
        return false;
    if (*pattern == '?')
        return *text != '/' && matches_by_definition(pattern + 1, text + 1, false);
    if (text_starts_with(pattern, "[ab]"))
        return strchr("ab", *text) && matches_by_definition(pattern + 4, text + 1, false);
    if (text_starts_with(pattern, "[!a]"))
        return !strchr("a/", *text) && matches_by_definition(pattern + 4, text + 1, false);
    return *pattern == *text && matches_by_definition(pattern + 1, text + 1, *pattern == '/');
}

/* Every text of up to five characters of "ab/", by its number. */
enum { TEXTS = 1 + 3 + 9 + 27 + 81 + 243 };

static void text_of_number(unsigned number, char *text)
{
    unsigned length = 0;
    for (unsigned of_length = 1; number >= of_length; of_length *= 3, length++)
        number -= of_length;
    for (unsigned i = 0; i < length; i++, number /= 3)
        text[i] = "ab/"[number % 3];
    text[length] = '\0';
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16 & 0x7fff;
}

static void random_pattern(unsigned *seed, char *pattern)
{
    static const char *const parts[] = {"a", "b", "/", "?", "*", "**", "[ab]", "[!a]", "**/", "/"};
    *pattern = '\0';
    for (unsigned i = next_random(seed) % 6; i > 0; i--)
        strcat(pattern, parts[next_random(seed) % ARRAY_SIZE(parts)]);
}

static void test_matches_as_defined(void **state UNUSED)
{
    unsigned seed = 1;
    for (unsigned round = 0; round < 600; round++) {
        char pattern[32], text[8];
        random_pattern(&seed, pattern);
        for (unsigned i = 0; i < TEXTS; i++) {
            text_of_number(i, text);
            if (glob_matches(pattern, text) != matches_by_definition(pattern, text, true))
                fail_msg("'%s' and '%s' differ from the definition", pattern, text);
        }
    }
}

/* glob_covers stops a policy, so its yes must be true: for every text there is, up to a length. */
static void test_covers_is_certain(void **state UNUSED)
{
    unsigned seed = 2, yes = 0;
    for (unsigned round = 0; round < 6000; round++) {
        char wide[32], narrow[32], text[8];
        size_t steps = 0;
        random_pattern(&seed, wide);
        random_pattern(&seed, narrow);
        if (!glob_covers(wide, narrow, &steps))
            continue;
        yes++;
        for (unsigned i = 0; i < TEXTS; i++) {
            text_of_number(i, text);
            if (glob_matches(narrow, text) && !glob_matches(wide, text))
                fail_msg("'%s' is said to cover '%s', but not for '%s'", wide, narrow, text);
        }
    }
    assert_true(yes > 300); /* or the test has looked at nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_work_is_bounded),
        cmocka_unit_test(test_covers),
        cmocka_unit_test(test_matches_as_defined),
        cmocka_unit_test(test_covers_is_certain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
