/* Scoped cleanup: a variable's end of life is written where it is born.
 *
 *   AUTO_FREE char *text = text_format("%s", name);
 *   CLEANUP(domain_freep) struct domain *domain = NULL;
 *
 * Shapes after kmod's macro.h and nbdkit's cleanup.h. */
#ifndef VP_BASE_CLEANUP_H
#define VP_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(text, first) __attribute__((format(printf, text, first)))
#define UNUSED __attribute__((unused))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Defines function##p(type **), for CLEANUP, from a plain destructor of type *. */
#define DEFINE_CLEANUP(type, function)                                                             \
    static inline void function##p(type **pointer)                                                 \
    {                                                                                              \
        if (*pointer)                                                                              \
            function(*pointer);                                                                    \
        *pointer = NULL;                                                                           \
    }                                                                                              \
    struct vp_swallow_semicolon

/* Hands ownership on: the variable is NULL afterwards. */
#define STEAL(pointer)                                                                             \
    ({                                                                                             \
        __typeof__(pointer) stolen_ = (pointer);                                                   \
        (pointer) = NULL;                                                                          \
        stolen_;                                                                                   \
    })

static inline void cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Hands a file descriptor on: the variable is -1 afterwards. */
static inline int steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

static inline void cleanup_fclose(FILE *const *file)
{
    if (*file)
        fclose(*file);
}

#define AUTO_FREE CLEANUP(cleanup_free)
#define AUTO_CLOSE CLEANUP(cleanup_close)
#define AUTO_FCLOSE CLEANUP(cleanup_fclose)

#endif
