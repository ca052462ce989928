#include "base/text.h"
#include "policy/policy.h"

/* librbd's own bound (RBD_MAX_IMAGE_NAME_SIZE). Its C API takes '/' and '@' in a name, and then
 * reads them as a namespace and a snapshot: so the name is looked at here. */
enum { IMAGE_NAME_MAX_BYTES = 96 };

static const char *problem_of(const char *name)
{
    if (!*name)
        return "it is empty";
    if (*name == '.')
        return "it begins with '.'";
    for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
        if (*c == '/' || *c == '@')
            return *c == '/' ? "it has a '/'" : "it has a '@'";
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
            return "it has a control character";
    }
    return strlen(name) > IMAGE_NAME_MAX_BYTES ? "it has more than 96 bytes" : NULL;
}

/* A template's text with its placeholders replaced; *missing is set to one that has no value. */
static char *expand(const char *template, const struct domain *domain, const struct disk *disk,
                    const char **missing)
{
    const struct {
        const char *name, *value;
    } parts[] = {{"{name}", domain->name}, {"{uuid}", domain->uuid}, {"{target}", disk->target}};
    AUTO_BUFFER struct buffer name = {0};
    while (*template) {
        size_t taken = 0;
        for (size_t i = 0; i < ARRAY_SIZE(parts) && taken == 0; i++) {
            if (!text_starts_with(template, parts[i].name))
                continue;
            taken = strlen(parts[i].name);
            if (text_empty(parts[i].value))
                *missing = parts[i].name;
            else
                buffer_add(&name, parts[i].value);
        }
        if (taken == 0) {
            buffer_add_slice(&name, template, 1);
            taken = 1;
        }
        template += taken;
    }
    return buffer_take(&name);
}

/* What is quoted in a message is cut and cleaned: it comes out of a domain's XML. */
static char *printable(const char *text)
{
    char *copy = text_slice(text, strnlen(text, (size_t)2 * IMAGE_NAME_MAX_BYTES));
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return copy;
}

char *policy_image_name(const struct policy_tier *tier, const struct domain *domain,
                        const struct disk *disk, struct error *error)
{
    const char *missing = NULL;
    AUTO_FREE char *name = expand(tier->image, domain, disk, &missing);
    if (missing) {
        error_set(error, ERROR_POLICY, "tier '%s': there is no %s for the image's name '%s'",
                  tier->name, missing, tier->image);
        return NULL;
    }
    const char *problem = problem_of(name);
    if (!problem)
        return STEAL(name);
    AUTO_FREE char *shown = printable(name);
    error_set(error, ERROR_POLICY, "tier '%s': the image's name would be '%s': %s", tier->name,
              shown, problem);
    error_hint(error, "{uuid} instead of {name} in the tier's 'image' is always a legal part");
    return NULL;
}
