/* What can be checked only when every file has been read: clusters and tiers. */
#include "base/text.h"
#include "policy/draft.h"
#include "policy/mons.h"

struct policy_cluster *policy_draft_cluster(const struct policy_draft *draft, const char *name)
{
    const struct policy_clusters *clusters = &draft->policy->clusters;
    for (size_t i = 0; i < clusters->count; i++)
        if (strcmp(clusters->items[i]->name, name) == 0)
            return clusters->items[i];
    return NULL;
}

int policy_unknown_cluster(const struct policy_draft *draft, const struct policy_node *node,
                           const char *name, struct error *error)
{
    const struct policy_clusters *clusters = &draft->policy->clusters;
    AUTO_FREE const char **names = memory_new(clusters->count, sizeof(*names));
    for (size_t i = 0; i < clusters->count; i++)
        names[i] = clusters->items[i]->name;
    AUTO_FREE char *word = policy_shorten(name);
    policy_fault(&node->place, error, "unknown cluster '%s'", word);
    const char *closest = text_closest(name, names, clusters->count);
    return closest ? error_hint(error, "did you mean '%s'?", closest)
                   : error_hint(error, "clusters are defined under 'clusters'");
}

/* In the hook a conf may well be missing: it runs on hosts that only ever see the cluster's disks
 * come in by a migration. */
static int read_conf(const struct policy_node *conf, struct policy_cluster *cluster,
                     struct error *error)
{
    AUTO_FREE char *text = NULL;
    size_t length = 0;
    if (policy_file_read(cluster->conf, &text, &length, error) < 0) {
        policy_fault_wrap(&conf->place, "conf", error);
        return error_hint(error, "install it on this host, or name the monitors with 'mons'");
    }
    AUTO_FREE char *mon_host = policy_conf_mon_host(text, length);
    if (!mon_host) {
        policy_fault(&conf->place, error, "conf: '%s' has no 'mon host' in [global]",
                     cluster->conf);
        return error_hint(error, "name the monitors with 'mons'");
    }
    if (policy_mons_read(mon_host, &cluster->mons, error) < 0) {
        error_prefix(error, "'mon host' in '%s'", cluster->conf);
        return policy_fault_wrap(&conf->place, "conf", error);
    }
    cluster->mons_from_conf = true;
    return 0;
}

static int validate_cluster(const struct policy_draft *draft, size_t i, struct error *error)
{
    struct policy_cluster *cluster = draft->policy->clusters.items[i];
    const struct policy_node *yaml = draft->clusters.items[i].value;
    const struct policy_node *secret = policy_node_member(yaml, "secret");
    if (secret && !cluster->user)
        return policy_fault(&secret->place, error, "cluster '%s' has a secret but no user",
                            cluster->name);
    char *uuid = NULL;
    if (secret && policy_uuid_read(cluster->secret, &uuid)) {
        free(cluster->secret);
        cluster->secret = uuid;
        cluster->secret_is_uuid = true;
    }
    if (cluster->mons.count > 0)
        return 0;
    if (!cluster->conf) {
        policy_fault(&cluster->place, error, "cluster '%s' has neither 'mons' nor 'conf'",
                     cluster->name);
        return error_hint(error, "its disks are recognised by one of them, and it is reached so");
    }
    const struct policy_node *conf = policy_node_member(yaml, "conf");
    return draft->reads_files ? read_conf(conf, cluster, error) : 0;
}

static const struct mon_address *shared_monitor(const struct policy_cluster *a,
                                                const struct policy_cluster *b)
{
    for (size_t i = 0; i < a->mons.count; i++)
        for (size_t j = 0; j < b->mons.count; j++)
            if (policy_mon_same(&a->mons.items[i], &b->mons.items[j]))
                return &b->mons.items[j];
    return NULL;
}

/* Where a cluster says how it is recognised. */
static const struct policy_place *recognition_place(const struct policy_entry *cluster)
{
    const struct policy_node *mons = policy_node_member(cluster->value, "mons");
    const struct policy_node *conf = policy_node_member(cluster->value, "conf");
    return mons ? &mons->place : &conf->place;
}

/* A disk has to be in one cluster at most. */
static int check_distinct(const struct policy_draft *draft, size_t first, size_t second,
                          struct error *error)
{
    const struct policy_cluster *a = draft->policy->clusters.items[first];
    const struct policy_cluster *b = draft->policy->clusters.items[second];
    const struct policy_place *place = recognition_place(&draft->clusters.items[second]);
    AUTO_FREE char *other = policy_place_text(recognition_place(&draft->clusters.items[first]));
    const struct mon_address *mon = shared_monitor(a, b);
    if (mon)
        return policy_fault(
            place, error, "clusters '%s' and '%s' have the same monitor '%s%s%s', first at %s",
            a->name, b->name, mon->host, mon->port ? ":" : "", mon->port ? mon->port : "", other);
    if (a->conf && text_equal(a->conf, b->conf)) {
        place = &policy_node_member(draft->clusters.items[second].value, "conf")->place;
        return policy_fault(place, error, "clusters '%s' and '%s' have the same conf, first at %s",
                            a->name, b->name, other);
    }
    return 0;
}

int policy_validate_clusters(struct policy_draft *draft, struct error *error)
{
    for (size_t i = 0; i < draft->policy->clusters.count; i++) {
        if (validate_cluster(draft, i, error) < 0)
            return -1;
        for (size_t j = 0; j < i; j++)
            if (check_distinct(draft, j, i, error) < 0)
                return -1;
    }
    return 0;
}

/* "cluster/pool[/namespace]" */
static int resolve_pool(const struct policy_draft *draft, const struct policy_node *pool,
                        struct policy_tier *tier, struct error *error)
{
    const char *cluster_end = strchr(pool->text, '/');
    const char *pool_start = cluster_end ? cluster_end + 1 : NULL;
    const char *pool_end = pool_start ? strchrnul(pool_start, '/') : NULL;
    const char *name_space = pool_end && *pool_end ? pool_end + 1 : NULL;
    if (!cluster_end || cluster_end == pool->text || pool_end == pool_start ||
        (name_space && (!*name_space || strchr(name_space, '/'))) || strchr(pool->text, '@')) {
        AUTO_FREE char *found = policy_shorten(pool->text);
        return policy_fault(&pool->place, error,
                            "pool: expected cluster/pool or cluster/pool/namespace, found '%s'",
                            found);
    }
    AUTO_FREE char *name = text_slice(pool->text, (size_t)(cluster_end - pool->text));
    tier->cluster = policy_draft_cluster(draft, name);
    if (!tier->cluster)
        return policy_unknown_cluster(draft, pool, name, error);
    tier->pool = text_slice(pool_start, (size_t)(pool_end - pool_start));
    tier->name_space = text_dup(name_space);
    return 0;
}

/* An unknown {placeholder} of a template, or a brace alone, as a new string; NULL: none. */
static char *unknown_part(const char *template)
{
    static const char *const known[] = {"{name}", "{uuid}", "{target}"};
    for (const char *c = template + strcspn(template, "{}"); *c; c += strcspn(c, "{}")) {
        size_t length = 0;
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
            if (text_starts_with(c, known[i]))
                length = strlen(known[i]);
        if (length == 0) {
            const char *end = *c == '{' ? strchr(c, '}') : c;
            return end ? text_slice(c, (size_t)(end + 1 - c)) : text_dup(c);
        }
        c += length;
    }
    return NULL;
}

static int check_template(const struct policy_node *image, struct error *error)
{
    AUTO_FREE char *unknown = unknown_part(image->text);
    if (unknown) {
        policy_fault(&image->place, error, "image: unknown '%s'", unknown);
        return error_hint(error, "there are {name}, {uuid} and {target}");
    }
    if (*image->text == '.' || strpbrk(image->text, "/@"))
        return policy_fault(&image->place, error,
                            "image: '%s' gives no legal name: no '/', no '@', no '.' first",
                            image->text);
    bool has_domain = strstr(image->text, "{name}") || strstr(image->text, "{uuid}");
    if (!has_domain || !strstr(image->text, "{target}")) {
        policy_fault(&image->place, error, "image: '%s' is the same for several disks",
                     image->text);
        return error_hint(error, "it needs {target}, and {name} or {uuid}");
    }
    return 0;
}

/* QEMU and librbd both refuse a burst below its limit, and ignore one without. */
static int check_burst(const struct policy_node *qos, const char *burst_key, uint64_t burst,
                       const char *limit_key, uint64_t limit, struct error *error)
{
    const struct policy_node *node = policy_node_member(qos, burst_key);
    if (burst == 0 || (limit > 0 && burst >= limit))
        return 0;
    if (limit == 0)
        return policy_fault(&node->place, error, "%s without %s has no effect", burst_key,
                            limit_key);
    return policy_fault(&node->place, error, "%s is less than %s", burst_key, limit_key);
}

/* libvirt's <iotune> takes a total, or reads and writes apart, not both. */
static int check_iotune(const struct policy_node *qos, const char *total_key, uint64_t total,
                        uint64_t reads, uint64_t writes, struct error *error)
{
    if (total == 0 || (reads == 0 && writes == 0))
        return 0;
    const struct policy_node *node = policy_node_member(qos, total_key);
    return policy_fault(&node->place, error,
                        "with 'enforce: iotune' there is either %s, or read_%s and write_%s",
                        total_key, total_key, total_key);
}

static int check_qos(const struct policy_node *yaml, const struct policy_qos *qos,
                     struct error *error)
{
    const struct policy_node *node = policy_node_member(yaml, "qos");
    if (check_burst(node, "iops_burst", qos->iops_burst, "iops", qos->iops, error) < 0 ||
        check_burst(node, "bps_burst", qos->bps_burst, "bps", qos->bps, error) < 0)
        return -1;
    if (qos->enforce != QOS_IOTUNE)
        return 0;
    if (check_iotune(node, "iops", qos->iops, qos->read_iops, qos->write_iops, error) < 0)
        return -1;
    return check_iotune(node, "bps", qos->bps, qos->read_bps, qos->write_bps, error);
}

static int validate_tier(const struct policy_draft *draft, size_t i, struct error *error)
{
    struct policy_tier *tier = draft->policy->tiers.items[i];
    const struct policy_node *yaml = draft->tiers.items[i].value;
    const struct policy_node *pool = policy_node_member(yaml, "pool");
    if (!pool) {
        policy_fault(&tier->place, error, "tier '%s' has no pool", tier->name);
        return error_hint(error, "write 'pool: CLUSTER/POOL'");
    }
    if (resolve_pool(draft, pool, tier, error) < 0)
        return -1;
    const struct policy_node *image = policy_node_member(yaml, "image");
    if (image && check_template(image, error) < 0)
        return -1;
    const struct policy_node *object_size = policy_node_member(yaml, "object_size");
    if (object_size && (tier->object_size & (tier->object_size - 1)) != 0)
        return policy_fault(&object_size->place, error, "object_size: '%s' is not a power of two",
                            object_size->text);
    return check_qos(yaml, &tier->qos, error);
}

int policy_validate_tiers(struct policy_draft *draft, struct error *error)
{
    for (size_t i = 0; i < draft->policy->tiers.count; i++)
        if (validate_tier(draft, i, error) < 0)
            return -1;
    return 0;
}
