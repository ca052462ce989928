/* Images that are not ours, given up and brought back: by their id, and only unwatched ones. */
#include "ceph_adapter_source.h"

#include <time.h>

#define OURS CEPH_SNAPSHOT_PREFIX "verify.t-1"

static struct lab *lab_of(void **state)
{
    return *state;
}

struct ceph_image_name source_name(const struct lab *lab)
{
    return (struct ceph_image_name){.pool = lab->scratch, .image = SOURCE_IMAGE};
}

static rbd_image_t open_image(rados_ioctx_t pool, const char *name)
{
    rbd_image_t image = NULL;
    assert_int_equal(rbd_open(pool, name, &image, NULL), 0);
    return image;
}

char *source_make(struct lab *lab, rados_ioctx_t pool)
{
    AUTO_ERROR struct error error = {0};
    lab_make_image(lab, lab->scratch, SOURCE_IMAGE, SOURCE_SIZE, RBD_FEATURES_DEFAULT);
    rbd_image_t image = open_image(pool, SOURCE_IMAGE);
    assert_int_equal(rbd_write(image, 5 * MIB, 8, "precious"), 8);
    rbd_close(image);
    const struct ceph_image_name name = source_name(lab);
    char *id = NULL;
    assert_done(ceph_image_id(lab->cluster, &name, &id, &error), &error);
    AUTO_FREE char *expected = lab_image_id(pool, SOURCE_IMAGE);
    assert_string_equal(id, expected);
    return id;
}

size_t source_trash_count(rados_ioctx_t pool)
{
    rbd_trash_image_info_t entries[8];
    size_t count = ARRAY_SIZE(entries);
    assert_true(rbd_trash_list(pool, entries, &count) >= 0);
    rbd_trash_list_cleanup(entries, count);
    return count;
}

bool source_is_trashed(struct lab *lab, const char *id)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = source_name(lab);
    bool trashed = false;
    assert_done(ceph_image_is_trashed(lab->cluster, &name, id, &trashed, &error), &error);
    return trashed;
}

void source_whole(rados_ioctx_t pool, const char *id)
{
    AUTO_FREE char *is = lab_image_id(pool, SOURCE_IMAGE);
    assert_string_equal(is, id);
    char found[8];
    AUTO_IMAGE rbd_image_t image = open_image(pool, SOURCE_IMAGE);
    assert_int_equal(rbd_read(image, 5 * MIB, 8, found), 8);
    assert_memory_equal(found, "precious", 8);
    assert_int_equal(source_trash_count(pool), 0);
    rbd_image_spec_t images[4];
    size_t count = ARRAY_SIZE(images);
    assert_int_equal(rbd_list2(pool, images, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(images[0].id, id);
    rbd_image_spec_list_cleanup(images, count);
}

void source_nothing(rados_ioctx_t pool)
{
    AUTO_FREE char *objects = lab_objects(pool);
    assert_string_equal(objects, "");
    assert_int_equal(source_trash_count(pool), 0);
}

void source_in_trash(rados_ioctx_t pool, const char *id)
{
    rbd_trash_image_info_t entry;
    assert_int_equal(rbd_trash_get(pool, id, &entry), 0);
    assert_string_equal(entry.name, SOURCE_IMAGE);
    assert_in_range(entry.deferment_end_time, time(NULL) + SOURCE_WEEK - 120,
                    time(NULL) + SOURCE_WEEK + 5);
    rbd_trash_get_cleanup(&entry);
    assert_int_equal(source_trash_count(pool), 1);
    rbd_image_t image = NULL;
    assert_int_equal(rbd_open_read_only(pool, SOURCE_IMAGE, &image, NULL), -ENOENT);
}

void source_trash(struct lab *lab, const char *id)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = source_name(lab);
    assert_done(ceph_image_trash(lab->cluster, &name, id, SOURCE_WEEK, &error), &error);
}

void source_restore(struct lab *lab, const char *id)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = source_name(lab);
    assert_done(ceph_image_restore(lab->cluster, &name, id, &error), &error);
}

void source_remove(struct lab *lab, const char *id)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = source_name(lab);
    assert_done(ceph_image_remove(lab->cluster, &name, id, &error), &error);
}

int source_try(struct lab *lab, enum source_verb verb, const char *id, struct error *error)
{
    const struct ceph_image_name name = source_name(lab);
    return verb == SOURCE_TRASH     ? ceph_image_trash(lab->cluster, &name, id, SOURCE_WEEK, error)
           : verb == SOURCE_RESTORE ? ceph_image_restore(lab->cluster, &name, id, error)
                                    : ceph_image_remove(lab->cluster, &name, id, error);
}

static void refused(struct lab *lab, enum source_verb verb, const char *id, enum error_code code,
                    const char *named)
{
    AUTO_ERROR struct error error = {0};
    double start = ceph_clock();
    assert_refused(source_try(lab, verb, id, &error), &error, code);
    assert_true(ceph_clock() - start < 5);
    assert_non_null(error.hint);
    if (!strstr(error.message, named))
        fail_msg("no '%s' in: %s", named, error.message);
}

static void there_and_back(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_FREE char *id = source_make(lab, pool);
    for (int i = 0; i < 2; i++) {
        source_restore(lab, id);
        assert_false(source_is_trashed(lab, id));
        source_whole(pool, id);
        source_trash(lab, id);
        source_trash(lab, id);
        assert_true(source_is_trashed(lab, id));
        source_in_trash(pool, id);
        source_restore(lab, id);
        source_whole(pool, id);
    }
    source_remove(lab, id);
    source_remove(lab, id);
    source_nothing(pool);
    refused(lab, SOURCE_TRASH, id, ERROR_NOT_FOUND, id);
    refused(lab, SOURCE_RESTORE, id, ERROR_NOT_FOUND, id);
    assert_false(source_is_trashed(lab, id));
}

/* Removed from the trash, before its time. */
static void out_of_the_trash(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_FREE char *id = source_make(lab, pool);
    source_trash(lab, id);
    source_remove(lab, id);
    source_nothing(pool);
}

/* Its time is over, and nobody has emptied the trash yet; then somebody has. */
static void after_its_time(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_name name = source_name(lab);
    AUTO_FREE char *id = source_make(lab, pool);
    assert_done(ceph_image_trash(lab->cluster, &name, id, 0, &error), &error);
    ceph_pause(1100);
    source_restore(lab, id);
    source_whole(pool, id);
    assert_done(ceph_image_trash(lab->cluster, &name, id, 0, &error), &error);
    assert_int_equal(rbd_trash_remove(pool, id, true), 0);
    refused(lab, SOURCE_RESTORE, id, ERROR_NOT_FOUND, "nor in the pool's trash");
}

/* Somebody has renamed it, and perhaps made another one with its name. */
static void renamed(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_FREE char *id = source_make(lab, pool);
    assert_int_equal(rbd_rename(pool, SOURCE_IMAGE, "elsewhere"), 0);
    for (int taken = 0; taken < 2; taken++) {
        if (taken)
            lab_make_image(lab, lab->scratch, SOURCE_IMAGE, 4 * MIB, RBD_FEATURES_DEFAULT);
        AUTO_FREE char *before = lab_objects(pool);
        refused(lab, SOURCE_TRASH, id, ERROR_NOT_FOUND, "renamed to 'elsewhere'");
        refused(lab, SOURCE_RESTORE, id, ERROR_NOT_FOUND, "renamed to 'elsewhere'");
        refused(lab, SOURCE_REMOVE, id, ERROR_NOT_FOUND, "renamed to 'elsewhere'");
        AUTO_FREE char *after = lab_objects(pool);
        assert_string_equal(before, after);
    }
}

static void name_is_taken(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_FREE char *id = source_make(lab, pool);
    source_trash(lab, id);
    lab_make_image(lab, lab->scratch, SOURCE_IMAGE, 4 * MIB, RBD_FEATURES_DEFAULT);
    AUTO_FREE char *before = lab_objects(pool);
    refused(lab, SOURCE_RESTORE, id, ERROR_EXISTS, "another image has this name");
    source_trash(lab, id); /* it is there, and the other one stays */
    AUTO_FREE char *after = lab_objects(pool);
    assert_string_equal(before, after);
    assert_int_equal(rbd_remove(pool, SOURCE_IMAGE), 0);
    source_restore(lab, id); /* the refusal has not spoilt it */
    source_whole(pool, id);
}

static void in_use(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_FREE char *id = source_make(lab, pool);
    const struct ceph_image_name name = source_name(lab);
    for (int writing = 0; writing < 2; writing++) {
        AUTO_ERROR struct error error = {0};
        struct ceph_open guest = {0};
        assert_done(ceph_image_open(lab->limited, &name, false, &guest, &error), &error);
        if (writing)
            assert_int_equal(rbd_write(guest.image, 0, 4, "mine"), 4);
        refused(lab, SOURCE_TRASH, id, ERROR_BUSY, " client.");
        refused(lab, SOURCE_REMOVE, id, ERROR_BUSY, " client.");
        ceph_open_close(&guest);
        source_whole(pool, id);
    }
}

static void with_snapshots(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_name name = source_name(lab);
    AUTO_FREE char *id = source_make(lab, pool);
    rbd_image_t image = open_image(pool, SOURCE_IMAGE);
    assert_int_equal(rbd_snap_create(image, "monday"), 0);
    assert_int_equal(rbd_snap_create(image, "tuesday"), 0);
    assert_int_equal(rbd_snap_protect(image, "tuesday"), 0);
    rbd_close(image);
    assert_done(ceph_snapshot_create(lab->cluster, &name, OURS, &error), &error);

    bool exists = false;
    refused(lab, SOURCE_REMOVE, id, ERROR_BUSY, "not ours: 'monday' and 'tuesday'");
    assert_done(ceph_snapshot_exists(lab->cluster, &name, OURS, &exists, &error), &error);
    assert_true(exists); /* a refusal changes nothing */
    source_trash(lab, id);
    /* An earlier removal may have begun with it: it is not put back by itself. */
    refused(lab, SOURCE_REMOVE, id, ERROR_BUSY, "cannot be removed");
    source_restore(lab, id);
    assert_done(ceph_snapshot_exists(lab->cluster, &name, OURS, &exists, &error), &error);
    assert_false(exists);
    image = open_image(pool, SOURCE_IMAGE);
    assert_int_equal(rbd_snap_remove(image, "monday"), 0);
    assert_int_equal(rbd_snap_unprotect(image, "tuesday"), 0);
    assert_int_equal(rbd_snap_remove(image, "tuesday"), 0);
    rbd_close(image);
    assert_done(ceph_snapshot_create(lab->cluster, &name, OURS, &error), &error);
    source_remove(lab, id);
    source_nothing(pool);
}

static void in_a_namespace(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, "tenant");
    int order = 0;
    assert_int_equal(rbd_create2(pool, SOURCE_IMAGE, SOURCE_SIZE, RBD_FEATURES_DEFAULT, &order), 0);
    struct ceph_image_name name = source_name(lab);
    name.name_space = "tenant";
    AUTO_FREE char *id = NULL;
    assert_done(ceph_image_id(lab->limited, &name, &id, &error), &error);
    assert_done(ceph_image_trash(lab->limited, &name, id, SOURCE_WEEK, &error), &error);
    assert_int_equal(source_trash_count(pool), 1);
    assert_done(ceph_image_restore(lab->limited, &name, id, &error), &error);
    assert_done(ceph_image_remove(lab->limited, &name, id, &error), &error);
    source_nothing(pool);
}

static void without_rights(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_FREE char *id = source_make(lab, pool);
    const struct ceph_image_name name = source_name(lab);
    AUTO_ERROR struct error error = {0};
    assert_refused(ceph_image_trash(lab->reader, &name, id, SOURCE_WEEK, &error), &error,
                   ERROR_DENIED);
    error_clear(&error);
    assert_refused(ceph_image_remove(lab->reader, &name, id, &error), &error, ERROR_DENIED);
    source_whole(pool, id);
}

static void of_the_old_format(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_name name = source_name(lab);
    rbd_image_options_t options;
    rbd_image_options_create(&options);
    rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_FORMAT, 1);
    int result = rbd_create4(pool, SOURCE_IMAGE, SOURCE_SIZE, options);
    rbd_image_options_destroy(options);
    if (result < 0)
        skip(); /* newer releases do not make any */
    char *id = NULL;
    assert_refused(ceph_image_id(lab->cluster, &name, &id, &error), &error, ERROR_UNSUPPORTED);
}

static int sweep(void **state)
{
    lab_sweep(lab_of(state));
    return 0;
}

int ceph_adapter_source_tests(struct lab *lab)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(there_and_back, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(out_of_the_trash, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(after_its_time, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(renamed, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(name_is_taken, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(in_use, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(with_snapshots, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(in_a_namespace, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(without_rights, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(of_the_old_format, NULL, sweep, lab),
    };
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
