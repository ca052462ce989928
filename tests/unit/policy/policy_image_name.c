#include "policy_fixture.h"

#define UUID "c7a5fdbd-cdaf-9455-926a-d65c16db1809"

static void test_names(void **state UNUSED)
{
    char long_name[97] = {0}, longer_name[98] = {0};
    memset(long_name, 'x', sizeof(long_name) - 1 - strlen("-vda"));
    memset(longer_name, 'x', sizeof(longer_name) - 1 - strlen("-vda"));
    AUTO_FREE char *long_image = text_format("%s-vda", long_name);
    AUTO_FREE char *longer_image = text_format(
        "tier 't': the image's name would be '%s-vda': it has more than 96 bytes", longer_name);
    assert_int_equal(strlen(long_image), 96);
    const struct {
        const char *template, *name, *uuid, *target, *image, *message;
    } cases[] = {
        {"{name}-{target}", "db-1", UUID, "vda", "db-1-vda", NULL},
        {"{uuid}.{target}", "db-1", UUID, "vda", UUID ".vda", NULL},
        {"a{target}b{name}c{target}", "n", UUID, "t", "atbnct", NULL},
        {"{name}-{target}", "{target}", UUID, "vda", "{target}-vda", NULL},
        {"{name}-{target}", "dä b", UUID, "vda", "dä b-vda", NULL},
        {"{name}-{target}", long_name, UUID, "vda", long_image, NULL},
        {"{name}-{target}", longer_name, UUID, "vda", NULL, longer_image},
        {"{name}-{target}", "a/b", UUID, "vda", NULL,
         "tier 't': the image's name would be 'a/b-vda': it has a '/'"},
        {"{name}-{target}", "a@b", UUID, "vda", NULL,
         "tier 't': the image's name would be 'a@b-vda': it has a '@'"},
        {"{name}-{target}", ".a", UUID, "vda", NULL,
         "tier 't': the image's name would be '.a-vda': it begins with '.'"},
        {"{name}-{target}", "a\nb", UUID, "vda", NULL,
         "tier 't': the image's name would be 'a?b-vda': it has a control character"},
        {"{name}-{target}", "a\xc2\x80", UUID, "vda", NULL,
         "tier 't': the image's name would be 'a\xc2\x80-vda': it has a control character"},
        {"{uuid}-{target}", "a", NULL, "vda", NULL,
         "tier 't': there is no {uuid} for the image's name '{uuid}-{target}'"},
        {"{name}-{target}", "", UUID, "vda", NULL,
         "tier 't': there is no {name} for the image's name '{name}-{target}'"},
        {"", "a", UUID, "vda", NULL, "tier 't': the image's name would be '': it is empty"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct policy_tier tier = {.name = (char *)"t", .image = (char *)cases[i].template};
        struct sample sample;
        sample_file(&sample, "/a");
        sample.domain.name = (char *)cases[i].name;
        sample.domain.uuid = (char *)cases[i].uuid;
        sample.disk.target = (char *)cases[i].target;
        AUTO_ERROR struct error error = {0};
        AUTO_FREE char *image = policy_image_name(&tier, &sample.domain, &sample.disk, &error);
        assert_string_equal(image ? image : "(none)", cases[i].image ? cases[i].image : "(none)");
        assert_string_equal(error.message ? error.message : "(none)",
                            cases[i].message ? cases[i].message : "(none)");
        assert_int_equal(error.code, cases[i].message ? ERROR_POLICY : ERROR_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
