#include "ceph/cephx_key.h"
#include "ceph/mon_probe.h"
#include "ceph/private.h"

#include <dlfcn.h>
#include <stdlib.h>

#define DEFAULT_TIMEOUT 10
#define OPTION_ROOM 4096

/* librados reads CEPH_ARGS when a handle is created, and nothing can switch that off: a variable in
 * an operator's shell must not decide which monitors, user or log a move uses. */
static void forget_environment(void)
{
    static const char *const variables[] = {"CEPH_ARGS", "CEPH_CONF", "CEPH_KEYRING", "CEPH_LIB"};
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
        if (getenv(variables[i]))
            unsetenv(variables[i]);
}

/* The value is not quoted: it may be the key. */
static int set_option(struct ceph_cluster *cluster, const char *option, const char *value,
                      struct error *error)
{
    int result = rados_conf_set(cluster->rados, option, value);
    if (result < 0)
        return ceph_failure(error, cluster, NULL, result, "librados refuses the value of %s",
                            option);
    return 0;
}

static char *get_option(struct ceph_cluster *cluster, const char *option)
{
    char *value = memory_new(OPTION_ROOM, 1);
    if (rados_conf_get(cluster->rados, option, value, OPTION_ROOM) < 0)
        value[0] = '\0';
    return value;
}

/* A list of options that ends with a NULL name. */
struct option {
    const char *name, *value;
};

static int set_options(struct ceph_cluster *cluster, const struct option *options,
                       struct error *error)
{
    for (; options->name; options++)
        if (set_option(cluster, options->name, options->value, error) < 0)
            return -1;
    return 0;
}

/* Nothing on stderr, no files, no waiting beyond the timeout, and nothing from the cluster's or the
 * file's configuration that would change what an image is made of. */
static int set_behaviour(struct ceph_cluster *cluster, struct error *error)
{
    AUTO_FREE char *seconds = text_format("%u", cluster->timeout);
    const struct option options[] = {
        {"log_to_stderr", "false"},
        {"err_to_stderr", "false"},
        {"log_file", ""},
        {"admin_socket", ""},
        {"client_mount_timeout", seconds},
        {"rados_mon_op_timeout", seconds},
        {"rados_osd_op_timeout", seconds},
        {"rbd_default_data_pool", ""},
        {"rbd_move_to_trash_on_remove", "false"},
        {NULL, NULL},
    };
    if (set_options(cluster, options, error) < 0)
        return -1;
    /* An update of an object map that takes too long fails its write, which is tried again; else
     * librbd would go on without the map, and flag it invalid for everybody, until it is rebuilt. A
     * librbd that does not know this option (-ENOENT) is done without it. */
    int result = rados_conf_set(cluster->rados, "rbd_invalidate_object_map_on_timeout", "false");
    if (result < 0 && result != -ENOENT)
        return ceph_failure(error, cluster, NULL, result, "librados does not take its options");
    /* rados_conf_set only notes the values; parsing an empty command line applies them. Without it
     * the first errors of a connection go to stderr, a key that cannot be decoded among them. */
    const char *arguments[] = {"virt-pivot", NULL};
    result = rados_conf_parse_argv(cluster->rados, 1, arguments);
    if (result < 0)
        return ceph_failure(error, cluster, NULL, result, "librados does not take its options");
    return 0;
}

static int check_readable(const struct ceph_cluster *cluster, const char *what, const char *path,
                          enum error_code missing, struct error *error)
{
    if (access(path, R_OK) == 0)
        return 0;
    int number = errno;
    AUTO_FREE char *text = ceph_error_text(-number);
    error_set(error, number == EACCES ? ERROR_DENIED : missing, "cluster '%s': %s %s: %s",
              cluster->name, what, path, text);
    return error_hint(error, "check the path in the policy, and that this user may read the file");
}

static int read_conf(struct ceph_cluster *cluster, const char *path, struct error *error)
{
    if (check_readable(cluster, "configuration", path, ERROR_NOT_FOUND, error) < 0)
        return -1;
    int result = rados_conf_read_file(cluster->rados, path);
    if (result == 0)
        return 0;
    AUTO_FREE char *text = ceph_error_text(result);
    error_set(error, ERROR_INPUT, "cluster '%s': configuration %s cannot be parsed: %s",
              cluster->name, path, text);
    return error_hint(error, "'ceph-conf -c %s --lookup fsid' shows where", path);
}

static int nobody_answers(const struct ceph_cluster *cluster, const struct text_list *reasons,
                          struct error *error)
{
    AUTO_FREE char *text = ceph_list_text(reasons);
    error_set(error, ERROR_UNREACHABLE, "cluster '%s': no monitor answers within %u s: %s",
              cluster->name, cluster->timeout, text);
    return error_hint(error, "check these addresses, the network and its firewalls from this host, "
                             "and 'systemctl status ceph-mon@*' on the monitors");
}

/* Which monitors, of the policy or else of the file. A file may also name none and leave it to DNS
 * (SRV records): librados knows how. */
static int set_monitors(struct ceph_cluster *cluster, const struct ceph_login *login,
                        struct error *error)
{
    AUTO_FREE char *text = login->mons ? text_dup(login->mons) : get_option(cluster, "mon_host");
    if (login->conf && !login->mons && text_empty(text))
        return 0;

    AUTO_MON_TARGETS struct mon_targets targets = {0};
    if (mon_targets_parse(text, &targets, error) < 0) {
        if (login->mons)
            return error_prefix(error, "cluster '%s'", cluster->name);
        return error_prefix(error, "cluster '%s': mon_host in %s", cluster->name, login->conf);
    }
    struct text_list reasons = {0};
    AUTO_FREE char *hosts = mon_probe(&targets, cluster->timeout, &reasons);
    int result = hosts ? set_option(cluster, "mon_host", hosts, error)
                       : nobody_answers(cluster, &reasons, error);
    text_list_clear(&reasons);
    return result;
}

static int malformed_key(const struct ceph_cluster *cluster, struct error *error)
{
    error_set(error, ERROR_DENIED, "cluster '%s': the key of %s is not a cephx key", cluster->name,
              cluster->user);
    return error_hint(error,
                      "compare it with 'ceph auth get-key %s'; a libvirt secret is set by "
                      "'virsh secret-set-value UUID --base64 KEY'",
                      cluster->user);
}

static int set_key(struct ceph_cluster *cluster, const char *key, struct error *error)
{
    static const char space[] = " \t\r\n";
    const char *start = key + strspn(key, space);
    size_t length = strcspn(start, space);
    CLEANUP(text_burn) char *trimmed = text_slice(start, length);
    if (start[length + strspn(start + length, space)] != '\0' || !cephx_key_valid(trimmed))
        return malformed_key(cluster, error);
    const struct option options[] = {
        {"key", trimmed}, {"keyfile", ""}, {"keyring", ""}, {NULL, NULL}};
    return set_options(cluster, options, error);
}

static int set_credentials(struct ceph_cluster *cluster, const struct ceph_login *login,
                           struct error *error)
{
    if (!login->user) {
        const struct option options[] = {{"auth_client_required", "none"}, {NULL, NULL}};
        return set_options(cluster, options, error);
    }
    if (login->key)
        return set_key(cluster, login->key, error);
    if (!login->keyring)
        return 0;
    if (check_readable(cluster, "keyring", login->keyring, ERROR_DENIED, error) < 0)
        return -1;
    const struct option options[] = {{"keyring", login->keyring}, {NULL, NULL}};
    return set_options(cluster, options, error);
}

static int needs_user(const struct ceph_cluster *cluster, struct error *error)
{
    error_set(error, ERROR_DENIED, "cluster '%s' wants another authentication than that of %s",
              cluster->name, cluster->user);
    return error_hint(error, "name the cluster's user and its secret in the policy");
}

static bool has_monitors(struct ceph_cluster *cluster)
{
    AUTO_FREE char *hosts = get_option(cluster, "mon_host");
    return *hosts != '\0';
}

static int no_monitors(const struct ceph_cluster *cluster, const struct ceph_login *login,
                       struct error *error)
{
    error_set(error, ERROR_INPUT, "cluster '%s': configuration %s leads to no monitor",
              cluster->name, login->conf);
    return error_hint(error, "add 'mon host' to it, or 'mons:' to the policy");
}

/* What a refused connection means: the monitors are known to answer. */
static int explain_refusal(struct ceph_cluster *cluster, const struct ceph_login *login, int result,
                           struct error *error)
{
    AUTO_FREE char *text = ceph_error_text(result);
    switch (-result) {
    case EACCES:
    case EPERM:
        if (!login->user)
            return needs_user(cluster, error);
        error_set(error, ERROR_DENIED, "cluster '%s' refuses %s: %s", cluster->name, cluster->user,
                  text);
        return error_hint(error,
                          "the key is wrong, there is no such user, or it lacks the cap "
                          "mon 'profile rbd': compare with 'ceph auth get %s'",
                          cluster->user);
    case EOPNOTSUPP:
        return needs_user(cluster, error);
    case ENOENT:
    case EINVAL:
        if (!has_monitors(cluster))
            return no_monitors(cluster, login, error);
        error_set(error, ERROR_DENIED, "cluster '%s': no usable key of %s in %s: %s", cluster->name,
                  cluster->user, login->keyring ? login->keyring : "the default keyrings", text);
        return error_hint(error, "'ceph auth get %s -o FILE' writes a keyring", cluster->user);
    case ETIMEDOUT:
        error_set(error, ERROR_UNREACHABLE,
                  "cluster '%s': its monitors answer, but do not let %s in within %u s",
                  cluster->name, cluster->user, cluster->timeout);
        return error_hint(error, "is there a quorum? 'ceph quorum_status' on a monitor's host");
    default:
        return ceph_failure(error, cluster, NULL, result, "cannot connect as %s", cluster->user);
    }
}

static int prepare(struct ceph_cluster *cluster, const struct ceph_login *login,
                   struct error *error)
{
    if (login->conf && read_conf(cluster, login->conf, error) < 0)
        return -1;
    if (set_behaviour(cluster, error) < 0 || set_credentials(cluster, login, error) < 0)
        return -1;
    return set_monitors(cluster, login, error);
}

/* What finding the monitors took is taken off the time for connecting. */
static int shorten(struct ceph_cluster *cluster, double spent, struct error *error)
{
    if (spent < 1)
        return 0;
    double left = cluster->timeout - spent;
    AUTO_FREE char *seconds = text_format("%u", left < 1 ? 1 : (unsigned)left);
    return set_option(cluster, "client_mount_timeout", seconds, error);
}

int ceph_connect(const struct ceph_login *login, struct ceph_cluster **cluster, struct error *error)
{
    forget_environment();
    CLEANUP(ceph_disconnectp) struct ceph_cluster *fresh = NEW(struct ceph_cluster);
    fresh->name = text_dup(login->cluster ? login->cluster : "ceph");
    fresh->user = login->user ? text_format("client.%s", login->user) : text_dup("no user");
    fresh->timeout = login->timeout ? login->timeout : DEFAULT_TIMEOUT;

    /* With the cluster's name, unlike rados_create: without one no option takes effect before the
     * connection stands, and the default keyrings are not looked for in the usual places. */
    int result =
        rados_create2(&fresh->rados, "ceph", login->user ? fresh->user : "client.admin", 0);
    if (result < 0) {
        fresh->rados = NULL;
        return ceph_failure(error, fresh, NULL, result, "librados cannot start");
    }
    double start = ceph_clock();
    if (prepare(fresh, login, error) < 0 || shorten(fresh, ceph_clock() - start, error) < 0)
        return -1;
    result = rados_connect(fresh->rados);
    if (result < 0)
        return explain_refusal(fresh, login, result, error);
    *cluster = STEAL(fresh);
    return 0;
}

static void leave(int status, void *unused UNUSED)
{
    fflush(NULL);
    _exit(status);
}

void ceph_leave_stuck(struct ceph_cluster *cluster)
{
    cluster->is_stuck = true;
    on_exit(leave, NULL);
}

void ceph_disconnect(struct ceph_cluster *cluster)
{
    if (cluster->rados && !cluster->is_stuck)
        rados_shutdown(cluster->rados);
    free(cluster->name);
    free(cluster->user);
    free(cluster);
}

char *ceph_fsid(struct ceph_cluster *cluster)
{
    char fsid[40] = "";
    if (rados_cluster_fsid(cluster->rados, fsid, sizeof(fsid)) < 0)
        fsid[0] = '\0';
    return text_dup(fsid);
}

char *ceph_library_version(void)
{
    /* The C API knows only its own version (1.16.0). The release's is behind a C++ function of
     * libceph-common, which librados brings along: const char *ceph_version_to_str(). */
    const char *(*version)(void) = NULL;
    void *symbol = dlsym(RTLD_DEFAULT, "_Z19ceph_version_to_strv");
    memcpy(&version, &symbol, sizeof(symbol));
    if (version)
        return ceph_printable(version());

    /* librbd 1.MINOR belongs to Ceph MINOR from 1.16 on; 1.12 was Ceph 14, 1.14 Ceph 15. */
    int major = 0, minor = 0, extra = 0;
    rbd_version(&major, &minor, &extra);
    int release = minor >= 16 ? minor : minor >= 14 ? 15 : minor >= 12 ? 14 : 0;
    return release ? text_format("%d", release)
                   : text_format("librbd %d.%d.%d", major, minor, extra);
}
