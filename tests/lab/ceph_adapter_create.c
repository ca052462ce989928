/* Making images and removing them again, and never touching anybody else's. */
#include "ceph/mon_command.h"
#include "ceph_adapter_lab.h"

#include <signal.h>

#define FEATURES                                                                                   \
    (RBD_FEATURE_LAYERING | RBD_FEATURE_EXCLUSIVE_LOCK | RBD_FEATURE_OBJECT_MAP |                  \
     RBD_FEATURE_FAST_DIFF | RBD_FEATURE_DEEP_FLATTEN)

static struct lab *lab_of(void **state)
{
    return *state;
}

static struct ceph_image_spec spec_of(const struct lab *lab, const char *image, const char *token)
{
    return (struct ceph_image_spec){.name = {.pool = lab->scratch, .image = image},
                                    .size = 10 * MIB + 512,
                                    .object_size = MIB,
                                    .token = token,
                                    .domain_uuid = "6f1c2f5e-0000-4000-8000-000000000001",
                                    .domain_name = "db1",
                                    .target = "vda",
                                    .source = "/var/lib/libvirt/images/db1.qcow2"};
}

static void created(struct ceph_cluster *cluster, const struct ceph_image_spec *spec)
{
    AUTO_ERROR struct error error = {0};
    assert_done(ceph_image_create(cluster, spec, &error), &error);
}

static void not_created(struct ceph_cluster *cluster, const struct ceph_image_spec *spec,
                        enum error_code code)
{
    AUTO_ERROR struct error error = {0};
    assert_refused(ceph_image_create(cluster, spec, &error), &error, code);
    assert_null(strstr(error.message, "may be left"));
}

static void removed(struct ceph_cluster *cluster, const struct ceph_image_spec *spec)
{
    AUTO_ERROR struct error error = {0};
    assert_done(ceph_image_remove_owned(cluster, &spec->name, spec->token, 40, &error), &error);
}

static void nothing_left(struct lab *lab, const char *pool, const char *name_space)
{
    AUTO_POOL rados_ioctx_t handle = lab_pool(lab, pool, name_space);
    AUTO_FREE char *objects = lab_objects(handle);
    assert_string_equal(objects, "");
}

static void metadata_is(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                        const char *key, const char *expected)
{
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *value = NULL;
    assert_done(ceph_image_metadata(cluster, name, key, &value, &error), &error);
    if (!text_equal(value, expected))
        fail_msg("%s is '%s', not '%s'", key, value ? value : "unset",
                 expected ? expected : "unset");
}

static void as_specified(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_spec spec = spec_of(lab, "db1-vda", "move1-vda");
    double start = ceph_clock();
    created(lab->cluster, &spec);
    print_message("    created in %.0f ms\n", (ceph_clock() - start) * 1000);

    struct ceph_image image;
    assert_done(ceph_image(lab->cluster, &spec.name, &image, &error), &error);
    assert_int_equal(image.size, 10 * MIB + 512);
    assert_int_equal(image.object_size, MIB);
    assert_int_equal(image.features, FEATURES);
    assert_int_equal(image.watchers.count, 0);
    assert_string_equal(image.owner_token, "move1-vda");
    assert_true(image.allocated_known);
    assert_int_equal(image.allocated, 0);
    ceph_image_clear(&image);
    metadata_is(lab->cluster, &spec.name, "virt-pivot.domain", "db1");
    metadata_is(lab->cluster, &spec.name, "virt-pivot.domain-uuid", spec.domain_uuid);
    metadata_is(lab->cluster, &spec.name, "virt-pivot.target", "vda");
    metadata_is(lab->cluster, &spec.name, "virt-pivot.source", spec.source);
    metadata_is(lab->cluster, &spec.name, "conf_rbd_qos_iops_limit", NULL);
    AUTO_FREE char *when = NULL;
    assert_done(ceph_image_metadata(lab->cluster, &spec.name, "virt-pivot.created", &when, &error),
                &error);
    assert_true(text_starts_with(when, "20") && when[strlen(when) - 1] == 'Z');

    removed(lab->cluster, &spec);
    removed(lab->cluster, &spec); /* and nothing to do is success */
    nothing_left(lab, lab->scratch, NULL);
}

static void twice_is_once(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    struct ceph_image_spec spec = spec_of(lab, "twice", "twice-1");
    created(lab->cluster, &spec);
    AUTO_FREE char *first = lab_image_id(pool, "twice");
    created(lab->cluster, &spec);
    AUTO_FREE char *second = lab_image_id(pool, "twice");
    assert_string_equal(first, second);

    spec.size += 512;
    not_created(lab->cluster, &spec, ERROR_EXISTS);
    spec.size -= 512;
    spec.token = "twice-2";
    not_created(lab->cluster, &spec, ERROR_EXISTS);
    spec.token = "twice-1";
    AUTO_FREE char *third = lab_image_id(pool, "twice");
    assert_string_equal(first, third);
    removed(lab->cluster, &spec);
    nothing_left(lab, lab->scratch, NULL);
}

/* Somebody else's image with data and metadata in it: neither making nor removing changes it. */
static void foreign_image(void **state)
{
    struct lab *lab = lab_of(state);
    lab_make_image(lab, lab->scratch, "foreign", 4 * MIB, RBD_FEATURES_DEFAULT);
    const struct ceph_image_spec spec = spec_of(lab, "foreign", "mine-1");
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_FREE char *before = lab_objects(pool);

    not_created(lab->cluster, &spec, ERROR_EXISTS);
    removed(lab->cluster, &spec); /* success: it is not ours */
    AUTO_FREE char *after = lab_objects(pool);
    assert_string_equal(before, after);
    metadata_is(lab->cluster, &spec.name, "virt-pivot.token", NULL);

    rbd_image_t image = NULL;
    assert_int_equal(rbd_open(pool, "foreign", &image, NULL), 0);
    assert_int_equal(rbd_metadata_set(image, "virt-pivot.token", "another-1"), 0);
    rbd_close(image);
    not_created(lab->cluster, &spec, ERROR_EXISTS);
    removed(lab->cluster, &spec);
    AUTO_FREE char *still = lab_objects(pool);
    assert_string_equal(before, still);
    lab_sweep(lab);
}

/* The other one comes after we looked, before we rename: simulated by an id object alone, which is
 * what rbd_rename finds. */
static void foreign_image_in_the_last_moment(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    static const char id[] = "\x06\0\0\0abcdef";
    assert_int_equal(rados_write_full(pool, "rbd_id.late", id, sizeof(id) - 1), 0);
    const struct ceph_image_spec spec = spec_of(lab, "late", "late-1");
    not_created(lab->cluster, &spec, ERROR_EXISTS);
    AUTO_FREE char *objects = lab_objects(pool);
    assert_string_equal(objects, "rbd_id.late");
    rados_remove(pool, "rbd_id.late");
}

static void missing_places(void **state)
{
    struct lab *lab = lab_of(state);
    struct ceph_image_spec spec = spec_of(lab, "lost", "lost-1");
    spec.name.pool = "no-such-pool";
    not_created(lab->cluster, &spec, ERROR_NOT_FOUND);
    removed(lab->cluster, &spec);
    spec.name.pool = lab->scratch;
    spec.data_pool = "no-such-pool";
    not_created(lab->cluster, &spec, ERROR_NOT_FOUND);
    spec.data_pool = NULL;
    spec.name.name_space = "nobody";
    not_created(lab->cluster, &spec, ERROR_NOT_FOUND);
    removed(lab->cluster, &spec);
    nothing_left(lab, lab->scratch, NULL);
    nothing_left(lab, lab->scratch, "nobody");
}

static void illegal_names(void **state)
{
    struct lab *lab = lab_of(state);
    static const char *const names[] = {"", "a/b", "a@b", ".hidden", "a\nb"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const struct ceph_image_spec spec = spec_of(lab, names[i], "name-1");
        not_created(lab->cluster, &spec, ERROR_INPUT);
    }
    const struct ceph_image_spec spec = spec_of(lab, "fine", "not fine");
    not_created(lab->cluster, &spec, ERROR_INPUT);
    nothing_left(lab, lab->scratch, NULL);
}

static void in_a_namespace_with_a_data_pool(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    struct ceph_image_spec spec = spec_of(lab, "inside", "inside-1");
    spec.name.name_space = "tenant";
    spec.data_pool = lab->data;
    created(lab->cluster, &spec);
    created(lab->cluster, &spec);
    struct ceph_image image;
    assert_done(ceph_image(lab->cluster, &spec.name, &image, &error), &error);
    assert_int_equal(image.features, FEATURES | RBD_FEATURE_DATA_POOL);
    ceph_image_clear(&image);
    nothing_left(lab, lab->scratch, NULL);
    removed(lab->cluster, &spec);
    nothing_left(lab, lab->scratch, "tenant");
    nothing_left(lab, lab->data, NULL);
}

static void rights_of_the_user(void **state)
{
    struct lab *lab = lab_of(state);
    struct ceph_image_spec spec = spec_of(lab, "mine", "limited-1");
    created(lab->limited, &spec);
    removed(lab->limited, &spec);
    not_created(lab->reader, &spec, ERROR_DENIED);
    spec.name.pool = lab->data;
    not_created(lab->limited, &spec, ERROR_DENIED);
    nothing_left(lab, lab->scratch, NULL);
    nothing_left(lab, lab->data, NULL);
}

/* The pool's own flag: it follows the quota with some delay, and only then do writes fail. */
static bool is_flagged_full(struct lab *lab, const char *pool)
{
    AUTO_ERROR struct error error = {0};
    AUTO_JSON json_object *reply = NULL;
    struct ceph_pool info = {0};
    assert_done(ceph_mon_command(lab->cluster, CEPH_COMMAND_POOLS, &reply, &error), &error);
    assert_done(ceph_pool_read_flags(reply, pool, &info, &error), &error);
    return info.full;
}

static void wait_full(struct lab *lab, const char *pool, bool full)
{
    double deadline = ceph_clock() + 60;
    while (is_flagged_full(lab, pool) != full) {
        if (ceph_clock() > deadline)
            fail_msg("pool %s does not get %s", pool, full ? "full" : "empty");
        ceph_pause(200);
    }
    ceph_pause(1000); /* to the clients */
}

static void set_quota(struct lab *lab, const char *pool, uint64_t bytes)
{
    free(lab_command(lab,
                     "{\"prefix\":\"osd pool set-quota\",\"pool\":\"%s\",\"field\":\"max_bytes\","
                     "\"val\":\"%llu\"}",
                     pool, (unsigned long long)bytes));
}

/* Writes as much, as the administrator, into an image of ours. */
static void fill(struct lab *lab, const struct ceph_image_name *name, uint64_t bytes)
{
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, name->pool, name->name_space);
    AUTO_IMAGE rbd_image_t image = NULL;
    assert_int_equal(rbd_open(pool, name->image, &image, NULL), 0);
    AUTO_FREE char *data = memory_new(MIB, 1);
    memset(data, 'x', MIB);
    for (uint64_t at = 0; at < bytes; at += MIB)
        assert_int_equal(rbd_write(image, at, MIB, data), MIB);
}

/* Our own copy has filled the pool: nothing blocks, nothing new is made, and ours can be removed
 * although a full pool takes no new object. */
static void full_pool(void **state)
{
    struct lab *lab = lab_of(state);
    const struct ceph_image_spec ours = spec_of(lab, "filler", "full-1");
    const struct ceph_image_spec next = spec_of(lab, "next", "full-2");
    const struct ceph_image_spec aside = spec_of(lab, "aside", "full-0");
    created(lab->cluster, &ours);
    created(lab->cluster, &aside);
    set_quota(lab, lab->scratch, 4 * MIB);
    fill(lab, &ours.name, 8 * MIB);
    wait_full(lab, lab->scratch, true);

    double start = ceph_clock();
    not_created(lab->cluster, &next, ERROR_NO_SPACE);
    AUTO_ERROR struct error error = {0};
    assert_refused(ceph_pool_writable(lab->cluster, lab->scratch, NULL, &error), &error,
                   ERROR_NO_SPACE);
    error_clear(&error);
    AUTO_FREE char *id = NULL;
    assert_done(ceph_image_trash_owned(lab->cluster, &aside.name, aside.token, 60, &id, &error),
                &error);
    assert_non_null(id);
    assert_true(ceph_clock() - start < 3);
    start = ceph_clock();
    removed(lab->cluster, &ours);
    print_message("    removed from the full pool in %.1f s\n", ceph_clock() - start);
    set_quota(lab, lab->scratch, 0);
    wait_full(lab, lab->scratch, false);
    lab_sweep(lab);
    nothing_left(lab, lab->scratch, NULL);
}

static void full_data_pool(void **state)
{
    struct lab *lab = lab_of(state);
    struct ceph_image_spec ours = spec_of(lab, "filler", "full-3");
    ours.data_pool = lab->data;
    created(lab->cluster, &ours);
    set_quota(lab, lab->data, 4 * MIB);
    fill(lab, &ours.name, 8 * MIB);
    wait_full(lab, lab->data, true);
    double start = ceph_clock();
    removed(lab->cluster, &ours);
    print_message("    removed in %.1f s\n", ceph_clock() - start);
    set_quota(lab, lab->data, 0);
    wait_full(lab, lab->data, false);
    nothing_left(lab, lab->scratch, NULL);
    nothing_left(lab, lab->data, NULL);
}

/* In use: kept, and who uses it is named; once that client was killed its watch fades within the
 * patience. */
static void watched_image(void **state)
{
    struct lab *lab = lab_of(state);
    const struct ceph_image_spec spec = spec_of(lab, "watched", "watched-1");
    created(lab->cluster, &spec);
    struct child holder = lab_spawn("--hold", lab->scratch, "watched", NULL);
    AUTO_ERROR struct error error = {0};
    double start = ceph_clock();
    assert_refused(ceph_image_remove_owned(lab->cluster, &spec.name, spec.token, 1, &error), &error,
                   ERROR_BUSY);
    assert_true(ceph_clock() - start < 3);
    assert_non_null(strstr(error.message, " client."));
    metadata_is(lab->cluster, &spec.name, "virt-pivot.token", "watched-1");
    assert_int_equal(lab_kill(&holder, SIGKILL), -SIGKILL);
    start = ceph_clock();
    removed(lab->cluster, &spec);
    print_message("    removed %.1f s after its user was killed\n", ceph_clock() - start);
    nothing_left(lab, lab->scratch, NULL);
}

static void image_with_a_snapshot(void **state)
{
    struct lab *lab = lab_of(state);
    const struct ceph_image_spec spec = spec_of(lab, "snapped", "snapped-1");
    created(lab->cluster, &spec);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    rbd_image_t image;
    assert_int_equal(rbd_open(pool, "snapped", &image, NULL), 0);
    assert_int_equal(rbd_snap_create(image, "precious"), 0);
    AUTO_ERROR struct error error = {0};
    rbd_close(image);
    assert_refused(ceph_image_remove_owned(lab->cluster, &spec.name, spec.token, 0, &error), &error,
                   ERROR_OPERATOR);
    metadata_is(lab->cluster, &spec.name, "virt-pivot.token", "snapped-1");

    assert_int_equal(rbd_open(pool, "snapped", &image, NULL), 0);
    assert_int_equal(rbd_snap_remove(image, "precious"), 0);
    rbd_close(image);
    removed(lab->cluster, &spec);
    nothing_left(lab, lab->scratch, NULL);
}

/* A configuration in the cluster for all clients does not change what is asked for. */
static void cluster_wide_defaults(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    static const char *const options[][2] = {{"rbd_default_features", "1"},
                                             {"rbd_default_stripe_unit", "65536"},
                                             {"rbd_default_stripe_count", "4"},
                                             {"rbd_default_order", "24"}};
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        free(lab_command(lab,
                         "{\"prefix\":\"config set\",\"who\":\"client\",\"name\":\"%s\","
                         "\"value\":\"%s\"}",
                         options[i][0], options[i][1]));
    const struct ceph_login login = lab_login(lab);
    struct ceph_cluster *cluster = NULL;
    int connected = ceph_connect(&login, &cluster, &error);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        free(lab_command(lab, "{\"prefix\":\"config rm\",\"who\":\"client\",\"name\":\"%s\"}",
                         options[i][0]));
    assert_done(connected, &error);

    const struct ceph_image_spec spec = spec_of(lab, "exact", "exact-1");
    created(cluster, &spec);
    struct ceph_image image;
    assert_done(ceph_image(cluster, &spec.name, &image, &error), &error);
    assert_int_equal(image.features, FEATURES);
    assert_int_equal(image.object_size, MIB);
    ceph_image_clear(&image);
    removed(cluster, &spec);
    ceph_disconnect(cluster);
}

int ceph_adapter_create_tests(struct lab *lab)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(as_specified, lab),
        cmocka_unit_test_prestate(twice_is_once, lab),
        cmocka_unit_test_prestate(foreign_image, lab),
        cmocka_unit_test_prestate(foreign_image_in_the_last_moment, lab),
        cmocka_unit_test_prestate(missing_places, lab),
        cmocka_unit_test_prestate(illegal_names, lab),
        cmocka_unit_test_prestate(in_a_namespace_with_a_data_pool, lab),
        cmocka_unit_test_prestate(rights_of_the_user, lab),
        cmocka_unit_test_prestate(cluster_wide_defaults, lab),
        cmocka_unit_test_prestate(image_with_a_snapshot, lab),
        cmocka_unit_test_prestate(watched_image, lab),
        cmocka_unit_test_prestate(full_pool, lab),
        cmocka_unit_test_prestate(full_data_pool, lab),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
