#include "base/error.h"

#include "base/text.h"

#include <stdarg.h>

int error_set(struct error *error, enum error_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = text_vformat(format, args); /* may quote the old message: free that later */
    va_end(args);

    error_clear(error);
    error->code = code;
    error->message = message;
    return -1;
}

int error_hint(struct error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *hint = text_vformat(format, args);
    va_end(args);

    free(error->hint);
    error->hint = hint;
    return -1;
}

int error_prefix(struct error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO_FREE char *prefix = text_vformat(format, args);
    va_end(args);

    char *message = text_format("%s: %s", prefix, error->message ? error->message : "");
    free(error->message);
    error->message = message;
    return -1;
}

void error_clear(struct error *error)
{
    free(error->message);
    free(error->hint);
    *error = (struct error){0};
}

void error_move(struct error *target, struct error *source)
{
    error_clear(target);
    *target = *source;
    *source = (struct error){0};
}

int error_exit_status(const struct error *error)
{
    switch (error->code) {
    case ERROR_NONE:
        return 0;
    case ERROR_USAGE:
    case ERROR_POLICY:
        return 2;
    case ERROR_NOTHING:
        return 3;
    case ERROR_OPERATOR:
        return 4;
    default:
        return 1;
    }
}
