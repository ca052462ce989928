#include "ceph/image_ghost.h"
#include "ceph/mon_command.h"
#include "ceph/private.h"

#include <time.h>

/* libceph numbers its watches from here on; librados takes an address in its own memory. */
#define KERNEL_COOKIES_FROM 0xffff000000000000ull

/* For a client that has the image open: who works answers within milliseconds. */
#define ANSWER_MS 3000

/* Whether the pool is in the map that this client has. */
static bool is_known_pool(struct ceph_cluster *cluster, const char *pool)
{
    AUTO_FREE char *names = NULL;
    int room = 0, length = 4096;
    while (length > room) {
        room = length;
        names = memory_resize(names, (size_t)room, 1);
        length = rados_pool_list(cluster->rados, names, (size_t)room);
    }
    if (length < 0)
        return false;
    for (const char *name = names; *name; name += strlen(name) + 1)
        if (strcmp(name, pool) == 0)
            return true;
    return false;
}

static int no_such_pool(const struct ceph_cluster *cluster, const char *pool, struct error *error)
{
    error_set(error, ERROR_NOT_FOUND, "cluster '%s' has no pool '%s'", cluster->name, pool);
    return error_hint(error, "'ceph osd pool ls' lists its pools");
}

/* librados waits for the newest map before it says that there is no such pool, for ever if the
 * monitors are silent. So they are asked here, which has a timeout. */
static int check_new_pool(struct ceph_cluster *cluster, const char *pool, struct error *error)
{
    struct ceph_pool info = {0};
    AUTO_JSON json_object *reply = NULL;
    if (ceph_mon_command(cluster, CEPH_COMMAND_POOLS, &reply, error) < 0)
        return -1;
    if (ceph_pool_read_flags(reply, pool, &info, error) == 0)
        return 0;
    return error->code == ERROR_NOT_FOUND ? no_such_pool(cluster, pool, error) : -1;
}

int ceph_pool_open(struct ceph_cluster *cluster, const char *pool, const char *name_space,
                   rados_ioctx_t *handle, struct error *error)
{
    if (!is_known_pool(cluster, pool) && check_new_pool(cluster, pool, error) < 0)
        return -1;
    int result = rados_ioctx_create(cluster->rados, pool, handle);
    if (result == -ENOENT)
        return no_such_pool(cluster, pool, error);
    if (result < 0)
        return ceph_failure(error, cluster, pool, result, "pool '%s' cannot be opened", pool);
    if (!text_empty(name_space))
        rados_ioctx_set_namespace(*handle, name_space);
#ifdef HAVE_RADOS_SET_POOL_FULL_TRY
    rados_set_pool_full_try(*handle);
#else
    rados_set_osdmap_full_try(*handle);
#endif
    return 0;
}

char *ceph_image_text(const struct ceph_image_name *name)
{
    if (text_empty(name->name_space))
        return text_format("%s/%s", name->pool, name->image);
    return text_format("%s/%s/%s", name->pool, name->name_space, name->image);
}

void ceph_open_close(struct ceph_open *open)
{
    cleanup_image(&open->image);
    cleanup_pool(&open->pool);
    *open = (struct ceph_open){0};
}

int ceph_image_open(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                    bool read_only, struct ceph_open *open, struct error *error)
{
    if (ceph_pool_open(cluster, name->pool, name->name_space, &open->pool, error) < 0)
        return -1;
    int result = read_only ? rbd_open_read_only(open->pool, name->image, &open->image, NULL)
                           : rbd_open(open->pool, name->image, &open->image, NULL);
    if (result == 0)
        return 0;

    open->image = NULL;
    AUTO_FREE char *text = ceph_image_text(name);
    if (result == -ENOENT) {
        error_set(error, ERROR_NOT_FOUND, "cluster '%s' has no image %s", cluster->name, text);
        return error_hint(error, "'rbd ls %s%s%s' lists what is there", name->pool,
                          text_empty(name->name_space) ? "" : "/",
                          text_empty(name->name_space) ? "" : name->name_space);
    }
    return ceph_failure(error, cluster, name->pool, result, "image %s cannot be opened", text);
}

int ceph_metadata_read(rbd_image_t image, const char *key, char **value)
{
    *value = NULL;
    size_t room = 256;
    for (;;) {
        AUTO_FREE char *text = memory_new(room + 1, 1);
        size_t length = room;
        int result = rbd_metadata_get(image, key, text, &length);
        if (result == -ENOENT)
            return 0;
        if (result == -ERANGE && length > room) {
            room = length;
            continue;
        }
        if (result < 0)
            return result;
        *value = STEAL(text);
        return 0;
    }
}

int ceph_list_all(ceph_lister *list, void *of, size_t size, void **items, size_t *count)
{
    size_t room = 16;
    for (;;) {
        AUTO_FREE void *found = memory_new(room, size);
        *count = room;
        int result = list(of, found, count);
        if (result == -ERANGE && *count > room) {
            room = *count;
            continue;
        }
        if (result < 0)
            return result;
        *items = STEAL(found);
        return 0;
    }
}

static int list_watchers(void *image, void *watchers, size_t *count)
{
    return rbd_watchers_list(image, watchers, count);
}

static int list_trash(void *pool, void *entries, size_t *count)
{
    return rbd_trash_list(pool, entries, count);
}

int ceph_trash_read(rados_ioctx_t pool, rbd_trash_image_info_t **entries, size_t *count)
{
    void *list = NULL;
    int result = ceph_list_all(list_trash, pool, sizeof(**entries), &list, count);
    *entries = list;
    return result;
}

int ceph_watchers_read(struct ceph_cluster *cluster, rbd_image_t image, struct text_list *watchers,
                       bool *kernel)
{
    AUTO_FREE void *watching = NULL;
    size_t count = 0;
    int result =
        ceph_list_all(list_watchers, image, sizeof(rbd_image_watcher_t), &watching, &count);
    if (result < 0)
        return result;

    rbd_image_watcher_t *list = watching;
    if (kernel)
        *kernel = false;
    uint64_t own = rados_get_instance_id(cluster->rados);
    for (size_t i = 0; i < count; i++) {
        if ((uint64_t)list[i].id == own)
            continue;
        AUTO_FREE char *address = ceph_printable(list[i].addr);
        *text_list_add(watchers) = text_format("%s client.%lld", address, (long long)list[i].id);
        if (kernel && list[i].cookie >= KERNEL_COOKIES_FROM)
            *kernel = true;
    }
    rbd_watchers_list_cleanup(list, count);
    return 0;
}

char *ceph_list_text(const struct text_list *list)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < list->count; i++)
        buffer_format(&text, "%s%s",
                      i == 0                 ? ""
                      : i + 1 == list->count ? " and "
                                             : ", ",
                      list->items[i]);
    return buffer_take(&text);
}

double ceph_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void ceph_pause(unsigned milliseconds)
{
    struct timespec left = {.tv_sec = milliseconds / 1000,
                            .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

int ceph_no_progress(uint64_t offset UNUSED, uint64_t total UNUSED, void *nobody UNUSED)
{
    return 0;
}

/* A change of the snapshots or the features is the business of whoever has the exclusive lock, and
 * ends when all who have the image open have been told. librbd would ask a client that hangs or is
 * dead again and again, for the 30 s that its watch lasts, and then shut it out of the cluster: not
 * on our account. And while it waits for one that is dead, the guest's writes may wait, too. */
int ceph_image_check_answers(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                             const struct ceph_open *open, struct error *error)
{
    CLEANUP(text_list_clear) struct text_list silent = {0};
    AUTO_FREE char *text = ceph_image_text(name);
    char id[CEPH_MAX_ID] = "";
    uint8_t old_format = 0;
    int result = rbd_get_old_format(open->image, &old_format);
    if (result == 0 && old_format)
        return 0;
    if (result == 0)
        result = rbd_get_id(open->image, id, sizeof(id));
    if (result == 0)
        result = ceph_silent_watchers(open->pool, id, ANSWER_MS, &silent);
    if (result < 0)
        return ceph_failure(error, cluster, name->pool, result,
                            "image %s: who has it open cannot be asked", text);
    if (silent.count == 0)
        return 0;
    AUTO_FREE char *who = ceph_list_text(&silent);
    error_set(error, ERROR_BUSY,
              "cluster '%s': image %s is open by %s, which does not answer; nothing of it is "
              "changed",
              cluster->name, text, who);
    return error_hint(error,
                      "'rbd status %s' shows who; a client that was killed is forgotten within "
                      "about 30 s",
                      text);
}
