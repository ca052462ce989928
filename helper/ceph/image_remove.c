#include "ceph/image_create.h"
#include "ceph/image_names.h"

#define POLL_MS 500

static int removal_failed(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                          int result, const char *what, struct error *error)
{
    AUTO_FREE char *text = ceph_image_text(name);
    ceph_failure(error, cluster, name->pool, result, "image %s %s", text, what);
    return error->hint ? -1
                       : error_hint(error,
                                    "'rbd status %s' and 'rbd snap ls --all %s' show what "
                                    "holds it",
                                    text, text);
}

/* ERROR_BUSY, with those who watch. */
static int busy(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                const struct text_list *watchers, struct error *error)
{
    AUTO_FREE char *text = ceph_image_text(name);
    AUTO_FREE char *who = ceph_list_text(watchers);
    error_set(error, ERROR_BUSY, "cluster '%s': image %s is ours, but is in use by %s; it is kept",
              cluster->name, text, watchers->count ? who : "somebody");
    return error_hint(error,
                      "'rbd status %s' shows who; the watch of a client that was killed goes away "
                      "within 30 s, then run 'virt-pivot recover'",
                      text);
}

static int busy_now(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                    struct error *error)
{
    struct text_list watchers = {0};
    AUTO_ERROR struct error ignored = {0};
    if (ceph_image_watchers(cluster, name, &watchers, &ignored) < 0)
        text_list_clear(&watchers);
    busy(cluster, name, &watchers, error);
    text_list_clear(&watchers);
    return -1;
}

static int list_trash(rados_ioctx_t pool, rbd_trash_image_info_t **entries, size_t *count)
{
    size_t room = 32;
    for (;;) {
        AUTO_FREE rbd_trash_image_info_t *list = memory_new(room, sizeof(*list));
        *count = room;
        int result = rbd_trash_list(pool, list, count);
        if (result == -ERANGE && *count > room) {
            room = *count;
            continue;
        }
        if (result < 0)
            return result;
        *count = (size_t)result < room ? (size_t)result : room;
        *entries = STEAL(list);
        return 0;
    }
}

/* Removes what the trash holds under this name. Returns 0 when nothing is left. */
static int empty_trash(rados_ioctx_t pool, const char *name)
{
    AUTO_FREE rbd_trash_image_info_t *entries = NULL;
    size_t count = 0;
    int result = list_trash(pool, &entries, &count);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    for (size_t i = 0; i < count && result >= 0; i++) {
        if (strcmp(entries[i].name, name) != 0)
            continue;
        result = rbd_trash_remove(pool, entries[i].id, true);
        if (result == -ENOENT)
            result = 0;
    }
    rbd_trash_list_cleanup(entries, count);
    return result < 0 ? result : 0;
}

/* Through the trash, not by rbd_remove: it goes by the directory, so that an id object that dangles
 * never leads it to another image; it goes on where an earlier try was killed; and in between the
 * image is in the trash under a name that is ours. */
int ceph_draft_remove(struct ceph_cluster *cluster, const struct ceph_image_name *draft,
                      rados_ioctx_t pool, double deadline, struct error *error)
{
    for (;;) {
        int result = rbd_trash_move(pool, draft->image, 0);
        if (result == 0 || result == -ENOENT)
            result = empty_trash(pool, draft->image);
        if (result == 0)
            return 0;
        if (result != -EBUSY)
            return removal_failed(cluster, draft, result, "cannot be removed", error);
        if (ceph_clock() >= deadline)
            return busy_now(cluster, draft, error);
        ceph_pause(POLL_MS);
    }
}

static int wait_unwatched(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                          double deadline, struct error *error)
{
    for (;;) {
        struct text_list watchers = {0};
        int result = ceph_image_watchers(cluster, name, &watchers, error);
        bool watched = watchers.count > 0;
        bool late = ceph_clock() >= deadline;
        if (result == 0 && watched && late)
            result = busy(cluster, name, &watchers, error);
        text_list_clear(&watchers);
        if (result < 0 || !watched)
            return result;
        ceph_pause(POLL_MS);
    }
}

/* Somebody's snapshot is a reason to have the image that we do not know of. */
static int check_snapshots(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                           struct error *error)
{
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_image_open(cluster, name, true, &open, error) < 0)
        return -1;
    rbd_snap_info_t snapshot[1];
    int room = 1;
    int result = rbd_snap_list(open.image, snapshot, &room);
    if (result == 0)
        return 0;
    if (result < 0 && result != -ERANGE)
        return removal_failed(cluster, name, result, "cannot be asked for its snapshots", error);
    if (result > 0)
        rbd_snap_list_end(snapshot);
    AUTO_FREE char *text = ceph_image_text(name);
    error_set(error, ERROR_OPERATOR,
              "cluster '%s': image %s is ours, but somebody has made snapshots of it; it is kept",
              cluster->name, text);
    return error_hint(error, "'rbd snap ls --all %s' lists them; remove them or the image by hand",
                      text);
}

static int shrink_to_nothing(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                             struct error *error)
{
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_image_open(cluster, name, false, &open, error) < 0)
        return -1;
    int result = rbd_resize2(open.image, 0, true, ceph_no_progress, NULL);
    return result < 0 ? removal_failed(cluster, name, result, "cannot be emptied", error) : 0;
}

/* Takes the image back to its draft's name. That writes an object, which a full pool refuses: then
 * the image is emptied where it stands, and the cluster notices within about 15 s. */
static int withdraw(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                    rados_ioctx_t pool, const char *draft, double deadline, struct error *error)
{
    bool emptied = false;
    for (;;) {
        int result = rbd_rename(pool, name->image, draft);
        if (result == 0)
            return 0;
        if (ceph_error_code(result) != ERROR_NO_SPACE)
            return removal_failed(cluster, name, result, "cannot be withdrawn", error);
        if (!emptied && shrink_to_nothing(cluster, name, error) < 0)
            return -1;
        emptied = true;
        if (ceph_clock() >= deadline)
            return removal_failed(cluster, name, result,
                                  "has been emptied, but not yet removed: the pool is still full",
                                  error);
        ceph_pause(POLL_MS);
    }
}

/* The image under its final name, known to be ours. */
static int remove_final(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        const struct ceph_image_name *draft, rados_ioctx_t pool, double deadline,
                        struct error *error)
{
    if (wait_unwatched(cluster, name, deadline, error) < 0 ||
        check_snapshots(cluster, name, error) < 0 ||
        withdraw(cluster, name, pool, draft->image, deadline, error) < 0)
        return -1;
    if (ceph_draft_remove(cluster, draft, pool, deadline, error) == 0)
        return 0;
    /* Somebody has opened it in this moment: it gets its name back, so that they find it. If that
     * fails, it stays under the draft's name, which the error names. */
    if (rbd_rename(pool, draft->image, name->image) == 0 && error->code == ERROR_BUSY)
        return busy_now(cluster, name, error);
    return -1;
}

static int remove_owned(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        const struct ceph_image_name *draft, rados_ioctx_t pool, const char *token,
                        double deadline, struct error *error)
{
    int result = ceph_names_settle(pool, draft->image, name->image);
    if (result < 0)
        return removal_failed(cluster, name, result, "cannot be looked at", error);
    AUTO_CLAIM struct ceph_claim claim = {0};
    if (ceph_claim_read(cluster, name, &claim, error) < 0)
        return -1;
    if (claim.exists && text_equal(claim.token, token))
        return remove_final(cluster, name, draft, pool, deadline, error);
    return ceph_draft_remove(cluster, draft, pool, deadline, error);
}

int ceph_image_remove_owned(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                            const char *token, unsigned patience, struct error *error)
{
    if (ceph_token_check(token, error) < 0)
        return -1;
    AUTO_POOL rados_ioctx_t pool = NULL;
    if (ceph_pool_open(cluster, name->pool, name->name_space, &pool, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error); /* no pool, no image */
        return 0;
    }
    AUTO_FREE char *draft_text = ceph_draft_name(token);
    const struct ceph_image_name draft = {name->pool, name->name_space, draft_text};
    return remove_owned(cluster, name, &draft, pool, token, ceph_clock() + patience, error);
}
