/* RBD's live migration, in the fake world. From the moment on in which it is prepared the target
 * shows all data, wherever they are. */
#include "fake_world.h"

#include "base/text.h"

#define EXECUTE_PIECES 2
#define EXECUTE_MILLISECONDS 500

char *ceph_fsid(struct ceph_cluster *cluster)
{
    return text_dup(cluster->where == IN_OLD_CLUSTER ? "old" : "new");
}

/* By their names; -1: it is not there. */
static int target_of(const struct ceph_cluster *cluster, const struct ceph_migration *of)
{
    int target = fake_ceph_find(cluster, &of->target);
    return target >= 0 && text_equal(cluster->world->images[target].token, of->token) ? target : -1;
}

static int draft_of(const struct ceph_cluster *cluster, const struct ceph_migration *of)
{
    AUTO_FREE char *name = text_format("%s/.virt-pivot.%s", of->target.pool, of->token);
    return fake_image_find(cluster->world, cluster->where, name);
}

/* By its id, wherever it is. */
static int source_of(const struct ceph_cluster *cluster, const struct ceph_migration *of)
{
    for (int image = 0; image < FAKE_IMAGES; image++) {
        const struct fake_image *at = &cluster->world->images[image];
        AUTO_FREE char *id = fake_image_id(image);
        if ((at->exists || at->trashed) && at->where == cluster->where &&
            text_equal(id, of->source_id))
            return image;
    }
    return -1;
}

static int look(struct ceph_cluster *cluster, const struct ceph_migration *of,
                enum ceph_migration_state *state, struct error *error)
{
    int target = target_of(cluster, of), source = source_of(cluster, of);
    if (target < 0)
        return error_set(error, ERROR_NOT_FOUND, "there is no image %s", of->target.image);
    const struct fake_image *at = &cluster->world->images[target];
    if (at->from)
        *state = at->executed ? CEPH_MIGRATION_EXECUTED : CEPH_MIGRATION_PREPARED;
    else
        *state = source >= 0 ? CEPH_MIGRATION_COMMITTING : CEPH_MIGRATION_COMMITTED;
    return 0;
}

int ceph_migration_look(struct ceph_cluster *cluster, const struct ceph_migration *of,
                        enum ceph_migration_state *state, struct error *error)
{
    return fake_enter(cluster->world, CALL_MIGRATION_LOOK, error) < 0 ||
                   look(cluster, of, state, error) < 0
               ? -1
               : fake_leave(cluster->world, CALL_MIGRATION_LOOK, 0, error);
}

static int check(struct ceph_cluster *cluster, const struct ceph_migration *of, struct error *error)
{
    int source = source_of(cluster, of);
    if (source < 0 || source != fake_ceph_find(cluster, &of->source))
        return error_set(error, ERROR_FAILED, "%s is another image by now", of->source.image);
    return fake_watchers(cluster->world, source, NULL)
               ? error_set(error, ERROR_BUSY, "image %s is watched", of->source.image)
               : 0;
}

int ceph_migration_check(struct ceph_cluster *cluster, const struct ceph_migration *of,
                         struct error *error)
{
    return fake_enter(cluster->world, CALL_MIGRATION_LOOK, error) < 0 ||
                   check(cluster, of, error) < 0
               ? -1
               : fake_leave(cluster->world, CALL_MIGRATION_LOOK, 0, error);
}

/* In three steps: the source leaves its name, the target is there as a draft, and gets its name. */
static int prepare(struct ceph_cluster *cluster, const struct ceph_migration *of,
                   struct error *error)
{
    struct fake_world *world = cluster->world;
    AUTO_FREE char *draft = text_format("%s/.virt-pivot.%s", of->target.pool, of->token);
    AUTO_FREE char *name = text_format("%s/%s", of->target.pool, of->target.image);
    if (target_of(cluster, of) >= 0)
        return 0;
    if (fake_image_find(world, cluster->where, name) >= 0)
        return error_set(error, ERROR_EXISTS, "image %s exists already", name);
    if (check(cluster, of, error) < 0)
        return -1;
    int source = source_of(cluster, of);
    world->images[source].exists = false;
    world->images[source].trashed = world->images[source].migrated = true;
    if (fake_enter(world, CALL_MIGRATION_HALF, error) < 0)
        return -1;
    int target = fake_image_add(world, cluster->where, draft, world->images[source].size);
    world->images[target].content = world->images[source].content;
    world->images[target].from = source + 1;
    FAKE_SET(world->images[target].token, of->token);
    if (fake_leave(world, CALL_MIGRATION_HALF, 0, error) < 0 ||
        fake_enter(world, CALL_CREATE_RENAME, error) < 0)
        return -1;
    FAKE_SET(world->images[target].name, name);
    return fake_leave(world, CALL_CREATE_RENAME, 0, error);
}

int ceph_migration_prepare(struct ceph_cluster *cluster, const struct ceph_migration *of,
                           const struct ceph_image_spec *spec, struct error *error)
{
    if (!text_equal(spec->token, of->token) || !text_equal(spec->name.image, of->target.image))
        fake_violate(cluster->world, "the migration's target is called in two ways");
    if (fake_enter(cluster->world, CALL_MIGRATION_PREPARE, error) < 0)
        return -1;
    return fake_leave(cluster->world, CALL_MIGRATION_PREPARE, prepare(cluster, of, error), error);
}

static int remove_target(struct ceph_cluster *cluster, int target, unsigned patience,
                         struct error *error)
{
    struct fake_world *world = cluster->world;
    for (unsigned waited = 0; fake_watchers(world, target, NULL) > 0; waited++) {
        if (waited >= patience)
            return error_set(error, ERROR_BUSY, "image %s is still watched by 10.0.0.9:0/1",
                             world->images[target].name);
        fake_world_run(world, 1000);
    }
    fake_check_may_go(world, target, true);
    world->images[target].exists = false;
    return 0;
}

static int take_back(struct ceph_cluster *cluster, const struct ceph_migration *of,
                     unsigned patience, struct error *error)
{
    struct fake_world *world = cluster->world;
    int target = target_of(cluster, of), draft = draft_of(cluster, of);
    target = target < 0 ? draft : target;
    if ((target >= 0 && remove_target(cluster, target, patience, error) < 0) ||
        fake_enter(world, CALL_MIGRATION_HALF, error) < 0)
        return -1;
    int source = source_of(cluster, of);
    if (source < 0)
        return error_set(error, ERROR_NOT_FOUND, "%s is not there", of->source.image);
    if (world->images[source].trashed && fake_ceph_find(cluster, &of->source) >= 0)
        return error_set(error, ERROR_EXISTS, "image %s exists already", of->source.image);
    world->images[source].exists = true;
    world->images[source].trashed = world->images[source].migrated = false;
    return fake_leave(world, CALL_MIGRATION_HALF, 0, error);
}

int ceph_migration_abort(struct ceph_cluster *cluster, const struct ceph_migration *of,
                         unsigned patience, struct error *error)
{
    if (fake_enter(cluster->world, CALL_MIGRATION_ABORT, error) < 0)
        return -1;
    return fake_leave(cluster->world, CALL_MIGRATION_ABORT, take_back(cluster, of, patience, error),
                      error);
}

static int execute(struct ceph_cluster *cluster, const struct ceph_migration *of,
                   void (*progress)(void *opaque, uint64_t done, uint64_t total), void *opaque,
                   struct error *error)
{
    enum ceph_migration_state state = CEPH_MIGRATION_PREPARED;
    if (look(cluster, of, &state, error) < 0)
        return -1;
    for (unsigned i = 1; state == CEPH_MIGRATION_PREPARED && i <= EXECUTE_PIECES; i++) {
        fake_world_run(cluster->world, EXECUTE_MILLISECONDS);
        progress(opaque, i, EXECUTE_PIECES);
    }
    cluster->world->images[target_of(cluster, of)].executed = true;
    return 0;
}

int ceph_migration_execute(struct ceph_cluster *cluster, const struct ceph_migration *of,
                           void (*progress)(void *opaque, uint64_t done, uint64_t total),
                           void *opaque, struct error *error)
{
    if (fake_enter(cluster->world, CALL_MIGRATION_EXECUTE, error) < 0)
        return -1;
    return fake_leave(cluster->world, CALL_MIGRATION_EXECUTE,
                      execute(cluster, of, progress, opaque, error), error);
}

static int commit(struct ceph_cluster *cluster, const struct ceph_migration *of,
                  struct error *error)
{
    struct fake_world *world = cluster->world;
    enum ceph_migration_state state = CEPH_MIGRATION_PREPARED;
    if (look(cluster, of, &state, error) < 0)
        return -1;
    if (state == CEPH_MIGRATION_PREPARED)
        return error_set(error, ERROR_FAILED, "not all has been brought over");
    world->images[target_of(cluster, of)].from = 0;
    if (fake_enter(world, CALL_MIGRATION_HALF, error) < 0)
        return -1;
    int source = source_of(cluster, of);
    if (source >= 0) {
        fake_check_may_go(world, source, true);
        world->images[source].trashed = false;
    }
    return fake_leave(world, CALL_MIGRATION_HALF, 0, error);
}

int ceph_migration_commit(struct ceph_cluster *cluster, const struct ceph_migration *of,
                          struct error *error)
{
    if (fake_enter(cluster->world, CALL_MIGRATION_COMMIT, error) < 0)
        return -1;
    return fake_leave(cluster->world, CALL_MIGRATION_COMMIT, commit(cluster, of, error), error);
}

int ceph_image_written_since(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                             const char *snapshot, bool *written, struct error *error)
{
    if (fake_enter(cluster->world, CALL_SNAPSHOT_LOOK, error) < 0)
        return -1;
    int image = fake_ceph_find(cluster, name);
    if (image < 0 || !text_equal(cluster->world->images[image].snapshot, snapshot))
        return error_set(error, ERROR_NOT_FOUND, "there is no snapshot %s", snapshot);
    const struct fake_image *at = &cluster->world->images[image];
    *written = memcmp(&at->captured, &at->content, sizeof(at->content)) != 0;
    return fake_leave(cluster->world, CALL_SNAPSHOT_LOOK, 0, error);
}
