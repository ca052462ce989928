/* The one setting that we need of a ceph.conf. The rules are those of Ceph's ConfUtils.cc: comments
 * begin with '#' or ';' anywhere but behind a backslash, a backslash at the end of a line continues
 * it, white space in a key is an underscore, and of several values the last one holds. */
#include "base/text.h"
#include "policy/mons.h"

#include <ctype.h>

/* The next line with its continuations joined, comments cut, and escapes resolved; NULL at the
 * end. */
static char *next_line(const char **cursor, const char *end)
{
    if (*cursor == end)
        return NULL;
    AUTO_BUFFER struct buffer line = {0};
    bool in_comment = false;
    const char *c = *cursor;
    for (; c < end && *c != '\n'; c++) {
        if (*c == '\\' && c + 1 < end && c[1] == '\n' && !in_comment) {
            c++;
        } else if (in_comment || *c == '#' || *c == ';') {
            in_comment = true;
        } else {
            if (*c == '\\' && c + 1 < end)
                c++;
            buffer_add_slice(&line, c, 1);
        }
    }
    *cursor = c < end ? c + 1 : end;
    return buffer_take(&line);
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

static bool is_key(const char *text, const char *normal)
{
    while (*text && *normal) {
        size_t blank = strspn(text, " \t_");
        if (blank > 0 && *normal == '_') {
            text += blank;
            normal++;
        } else if (*text++ != *normal++) {
            return false;
        }
    }
    return !*text && !*normal;
}

static char *unquote(char *value)
{
    size_t length = strlen(value);
    if (length < 2 || (*value != '"' && *value != '\'') || value[length - 1] != *value)
        return value;
    value[length - 1] = '\0';
    return value + 1;
}

char *policy_conf_mon_host(const char *text, size_t length)
{
    const char *cursor = text;
    bool in_global = true; /* as before any section */
    AUTO_FREE char *found = NULL;
    for (;;) {
        AUTO_FREE char *line = next_line(&cursor, text + length);
        if (!line)
            break;
        char *start = trim(line);
        char *equals = strchr(start, '=');
        if (*start == '[') {
            start[strcspn(start, "]")] = '\0';
            in_global = strcmp(trim(start + 1), "global") == 0;
        } else if (equals && in_global) {
            *equals = '\0';
            if (!is_key(trim(start), "mon_host"))
                continue;
            free(found);
            found = text_dup(unquote(trim(equals + 1)));
        }
    }
    return found && *found ? STEAL(found) : NULL;
}
