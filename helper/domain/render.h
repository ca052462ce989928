/* Private to helper/domain: new elements as libvirt would print them. */
#ifndef VP_DOMAIN_RENDER_H
#define VP_DOMAIN_RENDER_H

#include "domain/domain.h"

/* Where a new element's lines go. Without a newline all is on one line, without white space. */
struct layout {
    const char *newline; /* "\n", "\r\n", or "" */
    const char *indent;  /* of the element itself */
    const char *step;    /* more of it for each level below */
};

/* Adds text for an attribute in single quotes, or for content. */
void render_escaped(struct buffer *out, const char *text);
/* ` name='value'`; nothing when value is NULL. */
void render_attribute(struct buffer *out, const char *name, const char *value);
/* Each starts at its '<' and ends behind its last '>'. */
void render_rbd_source(struct buffer *out, const struct rbd_destination *destination,
                       const struct layout *layout);
/* Nothing when no limit is set. */
void render_iotune(struct buffer *out, const struct iotune *iotune, const struct layout *layout);

#endif
