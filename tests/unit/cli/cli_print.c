#include "cmocka_compat.h"

#include "cli/cli.h"

#include <locale.h>
#include <time.h>

static char *printed(const struct table *table)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    assert_non_null(file);
    table_print(table, file);
    fclose(file);
    return text;
}

static void control_characters_do_not_reach_the_terminal(void **state UNUSED)
{
    AUTO_FREE char *text = cli_printable("a\x1b[31mb\nc\xc2\x9b\x7f\t\xc3\xa4");
    assert_string_equal(text, "a?[31mb\nc???\t\xc3\xa4");
    static const char *const headers[] = {"A"};
    CLEANUP(table_freep) struct table *table = table_new(headers, 1);
    table_row(table, (const char *[]){"\x1b]0;x\a"});
    AUTO_FREE char *row = printed(table);
    assert_string_equal(row, "A\n?]0;x?\n");
}

static void columns_are_as_wide_as_their_widest_cell(void **state UNUSED)
{
    static const char *const headers[] = {"A", "LONG HEADER", "C"};
    CLEANUP(table_freep) struct table *table = table_new(headers, 3);
    table_row(table, (const char *[]){"wider than A", "x", "1"});
    table_row(table, (const char *[]){"y", "z", "2"});
    AUTO_FREE char *text = printed(table);
    assert_string_equal(text, "A             LONG HEADER  C\n"
                              "wider than A  x            1\n"
                              "y             z            2\n");
}

static void missing_and_empty_cells_are_dashes(void **state UNUSED)
{
    static const char *const headers[] = {"A", "B"};
    CLEANUP(table_freep) struct table *table = table_new(headers, 2);
    table_row(table, (const char *[]){NULL, ""});
    AUTO_FREE char *text = printed(table);
    assert_string_equal(text, "A  B\n-  -\n");
}

static void cells_are_copied(void **state UNUSED)
{
    static const char *const headers[] = {"A"};
    CLEANUP(table_freep) struct table *table = table_new(headers, 1);
    char cell[] = "before";
    table_row(table, (const char *[]){cell});
    memset(cell, 'x', strlen(cell));
    AUTO_FREE char *text = printed(table);
    assert_string_equal(text, "A\nbefore\n");
}

static void width_counts_characters_not_bytes(void **state UNUSED)
{
    if (!setlocale(LC_ALL, "C.UTF-8"))
        skip();
    static const char *const headers[] = {"A", "B"};
    CLEANUP(table_freep) struct table *table = table_new(headers, 2);
    table_row(table, (const char *[]){"vda → é", "1"});
    table_row(table, (const char *[]){"1234567", "2"});
    AUTO_FREE char *text = printed(table);
    assert_string_equal(text, "A        B\nvda → é  1\n1234567  2\n");
}

static void a_table_without_rows_is_its_header(void **state UNUSED)
{
    static const char *const headers[] = {"A", "B"};
    CLEANUP(table_freep) struct table *table = table_new(headers, 2);
    AUTO_FREE char *text = printed(table);
    assert_string_equal(text, "A  B\n");
}

static void time_is_local(void **state UNUSED)
{
    setenv("TZ", "UTC0", 1);
    tzset();
    AUTO_FREE char *utc = format_time(1795151014);
    assert_string_equal(utc, "2026-11-20 05:03:34");
    setenv("TZ", "XYZ-2", 1);
    tzset();
    AUTO_FREE char *east = format_time(1795151014);
    assert_string_equal(east, "2026-11-20 07:03:34");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(missing_and_empty_cells_are_dashes),
        cmocka_unit_test(cells_are_copied),
        cmocka_unit_test(width_counts_characters_not_bytes),
        cmocka_unit_test(a_table_without_rows_is_its_header),
        cmocka_unit_test(time_is_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
