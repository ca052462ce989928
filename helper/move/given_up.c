/* What became of a source, in one line. */
#include "move/given_up.h"

#include "base/text.h"

#include <inttypes.h>

#define ASIDE_MARK ".virt-pivot-"

static const char *const words[] = {
    [GIVEN_UP_TRASH] = "trash",
    [GIVEN_UP_ASIDE] = "aside",
    [GIVEN_UP_REMOVED] = "removed",
    [GIVEN_UP_KEPT] = "kept",
};

void given_up_clear(struct given_up *given_up)
{
    free(given_up->pool);
    free(given_up->name_space);
    free(given_up->image);
    free(given_up->id);
    free(given_up->path);
    free(given_up->aside);
    free(given_up->reason);
    *given_up = (struct given_up){0};
}

char *given_up_aside_name(const char *path, int64_t move)
{
    return text_format("%s" ASIDE_MARK "%" PRId64, path, move);
}

struct ceph_image_name given_up_image(const struct given_up *given_up)
{
    return (struct ceph_image_name){given_up->pool, given_up->name_space, given_up->image};
}

/* ---- reading ---- */

/* POOL[/NAMESPACE]/IMAGE ID. Names may hold spaces, an id does not. */
static bool parse_image(const char *text, struct given_up *given_up)
{
    const char *space = strrchr(text, ' ');
    const char *first = strchr(text, '/');
    if (!space || !space[1] || !first || first == text || first > space)
        return false;
    AUTO_FREE char *rest = text_slice(first + 1, (size_t)(space - first - 1));
    char *second = strchr(rest, '/');
    if (second)
        *second++ = '\0';
    if (!*rest || (second && (!*second || strchr(second, '/'))))
        return false;
    given_up->pool = text_slice(text, (size_t)(first - text));
    given_up->name_space = second ? text_dup(rest) : NULL;
    given_up->image = text_dup(second ? second : rest);
    given_up->id = text_dup(space + 1);
    return true;
}

/* A name that given_up_aside_name made. */
static bool parse_aside(const char *text, struct given_up *given_up)
{
    const char *mark = NULL;
    for (const char *at = text; (at = strstr(at, ASIDE_MARK)); at++)
        mark = at;
    if (*text != '/' || !mark)
        return false;
    const char *number = mark + strlen(ASIDE_MARK);
    if (!*number || strspn(number, "0123456789") != strlen(number))
        return false;
    given_up->path = text_slice(text, (size_t)(mark - text));
    given_up->aside = text_dup(text);
    return true;
}

static bool parse_rest(const char *rest, struct given_up *given_up)
{
    switch (given_up->kind) {
    case GIVEN_UP_TRASH:
        return rest && parse_image(rest, given_up);
    case GIVEN_UP_ASIDE:
        return rest && parse_aside(rest, given_up);
    case GIVEN_UP_REMOVED:
        if (!rest || *rest != '/')
            return rest && parse_image(rest, given_up);
        given_up->path = text_dup(rest);
        return true;
    case GIVEN_UP_KEPT:
        given_up->reason = text_dup(rest);
        return true;
    case GIVEN_UP_NOTHING:
        break;
    }
    return false;
}

int given_up_parse(const char *text, struct given_up *given_up, struct error *error)
{
    *given_up = (struct given_up){0};
    if (!text)
        return 0;
    const char *space = strchr(text, ' ');
    size_t length = space ? (size_t)(space - text) : strlen(text);
    for (size_t kind = GIVEN_UP_TRASH; kind < ARRAY_SIZE(words); kind++)
        if (strlen(words[kind]) == length && strncmp(words[kind], text, length) == 0)
            given_up->kind = (enum given_up_kind)kind;
    if (parse_rest(space ? space + 1 : NULL, given_up))
        return 0;
    given_up_clear(given_up);
    return error_set(error, ERROR_INPUT,
                     "the journal says of a source that it was given up as '%s', which means "
                     "nothing to this version",
                     text);
}

/* ---- writing ---- */

static char *image_name(const struct given_up *given_up)
{
    return text_format("%s/%s%s%s", given_up->pool,
                       given_up->name_space ? given_up->name_space : "",
                       given_up->name_space ? "/" : "", given_up->image);
}

char *given_up_format(const struct given_up *given_up)
{
    if (given_up->kind == GIVEN_UP_NOTHING)
        return NULL;
    const char *word = words[given_up->kind];
    if (given_up->kind == GIVEN_UP_KEPT)
        return text_format("%s%s%s", word, given_up->reason ? " " : "",
                           given_up->reason ? given_up->reason : "");
    if (given_up->kind == GIVEN_UP_ASIDE)
        return text_format("%s %s", word, given_up->aside);
    if (!given_up->pool)
        return text_format("%s %s", word, given_up->path);
    AUTO_FREE char *name = image_name(given_up);
    return text_format("%s %s %s", word, name, given_up->id);
}

char *given_up_describe(const struct given_up *given_up)
{
    switch (given_up->kind) {
    case GIVEN_UP_TRASH:
        return text_format("in the trash of pool %s as %s", given_up->pool, given_up->id);
    case GIVEN_UP_ASIDE:
        return text_format("renamed to %s", given_up->aside);
    case GIVEN_UP_REMOVED:
        return text_dup("removed");
    case GIVEN_UP_KEPT:
        return given_up->reason ? text_format("kept: %s", given_up->reason) : text_dup("kept");
    case GIVEN_UP_NOTHING:
        break;
    }
    return text_dup("where it was");
}
