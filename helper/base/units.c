#include "base/units.h"

#include "base/text.h"

#include <math.h>

/* The number that text starts with, and where it ends. Only plain decimal notation, and not by
 * strtod(3): that would take "inf", "nan", "0x10" and "1e9", and wants a comma in some locales. */
static int parse_number(const char *text, double *number, const char **rest, struct error *error)
{
    double mantissa = 0, divisor = 1;
    size_t digits = 0;
    bool point = false;
    const char *at = text;
    for (; (*at >= '0' && *at <= '9') || (*at == '.' && !point); at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        mantissa = mantissa * 10 + (*at - '0');
        divisor *= point ? 10 : 1;
        digits++;
    }
    if (digits == 0 || *at == '.' || !isfinite(mantissa) || !isfinite(divisor)) {
        error_set(error, ERROR_INPUT, "'%s' does not start with a number", text);
        return -1;
    }
    *number = mantissa / divisor;
    *rest = at + strspn(at, " ");
    return 0;
}

struct unit {
    const char *suffix;
    double factor;
};

static const struct unit sizes[] = {
    {"", 1},         {"B", 1},        {"KiB", 0x1p10}, {"K", 0x1p10}, {"k", 0x1p10},
    {"MiB", 0x1p20}, {"M", 0x1p20},   {"GiB", 0x1p30}, {"G", 0x1p30}, {"TiB", 0x1p40},
    {"T", 0x1p40},   {"PiB", 0x1p50}, {"P", 0x1p50},   {"kB", 1e3},   {"KB", 1e3},
    {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12},    {"PB", 1e15},
};
static const struct unit durations[] = {
    {"", 1}, {"s", 1}, {"sec", 1}, {"m", 60}, {"min", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800},
};

static int parse_with_unit(const char *text, const struct unit *units, size_t count,
                           const char *expected, uint64_t *value, struct error *error)
{
    double number = 0;
    const char *rest = NULL;
    if (parse_number(text, &number, &rest, error) < 0)
        return error_hint(error, "write it like %s", expected);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rest, units[i].suffix) != 0)
            continue;
        double product = number * units[i].factor;
        if (product >= 0x1p63)
            return error_set(error, ERROR_INPUT, "'%s' is too large", text);
        *value = (uint64_t)llround(product);
        return 0;
    }
    error_set(error, ERROR_INPUT, "'%s' has an unknown unit '%s'", text, rest);
    return error_hint(error, "write it like %s", expected);
}

int parse_size(const char *text, uint64_t *bytes, struct error *error)
{
    return parse_with_unit(text, sizes, ARRAY_SIZE(sizes), "4MiB or 10GiB", bytes, error);
}

int parse_rate(const char *text, uint64_t *bytes_per_second, struct error *error)
{
    size_t length = strlen(text);
    if (length > 2 && strcmp(text + length - 2, "/s") == 0)
        length -= 2;
    AUTO_FREE char *size = text_slice(text, length);
    return parse_with_unit(size, sizes, ARRAY_SIZE(sizes), "200MiB or 200MiB/s", bytes_per_second,
                           error);
}

int parse_duration(const char *text, uint64_t *seconds, struct error *error)
{
    return parse_with_unit(text, durations, ARRAY_SIZE(durations), "90s, 15m, 12h or 7d", seconds,
                           error);
}

int parse_factor(const char *text, double *factor, struct error *error)
{
    const char *rest = NULL;
    if (parse_number(text, factor, &rest, error) < 0 ||
        (strcmp(rest, "") != 0 && strcmp(rest, "x") != 0)) {
        error_set(error, ERROR_INPUT, "'%s' is not a factor", text);
        return error_hint(error, "write it like 1.5x");
    }
    return 0;
}

char *format_size(uint64_t bytes)
{
    static const char *const suffixes[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    /* What would be printed as 1024.0 is 1 of the next. */
    while (value >= (unit ? 1023.95 : 1024) && unit + 1 < ARRAY_SIZE(suffixes)) {
        value /= 1024;
        unit++;
    }
    if (unit == 0 || value == floor(value))
        return text_format("%.0f %s", value, suffixes[unit]);
    return text_format("%.1f %s", value, suffixes[unit]);
}

char *format_rate(uint64_t bytes_per_second)
{
    AUTO_FREE char *size = format_size(bytes_per_second);
    return text_format("%s/s", size);
}

char *format_duration(uint64_t seconds)
{
    if (seconds < 60)
        return text_format("%u s", (unsigned)seconds);
    if (seconds < 3600)
        return text_format("%u min %02u s", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
    if (seconds < 86400)
        return text_format("%u h %02u min", (unsigned)(seconds / 3600),
                           (unsigned)(seconds / 60 % 60));
    return text_format("%llu d %02u h", (unsigned long long)(seconds / 86400),
                       (unsigned)(seconds / 3600 % 24));
}
