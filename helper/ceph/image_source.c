/* Images that we did not make: given up when their disk has moved, and brought back. */
#include "base/crash.h"
#include "ceph/image_create.h"
#include "ceph/image_names.h"
#include "ceph/image_trash.h"

#define MOMENT_MS 2000

static int source_failed(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                         int result, const char *what, struct error *error)
{
    AUTO_FREE char *text = ceph_image_text(name);
    return ceph_failure(error, cluster, name->pool, result, "image %s %s", text, what);
}

int ceph_image_id(struct ceph_cluster *cluster, const struct ceph_image_name *name, char **id,
                  struct error *error)
{
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_image_open(cluster, name, true, &open, error) < 0)
        return -1;
    uint8_t old_format = 0;
    char text[CEPH_MAX_ID] = "";
    int result = rbd_get_old_format(open.image, &old_format);
    if (result == 0 && !old_format)
        result = rbd_get_id(open.image, text, sizeof(text));
    if (result < 0)
        return source_failed(cluster, name, result, "cannot be asked for its id", error);
    if (!old_format) {
        *id = text_dup(text);
        return 0;
    }
    AUTO_FREE char *shown = ceph_image_text(name);
    error_set(error, ERROR_UNSUPPORTED,
              "cluster '%s': image %s has format 1, which knows neither ids nor a trash",
              cluster->name, shown);
    return error_hint(error, "'rbd rm %s' removes it by hand", shown);
}

/* What is done with an image, from the opened pool on. */
struct source {
    struct ceph_trashing trashing;
    rados_ioctx_t pool;
    char *text;
};
static void source_close(struct source *source)
{
    cleanup_pool(&source->pool);
    free(source->text);
}
#define AUTO_SOURCE CLEANUP(source_close)

static int source_open(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                       const char *id, struct source *source, struct error *error)
{
    *source = (struct source){.text = ceph_image_text(name)};
    if (ceph_pool_open(cluster, name->pool, name->name_space, &source->pool, error) < 0)
        return -1;
    source->trashing = (struct ceph_trashing){
        .cluster = cluster, .pool = source->pool, .name = name, .id = id, .text = source->text};
    return 0;
}

/* Whether the pool's directory or an id object leads from this name to that image. */
static int is_in_place(const struct source *source, bool *here)
{
    AUTO_IMAGE rbd_image_t image = NULL;
    char id[CEPH_MAX_ID] = "";
    *here = false;
    int result = rbd_open_read_only(source->pool, source->trashing.name->image, &image, NULL);
    if (result < 0) {
        image = NULL;
        return result == -ENOENT ? 0 : result;
    }
    result = rbd_get_id(image, id, sizeof(id));
    *here = result == 0 && text_equal(id, source->trashing.id);
    return result;
}

static int is_in_trash(const struct source *source, bool *trashed)
{
    rbd_trash_image_info_t info;
    int result = rbd_trash_get(source->pool, source->trashing.id, &info);
    *trashed = result == 0;
    if (result == 0)
        rbd_trash_get_cleanup(&info);
    return result == -ENOENT ? 0 : result;
}

static int not_there(const struct source *source, const char *renamed, struct error *error)
{
    const struct ceph_trashing *trashing = &source->trashing;
    AUTO_FREE char *shown = ceph_printable(renamed ? renamed : "");
    error_set(error, ERROR_NOT_FOUND, "cluster '%s': image %s with the id %s is not there%s%s%s",
              trashing->cluster->name, trashing->text, trashing->id,
              renamed ? ": it has been renamed to '" : ", nor in the pool's trash", shown,
              renamed ? "'" : "");
    return error_hint(error, "'rbd ls -l' and 'rbd trash ls --all' show what the pool %s holds",
                      trashing->name->pool);
}

/* After it was found neither in its place nor in the trash. */
static int look_elsewhere(const struct source *source, bool may_be_gone, struct error *error)
{
    AUTO_FREE char *renamed = NULL;
    int result = ceph_names_of(source->pool, source->trashing.id, &renamed);
    if (result < 0)
        return ceph_trashing_failed(&source->trashing, result, "cannot be looked for", error);
    return renamed || !may_be_gone ? not_there(source, renamed, error) : 0;
}

int ceph_image_trash(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                     const char *id, uint64_t seconds, struct error *error)
{
    AUTO_SOURCE struct source source;
    if (source_open(cluster, name, id, &source, error) < 0)
        return -1;
    source.trashing.seconds = seconds;
    AUTO_FREE char *found = NULL;
    if (ceph_trash(&source.trashing, &found, error) < 0)
        return -1;
    return found ? 0 : look_elsewhere(&source, false, error);
}

/* In the middle of a move to the trash, librbd does not take it back. Who is in the middle may also
 * be alive: he gets a moment to come to the end. */
static int take_out(const struct source *source)
{
    const struct ceph_trashing *trashing = &source->trashing;
    int result = CRASH_AROUND(rbd_trash_restore(source->pool, trashing->id, trashing->name->image));
    if (result != -EBUSY)
        return result;
    ceph_pause(MOMENT_MS);
    ceph_names_settle_trash(source->pool, trashing->id);
    return CRASH_AROUND(rbd_trash_restore(source->pool, trashing->id, trashing->name->image));
}

/* Also when it has its name: an interrupted way there or back may have left it in both places, and
 * the entry is a danger then, since emptying the trash would remove the image. */
static int restore(const struct source *source, struct error *error)
{
    bool here = false, trashed = false;
    const struct ceph_trashing *trashing = &source->trashing;
    int result = is_in_place(source, &here);
    if (result == 0)
        result = is_in_trash(source, &trashed);
    if (result < 0)
        return ceph_trashing_failed(trashing, result, "cannot be looked for", error);
    if (!trashed)
        return here ? 0 : look_elsewhere(source, false, error);
    result = take_out(source);
    if (result == 0)
        return 0;
    if (result != -EEXIST)
        return ceph_trashing_failed(trashing, result, "cannot be restored from the trash", error);
    error_set(error, ERROR_EXISTS,
              "cluster '%s': image %s cannot be restored from the trash: another image has this "
              "name now; nothing was changed",
              trashing->cluster->name, trashing->text);
    return error_hint(error, "'rbd info %s' shows it; rename it, and try again", trashing->text);
}

int ceph_image_restore(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                       const char *id, struct error *error)
{
    AUTO_SOURCE struct source source;
    if (source_open(cluster, name, id, &source, error) < 0)
        return -1;
    return restore(&source, error);
}

int ceph_image_is_trashed(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                          const char *id, bool *trashed, struct error *error)
{
    AUTO_SOURCE struct source source;
    if (source_open(cluster, name, id, &source, error) < 0)
        return -1;
    int result = is_in_trash(&source, trashed);
    return result < 0
               ? ceph_trashing_failed(&source.trashing, result, "cannot be looked for", error)
               : 0;
}

/* Through the trash, as images of ours, and for the same reasons: see image_remove.c. */
static int remove_for_good(struct source *source, struct error *error)
{
    source->trashing.for_good = true;
    AUTO_FREE char *found = NULL;
    bool was_trashed = false;
    int result = is_in_trash(source, &was_trashed);
    if (result < 0)
        return ceph_trashing_failed(&source->trashing, result, "cannot be looked for", error);
    if (ceph_trash(&source->trashing, &found, error) < 0)
        return -1;
    if (!found)
        return look_elsewhere(source, true, error);
    result = CRASH_AROUND(rbd_trash_remove(source->pool, found, true));
    if (result == 0 || result == -ENOENT)
        return 0;
    ceph_trashing_failed(&source->trashing, result, "cannot be removed", error);
    /* Nothing of it is gone yet, unless an earlier call came further: librbd calls an image whole
     * again when it fails to remove all of its objects (trash/RemoveRequest.cc). */
    return error->code == ERROR_BUSY && !was_trashed
               ? ceph_trash_give_back(&source->trashing, found, error)
               : -1;
}

int ceph_image_remove(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                      const char *id, struct error *error)
{
    AUTO_SOURCE struct source source;
    if (source_open(cluster, name, id, &source, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error); /* no pool, no image */
        return 0;
    }
    return remove_for_good(&source, error);
}
