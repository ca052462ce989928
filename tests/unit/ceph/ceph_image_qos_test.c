/* Limits of an image: which of its metadata they are. */
#include "ceph/fake_librbd.h"
#include "cmocka_compat.h"

static void put(struct fake_librbd *fake, const char *key)
{
    *text_list_add(&fake->keys) = text_dup(key);
}

/* A burst that a former owner has set counts with the tier's limits, too. */
static void nothing_of_others_is_left(void **state UNUSED)
{
    static const char *const directions[] = {"", "read_", "write_"};
    static const char *const units[] = {"iops", "bps"};
    static const char *const kinds[] = {"limit", "burst", "burst_seconds"};
    static const char other[] = "conf_rbd_cache";
    const struct ceph_image_name name = {.pool = (char *)"p", .image = (char *)"i"};
    const struct ceph_qos none = {0}, some = {.iops = 1};
    struct fake_librbd fake;
    fake_librbd_begin(&fake);
    put(&fake, other);
    for (size_t i = 0; i < ARRAY_SIZE(directions); i++)
        for (size_t j = 0; j < ARRAY_SIZE(units); j++)
            for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
                AUTO_FREE char *key =
                    text_format("conf_rbd_qos_%s%s_%s", directions[i], units[j], kinds[k]);
                put(&fake, key);
            }
    AUTO_ERROR struct error error = {0};
    assert_int_equal(ceph_image_set_qos(&fake.cluster, &name, &some, &error), 0);
    AUTO_FREE char *left = ceph_list_text(&fake.keys);
    assert_string_equal(left, "conf_rbd_cache and conf_rbd_qos_iops_limit");
    assert_int_equal(ceph_image_set_qos(&fake.cluster, &name, &none, &error), 0);
    AUTO_FREE char *others = ceph_list_text(&fake.keys);
    assert_string_equal(others, other);
    fake_librbd_end(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_of_others_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
