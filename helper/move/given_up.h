/* What became of a disk's source, as the journal keeps it (disk_record.given_up): one line of text,
 * for people and for whoever brings the source back.
 *
 *   trash POOL[/NAMESPACE]/IMAGE ID    in the pool's trash, under this id
 *   aside /FOLDER/NAME.virt-pivot-N    renamed in its folder by move N
 *   removed POOL[/NAMESPACE]/IMAGE ID  gone for good
 *   removed /FOLDER/NAME               likewise
 *   kept[ REASON]                      it is where it was
 *
 * It is written before it is done: until the move is `retired`, the source may be in either place.
 */
#ifndef VP_MOVE_GIVEN_UP_H
#define VP_MOVE_GIVEN_UP_H

#include "base/error.h"
#include "ceph/ceph.h"

#include <stdint.h>

enum given_up_kind {
    GIVEN_UP_NOTHING, /* nothing was done, or written, about it */
    GIVEN_UP_TRASH,
    GIVEN_UP_ASIDE,
    GIVEN_UP_REMOVED,
    GIVEN_UP_KEPT,
};

/* Owned strings. */
struct given_up {
    enum given_up_kind kind;
    char *pool, *name_space, *image; /* of an RBD image; NULL: it is no image */
    char *id;                        /* in its pool, and in the trash */
    char *path;                      /* of a file: where it was; NULL: it is no file */
    char *aside;                     /* where it is, when aside */
    char *reason;                    /* why it was kept; NULL */
};
void given_up_clear(struct given_up *given_up);

/* NULL is GIVEN_UP_NOTHING. ERROR_INPUT when it says something else than the above. */
int given_up_parse(const char *text, struct given_up *given_up, struct error *error) MUST_CHECK;
/* New string; NULL for GIVEN_UP_NOTHING. */
char *given_up_format(const struct given_up *given_up) MUST_CHECK;
/* For people: "in the trash of old/vms as 12ab", "removed", …; new string. */
char *given_up_describe(const struct given_up *given_up) MUST_CHECK;

/* The name that a file gets in its folder when this move puts it aside; new string. */
char *given_up_aside_name(const char *path, int64_t move) MUST_CHECK;
/* Borrows from it. */
struct ceph_image_name given_up_image(const struct given_up *given_up);

#endif
