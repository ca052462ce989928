/* Values of our JSON, where what is not known is null. */
#ifndef VP_CLI_JSON_VALUES_H
#define VP_CLI_JSON_VALUES_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* text may be NULL. */
struct json_object *text_or_null(const char *text);
struct json_object *number_or_null(bool known, int64_t number);
/* 0 and less: not known. To the microsecond: 1.9, not 1.8999999999999999. */
struct json_object *milliseconds_or_null(double number);

#endif
