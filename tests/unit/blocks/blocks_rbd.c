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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_are_judged_under_the_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
