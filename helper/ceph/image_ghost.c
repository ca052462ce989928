#include "ceph/image_ghost.h"

#include "base/crash.h"
#include "base/text.h"

#include <errno.h>

#define ANSWER_MS 5000

/* What rados_notify2 replies: le32 count of those that answered, each le64 client, le64 cookie,
 * le32 length and so many bytes; then le32 count of those that did not, each le64 client, le64
 * cookie. */
struct reply {
    const unsigned char *at;
    size_t left;
    bool broken;
};

static uint64_t take(struct reply *reply, unsigned bytes)
{
    uint64_t number = 0;
    reply->broken |= reply->left < bytes;
    if (reply->broken)
        return 0;
    for (unsigned i = 0; i < bytes; i++)
        number |= (uint64_t)reply->at[i] << (8 * i);
    reply->at += bytes;
    reply->left -= bytes;
    return number;
}

static void skip_answers(struct reply *reply)
{
    for (uint64_t count = take(reply, 4); count && !reply->broken; count--) {
        take(reply, 8);
        take(reply, 8);
        uint64_t length = take(reply, 4);
        reply->broken |= length > reply->left;
        if (reply->broken)
            return;
        reply->at += length;
        reply->left -= length;
    }
}

int ceph_silent_watchers(rados_ioctx_t pool, const char *id, unsigned milliseconds,
                         struct text_list *silent)
{
    AUTO_FREE char *header = text_format("rbd_header.%s", id);
    char *bytes = NULL;
    size_t length = 0;
    int result = rados_notify2(pool, header, NULL, 0, milliseconds, &bytes, &length);
    struct reply reply = {.at = (const unsigned char *)bytes, .left = length};
    if (result == -ETIMEDOUT && length) {
        skip_answers(&reply);
        for (uint64_t count = take(&reply, 4); count && !reply.broken; count--) {
            uint64_t client = take(&reply, 8);
            take(&reply, 8);
            if (!reply.broken)
                *text_list_add(silent) = text_format("client.%llu", (unsigned long long)client);
        }
        result = silent->count ? 0 : result;
    }
    rados_buffer_free(bytes);
    return result < 0 ? result : 0;
}

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
    int result = CRASH_AROUND(rados_remove(pool, header));
    return result == -ENOENT ? 0 : result;
}
