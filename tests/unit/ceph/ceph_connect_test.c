/* Connecting where there is no cluster: every error says what is wrong, quickly, and neither it nor
 * stderr holds the key. */
#include "ceph/private.h"
#include "cmocka_compat.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>

#define MALFORMED "bm90LWEta2V5LWJ1dC1zZWNyZXQ="
#define GOOD "AQBvZ2VkAAAAABAAXK0V1mH5m0pX7d1w1m1rJQ=="
#define CLOSED "127.0.0.1:1" /* nobody listens below port 2 */

#define ON_TIMEOUT "rbd_invalidate_object_map_on_timeout"

/* Stands before librados' own: the handle is gone when connecting has failed. */
static char on_timeout[16];
static bool is_old_librados;

int rados_conf_set(rados_t cluster, const char *option, const char *value)
{
    int (*real)(rados_t, const char *, const char *) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "rados_conf_set");
    memcpy(&real, &symbol, sizeof(symbol));
    if (strcmp(option, ON_TIMEOUT) != 0)
        return real(cluster, option, value);
    snprintf(on_timeout, sizeof(on_timeout), "%s", value);
    return is_old_librados ? -ENOENT : real(cluster, option, value);
}

/* What this process writes to stderr while connecting goes to a file. */
struct attempt {
    struct error error;
    double seconds;
    char noise[4096];
};

static void attempt_clear(struct attempt *attempt)
{
    error_clear(&attempt->error);
}
#define AUTO_ATTEMPT CLEANUP(attempt_clear)

static void attempt_connect(const struct ceph_login *login, struct attempt *attempt)
{
    *attempt = (struct attempt){0};
    AUTO_FCLOSE FILE *file = tmpfile();
    assert_non_null(file);
    AUTO_CLOSE int saved = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    struct ceph_cluster *cluster = NULL;
    double start = ceph_clock();
    int result = ceph_connect(login, &cluster, &attempt->error);
    attempt->seconds = ceph_clock() - start;
    fflush(stderr);
    dup2(saved, STDERR_FILENO);

    rewind(file);
    size_t length = fread(attempt->noise, 1, sizeof(attempt->noise) - 1, file);
    attempt->noise[length] = '\0';
    assert_int_equal(result, -1);
    assert_null(cluster);
    assert_string_equal(attempt->noise, "");
    assert_non_null(attempt->error.hint);
}

static void malformed_keys(void **state UNUSED)
{
    static const char *const keys[] = {MALFORMED, "", "x", GOOD " " GOOD, GOOD "x"};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        AUTO_ATTEMPT struct attempt attempt;
        attempt_connect(
            &(struct ceph_login){.cluster = "flash", .mons = CLOSED, .user = "u", .key = keys[i]},
            &attempt);
        assert_int_equal(attempt.error.code, ERROR_DENIED);
        assert_string_equal(attempt.error.message,
                            "cluster 'flash': the key of client.u is not a cephx key");
        assert_null(strstr(attempt.error.hint, MALFORMED));
    }
}

static void nobody_there(void **state UNUSED)
{
    AUTO_ATTEMPT struct attempt attempt;
    attempt_connect(&(struct ceph_login){.cluster = "flash",
                                         .mons = CLOSED ",127.0.0.1:2",
                                         .user = "u",
                                         .key = GOOD "\n",
                                         .timeout = 20},
                    &attempt);
    assert_int_equal(attempt.error.code, ERROR_UNREACHABLE);
    assert_string_equal(attempt.error.message,
                        "cluster 'flash': no monitor answers within 20 s: 127.0.0.1:1: Connection "
                        "refused and 127.0.0.1:2: Connection refused");
    assert_true(attempt.seconds < 5);
}

static void names_and_addresses(void **state UNUSED)
{
    static const struct {
        const char *mons;
        enum error_code code;
    } cases[] = {
        {"nobody.invalid", ERROR_UNREACHABLE},
        {"host:port", ERROR_INPUT},
        {"$pid", ERROR_INPUT},
        {"", ERROR_INPUT},
        {NULL, ERROR_INPUT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ATTEMPT struct attempt attempt;
        attempt_connect(
            &(struct ceph_login){
                .cluster = "flash", .mons = cases[i].mons, .user = "u", .key = GOOD, .timeout = 4},
            &attempt);
        assert_int_equal(attempt.error.code, cases[i].code);
        assert_true(attempt.seconds < 6);
    }
}

/* Writes a file in a fresh directory; the caller removes both. */
static char *write_file(const char *text)
{
    char directory[] = "/tmp/virt-pivot-ceph-XXXXXX";
    assert_non_null(mkdtemp(directory));
    char *path = text_format("%s/file", directory);
    AUTO_FCLOSE FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    return path;
}

static void remove_file(char *path)
{
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
    free(path);
}

static void files(void **state UNUSED)
{
    AUTO_ATTEMPT struct attempt no_conf;
    attempt_connect(&(struct ceph_login){.cluster = "flash", .conf = "/nonexistent/ceph.conf"},
                    &no_conf);
    assert_int_equal(no_conf.error.code, ERROR_NOT_FOUND);
    assert_non_null(strstr(no_conf.error.message, "/nonexistent/ceph.conf"));

    AUTO_ATTEMPT struct attempt no_keyring;
    attempt_connect(
        &(struct ceph_login){
            .cluster = "flash", .mons = CLOSED, .user = "u", .keyring = "/nonexistent/keyring"},
        &no_keyring);
    assert_int_equal(no_keyring.error.code, ERROR_DENIED);
    assert_non_null(strstr(no_keyring.error.message, "/nonexistent/keyring"));

    char *conf = write_file("[global]\nmon host = nobody.invalid, " CLOSED "\n"
                            "log to stderr = true\nerr to stderr = true\ndebug rados = 20\n");
    AUTO_ATTEMPT struct attempt from_conf;
    attempt_connect(
        &(struct ceph_login){
            .cluster = "flash", .conf = conf, .user = "u", .key = GOOD, .timeout = 6},
        &from_conf);
    assert_int_equal(from_conf.error.code, ERROR_UNREACHABLE);
    assert_non_null(strstr(from_conf.error.message, "127.0.0.1:1: Connection refused"));
    assert_non_null(strstr(from_conf.error.message, "nobody.invalid"));
    remove_file(conf);
}

/* Ceph 14 reads what it can of such a file; later ones refuse it. */
static void broken_conf(void **state UNUSED)
{
    char *conf = write_file("[global\nmon host 127.0.0.1 = = \n[[[\n");
    AUTO_ATTEMPT struct attempt attempt;
    attempt_connect(
        &(struct ceph_login){
            .cluster = "flash", .conf = conf, .mons = CLOSED, .user = "u", .key = GOOD},
        &attempt);
    if (attempt.error.code == ERROR_INPUT)
        assert_non_null(strstr(attempt.error.message, conf));
    else
        assert_int_equal(attempt.error.code, ERROR_UNREACHABLE);
    remove_file(conf);
}

/* A shell's CEPH_ARGS must not lead anywhere: neither to other monitors, nor to a log. */
static void environment_is_ignored(void **state UNUSED)
{
    setenv("CEPH_ARGS", "--mon-host 127.0.0.1:2 --log-to-stderr=true --nonsense=1 --debug-ms=20",
           1);
    setenv("CEPH_CONF", "/nonexistent/ceph.conf", 1);
    setenv("CEPH_KEYRING", "/nonexistent/keyring", 1);
    AUTO_ATTEMPT struct attempt attempt;
    attempt_connect(
        &(struct ceph_login){.cluster = "flash", .mons = CLOSED, .user = "u", .key = GOOD},
        &attempt);
    assert_int_equal(attempt.error.code, ERROR_UNREACHABLE);
    assert_null(strstr(attempt.error.message, "127.0.0.1:2"));
}

/* An object map that takes long to be changed must not be given up for that. An option that is not
 * known does not end the connection. */
static void maps_stay_valid(void **state UNUSED)
{
    for (int i = 0; i < 2; i++) {
        is_old_librados = i == 1;
        on_timeout[0] = '\0';
        AUTO_ATTEMPT struct attempt attempt;
        attempt_connect(
            &(struct ceph_login){.cluster = "flash", .mons = CLOSED, .user = "u", .key = GOOD},
            &attempt);
        assert_int_equal(attempt.error.code, ERROR_UNREACHABLE);
        assert_string_equal(on_timeout, "false");
    }
    is_old_librados = false;
}

static void versions(void **state UNUSED)
{
    AUTO_FREE char *version = ceph_library_version();
    unsigned major = 0, minor = 0, patch = 0;
    assert_int_equal(sscanf(version, "%u.%u.%u", &major, &minor, &patch), 3);
    int api_major = 0, api_minor = 0, api_extra = 0;
    rbd_version(&api_major, &api_minor, &api_extra);
    assert_true(major >= 14 && (major < 16 || major == (unsigned)api_minor));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_keys),      cmocka_unit_test(nobody_there),
        cmocka_unit_test(names_and_addresses), cmocka_unit_test(files),
        cmocka_unit_test(broken_conf),         cmocka_unit_test(environment_is_ignored),
        cmocka_unit_test(maps_stay_valid),     cmocka_unit_test(versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
