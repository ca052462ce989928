/* Reading images, preparing a source for its copy, limits. */
#include "ceph/image_ghost.h"
#include "ceph_adapter_lab.h"

#include <json.h>
#include <signal.h>

#define ALL_THREE (RBD_FEATURE_EXCLUSIVE_LOCK | RBD_FEATURE_OBJECT_MAP | RBD_FEATURE_FAST_DIFF)

static struct lab *lab_of(void **state)
{
    return *state;
}

static struct ceph_image_name name_of(const struct lab *lab, const char *image)
{
    return (struct ceph_image_name){.pool = lab->scratch, .image = image};
}

static void read_image(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                       struct ceph_image *image)
{
    AUTO_ERROR struct error error = {0};
    assert_done(ceph_image(cluster, name, image, &error), &error);
}

/* Writes 4 KiB at each of these places, as the administrator. */
static void write_at(struct lab *lab, const char *image, const uint64_t *places, size_t count)
{
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_IMAGE rbd_image_t open = NULL;
    assert_int_equal(rbd_open(pool, image, &open, NULL), 0);
    char block[4096];
    memset(block, 'w', sizeof(block));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(rbd_write(open, places[i], sizeof(block), block), sizeof(block));
}

static void allocation(void **state)
{
    struct lab *lab = lab_of(state);
    static const uint64_t places[] = {0, 9 * MIB, 41 * MIB};
    struct ceph_image image;
    const struct ceph_image_name name = name_of(lab, "sparse");
    lab_make_image(lab, lab->scratch, "sparse", 42 * MIB, RBD_FEATURES_DEFAULT);
    write_at(lab, "sparse", places, ARRAY_SIZE(places));
    read_image(lab->cluster, &name, &image);
    assert_true(image.allocated_known);
    assert_int_equal(image.allocated, 4 * MIB + 4 * MIB + 2 * MIB); /* the last object is cut */
    assert_int_equal(image.used, image.allocated);
    assert_int_equal(image.size, 42 * MIB);
    assert_int_equal(image.object_size, 4 * MIB);
    assert_null(image.owner_token);
    ceph_image_clear(&image);
    read_image(lab->reader, &name, &image); /* 'profile rbd-read-only' suffices */
    assert_int_equal(image.allocated, 10 * MIB);
    ceph_image_clear(&image);

    const struct ceph_image_name plain = name_of(lab, "plain");
    lab_make_image(lab, lab->scratch, "plain", 42 * MIB, RBD_FEATURE_LAYERING);
    write_at(lab, "plain", places, ARRAY_SIZE(places));
    read_image(lab->cluster, &plain, &image);
    assert_false(image.allocated_known);
    assert_int_equal(image.allocated, 42 * MIB);
    assert_int_equal(image.used, 10 * MIB); /* whoever can see them */
    ceph_image_clear(&image);

    /* over several pieces, and too many of them */
    static const uint64_t far[] = {0, 8ull << 30, (20ull << 30) - 4096};
    const struct ceph_image_name large = name_of(lab, "large");
    lab_make_image(lab, lab->scratch, "large", 20ull << 30, RBD_FEATURE_LAYERING);
    write_at(lab, "large", far, ARRAY_SIZE(far));
    read_image(lab->cluster, &large, &image);
    assert_int_equal(image.used, 12 * MIB);
    ceph_image_clear(&image);
    const struct ceph_image_name huge = name_of(lab, "huge");
    lab_make_image(lab, lab->scratch, "huge", 100ull << 40, RBD_FEATURE_LAYERING);
    double start = ceph_clock();
    read_image(lab->cluster, &huge, &image);
    assert_true(ceph_clock() - start < 8);
    assert_true(image.used == image.size);
    ceph_image_clear(&image);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_FREE char *id = lab_image_id(pool, "huge");
    assert_int_equal(ceph_header_remove(pool, id), 0); /* or its removal would last for hours */
    lab_sweep(lab);
}

static void not_there(void **state)
{
    struct lab *lab = lab_of(state);
    struct ceph_image image;
    struct text_list watchers = {0};
    AUTO_FREE char *value = NULL;
    uint64_t enabled = 0;
    const struct ceph_image_name name = name_of(lab, "no-such-image");
    AUTO_ERROR struct error error = {0};
    assert_refused(ceph_image(lab->cluster, &name, &image, &error), &error, ERROR_NOT_FOUND);
    ceph_image_clear(&image);
    error_clear(&error);
    assert_refused(ceph_image_watchers(lab->cluster, &name, &watchers, &error), &error,
                   ERROR_NOT_FOUND);
    error_clear(&error);
    assert_refused(ceph_image_metadata(lab->cluster, &name, "x", &value, &error), &error,
                   ERROR_NOT_FOUND);
    error_clear(&error);
    assert_refused(ceph_image_enable_fast_diff(lab->cluster, &name, &enabled, &error), &error,
                   ERROR_NOT_FOUND);
    error_clear(&error);
    const struct ceph_qos qos = {.iops = 1};
    assert_refused(ceph_image_set_qos(lab->cluster, &name, &qos, &error), &error, ERROR_NOT_FOUND);
}

static void watchers(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = name_of(lab, "used");
    lab_make_image(lab, lab->scratch, "used", 16 * MIB, RBD_FEATURES_DEFAULT);
    struct text_list list = {0};
    assert_done(ceph_image_watchers(lab->cluster, &name, &list, &error), &error);
    assert_int_equal(list.count, 0);

    /* our own connection's writable handle does not count, another client's does */
    AUTO_OPEN struct ceph_open own = {0};
    assert_done(ceph_image_open(lab->cluster, &name, false, &own, &error), &error);
    assert_done(ceph_image_watchers(lab->cluster, &name, &list, &error), &error);
    assert_int_equal(list.count, 0);
    assert_done(ceph_image_watchers(lab->limited, &name, &list, &error), &error);
    assert_int_equal(list.count, 1);
    text_list_clear(&list);

    struct child holder = lab_spawn("--hold", lab->scratch, "used", NULL);
    assert_done(ceph_image_watchers(lab->cluster, &name, &list, &error), &error);
    assert_int_equal(list.count, 1);
    assert_non_null(strstr(list.items[0], " client."));
    struct ceph_image image;
    read_image(lab->cluster, &name, &image);
    assert_int_equal(image.watchers.count, 1);
    assert_string_equal(image.watchers.items[0], list.items[0]);
    ceph_image_clear(&image);
    text_list_clear(&list);
    assert_int_equal(lab_kill(&holder, SIGTERM), 0);
}

/* Who is there, who hangs, and who has been killed a moment ago are all somebody. */
static void nobody_is_not_somebody(void **state)
{
    struct lab *lab = lab_of(state);
    lab_make_image(lab, lab->scratch, "somebody", 8 * MIB, RBD_FEATURES_DEFAULT);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_FREE char *id = lab_image_id(pool, "somebody");
    assert_true(ceph_watched_by_nobody(pool, id));
    assert_false(ceph_watched_by_nobody(pool, "0123456789ab")); /* no such image */
    struct child holder = lab_spawn("--hold", lab->scratch, "somebody", NULL);
    for (int i = 0; i < 20; i++)
        assert_false(ceph_watched_by_nobody(pool, id));
    kill(holder.pid, SIGSTOP);
    assert_false(ceph_watched_by_nobody(pool, id));
    assert_int_equal(lab_kill(&holder, SIGKILL), -SIGKILL);
    assert_false(ceph_watched_by_nobody(pool, id));
}

/* Snapshots, a clone of one, and the clone in the trash. */
static void snapshots_and_clones(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_name name = name_of(lab, "parent");
    const struct ceph_image_name child = name_of(lab, "child");
    struct ceph_image image;
    lab_make_image(lab, lab->scratch, "parent", 16 * MIB, RBD_FEATURES_DEFAULT);
    AUTO_IMAGE rbd_image_t open = NULL;
    assert_int_equal(rbd_open(pool, "parent", &open, NULL), 0);
    assert_int_equal(rbd_snap_create(open, "one"), 0);
    assert_int_equal(rbd_snap_create(open, "two"), 0);
    read_image(lab->cluster, &name, &image);
    assert_int_equal(image.snapshots, 2);
    assert_int_equal(image.children, 0);
    assert_false(image.is_clone);
    ceph_image_clear(&image);

    assert_int_equal(rbd_snap_protect(open, "one"), 0);
    rbd_image_options_t options;
    rbd_image_options_create(&options);
    assert_int_equal(rbd_clone3(pool, "parent", "one", pool, "child", options), 0);
    rbd_image_options_destroy(options);
    struct ceph_cluster *const users[] = {lab->cluster, lab->limited, lab->reader};
    for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
        read_image(users[i], &name, &image);
        assert_int_equal(image.children, 1);
        ceph_image_clear(&image);
        read_image(users[i], &child, &image);
        assert_true(image.is_clone);
        assert_int_equal(image.snapshots, 0);
        ceph_image_clear(&image);
    }
    assert_int_equal(rbd_trash_move(pool, "child", 0), 0);
    read_image(lab->cluster, &name, &image);
    assert_int_equal(image.children, 1);
    ceph_image_clear(&image);

    /* Takes the clone away, and all that does not depend on it. */
    lab_sweep(lab);
    assert_int_equal(rbd_snap_unprotect(open, "one"), 0);
    assert_int_equal(rbd_snap_remove(open, "one"), 0);
}

static void group(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_name name = name_of(lab, "member");
    struct ceph_image image;
    lab_make_image(lab, lab->scratch, "member", 16 * MIB, RBD_FEATURES_DEFAULT);
    read_image(lab->cluster, &name, &image);
    assert_false(image.in_group);
    ceph_image_clear(&image);
    assert_int_equal(rbd_group_create(pool, "group"), 0);
    assert_int_equal(rbd_group_image_add(pool, "group", pool, "member"), 0);
    assert_int_equal(rbd_group_snap_create(pool, "group", "together"), 0);
    read_image(lab->cluster, &name, &image);
    assert_true(image.in_group);
    assert_int_equal(image.snapshots, 1);
    ceph_image_clear(&image);
    assert_int_equal(rbd_group_snap_remove(pool, "group", "together"), 0);
    assert_int_equal(rbd_group_remove(pool, "group"), 0);
    lab_sweep(lab);
}

static void mirroring(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_name name = name_of(lab, "mirrored");
    struct ceph_image image;
    lab_make_image(lab, lab->scratch, "mirrored", 16 * MIB,
                   RBD_FEATURES_DEFAULT | RBD_FEATURE_JOURNALING);
    assert_int_equal(rbd_mirror_mode_set(pool, RBD_MIRROR_MODE_IMAGE), 0);
    read_image(lab->cluster, &name, &image);
    assert_false(image.mirrored);
    assert_true((image.features & RBD_FEATURE_JOURNALING) != 0);
    ceph_image_clear(&image);
    AUTO_FREE char *spec = ceph_image_text(&name);
    free(lab_rbd(lab, "mirror", "image", "enable", spec, NULL));
    struct ceph_cluster *const users[] = {lab->cluster, lab->limited, lab->reader};
    for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
        read_image(users[i], &name, &image);
        assert_true(image.mirrored);
        ceph_image_clear(&image);
    }
    free(lab_rbd(lab, "mirror", "image", "disable", "--force", spec, NULL));
    assert_int_equal(rbd_mirror_mode_set(pool, RBD_MIRROR_MODE_DISABLED), 0);
    lab_sweep(lab);
}

/* A source as old clusters have it, from nothing to fast-diff and back, while a client writes and
 * makes new objects all the time. The map must then be right: rbd itself checks it. */
static void prepared_while_in_use(struct lab *lab, uint64_t features)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = name_of(lab, "busy");
    lab_make_image(lab, lab->scratch, "busy", 4096 * MIB, features);
    struct child holder = lab_spawn("--hold", lab->scratch, "busy", NULL);
    ceph_pause(300);

    uint64_t enabled = 0;
    double start = ceph_clock();
    assert_done(ceph_image_enable_fast_diff(lab->cluster, &name, &enabled, &error), &error);
    print_message("    enabled in %.2f s\n", ceph_clock() - start);
    assert_int_equal(enabled, ALL_THREE & ~features);
    struct ceph_image image;
    read_image(lab->cluster, &name, &image);
    assert_int_equal(image.features, features | ALL_THREE);
    assert_false(image.object_map_invalid || image.fast_diff_invalid);
    assert_true(image.allocated_known);
    assert_true(image.allocated > 0 && image.allocated < image.size);
    ceph_image_clear(&image);
    ceph_pause(500); /* it goes on writing, now with the map */

    uint64_t again = 1;
    assert_done(ceph_image_enable_fast_diff(lab->cluster, &name, &again, &error), &error);
    assert_int_equal(again, 0);
    assert_int_equal(lab_kill(&holder, SIGTERM), 0);
    AUTO_FREE char *spec = ceph_image_text(&name);
    free(lab_rbd(lab, "object-map", "check", spec, "--no-progress", NULL));
    read_image(lab->cluster, &name, &image);
    assert_false(image.object_map_invalid || image.fast_diff_invalid);
    ceph_image_clear(&image);

    assert_done(ceph_image_disable_features(lab->cluster, &name, enabled, &error), &error);
    assert_done(ceph_image_disable_features(lab->cluster, &name, enabled, &error), &error);
    read_image(lab->cluster, &name, &image);
    assert_int_equal(image.features, features);
    ceph_image_clear(&image);
    lab_sweep(lab);
}

static void prepare_a_plain_source(void **state)
{
    prepared_while_in_use(lab_of(state), RBD_FEATURE_LAYERING);
}

static void prepare_a_locked_source(void **state)
{
    struct lab *lab = lab_of(state);
    prepared_while_in_use(lab, RBD_FEATURE_LAYERING | RBD_FEATURE_EXCLUSIVE_LOCK);
}

static void take_back_under_a_writer(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = name_of(lab, "back");
    lab_make_image(lab, lab->scratch, "back", 64 * MIB, RBD_FEATURES_DEFAULT);
    struct child holder = lab_spawn("--hold", lab->scratch, "back", NULL);
    assert_done(ceph_image_disable_features(lab->cluster, &name, ALL_THREE, &error), &error);
    struct ceph_image image;
    read_image(lab->cluster, &name, &image);
    assert_int_equal(image.features, RBD_FEATURE_LAYERING | RBD_FEATURE_DEEP_FLATTEN);
    assert_int_equal(image.watchers.count, 1); /* still there, and still writing */
    ceph_image_clear(&image);
    ceph_pause(300);
    assert_int_equal(lab_kill(&holder, SIGTERM), 0);
}

static void rebuild_an_invalid_map(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    static const uint64_t places[] = {0, 20 * MIB};
    const struct ceph_image_name name = name_of(lab, "invalid");
    lab_make_image(lab, lab->scratch, "invalid", 64 * MIB,
                   RBD_FEATURE_LAYERING | RBD_FEATURE_EXCLUSIVE_LOCK);
    write_at(lab, "invalid", places, ARRAY_SIZE(places));
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    rbd_image_t open;
    assert_int_equal(rbd_open(pool, "invalid", &open, NULL), 0);
    assert_int_equal(rbd_update_features(open, RBD_FEATURE_OBJECT_MAP | RBD_FEATURE_FAST_DIFF, 1),
                     0);
    rbd_close(open);
    struct ceph_image image;
    read_image(lab->cluster, &name, &image);
    assert_true(image.object_map_invalid);
    assert_false(image.allocated_known);
    ceph_image_clear(&image);

    uint64_t enabled = 1;
    assert_done(ceph_image_enable_fast_diff(lab->cluster, &name, &enabled, &error), &error);
    assert_int_equal(enabled, 0);
    read_image(lab->cluster, &name, &image);
    assert_false(image.object_map_invalid);
    assert_int_equal(image.allocated, 8 * MIB);
    ceph_image_clear(&image);
    lab_sweep(lab);
}

static void no_rights_to_prepare(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    uint64_t enabled = 1;
    const struct ceph_image_name name = name_of(lab, "theirs");
    lab_make_image(lab, lab->scratch, "theirs", 8 * MIB, RBD_FEATURE_LAYERING);
    assert_refused(ceph_image_enable_fast_diff(lab->reader, &name, &enabled, &error), &error,
                   ERROR_DENIED);
    assert_int_equal(enabled, 0);
    lab_sweep(lab);
}

/* What `rbd config image ls` says of an option, "SOURCE=VALUE", new string. */
static char *configured(const struct lab *lab, const char *image, const char *option)
{
    AUTO_FREE char *spec = text_format("%s/%s", lab->scratch, image);
    AUTO_FREE char *text = lab_rbd(lab, "config", "image", "ls", spec, "--format", "json", NULL);
    json_object *list = json_tokener_parse(text);
    assert_non_null(list);
    char *found = NULL;
    for (size_t i = 0; i < json_object_array_length(list) && !found; i++) {
        json_object *entry = json_object_array_get_idx(list, i);
        if (strcmp(json_object_get_string(json_object_object_get(entry, "name")), option) == 0)
            found = text_format("%s=%s",
                                json_object_get_string(json_object_object_get(entry, "source")),
                                json_object_get_string(json_object_object_get(entry, "value")));
    }
    json_object_put(list);
    assert_non_null(found);
    return found;
}

static void assert_configured(const struct lab *lab, const char *option, const char *expected)
{
    AUTO_FREE char *value = configured(lab, "limited", option);
    assert_string_equal(value, expected);
}

static void limits(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = name_of(lab, "limited");
    lab_make_image(lab, lab->scratch, "limited", 16 * MIB, RBD_FEATURES_DEFAULT);
    const struct ceph_qos all = {.iops = 100,
                                 .iops_burst = 200,
                                 .read_iops = 300,
                                 .write_iops = 400,
                                 .bps = 500 * MIB,
                                 .bps_burst = 600 * MIB,
                                 .read_bps = 700 * MIB,
                                 .write_bps = 800 * MIB};
    assert_done(ceph_image_set_qos(lab->cluster, &name, &all, &error), &error);
    assert_done(ceph_image_set_qos(lab->cluster, &name, &all, &error), &error);
    assert_configured(lab, "rbd_qos_iops_limit", "image=100");
    assert_configured(lab, "rbd_qos_iops_burst", "image=200");
    assert_configured(lab, "rbd_qos_read_iops_limit", "image=300");
    assert_configured(lab, "rbd_qos_write_iops_limit", "image=400");
    assert_configured(lab, "rbd_qos_bps_limit", "image=524288000");
    assert_configured(lab, "rbd_qos_bps_burst", "image=629145600");
    assert_configured(lab, "rbd_qos_read_bps_limit", "image=734003200");
    assert_configured(lab, "rbd_qos_write_bps_limit", "image=838860800");

    const struct ceph_qos less = {.iops = 50, .bps = 10 * MIB};
    assert_done(ceph_image_set_qos(lab->cluster, &name, &less, &error), &error);
    assert_configured(lab, "rbd_qos_iops_limit", "image=50");
    assert_configured(lab, "rbd_qos_iops_burst", "config=0");
    assert_configured(lab, "rbd_qos_bps_limit", "image=10485760");
    assert_configured(lab, "rbd_qos_write_bps_limit", "config=0");

    const struct ceph_qos none = {0};
    assert_done(ceph_image_set_qos(lab->cluster, &name, &none, &error), &error);
    assert_done(ceph_image_set_qos(lab->cluster, &name, &none, &error), &error);
    assert_configured(lab, "rbd_qos_iops_limit", "config=0");
    assert_configured(lab, "rbd_qos_bps_limit", "config=0");
    lab_sweep(lab);
}

/* A limit bites on an image that is open elsewhere, at once. */
static void limits_are_live(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = name_of(lab, "slow");
    lab_make_image(lab, lab->scratch, "slow", 64 * MIB, RBD_FEATURES_DEFAULT);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_IMAGE rbd_image_t open = NULL;
    assert_int_equal(rbd_open(pool, "slow", &open, NULL), 0);
    const struct ceph_qos slow = {.write_iops = 10};
    assert_done(ceph_image_set_qos(lab->cluster, &name, &slow, &error), &error);
    ceph_pause(1000);
    char block[4096] = "x";
    double start = ceph_clock();
    for (uint64_t i = 0; i < 30; i++)
        assert_int_equal(rbd_write(open, i * sizeof(block), sizeof(block), block), sizeof(block));
    double limited = ceph_clock() - start;
    const struct ceph_qos none = {0};
    assert_done(ceph_image_set_qos(lab->cluster, &name, &none, &error), &error);
    ceph_pause(1000);
    start = ceph_clock();
    for (uint64_t i = 0; i < 30; i++)
        assert_int_equal(rbd_write(open, i * sizeof(block), sizeof(block), block), sizeof(block));
    double free_again = ceph_clock() - start;
    print_message("    30 writes: %.2f s limited to 10/s, %.2f s without\n", limited, free_again);
    assert_true(limited > 1.5);
    assert_true(free_again < limited / 2);
}

static void long_metadata(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = name_of(lab, "noted");
    lab_make_image(lab, lab->scratch, "noted", 8 * MIB, RBD_FEATURES_DEFAULT);
    AUTO_FREE char *text = memory_new(2001, 1);
    memset(text, 'm', 2000);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    rbd_image_t open;
    assert_int_equal(rbd_open(pool, "noted", &open, NULL), 0);
    assert_int_equal(rbd_metadata_set(open, "note", text), 0);
    assert_int_equal(rbd_metadata_set(open, "empty", ""), 0);
    rbd_close(open);
    AUTO_FREE char *value = NULL;
    AUTO_FREE char *empty = NULL;
    AUTO_FREE char *missing = NULL;
    assert_done(ceph_image_metadata(lab->cluster, &name, "note", &value, &error), &error);
    assert_done(ceph_image_metadata(lab->cluster, &name, "empty", &empty, &error), &error);
    assert_done(ceph_image_metadata(lab->cluster, &name, "missing", &missing, &error), &error);
    assert_string_equal(value, text);
    assert_string_equal(empty, "");
    assert_null(missing);
    lab_sweep(lab);
}

int ceph_adapter_image_tests(struct lab *lab)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(allocation, lab),
        cmocka_unit_test_prestate(not_there, lab),
        cmocka_unit_test_prestate(watchers, lab),
        cmocka_unit_test_prestate(snapshots_and_clones, lab),
        cmocka_unit_test_prestate(group, lab),
        cmocka_unit_test_prestate(mirroring, lab),
        cmocka_unit_test_prestate(prepare_a_plain_source, lab),
        cmocka_unit_test_prestate(prepare_a_locked_source, lab),
        cmocka_unit_test_prestate(take_back_under_a_writer, lab),
        cmocka_unit_test_prestate(rebuild_an_invalid_map, lab),
        cmocka_unit_test_prestate(no_rights_to_prepare, lab),
        cmocka_unit_test_prestate(limits, lab),
        cmocka_unit_test_prestate(limits_are_live, lab),
        cmocka_unit_test_prestate(long_metadata, lab),
        cmocka_unit_test_prestate(nobody_is_not_somebody, lab),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
