/* Images of every kind hold what was written to them, and their holes are known where they can be.
 */
#include "blocks_lab.h"

#include "blocks/private.h"

#include <inttypes.h>
#include <pthread.h>

static struct lab *lab_of(void **state)
{
    return *state;
}

static int sweep(void **state)
{
    lab_sweep(lab_of(state));
    return 0;
}

/* Reads it all, and returns how much of it had to be read. */
static uint64_t check_image(struct lab *lab, const char *image, const char *snapshot,
                            struct fake_disk *holds, bool holes)
{
    CLEANUP(blocks_closep) struct blocks *blocks = lab_blocks(lab, image, snapshot, false);
    assert_int_equal(blocks_size(blocks), holds->blocks.size);
    assert_int_equal(blocks_knows_holes(blocks), holes);
    struct blocks_comparison found;
    assert_same(blocks, &holds->blocks, &found);
    struct blocks_digest digest;
    plain_digest(holds, &digest);
    assert_string_equal(found.first.text, digest.text);
    return found.read;
}

/* By one who writes: he needs the map, and keeps it. */
static bool map_is_believed(struct lab *lab, const char *image)
{
    CLEANUP(blocks_closep) struct blocks *blocks = lab_blocks(lab, image, NULL, true);
    return blocks_knows_holes(blocks);
}

static void with_and_without_fast_diff(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    uint64_t size = holds->blocks.size;
    lab_image(lab, &(struct image_spec){.name = "mapped", .size = size, .features = MAPPED}, holds);
    lab_image(lab, &(struct image_spec){.name = "plain", .size = size, .features = 1}, holds);
    /* Objects 0, 3, 4, 5, 7 and the last, which is a small one. */
    assert_int_equal(check_image(lab, "mapped", NULL, holds, true), 24 * MIB + MIB + 12345);
    assert_int_equal(check_image(lab, "plain", NULL, holds, true), 24 * MIB + MIB + 12345);
    assert_true(map_is_believed(lab, "mapped"));

    CLEANUP(blocks_closep) struct blocks *mapped = lab_blocks(lab, "mapped", NULL, false);
    CLEANUP(blocks_closep) struct blocks *plain = lab_blocks(lab, "plain", NULL, false);
    struct blocks_comparison found;
    assert_same(mapped, plain, &found);
}

/* Object-map switched on later, and not rebuilt: flagged invalid, and believed by nobody. */
static void with_invalid_fast_diff(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    const struct image_spec spec = {.name = "stale",
                                    .size = holds->blocks.size,
                                    .features = RBD_FEATURE_LAYERING | RBD_FEATURE_EXCLUSIVE_LOCK};
    lab_image(lab, &spec, holds);
    struct ceph_open open = lab_image_open(lab, NULL, "stale");
    assert_int_equal(
        rbd_update_features(open.image, RBD_FEATURE_OBJECT_MAP | RBD_FEATURE_FAST_DIFF, 1), 0);
    ceph_open_close(&open);
    assert_false(map_is_believed(lab, "stale"));
    assert_int_equal(check_image(lab, "stale", NULL, holds, true), 24 * MIB + MIB + 12345);

    uint64_t enabled = 0;
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = lab_name(lab, "stale");
    assert_done(ceph_image_enable_fast_diff(lab->cluster, &name, &enabled, &error), &error);
    assert_true(map_is_believed(lab, "stale"));
    assert_int_equal(check_image(lab, "stale", NULL, holds, true), 24 * MIB + MIB + 12345);
}

/* A map that says less than there is, and that it is right: who copies by it copies too little, and
 * that must not be proven by the same map. */
static void what_the_map_denies(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    lab_image(lab,
              &(struct image_spec){.name = "image", .size = holds->blocks.size, .features = MAPPED},
              holds);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    struct ceph_open open = lab_image_open(lab, NULL, "image");
    char prefix[64] = "";
    assert_int_equal(rbd_get_block_name_prefix(open.image, prefix, sizeof(prefix)), 0);
    ceph_open_close(&open);
    AUTO_FREE char *object = text_format("%s.%016x", prefix, 1);
    assert_int_equal(rados_write(pool, object, "hidden", 6, 100), 0);

    CLEANUP(blocks_closep) struct blocks *image = lab_blocks(lab, "image", NULL, false);
    struct blocks_comparison found;
    AUTO_ERROR struct error error = {0};
    assert_done(blocks_compare(image, &holds->blocks, NULL, &found, &error), &error);
    assert_false(found.equal);
    assert_int_equal(found.first_difference, 4 * MIB + 100);
}

static void objects_of_all_sizes(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    const struct image_spec specs[] = {
        {.name = "order-12", .features = MAPPED, .order = 12},
        {.name = "order-16", .features = MAPPED, .order = 16},
        {.name = "order-23", .features = MAPPED, .order = 23},
        {.name = "order-25", .features = MAPPED, .order = 25},
        {.name = "striped",
         .features = MAPPED | RBD_FEATURE_STRIPINGV2,
         .order = 20,
         .stripe_unit = 65536,
         .stripe_count = 5},
    };
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        struct image_spec spec = specs[i];
        spec.size = holds->blocks.size;
        lab_image(lab, &spec, holds);
        uint64_t read = check_image(lab, spec.name, NULL, holds, spec.stripe_count == 0);
        print_message("    %s: %" PRIu64 " KiB read\n", spec.name, read / 1024);
        if (spec.order == 12)
            assert_in_range(read, 9 * MIB, 10 * MIB);
    }
}

static void small_sizes(void **state)
{
    struct lab *lab = lab_of(state);
    const uint64_t sizes[] = {0, 1, 511, 513, 4 * MIB - 1, 4 * MIB + 1};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        AUTO_FREE char *name = text_format("size-%" PRIu64, sizes[i]);
        AUTO_DISK struct fake_disk *holds = fake_disk_new("holds", sizes[i], FAKE_AT_ONCE);
        fake_disk_fill(holds, 0, sizes[i]);
        lab_image(lab, &(struct image_spec){.name = name, .size = sizes[i], .features = MAPPED},
                  holds);
        check_image(lab, name, NULL, holds, true);
    }
}

/* A guest, so to say, that writes over the image as long as it is told to. */
struct writer {
    rbd_image_t image;
    uint64_t size;
    volatile bool ending;
    unsigned writes;
};

static void *write_on(void *opaque)
{
    struct writer *writer = opaque;
    uint64_t seed = 5;
    AUTO_FREE char *bytes = memory_new(64 * KIB, 1);
    memset(bytes, 'w', 64 * KIB);
    while (!writer->ending) {
        uint64_t at = fake_random(&seed) % (writer->size - 64 * KIB);
        if (fake_random(&seed) % 8 == 0)
            rbd_discard(writer->image, at / (4 * MIB) * 4 * MIB, 4 * MIB);
        else if (rbd_write(writer->image, at, 64 * KIB, bytes) < 0)
            return NULL;
        writer->writes++;
    }
    return writer;
}

static void snapshot_while_the_head_is_written(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *older = fake_disk_new("older", 41 * MIB + 12345, FAKE_AT_ONCE);
    AUTO_DISK struct fake_disk *holds = lab_content();
    fake_disk_fill(older, 24 * MIB, 100); /* in an object that is not in the next one */
    lab_image(lab,
              &(struct image_spec){.name = "head", .size = older->blocks.size, .features = MAPPED},
              older);
    lab_snapshot(lab, "head", "before");
    AUTO_OPEN struct ceph_open open = lab_image_open(lab, NULL, "head");
    rbd_discard(open.image, 0, older->blocks.size);
    lab_write(open.image, holds);
    assert_int_equal(rbd_snap_create(open.image, "pivot"), 0);

    struct writer writer = {.image = open.image, .size = holds->blocks.size};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writer), 0);
    for (int i = 0; i < 5; i++) {
        assert_in_range(check_image(lab, "head", "pivot", holds, true), 20 * MIB, 42 * MIB);
        check_image(lab, "head", "before", older, true);
    }
    writer.ending = true;
    void *well = NULL;
    pthread_join(thread, &well);
    assert_non_null(well);
    assert_true(writer.writes > 10);
    CLEANUP(blocks_closep) struct blocks *head = lab_blocks(lab, "head", NULL, false);
    struct blocks_comparison found;
    AUTO_ERROR struct error error = {0};
    assert_done(blocks_compare(head, &holds->blocks, NULL, &found, &error), &error);
    assert_false(found.equal);
}

static void in_a_namespace(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    const struct image_spec spec = {
        .name_space = "tenant", .name = "inside", .size = holds->blocks.size, .features = MAPPED};
    lab_image(lab, &spec, holds);
    struct ceph_image_name name = lab_name(lab, "inside");
    name.name_space = "tenant";
    AUTO_ERROR struct error error = {0};
    struct blocks *blocks = NULL;
    struct blocks_comparison found;
    assert_done(blocks_open_rbd(lab->cluster, &name, NULL, false, &blocks, &error), &error);
    assert_same(blocks, &holds->blocks, &found);
    blocks_close(blocks);
    name.name_space = NULL;
    assert_refused(blocks_open_rbd(lab->cluster, &name, NULL, false, &blocks, &error), &error,
                   ERROR_NOT_FOUND);
}

/* A clone that has grown, and has overwritten and discarded some of what its parent holds. */
static void clones(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *parent = fake_disk_new("parent", 30 * MIB, FAKE_AT_ONCE);
    fake_disk_fill(parent, 5 * MIB, 10 * MIB);
    fake_disk_fill(parent, 29 * MIB, MIB);
    lab_image(lab, &(struct image_spec){.name = "parent", .size = 30 * MIB, .features = MAPPED},
              parent);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_OPEN struct ceph_open open = lab_image_open(lab, NULL, "parent");
    assert_int_equal(rbd_snap_create(open.image, "base"), 0);
    assert_int_equal(rbd_snap_protect(open.image, "base"), 0);
    int order = 0;
    assert_int_equal(rbd_clone(pool, "parent", "base", pool, "clone", MAPPED, &order), 0);

    AUTO_DISK struct fake_disk *holds = fake_disk_new("holds", 50 * MIB, FAKE_BY_THREAD);
    memcpy(holds->bytes, parent->bytes, 30 * MIB);
    memset(holds->bytes + 6 * MIB, 'c', 100 * KIB);
    memset(holds->bytes + 8 * MIB, 0, 4 * MIB);
    memset(holds->bytes + 40 * MIB, 'd', 512);
    struct ceph_open clone = lab_image_open(lab, NULL, "clone");
    assert_int_equal(rbd_resize(clone.image, 50 * MIB), 0);
    assert_true(rbd_write(clone.image, 6 * MIB, 100 * KIB, holds->bytes + 6 * MIB) > 0);
    assert_true(rbd_discard(clone.image, 8 * MIB, 4 * MIB) >= 0);
    assert_true(rbd_write(clone.image, 40 * MIB, 512, holds->bytes + 40 * MIB) > 0);
    assert_int_equal(rbd_snap_create(clone.image, "later"), 0);
    ceph_open_close(&clone);
    assert_int_equal(check_image(lab, "clone", NULL, holds, true), 32 * MIB + 4 * MIB);
    assert_int_equal(check_image(lab, "clone", "later", holds, true), 32 * MIB + 4 * MIB);

    clone = lab_image_open(lab, NULL, "clone");
    assert_int_equal(rbd_snap_remove(clone.image, "later"), 0);
    assert_int_equal(rbd_flatten(clone.image), 0);
    ceph_open_close(&clone);
    assert_in_range(check_image(lab, "clone", NULL, holds, true), 16 * MIB, 32 * MIB);
    rbd_remove(pool, "clone");
    rbd_snap_unprotect(open.image, "base");
    rbd_snap_remove(open.image, "base");
}

/* An image that is being brought over by RBD itself: its own map knows nothing yet. */
static void while_rbd_migrates_it(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    lab_image(lab,
              &(struct image_spec){.name = "from", .size = holds->blocks.size, .features = MAPPED},
              holds);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    rbd_image_options_t options;
    rbd_image_options_create(&options);
    rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_FEATURES, MAPPED);
    assert_int_equal(rbd_migration_prepare(pool, "from", pool, "to", options), 0);
    rbd_image_options_destroy(options);
    check_image(lab, "to", NULL, holds, false);
    assert_int_equal(rbd_migration_execute(pool, "to"), 0);
    check_image(lab, "to", NULL, holds, false);
    assert_int_equal(rbd_migration_commit(pool, "to"), 0);
    check_image(lab, "to", NULL, holds, true);
}

/* The same bytes as a raw file and as qcow2: one digest. */
static void beside_files(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    lab_image(lab,
              &(struct image_spec){.name = "image", .size = holds->blocks.size, .features = MAPPED},
              holds);
    struct lab_files made;
    lab_files(&made, holds);
    const char *const files[][2] = {{made.raw, "raw"}, {made.qcow2, "qcow2"}};
    struct blocks_comparison found[2];
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(blocks_closep) struct blocks *image = lab_blocks(lab, "image", NULL, false);
        CLEANUP(blocks_closep) struct blocks *other = NULL;
        AUTO_ERROR struct error error = {0};
        assert_done(blocks_open_file(files[i][0], files[i][1], false, &other, &error), &error);
        assert_same(i ? other : image, i ? image : other, &found[i]);
    }
    assert_string_equal(found[0].first.text, found[1].first.text);
    lab_files_remove(&made);
}

static void a_flipped_block_is_found(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    lab_image(lab,
              &(struct image_spec){.name = "image", .size = holds->blocks.size, .features = MAPPED},
              holds);
    const uint64_t places[] = {0, 12 * MIB, 20 * MIB + 1, 25 * MIB, 41 * MIB + 12343};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        struct ceph_open open = lab_image_open(lab, NULL, "image");
        char flipped = (char)(holds->bytes[places[i]] ^ 0x10);
        assert_int_equal(rbd_write(open.image, places[i], 1, &flipped), 1);
        ceph_open_close(&open);
        struct blocks *image = lab_blocks(lab, "image", NULL, false);
        struct blocks_comparison found;
        AUTO_ERROR struct error error = {0};
        assert_done(blocks_compare(&holds->blocks, image, NULL, &found, &error), &error);
        assert_false(found.equal);
        assert_int_equal(found.first_difference, places[i]);
        assert_int_equal(found.differing, 1);
        blocks_close(image);
        open = lab_image_open(lab, NULL, "image");
        assert_int_equal(rbd_write(open.image, places[i], 1, holds->bytes + places[i]), 1);
        ceph_open_close(&open);
    }
}

/* Readers leave no trace, and need no more than the right to read. */
static void readers_put_no_watch(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    lab_image(lab,
              &(struct image_spec){.name = "image", .size = holds->blocks.size, .features = MAPPED},
              holds);
    const struct ceph_image_name name = lab_name(lab, "image");
    AUTO_ERROR struct error error = {0};
    CLEANUP(blocks_closep) struct blocks *blocks = NULL;
    assert_done(blocks_open_rbd(lab->reader, &name, NULL, false, &blocks, &error), &error);
    struct blocks_comparison found;
    assert_same(blocks, &holds->blocks, &found);
    struct text_list watchers = {0};
    assert_done(ceph_image_watchers(lab->cluster, &name, &watchers, &error), &error);
    assert_int_equal(watchers.count, 0);
    text_list_clear(&watchers);
}

static void what_is_not_there(void **state)
{
    struct lab *lab = lab_of(state);
    lab_image(lab, &(struct image_spec){.name = "image", .size = MIB, .features = MAPPED}, NULL);
    const struct ceph_image_name none = lab_name(lab, "none"), image = lab_name(lab, "image"),
                                 elsewhere = {.pool = "no-such-pool", .image = "image"};
    struct blocks *blocks = NULL;
    struct error error = {0};
    assert_refused(blocks_open_rbd(lab->cluster, &none, NULL, false, &blocks, &error), &error,
                   ERROR_NOT_FOUND);
    error_clear(&error);
    assert_refused(blocks_open_rbd(lab->cluster, &none, NULL, true, &blocks, &error), &error,
                   ERROR_NOT_FOUND);
    error_clear(&error);
    assert_refused(blocks_open_rbd(lab->cluster, &image, "pivot", false, &blocks, &error), &error,
                   ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "snapshot 'pivot'"));
    error_clear(&error);
    assert_refused(blocks_open_rbd(lab->cluster, &elsewhere, NULL, false, &blocks, &error), &error,
                   ERROR_NOT_FOUND);
    error_clear(&error);
    assert_refused(blocks_open_rbd(lab->cluster, &image, "pivot", true, &blocks, &error), &error,
                   ERROR_INPUT);
    error_clear(&error);
    assert_null(blocks);
}

int blocks_image_tests(struct lab *lab)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(with_and_without_fast_diff, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(with_invalid_fast_diff, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(what_the_map_denies, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(objects_of_all_sizes, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(small_sizes, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(snapshot_while_the_head_is_written, NULL, sweep,
                                                 lab),
        cmocka_unit_test_prestate_setup_teardown(in_a_namespace, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(clones, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(while_rbd_migrates_it, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(beside_files, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(a_flipped_block_is_found, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(readers_put_no_watch, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(what_is_not_there, NULL, sweep, lab),
    };
    return cmocka_run_group_tests_name("images", tests, NULL, NULL);
}
