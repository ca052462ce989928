/* Watches of nobody, and of clients that do not answer.
 *
 * An OSD that gets "watch" from a client which is killed in that moment may record the watch after
 * it has cleared away the connection. Then no timer ends it: the image counts as in use until that
 * OSD happens to load the header object anew, and rbd will not remove it. (Seen on Ceph 16.2.15, in
 * one of about sixty processes killed while they made or removed an image.)
 *
 * A notification tells them apart. Each client that is there answers it; one that has died counts
 * as missing until its watch ends; a watch of nobody does neither. */
#ifndef VP_CEPH_IMAGE_GHOST_H
#define VP_CEPH_IMAGE_GHOST_H

#include "base/vector.h"

#include <rados/librados.h>
#include <stdbool.h>

/* An image must have been watched for this long before such a question is put: a client that is
 * there, but has lost its connection, comes back within this time. */
#define CEPH_GHOST_SECONDS 35

/* Whether nobody is behind the watches of the image with this id. False in any doubt. What is sent
 * is empty, which all versions of librbd take as "read your header again". */
bool ceph_watched_by_nobody(rados_ioctx_t pool, const char *id);

/* The clients that have the image with this id open and do not answer within so many milliseconds:
 * dead ones whose watch lasts still, and those that hang. Returns 0 or a negative errno. */
int ceph_silent_watchers(rados_ioctx_t pool, const char *id, unsigned milliseconds,
                         struct text_list *silent);

/* Removes the image's header and with it every watch. Only for an image that is ours, that nobody
 * watches, and that was emptied before (what it held would be lost from sight, not freed).
 * Returns 0 or a negative errno. */
int ceph_header_remove(rados_ioctx_t pool, const char *id);

#endif
