/* Connecting, health, pools, rights, and a cluster that does not answer. */
#include "ceph_adapter_lab.h"

static struct lab *lab_of(void **state)
{
    return *state;
}

static struct ceph_cluster *connected(const struct ceph_login *login)
{
    AUTO_ERROR struct error error = {0};
    struct ceph_cluster *cluster = NULL;
    assert_done(ceph_connect(login, &cluster, &error), &error);
    return cluster;
}

/* Neither librados nor librbd may write to the terminal. */
static int connect_in_silence(const struct ceph_login *login, struct ceph_cluster **cluster,
                              struct error *error)
{
    AUTO_FCLOSE FILE *file = tmpfile();
    assert_non_null(file);
    AUTO_CLOSE int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    int result = ceph_connect(login, cluster, error);
    dup2(saved, STDERR_FILENO);
    rewind(file);
    char noise[1024];
    size_t length = fread(noise, 1, sizeof(noise) - 1, file);
    noise[length] = '\0';
    assert_string_equal(noise, "");
    return result;
}

static void refused(const struct ceph_login *login, enum error_code code, double at_most)
{
    AUTO_ERROR struct error error = {0};
    struct ceph_cluster *cluster = NULL;
    double start = ceph_clock();
    assert_refused(connect_in_silence(login, &cluster, &error), &error, code);
    assert_null(cluster);
    assert_non_null(error.hint);
    assert_true(ceph_clock() - start <= at_most);
    if (login->key) {
        assert_null(strstr(error.message, login->key));
        assert_null(strstr(error.hint, login->key));
    }
}

static void with_keyring_and_with_key(void **state)
{
    struct lab *lab = lab_of(state);
    struct ceph_login login = lab_login(lab);
    double start = ceph_clock();
    CLEANUP(ceph_disconnectp) struct ceph_cluster *by_keyring = connected(&login);
    print_message("    connected in %.0f ms\n", (ceph_clock() - start) * 1000);
    AUTO_FREE char *fsid = ceph_fsid(by_keyring);
    AUTO_FREE char *expected = lab_command(lab, "{\"prefix\":\"fsid\"}");
    expected[strcspn(expected, "\n")] = '\0';
    assert_string_equal(fsid, expected);

    AUTO_FREE char *key =
        lab_command(lab, "{\"prefix\":\"auth get-key\",\"entity\":\"client.%s\"}", lab->user);
    login.keyring = NULL;
    login.key = key;
    CLEANUP(ceph_disconnectp) struct ceph_cluster *by_key = connected(&login);
    AUTO_FREE char *same = ceph_fsid(by_key);
    assert_string_equal(same, expected);
}

static void with_a_configuration_file(void **state)
{
    struct lab *lab = lab_of(state);
    const struct ceph_login login = {.cluster = "lab", .conf = lab->conf, .user = "admin"};
    CLEANUP(ceph_disconnectp) struct ceph_cluster *cluster = connected(&login);
    AUTO_FREE char *fsid = ceph_fsid(cluster);
    assert_int_equal(strlen(fsid), 36);
}

/* The dead ones cost half a second, not the timeout. */
static void with_dead_monitors_among_them(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_FREE char *mons = text_format("127.0.0.1:1,%s,127.0.0.1:2", lab->mons);
    struct ceph_login login = lab_login(lab);
    login.mons = mons;
    double start = ceph_clock();
    CLEANUP(ceph_disconnectp) struct ceph_cluster *cluster = connected(&login);
    assert_non_null(cluster);
    assert_true(ceph_clock() - start < 3);
}

/* Denied at once, although an address with a port of its own does not say which protocol it is. */
static void wrong_key(void **state)
{
    struct ceph_login login = lab_login(lab_of(state));
    login.keyring = NULL;
    login.key = "AQBvZ2VkAAAAABAAXK0V1mH5m0pX7d1w1m1rJQ==";
    refused(&login, ERROR_DENIED, 5);
}

static void wrong_user(void **state)
{
    struct ceph_login login = lab_login(lab_of(state));
    login.user = "nobody-of-that-name";
    refused(&login, ERROR_DENIED, 5); /* the keyring holds another one's key */
    login.keyring = NULL;
    login.key = "AQBvZ2VkAAAAABAAXK0V1mH5m0pX7d1w1m1rJQ==";
    refused(&login, ERROR_DENIED, 5);
    login.user = NULL;
    login.key = NULL;
    refused(&login, ERROR_DENIED, 11);
}

static void malformed_key(void **state)
{
    struct ceph_login login = lab_login(lab_of(state));
    login.keyring = NULL;
    login.key = "bm90LWEta2V5LWJ1dC1zZWNyZXQ=";
    refused(&login, ERROR_DENIED, 1);
}

static void unreachable_monitors(void **state)
{
    struct ceph_login login = lab_login(lab_of(state));
    login.timeout = 3;
    login.mons = "127.0.0.1:1"; /* refuses */
    refused(&login, ERROR_UNREACHABLE, 3.5);
    login.mons = "192.0.2.1"; /* a network that there is not: silence, or no route */
    refused(&login, ERROR_UNREACHABLE, 3.5);
}

static void health(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    struct ceph_health all = {0}, limited = {0};
    assert_done(ceph_health(lab->cluster, &all, &error), &error);
    assert_true(text_starts_with(all.status, "HEALTH_"));
    assert_done(ceph_health(lab->limited, &limited, &error), &error);
    assert_string_equal(all.status, limited.status);
    ceph_health_clear(&all);
    ceph_health_clear(&limited);
}

static void pools(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    struct ceph_pool pool;
    assert_done(ceph_pool(lab->cluster, lab->pool, &pool, &error), &error);
    assert_true(pool.rbd_application);
    assert_true(pool.free_bytes > MIB);
    assert_false(pool.full);
    assert_done(ceph_pool(lab->cluster, lab->scratch, &pool, &error), &error); /* a minute old */
    assert_int_equal(pool.quota_bytes, 0);
    assert_done(ceph_pool(lab->reader, lab->scratch, &pool, &error), &error);

    assert_refused(ceph_pool(lab->cluster, "no-such-pool", &pool, &error), &error, ERROR_NOT_FOUND);
    assert_non_null(error.hint);
}

static void namespaces(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    bool exists = false;
    struct ceph_cluster *const users[] = {lab->cluster, lab->limited, lab->reader};
    for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
        assert_done(ceph_namespace_exists(users[i], lab->scratch, "tenant", &exists, &error),
                    &error);
        assert_true(exists);
        assert_done(ceph_namespace_exists(users[i], lab->scratch, "nobody", &exists, &error),
                    &error);
        assert_false(exists);
        assert_done(ceph_namespace_exists(users[i], lab->scratch, NULL, &exists, &error), &error);
        assert_true(exists);
    }
    assert_refused(ceph_namespace_exists(lab->cluster, "no-such-pool", "x", &exists, &error),
                   &error, ERROR_NOT_FOUND);
}

static void rights(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    AUTO_POOL rados_ioctx_t scratch = lab_pool(lab, lab->scratch, NULL);
    AUTO_POOL rados_ioctx_t tenant = lab_pool(lab, lab->scratch, "tenant");
    assert_done(ceph_pool_writable(lab->cluster, lab->scratch, NULL, &error), &error);
    assert_done(ceph_pool_writable(lab->cluster, lab->scratch, "tenant", &error), &error);
    assert_done(ceph_pool_writable(lab->cluster, lab->data, NULL, &error), &error);
    assert_done(ceph_pool_writable(lab->limited, lab->scratch, NULL, &error), &error);
    AUTO_FREE char *left = lab_objects(scratch);
    AUTO_FREE char *left_in_tenant = lab_objects(tenant);
    assert_string_equal(left, "");
    assert_string_equal(left_in_tenant, "");

    assert_refused(ceph_pool_writable(lab->limited, lab->data, NULL, &error), &error, ERROR_DENIED);
    assert_non_null(strstr(error.hint, "profile rbd"));
    error_clear(&error);
    assert_refused(ceph_pool_writable(lab->reader, lab->scratch, NULL, &error), &error,
                   ERROR_DENIED);
    error_clear(&error);
    assert_refused(ceph_pool_writable(lab->cluster, "no-such-pool", NULL, &error), &error,
                   ERROR_NOT_FOUND);
}

/* What was asked of an OSD may still be done after the time-out. */
static void remove_probes(struct lab *lab)
{
    ceph_pause(1000);
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, NULL);
    AUTO_FREE char *objects = lab_objects(pool);
    char *rest = NULL;
    for (char *object = strtok_r(objects, " ", &rest); object; object = strtok_r(NULL, " ", &rest))
        if (text_starts_with(object, "rbd_virt_pivot_probe."))
            rados_remove(pool, object);
}

/* The OSDs stop serving clients: whatever is asked of them ends with the timeout. */
static void silent_osds(void **state)
{
    struct lab *lab = lab_of(state);
    AUTO_ERROR struct error error = {0};
    struct ceph_login login = lab_login(lab);
    login.timeout = 2;
    CLEANUP(ceph_disconnectp) struct ceph_cluster *cluster = connected(&login);
    lab_make_image(lab, lab->scratch, "silent", 8 * MIB, RBD_FEATURES_DEFAULT);
    const struct ceph_image_name name = {.pool = lab->scratch, .image = "silent"};
    struct ceph_image image = {0};
    assert_done(ceph_image(cluster, &name, &image, &error), &error);
    ceph_image_clear(&image);

    free(lab_command(lab, "{\"prefix\":\"osd set\",\"key\":\"pause\"}"));
    double start = ceph_clock();
    int read = ceph_image(cluster, &name, &image, &error);
    double reading = ceph_clock() - start;
    AUTO_ERROR struct error write_error = {0};
    start = ceph_clock();
    int written = ceph_pool_writable(cluster, lab->scratch, NULL, &write_error);
    double writing = ceph_clock() - start;
    free(lab_command(lab, "{\"prefix\":\"osd unset\",\"key\":\"pause\"}"));

    ceph_image_clear(&image);
    remove_probes(lab);
    assert_refused(read, &error, ERROR_UNREACHABLE);
    assert_refused(written, &write_error, ERROR_UNREACHABLE);
    assert_true(reading < 4);
    assert_true(writing < 4);
}

int ceph_adapter_connect_tests(struct lab *lab)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(with_keyring_and_with_key, lab),
        cmocka_unit_test_prestate(with_a_configuration_file, lab),
        cmocka_unit_test_prestate(with_dead_monitors_among_them, lab),
        cmocka_unit_test_prestate(wrong_key, lab),
        cmocka_unit_test_prestate(wrong_user, lab),
        cmocka_unit_test_prestate(malformed_key, lab),
        cmocka_unit_test_prestate(unreachable_monitors, lab),
        cmocka_unit_test_prestate(health, lab),
        cmocka_unit_test_prestate(pools, lab),
        cmocka_unit_test_prestate(namespaces, lab),
        cmocka_unit_test_prestate(rights, lab),
        cmocka_unit_test_prestate(silent_osds, lab),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
