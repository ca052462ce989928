#include "survey/survey.h"

#include "base/units.h"
#include "files/files.h"
#include "survey/source_open.h"

#define DEFAULT_RATE (100e6) /* bytes per second, until moves have been measured */
#define DEFAULT_CONF "/etc/ceph/ceph.conf"

/* ---- the source ---- */

void survey_source_cluster(const struct policy *policy, const struct disk_source *source,
                           struct plan_cluster *cluster)
{
    const struct policy_cluster *known = policy_cluster_of(policy, source);
    if (known) {
        plan_cluster_of_policy(cluster, known);
        return;
    }
    AUTO_BUFFER struct buffer mons = {0};
    for (size_t i = 0; i < source->hosts.count; i++) {
        const struct network_host *host = &source->hosts.items[i];
        bool brackets = host->name && strchr(host->name, ':');
        if (host->name)
            buffer_format(&mons, "%s%s%s%s%s%s", mons.length ? "," : "", brackets ? "[" : "",
                          host->name, brackets ? "]" : "", host->port ? ":" : "",
                          host->port ? host->port : "");
    }
    const char *conf = source->config_file;
    if (!conf && !mons.length)
        conf = DEFAULT_CONF; /* QEMU would look there as well */
    *cluster = (struct plan_cluster){
        .name = text_dup(mons.length ? mons.text : conf),
        .mons = mons.length ? text_dup(mons.text) : NULL,
        .conf = text_dup(conf),
        .user = text_dup(source->auth_user),
        .secret = text_dup(source->secret_uuid ? source->secret_uuid : source->secret_usage),
        .secret_is_uuid = source->secret_uuid != NULL,
    };
}

static void look_at_source_image(struct clusters *clusters, const struct policy *policy,
                                 const struct disk *disk, struct disk_facts *facts)
{
    facts->source_is_rbd = true;
    survey_source_cluster(policy, &disk->source, &facts->source_cluster);
    if (!rbd_name_split(disk->source.name, &facts->source_pool, &facts->source_name_space,
                        &facts->source_image_name)) {
        facts->source_problem = text_format("'%s' is not pool/image", disk->source.name);
        return;
    }
    AUTO_ERROR struct error error = {0};
    struct ceph_cluster *cluster = NULL;
    const struct ceph_image_name name = {facts->source_pool, facts->source_name_space,
                                         facts->source_image_name};
    if (clusters_get(clusters, &facts->source_cluster, &cluster, &error) < 0 ||
        ceph_image(cluster, &name, &facts->source_image, &error) < 0) {
        facts->source_problem = STEAL(error.message);
        return;
    }
    facts->source_seen = true;
    facts->source_identity = text_dup(facts->source_image.id);
}

/* Of another host's guest, it is as a rule not there. */
static void look_at_source_file(const struct disk *disk, struct disk_facts *facts)
{
    AUTO_ERROR struct error hidden = {0};
    struct file_look look;
    if (files_look(disk->source.path, &look, &hidden) == 0 && look.exists)
        facts->source_identity = text_dup(look.identity);
}

static void look_at_definition(struct virt *virt, const struct plan_facts *domain,
                               const struct disk *disk, struct disk_facts *facts)
{
    AUTO_ERROR struct error unknown = {0};
    const struct disk *defined =
        domain->live && domain->inactive ? domain_disk(domain->inactive, disk->target) : NULL;
    if (disk->source.path && defined && defined->source.type == SOURCE_VOLUME &&
        virt_volume_path(virt, defined->source.volume_pool, defined->source.volume,
                         &facts->defined_path, &unknown) < 0)
        facts->defined_path = NULL;
}

/* Of a disk that no QEMU has open: libvirt knows no more of it than a file's name tells, and not
 * what lies below it. Reading it is what a move will do. */
static void look_at_idle_disk(struct virt *virt, const struct disk *disk, struct disk_facts *facts)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(blocks_closep) struct blocks *blocks = NULL;
    uint64_t data = 0;
    if (disk->device != DEVICE_DISK || disk->source.type == SOURCE_NONE)
        return;
    if (source_open(virt, disk, SOURCE_IDLE, &blocks, &error) < 0 ||
        blocks_data(blocks, &data, &error) < 0) {
        free(facts->source_problem);
        free(facts->source_hint);
        facts->source_problem = STEAL(error.message);
        facts->source_hint = STEAL(error.hint);
        return;
    }
    facts->size_known = true;
    facts->capacity = blocks_size(blocks);
    facts->allocated = data;
    facts->allocated_exact = blocks_knows_holes(blocks);
}

static void look_at_size(struct virt *virt, const struct policy *policy,
                         const struct plan_facts *domain, const struct disk *disk,
                         struct disk_facts *facts)
{
    AUTO_ERROR struct error error = {0};
    struct virt_disk_size size = {0};
    if (facts->source_seen) {
        facts->size_known = true;
        facts->capacity = facts->source_image.size;
        facts->allocated = facts->source_image.allocated;
        facts->allocated_exact = facts->source_image.allocated_known;
        if (policy->prepare_source && !facts->allocated_exact)
            facts->allocated = facts->source_image.used; /* once its holes are visible */
    }
    bool rbd = disk->source.type == SOURCE_NETWORK && text_equal(disk->source.protocol, "rbd");
    if (!domain->state.active && !rbd)
        look_at_idle_disk(virt, disk, facts);
    if (!domain->state.active)
        return;
    /* What QEMU shows the guest counts; an image may have been resized behind its back. */
    if (disk->source.type == SOURCE_NONE ||
        virt_disk_size(virt, domain->uuid, disk->target, &size, &error) < 0)
        return;
    facts->size_known = true;
    facts->capacity = size.capacity;
    if (disk->source.type == SOURCE_FILE) {
        facts->allocated = size.allocation;
        facts->allocated_exact = text_equal(disk->format, "raw");
    } else if (!facts->source_seen) {
        facts->allocated = size.capacity; /* no way to see holes */
    }
}

/* ---- the target ---- */

static int problem(struct disk_facts *facts, struct error *error)
{
    facts->target_problem = STEAL(error->message);
    facts->target_hint = STEAL(error->hint);
    return -1;
}

static int check_secret(struct virt *virt, const struct policy_cluster *cluster,
                        struct error *error)
{
    CLEANUP(text_burn) char *key = NULL;
    if (!cluster->user)
        return 0;
    if (!cluster->secret) {
        error_set(error, ERROR_POLICY,
                  "cluster '%s' has a user, but no libvirt secret: QEMU could "
                  "not open the image",
                  cluster->name);
        return error_hint(error, "give it 'secret:' with the uuid or usage of a libvirt secret");
    }
    if (virt_secret(virt, cluster->secret, cluster->secret_is_uuid, &key, error) == 0)
        return 0;
    if (error->code != ERROR_NOT_FOUND) { /* private: QEMU may use it all the same */
        error_clear(error);
        return 0;
    }
    return error_prefix(error, "cluster '%s' on this host", cluster->name);
}

static int check_pool(struct ceph_cluster *cluster, const char *cluster_name, const char *pool,
                      uint64_t needed, struct error *error)
{
    struct ceph_pool info = {0};
    if (ceph_pool(cluster, pool, &info, error) < 0)
        return -1;
    if (info.full || info.nearfull) {
        error_set(error, ERROR_NO_SPACE, "target pool %s/%s is %s", cluster_name, pool,
                  info.full ? "full or over its quota" : "nearly full");
        return error_hint(error,
                          "a full pool stops every write to it: make room or raise the "
                          "quota first ('ceph df', 'ceph osd pool get-quota %s')",
                          pool);
    }
    if (info.free_bytes < needed) {
        AUTO_FREE char *free_text = format_size(info.free_bytes);
        AUTO_FREE char *needed_text = format_size(needed);
        error_set(error, ERROR_NO_SPACE, "target pool %s/%s has %s left, and up to %s are needed",
                  cluster_name, pool, free_text, needed_text);
        return error_hint(error, "make room, raise the pool's quota, or choose another tier");
    }
    return 0;
}

static const char *data_pool_of(const struct policy_tier *tier)
{
    return tier->data_pool ? tier->data_pool : tier->pool;
}

static int check_target(struct virt *virt, struct clusters *clusters,
                        const struct policy_tier *tier, uint64_t needed, struct disk_facts *facts,
                        struct error *error)
{
    struct plan_cluster which = {0};
    plan_cluster_of_policy(&which, tier->cluster);
    struct ceph_cluster *cluster = NULL;
    int connected = clusters_get(clusters, &which, &cluster, error);
    plan_cluster_clear(&which);
    if (connected < 0 || check_secret(virt, tier->cluster, error) < 0)
        return -1;

    struct ceph_health health = {0};
    if (ceph_health(cluster, &health, error) < 0)
        return -1;
    AUTO_FREE char *blocker = text_dup(health.blocker);
    ceph_health_clear(&health);
    if (blocker) {
        error_set(error, ERROR_NO_SPACE, "cluster '%s' is not well: %s", tier->cluster->name,
                  blocker);
        return error_hint(error, "'ceph health detail' there says more; a copy onto it could stop "
                                 "in the middle");
    }
    if (check_pool(cluster, tier->cluster->name, tier->pool, 0, error) < 0 ||
        check_pool(cluster, tier->cluster->name, data_pool_of(tier), needed, error) < 0)
        return -1;

    bool exists = true;
    if (tier->name_space &&
        ceph_namespace_exists(cluster, tier->pool, tier->name_space, &exists, error) < 0)
        return -1;
    if (!exists) {
        error_set(error, ERROR_NOT_FOUND, "there is no namespace '%s' in pool %s/%s",
                  tier->name_space, tier->cluster->name, tier->pool);
        return error_hint(error, "'rbd namespace create %s/%s' makes it", tier->pool,
                          tier->name_space);
    }
    struct ceph_image image = {0};
    const struct ceph_image_name name = {tier->pool, tier->name_space, facts->target_image};
    if (ceph_image(cluster, &name, &image, error) == 0) {
        facts->target_exists = true;
        facts->target_owner = STEAL(image.owner_token);
        ceph_image_clear(&image);
        return 0;
    }
    if (error->code != ERROR_NOT_FOUND)
        return -1;
    error_clear(error);
    return 0;
}

/* By the tier's login: whoever migrates an image changes both ends. */
static int find_source_id(struct clusters *clusters, const struct policy_tier *tier,
                          struct disk_facts *facts, struct error *error)
{
    struct plan_cluster which = {0};
    plan_cluster_of_policy(&which, tier->cluster);
    struct ceph_cluster *source = NULL, *target = NULL;
    const struct ceph_image_name name = {facts->source_pool, facts->source_name_space,
                                         facts->source_image_name};
    int connected = clusters_get(clusters, &which, &target, error);
    plan_cluster_clear(&which);
    if (connected < 0 || clusters_get(clusters, &facts->source_cluster, &source, error) < 0)
        return -1;
    AUTO_FREE char *from = ceph_fsid(source);
    AUTO_FREE char *to = ceph_fsid(target);
    return text_equal(from, to)
               ? ceph_image_id(target, &name, &facts->source_id, error)
               : error_set(error, ERROR_FAILED, "its image does not stay in its cluster");
}

static void look_at_migration(struct clusters *clusters, const struct policy_tier *tier,
                              struct disk_facts *facts)
{
    AUTO_ERROR struct error problem = {0};
    if (facts->source_seen && find_source_id(clusters, tier, facts, &problem) < 0)
        facts->migration_problem = STEAL(problem.message);
}

/* What the disks before this one will put into the same pool. */
static uint64_t spoken_for(const struct plan_facts *facts, const struct policy *policy,
                           const struct plan_request *request, const struct domain *domain,
                           const struct policy_tier *tier)
{
    uint64_t sum = 0;
    for (size_t i = 0; i + 1 < facts->disks.count; i++) {
        const struct disk_facts *found = &facts->disks.items[i];
        const struct disk *disk = domain_disk(domain, found->target);
        const struct policy_tier *other =
            plan_decide(policy, request, domain, disk, found->capacity).tier;
        if (other && plan_is_requested(request, found->target) &&
            !plan_is_in_tier(policy, disk, other) && other->cluster == tier->cluster &&
            text_equal(data_pool_of(other), data_pool_of(tier)))
            sum += found->allocated;
    }
    return sum;
}

static void look_at_disk(struct virt *virt, struct clusters *clusters, const struct policy *policy,
                         const struct plan_request *request, const struct domain *domain,
                         const struct disk *disk, struct plan_facts *facts)
{
    struct disk_facts *found = disks_facts_add(&facts->disks);
    found->target = text_dup(disk->target);
    look_at_definition(virt, facts, disk, found);
    bool rbd = disk->source.type == SOURCE_NETWORK && text_equal(disk->source.protocol, "rbd");
    look_at_size(virt, policy, facts, disk, found);
    const struct policy_tier *tier =
        plan_decide(policy, request, domain, disk, found->capacity).tier;
    if (!tier || !plan_is_requested(request, disk->target) || disk->device != DEVICE_DISK)
        return;
    if (disk->source.type == SOURCE_FILE)
        look_at_source_file(disk, found);
    if (rbd) {
        look_at_source_image(clusters, policy, disk, found);
        look_at_size(virt, policy, facts, disk, found);
        if (!facts->state.active && policy->offline == OFFLINE_MIGRATE)
            look_at_migration(clusters, tier, found);
    }
    AUTO_ERROR struct error error = {0};
    found->target_image = policy_image_name(tier, domain, disk, &error);
    uint64_t needed = found->allocated + spoken_for(facts, policy, request, domain, tier);
    if (!found->target_image || check_target(virt, clusters, tier, needed, found, &error) < 0)
        problem(found, &error);
}

void survey_clear(struct plan_facts *facts)
{
    for (size_t i = 0; i < facts->disks.count; i++) {
        struct disk_facts *disk = &facts->disks.items[i];
        free(disk->target);
        plan_cluster_clear(&disk->source_cluster);
        free(disk->source_pool);
        free(disk->source_name_space);
        free(disk->source_image_name);
        free(disk->source_id);
        free(disk->source_identity);
        free(disk->migration_problem);
        ceph_image_clear(&disk->source_image);
        free(disk->defined_path);
        free(disk->source_problem);
        free(disk->source_hint);
        free(disk->target_image);
        free(disk->target_owner);
        free(disk->target_problem);
        free(disk->target_hint);
    }
    free(facts->disks.items);
    free(facts->uuid);
    virt_domain_clear(&facts->state);
    domain_freep(&facts->live);
    domain_freep(&facts->inactive);
    free(facts->other_move);
    *facts = (struct plan_facts){0};
}

static int look_at_guest(struct virt *virt, const char *uuid, struct plan_facts *facts,
                         struct error *error)
{
    facts->uuid = text_dup(uuid);
    if (facts->assumed_rate <= 0)
        facts->assumed_rate = DEFAULT_RATE;
    if (virt_domain(virt, uuid, &facts->state, error) < 0 ||
        virt_versions(virt, &facts->versions, error) < 0)
        return -1;
    if (!facts->state.exists)
        return error_set(error, ERROR_NOT_FOUND, "domain %s is gone", uuid);

    AUTO_FREE char *live = NULL;
    CLEANUP(text_burn) char *inactive = NULL;
    if (facts->state.active && (virt_domain_xml(virt, uuid, VIRT_XML_LIVE, &live, error) < 0 ||
                                domain_parse(live, strlen(live), &facts->live, error) < 0))
        return -1;
    if (facts->state.persistent &&
        (virt_domain_xml(virt, uuid, VIRT_XML_INACTIVE, &inactive, error) < 0 ||
         domain_parse(inactive, strlen(inactive), &facts->inactive, error) < 0))
        return -1;
    return 0;
}

int survey_domain(struct virt *virt, struct clusters *clusters, const struct policy *policy,
                  const struct plan_request *request, const char *uuid, struct plan_facts *facts,
                  struct error *error)
{
    if (look_at_guest(virt, uuid, facts, error) < 0)
        return -1;
    const struct domain *domain = facts->live ? facts->live : facts->inactive;
    for (size_t i = 0; i < domain->disks.count; i++)
        look_at_disk(virt, clusters, policy, request, domain, &domain->disks.items[i], facts);
    return 0;
}

int survey_guest(struct virt *virt, struct clusters *clusters, const char *uuid,
                 struct plan_facts *facts, struct error *error)
{
    static const struct policy none;
    if (look_at_guest(virt, uuid, facts, error) < 0)
        return -1;
    const struct domain *domain = facts->live ? facts->live : facts->inactive;
    for (size_t i = 0; i < domain->disks.count; i++) {
        const struct disk *disk = &domain->disks.items[i];
        struct disk_facts *found = disks_facts_add(&facts->disks);
        found->target = text_dup(disk->target);
        look_at_definition(virt, facts, disk, found);
        if (disk->source.type == SOURCE_NETWORK && text_equal(disk->source.protocol, "rbd"))
            look_at_source_image(clusters, &none, disk, found);
        look_at_size(virt, &none, facts, disk, found);
    }
    return 0;
}
