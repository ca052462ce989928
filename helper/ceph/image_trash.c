#include "ceph/image_trash.h"

#include "base/crash.h"
#include "ceph/image_create.h"
#include "ceph/image_names.h"
#include "ceph/image_snapshot.h"

int ceph_trashing_failed(const struct ceph_trashing *trashing, int result, const char *what,
                         struct error *error)
{
    ceph_failure(error, trashing->cluster, trashing->name->pool, result, "image %s %s",
                 trashing->text, what);
    if (!error->hint)
        error_hint(error, "'rbd status %s' and 'rbd snap ls --all %s' show what holds it",
                   trashing->text, trashing->text);
    return -1;
}

/* What an open image is to us. */
struct look {
    bool meant; /* it is the one that goes */
    char id[CEPH_MAX_ID];
    struct text_list watchers;
};
static void look_clear(struct look *look)
{
    text_list_clear(&look->watchers);
}
#define AUTO_LOOK CLEANUP(look_clear)

/* By its name in the pool, or by its id wherever it is. An image that is not there, or only half,
 * is not meant. Returns 0 or a negative errno. */
static int look_at(const struct ceph_trashing *trashing, const char *id, struct look *look)
{
    *look = (struct look){0};
    AUTO_IMAGE rbd_image_t image = NULL;
    int result = id ? rbd_open_by_id_read_only(trashing->pool, id, &image, NULL)
                    : rbd_open_read_only(trashing->pool, trashing->name->image, &image, NULL);
    if (result < 0) {
        image = NULL;
        return result == -ENOENT ? 0 : result;
    }
    AUTO_FREE char *token = NULL;
    if (trashing->token)
        result = ceph_metadata_read(image, CEPH_KEY_TOKEN, &token);
    if (result == 0)
        result = rbd_get_id(image, look->id, sizeof(look->id));
    if (result == 0)
        result = ceph_watchers_read(trashing->cluster, image, &look->watchers, NULL);
    look->meant = result == 0 && (trashing->token ? text_equal(token, trashing->token)
                                                  : text_equal(look->id, trashing->id));
    return result;
}

int ceph_trash_give_back(const struct ceph_trashing *trashing, const char *id, struct error *error)
{
    int result = CRASH_AROUND(rbd_trash_restore(trashing->pool, id, trashing->name->image));
    if (result == 0)
        return error_prefix(error, "back from the trash");
    AUTO_FREE char *why = ceph_error_text(result);
    error_prefix(error, "still in the trash, from where it cannot be restored (%s)", why);
    return error_hint(error, "'rbd trash restore --pool %s%s%s %s' does it by hand",
                      trashing->name->pool, text_empty(trashing->name->name_space) ? "" : "/",
                      text_empty(trashing->name->name_space) ? "" : trashing->name->name_space, id);
}

/* Somebody may have opened it in this moment: then it gets its name back, so that they find it. */
static int check_unused(const struct ceph_trashing *trashing, const char *id, struct error *error)
{
    AUTO_LOOK struct look after;
    int result = look_at(trashing, id, &after);
    if (result < 0)
        return ceph_trashing_failed(trashing, result,
                                    "is in the trash, but cannot be asked who uses it", error);
    if (after.watchers.count == 0)
        return 0;
    ceph_busy(trashing->cluster, trashing->name, &after.watchers, error);
    return ceph_trash_give_back(trashing, id, error);
}

static int clear_snapshots(const struct ceph_trashing *trashing, struct error *error)
{
    CLEANUP(text_list_clear) struct text_list others = {0};
    int result = ceph_snapshots_clear(trashing->pool, trashing->name->image,
                                      trashing->for_good ? &others : NULL);
    if (result < 0)
        return ceph_trashing_failed(trashing, result,
                                    "cannot be freed of the snapshots that are ours", error);
    if (others.count == 0)
        return 0;
    AUTO_FREE char *list = ceph_list_text(&others);
    error_set(error, ERROR_BUSY,
              "cluster '%s': image %s has snapshots that are not ours: %s; it is kept",
              trashing->cluster->name, trashing->text, list);
    return error_hint(error, "'rbd snap ls --all %s' shows them; remove them, or keep the image",
                      trashing->text);
}

/* Whether it is in use is our own question, before and after: librbd moves an image even while a
 * guest writes to it, which hands the exclusive lock over when asked (librbd/api/Trash.cc; seen on
 * 16.2.15), and it would wait for a dead client's lock. */
static int move(const struct ceph_trashing *trashing, const struct look *before,
                struct error *error)
{
    if (before->watchers.count)
        return ceph_busy(trashing->cluster, trashing->name, &before->watchers, error);
    /* An interrupted restore is ended first; librbd refuses if it was no restore. */
    CRASH_AROUND(rbd_trash_restore(trashing->pool, before->id, trashing->name->image));
    if (clear_snapshots(trashing, error) < 0)
        return -1;
    int result =
        CRASH_AROUND(rbd_trash_move(trashing->pool, trashing->name->image, trashing->seconds));
    if (result == -EBUSY)
        return ceph_busy(trashing->cluster, trashing->name, &before->watchers, error);
    if (result < 0)
        return ceph_trashing_failed(trashing, result, "cannot be moved to the trash", error);
    return check_unused(trashing, before->id, error);
}

/* The id of what an earlier try put into the trash, NULL if there is none. */
static int find_trashed(const struct ceph_trashing *trashing, char **id)
{
    AUTO_FREE rbd_trash_image_info_t *entries = NULL;
    size_t count = 0;
    int result = ceph_trash_read(trashing->pool, &entries, &count);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    for (size_t i = 0; i < count && result == 0 && !*id; i++) {
        AUTO_LOOK struct look look = {0};
        if (trashing->id)
            look.meant = text_equal(entries[i].id, trashing->id);
        else if (text_equal(entries[i].name, trashing->name->image))
            result = look_at(trashing, entries[i].id, &look);
        if (result == 0 && look.meant)
            *id = text_dup(entries[i].id);
    }
    rbd_trash_list_cleanup(entries, count);
    return result;
}

/* Ends what was interrupted: as long as the directory has the name for the id, nobody else can have
 * taken it, and librbd goes on by the name; afterwards only the entry's state is missing. */
static int end_move(const struct ceph_trashing *trashing, const char *id)
{
    bool named = false;
    int result = ceph_names_are(trashing->pool, id, trashing->name->image, &named);
    if (result == 0 && named)
        result =
            CRASH_AROUND(rbd_trash_move(trashing->pool, trashing->name->image, trashing->seconds));
    /* Refused unless it is in the middle of a move, there or back. */
    ceph_names_settle_trash(trashing->pool, id);
    return result;
}

int ceph_trash(const struct ceph_trashing *trashing, char **id, struct error *error)
{
    *id = NULL;
    AUTO_LOOK struct look look;
    int result = look_at(trashing, NULL, &look);
    if (result < 0)
        return ceph_trashing_failed(trashing, result, "cannot be looked at", error);
    if (look.meant) {
        if (move(trashing, &look, error) < 0)
            return -1;
        *id = text_dup(look.id);
        return 0;
    }

    AUTO_FREE char *found = NULL;
    result = find_trashed(trashing, &found);
    if (result == 0 && found)
        result = end_move(trashing, found);
    if (result < 0)
        return ceph_trashing_failed(trashing, result, "cannot be looked for in the trash", error);
    if (found && check_unused(trashing, found, error) < 0)
        return -1;
    *id = STEAL(found);
    return 0;
}

int ceph_image_trash_owned(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                           const char *token, uint64_t seconds, char **id, struct error *error)
{
    *id = NULL;
    if (ceph_token_check(token, error) < 0)
        return -1;
    AUTO_POOL rados_ioctx_t pool = NULL;
    if (ceph_pool_open(cluster, name->pool, name->name_space, &pool, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error); /* no pool, no image */
        return 0;
    }
    AUTO_FREE char *draft_name = ceph_draft_name(token);
    AUTO_FREE char *text = ceph_image_text(name);
    const struct ceph_image_name draft = {name->pool, name->name_space, draft_name};
    const struct ceph_trashing trashing = {.cluster = cluster,
                                           .pool = pool,
                                           .name = name,
                                           .token = token,
                                           .seconds = seconds,
                                           .text = text};
    int result = ceph_names_settle(pool, draft_name, name->image);
    if (result < 0)
        return ceph_trashing_failed(&trashing, result, "cannot be looked at", error);
    /* First, so that a try which fails here comes again with nothing done. */
    if (ceph_draft_remove(cluster, &draft, pool, 0, error) < 0)
        return -1;
    return ceph_trash(&trashing, id, error);
}
