/* The names under which an image is known, below librbd.
 *
 * An image has an id. An object "rbd_id.NAME" leads from a name to the id, the object
 * "rbd_directory" leads both ways, and rbd_rename changes them one after the other: write the new
 * id object, change the directory, remove the old id object. Who dies in between leaves an id
 * object that dangles: two names open the same image, rbd_rename and rbd_create then say "exists"
 * for ever, and rbd_remove of the wrong one of the two destroys the image. So ours are put in order
 * first. */
#ifndef VP_CEPH_IMAGE_NAMES_H
#define VP_CEPH_IMAGE_NAMES_H

#include <rados/librados.h>
#include <stdbool.h>

/* Ends an interrupted rename between these two, in either direction, and removes what an
 * interrupted rbd_create left of `draft`: afterwards each has an id object only if the directory
 * says so. The directory decides which name the image has. `draft` must be a name that only we use;
 * `final` is touched only where it leads to the same image as `draft`.
 * Returns 0 or a negative errno. */
int ceph_names_settle(rados_ioctx_t pool, const char *draft, const char *final);

/* Makes sure of the object that a removal's record goes into. A full pool takes no new objects, so
 * that the very first removal in it would fail. Returns 0 or a negative errno. */
int ceph_names_prepare_trash(rados_ioctx_t pool);

/* Whether the directory has this name for the id: then nobody else can take the name.
 * Returns 0 or a negative errno. */
int ceph_names_are(rados_ioctx_t pool, const char *id, const char *name, bool *are);

/* The name that the directory has for an id, new string; NULL with 0 when it has none.
 * Returns 0 or a negative errno. */
int ceph_names_of(rados_ioctx_t pool, const char *id, char **name);

/* The id that a name leads to, whether there is such an image or not; new string, NULL with 0 when
 * there is no such name. Returns 0 or a negative errno. */
int ceph_names_lead_to(rados_ioctx_t pool, const char *name, char **id);

/* What the trash holds under this id counts as put there by a user, and not by a migration, which
 * alone could bring it back or remove it. Success when it holds nothing. Returns 0 or a negative
 * errno. */
int ceph_names_own_trash(rados_ioctx_t pool, const char *id);

/* Ends an rbd_trash_move that was interrupted before its last step, or an rbd_trash_restore before
 * its first: the entry is an ordinary one then. librbd 14 does not go on with the former, and none
 * removes an image with either ("busy"). Returns 0, or a negative errno when its state was another.
 */
int ceph_names_settle_trash(rados_ioctx_t pool, const char *id);

#endif
