#include "survey/clusters.h"

#define TIMEOUT_SECONDS 10

struct member {
    struct plan_cluster who;
    struct ceph_cluster *connection; /* NULL: it failed with: */
    struct error error;
};
DEFINE_VECTOR(members, struct member);

struct clusters {
    struct virt *virt;
    struct members members;
};

struct clusters *clusters_new(struct virt *virt)
{
    struct clusters *clusters = NEW(struct clusters);
    clusters->virt = virt;
    return clusters;
}

static void member_clear(struct member *member)
{
    ceph_disconnectp(&member->connection);
    plan_cluster_clear(&member->who);
    error_clear(&member->error);
}

void clusters_reset(struct clusters *clusters)
{
    for (size_t i = 0; i < clusters->members.count; i++)
        member_clear(&clusters->members.items[i]);
    clusters->members.count = 0;
}

void clusters_free(struct clusters *clusters)
{
    clusters_reset(clusters);
    free(clusters->members.items);
    free(clusters);
}

static bool same(const struct plan_cluster *a, const struct plan_cluster *b)
{
    return text_equal(a->mons, b->mons) && text_equal(a->conf, b->conf) &&
           text_equal(a->user, b->user) && text_equal(a->secret, b->secret) &&
           text_equal(a->keyring, b->keyring);
}

static int connect_to(struct clusters *clusters, const struct plan_cluster *who,
                      struct ceph_cluster **connection, struct error *error)
{
    CLEANUP(text_burn) char *key = NULL;
    bool keyring = who->keyring && access(who->keyring, R_OK) == 0;
    if (who->user && !keyring) {
        if (!who->secret || !clusters->virt) {
            error_set(error, ERROR_DENIED, "cluster '%s': there is no key for user '%s'%s%s",
                      who->name, who->user, who->keyring ? ": cannot read keyring " : "",
                      who->keyring ? who->keyring : "");
            return error_hint(error,
                              "give the cluster a keyring that you may read%s, in the policy",
                              clusters->virt ? ", or a libvirt secret" : "");
        }
        if (virt_secret(clusters->virt, who->secret, who->secret_is_uuid, &key, error) < 0)
            return error_prefix(error, "cluster '%s'", who->name);
    }
    return ceph_connect(&(struct ceph_login){.cluster = who->name,
                                             .mons = who->mons,
                                             .conf = who->conf,
                                             .user = who->user,
                                             .key = key,
                                             .keyring = keyring ? who->keyring : NULL,
                                             .timeout = TIMEOUT_SECONDS},
                        connection, error);
}

static int lend(const struct member *member, struct ceph_cluster **connection, struct error *error)
{
    *connection = member->connection;
    if (member->connection)
        return 0;
    error_set(error, member->error.code, "%s", member->error.message);
    return member->error.hint ? error_hint(error, "%s", member->error.hint) : -1;
}

int clusters_get(struct clusters *clusters, const struct plan_cluster *which,
                 struct ceph_cluster **connection, struct error *error)
{
    for (size_t i = 0; i < clusters->members.count; i++)
        if (same(&clusters->members.items[i].who, which))
            return lend(&clusters->members.items[i], connection, error);

    struct member *member = members_add(&clusters->members);
    plan_cluster_copy(&member->who, which);
    /* What failed is kept with the cluster and told to everyone who asks. */
    if (connect_to(clusters, which, &member->connection, &member->error) < 0)
        member->connection = NULL;
    int result = lend(member, connection, error);
    /* But for libvirt's daemon, which was asked for the key: it will be back. */
    if (member->error.code == ERROR_DISCONNECTED) {
        member_clear(member);
        clusters->members.count--;
    }
    return result;
}
