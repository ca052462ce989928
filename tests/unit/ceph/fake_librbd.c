#include "ceph/fake_librbd.h"

#include "cmocka_compat.h"

#define IMAGE_SIZE ((uint64_t)64 << 20)
#define OURSELVES 1
#define SOMEBODY 2

static struct fake_librbd *now;

void fake_librbd_begin(struct fake_librbd *fake)
{
    *fake = (struct fake_librbd){
        .cluster = {.name = (char *)"c", .user = (char *)"client.u", .timeout = 10},
        .features = RBD_FEATURE_EXCLUSIVE_LOCK | RBD_FEATURE_OBJECT_MAP | RBD_FEATURE_FAST_DIFF,
        .may_write = true,
    };
    now = fake;
}

void fake_librbd_end(struct fake_librbd *fake)
{
    text_list_clear(&fake->keys);
    now = NULL;
}

/* ---- librados ---- */

int rados_conf_set(rados_t cluster UNUSED, const char *option UNUSED, const char *value UNUSED)
{
    return 0;
}

int rados_pool_list(rados_t cluster UNUSED, char *names, size_t room)
{
    static const char pools[] = "p\0";
    if (room >= sizeof(pools))
        memcpy(names, pools, sizeof(pools));
    return sizeof(pools);
}

int rados_ioctx_create(rados_t cluster UNUSED, const char *name UNUSED, rados_ioctx_t *pool)
{
    *pool = now;
    return 0;
}

void rados_ioctx_destroy(rados_ioctx_t pool UNUSED)
{
}

void rados_set_pool_full_try(rados_ioctx_t pool UNUSED)
{
}

void rados_set_osdmap_full_try(rados_ioctx_t pool UNUSED)
{
}

uint64_t rados_get_instance_id(rados_t cluster UNUSED)
{
    return OURSELVES;
}

/* ---- librbd ---- */

int rbd_open(rados_ioctx_t pool UNUSED, const char *name UNUSED, rbd_image_t *image,
             const char *snapshot UNUSED)
{
    *image = now;
    return now->may_write ? 0 : -EPERM;
}

int rbd_open_read_only(rados_ioctx_t pool UNUSED, const char *name UNUSED, rbd_image_t *image,
                       const char *snapshot UNUSED)
{
    *image = now;
    return 0;
}

int rbd_close(rbd_image_t image UNUSED)
{
    return 0;
}

int rbd_stat(rbd_image_t image UNUSED, rbd_image_info_t *info, size_t size UNUSED)
{
    *info = (rbd_image_info_t){.size = IMAGE_SIZE, .obj_size = 4 << 20};
    return 0;
}

int rbd_get_features(rbd_image_t image UNUSED, uint64_t *features)
{
    *features = now->features;
    return 0;
}

int rbd_get_flags(rbd_image_t image UNUSED, uint64_t *flags)
{
    *flags = now->flags;
    return 0;
}

int rbd_get_stripe_count(rbd_image_t image UNUSED, uint64_t *count)
{
    *count = 1;
    return 0;
}

int rbd_get_overlap(rbd_image_t image UNUSED, uint64_t *overlap)
{
    *overlap = 0;
    return 0;
}

int rbd_watchers_list(rbd_image_t image UNUSED, rbd_image_watcher_t *watchers, size_t *count)
{
    *count = now->is_watched ? 2 : 1;
    watchers[0] = (rbd_image_watcher_t){.addr = (char *)"192.0.2.1:0/1", .id = OURSELVES};
    watchers[1] = (rbd_image_watcher_t){.addr = (char *)"192.0.2.2:0/1", .id = SOMEBODY};
    return now->watchers_fail;
}

void rbd_watchers_list_cleanup(rbd_image_watcher_t *watchers UNUSED, size_t count UNUSED)
{
}

int rbd_lock_acquire(rbd_image_t image UNUSED, rbd_lock_mode_t mode UNUSED)
{
    now->is_locked = true;
    now->flags |= now->flags_found;
    return 0;
}

int rbd_lock_release(rbd_image_t image UNUSED)
{
    now->is_locked = false;
    return 0;
}

int rbd_is_exclusive_lock_owner(rbd_image_t image UNUSED, int *owner)
{
    *owner = now->is_locked;
    return 0;
}

/* ---- metadata: keys that all have the value "1" ---- */

static size_t find_key(const char *key)
{
    size_t i = 0;
    while (i < now->keys.count && strcmp(now->keys.items[i], key) != 0)
        i++;
    return i;
}

int rbd_metadata_get(rbd_image_t image UNUSED, const char *key, char *value, size_t *length)
{
    if (find_key(key) == now->keys.count)
        return -ENOENT;
    return (int)(*length = (size_t)snprintf(value, *length, "1") + 1);
}

int rbd_metadata_set(rbd_image_t image UNUSED, const char *key, const char *value)
{
    assert_string_equal(value, "1");
    if (find_key(key) == now->keys.count)
        *text_list_add(&now->keys) = text_dup(key);
    return 0;
}

int rbd_metadata_remove(rbd_image_t image UNUSED, const char *key)
{
    size_t found = find_key(key);
    if (found == now->keys.count)
        return -ENOENT;
    free(now->keys.items[found]);
    now->keys.items[found] = now->keys.items[--now->keys.count];
    return 0;
}
