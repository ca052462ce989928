/* What the tests of helper/virt share: libvirt's test driver, whose state is one for all
 * connections of a process, ours and one that acts behind our back. */
#ifndef TESTS_UNIT_VIRT_FIXTURE_H
#define TESTS_UNIT_VIRT_FIXTURE_H

#include "cmocka_compat.h"
#include "virt/private.h"

#define URI "test:///default"
#define TEST_UUID "6695eb01-f6a4-8304-79aa-97f2502e193f" /* the driver's domain "test", running */
#define TEST_NAME "test"

struct scene {
    struct virt *virt;
    virConnectPtr other;
    virDomainPtr domain; /* "test", by the other connection */
    struct error error;
};

static inline void scene_open(struct scene *scene)
{
    *scene = (struct scene){0};
    assert_int_equal(virt_open(URI, &scene->virt, &scene->error), 0);
    scene->other = virConnectOpen(URI);
    assert_non_null(scene->other);
    scene->domain = virDomainLookupByName(scene->other, TEST_NAME);
    assert_non_null(scene->domain);
}

/* The driver forgets everything with its last connection. */
static inline void scene_close(struct scene *scene)
{
    virDomainFree(scene->domain);
    virt_close(scene->virt);
    assert_int_equal(virConnectClose(scene->other), 0);
    error_clear(&scene->error);
}
#define AUTO_SCENE CLEANUP(scene_close)

#endif
