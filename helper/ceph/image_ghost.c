#include "ceph/image_ghost.h"

#include "base/text.h"

#include <errno.h>

#define ANSWER_MS 5000

bool ceph_watched_by_nobody(rados_ioctx_t pool, const char *id)
{
    AUTO_FREE char *header = text_format("rbd_header.%s", id);
    static const char none[4] = {0};
    char *reply = NULL;
    size_t length = 0;
    int result = rados_notify2(pool, header, NULL, 0, ANSWER_MS, &reply, &length);
    /* The reply begins with the number of those that answered; 0 means that nobody was missing. */
    bool nobody = result == 0 && length >= sizeof(none) && memcmp(reply, none, sizeof(none)) == 0;
    rados_buffer_free(reply);
    return nobody;
}

int ceph_header_remove(rados_ioctx_t pool, const char *id)
{
    AUTO_FREE char *header = text_format("rbd_header.%s", id);
    int result = rados_remove(pool, header);
    return result == -ENOENT ? 0 : result;
}
