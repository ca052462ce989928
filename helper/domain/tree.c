#include "domain/document.h"

#include "domain/scan.h"

/* ---- Elements ---- */

bool element_is(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && !node->ns &&
           strcmp((const char *)node->name, name) == 0;
}

bool element_is_of(const xmlNode *node, const char *name_space, const char *name)
{
    return node->type == XML_ELEMENT_NODE && node->ns &&
           strcmp((const char *)node->name, name) == 0 &&
           text_equal((const char *)node->ns->href, name_space);
}

xmlNode *element_child(const xmlNode *parent, const char *name)
{
    for (xmlNode *child = parent->children; child; child = child->next)
        if (element_is(child, name))
            return child;
    return NULL;
}

xmlNode *element_first_child(const xmlNode *parent)
{
    for (xmlNode *child = parent->children; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE)
            return child;
    return NULL;
}

xmlNode *element_next(const xmlNode *node, const char *name)
{
    for (xmlNode *next = node->next; next; next = next->next)
        if (element_is(next, name))
            return next;
    return NULL;
}

/* ---- Strings ---- */

static char *take_text(xmlChar *text)
{
    char *copy = text_dup((const char *)text);
    xmlFree(text);
    return copy;
}

char *element_attribute(xmlNode *node, const char *name)
{
    return node ? take_text(xmlGetNoNsProp(node, (const xmlChar *)name)) : NULL;
}

char *element_attribute_filled(xmlNode *node, const char *name)
{
    AUTO_FREE char *value = element_attribute(node, name);
    return text_empty(value) ? NULL : STEAL(value);
}

bool element_attribute_is(xmlNode *node, const char *name, const char *expected)
{
    AUTO_FREE char *value = element_attribute(node, name);
    return text_equal(value, expected);
}

char *element_content(xmlNode *node)
{
    AUTO_FREE char *text = node ? take_text(xmlNodeGetContent(node)) : NULL;
    return text_empty(text) ? NULL : STEAL(text);
}

char *element_content_trimmed(xmlNode *node)
{
    AUTO_FREE char *text = element_content(node);
    if (!text)
        return NULL;
    const char *start = text + strspn(text, " \t\r\n");
    size_t length = scan_space_before(start, strlen(start));
    return length > 0 ? text_slice(start, length) : NULL;
}
