/* Where a disk goes: size, hosts, limits, speed, and the XML that comes of it. */
#include "plan_fixture.h"

static void sizes_are_whole_sectors(void **state UNUSED)
{
    static const uint64_t cases[][2] = {
        {1, 512},
        {511, 512},
        {512, 512},
        {513, 1024},
        {10 * GIB, 10 * GIB},
        {10 * GIB + 1, 10 * GIB + 512},
        {(1ull << 62) + 5, (1ull << 62) + 512},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_SCENE struct scene scene = {0};
        scene_set(&scene, POLICY, FILE_DISK("/images/a"));
        scene.facts.disks.items[0].capacity = cases[i][0];
        AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
        assert_int_equal(plan->disks.items[0].destination.size, cases[i][1]);
        assert_int_equal(plan->disks.items[0].capacity, cases[i][0]);
    }
}

static void the_tier_is_carried_over(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, FILE_DISK("/images/a"));
    const struct plan_request request = {.tier = "silver"};
    AUTO_PLAN struct plan *plan = plan_of(&scene, &request);
    const struct plan_destination *silver = &plan->disks.items[0].destination;
    assert_string_equal(silver->pool, "bulk");
    assert_string_equal(silver->data_pool, "bulk-ec");
    assert_string_equal(silver->image, "db-1-vda");
    assert_int_equal(silver->object_size, 8 * MIB);
    assert_null(silver->cache);
    assert_int_equal(silver->bandwidth, 0);

    AUTO_PLAN struct plan *other = plan_of(&scene, &everything);
    const struct plan_destination *gold = &other->disks.items[0].destination;
    assert_string_equal(gold->cluster.name, "new");
    assert_string_equal(gold->cluster.mons, "10.1.0.1:3300,10.1.0.2,[fd00::3]:3300");
    assert_string_equal(gold->cluster.user, "libvirt");
    assert_string_equal(gold->cluster.secret, "client.libvirt new");
    assert_false(gold->cluster.secret_is_uuid);
    assert_null(gold->data_pool);
    assert_int_equal(gold->object_size, 4 * MIB);
    assert_int_equal(gold->qos.iops, 2000);
    assert_string_equal(gold->cache, "none");
    assert_string_equal(gold->discard, "unmap");
    assert_int_equal(gold->bandwidth, 200 * MIB);
    AUTO_FREE char *name = plan_destination_describe(gold);
    assert_string_equal(name, "new/fast/db-1-vda");
}

/* ---- speed ---- */

static void expected_time(void **state UNUSED)
{
    static const struct {
        double rate;
        uint64_t bandwidth, allocated, capacity, seconds;
    } cases[] = {
        {100e6, 0, 1000000000, 4000000000, 11},        /* the rate that moves usually reach */
        {100e6, 50000000, 1000000000, 1000000000, 21}, /* the limit is below it */
        {100e6, 50000000, 1000000000, 4000000000, 81}, /* and counts the holes */
        {100e6, 500000000, 1000000000, 4000000000, 11},
        {0, 0, 1000000000, 1000000000, 0}, /* not known */
        {100e6, 0, 0, 4000000000, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_SCENE struct scene scene = {0};
        scene_set(&scene, POLICY, FILE_DISK("/images/a"));
        scene.facts.assumed_rate = cases[i].rate;
        scene.facts.disks.items[0].allocated = cases[i].allocated;
        scene.facts.disks.items[0].capacity = cases[i].capacity;
        const struct plan_request request = {.tier = "silver", .bandwidth = cases[i].bandwidth};
        AUTO_PLAN struct plan *plan = plan_of(&scene, &request);
        assert_int_equal(plan->disks.items[0].expected_seconds, cases[i].seconds);
        assert_int_equal(plan->disks.items[0].destination.bandwidth, cases[i].bandwidth);
    }
}

static void the_request_overrides_the_bandwidth(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, FILE_DISK("/images/a"));
    const struct plan_request request = {.bandwidth = 7 * MIB};
    AUTO_PLAN struct plan *plan = plan_of(&scene, &request);
    assert_int_equal(plan->disks.items[0].destination.bandwidth, 7 * MIB);
}

static void a_source_without_fast_diff_is_prepared(void **state UNUSED)
{
    for (int known = 0; known < 2; known++) {
        AUTO_SCENE struct scene scene = {0};
        scene_set(&scene, POLICY, RBD_DISK("vms/a", "10.0.0.1"));
        struct disk_facts *disk = &scene.facts.disks.items[0];
        disk->source_is_rbd = disk->source_seen = true;
        disk->source_cluster = (struct plan_cluster){.name = text_dup("old")};
        disk->source_pool = text_dup("vms");
        disk->source_image_name = text_dup("a");
        disk->source_image.allocated_known = known;
        AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
        assert_int_equal(plan->disks.items[0].prepare_source, !known);
        assert_string_equal(plan->disks.items[0].source_cluster.name, "old");
        assert_string_equal(plan->disks.items[0].source_pool, "vms");
        assert_string_equal(plan->disks.items[0].source_image, "a");
    }
}

/* ---- hosts ---- */

static void assert_hosts(const char *mons, size_t count, const char *const expected[])
{
    const struct plan_destination destination = {
        .cluster = {.mons = (char *)mons}, .pool = (char *)"p", .image = (char *)"i"};
    struct network_host *hosts = NULL;
    struct rbd_destination rbd = plan_rbd_destination(&destination, &hosts);
    assert_int_equal(rbd.host_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(rbd.hosts[i].name, expected[2 * i]);
        assert_true(text_equal(rbd.hosts[i].port, expected[2 * i + 1]));
        assert_null(rbd.hosts[i].socket);
    }
    free(hosts);
}

static void monitors(void **state UNUSED)
{
    assert_hosts("10.0.0.1", 1, (const char *const[]){"10.0.0.1", NULL});
    assert_hosts("a:1,b,[::1]:2,[fd00::2]", 4,
                 (const char *const[]){"a", "1", "b", NULL, "::1", "2", "fd00::2", NULL});
    assert_hosts(NULL, 0, NULL);
}

static void secrets(void **state UNUSED)
{
    for (int is_uuid = 0; is_uuid < 2; is_uuid++) {
        const struct plan_destination destination = {.cluster = {.conf = (char *)"/c",
                                                                 .user = (char *)"u",
                                                                 .secret = (char *)"s",
                                                                 .secret_is_uuid = is_uuid},
                                                     .pool = (char *)"p",
                                                     .name_space = (char *)"n",
                                                     .image = (char *)"i"};
        struct network_host *hosts = NULL;
        struct rbd_destination rbd = plan_rbd_destination(&destination, &hosts);
        assert_string_equal(rbd.user, "u");
        assert_string_equal(rbd.config_file, "/c");
        assert_string_equal(is_uuid ? rbd.secret_uuid : rbd.secret_usage, "s");
        assert_null(is_uuid ? rbd.secret_usage : rbd.secret_uuid);
        assert_string_equal(rbd.name_space, "n");
        AUTO_FREE char *name =
            plan_destination_describe(&(struct plan_destination){.cluster = {.name = (char *)"c"},
                                                                 .pool = (char *)"p",
                                                                 .name_space = (char *)"n",
                                                                 .image = (char *)"i"});
        assert_string_equal(name, "c/p/n/i");
        free(hosts);
    }
}

/* A cluster of the policy, written for a plan and read back from it, is the same monitors. */
static void monitors_survive_the_way(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, FILE_DISK("/images/a"));
    AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
    struct network_host *hosts = NULL;
    struct rbd_destination rbd = plan_rbd_destination(&plan->disks.items[0].destination, &hosts);
    struct disk_source source = {0};
    rbd_destination_source(&rbd, &source);
    assert_ptr_equal(policy_cluster_of(scene.policy, &source), scene.policy->clusters.items[1]);
    disk_source_clear(&source);
    free(hosts);
}

/* ---- limits ---- */

static void when_iotune_is_wanted(void **state UNUSED)
{
    struct plan_destination destination = {.qos = {.enforce = QOS_IOTUNE}};
    assert_false(plan_wants_iotune(&destination));
    uint64_t *const limits[] = {&destination.qos.iops,      &destination.qos.bps,
                                &destination.qos.read_iops, &destination.qos.write_iops,
                                &destination.qos.read_bps,  &destination.qos.write_bps};
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        *limits[i] = 1;
        assert_true(plan_wants_iotune(&destination));
        destination.keeps_iotune = true;
        assert_false(plan_wants_iotune(&destination));
        destination.keeps_iotune = false;
        destination.qos.enforce = QOS_RBD;
        assert_false(plan_wants_iotune(&destination));
        destination.qos.enforce = QOS_IOTUNE;
        *limits[i] = 0;
    }
    const struct policy_qos qos = {1, 2, 3, 4, 5, 6, 7, 8, QOS_IOTUNE};
    const struct iotune iotune = plan_iotune(&qos);
    const struct iotune expected = {.total_iops_sec = 1,
                                    .total_iops_sec_max = 2,
                                    .read_iops_sec = 3,
                                    .write_iops_sec = 4,
                                    .total_bytes_sec = 5,
                                    .total_bytes_sec_max = 6,
                                    .read_bytes_sec = 7,
                                    .write_bytes_sec = 8};
    assert_memory_equal(&iotune, &expected, sizeof(expected));
}

/* ---- the XML ---- */

#define THREE_DISKS                                                                                \
    FILE_DISK("/images/a")                                                                         \
    "<disk type='file' device='disk'><source file='/scratch/b'/><target dev='vdb'/></disk>"        \
    "<disk type='block' device='disk'><source dev='/dev/c'/><target dev='vdc'/></disk>"

static void only_what_moves_is_rewritten(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, THREE_DISKS);
    AUTO_PLAN struct plan *plan = plan_of(&scene, &everything);
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *all = NULL;
    AUTO_FREE char *one = NULL;
    AUTO_FREE char *none = NULL;
    const char *const wanted[] = {"vdc", "vdb"};
    assert_int_equal(plan_rewrite(plan, scene.facts.live, NULL, 0, &all, &error), 0);
    assert_int_equal(plan_rewrite(plan, scene.facts.live, wanted, 2, &one, &error), 0);
    assert_int_equal(plan_rewrite(plan, scene.facts.live, wanted, 0, &none, &error), 0);
    assert_non_null(strstr(all, "name='fast/db-1-vda'"));
    assert_non_null(strstr(all, "cache='none' discard='unmap'"));
    assert_non_null(strstr(all, "name='fast/db-1-vdc'"));
    assert_non_null(strstr(all, "<source file='/scratch/b'/>")); /* the plan leaves it */
    assert_null(strstr(all, "/images/a"));
    assert_non_null(strstr(one, "<source file='/images/a'/>"));
    assert_non_null(strstr(one, "<source file='/scratch/b'/>")); /* even when asked for */
    assert_non_null(strstr(one, "name='fast/db-1-vdc'"));
    assert_string_equal(none, scene.facts.live->xml);
}

static void iotune_in_the_xml(void **state UNUSED)
{
    AUTO_SCENE struct scene scene = {0};
    scene_set(&scene, POLICY, FILE_DISK("/images/a"));
    const struct plan_request request = {.tier = "tuned"};
    AUTO_PLAN struct plan *plan = plan_of(&scene, &request);
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *xml = NULL;
    assert_int_equal(plan_rewrite(plan, scene.facts.live, NULL, 0, &xml, &error), 0);
    assert_non_null(strstr(xml, "<read_iops_sec>10</read_iops_sec>"));
    assert_non_null(strstr(xml, "<write_bytes_sec>1048576</write_bytes_sec>"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_whole_sectors),
        cmocka_unit_test(the_tier_is_carried_over),
        cmocka_unit_test(expected_time),
        cmocka_unit_test(the_request_overrides_the_bandwidth),
        cmocka_unit_test(a_source_without_fast_diff_is_prepared),
        cmocka_unit_test(monitors),
        cmocka_unit_test(secrets),
        cmocka_unit_test(monitors_survive_the_way),
        cmocka_unit_test(when_iotune_is_wanted),
        cmocka_unit_test(only_what_moves_is_rewritten),
        cmocka_unit_test(iotune_in_the_xml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
