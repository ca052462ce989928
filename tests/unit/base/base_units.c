/* Sizes, rates, durations and factors: what people write, and what hostile people write. */
#include "cmocka_compat.h"

#include "base/text.h"
#include "base/units.h"

#include <locale.h>
#include <math.h>

typedef int parser(const char *text, uint64_t *value, struct error *error);

struct taken {
    const char *text;
    uint64_t value;
};

static void assert_taken(parser *parse, const struct taken *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO_ERROR struct error error = {0};
        uint64_t value = 0xdead;
        if (parse(cases[i].text, &value, &error) < 0)
            fail_msg("'%s' is refused: %s", cases[i].text, error.message);
        if (value != cases[i].value)
            fail_msg("'%s' is %llu, not %llu", cases[i].text, (unsigned long long)value,
                     (unsigned long long)cases[i].value);
        assert_false(error_is_set(&error));
    }
}

static void assert_refused(parser *parse, const char *const cases[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO_ERROR struct error error = {0};
        uint64_t value = 0;
        if (parse(cases[i], &value, &error) == 0)
            fail_msg("'%s' is taken for %llu", cases[i], (unsigned long long)value);
        assert_int_equal(error.code, ERROR_INPUT);
        assert_non_null(error.message);
    }
}

static void sizes_taken(void **state UNUSED)
{
    static const struct taken cases[] = {
        {"0", 0},
        {"4096", 4096},
        {"1B", 1},
        {"4KiB", 4096},
        {"4K", 4096},
        {"4k", 4096},
        {"4kB", 4000},
        {"4KB", 4000},
        {"200M", 200ull << 20},
        {"200MB", 200000000},
        {"1.5GiB", 3ull << 29},
        {".5GiB", 1ull << 29},
        {"10 GiB", 10ull << 30},
        {"1TiB", 1ull << 40},
        {"2TB", 2000000000000},
        {"1PiB", 1ull << 50},
        {"0.1MiB", 104858},
        {"007", 7},
        {"9007199254740991", 9007199254740991},
        {"8191PiB", 8191ull << 50},
    };
    assert_taken(parse_size, cases, ARRAY_SIZE(cases));
}

static void sizes_refused(void **state UNUSED)
{
    static const char *const cases[] = {
        "",
        " ",
        " 1",
        "-1",
        "+1",
        ".",
        "..",
        "1..2",
        "1.2.3",
        "GiB",
        "4 Gib",
        "4gib",
        "4KIB",
        "0x10",
        "1e9",
        "inf",
        "nan",
        "INFINITY",
        "1,5GiB",
        "4GiB ",
        "4GiB/s",
        "4GiB\n",
        "1_000",
        "8192PiB",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999PiB",
        "4\xc2\xa0GiB",
    };
    assert_refused(parse_size, cases, ARRAY_SIZE(cases));
}

/* Numbers that are longer than any number is. */
static void endless_digits(void **state UNUSED)
{
    AUTO_BUFFER struct buffer nines = {0};
    for (int i = 0; i < 5000; i++)
        buffer_add(&nines, "9");
    AUTO_FREE char *fraction = text_format("0.%s", nines.text);
    uint64_t value = 0;
    double factor = 0;
    AUTO_ERROR struct error error = {0};
    assert_int_equal(parse_size(nines.text, &value, &error), -1);
    assert_int_equal(parse_duration(nines.text, &value, &error), -1);
    assert_int_equal(parse_factor(nines.text, &factor, &error), -1);
    assert_int_equal(error.code, ERROR_INPUT);
    /* Either is right for so long a fraction: about one, or refused. It must only not be nonsense.
     */
    AUTO_ERROR struct error other = {0};
    if (parse_factor(fraction, &factor, &other) == 0)
        assert_true(fabs(factor - 1) < 1e-9);
}

static void rates(void **state UNUSED)
{
    static const struct taken cases[] = {
        {"200MiB", 200ull << 20},
        {"200MiB/s", 200ull << 20},
        {"0", 0},
        {"1.5 MB/s", 1500000},
        {"7/s", 7},
    };
    assert_taken(parse_rate, cases, ARRAY_SIZE(cases));
    static const char *const refused[] = {"", "/s", "/", "s", "5/", "5/s/s", "5 MiB /S", "-5/s"};
    assert_refused(parse_rate, refused, ARRAY_SIZE(refused));
}

static void durations(void **state UNUSED)
{
    static const struct taken cases[] = {
        {"90", 90},     {"90s", 90},    {"15m", 900},    {"15min", 900},
        {"12h", 43200}, {"7d", 604800}, {"2w", 1209600}, {"1.5h", 5400},
    };
    assert_taken(parse_duration, cases, ARRAY_SIZE(cases));
    static const char *const refused[] = {"", "d", "7 days", "1M", "-1s", "1h30m", "1e3s"};
    assert_refused(parse_duration, refused, ARRAY_SIZE(refused));
}

static void factors(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    double factor = 0;
    assert_int_equal(parse_factor("1.5x", &factor, &error), 0);
    assert_true(factor == 1.5);
    assert_int_equal(parse_factor("2", &factor, &error), 0);
    assert_true(factor == 2);
    assert_int_equal(parse_factor("0", &factor, &error), 0);
    assert_true(factor == 0);
    static const char *const refused[] = {"", "x", "1.5y", "-1", "inf", "nan", "1.5xx", "1e3"};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        if (parse_factor(refused[i], &factor, &error) == 0)
            fail_msg("'%s' is taken", refused[i]);
        assert_int_equal(error.code, ERROR_INPUT);
        assert_string_equal(error.hint, "write it like 1.5x");
    }
}

/* A policy does not mean something else because its reader's desk is in Germany. */
static void the_locale_does_not_matter(void **state UNUSED)
{
    static const char *const with_a_comma[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8",
                                               "fr_FR.utf8"};
    const char *found = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(with_a_comma) && !found; i++)
        found = setlocale(LC_ALL, with_a_comma[i]);
    if (!found) {
        print_message("no locale with a decimal comma on this machine\n");
        skip();
    }
    AUTO_ERROR struct error error = {0};
    uint64_t value = 0;
    double factor = 0;
    int size_taken = parse_size("1.5GiB", &value, &error);
    int factor_taken = parse_factor("1.5x", &factor, &error);
    setlocale(LC_ALL, "C");
    assert_int_equal(size_taken, 0);
    assert_int_equal(value, 3ull << 29);
    assert_int_equal(factor_taken, 0);
    assert_true(factor == 1.5);
}

/* ---- and back ---- */

static void sizes_for_people(void **state UNUSED)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1 KiB"},
        {1536, "1.5 KiB"},
        {1ull << 30, "1 GiB"},
        {1288490188, "1.2 GiB"},
        {(1ull << 20) - 1, "1.0 MiB"}, /* not "1024.0 KiB" */
        {(1ull << 30) - 1, "1.0 GiB"},
        {UINT64_MAX, "16 EiB"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *text = format_size(cases[i].bytes);
        assert_string_equal(text, cases[i].text);
    }
    AUTO_FREE char *rate = format_rate(40265318);
    assert_string_equal(rate, "38.4 MiB/s");
}

static void durations_for_people(void **state UNUSED)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {
        {0, "0 s"},           {12, "12 s"},
        {60, "1 min 00 s"},   {3599, "59 min 59 s"},
        {3840, "1 h 04 min"}, {86400, "1 d 00 h"},
        {90061, "1 d 01 h"},  {UINT64_MAX, "213503982334601 d 07 h"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *text = format_duration(cases[i].seconds);
        assert_string_equal(text, cases[i].text);
    }
}

/* What is printed can be read again, to the precision in which it is printed. */
static void printed_sizes_are_taken(void **state UNUSED)
{
    for (uint64_t bytes = 1; bytes < 1ull << 55; bytes = bytes * 5 / 2 + 1) {
        AUTO_FREE char *text = format_size(bytes);
        AUTO_ERROR struct error error = {0};
        uint64_t again = 0;
        if (parse_size(text, &again, &error) < 0)
            fail_msg("'%s' is printed, and refused: %s", text, error.message);
        assert_true(fabs((double)again - (double)bytes) <= (double)bytes * 0.05);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_taken),
        cmocka_unit_test(sizes_refused),
        cmocka_unit_test(endless_digits),
        cmocka_unit_test(rates),
        cmocka_unit_test(durations),
        cmocka_unit_test(factors),
        cmocka_unit_test(the_locale_does_not_matter),
        cmocka_unit_test(sizes_for_people),
        cmocka_unit_test(durations_for_people),
        cmocka_unit_test(printed_sizes_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
