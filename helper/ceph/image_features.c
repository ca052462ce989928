#include "base/crash.h"
#include "ceph/image_ask.h"

#include <errno.h>

#define HOLE_FEATURES (RBD_FEATURE_EXCLUSIVE_LOCK | RBD_FEATURE_OBJECT_MAP | RBD_FEATURE_FAST_DIFF)
#define MAP_FEATURES (RBD_FEATURE_OBJECT_MAP | RBD_FEATURE_FAST_DIFF)
#define MAP_INVALID (RBD_FLAG_OBJECT_MAP_INVALID | RBD_FLAG_FAST_DIFF_INVALID)

/* How long a write that was under way when the exclusive lock came is given to arrive. */
#define SETTLE_SECONDS 10
#define POLL_MS 100

/* An image whose features are being changed, open for writing. */
struct change {
    struct ceph_cluster *cluster;
    const struct ceph_image_name *name;
    struct ceph_open *open; /* whose image is meant; another one's after a call that timed out */
    char *text;             /* its name */
    uint64_t features;
    bool watched; /* by somebody else */
    bool kernel;  /* by a kernel client */
};

static int change_failed(const struct change *change, int result, const char *what,
                         struct error *error)
{
    ceph_failure(error, change->cluster, change->name->pool, result, "image %s: %s", change->text,
                 what);
    if (!error->hint)
        error_hint(error, "'rbd info %s' shows its features, 'rbd status %s' who uses it",
                   change->text, change->text);
    return -1;
}

/* ---- asking for it ---- */

static int enable_features(rbd_image_t image, const struct ceph_wish *wish,
                           librbd_progress_fn_t hear UNUSED, void *opaque UNUSED)
{
    return CRASH_AROUND(rbd_update_features(image, wish->features, 1));
}

static int disable_features(rbd_image_t image, const struct ceph_wish *wish,
                            librbd_progress_fn_t hear UNUSED, void *opaque UNUSED)
{
    return CRASH_AROUND(rbd_update_features(image, wish->features, 0));
}

static int rebuild_object_map(rbd_image_t image, const struct ceph_wish *wish UNUSED,
                              librbd_progress_fn_t hear, void *opaque)
{
    return CRASH_AROUND(rbd_rebuild_object_map(image, hear, opaque));
}

/* 0 too where no answer came, but the image shows that it was done. */
static int ask_for(struct change *change, ceph_ask *ask, uint64_t features)
{
    const struct ceph_wish wish = {.features = features};
    int result = ceph_ask_owner(change->cluster, change->open, ask, &wish, CEPH_ANSWER_SECONDS);
    if (result != -ETIMEDOUT)
        return result;
    AUTO_ERROR struct error ignored = {0};
    uint64_t now = 0, flags = 0;
    if (ceph_image_open(change->cluster, change->name, false, change->open, &ignored) < 0 ||
        rbd_get_features(change->open->image, &now) < 0 ||
        rbd_get_flags(change->open->image, &flags) < 0)
        return result;
    bool is_done = ask == enable_features    ? (now & features) == features
                   : ask == disable_features ? (now & features) == 0
                                             : (flags & MAP_INVALID) == 0;
    return is_done ? 0 : result;
}

/* ---- the image's state ---- */

static int read_state(struct change *change, struct error *error)
{
    int result = rbd_get_features(change->open->image, &change->features);
    if (result < 0)
        return change_failed(change, result, "its features cannot be read", error);
    struct text_list watchers = {0};
    result = ceph_watchers_read(change->cluster, change->open->image, &watchers, &change->kernel);
    change->watched = watchers.count > 0;
    text_list_clear(&watchers);
    return result < 0 ? change_failed(change, result, "its watchers cannot be read", error) : 0;
}

/* Old images have none of this, and a kernel client (rbd map) does not learn of features that come
 * while it has the image mapped: it would go on writing past the lock and the map, and the map's
 * holes would then not be holes. */
static int check_can_enable(const struct change *change, struct error *error)
{
    uint8_t old_format = 0;
    int result = rbd_get_old_format(change->open->image, &old_format);
    if (result < 0)
        return change_failed(change, result, "its format cannot be read", error);
    if (old_format) {
        error_set(error, ERROR_UNSUPPORTED,
                  "cluster '%s': image %s has format 1, which knows no object map",
                  change->cluster->name, change->text);
        return error_hint(error, "it can be moved all the same, but its holes are copied too");
    }
    if (change->kernel) {
        error_set(error, ERROR_UNSUPPORTED,
                  "cluster '%s': a kernel client has image %s mapped, and would not keep an object "
                  "map up to date",
                  change->cluster->name, change->text);
        return error_hint(error,
                          "'rbd status %s' shows who; unmap it, or set prepare_source: false",
                          change->text);
    }
    return 0;
}

static bool lock_is_owned(rbd_image_t image)
{
    rbd_lock_mode_t mode;
    char *owners[1] = {NULL};
    size_t count = 1;
    uint64_t features = 0;
    int result = rbd_get_features(image, &features); /* the handle learns of the new feature */
    if (result == 0)
        result = rbd_lock_get_owners(image, &mode, owners, &count);
    if (result < 0)
        return false;
    rbd_lock_get_owners_cleanup(owners, count);
    return count > 0;
}

/* Clients that had the image open without the lock may have writes under way, and an object map
 * that is built meanwhile would miss them for good. Who then takes the lock has first waited for
 * its writes; who never does is not writing, and what it had sent is there after a while. */
static void wait_for_writes(const struct change *change)
{
    double deadline = ceph_clock() + SETTLE_SECONDS;
    while (!lock_is_owned(change->open->image) && ceph_clock() < deadline)
        ceph_pause(POLL_MS);
}

static int enable(struct change *change, uint64_t wanted, uint64_t *enabled, struct error *error)
{
    uint64_t missing = wanted & ~change->features;
    if (missing == 0)
        return 0;
    int result = ask_for(change, enable_features, missing);
    if (result < 0)
        return change_failed(change, result,
                             missing & RBD_FEATURE_EXCLUSIVE_LOCK
                                 ? "exclusive-lock cannot be enabled"
                                 : "object-map and fast-diff cannot be enabled",
                             error);
    change->features |= missing;
    *enabled |= missing;
    if ((missing & RBD_FEATURE_EXCLUSIVE_LOCK) && change->watched)
        wait_for_writes(change);
    return 0;
}

/* Flags of what the handle shows: the image, or the snapshot it was opened at. */
static int map_invalid(rbd_image_t image, bool *invalid)
{
    uint64_t flags = 0;
    int result = rbd_get_flags(image, &flags);
    *invalid = (flags & MAP_INVALID) != 0;
    return result;
}

static int rebuild_map(struct change *change, struct error *error)
{
    bool invalid = false;
    int result = map_invalid(change->open->image, &invalid);
    if (result == 0 && invalid) {
        result = ask_for(change, rebuild_object_map, 0);
        if (result == 0)
            result = map_invalid(change->open->image, &invalid);
    }
    if (result < 0)
        return change_failed(change, result, "its object map cannot be rebuilt", error);
    if (!invalid)
        return 0;
    error_set(error, ERROR_FAILED,
              "cluster '%s': image %s: its object map is still flagged invalid after a rebuild",
              change->cluster->name, change->text);
    return error_hint(error, "try 'rbd object-map rebuild %s'", change->text);
}

int ceph_image_enable_fast_diff(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                                uint64_t *enabled, struct error *error)
{
    *enabled = 0;
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_image_open(cluster, name, false, &open, error) < 0)
        return -1;
    AUTO_FREE char *text = ceph_image_text(name);
    struct change change = {.cluster = cluster, .name = name, .open = &open, .text = text};
    if (read_state(&change, error) < 0)
        return -1;
    if ((change.features & HOLE_FEATURES) != HOLE_FEATURES &&
        (check_can_enable(&change, error) < 0 ||
         ceph_image_check_answers(cluster, name, &open, error) < 0))
        return -1;
    if (enable(&change, RBD_FEATURE_EXCLUSIVE_LOCK, enabled, error) < 0 ||
        enable(&change, MAP_FEATURES, enabled, error) < 0)
        return -1;
    return rebuild_map(&change, error);
}

int ceph_image_disable_features(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                                uint64_t features, struct error *error)
{
    /* One by one: fast-diff needs object-map, and that the lock. */
    static const struct {
        uint64_t feature;
        const char *what;
    } order[] = {
        {RBD_FEATURE_FAST_DIFF, "fast-diff cannot be disabled"},
        {RBD_FEATURE_OBJECT_MAP, "object-map cannot be disabled"},
        {RBD_FEATURE_EXCLUSIVE_LOCK, "exclusive-lock cannot be disabled"},
    };

    if (features & ~HOLE_FEATURES)
        return error_set(error, ERROR_INPUT,
                         "only exclusive-lock, object-map and fast-diff can be taken back");
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_image_open(cluster, name, false, &open, error) < 0)
        return -1;
    if (ceph_image_check_answers(cluster, name, &open, error) < 0)
        return -1;
    AUTO_FREE char *text = ceph_image_text(name);
    struct change change = {.cluster = cluster, .name = name, .open = &open, .text = text};
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        if (read_state(&change, error) < 0)
            return -1;
        if (!(features & change.features & order[i].feature))
            continue;
        int result = ask_for(&change, disable_features, order[i].feature);
        if (result < 0)
            return change_failed(&change, result, order[i].what, error);
    }
    return 0;
}
