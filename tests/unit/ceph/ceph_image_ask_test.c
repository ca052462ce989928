/* Questions to the owner of an image's lock, and answers that do not come. */
#include "cmocka_compat.h"

#include "ceph/image_ask.h"

#include <errno.h>
#include <unistd.h>

static int answer(rbd_image_t image UNUSED, const struct ceph_wish *wish,
                  librbd_progress_fn_t hear UNUSED, void *opaque UNUSED)
{
    return -(int)wish->features;
}

static int never(rbd_image_t image UNUSED, const struct ceph_wish *wish UNUSED,
                 librbd_progress_fn_t hear UNUSED, void *opaque UNUSED)
{
    while (pause() < 0)
        ;
    return 0;
}

/* For longer than is waited for without news. */
static int tell(rbd_image_t image UNUSED, const struct ceph_wish *wish UNUSED,
                librbd_progress_fn_t hear, void *opaque)
{
    for (int i = 0; i < 25; i++) {
        usleep(100000);
        if (hear((uint64_t)i, 25, opaque) < 0)
            return -EINVAL;
    }
    return 0;
}

static int ask(struct ceph_cluster *cluster, ceph_ask *what, uint64_t features, double seconds)
{
    struct ceph_open open = {0};
    const struct ceph_wish wish = {.features = features, .snapshot = "a"};
    return ceph_ask_owner(cluster, &open, what, &wish, seconds);
}

static void answers(void **state UNUSED)
{
    struct ceph_cluster cluster = {0};
    assert_int_equal(ask(&cluster, answer, 0, 60), 0);
    assert_int_equal(ask(&cluster, answer, EBUSY, 60), -EBUSY);
    assert_int_equal(ask(&cluster, answer, ETIMEDOUT, 60), -ETIMEDOUT);
    assert_false(cluster.is_stuck);
}

/* The connection cannot be closed then: a thread is at it. */
static void silence(void **state UNUSED)
{
    struct ceph_cluster cluster = {0};
    assert_int_equal(ask(&cluster, never, 0, 0.5), -ETIMEDOUT);
    assert_true(cluster.is_stuck);
}

static void news(void **state UNUSED)
{
    struct ceph_cluster cluster = {0};
    assert_int_equal(ask(&cluster, tell, 0, 2), 0);
    assert_false(cluster.is_stuck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(silence),
        cmocka_unit_test(news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
