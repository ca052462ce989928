/* What validation asks about globs, beyond matching them. */
#ifndef VP_POLICY_GLOB_ANALYSIS_H
#define VP_POLICY_GLOB_ANALYSIS_H

#include <stdbool.h>
#include <stddef.h>

/* What is wrong with a pattern ("'[' is not closed"), or NULL. A wrong pattern matches nothing. */
const char *glob_problem(const char *pattern);

/* Whether every text that NARROW matches is certainly matched by WIDE too. A yes is certain; a no
 * may be one where nobody looked closely enough. Adds the work done to *steps. */
bool glob_covers(const char *wide, const char *narrow, size_t *steps);

/* glob_matches, adding the work done to *steps: at most (characters of the pattern + 1) × (bytes of
 * the text + 1), which a test holds it to. */
bool glob_matches_counted(const char *pattern, const char *text, size_t *steps);

#endif
