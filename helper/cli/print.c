#include "base/text.h"
#include "cli/cli.h"

#include <json-c/json.h>
#include <time.h>
#include <wchar.h>

/* C0, DEL, and C1, which UTF-8 writes as 0xC2 0x80 … 0x9F. */
char *cli_printable(const char *text)
{
    char *copy = text_dup(text);
    for (unsigned char *c = (unsigned char *)copy; *c; c++) {
        if ((*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f)
            *c = '?';
        else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
            c[0] = c[1] = '?';
    }
    return copy;
}

void cli_print_error(const struct cli *cli UNUSED, const struct error *error)
{
    AUTO_FREE char *message = cli_printable(error->message);
    fflush(stdout);
    fprintf(stderr, "virt-pivot: %s: %s\n",
            error->code == ERROR_NOTHING ? "nothing to do" : "error", message);
    AUTO_FREE char *hint = error->hint ? cli_printable(error->hint) : NULL;
    if (hint)
        fprintf(stderr, "virt-pivot: hint: %s\n", hint);
}

void cli_print(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO_FREE char *text = text_vformat(format, args);
    va_end(args);
    AUTO_FREE char *printable = cli_printable(text);
    fputs(printable, stdout);
}

void cli_say(const struct cli *cli, const char *format, ...)
{
    if (cli->quiet)
        return;
    va_list args;
    va_start(args, format);
    AUTO_FREE char *text = text_vformat(format, args);
    va_end(args);
    AUTO_FREE char *printable = cli_printable(text);
    fflush(stdout);
    fprintf(stderr, "%s\n", printable);
}

void cli_warn(void *opaque, const char *text)
{
    cli_say(opaque, "warning: %s", text);
}

void cli_print_json(struct json_object *json)
{
    puts(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                  JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(json);
}

char *format_time(int64_t seconds)
{
    char text[32];
    struct tm local;
    time_t when = (time_t)seconds;
    if (!localtime_r(&when, &local) || !strftime(text, sizeof(text), "%F %T", &local))
        return text_dup("-");
    return text_dup(text);
}

/* ---- tables ---- */

struct table {
    size_t columns;
    struct text_list cells; /* row by row, the header first */
};

void table_row(struct table *table, const char *const cells[])
{
    for (size_t i = 0; i < table->columns; i++)
        *text_list_add(&table->cells) = cli_printable(text_empty(cells[i]) ? "-" : cells[i]);
}

struct table *table_new(const char *const headers[], size_t columns)
{
    struct table *table = NEW(struct table);
    table->columns = columns;
    table_row(table, headers);
    return table;
}

void table_free(struct table *table)
{
    text_list_clear(&table->cells);
    free(table);
}

/* On screen; bytes where the locale cannot tell. */
static size_t width_of(const char *text)
{
    size_t length = mbstowcs(NULL, text, 0);
    return length == (size_t)-1 ? strlen(text) : length;
}

void table_print(const struct table *table, FILE *file)
{
    AUTO_FREE size_t *widths = memory_new(table->columns, sizeof(*widths));
    for (size_t i = 0; i < table->cells.count; i++) {
        size_t width = width_of(table->cells.items[i]);
        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
    }
    for (size_t i = 0; i < table->cells.count; i++) {
        size_t column = i % table->columns;
        const char *cell = table->cells.items[i];
        bool last = column + 1 == table->columns;
        size_t padding = last ? 0 : widths[column] - width_of(cell) + 2;
        fprintf(file, "%s%*s%s", cell, (int)padding, "", last ? "\n" : "");
    }
}
