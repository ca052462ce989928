/* What `check` found: a list of lines, each with a verdict, and the exit status they amount to. */
#ifndef VP_CLI_CHECK_REPORT_H
#define VP_CLI_CHECK_REPORT_H

#include "base/error.h"
#include "base/vector.h"

enum check_status { CHECK_OK, CHECK_WARNING, CHECK_ERROR };

struct check_line {
    enum check_status status;
    char *subject; /* "tier gold" */
    char *text;
    char *hint; /* what to do about it; NULL */
};
DEFINE_VECTOR(check_lines, struct check_line);

struct check_report {
    struct check_lines lines;
    size_t errors, warnings;
    size_t printed;
    bool policy_wrong;
};

void check_report_clear(struct check_report *report);

void check_add(struct check_report *report, enum check_status status, const char *subject,
               const char *format, ...) PRINTF(4, 5);
/* Sets the hint of the line added last. */
void check_hint(struct check_report *report, const char *format, ...) PRINTF(2, 3);
/* A line from an error: its message and its hint. */
void check_add_failure(struct check_report *report, enum check_status status, const char *subject,
                       const struct error *error);

/* Prints the lines that were not printed before, each hint on an indented line of its own. */
void check_report_print(struct check_report *report, FILE *file);
/* {"checks":[{"status","subject","text","hint"}],"errors":N,"warnings":N} */
struct json_object;
struct json_object *check_report_json(const struct check_report *report) MUST_CHECK;

/* 0 when there is no error; else ERROR_POLICY if the policy is wrong, or ERROR_FAILED. */
int check_report_conclude(const struct check_report *report, struct error *error) MUST_CHECK;

#endif
