#include "ceph/image_snapshot.h"

/* What is being read, for the error message. */
struct reading {
    struct ceph_cluster *cluster;
    const struct ceph_image_name *name;
    rbd_image_t image;
};

static int reading_failed(const struct reading *reading, int result, const char *what,
                          struct error *error)
{
    AUTO_FREE char *text = ceph_image_text(reading->name);
    return ceph_failure(error, reading->cluster, reading->name->pool, result,
                        "%s of image %s cannot be read", what, text);
}

static int read_basics(const struct reading *reading, struct ceph_image *image, struct error *error)
{
    rbd_image_info_t info;
    uint64_t flags = 0;
    int result = rbd_stat(reading->image, &info, sizeof(info));
    if (result == 0)
        result = rbd_get_features(reading->image, &image->features);
    if (result == 0)
        result = rbd_get_flags(reading->image, &flags);
    if (result < 0)
        return reading_failed(reading, result, "size and features", error);

    char id[CEPH_MAX_ID];
    if (rbd_get_id(reading->image, id, sizeof(id)) == 0)
        image->id = text_dup(id);
    image->size = info.size;
    image->object_size = info.obj_size;
    image->object_map_invalid = (flags & RBD_FLAG_OBJECT_MAP_INVALID) != 0;
    image->fast_diff_invalid = (flags & RBD_FLAG_FAST_DIFF_INVALID) != 0;
    return 0;
}

/* Snapshots that somebody made, of the image or of its group. Not our own, nor the ones that
 * mirroring makes and takes away by itself, nor the removed ones that are kept for a clone:
 * `mirrored` and `children` tell of those. *any counts all of them. */
static int count_snapshots(const struct reading *reading, struct ceph_image *image, size_t *any,
                           struct error *error)
{
    rbd_snap_info_t *snapshots = NULL;
    int result = ceph_snapshots_read(reading->image, &snapshots, any);
    if (result < 0)
        return reading_failed(reading, result, "snapshots", error);
    for (size_t i = 0; i < *any && result == 0; i++) {
        rbd_snap_namespace_type_t type = RBD_SNAP_NAMESPACE_TYPE_USER;
        result = rbd_snap_get_namespace_type(reading->image, snapshots[i].id, &type);
        bool of_group = type == RBD_SNAP_NAMESPACE_TYPE_GROUP;
        if (ceph_snapshot_is_ours(snapshots[i].name) ||
            (type != RBD_SNAP_NAMESPACE_TYPE_USER && !of_group))
            continue;
        image->snapshots++;
        image->snapshots_uneven |= of_group || snapshots[i].size != image->size;
    }
    ceph_snapshots_free(snapshots, *any);
    if (result < 0)
        return reading_failed(reading, result, "a snapshot's kind", error);
    return 0;
}

static int list_children(void *image, void *children, size_t *count)
{
    return rbd_list_children3(image, children, count);
}

static int count_children(const struct reading *reading, struct ceph_image *image,
                          struct error *error)
{
    AUTO_FREE void *children = NULL;
    size_t count = 0;
    int result = ceph_list_all(list_children, reading->image, sizeof(rbd_linked_image_spec_t),
                               &children, &count);
    if (result < 0)
        return reading_failed(reading, result, "clones", error);
    image->children = (unsigned)count;
    rbd_linked_image_spec_list_cleanup(children, count);
    return 0;
}

static int read_group(const struct reading *reading, struct ceph_image *image, struct error *error)
{
    rbd_group_info_t group = {0};
    int result = rbd_get_group(reading->image, &group, sizeof(group));
    if (result == -ENOENT)
        return 0;
    if (result < 0)
        return reading_failed(reading, result, "group", error);
    image->in_group = group.pool >= 0;
    rbd_group_info_cleanup(&group, sizeof(group));
    return 0;
}

static int read_mirroring(const struct reading *reading, struct ceph_image *image,
                          struct error *error)
{
    rbd_mirror_image_info_t info = {0};
    int result = rbd_mirror_image_get_info(reading->image, &info, sizeof(info));
    if (result == -ENOENT)
        return 0;
    if (result < 0)
        return reading_failed(reading, result, "mirroring", error);
    image->mirrored = info.state != RBD_MIRROR_IMAGE_DISABLED;
#ifdef HAVE_RBD_MIRROR_IMAGE_GET_INFO_CLEANUP
    rbd_mirror_image_get_info_cleanup(&info);
#else
    free(info.global_id);
#endif
    return 0;
}

static int read_parent(const struct reading *reading, struct ceph_image *image, struct error *error)
{
    rbd_linked_image_spec_t parent = {0};
    rbd_snap_spec_t snapshot = {0};
    int result = rbd_get_parent(reading->image, &parent, &snapshot);
    if (result == -ENOENT)
        return 0;
    if (result < 0)
        return reading_failed(reading, result, "parent", error);
    image->is_clone = true;
    rbd_linked_image_spec_cleanup(&parent);
    rbd_snap_spec_cleanup(&snapshot);
    return 0;
}

/* Without fast-diff every object has to be asked for. That is done piece by piece, and given up
 * when it takes too long: librbd itself says nothing while it finds only holes. */
#define COUNT_SECONDS 5
#define COUNT_BYTES (8ull << 30) /* an integer multiple of every object size and stripe */

static int add_extent(uint64_t offset UNUSED, size_t length, int exists, void *sum)
{
    if (exists)
        *(uint64_t *)sum += length;
    return 0;
}

/* The bytes in objects that exist; the whole size when counting takes too long. Returns 0 or a
 * negative errno. */
static int count_used(rbd_image_t image, uint64_t size, uint64_t piece, uint64_t *used)
{
    double deadline = ceph_clock() + COUNT_SECONDS;
    uint64_t sum = 0;
    *used = size;
    for (uint64_t at = 0; at < size; at += piece) {
        if (ceph_clock() > deadline)
            return 0;
        uint64_t length = size - at < piece ? size - at : piece;
        int result = rbd_diff_iterate2(image, NULL, at, length, 1, 1, add_extent, &sum);
        if (result < 0)
            return result;
    }
    *used = sum < size ? sum : size;
    return 0;
}

/* By whole objects, as a mirror reads them. QEMU knows of holes by a valid fast-diff only. */
static int read_allocated(const struct reading *reading, struct ceph_image *image,
                          struct error *error)
{
    image->allocated_known = (image->features & RBD_FEATURE_FAST_DIFF) &&
                             !image->fast_diff_invalid && !image->object_map_invalid;
    uint64_t piece = image->allocated_known ? image->size : COUNT_BYTES;
    int result = count_used(reading->image, image->size, piece, &image->used);
    if (result < 0)
        return reading_failed(reading, result, "allocation", error);
    image->allocated = image->allocated_known ? image->used : image->size;
    return 0;
}

static int read_all(const struct reading *reading, struct ceph_image *image, struct error *error)
{
    size_t snapshots = 0;
    if (read_basics(reading, image, error) < 0 ||
        count_snapshots(reading, image, &snapshots, error) < 0)
        return -1;
    /* A clone hangs from a snapshot, if only a removed one. */
    if (snapshots > 0 && count_children(reading, image, error) < 0)
        return -1;
    if (read_group(reading, image, error) < 0 || read_mirroring(reading, image, error) < 0 ||
        read_parent(reading, image, error) < 0 || read_allocated(reading, image, error) < 0)
        return -1;

    int result = ceph_watchers_read(reading->cluster, reading->image, &image->watchers, NULL);
    if (result < 0)
        return reading_failed(reading, result, "watchers", error);
    result = ceph_metadata_read(reading->image, "virt-pivot.token", &image->owner_token);
    if (result < 0)
        return reading_failed(reading, result, "metadata", error);
    return 0;
}

int ceph_image(struct ceph_cluster *cluster, const struct ceph_image_name *name,
               struct ceph_image *image, struct error *error)
{
    *image = (struct ceph_image){0};
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_image_open(cluster, name, true, &open, error) < 0)
        return -1;
    const struct reading reading = {cluster, name, open.image};
    return read_all(&reading, image, error);
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
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_image_open(cluster, name, true, &open, error) < 0)
        return -1;
    const struct reading reading = {cluster, name, open.image};
    int result = ceph_watchers_read(cluster, open.image, watchers, NULL);
    return result < 0 ? reading_failed(&reading, result, "watchers", error) : 0;
}

int ceph_image_metadata(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        const char *key, char **value, struct error *error)
{
    *value = NULL;
    AUTO_OPEN struct ceph_open open = {0};
    if (ceph_image_open(cluster, name, true, &open, error) < 0)
        return -1;
    const struct reading reading = {cluster, name, open.image};
    int result = ceph_metadata_read(open.image, key, value);
    return result < 0 ? reading_failed(&reading, result, "metadata", error) : 0;
}
