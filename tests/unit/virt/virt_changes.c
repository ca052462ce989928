/* Which domains events were about: collected only when asked for, each once, and complete again
 * after a reconnection. */
#include "virt_fixture.h"

#include <poll.h>

#define SECOND_UUID "11111111-2222-3333-4444-555555555555"

static const char second_xml[] =
    "<domain type='test'><name>second</name><uuid>" SECOND_UUID "</uuid>"
    "<memory>65536</memory><os><type>hvm</type></os></domain>";

struct taken {
    struct virt_changes changes;
    bool all;
};
static void taken_clear(struct taken *taken)
{
    free(taken->changes.items);
}
#define AUTO_TAKEN CLEANUP(taken_clear)

static const struct virt_change *find(const struct taken *taken, const char *uuid)
{
    const struct virt_change *found = NULL;
    for (size_t i = 0; i < taken->changes.count; i++) {
        if (strcmp(taken->changes.items[i].uuid, uuid) != 0)
            continue;
        assert_null(found);
        found = &taken->changes.items[i];
    }
    return found;
}

/* Takes until there is an event of this domain, or gives up after half a minute. */
static const struct virt_change *await(struct scene *scene, const char *uuid, struct taken *taken)
{
    for (int i = 0; i < 300; i++) {
        bool all = false;
        virt_take_changes(scene->virt, &taken->changes, &all);
        taken->all |= all;
        if (find(taken, uuid))
            return find(taken, uuid);
        virt_wait(scene->virt, 100);
    }
    fail_msg("no event of domain %s", uuid);
    return NULL;
}

/* Events come by another thread, in order: once a later one is here, so are all before it. */
static void settle(struct scene *scene, struct taken *taken)
{
    static int marks;
    AUTO_FREE char *xml =
        text_format("<domain type='test'><name>mark%d</name><memory>65536</memory>"
                    "<os><type>hvm</type></os></domain>",
                    ++marks);
    virDomainPtr mark = virDomainDefineXML(scene->other, xml);
    assert_non_null(mark);
    char uuid[VIRT_UUID_TEXT];
    assert_int_equal(virDomainGetUUIDString(mark, uuid), 0);
    assert_int_equal(virDomainUndefine(mark), 0);
    virDomainFree(mark);
    await(scene, uuid, taken);
}

static bool readable(const struct scene *scene)
{
    struct pollfd poll_fd = {.fd = virt_changes_fd(scene->virt), .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

static void first_call_says_all(void **state UNUSED)
{
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    virt_collect_changes(scene.virt);
    AUTO_TAKEN struct taken taken = {0};
    virt_take_changes(scene.virt, &taken.changes, &taken.all);
    assert_true(taken.all);
    assert_int_equal(taken.changes.count, 0);
    virt_take_changes(scene.virt, &taken.changes, &taken.all);
    assert_false(taken.all);
}

static void a_start_ran(void **state UNUSED)
{
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    virt_collect_changes(scene.virt);
    AUTO_TAKEN struct taken before = {0}, defined = {0}, started = {0}, stopped = {0};
    settle(&scene, &before);

    virDomainPtr second = virDomainDefineXML(scene.other, second_xml);
    assert_non_null(second);
    assert_false(await(&scene, SECOND_UUID, &defined)->ran_at);
    assert_false(defined.all);

    assert_int_equal(virDomainCreate(second), 0);
    assert_true(await(&scene, SECOND_UUID, &started)->ran_at);

    assert_int_equal(virDomainDestroy(second), 0);
    assert_false(await(&scene, SECOND_UUID, &stopped)->ran_at);
    assert_null(find(&stopped, TEST_UUID));
    assert_int_equal(virDomainUndefine(second), 0);
    virDomainFree(second);
}

/* A guest that ran and stopped before anybody looked did run. */
static void ran_is_latched(void **state UNUSED)
{
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    virt_collect_changes(scene.virt);
    virDomainPtr second = virDomainCreateXML(scene.other, second_xml, 0);
    assert_non_null(second);
    assert_int_equal(virDomainDestroy(second), 0);
    virDomainFree(second);
    AUTO_TAKEN struct taken taken = {0};
    settle(&scene, &taken);
    assert_non_null(find(&taken, SECOND_UUID));
    assert_true(find(&taken, SECOND_UUID)->ran_at);
}

static void pause_and_resume_ran(void **state UNUSED)
{
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    virt_collect_changes(scene.virt);
    AUTO_TAKEN struct taken paused = {0}, resumed = {0};
    assert_int_equal(virDomainSuspend(scene.domain), 0);
    assert_true(await(&scene, TEST_UUID, &paused)->ran_at);
    assert_int_equal(virDomainResume(scene.domain), 0);
    assert_true(await(&scene, TEST_UUID, &resumed)->ran_at);
}

static void metadata_is_a_change(void **state UNUSED)
{
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    virt_collect_changes(scene.virt);
    assert_int_equal(virDomainSetMetadata(scene.domain, VIR_DOMAIN_METADATA_ELEMENT,
                                          "<tier>gold</tier>", "pivot", "urn:virt-pivot:1",
                                          VIR_DOMAIN_AFFECT_LIVE),
                     0);
    AUTO_TAKEN struct taken taken = {0};
    assert_false(await(&scene, TEST_UUID, &taken)->ran_at);
}

static void nothing_grows_unasked(void **state UNUSED)
{
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    assert_int_equal(virt_changes_fd(scene.virt), -1);
    assert_int_equal(virDomainSuspend(scene.domain), 0);
    assert_int_equal(virDomainResume(scene.domain), 0);
    virt_wait(scene.virt, 5000);
    virt_wait(scene.virt, 200);
    assert_int_equal(scene.virt->changes.count, 0);

    virt_collect_changes(scene.virt);
    AUTO_TAKEN struct taken taken = {0};
    settle(&scene, &taken);
    assert_null(find(&taken, TEST_UUID));
    assert_true(taken.all);
}

static void the_descriptor_tells(void **state UNUSED)
{
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    virt_collect_changes(scene.virt);
    AUTO_TAKEN struct taken taken = {0}, later = {0};
    assert_true(readable(&scene)); /* all is to be looked at */
    virt_take_changes(scene.virt, &taken.changes, &taken.all);
    assert_false(readable(&scene));

    assert_int_equal(virDomainSuspend(scene.domain), 0);
    struct pollfd poll_fd = {.fd = virt_changes_fd(scene.virt), .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 30000), 1);
    await(&scene, TEST_UUID, &later);
    assert_int_equal(virDomainResume(scene.domain), 0);
}

/* A lost connection: what was collected stays, what may have been missed is said, and the new
 * connection collects. */
static void reconnection_says_all(void **state UNUSED)
{
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    virt_collect_changes(scene.virt);
    AUTO_TAKEN struct taken before = {0}, lost = {0}, after = {0};
    settle(&scene, &before);
    assert_true(before.all);

    pthread_mutex_lock(&scene.virt->mutex);
    scene.virt->lost = true; /* as on_close does */
    pthread_mutex_unlock(&scene.virt->mutex);
    assert_false(virt_connected(scene.virt));
    assert_int_equal(virt_reconnect(scene.virt, 0, &scene.error), 0);
    assert_true(readable(&scene));
    virt_take_changes(scene.virt, &lost.changes, &lost.all);
    assert_true(lost.all);

    assert_int_equal(virDomainSetMetadata(scene.domain, VIR_DOMAIN_METADATA_TITLE, "t", NULL, NULL,
                                          VIR_DOMAIN_AFFECT_LIVE),
                     0);
    await(&scene, TEST_UUID, &after);
    assert_false(after.all);
}

/* Asked for while there is no connection: the next one collects. */
static void asked_while_lost(void **state UNUSED)
{
    AUTO_SCENE struct scene scene;
    scene_open(&scene);
    pthread_mutex_lock(&scene.virt->mutex);
    scene.virt->lost = true;
    pthread_mutex_unlock(&scene.virt->mutex);
    virt_collect_changes(scene.virt);
    assert_int_equal(virt_reconnect(scene.virt, 0, &scene.error), 0);
    AUTO_TAKEN struct taken taken = {0};
    assert_int_equal(virDomainSetMetadata(scene.domain, VIR_DOMAIN_METADATA_TITLE, "u", NULL, NULL,
                                          VIR_DOMAIN_AFFECT_LIVE),
                     0);
    await(&scene, TEST_UUID, &taken);
    assert_true(taken.all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_call_says_all),  cmocka_unit_test(a_start_ran),
        cmocka_unit_test(ran_is_latched),       cmocka_unit_test(pause_and_resume_ran),
        cmocka_unit_test(metadata_is_a_change), cmocka_unit_test(nothing_grows_unasked),
        cmocka_unit_test(the_descriptor_tells), cmocka_unit_test(reconnection_says_all),
        cmocka_unit_test(asked_while_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
