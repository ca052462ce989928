#include "ceph/image_snapshot.h"

#include "base/crash.h"
#include "ceph/image_ask.h"
#include "ceph/image_ghost.h"

bool ceph_snapshot_is_ours(const char *name)
{
    return text_starts_with(name, CEPH_SNAPSHOT_PREFIX);
}

static int snapshot_failed(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                           const char *snapshot, int result, const char *what, struct error *error)
{
    AUTO_FREE char *text = ceph_image_text(name);
    ceph_failure(error, cluster, name->pool, result, "image %s: snapshot '%s' %s", text, snapshot,
                 what);
    if (!error->hint)
        error_hint(error, "'rbd snap ls --all %s' lists its snapshots, 'rbd status %s' who uses it",
                   text, text);
    return -1;
}

int ceph_snapshot_make(rbd_image_t image, const char *snapshot)
{
#ifdef HAVE_RBD_SNAP_CREATE2
    int result = CRASH_AROUND(
        rbd_snap_create2(image, snapshot, RBD_SNAP_CREATE_SKIP_QUIESCE, ceph_no_progress, NULL));
#else
    int result = CRASH_AROUND(rbd_snap_create(image, snapshot));
#endif
    return result == -EEXIST ? 0 : result;
}

int ceph_snapshots_open(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        struct ceph_open *open, struct error *error)
{
    if (ceph_image_open(cluster, name, false, open, error) < 0)
        return -1;
    return ceph_image_check_answers(cluster, name, open, error);
}

static int make(rbd_image_t image, const struct ceph_wish *wish, librbd_progress_fn_t hear UNUSED,
                void *opaque UNUSED)
{
    return ceph_snapshot_make(image, wish->snapshot);
}

static int remove_one(rbd_image_t image, const struct ceph_wish *wish,
                      librbd_progress_fn_t hear UNUSED, void *opaque UNUSED)
{
    return CRASH_AROUND(rbd_snap_remove(image, wish->snapshot));
}

static int ask_for(struct ceph_cluster *cluster, struct ceph_open *open, ceph_ask *ask,
                   const char *snapshot)
{
    const struct ceph_wish wish = {.snapshot = snapshot};
    return ceph_ask_owner(cluster, open, ask, &wish, CEPH_ANSWER_SECONDS);
}

int ceph_snapshot_create(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         const char *snapshot, struct error *error)
{
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_snapshots_open(cluster, name, &open, error) < 0)
        return -1;
    int result = ask_for(cluster, &open, make, snapshot);
    return result == 0 ? 0
                       : snapshot_failed(cluster, name, snapshot, result, "cannot be made", error);
}

int ceph_snapshot_remove(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         const char *snapshot, struct error *error)
{
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_snapshots_open(cluster, name, &open, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error);
        return 0;
    }
    int result = ask_for(cluster, &open, remove_one, snapshot);
    return result == 0 || result == -ENOENT
               ? 0
               : snapshot_failed(cluster, name, snapshot, result, "cannot be removed", error);
}

int ceph_snapshot_exists(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         const char *snapshot, bool *exists, struct error *error)
{
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_image_open(cluster, name, true, &open, error) < 0)
        return -1;
    uint64_t number = 0;
    int result = rbd_snap_get_id(open.image, snapshot, &number);
    if (result < 0 && result != -ENOENT)
        return snapshot_failed(cluster, name, snapshot, result, "cannot be looked for", error);
    *exists = result == 0;
    return 0;
}

int ceph_snapshot_rename(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         const char *from, const char *to, struct error *error)
{
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_snapshots_open(cluster, name, &open, error) < 0)
        return -1;
    int result = CRASH_AROUND(rbd_snap_rename(open.image, from, to));
    return result == 0 || result == -ENOENT
               ? 0
               : snapshot_failed(cluster, name, from, result, "cannot be renamed", error);
}

/* ---- all of an image ---- */

static int list_snapshots(void *image, void *snapshots, size_t *count)
{
    int room = (int)*count;
    int result = rbd_snap_list(image, snapshots, &room);
    *count = (size_t)(result < 0 ? room : result);
    return result < 0 ? result : 0;
}

int ceph_snapshots_read(rbd_image_t image, rbd_snap_info_t **snapshots, size_t *count)
{
    void *list = NULL;
    int result = ceph_list_all(list_snapshots, image, sizeof(**snapshots), &list, count);
    *snapshots = list;
    return result;
}

void ceph_snapshots_free(rbd_snap_info_t *snapshots, size_t count)
{
    if (count)
        rbd_snap_list_end(snapshots);
    free(snapshots);
}

static int note_names(rbd_image_t image, const rbd_snap_info_t *snapshots, size_t count,
                      struct text_list *names)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        rbd_snap_namespace_type_t type = RBD_SNAP_NAMESPACE_TYPE_USER;
        result = rbd_snap_get_namespace_type(image, snapshots[i].id, &type);
        if (result == 0 && type == RBD_SNAP_NAMESPACE_TYPE_USER)
            *text_list_add(names) = text_dup(snapshots[i].name);
    }
    return result;
}

int ceph_snapshot_names(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        struct text_list *names, struct error *error)
{
    AUTO_OPEN struct ceph_open open = {0};
    rbd_snap_info_t *snapshots = NULL;
    size_t count = 0;
    if (ceph_image_open(cluster, name, true, &open, error) < 0)
        return -1;
    int result = ceph_snapshots_read(open.image, &snapshots, &count);
    if (result == 0) {
        result = note_names(open.image, snapshots, count, names);
        ceph_snapshots_free(snapshots, count);
    }
    AUTO_FREE char *text = ceph_image_text(name);
    return result == 0 ? 0
                       : ceph_failure(error, cluster, name->pool, result,
                                      "image %s: its snapshots cannot be listed", text);
}

/* ---- of an image that is given up ---- */

static int note_others(rbd_image_t image, const rbd_snap_info_t *snapshots, size_t count,
                       struct text_list *others)
{
    for (size_t i = 0; i < count; i++) {
        rbd_snap_namespace_type_t type = RBD_SNAP_NAMESPACE_TYPE_USER;
        if (ceph_snapshot_is_ours(snapshots[i].name))
            continue;
        int result = rbd_snap_get_namespace_type(image, snapshots[i].id, &type);
        if (result < 0)
            return result;
        AUTO_FREE char *shown = ceph_printable(snapshots[i].name);
        *text_list_add(others) = type == RBD_SNAP_NAMESPACE_TYPE_TRASH
                                     ? text_dup("one that was removed and is kept for a clone")
                                     : text_format("'%s'", shown);
    }
    return 0;
}

/* For writing: a watch and perhaps the lock, so only if there is something to do. */
static int remove_ours(rados_ioctx_t pool, const char *name, const rbd_snap_info_t *snapshots,
                       size_t count)
{
    AUTO_IMAGE rbd_image_t image = NULL;
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        if (!ceph_snapshot_is_ours(snapshots[i].name))
            continue;
        if (!image)
            result = rbd_open(pool, name, &image, NULL);
        if (result < 0)
            image = NULL;
        else
            result = CRASH_AROUND(rbd_snap_remove(image, snapshots[i].name));
        result = result == -ENOENT ? 0 : result;
    }
    return result;
}

int ceph_snapshots_clear(rados_ioctx_t pool, const char *name, struct text_list *others)
{
    AUTO_IMAGE rbd_image_t image = NULL;
    int result = rbd_open_read_only(pool, name, &image, NULL);
    if (result < 0) {
        image = NULL;
        return result == -ENOENT ? 0 : result;
    }
    rbd_snap_info_t *snapshots = NULL;
    size_t count = 0;
    result = ceph_snapshots_read(image, &snapshots, &count);
    if (result < 0)
        return result;
    if (others)
        result = note_others(image, snapshots, count, others);
    if (result == 0 && (!others || others->count == 0))
        result = remove_ours(pool, name, snapshots, count);
    ceph_snapshots_free(snapshots, count);
    return result;
}
