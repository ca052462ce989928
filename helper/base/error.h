/* The one error type.
 *
 * Every function that can fail takes a `struct error *` (never NULL, empty on entry), returns 0 or
 * -1 (or a pointer or NULL), and fills the error exactly when it fails. The message says what
 * happened and in which state things are; the hint says what to do next (QEMU's qapi/error.h keeps
 * the two apart for the same reason). */
#ifndef VP_BASE_ERROR_H
#define VP_BASE_ERROR_H

#include "base/cleanup.h"

#include <stdbool.h>

enum error_code {
    ERROR_NONE = 0,
    ERROR_FAILED,       /* did not work; everything is as it was */
    ERROR_USAGE,        /* the command line is wrong */
    ERROR_POLICY,       /* the policy is wrong */
    ERROR_NOTHING,      /* there is nothing to do */
    ERROR_OPERATOR,     /* a person has to decide; the message says what */
    ERROR_INPUT,        /* malformed XML and the like, from outside */
    ERROR_NOT_FOUND,    /* the thing named does not exist */
    ERROR_EXISTS,       /* something is there that must not be */
    ERROR_BUSY,         /* somebody else is using it */
    ERROR_DENIED,       /* no permission, wrong key */
    ERROR_UNREACHABLE,  /* nobody answers, or not in time */
    ERROR_DISCONNECTED, /* a connection that was there is gone: reconnect and look again */
    ERROR_CANCELLED,    /* the user asked for the end */
    ERROR_UNSUPPORTED,  /* this version or this combination cannot do it */
    ERROR_NO_SPACE,     /* full, nearly full, or over quota */
};

struct error {
    enum error_code code;
    char *message; /* owned; one line, no trailing newline; never holds a secret */
    char *hint;    /* owned; NULL when there is none */
};

#define AUTO_ERROR CLEANUP(error_clear)

/* All three return -1, so that `return error_set(...)` reads well. error_set replaces what is
 * there; error_prefix puts "PREFIX: " before the message; error_hint sets or replaces the hint. */
int error_set(struct error *error, enum error_code code, const char *format, ...) PRINTF(3, 4);
int error_hint(struct error *error, const char *format, ...) PRINTF(2, 3);
int error_prefix(struct error *error, const char *format, ...) PRINTF(2, 3);

void error_clear(struct error *error);
/* Moves *source into *target; *source is empty afterwards. What *target held is released. */
void error_move(struct error *target, struct error *source);
static inline bool error_is_set(const struct error *error)
{
    return error->code != ERROR_NONE;
}

/* The exit status that virt-pivot(1) promises for this error: 0, 1, 2, 3 or 4. */
int error_exit_status(const struct error *error);

#endif
