/* RBD images, by a librbd that is not there: what the real one does is the lab's business. */
#include "blocks/blocks.h"
#include "ceph/fake_librbd.h"
#include "cmocka_compat.h"

static const struct ceph_image_name name = {.pool = (char *)"p", .image = (char *)"i"};

static struct blocks *open_writable(struct fake_librbd *fake)
{
    AUTO_ERROR struct error error = {0};
    struct blocks *blocks = NULL;
    if (blocks_open_rbd(&fake->cluster, &name, NULL, true, &blocks, &error) < 0)
        fail_msg("%s", error.message);
    return blocks;
}

static struct blocks *open_idle(struct fake_librbd *fake)
{
    AUTO_ERROR struct error error = {0};
    struct blocks *blocks = NULL;
    if (blocks_open_rbd_idle(&fake->cluster, &name, &blocks, &error) < 0)
        fail_msg("%s", error.message);
    return blocks;
}

/* A map that is found to be wrong when the lock is taken is not used. */
static void maps_are_judged_under_the_lock(void **state UNUSED)
{
    for (int i = 0; i < 4; i++) {
        struct fake_librbd fake;
        fake_librbd_begin(&fake);
        fake.flags_found = i & 1 ? RBD_FLAG_OBJECT_MAP_INVALID : 0;
        struct blocks *blocks = i & 2 ? open_idle(&fake) : open_writable(&fake);
        assert_true(fake.is_locked);
        assert_int_equal(blocks_size(blocks), 64 << 20);
        assert_int_equal(blocks_knows_holes(blocks), !(i & 1));
        blocks_close(blocks);
        assert_false(fake.is_locked);
        fake_librbd_end(&fake);
    }
}

static void assert_idle(struct blocks *blocks, bool idle, const char *says)
{
    AUTO_ERROR struct error error = {0};
    int result = blocks_check_idle(blocks, &error);
    if (idle && result < 0)
        fail_msg("%s", error.message);
    if (!idle && (result == 0 || error.code != ERROR_BUSY || !strstr(error.message, says)))
        fail_msg("code %d: %s", (int)error.code, result < 0 ? error.message : "no error");
}

static void who_came_is_remembered(void **state UNUSED)
{
    for (int i = 0; i < 2; i++) {
        struct fake_librbd fake;
        fake_librbd_begin(&fake);
        fake.may_write = i == 0;
        struct blocks *blocks = open_idle(&fake);
        assert_idle(blocks, true, "");
        fake.is_watched = true;
        assert_idle(blocks, false, "in use by 192.0.2.2:0/1 client.2");
        fake.is_watched = false;
        assert_idle(blocks, false, "in use by 192.0.2.2:0/1 client.2");
        assert_false(fake.is_locked);
        blocks_close(blocks);
        fake_librbd_end(&fake);
    }
}

/* While nobody can look, somebody may come and go, unless there is a lock. */
static void blind_without_a_lock(void **state UNUSED)
{
    for (int i = 0; i < 3; i++) {
        struct fake_librbd fake;
        fake_librbd_begin(&fake);
        fake.may_write = i != 1;
        fake.features = i != 2 ? RBD_FEATURE_EXCLUSIVE_LOCK : RBD_FEATURE_LAYERING;
        struct blocks *blocks = open_idle(&fake);
        assert_int_equal(fake.is_locked, i == 0);
        fake.watchers_fail = -ETIMEDOUT;
        ceph_pause(5200);
        fake.watchers_fail = 0;
        ceph_pause(100); /* the guard has looked again by itself */
        assert_idle(blocks, i == 0, "could not be seen who has image p/i open");
        blocks_close(blocks);
        fake_librbd_end(&fake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_are_judged_under_the_lock),
        cmocka_unit_test(who_came_is_remembered),
        cmocka_unit_test(blind_without_a_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
