#include "ceph/image_names.h"

#include "base/crash.h"
#include "base/text.h"

#include <errno.h>
#include <stdint.h>

#define MAX_ENCODED 4096

/* A string as Ceph encodes it: le32 length, then the bytes. Also the whole content of an id
 * object. */
struct encoded {
    char bytes[MAX_ENCODED];
    size_t length;
};

static void encode(struct encoded *encoded, const char *text)
{
    size_t length = strnlen(text, MAX_ENCODED - 4);
    for (unsigned i = 0; i < 4; i++)
        encoded->bytes[i] = (char)(length >> (8 * i));
    memcpy(encoded->bytes + 4, text, length);
    encoded->length = length + 4;
}

/* A new string, or NULL when it is not one. */
static char *decode(const struct encoded *encoded)
{
    if (encoded->length < 4)
        return NULL;
    size_t length = 0;
    for (unsigned i = 0; i < 4; i++)
        length |= (size_t)(uint8_t)encoded->bytes[i] << (8 * i);
    if (length == 0 || length != encoded->length - 4 || memchr(encoded->bytes + 4, '\0', length))
        return NULL;
    return text_slice(encoded->bytes + 4, length);
}

static char *id_object(const char *name)
{
    return text_format("rbd_id.%s", name);
}

/* The id object's content; length 0 when there is none. */
static int read_id(rados_ioctx_t pool, const char *name, struct encoded *id)
{
    AUTO_FREE char *object = id_object(name);
    id->length = 0;
    int count = rados_read(pool, object, id->bytes, sizeof(id->bytes), 0);
    if (count < 0)
        return count == -ENOENT ? 0 : count;
    id->length = (size_t)count;
    return 0;
}

int ceph_names_of(rados_ioctx_t pool, const char *id, char **name)
{
    struct encoded question, answer;
    *name = NULL;
    encode(&question, id);
    int count = rados_exec(pool, "rbd_directory", "rbd", "dir_get_name", question.bytes,
                           question.length, answer.bytes, sizeof(answer.bytes));
    if (count < 0)
        return count == -ENOENT ? 0 : count;
    answer.length = (size_t)count;
    *name = decode(&answer);
    return *name ? 0 : -EBADMSG;
}

/* Removes an id object, if it still holds what was read. */
static int unlink_id(rados_ioctx_t pool, const char *name, const struct encoded *id)
{
    AUTO_FREE char *object = id_object(name);
    int compared = 0;
    rados_write_op_t operation = rados_create_write_op();
    rados_write_op_cmpext(operation, id->bytes, id->length, 0, &compared);
    rados_write_op_remove(operation);
    int result = CRASH_AROUND(rados_write_op_operate(operation, pool, object, NULL, 0));
    rados_release_write_op(operation);
    return result == -ENOENT ? 0 : result;
}

int ceph_names_settle(rados_ioctx_t pool, const char *draft, const char *final)
{
    struct encoded draft_id, final_id;
    int result = read_id(pool, draft, &draft_id);
    if (result < 0 || draft_id.length == 0)
        return result;
    AUTO_FREE char *id = decode(&draft_id);
    if (!id) /* not what rbd writes there */
        return unlink_id(pool, draft, &draft_id);

    AUTO_FREE char *name = NULL;
    result = ceph_names_of(pool, id, &name);
    if (result < 0)
        return result;
    if (!name || strcmp(name, draft) != 0)
        return unlink_id(pool, draft, &draft_id);

    result = read_id(pool, final, &final_id);
    if (result < 0 || final_id.length != draft_id.length ||
        memcmp(final_id.bytes, draft_id.bytes, draft_id.length) != 0)
        return result;
    return unlink_id(pool, final, &final_id);
}

int ceph_names_are(rados_ioctx_t pool, const char *id, const char *name, bool *are)
{
    AUTO_FREE char *found = NULL;
    int result = ceph_names_of(pool, id, &found);
    *are = result == 0 && text_equal(found, name);
    return result;
}

int ceph_names_lead_to(rados_ioctx_t pool, const char *name, char **id)
{
    struct encoded encoded;
    int result = read_id(pool, name, &encoded);
    *id = result < 0 ? NULL : decode(&encoded);
    return result;
}

int ceph_names_prepare_trash(rados_ioctx_t pool)
{
    rados_write_op_t operation = rados_create_write_op();
    rados_write_op_create(operation, LIBRADOS_CREATE_IDEMPOTENT, NULL);
    int result = CRASH_AROUND(rados_write_op_operate(operation, pool, "rbd_trash", NULL, 0));
    rados_release_write_op(operation);
    return result;
}

int ceph_names_settle_trash(rados_ioctx_t pool, const char *id)
{
    static const char normal_from[][2] = {{0, 1 /* moving */}, {0, 3 /* restoring */}};
    int result = -EINVAL;
    for (size_t i = 0; i < ARRAY_SIZE(normal_from) && result < 0; i++) {
        struct encoded question;
        char answer[16];
        encode(&question, id);
        if (question.length + sizeof(normal_from[i]) > sizeof(question.bytes))
            return -EINVAL;
        memcpy(question.bytes + question.length, normal_from[i], sizeof(normal_from[i]));
        question.length += sizeof(normal_from[i]);
        result = rados_exec(pool, "rbd_trash", "rbd", "trash_state_set", question.bytes,
                            question.length, answer, sizeof(answer));
    }
    return result < 0 ? result : 0;
}

/* Of an entry (cls::rbd::TrashImageSpec): version, compatible version, le32 length, and then who
 * put it there. */
#define TRASH_SOURCE_AT 6
#define TRASH_SOURCE_USER 0

/* The entry's bytes; length 0 when there is none. */
static int read_entry(rados_ioctx_t pool, const char *key, struct encoded *entry)
{
    const char *const keys[] = {key};
    rados_omap_iter_t found = NULL;
    char *name = NULL, *bytes = NULL;
    size_t length = 0;
    int read = 0;
    rados_read_op_t operation = rados_create_read_op();
    rados_read_op_omap_get_vals_by_keys(operation, keys, 1, &found, &read);
    int result = rados_read_op_operate(operation, pool, "rbd_trash", 0);
    rados_release_read_op(operation);
    entry->length = 0;
    if (result == 0 && read == 0 && found &&
        rados_omap_get_next(found, &name, &bytes, &length) == 0 && bytes &&
        length <= sizeof(entry->bytes)) {
        memcpy(entry->bytes, bytes, length);
        entry->length = length;
    }
    if (found)
        rados_omap_get_end(found);
    return result == -ENOENT ? 0 : result;
}

int ceph_names_own_trash(rados_ioctx_t pool, const char *id)
{
    AUTO_FREE char *key = text_format("id_%s", id);
    const char *const keys[] = {key};
    struct encoded entry;
    int compared = 0;
    int result = read_entry(pool, key, &entry);
    if (result < 0 || entry.length <= TRASH_SOURCE_AT)
        return result;
    rados_write_op_t operation = rados_create_write_op();
    struct encoded after = entry;
    const char *const values[] = {after.bytes};
    after.bytes[TRASH_SOURCE_AT] = TRASH_SOURCE_USER;
    rados_write_op_omap_cmp(operation, key, LIBRADOS_CMPXATTR_OP_EQ, entry.bytes, entry.length,
                            &compared);
    rados_write_op_omap_set(operation, keys, values, &after.length, 1);
    result = CRASH_AROUND(rados_write_op_operate(operation, pool, "rbd_trash", NULL, 0));
    rados_release_write_op(operation);
    return result;
}
