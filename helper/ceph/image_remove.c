#include "base/crash.h"
#include "ceph/image_create.h"
#include "ceph/image_ghost.h"
#include "ceph/image_names.h"
#include "ceph/image_snapshot.h"
#include "ceph/image_trash.h"

#define POLL_MS 500

/* A removal under way, of what stands under two names. */
struct removal {
    struct ceph_cluster *cluster;
    rados_ioctx_t pool;
    const struct ceph_image_name *name;  /* the final one; NULL when only the draft is removed */
    const struct ceph_image_name *draft; /* the one that only we use */
    double deadline;
    char *seen;        /* who watched when last asked; NULL: nobody yet */
    double seen_since; /* and since when it is the same ones */
};

static int removal_failed(const struct removal *removal, const struct ceph_image_name *name,
                          int result, const char *what, struct error *error)
{
    AUTO_FREE char *text = ceph_image_text(name);
    ceph_failure(error, removal->cluster, name->pool, result, "image %s %s", text, what);
    if (!error->hint)
        error_hint(error, "'rbd status %s' and 'rbd snap ls --all %s' show what holds it", text,
                   text);
    return -1;
}

int ceph_busy(const struct ceph_cluster *cluster, const struct ceph_image_name *name,
              const struct text_list *watchers, struct error *error)
{
    AUTO_FREE char *text = ceph_image_text(name);
    AUTO_FREE char *who = ceph_list_text(watchers);
    error_set(error, ERROR_BUSY, "cluster '%s': image %s is in use by %s; it is kept",
              cluster->name, text, watchers->count ? who : "somebody");
    return error_hint(error,
                      "'rbd status %s' shows who; the watch of a client that was killed goes away "
                      "within about 30 s, that of a guest's QEMU when it is stopped or migrated: "
                      "then try again, or run 'virt-pivot recover'",
                      text);
}

/* By name in the pool, or by id wherever it is. Returns 0 or a negative errno. */
static int open_either(rados_ioctx_t pool, const char *name, const char *id, bool read_only,
                       rbd_image_t *image)
{
    int result = 0;
    if (read_only)
        result = name ? rbd_open_read_only(pool, name, image, NULL)
                      : rbd_open_by_id_read_only(pool, id, image, NULL);
    else
        result = name ? rbd_open(pool, name, image, NULL) : rbd_open_by_id(pool, id, image, NULL);
    if (result < 0)
        *image = NULL;
    return result;
}

/* For how many seconds these very ones have been watching. */
static double watched_for(struct removal *removal, const struct text_list *watchers)
{
    AUTO_FREE char *now = ceph_list_text(watchers);
    if (!text_equal(now, removal->seen)) {
        free(removal->seen);
        removal->seen = STEAL(now);
        removal->seen_since = ceph_clock();
    }
    return ceph_clock() - removal->seen_since;
}

/* Whether the image is watched, by somebody who is there or may be: 0 or -EBUSY, or another
 * negative errno. An image that is not there, or only half, is watched by nobody. An image whose
 * watches are nobody's counts as not watched, but rbd does not see it so: *ghost is its id then. */
static int check_watchers(struct removal *removal, const char *name, const char *id,
                          struct text_list *watchers, char ghost[CEPH_MAX_ID])
{
    AUTO_IMAGE rbd_image_t image = NULL;
    ghost[0] = '\0';
    int result = open_either(removal->pool, name, id, true, &image);
    if (result == 0)
        result = ceph_watchers_read(removal->cluster, image, watchers, NULL);
    if (result == -ENOENT || (result == 0 && watchers->count == 0))
        return 0;
    if (result < 0)
        return result;

    if (watched_for(removal, watchers) < CEPH_GHOST_SECONDS ||
        rbd_get_id(image, ghost, CEPH_MAX_ID) < 0 ||
        !ceph_watched_by_nobody(removal->pool, ghost)) {
        ghost[0] = '\0';
        return -EBUSY;
    }
    return 0;
}

/* Frees what the image holds. Returns 0 or a negative errno. */
static int empty(rados_ioctx_t pool, const char *name, const char *id)
{
    AUTO_IMAGE rbd_image_t image = NULL;
    int result = open_either(pool, name, id, false, &image);
    return result < 0 ? result : CRASH_AROUND(rbd_resize2(image, 0, true, ceph_no_progress, NULL));
}

/* The same, but so that rbd will take a draft that has watches of nobody for removal. */
static int make_removable(struct removal *removal, const char *name, const char *id,
                          struct text_list *watchers)
{
    char ghost[CEPH_MAX_ID];
    int result = check_watchers(removal, name, id, watchers, ghost);
    if (result < 0 || !*ghost)
        return result;
    result = empty(removal->pool, name, id);
    return result < 0 ? result : ceph_header_remove(removal->pool, ghost);
}

/* Removes one entry of the trash, if nobody watches it. */
static int remove_entry(struct removal *removal, const char *id, struct text_list *watchers)
{
    int result = make_removable(removal, NULL, id, watchers);
    if (result == 0)
        result = CRASH_AROUND(rbd_trash_remove(removal->pool, id, true));
    if (result == -EBUSY && watchers->count == 0 && ceph_names_settle_trash(removal->pool, id) == 0)
        result = CRASH_AROUND(rbd_trash_remove(removal->pool, id, true));
    return result == -ENOENT ? 0 : result;
}

/* Removes what the trash holds under the draft's name. Returns 0 when nothing is left. */
static int empty_trash(struct removal *removal, struct text_list *watchers)
{
    AUTO_FREE rbd_trash_image_info_t *entries = NULL;
    size_t count = 0;
    int result = ceph_trash_read(removal->pool, &entries, &count);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    for (size_t i = 0; i < count && result >= 0; i++)
        if (strcmp(entries[i].name, removal->draft->image) == 0)
            result = remove_entry(removal, entries[i].id, watchers);
    rbd_trash_list_cleanup(entries, count);
    return result < 0 ? result : 0;
}

/* One try. librbd is not asked while somebody watches: it would ask a client that is dead for the
 * exclusive lock, and wait.
 *
 * Through the trash, not by rbd_remove: it goes by the directory, so that an id object that dangles
 * never leads it to another image; it goes on where an earlier try was killed; and in between the
 * image is in the trash under a name that is ours. */
static int try_remove_draft(struct removal *removal, struct text_list *watchers)
{
    int result = make_removable(removal, removal->draft->image, NULL, watchers);
    if (result == 0)
        result = CRASH_AROUND(rbd_trash_move(removal->pool, removal->draft->image, 0));
    if (result == 0 || result == -ENOENT)
        result = empty_trash(removal, watchers);
    return result;
}

static int remove_draft(struct removal *removal, struct error *error)
{
    for (;;) {
        struct text_list watchers = {0};
        int result = try_remove_draft(removal, &watchers);
        bool again = result == -EBUSY && ceph_clock() < removal->deadline;
        int returned = 0;
        if (result == -EBUSY && !again)
            returned = ceph_busy(removal->cluster, removal->draft, &watchers, error);
        else if (result < 0 && !again)
            returned = removal_failed(removal, removal->draft, result, "cannot be removed", error);
        text_list_clear(&watchers);
        if (!again)
            return returned;
        ceph_pause(POLL_MS);
    }
}

int ceph_draft_remove(struct ceph_cluster *cluster, const struct ceph_image_name *draft,
                      rados_ioctx_t pool, double deadline, struct error *error)
{
    struct removal removal = {
        .cluster = cluster, .pool = pool, .draft = draft, .deadline = deadline};
    int result = remove_draft(&removal, error);
    free(removal.seen);
    return result;
}

static int wait_unwatched(struct removal *removal, struct error *error)
{
    for (;;) {
        struct text_list watchers = {0};
        char ghost[CEPH_MAX_ID];
        int result = check_watchers(removal, removal->name->image, NULL, &watchers, ghost);
        bool again = result == -EBUSY && ceph_clock() < removal->deadline;
        int returned = 0;
        if (result == -EBUSY && !again)
            returned = ceph_busy(removal->cluster, removal->name, &watchers, error);
        else if (result < 0 && !again)
            returned = removal_failed(removal, removal->name, result,
                                      "cannot be asked for its watchers", error);
        text_list_clear(&watchers);
        if (!again)
            return returned;
        ceph_pause(POLL_MS);
    }
}

/* Ours go with the image. Somebody's snapshot is a reason to have it that we do not know of. */
static int clear_snapshots(const struct removal *removal, struct error *error)
{
    CLEANUP(text_list_clear) struct text_list others = {0};
    int result = ceph_snapshots_clear(removal->pool, removal->name->image, &others);
    if (result < 0)
        return removal_failed(removal, removal->name, result,
                              "cannot be freed of the snapshots that are ours", error);
    if (others.count == 0)
        return 0;
    AUTO_FREE char *text = ceph_image_text(removal->name);
    AUTO_FREE char *list = ceph_list_text(&others);
    error_set(
        error, ERROR_OPERATOR,
        "cluster '%s': image %s is ours, but somebody has made snapshots of it: %s; it is kept",
        removal->cluster->name, text, list);
    return error_hint(error, "'rbd snap ls --all %s' lists them; remove them or the image by hand",
                      text);
}

/* Takes the image back to its draft's name. That writes an object, which a full pool refuses: then
 * the image is emptied where it stands, and the cluster notices within about 15 s. */
static int withdraw(const struct removal *removal, struct error *error)
{
    const struct ceph_image_name *name = removal->name;
    bool emptied = false;
    for (;;) {
        int result = CRASH_AROUND(rbd_rename(removal->pool, name->image, removal->draft->image));
        if (result == 0)
            return 0;
        if (ceph_error_code(result) != ERROR_NO_SPACE)
            return removal_failed(removal, name, result, "cannot be withdrawn", error);
        int freed = emptied ? 0 : empty(removal->pool, name->image, NULL);
        if (freed < 0)
            return removal_failed(removal, name, freed, "cannot be emptied", error);
        emptied = true;
        if (ceph_clock() >= removal->deadline)
            return removal_failed(removal, name, result,
                                  "has been emptied, but not yet removed: the pool is still full",
                                  error);
        ceph_pause(POLL_MS);
    }
}

/* The image under its final name, known to be ours. */
static int take_back(struct removal *removal, struct error *error)
{
    return wait_unwatched(removal, error) < 0 || clear_snapshots(removal, error) < 0
               ? -1
               : withdraw(removal, error);
}

static int remove_final(struct removal *removal, struct error *error)
{
    if (take_back(removal, error) < 0)
        return -1;
    if (remove_draft(removal, error) == 0)
        return 0;
    /* Somebody has opened it in this moment: it gets its name back, so that they find it. If that
     * fails, it stays under the draft's name, which the error names. */
    const char *name = removal->name->image;
    if (error->code == ERROR_BUSY &&
        CRASH_AROUND(rbd_rename(removal->pool, removal->draft->image, name)) == 0)
        return error_prefix(error, "again under the name '%s'", name);
    return -1;
}

/* Under its name, and ours. */
static int is_published(struct removal *removal, const char *token, bool *published,
                        struct error *error)
{
    AUTO_CLAIM struct ceph_claim claim = {0};
    int result = ceph_names_settle(removal->pool, removal->draft->image, removal->name->image);
    if (result < 0)
        return removal_failed(removal, removal->name, result, "cannot be looked at", error);
    if (ceph_claim_read(removal->cluster, removal->name, &claim, error) < 0)
        return -1;
    *published = claim.exists && text_equal(claim.token, token);
    return 0;
}

/* From the opened pool on: one of the two below. */
typedef int remover(struct removal *removal, const char *token, struct error *error);

static int remove_owned(struct removal *removal, const char *token, struct error *error)
{
    bool published = false;
    if (is_published(removal, token, &published, error) < 0)
        return -1;
    return published ? remove_final(removal, error) : remove_draft(removal, error);
}

static int withdraw_owned(struct removal *removal, const char *token, struct error *error)
{
    bool published = false;
    if (is_published(removal, token, &published, error) < 0)
        return -1;
    return published ? take_back(removal, error) : 0;
}

static int take_away(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                     const char *token, unsigned patience, remover *remove_it, struct error *error)
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
    AUTO_FREE char *draft_name = ceph_draft_name(token);
    const struct ceph_image_name draft = {name->pool, name->name_space, draft_name};
    struct removal removal = {.cluster = cluster,
                              .pool = pool,
                              .name = name,
                              .draft = &draft,
                              .deadline = ceph_clock() + patience};
    int result = remove_it(&removal, token, error);
    free(removal.seen);
    return result;
}

int ceph_image_remove_owned(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                            const char *token, unsigned patience, struct error *error)
{
    return take_away(cluster, name, token, patience, remove_owned, error);
}

int ceph_image_withdraw_owned(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                              const char *token, unsigned patience, struct error *error)
{
    return take_away(cluster, name, token, patience, withdraw_owned, error);
}
