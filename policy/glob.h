/* Globs: '*' and '?' within one path component, '**' across components, '[a-z]' and '[!a-z]',
 * backslash takes the next character as it is. */
#ifndef VP_POLICY_GLOB_H
#define VP_POLICY_GLOB_H

#include <stdbool.h>

/* In time O(pattern × text) whatever the pattern: it may be hostile. */
bool glob_matches(const char *pattern, const char *text);

#endif
