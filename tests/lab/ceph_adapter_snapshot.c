/* Our snapshots: of images that a guest writes to, that nobody has, without an exclusive lock; of a
 * cluster or a guest that hangs; and their end with the image. */
#include "ceph_adapter_lab.h"

#include <signal.h>

#define IMAGE "frozen"
#define TOKEN "frozen-1"
#define OURS CEPH_SNAPSHOT_PREFIX "verify.t-1"

static struct lab *lab_of(void **state)
{
    return *state;
}

static struct ceph_image_name name_of(const struct lab *lab)
{
    return (struct ceph_image_name){.pool = lab->scratch, .image = IMAGE};
}

static int sweep(void **state)
{
    lab_sweep(lab_of(state));
    return 0;
}

static pid_t osd(void)
{
    const char *text = getenv("VP_LAB_OSD_PID");
    return text ? (pid_t)strtol(text, NULL, 10) : 0;
}

static int go_on_and_sweep(void **state)
{
    if (osd())
        kill(osd(), SIGCONT);
    ceph_pause(1000);
    return sweep(state);
}

static void create(struct lab *lab, const char *snapshot)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = name_of(lab);
    assert_done(ceph_snapshot_create(lab->cluster, &name, snapshot, &error), &error);
}

static bool exists(struct lab *lab, const char *snapshot)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = name_of(lab);
    bool found = false;
    assert_done(ceph_snapshot_exists(lab->cluster, &name, snapshot, &found, &error), &error);
    return found;
}

static void drop(struct lab *lab, const char *snapshot)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = name_of(lab);
    assert_done(ceph_snapshot_remove(lab->cluster, &name, snapshot, &error), &error);
}

static void write_number(rbd_image_t image, unsigned number)
{
    unsigned block[128];
    for (size_t i = 0; i < ARRAY_SIZE(block); i++)
        block[i] = number;
    assert_int_equal(rbd_write(image, MIB, sizeof(block), (char *)block), sizeof(block));
}

static unsigned number_of(rados_ioctx_t pool, const char *name, const char *snapshot)
{
    unsigned block[128];
    AUTO_IMAGE rbd_image_t image = NULL;
    assert_int_equal(rbd_open_read_only(pool, name, &image, snapshot), 0);
    assert_int_equal(rbd_read(image, MIB, sizeof(block), (char *)block), sizeof(block));
    return block[127];
}

static unsigned number_at(struct lab *lab, const char *snapshot)
{
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    return number_of(pool, IMAGE, snapshot);
}

/* What was acknowledged before is in it, and what came after is not. A guest has the image open, by
 * another connection. */
static void exact(struct lab *lab, bool writing)
{
    AUTO_ERROR struct error error = {0};
    AUTO_OPEN struct ceph_open guest = {0};
    const struct ceph_image_name name = name_of(lab);
    assert_done(ceph_image_open(lab->limited, &name, false, &guest, &error), &error);
    double longest = 0, all = 0;
    unsigned before = number_at(lab, NULL);
    for (unsigned i = 1; i <= 10; i++) {
        if (writing)
            write_number(guest.image, i);
        double start = ceph_clock();
        create(lab, OURS);
        double took = ceph_clock() - start;
        all += took;
        longest = took > longest ? took : longest;
        if (writing)
            write_number(guest.image, i + 100);
        assert_int_equal(number_at(lab, OURS), writing ? i : before);
        create(lab, OURS); /* it is there, and stays what it was */
        assert_int_equal(number_at(lab, OURS), writing ? i : before);
        drop(lab, OURS);
        drop(lab, OURS);
        assert_false(exists(lab, OURS));
    }
    print_message("    %s: %.3f s on average, %.3f s at most\n",
                  writing ? "a guest writes" : "a guest only has it", all / 10, longest);
    assert_true(longest < 5);
}

static void while_a_guest_has_it(void **state)
{
    struct lab *lab = lab_of(state);
    const uint64_t features[] = {RBD_FEATURES_DEFAULT, RBD_FEATURE_LAYERING,
                                 RBD_FEATURE_LAYERING | RBD_FEATURE_EXCLUSIVE_LOCK};
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        lab_make_image(lab, lab->scratch, IMAGE, 16 * MIB, features[i]);
        exact(lab, false);
        exact(lab, true);
        lab_sweep(lab);
    }
}

static void while_another_process_writes(void **state)
{
    struct lab *lab = lab_of(state);
    lab_make_image(lab, lab->scratch, IMAGE, 64 * MIB, RBD_FEATURES_DEFAULT);
    struct child holder = lab_spawn("--hold", lab->scratch, IMAGE, NULL);
    for (unsigned i = 0; i < 5; i++) {
        double start = ceph_clock();
        create(lab, OURS);
        print_message("    made in %.3f s\n", ceph_clock() - start);
        assert_true(exists(lab, OURS));
        drop(lab, OURS);
    }
    assert_int_equal(lab_kill(&holder, SIGTERM), 0); /* it was not disturbed */
}

static void while_nobody_has_it(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = name_of(lab);
    lab_make_image(lab, lab->scratch, IMAGE, 16 * MIB, RBD_FEATURES_DEFAULT);
    double start = ceph_clock();
    create(lab, OURS);
    print_message("    made in %.3f s\n", ceph_clock() - start);
    struct ceph_image image;
    assert_done(ceph_image(lab->cluster, &name, &image, &error), &error);
    assert_int_equal(image.snapshots, 0); /* it does not count */
    ceph_image_clear(&image);
}

static void of_what_is_not_there(void **state)
{
    struct lab *lab = lab_of(state);
    const struct ceph_image_name name = name_of(lab);
    AUTO_ERROR struct error error = {0};
    bool found = false;
    drop(lab, OURS);
    assert_refused(ceph_snapshot_create(lab->cluster, &name, OURS, &error), &error,
                   ERROR_NOT_FOUND);
    error_clear(&error);
    assert_refused(ceph_snapshot_exists(lab->cluster, &name, OURS, &found, &error), &error,
                   ERROR_NOT_FOUND);
    lab_make_image(lab, lab->scratch, IMAGE, MIB, RBD_FEATURES_DEFAULT);
    drop(lab, OURS);
    error_clear(&error);
    assert_refused(ceph_snapshot_create(lab->reader, &name, OURS, &error), &error, ERROR_DENIED);
}

/* ---- in bounded time ---- */

static void refused_in_time(struct lab *lab, enum error_code code)
{
    const struct ceph_image_name name = name_of(lab);
    for (int removing = 0; removing < 2; removing++) {
        AUTO_ERROR struct error error = {0};
        double start = ceph_clock();
        assert_refused(removing ? ceph_snapshot_remove(lab->cluster, &name, OURS, &error)
                                : ceph_snapshot_create(lab->cluster, &name, OURS, &error),
                       &error, code);
        print_message("    after %.1f s\n", ceph_clock() - start);
        assert_true(ceph_clock() - start < 20);
    }
}

static void cluster_hangs(void **state)
{
    struct lab *lab = lab_of(state);
    if (osd() == 0)
        skip();
    lab_make_image(lab, lab->scratch, IMAGE, 16 * MIB, RBD_FEATURES_DEFAULT);
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = name_of(lab);
    AUTO_OPEN struct ceph_open guest = {0};
    assert_done(ceph_image_open(lab->limited, &name, false, &guest, &error), &error);
    write_number(guest.image, 1);
    assert_int_equal(kill(osd(), SIGSTOP), 0);
    refused_in_time(lab, ERROR_UNREACHABLE);
    assert_int_equal(kill(osd(), SIGCONT), 0);
    ceph_pause(1000);
    write_number(guest.image, 2);
    create(lab, CEPH_SNAPSHOT_PREFIX "later");
}

static void guest_hangs(void **state)
{
    struct lab *lab = lab_of(state);
    lab_make_image(lab, lab->scratch, IMAGE, 64 * MIB, RBD_FEATURES_DEFAULT);
    struct child holder = lab_spawn("--hold", lab->scratch, IMAGE, NULL);
    kill(holder.pid, SIGSTOP);
    refused_in_time(lab, ERROR_BUSY);
    kill(holder.pid, SIGCONT);
    ceph_pause(500);
    create(lab, OURS);
    assert_int_equal(lab_kill(&holder, SIGTERM), 0); /* it was not shut out */
}

static void guest_was_killed(void **state)
{
    struct lab *lab = lab_of(state);
    lab_make_image(lab, lab->scratch, IMAGE, 64 * MIB, RBD_FEATURES_DEFAULT);
    struct child holder = lab_spawn("--hold", lab->scratch, IMAGE, NULL);
    lab_kill(&holder, SIGKILL);
    refused_in_time(lab, ERROR_BUSY);
}

/* ---- of several images at one instant ---- */

#define DISKS 3

struct disks {
    char *names[DISKS];
    struct ceph_capture_of of[DISKS];
    struct ceph_open guests[DISKS];
};

static void make_disks(struct lab *lab, struct disks *disks)
{
    for (size_t i = 0; i < DISKS; i++) {
        AUTO_ERROR struct error error = {0};
        disks->names[i] = text_format("disk-%zu", i);
        disks->of[i] =
            (struct ceph_capture_of){.cluster = lab->cluster,
                                     .name = {.pool = lab->scratch, .image = disks->names[i]},
                                     .snapshot = OURS};
        lab_make_image(lab, lab->scratch, disks->names[i], 16 * MIB, RBD_FEATURES_DEFAULT);
        disks->guests[i] = (struct ceph_open){0};
        assert_done(
            ceph_image_open(lab->limited, &disks->of[i].name, false, &disks->guests[i], &error),
            &error);
        write_number(disks->guests[i].image, 1);
    }
}

static void leave_disks(struct disks *disks)
{
    for (size_t i = 0; i < DISKS; i++) {
        ceph_open_close(&disks->guests[i]);
        free(disks->names[i]);
    }
}

static void three_at_once(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    struct disks disks;
    make_disks(lab, &disks);
    struct ceph_captures *captures = NULL;
    assert_done(ceph_captures_open(disks.of, DISKS, &captures, &error), &error);
    double start = ceph_clock();
    assert_done(ceph_captures_make(captures, 5000, &error), &error);
    print_message("    made in %.3f s\n", ceph_clock() - start);
    for (size_t i = 0; i < DISKS; i++)
        write_number(disks.guests[i].image, 2);
    ceph_captures_close(captures);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    for (size_t i = 0; i < DISKS; i++)
        assert_int_equal(number_of(pool, disks.names[i], OURS), 1);
    leave_disks(&disks);
}

/* What was asked for comes when the cluster is there again, and is then let go. */
static void await_snapshots(struct lab *lab, const struct disks *disks)
{
    double deadline = ceph_clock() + 60;
    for (size_t i = 0; i < DISKS; ceph_pause(100)) {
        CLEANUP(text_list_clear) struct text_list watchers = {0};
        AUTO_ERROR struct error error = {0};
        const struct ceph_image_name *name = &disks->of[i].name;
        bool exists = false;
        assert_true(ceph_clock() < deadline);
        if (ceph_snapshot_exists(lab->cluster, name, OURS, &exists, &error) == 0 && exists &&
            ceph_image_watchers(lab->limited, name, &watchers, &error) == 0)
            i += watchers.count == 0;
    }
}

/* The caller has a guest to let go on, and a definition to give back: he gets his answer in time,
 * and nothing holds him up afterwards, whatever hangs. */
static void three_of_a_cluster_that_hangs(void **state)
{
    struct lab *lab = lab_of(state);
    if (osd() == 0)
        skip();
    AUTO_ERROR struct error error = {0};
    struct disks disks;
    make_disks(lab, &disks);
    struct ceph_captures *captures = NULL;
    assert_done(ceph_captures_open(disks.of, DISKS, &captures, &error), &error);
    assert_int_equal(kill(osd(), SIGSTOP), 0);
    double start = ceph_clock();
    assert_refused(ceph_captures_make(captures, 1000, &error), &error, ERROR_UNREACHABLE);
    print_message("    after %.1f s\n", ceph_clock() - start);
    assert_true(ceph_clock() - start < 5);
    start = ceph_clock();
    ceph_captures_close(captures);
    print_message("    closed after %.1f s\n", ceph_clock() - start);
    assert_true(ceph_clock() - start < 9);
    assert_int_equal(kill(osd(), SIGCONT), 0);
    await_snapshots(lab, &disks);
    leave_disks(&disks);
}

/* ---- with the image ---- */

static void make_ours(struct lab *lab)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_spec spec = {.name = name_of(lab),
                                         .size = 16 * MIB,
                                         .object_size = MIB,
                                         .token = TOKEN,
                                         .domain_name = "db1",
                                         .target = "vda",
                                         .source = "rbd:old/db1"};
    assert_done(ceph_image_create(lab->cluster, &spec, &error), &error);
    create(lab, OURS);
    create(lab, CEPH_SNAPSHOT_PREFIX "verify.t-2");
}

/* Nothing but what OSDs have not trimmed yet. */
static void assert_no_image(rados_ioctx_t pool)
{
    AUTO_FREE char *objects = lab_objects(pool);
    assert_null(strstr(objects, "rbd_header."));
    assert_null(strstr(objects, "rbd_id."));
    assert_null(strstr(objects, "rbd_object_map."));
}

static void removed_with_an_image_of_ours(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_name name = name_of(lab);
    make_ours(lab);
    assert_done(ceph_image_remove_owned(lab->cluster, &name, TOKEN, 0, &error), &error);
    assert_no_image(pool);
}

static void beside_somebody_elses(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = name_of(lab);
    make_ours(lab);
    create(lab, "by-hand"); /* whoever makes it */
    assert_refused(ceph_image_remove_owned(lab->cluster, &name, TOKEN, 0, &error), &error,
                   ERROR_OPERATOR);
    assert_non_null(strstr(error.message, "'by-hand'"));
    assert_null(strstr(error.message, OURS));
    assert_true(exists(lab, OURS));
    drop(lab, "by-hand");
    error_clear(&error);
    assert_done(ceph_image_remove_owned(lab->cluster, &name, TOKEN, 0, &error), &error);
}

static void trashed_with_an_image_of_ours(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    const struct ceph_image_name name = name_of(lab);
    make_ours(lab);
    AUTO_FREE char *id = NULL;
    assert_done(ceph_image_trash_owned(lab->cluster, &name, TOKEN, 0, &id, &error), &error);
    assert_non_null(id);
    /* whoever empties the trash is not stopped by them */
    assert_int_equal(rbd_trash_remove(pool, id, true), 0);
    assert_no_image(pool);
}

int ceph_adapter_snapshot_tests(struct lab *lab)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(while_a_guest_has_it, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(while_another_process_writes, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(while_nobody_has_it, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(of_what_is_not_there, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(removed_with_an_image_of_ours, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(beside_somebody_elses, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(trashed_with_an_image_of_ours, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(three_at_once, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(three_of_a_cluster_that_hangs, NULL,
                                                 go_on_and_sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(cluster_hangs, NULL, go_on_and_sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(guest_hangs, NULL, go_on_and_sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(guest_was_killed, NULL, go_on_and_sweep, lab),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
