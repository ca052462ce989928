/* Whoever dies between two of librbd's writes: each state that can be left is made by hand, and
 * then processes are really killed. Afterwards making ends with exactly one image, and removing
 * with nothing; in between, what stands under the final name is either nobody's or provably ours.
 */
#include "ceph_adapter_lab.h"

#include <signal.h>
#include <time.h>

#define IMAGE "made"
#define TOKEN "crash-1"
#define DRAFT ".virt-pivot.crash-1"
#define SIZE (16 * MIB)

static struct lab *lab_of(void **state)
{
    return *state;
}

static struct ceph_image_spec spec_of(const struct lab *lab)
{
    return (struct ceph_image_spec){.name = {.pool = lab->scratch, .image = IMAGE},
                                    .size = SIZE,
                                    .object_size = MIB,
                                    .token = TOKEN,
                                    .domain_name = "db1",
                                    .target = "vda",
                                    .source = "rbd:old/db1"};
}

static void write_id(rados_ioctx_t pool, const char *name, const char *id)
{
    AUTO_FREE char *object = text_format("rbd_id.%s", name);
    AUTO_BUFFER struct buffer bytes = {0};
    lab_encode(&bytes, id);
    assert_int_equal(rados_write_full(pool, object, bytes.text, bytes.length), 0);
}

static void remove_id(rados_ioctx_t pool, const char *name)
{
    AUTO_FREE char *object = text_format("rbd_id.%s", name);
    assert_int_equal(rados_remove(pool, object), 0);
}

/* An image as far as an earlier try came with it, and its id. */
static char *half_made(struct lab *lab, rados_ioctx_t pool, const char *name, bool token)
{
    lab_make_image(lab, lab->scratch, name, SIZE, RBD_FEATURES_DEFAULT);
    AUTO_IMAGE rbd_image_t image = NULL;
    assert_int_equal(rbd_open(pool, name, &image, NULL), 0);
    assert_int_equal(rbd_write(image, 0, 4, "data"), 4);
    if (token)
        assert_int_equal(rbd_metadata_set(image, "virt-pivot.token", TOKEN), 0);
    char id[64];
    assert_int_equal(rbd_get_id(image, id, sizeof(id)), 0);
    return text_dup(id);
}

/* The states. Each leaves what an interrupted librbd call leaves. */
static void only_in_the_directory(struct lab *lab UNUSED, rados_ioctx_t pool)
{
    lab_directory(pool, "dir_add_image", DRAFT, "0123456789ab");
}

static void only_an_id(struct lab *lab UNUSED, rados_ioctx_t pool)
{
    write_id(pool, DRAFT, "0123456789ab");
}

static void directory_and_id(struct lab *lab UNUSED, rados_ioctx_t pool)
{
    lab_directory(pool, "dir_add_image", DRAFT, "0123456789ab");
    write_id(pool, DRAFT, "0123456789ab");
}

static void without_its_map(struct lab *lab, rados_ioctx_t pool)
{
    AUTO_FREE char *id = half_made(lab, pool, DRAFT, false);
    AUTO_FREE char *map = text_format("rbd_object_map.%s", id);
    assert_int_equal(rados_remove(pool, map), 0);
}

static void without_metadata(struct lab *lab, rados_ioctx_t pool)
{
    free(half_made(lab, pool, DRAFT, false));
}

static void before_its_rename(struct lab *lab, rados_ioctx_t pool)
{
    free(half_made(lab, pool, DRAFT, true));
}

static void rename_wrote_the_id(struct lab *lab, rados_ioctx_t pool)
{
    AUTO_FREE char *id = half_made(lab, pool, DRAFT, true);
    write_id(pool, IMAGE, id);
}

static void rename_changed_the_directory(struct lab *lab, rados_ioctx_t pool)
{
    AUTO_FREE char *id = half_made(lab, pool, IMAGE, true);
    write_id(pool, DRAFT, id);
}

static void trash_has_it_too(struct lab *lab, rados_ioctx_t pool)
{
    AUTO_FREE char *id = half_made(lab, pool, DRAFT, true);
    lab_trash_entry(pool, DRAFT, id, 0, LAB_TRASH_MOVING);
}

static void trash_took_the_id(struct lab *lab, rados_ioctx_t pool)
{
    AUTO_FREE char *id = half_made(lab, pool, DRAFT, true);
    lab_trash_entry(pool, DRAFT, id, 0, LAB_TRASH_MOVING);
    remove_id(pool, DRAFT);
}

static void put_into_trash(struct lab *lab, rados_ioctx_t pool, enum lab_trash state)
{
    AUTO_FREE char *id = half_made(lab, pool, DRAFT, true);
    lab_trash_entry(pool, DRAFT, id, 0, state);
    remove_id(pool, DRAFT);
    lab_directory(pool, "dir_remove_image", DRAFT, id);
}

static void trash_took_the_directory(struct lab *lab, rados_ioctx_t pool)
{
    put_into_trash(lab, pool, LAB_TRASH_MOVING);
}

static void in_the_trash(struct lab *lab, rados_ioctx_t pool)
{
    put_into_trash(lab, pool, LAB_TRASH_NORMAL);
}

static void being_removed_from_the_trash(struct lab *lab, rados_ioctx_t pool)
{
    put_into_trash(lab, pool, LAB_TRASH_REMOVING);
}

static void trash_without_the_image(struct lab *lab UNUSED, rados_ioctx_t pool)
{
    lab_trash_entry(pool, DRAFT, "0123456789ab", 0, LAB_TRASH_REMOVING);
}

static void nothing_at_all(struct lab *lab UNUSED, rados_ioctx_t pool UNUSED)
{
}

static const struct {
    const char *name;
    void (*make)(struct lab *lab, rados_ioctx_t pool);
} left_behind[] = {
    {"nothing at all", nothing_at_all},
    {"only in the directory", only_in_the_directory},
    {"only an id object", only_an_id},
    {"directory and id object", directory_and_id},
    {"without its object map", without_its_map},
    {"without metadata", without_metadata},
    {"before its rename", before_its_rename},
    {"rename wrote the new id object", rename_wrote_the_id},
    {"rename changed the directory", rename_changed_the_directory},
    {"trash has it too", trash_has_it_too},
    {"trash took the id object", trash_took_the_id},
    {"trash took the directory entry", trash_took_the_directory},
    {"in the trash", in_the_trash},
    {"being removed from the trash", being_removed_from_the_trash},
    {"trash without the image", trash_without_the_image},
};

/* Exactly one image, ours, under its own name, and no trace of the draft. */
static void assert_made(struct lab *lab, rados_ioctx_t pool)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_spec spec = spec_of(lab);
    struct ceph_image image;
    assert_done(ceph_image(lab->cluster, &spec.name, &image, &error), &error);
    assert_int_equal(image.size, SIZE);
    assert_string_equal(image.owner_token, TOKEN);
    ceph_image_clear(&image);

    rbd_image_spec_t images[4];
    size_t count = ARRAY_SIZE(images);
    assert_int_equal(rbd_list2(pool, images, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(images[0].name, IMAGE);
    AUTO_FREE char *header = text_format("rbd_header.%s", images[0].id);
    AUTO_FREE char *objects = lab_objects(pool);
    assert_null(strstr(objects, "virt-pivot"));
    assert_non_null(strstr(objects, header));
    const char *first = strstr(objects, "rbd_header.");
    assert_null(strstr(first + 1, "rbd_header."));
    rbd_image_spec_list_cleanup(images, count);
    rbd_trash_image_info_t trash[4];
    size_t entries = ARRAY_SIZE(trash);
    assert_int_equal(rbd_trash_list(pool, trash, &entries), 0);
}

static void assert_nothing(rados_ioctx_t pool)
{
    AUTO_FREE char *objects = lab_objects(pool);
    assert_string_equal(objects, "");
    rbd_trash_image_info_t trash[4];
    size_t entries = ARRAY_SIZE(trash);
    assert_int_equal(rbd_trash_list(pool, trash, &entries), 0);
}

static void made_in_spite_of(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_spec spec = spec_of(lab);
    for (size_t i = 0; i < ARRAY_SIZE(left_behind); i++) {
        print_message("    %s\n", left_behind[i].name);
        AUTO_ERROR struct error error = {0};
        left_behind[i].make(lab, pool);
        assert_done(ceph_image_create(lab->cluster, &spec, &error), &error);
        assert_made(lab, pool);
        assert_done(ceph_image_create(lab->cluster, &spec, &error), &error);
        assert_made(lab, pool);
        assert_done(ceph_image_remove_owned(lab->cluster, &spec.name, TOKEN, 0, &error), &error);
        assert_nothing(pool);
    }
}

static void removed_in_spite_of(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_spec spec = spec_of(lab);
    for (size_t i = 0; i < ARRAY_SIZE(left_behind); i++) {
        print_message("    %s\n", left_behind[i].name);
        AUTO_ERROR struct error error = {0};
        left_behind[i].make(lab, pool);
        assert_done(ceph_image_remove_owned(lab->cluster, &spec.name, TOKEN, 0, &error), &error);
        assert_nothing(pool);
    }
}

/* The same states, with somebody else's image under the final name: it survives all of them. */
static void foreign_image_survives(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_spec spec = spec_of(lab);
    free(half_made(lab, pool, IMAGE, false));
    AUTO_FREE char *before = lab_objects(pool);
    for (size_t i = 0; i < ARRAY_SIZE(left_behind); i++) {
        if (left_behind[i].make == rename_wrote_the_id ||
            left_behind[i].make == rename_changed_the_directory)
            continue; /* there the final name is ours already */
        for (int removing = 0; removing < 2; removing++) {
            AUTO_ERROR struct error error = {0};
            left_behind[i].make(lab, pool);
            if (removing)
                assert_done(ceph_image_remove_owned(lab->cluster, &spec.name, TOKEN, 0, &error),
                            &error);
            else
                assert_int_equal(ceph_image_create(lab->cluster, &spec, &error), -1);
            assert_int_equal(error.code, removing ? ERROR_NONE : ERROR_EXISTS);
            AUTO_FREE char *after = lab_objects(pool);
            assert_string_equal(before, after);
        }
    }
    lab_sweep(lab);
}

/* The half-made image of a process that was killed is watched by it for a while: the next try
 * waits. */
static void half_made_and_still_watched(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_spec spec = spec_of(lab);
    free(half_made(lab, pool, DRAFT, true));
    struct child holder = lab_spawn("--hold", lab->scratch, DRAFT, NULL);
    assert_int_equal(lab_kill(&holder, SIGKILL), -SIGKILL);
    double start = ceph_clock();
    assert_done(ceph_image_create(lab->cluster, &spec, &error), &error);
    print_message("    waited %.1f s\n", ceph_clock() - start);
    assert_made(lab, pool);
    assert_done(ceph_image_remove_owned(lab->cluster, &spec.name, TOKEN, 40, &error), &error);
    assert_nothing(pool);
}

/* What a process that dies now leaves under the final name is nobody's, or ours and complete. */
static bool final_is_provable(struct lab *lab, const struct ceph_image_name *name)
{
    AUTO_ERROR struct error error = {0};
    AUTO_CLAIM struct ceph_claim claim = {0};
    assert_done(ceph_claim_read(lab->cluster, name, &claim, &error), &error);
    if (!claim.exists)
        return false;
    assert_non_null(claim.token);
    assert_string_equal(claim.token, TOKEN);
    assert_int_equal(claim.size, SIZE);
    AUTO_FREE char *source = NULL;
    assert_done(ceph_image_metadata(lab->cluster, name, "virt-pivot.source", &source, &error),
                &error);
    assert_string_equal(source, "rbd:old/db1");
    return true;
}

/* Killed at a moment that moves on from one round to the next, over the whole work. */
static void killed_while_making(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_spec spec = spec_of(lab);
    unsigned rounds = lab_kills(), published = 0, untouched = 0;
    double longest = 0;
    for (unsigned i = 0; i < rounds; i++) {
        AUTO_ERROR struct error error = {0};
        struct child maker = lab_spawn("--make", lab->scratch, TOKEN, NULL);
        ceph_pause(i * 100 / rounds);
        lab_kill(&maker, SIGKILL);
        AUTO_FREE char *objects = lab_objects(pool);
        untouched += *objects == '\0';
        published += final_is_provable(lab, &spec.name);
        double start = ceph_clock();
        if (i % 2 == 0) {
            assert_done(ceph_image_create(lab->cluster, &spec, &error), &error);
            assert_made(lab, pool);
        }
        assert_done(ceph_image_remove_owned(lab->cluster, &spec.name, TOKEN, 40, &error), &error);
        assert_nothing(pool);
        longest = ceph_clock() - start > longest ? ceph_clock() - start : longest;
    }
    print_message("    %u killed: %u before anything was written, %u after it was published; "
                  "longest repair %.1f s\n",
                  rounds, untouched, published, longest);
}

static void killed_while_removing(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_spec spec = spec_of(lab);
    unsigned rounds = lab_kills(), gone = 0, whole = 0;
    double longest = 0;
    for (unsigned i = 0; i < rounds; i++) {
        AUTO_ERROR struct error error = {0};
        assert_done(ceph_image_create(lab->cluster, &spec, &error), &error);
        struct child remover = lab_spawn("--unmake", lab->scratch, TOKEN, NULL);
        ceph_pause(i * 100 / rounds);
        lab_kill(&remover, SIGKILL);
        AUTO_FREE char *objects = lab_objects(pool);
        gone += *objects == '\0';
        whole += final_is_provable(lab, &spec.name);
        double start = ceph_clock();
        assert_done(ceph_image_remove_owned(lab->cluster, &spec.name, TOKEN, 40, &error), &error);
        assert_nothing(pool);
        longest = ceph_clock() - start > longest ? ceph_clock() - start : longest;
    }
    print_message("    %u killed: %u while it was whole, %u after it was gone; longest repair %.1f "
                  "s\n",
                  rounds, whole, gone, longest);
}

/* Puts it into the trash in spite of what was killed: its id there. */
static char *trash_at_last(struct lab *lab, const struct ceph_image_name *name)
{
    double start = ceph_clock();
    for (;;) {
        AUTO_ERROR struct error error = {0};
        char *id = NULL;
        if (ceph_image_trash_owned(lab->cluster, name, TOKEN, 60, &id, &error) == 0)
            return id;
        if (error.code != ERROR_BUSY || ceph_clock() - start > 60)
            fail_msg("%s", error.message);
        ceph_pause(500);
    }
}

static void killed_while_trashing(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_spec spec = spec_of(lab);
    unsigned rounds = lab_kills(), whole = 0;
    double longest = 0;
    for (unsigned i = 0; i < rounds; i++) {
        AUTO_ERROR struct error error = {0};
        assert_done(ceph_image_create(lab->cluster, &spec, &error), &error);
        struct child trasher = lab_spawn("--trash", lab->scratch, TOKEN, NULL);
        ceph_pause(i * 100 / rounds);
        lab_kill(&trasher, SIGKILL);
        whole += final_is_provable(lab, &spec.name);
        double start = ceph_clock();
        AUTO_FREE char *id = trash_at_last(lab, &spec.name);
        longest = ceph_clock() - start > longest ? ceph_clock() - start : longest;
        assert_non_null(id);
        free(lab_rbd(lab, "trash", "restore", "--pool", lab->scratch, id, NULL));
        assert_made(lab, pool);
        assert_done(ceph_image_remove_owned(lab->cluster, &spec.name, TOKEN, 40, &error), &error);
        assert_nothing(pool);
    }
    print_message("    %u killed: %u while it had its name; longest repair %.1f s\n", rounds, whole,
                  longest);
}

int ceph_adapter_crash_tests(struct lab *lab)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(made_in_spite_of, lab),
        cmocka_unit_test_prestate(removed_in_spite_of, lab),
        cmocka_unit_test_prestate(foreign_image_survives, lab),
        cmocka_unit_test_prestate(half_made_and_still_watched, lab),
        cmocka_unit_test_prestate_setup_teardown(killed_while_making, lab_short_watches,
                                                 lab_usual_watches, lab),
        cmocka_unit_test_prestate_setup_teardown(killed_while_removing, lab_short_watches,
                                                 lab_usual_watches, lab),
        cmocka_unit_test_prestate_setup_teardown(killed_while_trashing, lab_short_watches,
                                                 lab_usual_watches, lab),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
