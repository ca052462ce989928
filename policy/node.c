#include "policy/node.h"

#include "base/text.h"

const struct policy_node *policy_node_member(const struct policy_node *node, const char *key)
{
    if (!node || node->kind != NODE_MAPPING)
        return NULL;
    for (size_t i = 0; i + 1 < node->items.count; i += 2)
        if (strcmp(node->items.items[i]->text, key) == 0)
            return node->items.items[i + 1];
    return NULL;
}

bool policy_node_is_null(const struct policy_node *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (node->kind != NODE_SCALAR || !node->plain)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(node->text, words[i]) == 0)
            return true;
    return false;
}

char *policy_shorten(const char *text)
{
    enum { ENOUGH = 80 };
    size_t length = strnlen(text, ENOUGH + 1);
    if (length <= ENOUGH)
        return text_dup(text);
    length = ENOUGH;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--; /* not in the middle of a UTF-8 character */
    return text_format("%.*s…", (int)length, text);
}

char *policy_node_describe(const struct policy_node *node)
{
    if (node->kind == NODE_LIST)
        return text_dup("a list");
    if (node->kind == NODE_MAPPING)
        return text_dup("a mapping");
    if (policy_node_is_null(node))
        return text_dup("nothing");
    AUTO_FREE char *text = policy_shorten(node->text);
    return text_format("'%s'", text);
}

char *policy_place_text(const struct policy_place *place)
{
    return text_format("%s:%u:%u", place->file, place->line, place->column);
}

int policy_fault(const struct policy_place *place, struct error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO_FREE char *message = text_vformat(format, args);
    va_end(args);
    return error_set(error, ERROR_POLICY, "%s:%u:%u: %s", place->file, place->line, place->column,
                     message);
}

int policy_fault_wrap(const struct policy_place *place, const char *what, struct error *error)
{
    error->code = ERROR_POLICY;
    return error_prefix(error, "%s:%u:%u: %s", place->file, place->line, place->column, what);
}

void policy_node_free(struct policy_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->items.count; i++)
        policy_node_free(node->items.items[i]);
    free(node->items.items);
    free(node->text);
    free(node);
}
