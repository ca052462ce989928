/* Domains, their state and their metadata, as libvirt's test driver tells them. */
#include "virt_fixture.h"

static bool listed(struct scene *scene, const char *uuid)
{
    struct virt_uuids uuids = {0};
    assert_int_equal(virt_list(scene->virt, &uuids, &scene->error), 0);
    size_t found = 0;
    for (size_t i = 0; i < uuids.count; i++)
        found += strcmp(uuids.items[i].text, uuid) == 0;
    free(uuids.items);
    assert_true(found <= 1);
    return found == 1;
}

static struct virt_domain state_of(struct scene *scene, const char *uuid)
{
    struct virt_domain info;
    assert_int_equal(virt_domain(scene->virt, uuid, &info, &scene->error), 0);
    return info;
}

static void lists_running_and_defined(void **state UNUSED)
{
    static const char uuid[] = "11111111-2222-3333-4444-555555555555";
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    assert_true(listed(&scene, TEST_UUID));
    assert_false(listed(&scene, uuid));

    AUTO_FREE char *xml = text_format("<domain type='test'><name>off</name><uuid>%s</uuid>"
                                      "<memory>65536</memory><os><type>hvm</type></os></domain>",
                                      uuid);
    virDomainPtr off = virDomainDefineXML(scene.other, xml);
    assert_non_null(off);
    assert_true(listed(&scene, uuid));
    assert_true(listed(&scene, TEST_UUID));

    CLEANUP(virt_domain_clear) struct virt_domain info = state_of(&scene, uuid);
    assert_true(info.exists && info.persistent);
    assert_false(info.active || info.arriving || info.paused);
    assert_int_equal(info.id, 0);
    assert_null(info.job);
    assert_int_equal(virDomainUndefine(off), 0);
    virDomainFree(off);
    assert_false(listed(&scene, uuid));
}

static void each_start_has_its_id(void **state UNUSED)
{
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    CLEANUP(virt_domain_clear) struct virt_domain first = state_of(&scene, TEST_UUID);
    assert_true(first.exists && first.active && first.persistent);
    assert_false(first.paused || first.arriving);
    assert_string_equal(first.name, TEST_NAME);
    assert_int_equal(first.id, (int)virDomainGetID(scene.domain));
    assert_true(first.id > 0);

    assert_int_equal(virDomainDestroy(scene.domain), 0);
    CLEANUP(virt_domain_clear) struct virt_domain off = state_of(&scene, TEST_UUID);
    assert_true(off.exists && off.persistent);
    assert_false(off.active || off.arriving);
    assert_int_equal(off.id, 0);

    assert_int_equal(virDomainCreate(scene.domain), 0);
    CLEANUP(virt_domain_clear) struct virt_domain second = state_of(&scene, TEST_UUID);
    assert_true(second.active);
    assert_true(second.id > 0);
    assert_int_not_equal(second.id, first.id);
}

static void paused_is_not_arriving(void **state UNUSED)
{
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    assert_int_equal(virDomainSuspend(scene.domain), 0);
    CLEANUP(virt_domain_clear) struct virt_domain info = state_of(&scene, TEST_UUID);
    assert_true(info.active && info.paused);
    assert_false(info.arriving);
    assert_int_equal(virDomainResume(scene.domain), 0);
}

static void nobody(void **state UNUSED)
{
    static const char uuid[] = "99999999-2222-3333-4444-555555555555";
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    CLEANUP(virt_domain_clear) struct virt_domain info = state_of(&scene, uuid);
    assert_false(info.exists);
    assert_int_equal(virt_set_live_metadata(scene.virt, uuid, "urn:x", "x", "<x/>", &scene.error),
                     -1);
    assert_int_equal(scene.error.code, ERROR_NOT_FOUND);
}

static void live_metadata_only(void **state UNUSED)
{
    static const char space[] = "urn:virt-pivot:1";
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    for (int round = 0; round < 2; round++) { /* the second replaces the first */
        AUTO_FREE char *xml = text_format("<sizes><disk target='vda' bytes='%d'/></sizes>", round);
        assert_int_equal(
            virt_set_live_metadata(scene.virt, TEST_UUID, space, "pivot", xml, &scene.error), 0);
    }
    AUTO_FREE char *live = NULL, *defined = NULL;
    assert_int_equal(virt_domain_xml(scene.virt, TEST_UUID, VIRT_XML_LIVE, &live, &scene.error), 0);
    assert_int_equal(
        virt_domain_xml(scene.virt, TEST_UUID, VIRT_XML_INACTIVE, &defined, &scene.error), 0);
    assert_non_null(strstr(live, "xmlns:pivot=\"urn:virt-pivot:1\""));
    assert_non_null(strstr(live, "bytes=\"1\""));
    assert_null(strstr(live, "bytes=\"0\""));
    assert_null(strstr(defined, space));
}

static void metadata_of_a_domain_that_is_off(void **state UNUSED)
{
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    assert_int_equal(virDomainDestroy(scene.domain), 0);
    assert_int_equal(virt_set_live_metadata(scene.virt, TEST_UUID, "urn:virt-pivot:1", "pivot",
                                            "<sizes/>", &scene.error),
                     -1);
    assert_int_equal(scene.error.code, ERROR_FAILED);
    assert_non_null(strstr(scene.error.message, "cannot set the metadata"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_running_and_defined),
        cmocka_unit_test(each_start_has_its_id),
        cmocka_unit_test(paused_is_not_arriving),
        cmocka_unit_test(nobody),
        cmocka_unit_test(live_metadata_only),
        cmocka_unit_test(metadata_of_a_domain_that_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
