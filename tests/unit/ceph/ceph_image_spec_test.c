/* What is refused before the cluster is asked. */
#include "ceph/image_create.h"
#include "cmocka_compat.h"

#include <errno.h>

static int check_name(const char *image)
{
    AUTO_ERROR struct error error = {0};
    int result = ceph_image_name_check(image, &error);
    if (result < 0) {
        assert_int_equal(error.code, ERROR_INPUT);
        assert_non_null(error.hint);
    }
    return result;
}

static void image_names(void **state UNUSED)
{
    static const char *const good[] = {"db1-vda", "a", "with space", "x.y", "h\xc3\xb6st", "-"};
    static const char *const bad[] = {
        "", ".hidden", ".virt-pivot.x", "a/b", "a@snap", "a\nb", "\x7f", "@", "/"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(check_name(good[i]), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(check_name(bad[i]), -1);
    assert_int_equal(check_name(NULL), -1);

    char name[98];
    memset(name, 'n', 97);
    name[97] = '\0';
    assert_int_equal(check_name(name), -1);
    name[96] = '\0';
    assert_int_equal(check_name(name), 0);
}

static void tokens(void **state UNUSED)
{
    static const char *const good[] = {"a", "6f1c-vda-3", "ABC"};
    static const char *const bad[] = {"", "a.b", "a/b", "a b", "a_b", "../x", "\xc3\xb6"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        AUTO_ERROR struct error error = {0};
        assert_int_equal(ceph_token_check(good[i], &error), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO_ERROR struct error error = {0};
        assert_int_equal(ceph_token_check(bad[i], &error), -1);
        assert_int_equal(error.code, ERROR_INPUT);
    }
    AUTO_ERROR struct error missing = {0};
    assert_int_equal(ceph_token_check(NULL, &missing), -1);
    AUTO_ERROR struct error endless = {0};
    char token[66];
    memset(token, 't', 65);
    token[65] = '\0';
    assert_int_equal(ceph_token_check(token, &endless), -1);
}

static int check_spec(uint64_t size, uint64_t object_size)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_spec spec = {.name = {.pool = "p", .image = "i"},
                                         .size = size,
                                         .object_size = object_size,
                                         .token = "t"};
    return ceph_image_spec_check(&spec, &error);
}

static void sizes(void **state UNUSED)
{
    assert_int_equal(check_spec(512, 4 << 20), 0);
    assert_int_equal(check_spec(512, 4096), 0);
    assert_int_equal(check_spec(512, 32 << 20), 0);
    assert_int_equal(check_spec(0, 4 << 20), -1);
    assert_int_equal(check_spec(512, 0), -1);
    assert_int_equal(check_spec(512, 2048), -1);
    assert_int_equal(check_spec(512, 64 << 20), -1);
    assert_int_equal(check_spec(512, (4 << 20) + 1), -1);
    assert_int_equal(check_spec(512, UINT64_MAX), -1);
    assert_int_equal(check_spec(512, 1ull << 63), -1);
}

static void drafts(void **state UNUSED)
{
    AUTO_FREE char *name = ceph_draft_name("6f1c-vda");
    assert_string_equal(name, ".virt-pivot.6f1c-vda");
    /* nobody can ask for an image of that name */
    assert_int_equal(check_name(name), -1);
}

static void qos_without_a_cluster(void **state UNUSED)
{
    static const struct ceph_qos bad[] = {
        {.iops_burst = 100},
        {.iops = 200, .iops_burst = 100},
        {.bps = 2, .bps_burst = 1},
        {.bps_burst = 1},
    };
    const struct ceph_image_name name = {.pool = "p", .image = "i"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO_ERROR struct error error = {0};
        assert_int_equal(ceph_image_set_qos(NULL, &name, &bad[i], &error), -1);
        assert_int_equal(error.code, ERROR_INPUT);
        assert_non_null(strstr(error.message, "burst"));
    }
}

static void only_these_features_are_taken_back(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_name name = {.pool = "p", .image = "i"};
    assert_int_equal(ceph_image_disable_features(NULL, &name, RBD_FEATURE_JOURNALING, &error), -1);
    assert_int_equal(error.code, ERROR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_names),
        cmocka_unit_test(tokens),
        cmocka_unit_test(sizes),
        cmocka_unit_test(drafts),
        cmocka_unit_test(qos_without_a_cluster),
        cmocka_unit_test(only_these_features_are_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
