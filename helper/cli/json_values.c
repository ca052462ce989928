#include "cli/json_values.h"

#include "base/text.h"

struct json_object *text_or_null(const char *text)
{
    return text ? json_object_new_string(text) : NULL;
}

struct json_object *number_or_null(bool known, int64_t number)
{
    return known ? json_object_new_int64(number) : NULL;
}

struct json_object *milliseconds_or_null(double number)
{
    AUTO_FREE char *text = text_format("%.3f", number);
    return number > 0 ? json_object_new_double_s(number, text) : NULL;
}
