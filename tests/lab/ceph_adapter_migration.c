/* Images that RBD brings into another pool: there and back, to the end, and wherever any of it was
 * interrupted. */
#include "ceph_adapter_source.h"

#include <signal.h>

#define TARGET_IMAGE "taken"
#define TOKEN "t-1"
#define SNAPSHOT CEPH_SNAPSHOT_PREFIX "verify." TOKEN

/* The pool of `limited`, which may use `scratch` only, is the sources'; the adapter's user may use
 * both. */
struct scene {
    struct lab *lab;
    rados_ioctx_t from, to;
    char *id; /* the source's */
    struct ceph_migration migration;
    struct ceph_image_spec spec;
};

static void scene_open(void **state, struct scene *scene)
{
    struct lab *lab = *state;
    *scene = (struct scene){.lab = lab};
    scene->from = lab_pool(lab, lab->scratch, NULL);
    scene->to = lab_pool(lab, lab->data, NULL);
    scene->id = source_make(lab, scene->from);
    scene->migration = (struct ceph_migration){.source = source_name(lab),
                                               .source_id = scene->id,
                                               .target = {lab->data, NULL, TARGET_IMAGE},
                                               .token = TOKEN};
    scene->spec = (struct ceph_image_spec){.name = scene->migration.target,
                                           .size = SOURCE_SIZE,
                                           .object_size = MIB,
                                           .token = TOKEN,
                                           .domain_name = "db1",
                                           .target = "vda"};
}

static void scene_close(struct scene *scene)
{
    cleanup_pool(&scene->from);
    cleanup_pool(&scene->to);
    free(scene->id);
}
#define AUTO_SCENE CLEANUP(scene_close)

static rbd_image_t open_target(struct scene *scene)
{
    rbd_image_t image = NULL;
    assert_int_equal(rbd_open(scene->to, TARGET_IMAGE, &image, NULL), 0);
    return image;
}

static void holds_source(rbd_image_t image)
{
    char found[8];
    assert_int_equal(rbd_read(image, 5 * MIB, 8, found), 8);
    assert_memory_equal(found, "precious", 8);
}

static void prepare(struct scene *scene)
{
    AUTO_ERROR struct error error = {0};
    assert_done(
        ceph_migration_prepare(scene->lab->cluster, &scene->migration, &scene->spec, &error),
        &error);
}

static void is_in_state(struct scene *scene, enum ceph_migration_state expected)
{
    AUTO_ERROR struct error error = {0};
    enum ceph_migration_state state;
    assert_done(ceph_migration_look(scene->lab->cluster, &scene->migration, &state, &error),
                &error);
    assert_int_equal(state, expected);
}

static void count_progress(void *opaque, uint64_t done, uint64_t total)
{
    assert_true(done <= total);
    ++*(unsigned *)opaque;
}

static void execute(struct scene *scene)
{
    AUTO_ERROR struct error error = {0};
    unsigned told = 0;
    assert_done(ceph_migration_execute(scene->lab->cluster, &scene->migration, count_progress,
                                       &told, &error),
                &error);
}

static void commit(struct scene *scene)
{
    AUTO_ERROR struct error error = {0};
    assert_done(ceph_migration_commit(scene->lab->cluster, &scene->migration, &error), &error);
}

static void take_back(struct scene *scene)
{
    AUTO_ERROR struct error error = {0};
    assert_done(ceph_migration_abort(scene->lab->cluster, &scene->migration, 40, &error), &error);
}

static void target_is_nothing(struct scene *scene)
{
    AUTO_FREE char *objects = lab_objects(scene->to);
    assert_string_equal(objects, "");
    assert_int_equal(source_trash_count(scene->to), 0);
}

static void is_as_before(struct scene *scene)
{
    source_whole(scene->from, scene->id);
    AUTO_IMAGE rbd_image_t image = NULL;
    uint64_t features = 0;
    assert_int_equal(rbd_open(scene->from, SOURCE_IMAGE, &image, NULL), 0);
    assert_int_equal(rbd_get_features(image, &features), 0);
    assert_int_equal(features & RBD_FEATURE_MIGRATING, 0);
    target_is_nothing(scene);
}

static void end_target(struct scene *scene)
{
    AUTO_ERROR struct error error = {0};
    assert_done(
        ceph_image_remove_owned(scene->lab->cluster, &scene->migration.target, TOKEN, 40, &error),
        &error);
    target_is_nothing(scene);
    source_nothing(scene->from);
}

static void to_the_end(void **state)
{
    AUTO_SCENE struct scene scene;
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *owner = NULL;
    bool written = true;
    scene_open(state, &scene);
    struct ceph_cluster *cluster = scene.lab->cluster;
    prepare(&scene);
    prepare(&scene); /* once more is none the worse */
    is_in_state(&scene, CEPH_MIGRATION_PREPARED);
    assert_true(source_is_trashed(scene.lab, scene.id));
    assert_done(
        ceph_image_metadata(cluster, &scene.migration.target, CEPH_KEY_TOKEN, &owner, &error),
        &error);
    assert_string_equal(owner, TOKEN);
    assert_done(ceph_snapshot_create(cluster, &scene.migration.target, SNAPSHOT, &error), &error);
    assert_done(
        ceph_image_written_since(cluster, &scene.migration.target, SNAPSHOT, &written, &error),
        &error);
    assert_false(written);
    assert_refused(ceph_migration_commit(cluster, &scene.migration, &error), &error, ERROR_FAILED);
    error_clear(&error);

    /* While somebody has it open, and writes. */
    rbd_image_t guest = open_target(&scene);
    holds_source(guest);
    assert_int_equal(rbd_write(guest, 5 * MIB, 4, "PREC"), 4);
    assert_int_equal(rbd_discard(guest, 7 * MIB, MIB), MIB);
    assert_done(
        ceph_image_written_since(cluster, &scene.migration.target, SNAPSHOT, &written, &error),
        &error);
    assert_true(written);
    execute(&scene);
    execute(&scene);
    is_in_state(&scene, CEPH_MIGRATION_EXECUTED);
    AUTO_IMAGE rbd_image_t then = NULL;
    assert_int_equal(rbd_open_read_only(scene.to, TARGET_IMAGE, &then, SNAPSHOT), 0);
    holds_source(then);
    cleanup_image(&then);
    then = NULL;
    assert_int_equal(rbd_open_by_id_read_only(scene.from, scene.id, &then, NULL), 0);
    holds_source(then);
    cleanup_image(&then);
    then = NULL;
    assert_done(ceph_snapshot_remove(cluster, &scene.migration.target, SNAPSHOT, &error), &error);
    commit(&scene);
    commit(&scene);
    is_in_state(&scene, CEPH_MIGRATION_COMMITTED);
    source_nothing(scene.from);
    char found[8];
    assert_int_equal(rbd_read(guest, 5 * MIB, 8, found), 8);
    assert_memory_equal(found, "PRECious", 8);
    rbd_close(guest);
    end_target(&scene);
}

static void there_and_back(void **state)
{
    AUTO_SCENE struct scene scene;
    AUTO_ERROR struct error error = {0};
    scene_open(state, &scene);
    take_back(&scene); /* nothing was begun */
    is_as_before(&scene);
    prepare(&scene);
    assert_done(ceph_snapshot_create(scene.lab->cluster, &scene.migration.target, SNAPSHOT, &error),
                &error);
    take_back(&scene);
    is_as_before(&scene);
    take_back(&scene);
    is_as_before(&scene);
    source_remove(scene.lab, scene.id);
}

static void it_is_refused(struct scene *scene, enum error_code code)
{
    AUTO_ERROR struct error error = {0};
    assert_refused(
        ceph_migration_prepare(scene->lab->cluster, &scene->migration, &scene->spec, &error),
        &error, code);
    AUTO_FREE char *id = lab_image_id(scene->from, SOURCE_IMAGE);
    assert_string_equal(id, scene->id);
}

static void refused(void **state)
{
    AUTO_SCENE struct scene scene;
    scene_open(state, &scene);
    AUTO_IMAGE rbd_image_t image = NULL;
    assert_int_equal(rbd_open(scene.from, SOURCE_IMAGE, &image, NULL), 0);
    it_is_refused(&scene, ERROR_BUSY);
    assert_int_equal(rbd_snap_create(image, "one"), 0);
    it_is_refused(&scene, ERROR_FAILED);
    assert_int_equal(rbd_snap_remove(image, "one"), 0);
    cleanup_image(&image);
    image = NULL;
    const char *id = scene.migration.source_id;
    scene.migration.source_id = "cafe";
    it_is_refused(&scene, ERROR_FAILED);
    scene.migration.source_id = id;
    lab_make_image(scene.lab, scene.lab->data, TARGET_IMAGE, MIB, RBD_FEATURES_DEFAULT);
    it_is_refused(&scene, ERROR_EXISTS);
    assert_int_equal(rbd_remove(scene.to, TARGET_IMAGE), 0);
    is_as_before(&scene);
    source_remove(scene.lab, scene.id);
}

/* ---- killed ---- */

static void kill_one(struct scene *scene, const char *verb, unsigned after_ms)
{
    struct child child =
        lab_spawn("--migrate", verb, scene->lab->scratch, scene->lab->data, scene->id, NULL);
    ceph_pause(after_ms);
    lab_kill(&child, SIGKILL);
}

/* Until nobody seems to use it any more: a dead client's watch lasts a while. */
static void commit_at_last(struct scene *scene)
{
    double start = ceph_clock();
    for (;;) {
        AUTO_ERROR struct error error = {0};
        if (ceph_migration_commit(scene->lab->cluster, &scene->migration, &error) == 0)
            return;
        if (error.code != ERROR_BUSY || ceph_clock() - start > 60)
            fail_msg("%s", error.message);
        ceph_pause(300);
    }
}

static void source_remove_at_last(struct scene *scene)
{
    for (;;) {
        AUTO_ERROR struct error error = {0};
        if (source_try(scene->lab, SOURCE_REMOVE, scene->id, &error) == 0)
            return;
        assert_int_equal(error.code, ERROR_BUSY);
        ceph_pause(300);
    }
}

static void mend(struct scene *scene, bool committing)
{
    if (!committing) {
        take_back(scene);
        is_as_before(scene);
        source_remove_at_last(scene);
        return;
    }
    commit_at_last(scene);
    source_nothing(scene->from);
    rbd_image_t image = open_target(scene);
    holds_source(image);
    rbd_close(image);
    end_target(scene);
}

static void killed(void **state)
{
    static const char *const verbs[] = {"prepare", "abort", "commit"};
    unsigned rounds = lab_kills() * 3;
    double longest[3] = {0};
    for (unsigned i = 0; i < rounds; i++) {
        AUTO_SCENE struct scene scene;
        unsigned verb = i % 3;
        scene_open(state, &scene);
        if (verb > 0)
            prepare(&scene);
        if (verb == 2)
            execute(&scene);
        kill_one(&scene, verbs[verb], i / 3 * 250 / (rounds / 3));
        double start = ceph_clock();
        mend(&scene, verb == 2);
        double took = ceph_clock() - start;
        longest[verb] = took > longest[verb] ? took : longest[verb];
    }
    print_message("    %u killed; longest repair: prepare %.1f s, abort %.1f s, commit %.1f s\n",
                  rounds, longest[0], longest[1], longest[2]);
}

static int sweep(void **state)
{
    lab_sweep(*state);
    return 0;
}

static int sweep_and_usual_watches(void **state)
{
    lab_sweep(*state);
    return lab_usual_watches(state);
}

int ceph_adapter_migration_tests(struct lab *lab)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(to_the_end, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(there_and_back, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(refused, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(killed, lab_short_watches, sweep_and_usual_watches,
                                                 lab),
    };
    return cmocka_run_group_tests_name("migration", tests, NULL, NULL);
}
