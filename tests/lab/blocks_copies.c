/* Copies onto images: whole, sparse, taken up again where an earlier one ended, however it ended;
 * and alone, by the exclusive lock. */
#include "blocks_lab.h"

#include <inttypes.h>
#include <signal.h>

/* Objects 0, 1, 3, 4, 5, 7 and the last, which is a small one. */
#define CONTENT_STORED (24 * MIB + MIB + 12345)

static struct lab *lab_of(void **state)
{
    return *state;
}

static int sweep(void **state)
{
    lab_sweep(lab_of(state));
    return 0;
}

static void copy_all(struct blocks *from, struct blocks *to)
{
    AUTO_ERROR struct error error = {0};
    uint64_t copied = 0;
    assert_done(blocks_copy(from, to, 0, NULL, &copied, &error), &error);
    assert_int_equal(copied, blocks_size(from));
}

static uint64_t stored(struct lab *lab, const char *image)
{
    AUTO_ERROR struct error error = {0};
    struct ceph_image found;
    const struct ceph_image_name name = lab_name(lab, image);
    assert_done(ceph_image(lab->cluster, &name, &found, &error), &error);
    uint64_t used = found.used;
    ceph_image_clear(&found);
    return used;
}

/* What is under this name now has these bytes, and no object without any. */
static void check_copy(struct lab *lab, const char *image, struct fake_disk *holds)
{
    struct blocks_comparison found;
    CLEANUP(blocks_closep) struct blocks *target = lab_blocks(lab, image, NULL, false);
    assert_same(&holds->blocks, target, &found);
    assert_int_equal(stored(lab, image), CONTENT_STORED);
}

static void images(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    const struct image_spec sources[] = {
        {.name = "mapped", .features = MAPPED},
        {.name = "plain", .features = RBD_FEATURE_LAYERING},
        {.name = "small-objects", .features = MAPPED, .order = 16},
    };
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
        struct image_spec spec = sources[i];
        spec.size = holds->blocks.size;
        lab_image(lab, &spec, holds);
        lab_target(lab, "target", spec.size);
        struct blocks *from = lab_blocks(lab, spec.name, NULL, false);
        struct blocks *to = lab_blocks(lab, "target", NULL, true);
        copy_all(from, to);
        blocks_close(from);
        blocks_close(to);
        check_copy(lab, "target", holds);
        lab_untarget(lab, "target");
    }
}

/* At an instant, while the image goes on changing. */
static void snapshot(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    lab_image(lab,
              &(struct image_spec){.name = "image", .size = holds->blocks.size, .features = MAPPED},
              holds);
    lab_snapshot(lab, "image", "then");
    struct ceph_open open = lab_image_open(lab, NULL, "image");
    assert_true(rbd_discard(open.image, 0, 20 * MIB) >= 0);
    ceph_open_close(&open);
    lab_target(lab, "target", holds->blocks.size);
    struct blocks *from = lab_blocks(lab, "image", "then", false);
    struct blocks *to = lab_blocks(lab, "target", NULL, true);
    copy_all(from, to);
    blocks_close(from);
    blocks_close(to);
    check_copy(lab, "target", holds);
    lab_unsnapshot(lab, "image", "then");
}

static void files(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    struct lab_files made;
    lab_files(&made, holds);
    const char *const sources[][2] = {{made.raw, "raw"}, {made.qcow2, "qcow2"}};
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
        AUTO_ERROR struct error error = {0};
        struct blocks *from = NULL;
        assert_done(blocks_open_file(sources[i][0], sources[i][1], false, &from, &error), &error);
        lab_target(lab, "target", blocks_size(from));
        struct blocks *to = lab_blocks(lab, "target", NULL, true);
        copy_all(from, to);
        blocks_close(from);
        blocks_close(to);
        struct blocks_comparison found;
        to = lab_blocks(lab, "target", NULL, false);
        assert_same(&holds->blocks, to, &found);
        blocks_close(to);
        assert_in_range(stored(lab, "target"), CONTENT_STORED, CONTENT_STORED + 4096);
        lab_untarget(lab, "target");
    }
    lab_files_remove(&made);
}

/* There and back again, by two connections. */
static void another_cluster(void **state)
{
    struct lab *lab = lab_of(state);
    struct lab_other other;
    if (!lab_other_open(lab, &other))
        skip();
    AUTO_DISK struct fake_disk *holds = lab_content();
    AUTO_ERROR struct error error = {0};
    struct blocks *there = NULL;
    lab_other_make(&other, holds->blocks.size);
    assert_done(blocks_open_rbd(other.cluster, &other.name, NULL, true, &there, &error), &error);
    copy_all(&holds->blocks, there);
    blocks_close(there);

    lab_target(lab, "target", holds->blocks.size);
    struct blocks *here = lab_blocks(lab, "target", NULL, true);
    assert_done(blocks_open_rbd(other.cluster, &other.name, NULL, false, &there, &error), &error);
    copy_all(there, here);
    blocks_close(here);
    check_copy(lab, "target", holds);
    here = lab_blocks(lab, "target", NULL, false);
    struct blocks_comparison found;
    assert_same(there, here, &found);
    assert_int_equal(found.read, CONTENT_STORED);
    blocks_close(here);
    blocks_close(there);
    lab_other_close(&other);
}

/* Ends the work when it has told of progress so often. */
struct ending {
    unsigned told, end_at;
};

static bool end_it(void *opaque, uint64_t done UNUSED, uint64_t read UNUSED)
{
    struct ending *ending = opaque;
    return ++ending->told < ending->end_at;
}

static void cancelled_and_taken_up_again(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    lab_target(lab, "target", holds->blocks.size);
    uint64_t at = 0;
    unsigned runs = 0;
    for (int result = -1; result < 0; runs++) {
        AUTO_ERROR struct error error = {0};
        struct ending ending = {.end_at = 3};
        const struct blocks_watch watch = {
            .opaque = &ending, .progress = end_it, .bandwidth = 16 * MIB};
        struct blocks *to = lab_blocks(lab, "target", NULL, true);
        uint64_t before = at;
        result = blocks_copy(&holds->blocks, to, before, &watch, &at, &error);
        blocks_close(to);
        assert_true(at >= before);
        if (result < 0)
            assert_int_equal(error.code, ERROR_CANCELLED);
        assert_true(runs < 100);
    }
    print_message("    %u runs\n", runs);
    assert_true(runs > 2);
    check_copy(lab, "target", holds);
}

/* The last number that it printed. */
static uint64_t last_number(int output)
{
    AUTO_BUFFER struct buffer text = {0};
    char piece[256];
    ssize_t count;
    while ((count = read(output, piece, sizeof(piece))) > 0)
        buffer_add_slice(&text, piece, (size_t)count);
    uint64_t last = 0;
    for (char *at = text.text; at && strchr(at, '\n'); at = strchr(at, '\n') + 1)
        last = *at == 'd' ? last : strtoull(at, NULL, 10);
    return last;
}

/* Kills a copy, and returns what it said was durable. */
static uint64_t copy_and_kill(const struct lab *lab, unsigned after_ms)
{
    struct child copier =
        lab_spawn("--copy", "--bandwidth", "16777216", "--existing", lab->mons, lab->keyring,
                  lab->scratch, "source", lab->mons, lab->keyring, lab->scratch, "target", NULL);
    ceph_pause(after_ms);
    kill(copier.pid, SIGKILL);
    uint64_t durable = last_number(copier.output);
    lab_wait(&copier);
    return durable;
}

/* Once the dead client's watch is gone. */
static struct blocks *open_at_last(struct lab *lab, const char *image)
{
    const struct ceph_image_name name = lab_name(lab, image);
    double start = ceph_clock();
    for (;;) {
        AUTO_ERROR struct error error = {0};
        struct blocks *blocks = NULL;
        if (blocks_open_rbd(lab->cluster, &name, NULL, true, &blocks, &error) == 0)
            return blocks;
        if (error.code != ERROR_BUSY || ceph_clock() - start > 60)
            fail_msg("%s", error.message);
        ceph_pause(500);
    }
}

static void killed_and_taken_up_again(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_DISK struct fake_disk *holds = lab_content();
    lab_image(
        lab, &(struct image_spec){.name = "source", .size = holds->blocks.size, .features = MAPPED},
        holds);
    unsigned rounds = lab_kills(), begun = 0;
    for (unsigned i = 0; i < rounds; i++) {
        AUTO_ERROR struct error error = {0};
        lab_target(lab, "target", holds->blocks.size);
        uint64_t durable = copy_and_kill(lab, 100 + i * 1800 / rounds);
        begun += durable > 0 && durable < holds->blocks.size;
        struct blocks *to = open_at_last(lab, "target");
        struct blocks_comparison found;
        assert_done(blocks_compare(&holds->blocks, to, NULL, &found, &error), &error);
        assert_true(found.equal || found.first_difference >= durable);
        uint64_t copied = 0;
        assert_done(blocks_copy(&holds->blocks, to, durable, NULL, &copied, &error), &error);
        blocks_close(to);
        check_copy(lab, "target", holds);
        lab_untarget(lab, "target");
    }
    print_message("    %u killed, %u of them between beginning and end\n", rounds, begun);
    assert_true(begun > 0);
}

/* Since it was copied, in part, the source has changed: data into a hole, a hole into data, and
 * what is still to be copied. What is the same is not written again. */
static void source_changed_meanwhile(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    AUTO_DISK struct fake_disk *holds = lab_content();
    lab_image(
        lab,
        &(struct image_spec){.name = "changed", .size = holds->blocks.size, .features = MAPPED},
        holds);
    const uint64_t copied[] = {0, 17 * MIB + 512, holds->blocks.size};
    for (size_t i = 0; i < ARRAY_SIZE(copied); i++) {
        AUTO_DISK struct fake_disk *then = lab_content();
        memset(then->bytes, 0, MIB);
        memset(then->bytes + 8 * MIB, 'x', 4 * MIB);
        memset(then->bytes + copied[i], 0, then->blocks.size - copied[i]);
        lab_target(lab, "target", then->blocks.size);
        struct blocks *to = lab_blocks(lab, "target", NULL, true);
        copy_all(&then->blocks, to);
        blocks_close(to);

        struct blocks *from = lab_blocks(lab, "changed", NULL, false);
        to = lab_blocks(lab, "target", NULL, true);
        uint64_t at = 0, written = 0;
        assert_done(blocks_update(from, to, 0, NULL, &at, &written, &error), &error);
        assert_int_equal(at, holds->blocks.size);
        assert_true(written <= 5 * MIB + holds->blocks.size - copied[i] + 4 * KIB);
        struct blocks_comparison found;
        assert_same(from, to, &found);
        blocks_close(to);
        to = lab_blocks(lab, "target", NULL, true);
        assert_same(&holds->blocks, to, &found);
        assert_done(blocks_update(from, to, 0, NULL, &at, &written, &error), &error);
        assert_int_equal(written, 0);
        blocks_close(from);
        blocks_close(to);
        lab_untarget(lab, "target");
    }
}

/* ---- the exclusive lock ---- */

static int write_as(struct ceph_open *guest, const char *text)
{
    return (int)rbd_write(guest->image, 0, strlen(text), text);
}

/* A guest has it open: writing, or only waiting without the lock. */
static void not_under_a_guest(void **state)
{
    struct lab *lab = lab_of(state);
    lab_target(lab, "target", 8 * MIB);
    const struct ceph_image_name name = lab_name(lab, "target");
    for (int writing = 0; writing < 2; writing++) {
        AUTO_ERROR struct error error = {0};
        struct ceph_open guest = {0};
        assert_done(ceph_image_open(lab->limited, &name, false, &guest, &error), &error);
        if (writing)
            assert_int_equal(write_as(&guest, "guest"), 5);
        struct blocks *blocks = NULL;
        double start = ceph_clock();
        assert_refused(blocks_open_rbd(lab->cluster, &name, NULL, true, &blocks, &error), &error,
                       ERROR_BUSY);
        assert_true(ceph_clock() - start < 5);
        assert_null(blocks);
        assert_non_null(strstr(error.message, " client."));
        assert_int_equal(write_as(&guest, "still"), 5); /* and was not disturbed */
        ceph_open_close(&guest);
    }
    blocks_close(lab_blocks(lab, "target", NULL, true));
}

/* We have it: a guest that is started now can open it, and not write. */
static void no_guest_beside_us(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    AUTO_DISK struct fake_disk *holds = lab_content();
    lab_target(lab, "target", holds->blocks.size);
    const struct ceph_image_name name = lab_name(lab, "target");
    struct blocks *to = lab_blocks(lab, "target", NULL, true);
    AUTO_OPEN struct ceph_open guest = {0};
    assert_done(ceph_image_open(lab->limited, &name, false, &guest, &error), &error);
    double start = ceph_clock();
    assert_int_equal(write_as(&guest, "guest"), -EROFS);
    assert_true(ceph_clock() - start < 20);
    copy_all(&holds->blocks, to);
    assert_int_equal(write_as(&guest, "guest"), -EROFS);
    blocks_close(to);
    check_copy(lab, "target", holds);
    assert_int_equal(write_as(&guest, "guest"), 5);
}

/* An operator breaks the lock in mid-copy: the copy ends, and nothing of it arrives later. */
static bool break_it(void *opaque, uint64_t done, uint64_t read UNUSED)
{
    struct lab *lab = opaque;
    if (done == 0)
        return true;
    AUTO_OPEN struct ceph_open open = lab_image_open(lab, NULL, "target");
    rbd_lock_mode_t mode;
    char *owners[1] = {NULL};
    size_t count = 1;
    if (rbd_lock_get_owners(open.image, &mode, owners, &count) == 0 && count == 1) {
        assert_int_equal(rbd_lock_break(open.image, mode, owners[0]), 0);
        rbd_lock_get_owners_cleanup(owners, count);
        assert_int_equal(rbd_write(open.image, 41 * MIB, 4, "mine"), 4);
    }
    return true;
}

static void lock_broken(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    AUTO_DISK struct fake_disk *holds = lab_content();
    lab_target(lab, "target", holds->blocks.size);
    const struct ceph_login login = lab_login(lab);
    const struct ceph_image_name name = lab_name(lab, "target");
    CLEANUP(ceph_disconnectp) struct ceph_cluster *own = NULL; /* it will be shut out */
    assert_done(ceph_connect(&login, &own, &error), &error);
    struct blocks *to = NULL;
    assert_done(blocks_open_rbd(own, &name, NULL, true, &to, &error), &error);
    const struct blocks_watch watch = {.opaque = lab, .progress = break_it, .bandwidth = 16 * MIB};
    uint64_t copied = 0;
    double start = ceph_clock();
    assert_refused(blocks_copy(&holds->blocks, to, 0, &watch, &copied, &error), &error,
                   ERROR_DISCONNECTED);
    blocks_close(to);
    print_message("    ended %.1f s after the beginning\n", ceph_clock() - start);
    assert_true(copied < holds->blocks.size);
    char found[4];
    AUTO_OPEN struct ceph_open open = lab_image_open(lab, NULL, "target");
    assert_int_equal(rbd_read(open.image, 41 * MIB, 4, found), 4);
    assert_memory_equal(found, "mine", 4);
}

static void without_an_exclusive_lock(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    lab_image(lab, &(struct image_spec){.name = "plain", .size = MIB, .features = 1}, NULL);
    const struct ceph_image_name name = lab_name(lab, "plain");
    struct blocks *blocks = NULL;
    assert_refused(blocks_open_rbd(lab->cluster, &name, NULL, true, &blocks, &error), &error,
                   ERROR_UNSUPPORTED);
    assert_null(blocks);
}

int blocks_copy_tests(struct lab *lab)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(images, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(snapshot, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(files, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(another_cluster, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(cancelled_and_taken_up_again, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(source_changed_meanwhile, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(killed_and_taken_up_again, lab_short_watches,
                                                 lab_usual_watches, lab),
        cmocka_unit_test_prestate_setup_teardown(not_under_a_guest, sweep, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(no_guest_beside_us, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(lock_broken, NULL, sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(without_an_exclusive_lock, NULL, sweep, lab),
    };
    return cmocka_run_group_tests_name("copy", tests, NULL, NULL);
}
