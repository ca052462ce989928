/* ceph.h, in the fake world. */
#include "fake_world.h"

#include "base/text.h"

#define HOLES_FEATURES (4ull | 8ull | 16ull) /* exclusive-lock, object-map, fast-diff */

static char *full_name(const struct ceph_image_name *name)
{
    return text_format("%s%s%s/%s", name->pool, name->name_space ? "/" : "",
                       name->name_space ? name->name_space : "", name->image);
}

int fake_ceph_find(const struct ceph_cluster *cluster, const struct ceph_image_name *name)
{
    AUTO_FREE char *full = full_name(name);
    return fake_image_find(cluster->world, cluster->where, full);
}

static int find(const struct ceph_cluster *cluster, const struct ceph_image_name *name)
{
    return fake_ceph_find(cluster, name);
}

static int find_or_fail(const struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        int *image, struct error *error)
{
    *image = find(cluster, name);
    if (*image >= 0)
        return 0;
    return error_set(error, ERROR_NOT_FOUND, "there is no image %s/%s", name->pool, name->image);
}

/* ---- clusters and pools ---- */

/* New string; NULL: there is none. */
static char *read_keyring(const char *path)
{
    char key[64] = "";
    AUTO_FCLOSE FILE *file = path ? fopen(path, "re") : NULL;
    return file && fgets(key, sizeof(key), file) ? text_dup(key) : NULL;
}

int ceph_connect(const struct ceph_login *login, struct ceph_cluster **cluster, struct error *error)
{
    void *world = NULL;
    AUTO_FREE char *key = login->key ? text_dup(login->key) : read_keyring(login->keyring);
    if (!key || sscanf(key, "%p", &world) != 1)
        return error_set(error, ERROR_DENIED, "cluster '%s': wrong key", login->cluster);
    if (fake_enter(world, CALL_CONNECT, error) < 0)
        return -1;
    *cluster = NEW(struct ceph_cluster);
    (*cluster)->world = world;
    /* An undo has no policy, and knows a cluster by its monitors. */
    bool old = text_equal(login->cluster, "old") ||
               (login->mons && text_starts_with(login->mons, "10.0.0.1:"));
    (*cluster)->where = old ? IN_OLD_CLUSTER : IN_NEW_CLUSTER;
    if (fake_leave(world, CALL_CONNECT, 0, error) == 0)
        return 0;
    ceph_disconnectp(cluster);
    return -1;
}

void ceph_disconnect(struct ceph_cluster *cluster)
{
    free(cluster);
}

int ceph_health(struct ceph_cluster *cluster, struct ceph_health *health, struct error *error)
{
    if (fake_enter(cluster->world, CALL_HEALTH, error) < 0)
        return -1;
    *health = (struct ceph_health){
        .status = text_dup("HEALTH_OK"),
        .blocker = cluster->world->nearly_full ? text_dup("OSD_NEARFULL: 1 nearfull osd(s)") : NULL,
    };
    return fake_leave(cluster->world, CALL_HEALTH, 0, error);
}

void ceph_health_clear(struct ceph_health *health)
{
    free(health->status);
    free(health->blocker);
    text_list_clear(&health->checks);
}

int ceph_pool(struct ceph_cluster *cluster, const char *pool UNUSED, struct ceph_pool *info,
              struct error *error)
{
    const struct fake_world *world = cluster->world;
    if (fake_enter(cluster->world, CALL_POOL, error) < 0)
        return -1;
    bool full = world->pool_full && cluster->where == IN_NEW_CLUSTER;
    *info = (struct ceph_pool){
        .free_bytes = full ? 0 : world->pool_free, .full = full, .rbd_application = true};
    return fake_leave(cluster->world, CALL_POOL, 0, error);
}

int ceph_namespace_exists(struct ceph_cluster *cluster, const char *pool UNUSED,
                          const char *name_space UNUSED, bool *exists, struct error *error)
{
    if (fake_enter(cluster->world, CALL_NAMESPACE, error) < 0)
        return -1;
    *exists = true;
    return fake_leave(cluster->world, CALL_NAMESPACE, 0, error);
}

/* ---- images ---- */

int ceph_image(struct ceph_cluster *cluster, const struct ceph_image_name *name,
               struct ceph_image *image, struct error *error)
{
    int index = -1;
    if (fake_enter(cluster->world, CALL_IMAGE, error) < 0 ||
        find_or_fail(cluster, name, &index, error) < 0)
        return -1;
    const struct fake_image *at = &cluster->world->images[index];
    bool holes = (at->features & HOLES_FEATURES) == HOLES_FEATURES;
    static const struct fake_writes none;
    bool blank = *at->token && fake_writes_contain(&none, &at->content);
    uint64_t allocated = holes ? at->size / 2 : at->size;
    *image = (struct ceph_image){
        .id = fake_image_id(index),
        .size = at->size,
        .allocated = holes && blank ? 0 : allocated,
        .allocated_known = holes,
        .used = at->size / 2,
        .object_size = 4u << 20,
        .features = at->features,
        .children = at->children,
        .snapshots = at->children > 0,
        .owner_token = *at->token ? text_dup(at->token) : NULL,
    };
    return fake_leave(cluster->world, CALL_IMAGE, 0, error);
}

void ceph_image_clear(struct ceph_image *image)
{
    text_list_clear(&image->watchers);
    free(image->owner_token);
    free(image->id);
    *image = (struct ceph_image){0};
}

int ceph_image_watchers(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        struct text_list *watchers, struct error *error)
{
    int image = -1;
    if (fake_enter(cluster->world, CALL_WATCHERS, error) < 0 ||
        find_or_fail(cluster, name, &image, error) < 0)
        return -1;
    fake_watchers(cluster->world, image, watchers);
    return fake_leave(cluster->world, CALL_WATCHERS, 0, error);
}

/* In two steps, as the real one: a draft that is ours by its name, then the name it is to have. */
static int create(struct ceph_cluster *cluster, const struct ceph_image_spec *spec,
                  struct error *error)
{
    struct fake_world *world = cluster->world;
    AUTO_FREE char *draft = text_format("%s/.virt-pivot.%s", spec->name.pool, spec->token);
    AUTO_FREE char *name = full_name(&spec->name);
    int there = fake_image_find(world, cluster->where, name);
    if (there >= 0 && text_equal(world->images[there].token, spec->token))
        return 0;
    if (world->pool_full)
        return error_set(error, ERROR_NO_SPACE, "pool %s is full", spec->name.pool);
    int image = fake_image_find(world, cluster->where, draft);
    if (image < 0)
        image = fake_image_add(world, cluster->where, draft, spec->size);
    FAKE_SET(world->images[image].token, spec->token);
    world->images[image].features = OLD_FEATURES | HOLES_FEATURES;
    if (fake_enter(world, CALL_CREATE_RENAME, error) < 0)
        return -1;
    if (fake_image_find(world, cluster->where, name) >= 0) {
        world->images[image].exists = false;
        return error_set(error, ERROR_EXISTS, "image %s exists already", name);
    }
    FAKE_SET(world->images[image].name, name);
    return fake_leave(world, CALL_CREATE_RENAME, 0, error);
}

int ceph_image_create(struct ceph_cluster *cluster, const struct ceph_image_spec *spec,
                      struct error *error)
{
    if (fake_enter(cluster->world, CALL_CREATE, error) < 0)
        return -1;
    return fake_leave(cluster->world, CALL_CREATE, create(cluster, spec, error), error);
}

void fake_check_may_go(struct fake_world *world, int image, bool for_good)
{
    const struct fake_image *gone = &world->images[image];
    for (size_t i = 0; i < world->disk_count; i++) {
        const struct fake_disk *disk = &world->disks[i];
        if (world->persistent && fake_image_defined(world, world->defined, disk->target) == image)
            fake_violate(world, "%s goes, and the definition names it", gone->name);
        bool only_copy = fake_writes_contain(&gone->content, &disk->acknowledged);
        for (int other = 0; other < FAKE_IMAGES; other++)
            if (other != image && (world->images[other].exists || world->images[other].trashed))
                only_copy &=
                    !fake_writes_contain(&world->images[other].content, &disk->acknowledged);
        if (for_good && only_copy)
            fake_violate(world, "%s goes, and is the only copy of disk %s", gone->name,
                         disk->target);
    }
}

static int remove_one(struct fake_world *world, int image, unsigned patience, struct error *error)
{
    for (unsigned waited = 0; fake_watchers(world, image, NULL) > 0; waited++) {
        if (waited >= patience)
            return error_set(error, ERROR_BUSY, "image %s is still watched by 10.0.0.9:0/1",
                             world->images[image].name);
        fake_world_run(world, 1000);
    }
    fake_check_may_go(world, image, true);
    world->images[image].exists = false;
    return 0;
}

static int remove_owned(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        const char *token, unsigned patience, struct error *error)
{
    struct fake_world *world = cluster->world;
    AUTO_FREE char *draft = text_format("%s/.virt-pivot.%s", name->pool, token);
    AUTO_FREE char *full = full_name(name);
    const char *const names[] = {draft, full};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        int image = fake_image_find(world, cluster->where, names[i]);
        if (image >= 0 && text_equal(world->images[image].token, token) &&
            remove_one(world, image, patience, error) < 0)
            return -1;
    }
    return 0;
}

int ceph_image_remove_owned(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                            const char *token, unsigned patience, struct error *error)
{
    if (fake_enter(cluster->world, CALL_REMOVE, error) < 0)
        return -1;
    return fake_leave(cluster->world, CALL_REMOVE,
                      remove_owned(cluster, name, token, patience, error), error);
}

static int trash_owned(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                       const char *token, uint64_t seconds, char **id, struct error *error)
{
    struct fake_world *world = cluster->world;
    AUTO_FREE char *draft = text_format("%s/.virt-pivot.%s", name->pool, token);
    int half_made = fake_image_find(world, cluster->where, draft);
    int image = find(cluster, name);
    if (half_made >= 0)
        world->images[half_made].exists = false;
    if (image < 0 || !text_equal(world->images[image].token, token))
        return 0;
    if (fake_watchers(world, image, NULL) > 0)
        return error_set(error, ERROR_BUSY, "image %s is still watched by 10.0.0.9:0/1",
                         world->images[image].name);
    fake_check_may_go(world, image, false);
    world->images[image].exists = false;
    world->images[image].trashed = true;
    world->images[image].trashed_until = world->now + (int64_t)seconds * 1000;
    *id = text_format("5ca1ab1e%04x", (unsigned)image);
    return 0;
}

int ceph_image_trash_owned(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                           const char *token, uint64_t seconds, char **id, struct error *error)
{
    *id = NULL;
    if (fake_enter(cluster->world, CALL_TRASH, error) < 0)
        return -1;
    int result = fake_leave(cluster->world, CALL_TRASH,
                            trash_owned(cluster, name, token, seconds, id, error), error);
    if (result < 0)
        free(STEAL(*id));
    return result;
}

/* ---- features and limits ---- */

int ceph_image_enable_fast_diff(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                                uint64_t *enabled, struct error *error)
{
    int image = -1;
    if (fake_enter(cluster->world, CALL_FAST_DIFF, error) < 0 ||
        find_or_fail(cluster, name, &image, error) < 0)
        return -1;
    *enabled = HOLES_FEATURES & ~cluster->world->images[image].features;
    cluster->world->images[image].features |= HOLES_FEATURES;
    return fake_leave(cluster->world, CALL_FAST_DIFF, 0, error);
}

int ceph_image_disable_features(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                                uint64_t features, struct error *error)
{
    int image = -1;
    if (fake_enter(cluster->world, CALL_DISABLE, error) < 0 ||
        find_or_fail(cluster, name, &image, error) < 0)
        return -1;
    cluster->world->images[image].features &= ~features;
    return fake_leave(cluster->world, CALL_DISABLE, 0, error);
}

int ceph_image_set_qos(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                       const struct ceph_qos *qos, struct error *error)
{
    int image = -1;
    if (fake_enter(cluster->world, CALL_QOS, error) < 0 ||
        find_or_fail(cluster, name, &image, error) < 0)
        return -1;
    cluster->world->images[image].qos = *qos;
    cluster->world->images[image].qos_set = true;
    return fake_leave(cluster->world, CALL_QOS, 0, error);
}

/* ---- snapshots ---- */

static void capture(struct fake_world *world, int image, const char *snapshot)
{
    struct fake_image *at = &world->images[image];
    if (text_equal(at->snapshot, snapshot))
        return;
    at->captured = at->content;
    at->captured_right = false;
    for (size_t i = 0; i < world->disk_count; i++) {
        const struct fake_disk *disk = &world->disks[i];
        const char *end = strrchr(at->name, '-');
        bool is_its_target = end && text_equal(end + 1, disk->target);
        at->captured_right |= is_its_target && memcmp(&world->images[disk->source].content,
                                                      &at->content, sizeof(at->content)) == 0;
    }
    FAKE_SET(at->snapshot, snapshot);
}

/* Whoever has it open is asked, and one that was killed does not answer until it is forgotten. */
static int check_answers(const struct fake_world *world, int image, struct error *error)
{
    if (world->images[image].stale_watch_until <= world->now)
        return 0;
    return error_set(error, ERROR_BUSY, "image %s is open by a client that does not answer",
                     world->images[image].name);
}

int ceph_snapshot_create(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         const char *snapshot, struct error *error)
{
    int image = -1;
    if (fake_enter(cluster->world, CALL_SNAPSHOT, error) < 0 ||
        find_or_fail(cluster, name, &image, error) < 0 ||
        check_answers(cluster->world, image, error) < 0)
        return -1;
    capture(cluster->world, image, snapshot);
    return fake_leave(cluster->world, CALL_SNAPSHOT, 0, error);
}

int ceph_snapshot_remove(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         const char *snapshot, struct error *error)
{
    if (fake_enter(cluster->world, CALL_SNAPSHOT_REMOVE, error) < 0)
        return -1;
    int image = find(cluster, name);
    if (image >= 0 && check_answers(cluster->world, image, error) < 0)
        return -1;
    if (image >= 0 && text_equal(cluster->world->images[image].snapshot, snapshot))
        *cluster->world->images[image].snapshot = '\0';
    return fake_leave(cluster->world, CALL_SNAPSHOT_REMOVE, 0, error);
}

int ceph_snapshot_exists(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         const char *snapshot, bool *exists, struct error *error)
{
    int image = -1;
    if (fake_enter(cluster->world, CALL_SNAPSHOT_LOOK, error) < 0 ||
        find_or_fail(cluster, name, &image, error) < 0)
        return -1;
    *exists = text_equal(cluster->world->images[image].snapshot, snapshot);
    return fake_leave(cluster->world, CALL_SNAPSHOT_LOOK, 0, error);
}

struct ceph_captures {
    const struct ceph_capture_of *of;
    size_t count;
};

static void set_opened(const struct ceph_capture_of *of, size_t count, bool opened)
{
    for (size_t i = 0; i < count; i++) {
        int image = find(of[i].cluster, &of[i].name);
        if (image >= 0)
            of[i].cluster->world->images[image].opened_for_snapshot = opened;
    }
}

int ceph_captures_open(const struct ceph_capture_of *of, size_t count,
                       struct ceph_captures **captures, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        int image = -1;
        if (fake_enter(of[i].cluster->world, CALL_SNAPSHOT_LOOK, error) < 0 ||
            find_or_fail(of[i].cluster, &of[i].name, &image, error) < 0 ||
            check_answers(of[i].cluster->world, image, error) < 0 ||
            fake_leave(of[i].cluster->world, CALL_SNAPSHOT_LOOK, 0, error) < 0) {
            set_opened(of, i, false);
            return -1;
        }
        of[i].cluster->world->images[image].opened_for_snapshot = true;
    }
    *captures = NEW(struct ceph_captures);
    **captures = (struct ceph_captures){of, count};
    return 0;
}

int ceph_captures_make(struct ceph_captures *captures, unsigned milliseconds UNUSED,
                       struct error *error)
{
    for (size_t i = 0; i < captures->count; i++) {
        const struct ceph_capture_of *of = &captures->of[i];
        if (ceph_snapshot_create(of->cluster, &of->name, of->snapshot, error) < 0)
            return -1;
    }
    return 0;
}

void ceph_captures_close(struct ceph_captures *captures)
{
    set_opened(captures->of, captures->count, false);
    free(captures);
}

/* ---- images that virt-pivot did not make ---- */

char *fake_image_id(int image)
{
    return text_format("5ca1ab1e%04x", (unsigned)image);
}

static int find_trashed(const struct ceph_cluster *cluster, const char *id)
{
    for (int image = 0; image < FAKE_IMAGES; image++) {
        AUTO_FREE char *own = fake_image_id(image);
        const struct fake_image *at = &cluster->world->images[image];
        if (at->trashed && at->where == cluster->where && text_equal(own, id))
            return image;
    }
    return -1;
}

static int check_unwatched(struct ceph_cluster *cluster, int image, struct error *error)
{
    if (fake_watchers(cluster->world, image, NULL) == 0)
        return 0;
    return error_set(error, ERROR_BUSY, "image %s is still watched by 10.0.0.9:0/1",
                     cluster->world->images[image].name);
}

int ceph_image_id(struct ceph_cluster *cluster, const struct ceph_image_name *name, char **id,
                  struct error *error)
{
    int image = -1;
    if (fake_enter(cluster->world, CALL_SOURCE_LOOK, error) < 0 ||
        find_or_fail(cluster, name, &image, error) < 0 ||
        fake_leave(cluster->world, CALL_SOURCE_LOOK, 0, error) < 0)
        return -1;
    *id = fake_image_id(image);
    return 0;
}

int ceph_image_is_trashed(struct ceph_cluster *cluster, const struct ceph_image_name *name UNUSED,
                          const char *id, bool *trashed, struct error *error)
{
    if (fake_enter(cluster->world, CALL_SOURCE_LOOK, error) < 0)
        return -1;
    *trashed = find_trashed(cluster, id) >= 0;
    return fake_leave(cluster->world, CALL_SOURCE_LOOK, 0, error);
}

/* The image of this name with this id, or -1. */
static int find_by_id(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                      const char *id)
{
    int image = find(cluster, name);
    AUTO_FREE char *found = image < 0 ? NULL : fake_image_id(image);
    return text_equal(found, id) ? image : -1;
}

static int trash_source(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        const char *id, uint64_t seconds, struct error *error)
{
    int image = find_by_id(cluster, name, id);
    struct fake_world *world = cluster->world;
    if (find_trashed(cluster, id) >= 0)
        return 0;
    if (image < 0)
        return error_set(error, ERROR_NOT_FOUND, "there is no image %s", name->image);
    if (check_unwatched(cluster, image, error) < 0)
        return -1;
    fake_check_may_go(world, image, false);
    world->images[image].exists = false;
    world->images[image].trashed = true;
    world->images[image].trashed_until = world->now + (int64_t)seconds * 1000;
    return 0;
}

int ceph_image_trash(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                     const char *id, uint64_t seconds, struct error *error)
{
    if (fake_enter(cluster->world, CALL_SOURCE_TRASH, error) < 0)
        return -1;
    return fake_leave(cluster->world, CALL_SOURCE_TRASH,
                      trash_source(cluster, name, id, seconds, error), error);
}

static int restore_source(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                          const char *id, struct error *error)
{
    int image = find_trashed(cluster, id);
    if (image < 0 && find_by_id(cluster, name, id) >= 0)
        return 0;
    if (image < 0)
        return error_set(error, ERROR_NOT_FOUND, "the trash does not hold %s", id);
    if (find(cluster, name) >= 0)
        return error_set(error, ERROR_EXISTS, "image %s exists already", name->image);
    if (cluster->world->images[image].torn)
        fake_violate(cluster->world, "%s has lost objects, and is restored", name->image);
    AUTO_FREE char *full = full_name(name);
    FAKE_SET(cluster->world->images[image].name, full);
    cluster->world->images[image].trashed = false;
    cluster->world->images[image].exists = true;
    return 0;
}

int ceph_image_restore(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                       const char *id, struct error *error)
{
    if (fake_enter(cluster->world, CALL_SOURCE_RESTORE, error) < 0)
        return -1;
    return fake_leave(cluster->world, CALL_SOURCE_RESTORE, restore_source(cluster, name, id, error),
                      error);
}

static int remove_source(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         const char *id, struct error *error)
{
    int trashed = find_trashed(cluster, id);
    int image = trashed < 0 ? find_by_id(cluster, name, id) : trashed;
    if (image < 0)
        return 0;
    if (check_unwatched(cluster, image, error) < 0)
        return -1;
    fake_check_may_go(cluster->world, image, true);
    cluster->world->images[image].exists = false;
    cluster->world->images[image].trashed = cluster->world->images[image].torn = true;
    if (fake_enter(cluster->world, CALL_SOURCE_HALF, error) < 0) {
        error->code = error->code == ERROR_BUSY ? ERROR_FAILED : error->code; /* it was not */
        return -1;
    }
    cluster->world->images[image].trashed = false;
    return fake_leave(cluster->world, CALL_SOURCE_HALF, 0, error);
}

int ceph_image_remove(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                      const char *id, struct error *error)
{
    if (fake_enter(cluster->world, CALL_SOURCE_REMOVE, error) < 0)
        return -1;
    return fake_leave(cluster->world, CALL_SOURCE_REMOVE, remove_source(cluster, name, id, error),
                      error);
}

/* No source of the fake world has any. */
int ceph_snapshot_names(struct ceph_cluster *cluster UNUSED,
                        const struct ceph_image_name *name UNUSED, struct text_list *names UNUSED,
                        struct error *error UNUSED)
{
    return 0;
}

int ceph_snapshot_rename(struct ceph_cluster *cluster UNUSED,
                         const struct ceph_image_name *name UNUSED, const char *from UNUSED,
                         const char *to UNUSED, struct error *error UNUSED)
{
    return 0;
}
