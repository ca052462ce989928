/* Sizes, rates, durations and factors, as people write them and as they read them. */
#ifndef VP_BASE_UNITS_H
#define VP_BASE_UNITS_H

#include "base/error.h"

#include <stdint.h>

/* "4096", "4KiB", "1.5GiB", "200MB" (1000-based), "200M" (1024-based, as rbd and qemu-img take it)
 * → bytes. A trailing "/s" is accepted by parse_rate only. Negative, empty, overflowing or
 * unknown-suffix text fails with ERROR_INPUT. */
int parse_size(const char *text, uint64_t *bytes, struct error *error) MUST_CHECK;
int parse_rate(const char *text, uint64_t *bytes_per_second, struct error *error) MUST_CHECK;
/* "90" or "90s", "15m", "12h", "7d", "2w" → seconds. */
int parse_duration(const char *text, uint64_t *seconds, struct error *error) MUST_CHECK;
/* "1.5x" or "1.5" → 1.5; must be finite and at least 0. */
int parse_factor(const char *text, double *factor, struct error *error) MUST_CHECK;

/* New strings, released with free(3): "1.2 GiB", "38.4 MiB/s", "1 h 04 min", "12 s". */
char *format_size(uint64_t bytes) MUST_CHECK;
char *format_rate(uint64_t bytes_per_second) MUST_CHECK;
char *format_duration(uint64_t seconds) MUST_CHECK;

#endif
