#include "cli/check_report.h"

#include <json-c/json.h>

#define SUBJECT_WIDTH 18

static const char *status_word(enum check_status status)
{
    static const char *const words[] = {
        [CHECK_OK] = "ok", [CHECK_WARNING] = "warning", [CHECK_ERROR] = "error"};
    return words[status];
}

void check_report_clear(struct check_report *report)
{
    for (size_t i = 0; i < report->lines.count; i++) {
        free(report->lines.items[i].subject);
        free(report->lines.items[i].text);
        free(report->lines.items[i].hint);
    }
    free(report->lines.items);
    *report = (struct check_report){0};
}

void check_add(struct check_report *report, enum check_status status, const char *subject,
               const char *format, ...)
{
    struct check_line *line = check_lines_add(&report->lines);
    line->status = status;
    line->subject = text_dup(subject);
    va_list args;
    va_start(args, format);
    line->text = text_vformat(format, args);
    va_end(args);
    report->errors += status == CHECK_ERROR;
    report->warnings += status == CHECK_WARNING;
}

void check_hint(struct check_report *report, const char *format, ...)
{
    struct check_line *line = &report->lines.items[report->lines.count - 1];
    va_list args;
    va_start(args, format);
    char *hint = text_vformat(format, args);
    va_end(args);
    free(line->hint);
    line->hint = hint;
}

void check_add_failure(struct check_report *report, enum check_status status, const char *subject,
                       const struct error *error)
{
    check_add(report, status, subject, "%s", error->message);
    if (error->hint)
        check_hint(report, "%s", error->hint);
}

/* Names come from the policy and from Ceph: one line each, and nothing a terminal would obey. */
static void print_tame(FILE *file, const char *text)
{
    for (; *text; text++)
        fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, file);
}

void check_report_print(struct check_report *report, FILE *file)
{
    for (; report->printed < report->lines.count; report->printed++) {
        const struct check_line *line = &report->lines.items[report->printed];
        size_t length = strlen(line->subject);
        fprintf(file, "%-7s  ", status_word(line->status));
        print_tame(file, line->subject);
        fprintf(file, "%*s  ", length < SUBJECT_WIDTH ? (int)(SUBJECT_WIDTH - length) : 0, "");
        print_tame(file, line->text);
        fputc('\n', file);
        if (line->hint) {
            fprintf(file, "%9shint: ", "");
            print_tame(file, line->hint);
            fputc('\n', file);
        }
    }
    fflush(file);
}

struct json_object *check_report_json(const struct check_report *report)
{
    struct json_object *checks = json_object_new_array();
    for (size_t i = 0; i < report->lines.count; i++) {
        const struct check_line *line = &report->lines.items[i];
        struct json_object *check = json_object_new_object();
        json_object_object_add(check, "status", json_object_new_string(status_word(line->status)));
        json_object_object_add(check, "subject", json_object_new_string(line->subject));
        json_object_object_add(check, "text", json_object_new_string(line->text));
        json_object_object_add(check, "hint",
                               line->hint ? json_object_new_string(line->hint) : NULL);
        json_object_array_add(checks, check);
    }
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "checks", checks);
    json_object_object_add(json, "errors", json_object_new_int64((int64_t)report->errors));
    json_object_object_add(json, "warnings", json_object_new_int64((int64_t)report->warnings));
    return json;
}

int check_report_conclude(const struct check_report *report, struct error *error)
{
    if (report->errors == 0)
        return 0;
    return error_set(error, report->policy_wrong ? ERROR_POLICY : ERROR_FAILED,
                     "%zu check%s failed%s", report->errors, report->errors == 1 ? "" : "s",
                     report->policy_wrong ? ", the policy's among them" : "");
}
