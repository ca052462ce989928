/* RBD's live migration of an image into another pool of its cluster.
 *
 * librbd (api/Migration.cc) puts the source into its pool's trash, as the source of a migration:
 * "rbd trash rm", "purge" and "restore" refuse it then, and so does every open for writing. It
 * writes into the source's header where it goes, makes the target, and writes into the target's
 * header where that comes from. Who dies in between leaves any part of that, which librbd's own
 * abort mostly cannot take back (seen on 16.2.15: the target is there without its header's entry,
 * or half; the source is in the trash without its own). So it is taken back here, step by step, by
 * the source's id and by a name of the target that is ours. Nor would librbd's abort be right for a
 * target that somebody has written to: it brings writes back to the source, and forgets discards
 * (16.2.15). */
#include "base/crash.h"
#include "ceph/image_create.h"
#include "ceph/image_names.h"
#include "ceph/image_snapshot.h"

/* What goes where, opened. */
struct migrating {
    struct ceph_cluster *cluster;
    const struct ceph_migration *of;
    rados_ioctx_t from, to; /* the pools */
    char *draft_name;
    char *source, *target; /* their names, for messages */
};

static void migrating_clear(struct migrating *migrating)
{
    cleanup_pool(&migrating->from);
    cleanup_pool(&migrating->to);
    free(migrating->draft_name);
    free(migrating->source);
    free(migrating->target);
}
#define AUTO_MIGRATING CLEANUP(migrating_clear)

static int migrating_open(struct ceph_cluster *cluster, const struct ceph_migration *of,
                          struct migrating *migrating, struct error *error)
{
    *migrating = (struct migrating){.cluster = cluster,
                                    .of = of,
                                    .draft_name = ceph_draft_name(of->token),
                                    .source = ceph_image_text(&of->source),
                                    .target = ceph_image_text(&of->target)};
    return ceph_token_check(of->token, error) < 0 ||
                   ceph_pool_open(cluster, of->source.pool, of->source.name_space, &migrating->from,
                                  error) < 0 ||
                   ceph_pool_open(cluster, of->target.pool, of->target.name_space, &migrating->to,
                                  error) < 0
               ? -1
               : 0;
}

static struct ceph_image_name draft_of(const struct migrating *migrating)
{
    const struct ceph_image_name *target = &migrating->of->target;
    return (struct ceph_image_name){target->pool, target->name_space, migrating->draft_name};
}

static int migrating_failed(const struct migrating *migrating, int result, const char *what,
                            struct error *error)
{
    ceph_failure(error, migrating->cluster, migrating->of->source.pool, result,
                 "migration of image %s to %s: %s", migrating->source, migrating->target, what);
    if (!error->hint)
        error_hint(error, "'rbd status %s' shows who uses the one, 'rbd status %s' the other",
                   migrating->source, migrating->target);
    return -1;
}

/* ---- how far it is ---- */

static int is_in_trash(const struct migrating *migrating, bool *trashed)
{
    rbd_trash_image_info_t info;
    int result = rbd_trash_get(migrating->from, migrating->of->source_id, &info);
    *trashed = result == 0;
    if (result == 0)
        rbd_trash_get_cleanup(&info);
    return result == -ENOENT ? 0 : result;
}

/* What the target's header says. -EINVAL: nothing of a migration, or of another one. */
static int read_status(const struct migrating *migrating, rbd_image_migration_state_t *state)
{
    rbd_image_migration_status_t status = {0};
    int result =
        rbd_migration_status(migrating->to, migrating->of->target.image, &status, sizeof(status));
    if (result < 0)
        return result;
    bool ours = text_equal(status.source_image_id, migrating->of->source_id);
    *state = status.state;
    rbd_migration_status_cleanup(&status);
    return ours ? 0 : -EINVAL;
}

static int look(const struct migrating *migrating, enum ceph_migration_state *state,
                struct error *error)
{
    rbd_image_migration_state_t found = RBD_IMAGE_MIGRATION_STATE_UNKNOWN;
    bool trashed = false;
    int result = read_status(migrating, &found);
    if (result == 0) {
        *state = found == RBD_IMAGE_MIGRATION_STATE_EXECUTED ? CEPH_MIGRATION_EXECUTED
                                                             : CEPH_MIGRATION_PREPARED;
        return 0;
    }
    if (result == -EINVAL)
        result = is_in_trash(migrating, &trashed);
    if (result < 0)
        return migrating_failed(migrating, result, "how far it is cannot be read", error);
    *state = trashed ? CEPH_MIGRATION_COMMITTING : CEPH_MIGRATION_COMMITTED;
    return 0;
}

int ceph_migration_look(struct ceph_cluster *cluster, const struct ceph_migration *of,
                        enum ceph_migration_state *state, struct error *error)
{
    AUTO_MIGRATING struct migrating migrating;
    return migrating_open(cluster, of, &migrating, error) < 0 ? -1 : look(&migrating, state, error);
}

/* ---- preparing ---- */

static int wrong_source(const struct migrating *migrating, enum error_code code, const char *what,
                        struct error *error)
{
    return error_set(error, code, "cluster '%s': image %s cannot be migrated: %s",
                     migrating->cluster->name, migrating->source, what);
}

/* librbd looks at the watchers as well, in the moment in which the source leaves its name. */
static int check_unused(const struct migrating *migrating, rbd_image_t image, struct error *error)
{
    CLEANUP(text_list_clear) struct text_list watchers = {0};
    int result = ceph_watchers_read(migrating->cluster, image, &watchers, NULL);
    if (result < 0)
        return migrating_failed(migrating, result, "who uses it cannot be read", error);
    return watchers.count ? ceph_busy(migrating->cluster, &migrating->of->source, &watchers, error)
                          : 0;
}

/* Snapshots of ours are of a move before this one, which needs them. */
static int check_bare(const struct migrating *migrating, rbd_image_t image, struct error *error)
{
    rbd_snap_info_t *snapshots = NULL;
    size_t count = 0;
    int result = ceph_snapshots_read(image, &snapshots, &count);
    if (result < 0)
        return migrating_failed(migrating, result, "its snapshots cannot be read", error);
    ceph_snapshots_free(snapshots, count);
    if (count == 0)
        return 0;
    wrong_source(migrating, ERROR_FAILED, "it has snapshots", error);
    return error_hint(error,
                      "'rbd snap ls --all %s' lists them; one that begins with "
                      "'" CEPH_SNAPSHOT_PREFIX "' goes when 'virt-pivot verify' has proven "
                      "the move before",
                      migrating->source);
}

int ceph_migration_check(struct ceph_cluster *cluster, const struct ceph_migration *of,
                         struct error *error)
{
    AUTO_MIGRATING struct migrating migrating;
    AUTO_OPEN struct ceph_open open = {0};
    char id[CEPH_MAX_ID] = "";
    if (migrating_open(cluster, of, &migrating, error) < 0 ||
        ceph_image_open(cluster, &of->source, true, &open, error) < 0)
        return -1;
    int result = rbd_get_id(open.image, id, sizeof(id));
    if (result < 0)
        return migrating_failed(&migrating, result, "its id cannot be read", error);
    if (!text_equal(id, of->source_id))
        return wrong_source(&migrating, ERROR_FAILED, "it is another image by now", error);
    return check_bare(&migrating, open.image, error) < 0
               ? -1
               : check_unused(&migrating, open.image, error);
}

static int prepare_draft(const struct migrating *migrating, const struct ceph_image_spec *spec,
                         struct error *error)
{
    rbd_image_options_t options = NULL;
    rbd_image_options_create(&options);
    int result = ceph_image_set_options(spec, options);
    if (result == 0)
        result = ceph_names_prepare_trash(migrating->from);
    if (result == 0)
        result = ceph_names_prepare_trash(migrating->to);
    if (result == 0)
        result = CRASH_AROUND(rbd_migration_prepare(migrating->from, migrating->of->source.image,
                                                    migrating->to, migrating->draft_name, options));
    rbd_image_options_destroy(options);
    return result < 0 ? migrating_failed(migrating, result, "it cannot be prepared", error) : 0;
}

/* Of the source's metadata, which come along, no limits count: the tier has its own. */
static int make_ours(const struct migrating *migrating, const struct ceph_image_spec *spec,
                     struct error *error)
{
    static const struct ceph_qos none = {0};
    const struct ceph_image_name draft = draft_of(migrating);
    return ceph_image_write_metadata(migrating->cluster, &draft, spec, error) < 0
               ? -1
               : ceph_image_set_qos(migrating->cluster, &draft, &none, error);
}

static int publish(const struct migrating *migrating, struct error *error)
{
    int result =
        CRASH_AROUND(rbd_rename(migrating->to, migrating->draft_name, migrating->of->target.image));
    if (result == -EEXIST)
        return error_set(error, ERROR_EXISTS,
                         "cluster '%s': image %s exists already; it was not touched",
                         migrating->cluster->name, migrating->target);
    return result < 0
               ? migrating_failed(migrating, result, "the target cannot be given its name", error)
               : 0;
}

/* Whether an earlier call has come to its end, as the image of that name says. */
static int is_prepared(const struct migrating *migrating, bool *prepared, struct error *error)
{
    AUTO_CLAIM struct ceph_claim claim = {0};
    if (ceph_claim_read(migrating->cluster, &migrating->of->target, &claim, error) < 0)
        return -1;
    *prepared = claim.exists && text_equal(claim.token, migrating->of->token);
    return claim.exists && !*prepared
               ? error_set(error, ERROR_EXISTS,
                           "cluster '%s': image %s exists already; it was not touched",
                           migrating->cluster->name, migrating->target)
               : 0;
}

int ceph_migration_prepare(struct ceph_cluster *cluster, const struct ceph_migration *of,
                           const struct ceph_image_spec *spec, struct error *error)
{
    AUTO_MIGRATING struct migrating migrating;
    bool prepared = false;
    if (ceph_image_spec_check(spec, error) < 0 ||
        migrating_open(cluster, of, &migrating, error) < 0)
        return -1;
    int result = ceph_names_settle(migrating.to, migrating.draft_name, of->target.image);
    if (result < 0)
        return migrating_failed(&migrating, result, "the target cannot be looked at", error);
    if (is_prepared(&migrating, &prepared, error) < 0)
        return -1;
    if (prepared)
        return 0;
    return ceph_migration_check(cluster, of, error) < 0 ||
                   prepare_draft(&migrating, spec, error) < 0 ||
                   make_ours(&migrating, spec, error) < 0
               ? -1
               : publish(&migrating, error);
}

/* ---- taking it back ---- */

/* Takes the migration out of an image's header, with the feature that says so; success when there
 * is none, no header, or one that nothing is written in yet, or any more (-ENXIO). */
static int forget_migration(rados_ioctx_t pool, const char *id)
{
    AUTO_FREE char *header = text_format("rbd_header.%s", id);
    char answer[16];
    int result = CRASH_AROUND(
        rados_exec(pool, header, "rbd", "migration_remove", NULL, 0, answer, sizeof(answer)));
    return result == -ENOENT || result == -ENXIO || result > 0 ? 0 : result;
}

static int forget_draft(const struct migrating *migrating)
{
    AUTO_FREE char *id = NULL;
    int result = ceph_names_lead_to(migrating->to, migrating->draft_name, &id);
    return result < 0 || !id ? result : forget_migration(migrating->to, id);
}

/* By its id, wherever it is. */
static int is_migrating(const struct migrating *migrating, bool *is)
{
    AUTO_IMAGE rbd_image_t image = NULL;
    uint64_t features = 0;
    int result = rbd_open_by_id_read_only(migrating->from, migrating->of->source_id, &image, NULL);
    if (result < 0) {
        image = NULL;
        return result;
    }
    result = rbd_get_features(image, &features);
    *is = features & RBD_FEATURE_MIGRATING;
    return result;
}

/* The source, from whichever half of the way. */
static int bring_back(const struct migrating *migrating, struct error *error)
{
    const char *id = migrating->of->source_id;
    bool is = false;
    int result = is_migrating(migrating, &is);
    if (result == 0 && is)
        result = forget_migration(migrating->from, id);
    if (result == 0)
        result = ceph_names_own_trash(migrating->from, id);
    if (result < 0)
        return migrating_failed(migrating, result, "the source cannot be brought back", error);
    return ceph_image_restore(migrating->cluster, &migrating->of->source, id, error);
}

int ceph_migration_abort(struct ceph_cluster *cluster, const struct ceph_migration *of,
                         unsigned patience, struct error *error)
{
    AUTO_MIGRATING struct migrating migrating;
    if (migrating_open(cluster, of, &migrating, error) < 0 ||
        ceph_image_withdraw_owned(cluster, &of->target, of->token, patience, error) < 0)
        return -1;
    int result = forget_draft(&migrating);
    if (result < 0)
        return migrating_failed(&migrating, result, "the target cannot be freed of it", error);
    return ceph_image_remove_owned(cluster, &of->target, of->token, patience, error) < 0
               ? -1
               : bring_back(&migrating, error);
}

static int note_extent(uint64_t offset UNUSED, size_t length UNUSED, int exists UNUSED,
                       void *written)
{
    *(bool *)written = true;
    return 0;
}

int ceph_image_written_since(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                             const char *snapshot, bool *written, struct error *error)
{
    AUTO_OPEN struct ceph_open open = {0};
    uint64_t size = 0;
    *written = false;
    if (ceph_image_open(cluster, name, true, &open, error) < 0)
        return -1;
    int result = rbd_get_size(open.image, &size);
    if (result == 0)
        result = rbd_diff_iterate2(open.image, snapshot, 0, size, 1, 1, note_extent, written);
    if (result >= 0)
        return 0;
    AUTO_FREE char *text = ceph_image_text(name);
    return ceph_failure(error, cluster, name->pool, result,
                        "image %s: what was written since its snapshot '%s' cannot be read", text,
                        snapshot);
}

/* ---- to its end ---- */

struct looking_on {
    void (*progress)(void *opaque, uint64_t done, uint64_t total);
    void *opaque;
};

/* librbd goes on whatever is returned. */
static int tell_progress(uint64_t done, uint64_t total, void *who)
{
    const struct looking_on *looking_on = who;
    looking_on->progress(looking_on->opaque, done, total);
    return 0;
}

int ceph_migration_execute(struct ceph_cluster *cluster, const struct ceph_migration *of,
                           void (*progress)(void *opaque, uint64_t done, uint64_t total),
                           void *opaque, struct error *error)
{
    AUTO_MIGRATING struct migrating migrating;
    enum ceph_migration_state state;
    struct looking_on looking_on = {progress, opaque};
    if (migrating_open(cluster, of, &migrating, error) < 0 || look(&migrating, &state, error) < 0)
        return -1;
    if (state != CEPH_MIGRATION_PREPARED)
        return 0;
    int result = CRASH_AROUND(rbd_migration_execute_with_progress(migrating.to, of->target.image,
                                                                  tell_progress, &looking_on));
    return result < 0
               ? migrating_failed(&migrating, result, "its data cannot be brought over", error)
               : 0;
}

/* The target does without the source, which is still in the trash. */
static int remove_source(const struct migrating *migrating, struct error *error)
{
    const char *id = migrating->of->source_id;
    bool trashed = false;
    int result = is_in_trash(migrating, &trashed);
    if (result == 0 && trashed)
        result = forget_migration(migrating->from, id);
    if (result == 0 && trashed)
        result = ceph_names_own_trash(migrating->from, id);
    if (result == 0 && trashed)
        result = CRASH_AROUND(rbd_trash_remove(migrating->from, id, true));
    return result < 0 && result != -ENOENT
               ? migrating_failed(migrating, result, "the source cannot be removed", error)
               : 0;
}

int ceph_migration_commit(struct ceph_cluster *cluster, const struct ceph_migration *of,
                          struct error *error)
{
    AUTO_MIGRATING struct migrating migrating;
    enum ceph_migration_state state;
    if (migrating_open(cluster, of, &migrating, error) < 0 || look(&migrating, &state, error) < 0)
        return -1;
    if (state == CEPH_MIGRATION_PREPARED)
        return error_set(error, ERROR_FAILED,
                         "cluster '%s': not all of image %s has been brought over to %s",
                         cluster->name, migrating.source, migrating.target);
    int result = state == CEPH_MIGRATION_EXECUTED
                     ? CRASH_AROUND(rbd_migration_commit(migrating.to, of->target.image))
                     : 0;
    return result < 0 ? migrating_failed(&migrating, result, "it cannot be committed", error)
                      : remove_source(&migrating, error);
}
