/* Images that are not ours: to the end, wherever giving them up or bringing them back was
 * interrupted; and whoever opens one in the same moment has it. */
#include "ceph_adapter_source.h"

#include <signal.h>

static struct lab *lab_of(void **state)
{
    return *state;
}

/* ---- interrupted between two of librbd's writes ---- */

static void write_id(rados_ioctx_t pool, const char *id)
{
    AUTO_BUFFER struct buffer bytes = {0};
    lab_encode(&bytes, id);
    assert_int_equal(rados_write_full(pool, "rbd_id." SOURCE_IMAGE, bytes.text, bytes.length), 0);
}

static void trash_has_it_too(rados_ioctx_t pool, const char *id)
{
    lab_trash_entry(pool, SOURCE_IMAGE, id, SOURCE_WEEK, LAB_TRASH_MOVING);
}

static void trash_took_the_id(rados_ioctx_t pool, const char *id)
{
    trash_has_it_too(pool, id);
    assert_int_equal(rados_remove(pool, "rbd_id." SOURCE_IMAGE), 0);
}

static void trash_took_the_directory(rados_ioctx_t pool, const char *id)
{
    trash_took_the_id(pool, id);
    lab_directory(pool, "dir_remove_image", SOURCE_IMAGE, id);
}

static void in_trash_as(rados_ioctx_t pool, const char *id, enum lab_trash state)
{
    assert_int_equal(rados_remove(pool, "rbd_id." SOURCE_IMAGE), 0);
    lab_directory(pool, "dir_remove_image", SOURCE_IMAGE, id);
    lab_trash_entry(pool, SOURCE_IMAGE, id, SOURCE_WEEK, state);
}

static void restoring(rados_ioctx_t pool, const char *id)
{
    in_trash_as(pool, id, LAB_TRASH_RESTORING);
}

static void restore_wrote_the_id(rados_ioctx_t pool, const char *id)
{
    restoring(pool, id);
    write_id(pool, id);
}

static void restored_but_for_the_trash(rados_ioctx_t pool, const char *id)
{
    lab_trash_entry(pool, SOURCE_IMAGE, id, SOURCE_WEEK, LAB_TRASH_RESTORING);
}

static void being_removed(rados_ioctx_t pool, const char *id)
{
    in_trash_as(pool, id, LAB_TRASH_REMOVING);
}

static void removed_but_for_the_trash(rados_ioctx_t pool, const char *id)
{
    assert_int_equal(rbd_remove(pool, SOURCE_IMAGE), 0);
    lab_trash_entry(pool, SOURCE_IMAGE, id, SOURCE_WEEK, LAB_TRASH_REMOVING);
}

static const struct {
    const char *name;
    void (*make)(rados_ioctx_t pool, const char *id);
    bool lost; /* only removing can end it */
} left_behind[] = {
    {"the trash has it too", trash_has_it_too, false},
    {"the trash took the id object", trash_took_the_id, false},
    {"the trash took the directory entry", trash_took_the_directory, false},
    {"being restored", restoring, false},
    {"restored, with the id object", restore_wrote_the_id, false},
    {"restored, but still in the trash", restored_but_for_the_trash, false},
    {"being removed", being_removed, true},
    {"removed, but still in the trash", removed_but_for_the_trash, true},
};

static void ended_in_spite_of(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(left_behind); i++)
        for (enum source_verb verb = SOURCE_TRASH; verb <= SOURCE_REMOVE; verb++) {
            if (left_behind[i].lost && verb != SOURCE_REMOVE)
                continue;
            print_message("    %s; %s\n", left_behind[i].name,
                          verb == SOURCE_TRASH     ? "to the trash"
                          : verb == SOURCE_RESTORE ? "back"
                                                   : "away");
            AUTO_FREE char *id = source_make(lab, pool);
            left_behind[i].make(pool, id);
            if (verb == SOURCE_TRASH) {
                source_trash(lab, id);
                assert_int_equal(source_trash_count(pool), 1);
                assert_true(source_is_trashed(lab, id));
            }
            if (verb != SOURCE_REMOVE) {
                source_restore(lab, id);
                source_whole(pool, id);
            }
            source_remove(lab, id);
            source_nothing(pool);
        }
}

/* ---- killed, and raced ---- */

static const char *const words[] = {"trash", "restore", "remove"};

/* Until nobody seems to use it any more: a dead client's watch lasts a while. */
static void at_last(struct lab *lab, enum source_verb verb, const char *id)
{
    double start = ceph_clock();
    for (;;) {
        AUTO_ERROR struct error error = {0};
        if (source_try(lab, verb, id, &error) == 0)
            return;
        if (error.code != ERROR_BUSY || ceph_clock() - start > 60)
            fail_msg("%s", error.message);
        ceph_pause(300);
    }
}

static void kill_one(struct lab *lab, enum source_verb verb, const char *id, unsigned after_ms)
{
    struct child child = lab_spawn("--give-up", words[verb], lab->scratch, SOURCE_IMAGE, id, NULL);
    ceph_pause(after_ms);
    lab_kill(&child, SIGKILL);
}

static void killed(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    unsigned rounds = lab_kills() * 3, seen[2] = {0};
    double longest = 0;
    for (unsigned i = 0; i < rounds; i++) {
        enum source_verb verb = (enum source_verb)(i % 3);
        AUTO_FREE char *id = source_make(lab, pool);
        if (verb == SOURCE_RESTORE)
            source_trash(lab, id);
        kill_one(lab, verb, id, i / 3 * 60 / (rounds / 3));
        double start = ceph_clock();
        seen[source_is_trashed(lab, id)]++;
        if (verb == SOURCE_TRASH && i % 2)
            at_last(lab, SOURCE_TRASH, id);
        if (verb != SOURCE_REMOVE) {
            at_last(lab, SOURCE_RESTORE, id);
            source_whole(pool, id);
        }
        at_last(lab, SOURCE_REMOVE, id);
        source_nothing(pool);
        longest = ceph_clock() - start > longest ? ceph_clock() - start : longest;
    }
    print_message("    %u killed, %u of them with the image in the trash; longest repair %.1f s\n",
                  rounds, seen[1], longest);
}

/* In use, it has its name, always. */
static void opened_in_the_same_moment(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_FREE char *id = source_make(lab, pool);
    struct visitor visitor = {.cluster = lab->limited, .name = source_name(lab)};
    lab_visit(&visitor);
    unsigned moved = 0, busy = 0, returned = 0;
    double start = ceph_clock();
    while (moved + busy < 100 || (returned == 0 && ceph_clock() - start < 10)) {
        AUTO_ERROR struct error error = {0};
        if (source_try(lab, SOURCE_TRASH, id, &error) == 0) {
            moved++;
            source_restore(lab, id);
        } else {
            assert_int_equal(error.code, ERROR_BUSY);
            busy++;
            returned += strstr(error.message, "back from the trash") != NULL;
        }
        AUTO_FREE char *is = lab_image_id(pool, SOURCE_IMAGE);
        assert_string_equal(is, id);
        assert_int_equal(source_trash_count(pool), 0);
    }
    lab_visit_end(&visitor);
    print_message("    %u visits; %u times in the trash, %u times in use, %u of them too late\n",
                  visitor.visits, moved, busy, returned);
    assert_true(moved > 0); /* too late: as the scheduler will */
    source_whole(pool, id);
}

/* In use, it is not removed; and when it is removed, then whole. */
static void opened_while_it_goes(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    struct visitor visitor = {.cluster = lab->limited, .name = source_name(lab)};
    lab_visit(&visitor);
    unsigned gone = 0, busy = 0;
    while (gone < 15) {
        AUTO_FREE char *id = source_make(lab, pool);
        for (int result = -1; result < 0;) {
            AUTO_ERROR struct error error = {0};
            result = source_try(lab, SOURCE_REMOVE, id, &error);
            if (result == 0)
                break;
            assert_int_equal(error.code, ERROR_BUSY);
            AUTO_FREE char *is = lab_image_id(pool, SOURCE_IMAGE);
            assert_string_equal(is, id);
            busy++;
        }
        gone++;
        source_nothing(pool);
    }
    lab_visit_end(&visitor);
    print_message("    %u visits; %u removed, %u times in use\n", visitor.visits, gone, busy);
}

static int sweep(void **state)
{
    lab_sweep(lab_of(state));
    return 0;
}

static int sweep_and_usual_watches(void **state)
{
    lab_sweep(lab_of(state));
    return lab_usual_watches(state);
}

int ceph_adapter_source_crash_tests(struct lab *lab)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(ended_in_spite_of, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(opened_in_the_same_moment, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(opened_while_it_goes, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(killed, lab_short_watches, sweep_and_usual_watches,
                                                 lab),
    };
    return cmocka_run_group_tests_name("source-crash", tests, NULL, NULL);
}
