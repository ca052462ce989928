/* `check`, the part about Ceph: clusters, the tiers in them, and the keys to log in with. */
#include "base/units.h"
#include "cli/check.h"

#include <sys/stat.h>

/* The rule of helper/survey/clusters.c: a keyring that can be read goes before the secret. */
static bool has_keyring(const struct policy_cluster *cluster)
{
    return cluster->keyring && access(cluster->keyring, R_OK) == 0;
}

static bool is_target(const struct policy *policy, const struct policy_cluster *cluster)
{
    for (size_t i = 0; i < policy->tiers.count; i++)
        if (policy->tiers.items[i]->cluster == cluster)
            return true;
    return false;
}

/* "client.libvirt"; what is said of a cluster without cephx must read well, too. */
static char *user_text(const struct policy_cluster *cluster)
{
    return cluster->user ? text_format("client.%s", cluster->user) : text_dup("anyone (no cephx)");
}

static int connect_to(struct check *check, const struct policy_cluster *cluster,
                      struct ceph_cluster **connection, struct error *error)
{
    CLEANUP(plan_cluster_clear) struct plan_cluster who = {0};
    plan_cluster_of_policy(&who, cluster);
    if (!check->session.clusters)
        check->session.clusters = clusters_new(check->session.virt);
    return clusters_get(check->session.clusters, &who, connection, error);
}

/* ---- a tier ---- */

struct tier_view {
    struct check_report *report;
    const struct policy_tier *tier;
    struct ceph_cluster *connection;
    char *subject;
    struct buffer text; /* of the line when all is well */
    bool silent;        /* the cluster stopped answering */
};

static bool failed(struct tier_view *view, const struct error *error)
{
    check_add_failure(view->report, CHECK_ERROR, view->subject, error);
    view->silent |= error->code == ERROR_UNREACHABLE || error->code == ERROR_DISCONNECTED;
    return false;
}

static bool pool_has_room(struct tier_view *view, const char *pool, const char *what)
{
    AUTO_ERROR struct error error = {0};
    struct ceph_pool info = {0};
    const char *cluster = view->tier->cluster->name;
    if (ceph_pool(view->connection, pool, &info, &error) < 0)
        return failed(view, &error);
    if (!info.rbd_application) {
        check_add(view->report, CHECK_WARNING, view->subject,
                  "pool %s/%s is not tagged for RBD: users with 'profile rbd' may be refused",
                  cluster, pool);
        check_hint(view->report, "'ceph osd pool application enable %s rbd'", pool);
    }
    AUTO_FREE char *room = format_size(info.free_bytes);
    AUTO_FREE char *stored = format_size(info.stored_bytes);
    AUTO_FREE char *quota = format_size(info.quota_bytes);
    AUTO_FREE char *limit = info.quota_bytes
                                ? text_format(", %s of a quota of %s used", stored, quota)
                                : text_format(", %s used, no quota", stored);
    if (info.full || info.nearfull || info.free_bytes == 0) {
        check_add(view->report, CHECK_ERROR, view->subject, "%s %s/%s is %s: %s free%s", what,
                  cluster, pool, info.nearfull && !info.full ? "nearly full" : "full", room, limit);
        check_hint(view->report,
                   "a full pool stops every write to it: make room or raise the quota ('ceph df', "
                   "'ceph osd pool get-quota %s'); moves to this tier are refused until then",
                   pool);
        return false;
    }
    buffer_format(&view->text, "%s %s/%s: %s free%s; ", what, cluster, pool, room, limit);
    return true;
}

static bool namespace_is_there(struct tier_view *view)
{
    const struct policy_tier *tier = view->tier;
    AUTO_ERROR struct error error = {0};
    bool exists = true;
    if (tier->name_space &&
        ceph_namespace_exists(view->connection, tier->pool, tier->name_space, &exists, &error) < 0)
        return failed(view, &error);
    if (exists)
        return true;
    check_add(view->report, CHECK_ERROR, view->subject, "there is no namespace '%s' in pool %s/%s",
              tier->name_space, tier->cluster->name, tier->pool);
    check_hint(view->report, "'rbd namespace create %s/%s' makes it", tier->pool, tier->name_space);
    return false;
}

static bool pool_takes_images(struct tier_view *view, const char *pool)
{
    AUTO_ERROR struct error error = {0};
    if (ceph_pool_writable(view->connection, pool, view->tier->name_space, &error) < 0)
        return failed(view, &error);
    return true;
}

static void close_view(struct tier_view *view)
{
    free(view->subject);
    buffer_clear(&view->text);
}

/* Returns whether the cluster still answers. */
static bool check_tier(struct check *check, const struct policy_tier *tier,
                       struct ceph_cluster *connection)
{
    CLEANUP(close_view)
    struct tier_view view = {
        .report = &check->report,
        .tier = tier,
        .connection = connection,
        .subject = text_format("tier %s", tier->name),
    };
    /* What comes later would only fail for the same cause once more. */
    if (pool_has_room(&view, tier->pool, "pool") &&
        (!tier->data_pool || pool_has_room(&view, tier->data_pool, "data pool")) &&
        namespace_is_there(&view) && pool_takes_images(&view, tier->pool) &&
        (!tier->data_pool || pool_takes_images(&view, tier->data_pool))) {
        AUTO_FREE char *user = user_text(tier->cluster);
        check_add(view.report, CHECK_OK, view.subject, "%s%s%s may create images there",
                  view.text.text, tier->name_space ? "its namespace is there; " : "", user);
    }
    return !view.silent;
}

/* ---- a cluster ---- */

static bool check_health(struct check *check, const struct policy_cluster *cluster,
                         struct ceph_cluster *connection, const char *subject)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(ceph_health_clear) struct ceph_health health = {0};
    if (ceph_health(connection, &health, &error) < 0) {
        check_add_failure(&check->report, CHECK_ERROR, subject, &error);
        return error.code != ERROR_UNREACHABLE;
    }
    if (health.blocker) {
        bool matters = is_target(check->session.policy, cluster);
        check_add(&check->report, matters ? CHECK_ERROR : CHECK_WARNING, subject, "%s",
                  health.blocker);
        check_hint(&check->report, "'ceph health detail' there says more; %s",
                   matters ? "moves onto this cluster are refused until it is mended"
                           : "copies from this cluster may be slow or stop");
        return true;
    }
    AUTO_BUFFER struct buffer codes = {0};
    for (size_t i = 0; i < health.checks.count; i++)
        buffer_format(&codes, "%s%s", i ? ", " : ": ", health.checks.items[i]);
    bool well = strcmp(health.status, "HEALTH_OK") == 0;
    check_add(&check->report, well ? CHECK_OK : CHECK_WARNING, subject, "%s%s", health.status,
              codes.text ? codes.text : "");
    if (!well)
        check_hint(&check->report, "no obstacle to a move; 'ceph health detail' says more");
    return true;
}

static void check_cluster(struct check *check, const struct policy_cluster *cluster)
{
    AUTO_FREE char *subject = text_format("cluster %s", cluster->name);
    AUTO_FREE char *user = user_text(cluster);
    if (cluster->user && !has_keyring(cluster) && cluster->secret && !check->session.virt) {
        check_add(&check->report, CHECK_WARNING, subject,
                  "not examined: the key of %s is in a libvirt secret, and libvirt is not reached",
                  user);
        return;
    }
    AUTO_ERROR struct error error = {0};
    struct ceph_cluster *connection = NULL;
    if (connect_to(check, cluster, &connection, &error) < 0) {
        check_add_failure(&check->report, CHECK_ERROR, subject, &error);
        return;
    }
    AUTO_FREE char *fsid = ceph_fsid(connection);
    const char *means = !cluster->user         ? ""
                        : has_keyring(cluster) ? " by its keyring"
                                               : " by the libvirt secret";
    check_add(&check->report, CHECK_OK, subject, "reached as %s%s, fsid %s", user, means, fsid);
    bool answers = check_health(check, cluster, connection, subject);
    const struct policy_tiers *tiers = &check->session.policy->tiers;
    for (size_t i = 0; i < tiers->count; i++) {
        if (tiers->items[i]->cluster != cluster)
            continue;
        /* Each question to a silent cluster costs the whole timeout: one is enough. */
        if (answers) {
            answers = check_tier(check, tiers->items[i], connection);
            continue;
        }
        AUTO_FREE char *tier = text_format("tier %s", tiers->items[i]->name);
        check_add(&check->report, CHECK_ERROR, tier,
                  "not examined: cluster '%s' has stopped answering", cluster->name);
    }
}

void check_clusters(struct check *check)
{
    const struct policy_clusters *clusters = &check->session.policy->clusters;
    for (size_t i = 0; i < clusters->count; i++)
        check_cluster(check, clusters->items[i]);
}

/* ---- keys ---- */

/* QEMU logs in with the secret, whatever we use: a stale key in it would show only when the mirror
 * fails. Only asked of a cluster that has answered to the keyring. */
static int try_secret(struct check *check, const struct policy_cluster *cluster, const char *key,
                      struct error *error)
{
    AUTO_ERROR struct error reported = {0};
    struct ceph_cluster *connection = NULL;
    if (!has_keyring(cluster) || connect_to(check, cluster, &connection, &reported) < 0)
        return 0;
    CLEANUP(plan_cluster_clear) struct plan_cluster who = {0};
    plan_cluster_of_policy(&who, cluster);
    CLEANUP(ceph_disconnectp) struct ceph_cluster *second = NULL;
    return ceph_connect(&(struct ceph_login){.cluster = cluster->name,
                                             .mons = who.mons,
                                             .conf = who.conf,
                                             .user = who.user,
                                             .key = key},
                        &second, error);
}

static void check_secret(struct check *check, const struct policy_cluster *cluster)
{
    struct check_report *report = &check->report;
    AUTO_FREE char *subject = text_format("secret %s", cluster->name);
    bool target = is_target(check->session.policy, cluster);
    if (!cluster->secret) {
        if (cluster->user && target) {
            check_add(report, CHECK_ERROR, subject,
                      "no libvirt secret is named: QEMU could not log in as client.%s",
                      cluster->user);
            check_hint(report, "give cluster '%s' a 'secret:' in the policy", cluster->name);
        }
        return;
    }
    AUTO_ERROR struct error error = {0};
    CLEANUP(text_burn) char *key = NULL;
    if (virt_secret(check->session.virt, cluster->secret, cluster->secret_is_uuid, &key, &error) <
        0) {
        if (error.code == ERROR_DENIED && has_keyring(cluster))
            check_add(report, CHECK_OK, subject,
                      "'%s' is there; its value is not for us to read (private, or no right), and "
                      "the keyring serves instead",
                      cluster->secret);
        else
            check_add_failure(report, target ? CHECK_ERROR : CHECK_WARNING, subject, &error);
        return;
    }
    if (try_secret(check, cluster, key, &error) == 0) {
        check_add(report, CHECK_OK, subject, "'%s' is there and has a value", cluster->secret);
        return;
    }
    error_prefix(&error, "the key in libvirt secret '%s'", cluster->secret);
    check_add_failure(report, target ? CHECK_ERROR : CHECK_WARNING, subject, &error);
}

void check_secrets(struct check *check)
{
    const struct policy_clusters *clusters = &check->session.policy->clusters;
    for (size_t i = 0; i < clusters->count; i++)
        check_secret(check, clusters->items[i]);
}

/* Whether the key could also be had from libvirt. */
static bool secret_serves(struct check *check, const struct policy_cluster *cluster)
{
    AUTO_ERROR struct error ignored = {0};
    CLEANUP(text_burn) char *key = NULL;
    return check->session.virt && cluster->secret &&
           virt_secret(check->session.virt, cluster->secret, cluster->secret_is_uuid, &key,
                       &ignored) == 0;
}

void check_keyrings(struct check *check)
{
    struct check_report *report = &check->report;
    const struct policy_clusters *clusters = &check->session.policy->clusters;
    for (size_t i = 0; i < clusters->count; i++) {
        const struct policy_cluster *cluster = clusters->items[i];
        if (!cluster->keyring)
            continue;
        AUTO_FREE char *subject = text_format("keyring %s", cluster->name);
        struct stat status;
        if (!has_keyring(cluster)) {
            bool serves = secret_serves(check, cluster);
            check_add(report, serves ? CHECK_WARNING : CHECK_ERROR, subject, "cannot read %s%s",
                      cluster->keyring, serves ? "; the libvirt secret serves instead" : "");
            check_hint(report, "let this user read it (0640, a group of its own), or leave it out "
                               "of the policy");
        } else if (stat(cluster->keyring, &status) == 0 && (status.st_mode & S_IROTH)) {
            check_add(report, CHECK_WARNING, subject, "everybody on this host may read %s",
                      cluster->keyring);
            check_hint(report, "'chmod o-r' it");
        } else {
            check_add(report, CHECK_OK, subject, "%s is readable", cluster->keyring);
        }
    }
}
