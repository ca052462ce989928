/* A cluster that hangs: its only OSD is stopped in the middle of the work, and goes on later, or
 * does not. What is under way waits, can be cancelled, and ends. */
#include "blocks_lab.h"

#include <pthread.h>
#include <signal.h>

/* The connection's timeout is 10 s: what is under way then is tried again. */
#define HANG_SECONDS 13

static struct lab *lab_of(void **state)
{
    return *state;
}

static pid_t osd(void)
{
    const char *text = getenv("VP_LAB_OSD_PID");
    return text ? (pid_t)strtol(text, NULL, 10) : 0;
}

static int go_on_and_sweep(void **state)
{
    if (osd() == 0)
        return 0;
    kill(osd(), SIGCONT);
    ceph_pause(1000);
    lab_sweep(lab_of(state));
    return 0;
}

struct hang {
    uint64_t stop_at; /* bytes done */
    double seconds;   /* until it goes on; 0: it does not */
    double cancel_at; /* seconds after it was stopped; 0: never */
    double stopped;   /* when; 0: not yet */
    double longest;   /* from one time that it was told of progress to the next */
    double told;
    pthread_t thread;
};

static void *go_on_later(void *opaque)
{
    const struct hang *hang = opaque;
    ceph_pause((unsigned)(hang->seconds * 1000));
    kill(osd(), SIGCONT);
    return NULL;
}

static bool stop_it(void *opaque, uint64_t done, uint64_t read UNUSED)
{
    struct hang *hang = opaque;
    double now = ceph_clock();
    if (hang->told > 0 && now - hang->told > hang->longest)
        hang->longest = now - hang->told;
    hang->told = now;
    if (hang->stopped == 0 && done >= hang->stop_at) {
        hang->stopped = now;
        assert_int_equal(kill(osd(), SIGSTOP), 0);
        if (hang->seconds > 0)
            assert_int_equal(pthread_create(&hang->thread, NULL, go_on_later, hang), 0);
    }
    return hang->cancel_at == 0 || hang->stopped == 0 || now - hang->stopped < hang->cancel_at;
}

static struct blocks_watch watch_of(struct hang *hang)
{
    return (struct blocks_watch){.opaque = hang, .progress = stop_it, .bandwidth = 32 * MIB};
}

static void check_hang(const struct hang *hang)
{
    assert_true(hang->stopped > 0);
    print_message("    %.1f s after it was stopped; progress at least every %.1f s\n",
                  ceph_clock() - hang->stopped, hang->longest);
    assert_true(hang->longest < 5); /* whoever wants to cancel is heard */
}

static struct fake_disk *make_source(struct lab *lab)
{
    struct fake_disk *holds = lab_content();
    lab_image(
        lab, &(struct image_spec){.name = "source", .size = holds->blocks.size, .features = MAPPED},
        holds);
    lab_target(lab, "target", holds->blocks.size);
    return holds;
}

static void copy_waits(void **state)
{
    struct lab *lab = lab_of(state);
    if (osd() == 0)
        skip();
    AUTO_ERROR struct error error = {0};
    AUTO_DISK struct fake_disk *holds = make_source(lab);
    struct blocks *from = lab_blocks(lab, "source", NULL, false);
    struct blocks *to = lab_blocks(lab, "target", NULL, true);
    struct hang hang = {.stop_at = 12 * MIB, .seconds = HANG_SECONDS};
    const struct blocks_watch watch = watch_of(&hang);
    uint64_t copied = 0;
    assert_done(blocks_copy(from, to, 0, &watch, &copied, &error), &error);
    pthread_join(hang.thread, NULL);
    check_hang(&hang);
    assert_int_equal(copied, holds->blocks.size);
    struct blocks_comparison found;
    assert_same(from, to, &found);
    blocks_close(to);
    blocks_close(from);
    to = lab_blocks(lab, "target", NULL, false);
    assert_same(&holds->blocks, to, &found);
    blocks_close(to);
}

static void comparison_waits(void **state)
{
    struct lab *lab = lab_of(state);
    if (osd() == 0)
        skip();
    AUTO_ERROR struct error error = {0};
    AUTO_DISK struct fake_disk *holds = make_source(lab);
    CLEANUP(blocks_closep) struct blocks *from = lab_blocks(lab, "source", NULL, false);
    struct hang hang = {.stop_at = 12 * MIB, .seconds = HANG_SECONDS};
    const struct blocks_watch watch = watch_of(&hang);
    struct blocks_comparison found;
    assert_done(blocks_compare(from, &holds->blocks, &watch, &found, &error), &error);
    pthread_join(hang.thread, NULL);
    check_hang(&hang);
    assert_true(found.equal);
    struct blocks_digest digest;
    plain_digest(holds, &digest);
    assert_string_equal(found.first.text, digest.text);
}

static void copy_is_cancelled(void **state)
{
    struct lab *lab = lab_of(state);
    if (osd() == 0)
        skip();
    AUTO_ERROR struct error error = {0};
    AUTO_DISK struct fake_disk *holds = make_source(lab);
    struct blocks *to = lab_blocks(lab, "target", NULL, true);
    struct hang hang = {.stop_at = 12 * MIB, .cancel_at = 2};
    const struct blocks_watch watch = watch_of(&hang);
    uint64_t copied = 0;
    assert_refused(blocks_copy(&holds->blocks, to, 0, &watch, &copied, &error), &error,
                   ERROR_CANCELLED);
    check_hang(&hang);
    assert_true(ceph_clock() - hang.stopped < 45);
    assert_true(copied >= 12 * MIB && copied < holds->blocks.size);
    double start = ceph_clock();
    blocks_close(to);
    print_message("    closed in %.1f s while it hangs\n", ceph_clock() - start);
    assert_true(ceph_clock() - start < 60);

    kill(osd(), SIGCONT);
    ceph_pause(1000);
    to = lab_blocks(lab, "target", NULL, true);
    struct blocks_comparison found;
    assert_done(blocks_compare(&holds->blocks, to, NULL, &found, &error), &error);
    assert_true(found.equal || found.first_difference >= copied);
    assert_done(blocks_copy(&holds->blocks, to, copied, NULL, &copied, &error), &error);
    assert_same(&holds->blocks, to, &found);
    blocks_close(to);
}

static void comparison_is_cancelled(void **state)
{
    struct lab *lab = lab_of(state);
    if (osd() == 0)
        skip();
    AUTO_ERROR struct error error = {0};
    AUTO_DISK struct fake_disk *holds = make_source(lab);
    struct blocks *from = lab_blocks(lab, "source", NULL, false);
    struct hang hang = {.stop_at = 12 * MIB, .cancel_at = 2};
    const struct blocks_watch watch = watch_of(&hang);
    struct blocks_comparison found;
    assert_refused(blocks_compare(from, &holds->blocks, &watch, &found, &error), &error,
                   ERROR_CANCELLED);
    check_hang(&hang);
    assert_true(ceph_clock() - hang.stopped < 45);
    double start = ceph_clock();
    blocks_close(from);
    print_message("    closed in %.1f s while it hangs\n", ceph_clock() - start);
    assert_true(ceph_clock() - start < 30);
}

/* Opening, for reading and for writing, while nothing answers. */
static void opening_ends(void **state)
{
    struct lab *lab = lab_of(state);
    if (osd() == 0)
        skip();
    fake_disk_free(make_source(lab)); /* it is of no use while nothing answers */
    assert_int_equal(kill(osd(), SIGSTOP), 0);
    for (int writable = 0; writable < 2; writable++) {
        AUTO_ERROR struct error error = {0};
        struct blocks *blocks = NULL;
        const struct ceph_image_name name = lab_name(lab, writable ? "target" : "source");
        double start = ceph_clock();
        assert_refused(blocks_open_rbd(lab->cluster, &name, NULL, writable, &blocks, &error),
                       &error, ERROR_UNREACHABLE);
        print_message("    refused after %.1f s\n", ceph_clock() - start);
        assert_true(ceph_clock() - start < 30);
        assert_null(blocks);
    }
    assert_int_equal(kill(osd(), SIGCONT), 0);
}

int blocks_fault_tests(struct lab *lab)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(copy_waits, NULL, go_on_and_sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(comparison_waits, NULL, go_on_and_sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(copy_is_cancelled, NULL, go_on_and_sweep, lab),
        cmocka_unit_test_prestate_setup_teardown(comparison_is_cancelled, NULL, go_on_and_sweep,
                                                 lab),
        cmocka_unit_test_prestate_setup_teardown(opening_ends, NULL, go_on_and_sweep, lab),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
