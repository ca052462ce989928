/* What became of a source: one line of text, there and back. */
#include "cmocka_compat.h"

#include "base/text.h"
#include "move/given_up.h"

static void there_and_back(void **state UNUSED)
{
    static const char *const texts[] = {
        "trash vms/db-1 12ab34",
        "trash vms/tenant/db-1 12ab34",
        "trash my pool/an image 12ab34",
        "aside /srv/a b/db-1.raw.virt-pivot-12",
        "aside /srv/x.virt-pivot-3.virt-pivot-12",
        "removed vms/db-1 12ab34",
        "removed /srv/db-1.raw",
        "kept",
        "kept a block device",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        AUTO_ERROR struct error error = {0};
        CLEANUP(given_up_clear) struct given_up given_up = {0};
        if (given_up_parse(texts[i], &given_up, &error) < 0)
            fail_msg("%s", error.message);
        AUTO_FREE char *text = given_up_format(&given_up);
        AUTO_FREE char *people = given_up_describe(&given_up);
        assert_string_equal(text, texts[i]);
        assert_true(*people);
    }
}

static void parts(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(given_up_clear) struct given_up image = {0}, file = {0}, nothing = {0};
    assert_int_equal(given_up_parse("trash vms/tenant/db-1 12ab", &image, &error), 0);
    assert_int_equal(image.kind, GIVEN_UP_TRASH);
    assert_string_equal(image.pool, "vms");
    assert_string_equal(image.name_space, "tenant");
    assert_string_equal(given_up_image(&image).image, "db-1");
    assert_string_equal(image.id, "12ab");
    AUTO_FREE char *aside = given_up_aside_name("/srv/db-1.raw", 12);
    AUTO_FREE char *text = text_format("aside %s", aside);
    assert_int_equal(given_up_parse(text, &file, &error), 0);
    assert_string_equal(file.path, "/srv/db-1.raw");
    assert_string_equal(file.aside, "/srv/db-1.raw.virt-pivot-12");
    assert_int_equal(given_up_parse(NULL, &nothing, &error), 0);
    assert_int_equal(nothing.kind, GIVEN_UP_NOTHING);
    assert_null(given_up_format(&nothing));
}

static void nonsense(void **state UNUSED)
{
    static const char *const texts[] = {
        "",
        "trash",
        "trash vms",
        "trash vms/x",
        "trash /x 1",
        "trash vms//x 1",
        "trash a/b/c/d 1",
        "trash vms/x ",
        "aside",
        "aside /x",
        "aside x.virt-pivot-1",
        "aside /x.virt-pivot-",
        "removed",
        "removed x",
        "aside /x.virt-pivot-1a",
        "gone",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        AUTO_ERROR struct error error = {0};
        CLEANUP(given_up_clear) struct given_up given_up = {0};
        if (given_up_parse(texts[i], &given_up, &error) == 0)
            fail_msg("'%s' is understood", texts[i]);
        assert_int_equal(error.code, ERROR_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(parts),
        cmocka_unit_test(nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
