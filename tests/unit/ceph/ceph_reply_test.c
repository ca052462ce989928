/* What the monitors say, as structures: recorded answers of Ceph 16.2.15, one in the form that Ceph
 * 12 has, and answers that no monitor should give. */
#include "ceph/mon_command.h"
#include "cmocka_compat.h"

#define GIB (1ull << 30)

/* Parses a text; the test fails if it is not JSON. */
static json_object *parsed(const char *text)
{
    AUTO_ERROR struct error error = {0};
    json_object *reply = NULL;
    if (ceph_reply_parse(text, strlen(text), &reply, &error) < 0)
        fail_msg("%s", error.message);
    return reply;
}

static json_object *sample(const char *name)
{
    AUTO_FREE char *path = text_format("%s/tests/unit/ceph/samples/%s", SOURCE_DIR, name);
    AUTO_FCLOSE FILE *file = fopen(path, "r");
    assert_non_null(file);
    char text[16384];
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    text[length] = '\0';
    return parsed(text);
}

static void read_health(json_object *reply, struct ceph_health *health)
{
    AUTO_ERROR struct error error = {0};
    *health = (struct ceph_health){0};
    assert_int_equal(ceph_health_read(reply, health, &error), 0);
}

static void healthy(void **state UNUSED)
{
    AUTO_JSON json_object *reply = sample("health-ok-16.json");
    struct ceph_health health;
    read_health(reply, &health);
    assert_string_equal(health.status, "HEALTH_OK");
    assert_int_equal(health.checks.count, 0);
    assert_null(health.blocker);
    ceph_health_clear(&health);
}

static void warning_that_does_not_block(void **state UNUSED)
{
    AUTO_JSON json_object *reply = sample("health-warn-16.json");
    struct ceph_health health;
    read_health(reply, &health);
    assert_string_equal(health.status, "HEALTH_WARN");
    assert_int_equal(health.checks.count, 2);
    assert_string_equal(health.checks.items[1], "MON_DISK_LOW");
    assert_null(health.blocker);
    ceph_health_clear(&health);
}

static void full_pool_blocks(void **state UNUSED)
{
    AUTO_JSON json_object *reply = sample("health-pool-full-16.json");
    struct ceph_health health;
    read_health(reply, &health);
    assert_string_equal(health.status, "HEALTH_WARN");
    assert_string_equal(health.blocker, "POOL_FULL: 1 pool(s) full");
    ceph_health_clear(&health);
}

static void full_osd_is_named_first(void **state UNUSED)
{
    AUTO_JSON json_object *reply = sample("health-osd-full-16.json");
    struct ceph_health health;
    read_health(reply, &health);
    assert_string_equal(health.status, "HEALTH_ERR");
    assert_string_equal(health.blocker, "OSD_FULL: 1 full osd(s)");
    ceph_health_clear(&health);
}

static void every_blocker_blocks(void **state UNUSED)
{
    static const char *const codes[] = {"OSD_FULL",  "OSD_NEARFULL",  "OSD_BACKFILLFULL",
                                        "POOL_FULL", "POOL_NEARFULL", "PG_AVAILABILITY"};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        AUTO_FREE char *text = text_format("{\"status\":\"HEALTH_WARN\",\"checks\":{\"%s\":"
                                           "{\"severity\":\"HEALTH_WARN\",\"muted\":true}}}",
                                           codes[i]);
        AUTO_JSON json_object *reply = parsed(text);
        struct ceph_health health;
        read_health(reply, &health);
        AUTO_FREE char *expected = text_format("%s: no summary", codes[i]);
        assert_string_equal(health.blocker, expected);
        ceph_health_clear(&health);
    }
}

static void other_errors_block(void **state UNUSED)
{
    AUTO_JSON json_object *reply =
        parsed("{\"status\":\"HEALTH_ERR\",\"checks\":{"
               "\"LARGE_OMAP_OBJECTS\":{\"severity\":\"HEALTH_WARN\",\"summary\":{\"message\":"
               "\"1 large\"}},"
               "\"PG_DAMAGED\":{\"severity\":\"HEALTH_ERR\",\"summary\":{\"message\":\"2 pgs "
               "inconsistent\"}}}}");
    struct ceph_health health;
    read_health(reply, &health);
    assert_string_equal(health.blocker, "HEALTH_ERR: PG_DAMAGED: 2 pgs inconsistent");
    ceph_health_clear(&health);

    AUTO_JSON json_object *bare = parsed("{\"status\":\"HEALTH_ERR\"}");
    read_health(bare, &health);
    assert_string_equal(health.blocker, "HEALTH_ERR");
    ceph_health_clear(&health);
}

static void health_of_strange_types(void **state UNUSED)
{
    static const char *const without_status[] = {"{}", "[]", "\"HEALTH_OK\"", "{\"status\":1}",
                                                 "{\"status\":null}"};
    for (size_t i = 0; i < ARRAY_SIZE(without_status); i++) {
        AUTO_JSON json_object *reply = parsed(without_status[i]);
        AUTO_ERROR struct error error = {0};
        struct ceph_health health = {0};
        assert_int_equal(ceph_health_read(reply, &health, &error), -1);
        assert_int_equal(error.code, ERROR_INPUT);
        ceph_health_clear(&health);
    }
    static const char *const harmless[] = {
        "{\"status\":\"HEALTH_OK\",\"checks\":[]}",
        "{\"status\":\"HEALTH_OK\",\"checks\":\"OSD_FULL\"}",
        "{\"status\":\"HEALTH_OK\",\"checks\":{\"OSD_FULL\":true}}",
        "{\"status\":\"HEALTH_OK\",\"checks\":{\"X\":null}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
        AUTO_JSON json_object *reply = parsed(harmless[i]);
        struct ceph_health health;
        read_health(reply, &health);
        assert_null(health.blocker);
        ceph_health_clear(&health);
    }
}

static void no_control_characters_pass(void **state UNUSED)
{
    AUTO_JSON json_object *reply =
        parsed("{\"status\":\"HEALTH_WARN\\u001b[2J\",\"checks\":{\"OSD_FULL\":{\"summary\":"
               "{\"message\":\"a\\nb\\u0007\\u001b]0;x\"}}}}");
    struct ceph_health health;
    read_health(reply, &health);
    assert_string_equal(health.status, "HEALTH_WARN?[2J");
    assert_string_equal(health.blocker, "OSD_FULL: a?b??]0;x");
    ceph_health_clear(&health);
}

static void pool_with_a_quota_reached(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    AUTO_JSON json_object *pools = sample("pools-quota-16.json");
    AUTO_JSON json_object *df = sample("df-quota-16.json");
    struct ceph_pool pool = {0};
    assert_int_equal(ceph_pool_read_flags(pools, "full1", &pool, &error), 0);
    assert_int_equal(ceph_pool_read_sizes(df, "full1", &pool, &error), 0);
    assert_true(pool.full);
    assert_false(pool.nearfull);
    assert_true(pool.rbd_application);
    assert_int_equal(pool.quota_bytes, 4194304);
    assert_int_equal(pool.stored_bytes, 6000179);
    assert_int_equal(pool.free_bytes, 0);
}

static void pool_without_a_quota(void **state UNUSED)
{
    AUTO_ERROR struct error error = {0};
    AUTO_JSON json_object *pools = sample("pools-quota-16.json");
    AUTO_JSON json_object *df = sample("df-quota-16.json");
    struct ceph_pool pool = {0};
    assert_int_equal(ceph_pool_read_flags(pools, "vms", &pool, &error), 0);
    assert_int_equal(ceph_pool_read_sizes(df, "vms", &pool, &error), 0);
    assert_false(pool.full);
    assert_true(pool.rbd_application);
    assert_int_equal(pool.quota_bytes, 0);
    assert_int_equal(pool.free_bytes, 7849956864);

    struct ceph_pool metrics = {0};
    assert_int_equal(ceph_pool_read_flags(pools, "device_health_metrics", &metrics, &error), 0);
    assert_false(metrics.rbd_application);
}

static void pool_that_is_not_there(void **state UNUSED)
{
    AUTO_JSON json_object *pools = sample("pools-quota-16.json");
    AUTO_JSON json_object *df = sample("df-quota-16.json");
    AUTO_ERROR struct error flags = {0};
    AUTO_ERROR struct error sizes = {0};
    struct ceph_pool pool = {0};
    assert_int_equal(ceph_pool_read_flags(pools, "full", &pool, &flags), -1); /* a prefix */
    assert_int_equal(flags.code, ERROR_NOT_FOUND);
    assert_int_equal(ceph_pool_read_sizes(df, "full", &pool, &sizes), -1);
    assert_int_equal(sizes.code, ERROR_NOT_FOUND);
}

/* Reads one pool "p" with these statistics. */
static int sizes_of(const char *stats, struct ceph_pool *pool)
{
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *text = text_format("{\"pools\":[{\"name\":\"p\",\"stats\":%s}]}", stats);
    AUTO_JSON json_object *reply = parsed(text);
    *pool = (struct ceph_pool){0};
    return ceph_pool_read_sizes(reply, "p", pool, &error);
}

static void free_space_is_the_smaller_of_both(void **state UNUSED)
{
    struct ceph_pool pool;
    assert_int_equal(
        sizes_of("{\"stored\":1073741824,\"max_avail\":9663676416,\"quota_bytes\":3221225472}",
                 &pool),
        0);
    assert_int_equal(pool.free_bytes, 2 * GIB);
    assert_false(pool.full);
    assert_int_equal(
        sizes_of("{\"stored\":1073741824,\"max_avail\":1073741824,\"quota_bytes\":3221225472}",
                 &pool),
        0);
    assert_int_equal(pool.free_bytes, GIB);
    assert_int_equal(sizes_of("{\"stored\":5,\"max_avail\":7,\"quota_bytes\":5}", &pool), 0);
    assert_int_equal(pool.free_bytes, 0);
    assert_true(pool.full);
}

static void a_quota_of_objects_fills_too(void **state UNUSED)
{
    struct ceph_pool pool;
    assert_int_equal(
        sizes_of("{\"stored\":1,\"max_avail\":7,\"objects\":10,\"quota_objects\":10}", &pool), 0);
    assert_true(pool.full);
    assert_int_equal(
        sizes_of("{\"stored\":1,\"max_avail\":7,\"objects\":9,\"quota_objects\":10}", &pool), 0);
    assert_false(pool.full);
}

/* Ceph 12 has no "stored": there "bytes_used" is what was stored, before replication. */
static void pool_as_ceph_12_tells_it(void **state UNUSED)
{
    struct ceph_pool pool;
    assert_int_equal(sizes_of("{\"kb_used\":1024,\"bytes_used\":1048576,\"percent_used\":0.1,"
                              "\"max_avail\":2097152,\"objects\":3,\"quota_objects\":0,"
                              "\"quota_bytes\":2097152,\"dirty\":3,\"rd\":1,\"raw_bytes_used\":"
                              "3145728}",
                              &pool),
                     0);
    assert_int_equal(pool.stored_bytes, 1048576);
    assert_int_equal(pool.free_bytes, 1048576);
}

static void sizes_of_strange_types(void **state UNUSED)
{
    struct ceph_pool pool;
    assert_int_equal(sizes_of("{\"stored\":-5,\"max_avail\":-1}", &pool), 0);
    assert_int_equal(pool.free_bytes, 0);
    assert_int_equal(pool.stored_bytes, 0);
    assert_int_equal(sizes_of("{\"stored\":99999999999999999999999,\"max_avail\":1}", &pool), 0);
    assert_true(pool.stored_bytes >= INT64_MAX);
    assert_int_equal(sizes_of("{\"stored\":\"1\",\"max_avail\":1}", &pool), -1);
    assert_int_equal(sizes_of("{\"stored\":1,\"max_avail\":1.5}", &pool), -1);
    assert_int_equal(sizes_of("{\"max_avail\":1}", &pool), -1);
    assert_int_equal(sizes_of("{}", &pool), -1);
    assert_int_equal(sizes_of("[]", &pool), -1);
    assert_int_equal(sizes_of("null", &pool), -1);
}

static void pools_of_strange_types(void **state UNUSED)
{
    static const char *const texts[] = {
        "{}",
        "[null,7,\"p\",[],{}]",
        "[{\"pool_name\":7}]",
        "[{\"pool_name\":\"p\"}]",
        "[{\"pool_name\":\"p\",\"flags_names\":[]}]",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        AUTO_JSON json_object *reply = parsed(texts[i]);
        AUTO_ERROR struct error flags = {0};
        AUTO_ERROR struct error sizes = {0};
        struct ceph_pool pool = {0};
        assert_int_equal(ceph_pool_read_flags(reply, "p", &pool, &flags), -1);
        assert_int_equal(ceph_pool_read_sizes(reply, "p", &pool, &sizes), -1);
        assert_false(pool.full);
    }
}

static void flags_are_whole_words(void **state UNUSED)
{
    static const struct {
        const char *flags;
        bool full, nearfull;
    } cases[] = {
        {"", false, false},
        {"hashpspool,nearfull", false, true},
        {"full_no_quota", false, false},
        {"hashpspool,full", true, false},
        {"full_quota,x", true, false},
        {"backfillfull", false, true},
        {"fullx,xfull", false, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ERROR struct error error = {0};
        AUTO_FREE char *text = text_format(
            "[{\"pool_name\":\"p\",\"flags_names\":\"%s\",\"application_metadata\":[]}]",
            cases[i].flags);
        AUTO_JSON json_object *reply = parsed(text);
        struct ceph_pool pool = {0};
        assert_int_equal(ceph_pool_read_flags(reply, "p", &pool, &error), 0);
        assert_int_equal(pool.full, cases[i].full);
        assert_int_equal(pool.nearfull, cases[i].nearfull);
        assert_false(pool.rbd_application);
    }
}

static void what_is_not_json(void **state UNUSED)
{
    static const char *const texts[] = {"",    "{",         "{\"a\":", "null", "7",
                                        "[1,", "{\"a\":1,", "\"",      "\x01"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        AUTO_ERROR struct error error = {0};
        json_object *reply = NULL;
        assert_int_equal(ceph_reply_parse(texts[i], strlen(texts[i]), &reply, &error), -1);
        assert_int_equal(error.code, ERROR_INPUT);
        assert_null(reply);
    }
}

static void depth_and_size_are_bounded(void **state UNUSED)
{
    AUTO_ERROR struct error deep = {0};
    AUTO_ERROR struct error large = {0};
    char nested[2000];
    memset(nested, '[', sizeof(nested));
    json_object *reply = NULL;
    assert_int_equal(ceph_reply_parse(nested, sizeof(nested), &reply, &deep), -1);
    assert_int_equal(ceph_reply_parse("[]", (size_t)1 << 30, &reply, &large), -1); /* unread */
    assert_null(reply);
}

/* Every prefix of a real answer, and every single byte of it changed: an error or a structure, but
 * never a crash or a leak (the sanitizers watch). */
static void damaged_answers(void **state UNUSED)
{
    AUTO_JSON json_object *whole = sample("health-osd-full-16.json");
    AUTO_FREE char *text = text_dup(json_object_to_json_string(whole));
    size_t length = strlen(text), failures = 0;
    for (size_t i = 0; i < length; i++) {
        AUTO_FREE char *damaged = text_slice(text, length);
        damaged[i] = i % 3 == 0 ? '\0' : i % 3 == 1 ? '"' : '}';
        AUTO_JSON json_object *reply = NULL;
        AUTO_ERROR struct error error = {0};
        struct ceph_health health = {0};
        if (ceph_reply_parse(damaged, length, &reply, &error) < 0 ||
            ceph_health_read(reply, &health, &error) < 0) {
            assert_true(error_is_set(&error));
            failures++;
        }
        ceph_health_clear(&health);
    }
    assert_true(failures > length / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healthy),
        cmocka_unit_test(warning_that_does_not_block),
        cmocka_unit_test(full_pool_blocks),
        cmocka_unit_test(full_osd_is_named_first),
        cmocka_unit_test(every_blocker_blocks),
        cmocka_unit_test(other_errors_block),
        cmocka_unit_test(health_of_strange_types),
        cmocka_unit_test(no_control_characters_pass),
        cmocka_unit_test(pool_with_a_quota_reached),
        cmocka_unit_test(pool_without_a_quota),
        cmocka_unit_test(pool_that_is_not_there),
        cmocka_unit_test(free_space_is_the_smaller_of_both),
        cmocka_unit_test(a_quota_of_objects_fills_too),
        cmocka_unit_test(pool_as_ceph_12_tells_it),
        cmocka_unit_test(sizes_of_strange_types),
        cmocka_unit_test(pools_of_strange_types),
        cmocka_unit_test(flags_are_whole_words),
        cmocka_unit_test(what_is_not_json),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(damaged_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
