/* ceph.h, in the fake world. */
#include "fake_world.h"

#include "base/text.h"

#define HOLES_FEATURES (4ull | 8ull | 16ull) /* exclusive-lock, object-map, fast-diff */

struct ceph_cluster {
    struct fake_world *world;
    enum fake_where where;
};

static char *full_name(const struct ceph_image_name *name)
{
    return text_format("%s%s%s/%s", name->pool, name->name_space ? "/" : "",
                       name->name_space ? name->name_space : "", name->image);
}

static int find(const struct ceph_cluster *cluster, const struct ceph_image_name *name)
{
    AUTO_FREE char *full = full_name(name);
    return fake_image_find(cluster->world, cluster->where, full);
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

int ceph_connect(const struct ceph_login *login, struct ceph_cluster **cluster, struct error *error)
{
    void *world = NULL;
    if (!login->key || sscanf(login->key, "%p", &world) != 1)
        return error_set(error, ERROR_DENIED, "cluster '%s': wrong key", login->cluster);
    if (fake_enter(world, CALL_CONNECT, error) < 0)
        return -1;
    *cluster = NEW(struct ceph_cluster);
    (*cluster)->world = world;
    (*cluster)->where = text_equal(login->cluster, "old") ? IN_OLD_CLUSTER : IN_NEW_CLUSTER;
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
    *image = (struct ceph_image){
        .size = at->size,
        .allocated = holes ? at->size / 2 : at->size,
        .allocated_known = holes,
        .used = at->size / 2,
        .object_size = 4u << 20,
        .features = at->features,
        .owner_token = *at->token ? text_dup(at->token) : NULL,
    };
    return fake_leave(cluster->world, CALL_IMAGE, 0, error);
}

void ceph_image_clear(struct ceph_image *image)
{
    text_list_clear(&image->watchers);
    free(image->owner_token);
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

static int remove_one(struct fake_world *world, int image, unsigned patience, struct error *error)
{
    for (unsigned waited = 0; fake_watchers(world, image, NULL) > 0; waited++) {
        if (waited >= patience)
            return error_set(error, ERROR_BUSY, "image %s is still watched by 10.0.0.9:0/1",
                             world->images[image].name);
        fake_world_run(world, 1000);
    }
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
