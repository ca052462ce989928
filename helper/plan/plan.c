#include "plan/private.h"
#include "plan/versions.h"

#include <rbd/features.h>

/* A mirror's target must have the source's size, which QEMU counts in sectors. */
#define SECTOR 512

/* ---- decisions ---- */

struct policy_decision plan_decide(const struct policy *policy, const struct plan_request *request,
                                   const struct domain *domain, const struct disk *disk,
                                   uint64_t capacity)
{
    if (request->tier)
        return (struct policy_decision){.tier = policy_tier(policy, request->tier)};
    return policy_decide(policy, &(struct policy_subject){domain, disk, capacity});
}

bool plan_is_requested(const struct plan_request *request, const char *target)
{
    for (size_t i = 0; i < request->target_count; i++)
        if (text_equal(request->targets[i], target))
            return true;
    return request->target_count == 0;
}

bool plan_is_in_tier(const struct policy *policy, const struct disk *disk,
                     const struct policy_tier *tier)
{
    const struct disk_source *source = &disk->source;
    if (source->type != SOURCE_NETWORK || !text_equal(source->protocol, "rbd") ||
        policy_cluster_of(policy, source) != tier->cluster)
        return false;
    AUTO_FREE char *pool = NULL, *name_space = NULL, *image = NULL;
    return rbd_name_split(source->name, &pool, &name_space, &image) &&
           text_equal(pool, tier->pool) && text_equal(name_space, tier->name_space);
}

void plan_conclude(struct plan_disk *planned, enum plan_action action, char *reason,
                   const char *hint)
{
    planned->action = action;
    planned->reason = reason;
    planned->hint = text_dup(hint);
}

/* ---- refusals: each looks at one thing and says whether it spoke ---- */

const char *plan_immovable(const struct disk *disk)
{
    if (disk->device == DEVICE_CDROM || disk->device == DEVICE_FLOPPY)
        return "it is a removable medium, not a disk";
    if (disk->device == DEVICE_LUN)
        return "it is a whole SCSI device (device='lun') that QEMU cannot mirror";
    if (disk->source.type == SOURCE_VHOST_USER)
        return "its data goes through another process (vhost-user), not through QEMU";
    if (disk->source.type == SOURCE_NONE)
        return "it is an empty drive";
    if (disk->source.type == SOURCE_OTHER)
        return "its source type is not one that can be mirrored";
    if (disk->readonly)
        return "it is read-only";
    if (disk->shareable)
        return "it is shareable: another guest may be writing to it, and a mirror would lose that";
    if (disk->transient)
        return "it is transient: its changes are thrown away with the guest";
    return disk->encrypted ? "it is encrypted" : NULL;
}

static bool refuse_kind(const struct view *view, struct plan_disk *planned)
{
    const struct disk *disk = view->disk;
    const char *why = plan_immovable(disk);
    if (!why)
        return false;
    /* Nobody means a medium unless he names it. */
    bool removable = disk->device == DEVICE_CDROM || disk->device == DEVICE_FLOPPY ||
                     disk->source.type == SOURCE_NONE;
    bool named = view->request->target_count > 0;
    plan_conclude(planned, removable && !named ? PLAN_LEAVE : PLAN_REFUSE, text_dup(why),
                  removable && !named
                      ? NULL
                      : "leave it out with a rule 'leave: true', or choose the other "
                        "disks with --disk");
    return true;
}

static bool refuse_slices(const struct view *view, struct plan_disk *planned)
{
    if (!view->disk->has_slices)
        return false;
    plan_conclude(planned, PLAN_REFUSE, text_dup("it is a slice of a larger file"), NULL);
    return true;
}

static bool refuse_nested(const struct view *view, struct plan_disk *planned)
{
    if (!disk_is_nested(view->disk) || view->facts->state.active)
        return false;
    plan_conclude(
        planned, PLAN_REFUSE,
        text_format("it is %s within a network disk, which only QEMU can read", view->disk->format),
        "start the guest, and move it while it runs");
    return true;
}

const struct disk_facts *plan_facts_of(const struct plan_facts *facts, const char *target)
{
    for (size_t i = 0; i < facts->disks.count; i++)
        if (text_equal(facts->disks.items[i].target, target))
            return &facts->disks.items[i];
    return NULL;
}

bool plan_refuse_job(const struct view *view, struct plan_disk *planned)
{
    if (!view->disk->has_mirror)
        return false;
    plan_conclude(planned, PLAN_REFUSE, text_dup("a block job is at work on it already"),
                  "'virsh blockjob DOMAIN TARGET' shows it; wait for it or end it with --abort");
    return true;
}

bool plan_leave_when_there(const struct view *view, struct plan_disk *planned)
{
    if (!plan_is_in_tier(view->policy, view->disk, view->tier))
        return false;
    plan_conclude(planned, PLAN_LEAVE, text_format("it is in tier '%s' already", view->tier->name),
                  NULL);
    return true;
}

/* A volume that was mirrored to is called by its path until the guest's next start. */
static bool is_by_path(const struct view *view)
{
    const struct disk_facts *facts = view->facts_of_disk;
    return facts && facts->defined_path && text_equal(facts->defined_path, view->disk->source.path);
}

/* The persistent definition may have been edited for the next start. */
bool plan_refuse_edited(const struct view *view, struct plan_disk *planned)
{
    const struct domain *inactive = view->facts->inactive;
    const struct disk *defined = inactive ? domain_disk(inactive, view->disk->target) : NULL;
    if (!defined || disk_source_same(&defined->source, &view->disk->source) || is_by_path(view))
        return false;
    AUTO_FREE char *source = disk_source_describe(&defined->source);
    plan_conclude(
        planned, PLAN_REFUSE,
        text_format("its definition names another source (%s) than the running guest uses", source),
        "make the definition and the guest agree first: edit it, or restart the guest");
    return true;
}

bool plan_refuse_size(const struct view *view, struct plan_disk *planned)
{
    const struct disk_facts *facts = view->facts_of_disk;
    if (facts && facts->size_known)
        return false;
    if (facts && facts->source_problem && !facts->source_is_rbd) {
        plan_conclude(planned, PLAN_REFUSE, text_dup(facts->source_problem), facts->source_hint);
        return true;
    }
    bool why = facts && facts->source_problem;
    plan_conclude(planned, PLAN_REFUSE,
                  text_format("its size cannot be read%s%s", why ? ": " : "",
                              why ? facts->source_problem : ""),
                  "'virsh domblkinfo DOMAIN TARGET' should show it");
    return true;
}

/* A guest of another host may well use the same image. */
bool plan_refuse_watched(const struct view *view, struct plan_disk *planned)
{
    const struct ceph_image *image = &view->facts_of_disk->source_image;
    if (view->facts->state.active || !view->facts_of_disk->source_seen || !image->watchers.count)
        return false;
    plan_conclude(planned, PLAN_REFUSE,
                  text_format("the domain is off, but %s has the source image open",
                              image->watchers.items[0]),
                  "'rbd status' shows who it is; the watch of a client that was killed goes away "
                  "within about 30 s");
    return true;
}

static bool wants_snapshots(const struct view *view)
{
    return view->policy->source_snapshots == SNAPSHOTS_COPY && !view->facts->state.active &&
           view->facts_of_disk->source_image.snapshots > 0;
}

static bool refuse_uneven(struct plan_disk *planned)
{
    plan_conclude(planned, PLAN_REFUSE,
                  text_dup("its source has snapshots that cannot be copied along: of its group, or "
                           "of another size than it has now"),
                  "remove those ('rbd snap ls --all' lists them), or leave all of them behind: "
                  "'source: {snapshots: leave, allow_loss: [snapshots]}'");
    return true;
}

static bool refuse_loss(const struct view *view, struct plan_disk *planned)
{
    const struct disk_facts *facts = view->facts_of_disk;
    if (!facts->source_is_rbd)
        return false;
    if (!facts->source_seen) {
        plan_conclude(
            planned, PLAN_REFUSE,
            text_format("its source image cannot be examined for snapshots and clones: %s",
                        facts->source_problem),
            "give the source's cluster in the policy, with a user or keyring that may read it");
        return true;
    }
    const struct ceph_image *image = &facts->source_image;
    const struct {
        bool has;
        enum policy_loss loss;
        const char *what, *word;
    } losses[] = {
        {image->snapshots, LOSS_SNAPSHOTS, "RBD snapshots", "snapshots"},
        {image->children, LOSS_CHILDREN, "clones that depend on it", "children"},
        {image->in_group, LOSS_GROUP, "a consistency group", "group"},
        {image->mirrored, LOSS_MIRRORING, "RBD mirroring to another cluster", "mirroring"},
        {image->features & RBD_FEATURE_JOURNALING, LOSS_JOURNALING, "RBD journaling", "journaling"},
    };
    if (wants_snapshots(view)) {
        if (image->snapshots_uneven)
            return refuse_uneven(planned);
        planned->takes_snapshots = true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(losses); i++) {
        if (!losses[i].has || (view->policy->allow_loss & losses[i].loss) ||
            (losses[i].loss == LOSS_SNAPSHOTS && planned->takes_snapshots))
            continue;
        AUTO_FREE char *hint =
            text_format("remove that first, or accept the loss in the policy: "
                        "'source: {allow_loss: [%s]}'; the source itself is kept either way",
                        losses[i].word);
        plan_conclude(
            planned, PLAN_REFUSE,
            text_format("its source has %s, which a copy of its contents does not take along",
                        losses[i].what),
            hint);
        return true;
    }
    return false;
}

/* In any layer: QEMU asks all of them which blocks hold data. */
static bool reads_rbd(const struct view *view)
{
    CLEANUP(named_sources_clear) struct named_sources sources = {0};
    bool found = false;
    domain_named_sources(view->domain, &sources);
    for (size_t i = 0; i < sources.count; i++)
        found |= text_equal(sources.items[i].target, view->disk->target) &&
                 text_equal(sources.items[i].source.protocol, "rbd");
    return found;
}

bool plan_refuse_versions(const struct view *view, struct plan_disk *planned)
{
    const struct virt_versions *versions = &view->facts->versions;
    const struct known_bug *bug = NULL;
    bool live = view->facts->state.active; /* QEMU copies */
    if (live && reads_rbd(view))
        bug = known_bug(BUG_RBD_BLOCK_STATUS, versions);
    if (live && !bug && text_equal(view->disk->discard, "unmap"))
        bug = known_bug(BUG_MIRROR_START, versions);
    if (!bug && planned->destination.name_space)
        bug = known_bug(BUG_NAMESPACE, versions);
    if (!bug)
        return false;
    plan_conclude(planned, PLAN_REFUSE, text_dup(bug->what), bug->remedy);
    return true;
}

static bool refuse_target(const struct view *view, struct plan_disk *planned)
{
    const struct disk_facts *facts = view->facts_of_disk;
    if (facts->target_problem) {
        plan_conclude(planned, PLAN_REFUSE, text_dup(facts->target_problem), facts->target_hint);
        return true;
    }
    if (facts->target_exists) {
        AUTO_FREE char *name = plan_destination_describe(&planned->destination);
        plan_conclude(
            planned, PLAN_REFUSE, text_format("target image %s exists already", name),
            facts->target_owner
                ? "an earlier move made it: 'virt-pivot history' tells which, 'virt-pivot "
                  "recover' reclaims it if that move is dead"
                : "virt-pivot did not make it and will not touch it: rename or remove it, or "
                  "change the tier's image: template");
        return true;
    }
    return false;
}

/* In the order in which an operator would want to hear of them. */
static bool (*const checks[])(const struct view *, struct plan_disk *) = {
    plan_leave_when_there, refuse_slices,    refuse_nested,        plan_refuse_job,
    plan_refuse_edited,    plan_refuse_size, plan_refuse_versions, refuse_loss,
    plan_refuse_watched,   refuse_target,
};

/* ---- one disk ---- */

static bool wants_synchronous(const struct view *view)
{
    if (!view->facts || !view->facts->state.active || view->tier->copy_mode == COPY_BACKGROUND ||
        view->facts->versions.libvirt < 8000000)
        return false;
    return !known_bug(BUG_SYNCHRONOUS, &view->facts->versions);
}

void plan_set_destination(const struct view *view, uint64_t capacity, const char *image,
                          struct plan_disk *planned)
{
    const struct policy_tier *tier = view->tier;
    planned->destination = (struct plan_destination){
        .pool = text_dup(tier->pool),
        .name_space = text_dup(tier->name_space),
        .image = text_dup(image),
        .data_pool = text_dup(tier->data_pool),
        .size = (capacity + SECTOR - 1) / SECTOR * SECTOR,
        .object_size = tier->object_size,
        .qos = tier->qos,
        .keeps_iotune = view->disk->has_iotune,
        .cache = text_dup(tier->cache),
        .discard = text_dup(tier->discard),
        .detect_zeroes = text_dup(tier->detect_zeroes),
        .bandwidth = view->request->bandwidth ? view->request->bandwidth : tier->copy_bandwidth,
        .synchronous = wants_synchronous(view),
    };
    plan_cluster_of_policy(&planned->destination.cluster, tier->cluster);
}

static void set_source_image(const struct view *view, struct plan_disk *planned)
{
    const struct disk_facts *facts = view->facts_of_disk;
    planned->source_identity = text_dup(facts->source_identity);
    if (!facts->source_is_rbd || !facts->source_seen)
        return;
    plan_cluster_copy(&planned->source_cluster, &facts->source_cluster);
    planned->source_pool = text_dup(facts->source_pool);
    planned->source_name_space = text_dup(facts->source_name_space);
    planned->source_image = text_dup(facts->source_image_name);
    planned->prepare_source = view->policy->prepare_source && !facts->source_image.allocated_known;
}

/* A bandwidth limit of a mirror counts the holes too, unless the running disk has discard='unmap':
 * QEMU then zeroes the target all at once before it copies (qemu block/mirror.c,
 * mirror_dirty_init). */
uint64_t plan_expected_seconds(const struct view *view, const struct plan_disk *planned)
{
    double rate = view->facts->assumed_rate;
    double limit = (double)planned->destination.bandwidth;
    if (rate <= 0)
        return 0;
    double seconds = (double)planned->allocated / rate;
    bool holes_count = view->facts->state.active && !text_equal(view->disk->discard, "unmap");
    double paced = holes_count ? (double)planned->capacity : (double)planned->allocated;
    if (limit > 0 && paced / limit > seconds)
        seconds = paced / limit;
    return (uint64_t)seconds + 1;
}

void plan_introduce(const struct view *view, struct policy_decision decision,
                    struct plan_disk *planned)
{
    planned->target = text_dup(view->disk->target);
    planned->bus = text_dup(view->disk->bus);
    planned->source = disk_source_describe(&view->disk->source);
    planned->rule = decision.rule ? text_dup(decision.rule->name) : NULL;
    planned->tier = decision.tier ? text_dup(decision.tier->name) : NULL;
}

bool plan_leave_by_rule(struct policy_decision decision, struct plan_disk *planned)
{
    if (decision.tier)
        return false;
    plan_conclude(planned, PLAN_LEAVE,
                  decision.rule ? text_format("rule '%s' leaves it", decision.rule->name)
                                : text_dup("no rule of the policy matches it"),
                  NULL);
    return true;
}

static void plan_one(const struct view *base, const struct disk *disk, struct plan_disk *planned)
{
    struct view view = *base;
    view.disk = disk;
    view.facts_of_disk = plan_facts_of(view.facts, disk->target);

    if (view.facts_of_disk && view.facts_of_disk->size_known) {
        planned->size_known = true;
        planned->capacity = view.facts_of_disk->capacity;
        planned->allocated = view.facts_of_disk->allocated;
        planned->allocated_exact = view.facts_of_disk->allocated_exact;
    }
    struct policy_decision decision =
        plan_decide(view.policy, view.request, view.domain, disk, planned->capacity);
    view.tier = decision.tier;
    plan_introduce(&view, decision, planned);
    if (!plan_is_requested(view.request, disk->target)) {
        plan_conclude(planned, PLAN_LEAVE, text_dup("not asked for"), NULL);
        return;
    }
    /* A disk that is there already may be of any kind. */
    if (plan_leave_by_rule(decision, planned) ||
        (!plan_is_in_tier(view.policy, disk, view.tier) && refuse_kind(&view, planned)))
        return;
    if (view.facts_of_disk)
        plan_set_destination(&view, view.facts_of_disk->capacity, view.facts_of_disk->target_image,
                             planned);
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
        if (checks[i](&view, planned))
            return;
    set_source_image(&view, planned);
    planned->expected_seconds = plan_expected_seconds(&view, planned);
    plan_conclude(planned, PLAN_MOVE,
                  decision.rule ? text_format("rule '%s' wants it in tier '%s'",
                                              decision.rule->name, view.tier->name)
                                : text_format("tier '%s' was asked for", view.tier->name),
                  NULL);
}

/* ---- the domain ---- */

/* What undefining would lose for ever (libvirt qemu_driver.c, qemuDomainUndefineFlags, and
 * qemu_process.c for a transient guest that stops); NULL: nothing. */
static const char *undefining_loses(const struct plan_facts *facts)
{
    if (facts->state.managed_save)
        return "it has a managed save image";
    if (facts->state.snapshots)
        return "libvirt keeps snapshots of it";
    if (facts->state.checkpoints)
        return "libvirt keeps checkpoints of it";
    if (facts->live && facts->live->has_tpm_emulator && !facts->live->tpm_persistent)
        return "its emulated TPM's state would go with a stop of the guest";
    return NULL;
}

void plan_choose_strategy(const struct plan_facts *facts, enum policy_definition wanted,
                          struct plan *plan)
{
    const char *loss = undefining_loses(facts);
    if (!facts->state.active) {
        plan->strategy = STRATEGY_KEEP;
        plan->strategy_reason = text_dup("it is off: virt-pivot copies, and its definition names "
                                         "the new disks when all is there");
    } else if (!facts->state.persistent) {
        plan->strategy = STRATEGY_KEEP;
        plan->strategy_reason = text_dup("it is transient and has no definition to save");
    } else if (wanted == DEFINITION_KEEP) {
        plan->strategy = STRATEGY_KEEP;
        plan->strategy_reason = text_dup("the policy says so");
    } else if (wanted == DEFINITION_DANCE) {
        plan->strategy = STRATEGY_DANCE;
        plan->strategy_reason = text_dup("the policy says so");
        if (loss && !plan->blocker) {
            plan->blocker = text_format("the policy wants the dance, but %s: undefining it would "
                                        "lose that",
                                        loss);
            plan->blocker_hint = text_dup("use 'definition: auto' or 'keep'");
        }
    } else {
        plan->strategy = loss ? STRATEGY_KEEP : STRATEGY_DANCE;
        plan->strategy_reason = text_dup(loss ? loss : "undefining it loses nothing");
    }
}

/* A guest that is saved comes back by what its saved state says, which names the old disks. */
static const char *saved_state_astray(const struct plan_facts *facts, bool is_led)
{
    if (facts->state.active || !facts->state.managed_save)
        return NULL;
    if (facts->hook_missing)
        return "virt-pivot's hook, which would lead it to its new disks, is not installed here";
    return is_led ? NULL
                  : "the policy forbids the hook to lead it to its new disks "
                    "(triggers: {on_restore: false})";
}

void plan_find_blocker(const struct plan_facts *facts, bool saved_state_is_led, struct plan *plan)
{
    const char *astray = saved_state_astray(facts, saved_state_is_led);
    if (facts->state.arriving || (!facts->state.active && !facts->state.persistent)) {
        plan->blocker = text_dup("it is on its way to this host");
        plan->blocker_hint = text_dup("wait until its migration has ended");
    } else if (facts->other_move) {
        plan->blocker = text_format("%s is at work on it", facts->other_move);
        plan->blocker_hint = text_dup("'virt-pivot status' shows it; 'virt-pivot cancel' ends it");
    } else if (facts->state.job) {
        plan->blocker = text_format("a %s is under way", facts->state.job);
        plan->blocker_hint = text_dup("'virsh domjobinfo' shows it; wait for its end");
    } else if (astray) {
        plan->blocker = text_format("its state is saved (managed save), and %s", astray);
        plan->blocker_hint = text_dup("'virt-pivot check' says more about the hook; or start the "
                                      "guest ('virsh start'), and move it while it runs");
    }
}

/* No refusal: no data are lost by it, and a distribution may have repaired it under the same
 * version. */
void plan_warn_of_iothreads(const struct plan_facts *facts, struct plan *plan)
{
    const struct known_bug *bug = known_bug(BUG_IOTHREAD, &facts->versions);
    for (size_t i = 0; bug && facts->live && i < plan->disks.count; i++) {
        const struct plan_disk *planned = &plan->disks.items[i];
        const struct disk *disk = domain_disk(facts->live, planned->target);
        if (planned->action == PLAN_MOVE && disk && disk->has_iothread)
            *text_list_add(&plan->warnings) = text_format("disk %s has an iothread, and %s: %s",
                                                          planned->target, bug->what, bug->remedy);
    }
}

static bool has_limits(const struct policy_qos *qos)
{
    return qos->iops || qos->bps || qos->read_iops || qos->write_iops || qos->read_bps ||
           qos->write_bps;
}

static void warn(struct plan *plan, const struct policy *policy, const struct plan_facts *facts)
{
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        if (disk->action != PLAN_MOVE)
            continue;
        const struct policy_tier *tier = policy_tier(policy, disk->tier);
        if (disk->destination.keeps_iotune && has_limits(&tier->qos))
            *text_list_add(&plan->warnings) = text_format(
                "disk %s has I/O limits of its own (iotune), which stay%s", disk->target,
                tier->qos.enforce == QOS_RBD ? "; the smaller of them and the tier's wins"
                                             : " instead of the tier's");
        if (tier->copy_mode == COPY_SYNCHRONOUS && !disk->destination.synchronous)
            *text_list_add(&plan->warnings) = text_format(
                "disk %s is copied in the background: a synchronous mirror is not reliable before "
                "libvirt 8.0 and QEMU 8.0",
                disk->target);
        if (facts->state.active && !disk->allocated_exact && disk->allocated == disk->capacity &&
            disk->source_image && !disk->prepare_source)
            *text_list_add(&plan->warnings) =
                text_format("disk %s: its source has no fast-diff, so holes will be copied as data",
                            disk->target);
    }
    plan_warn_of_iothreads(facts, plan);
    if (facts->state.managed_save && !facts->state.active && plan_count(plan, PLAN_MOVE))
        *text_list_add(&plan->warnings) =
            text_dup("its state is saved: without virt-pivot's hook it would come back on its old "
                     "disks");
    if (facts->state.snapshots && plan_count(plan, PLAN_MOVE))
        *text_list_add(&plan->warnings) =
            text_format("libvirt keeps %u snapshot(s) of it: what they hold stays with the old "
                        "disks",
                        facts->state.snapshots);
}

static int check_request(const struct domain *domain, const struct policy *policy,
                         const struct plan_request *request, struct error *error)
{
    if (request->tier && !policy_tier(policy, request->tier)) {
        error_set(error, ERROR_USAGE, "the policy has no tier '%s'", request->tier);
        AUTO_BUFFER struct buffer names = {0};
        for (size_t i = 0; i < policy->tiers.count; i++)
            buffer_format(&names, "%s%s", i ? ", " : "", policy->tiers.items[i]->name);
        return error_hint(error, "it has: %s", names.text ? names.text : "none");
    }
    for (size_t i = 0; i < request->target_count; i++) {
        if (domain_disk(domain, request->targets[i]))
            continue;
        error_set(error, ERROR_USAGE, "domain '%s' has no disk '%s'", domain->name,
                  request->targets[i]);
        AUTO_BUFFER struct buffer names = {0};
        for (size_t j = 0; j < domain->disks.count; j++)
            buffer_format(&names, "%s%s", j ? ", " : "", domain->disks.items[j].target);
        return error_hint(error, "it has: %s", names.text ? names.text : "none");
    }
    return 0;
}

int plan_make(const struct plan_facts *facts, const struct policy *policy,
              const struct plan_request *request, struct plan **result, struct error *error)
{
    const struct domain *domain = facts->live ? facts->live : facts->inactive;
    if (check_request(domain, policy, request, error) < 0)
        return -1;
    struct plan *plan = NEW(struct plan);
    plan->domain = text_dup(facts->state.name);
    plan->uuid = text_dup(facts->uuid);
    plan->active = facts->state.active;
    plan->persistent = facts->state.persistent;
    plan->autostart = facts->state.autostart;
    plan->stuck_after = policy->stuck_after;
    plan->max_latency = policy->max_latency;
    plan->verify = policy->verify == VERIFY_FULL;
    plan->source_after = policy->source_after;
    plan->grace = policy->source_grace;
    plan_find_blocker(facts, policy->on_restore, plan);
    plan_choose_strategy(facts, policy->definition, plan);

    struct view view = {.facts = facts, .policy = policy, .request = request, .domain = domain};
    for (size_t i = 0; i < domain->disks.count; i++)
        plan_one(&view, &domain->disks.items[i], plan_disks_add(&plan->disks));
    plan_choose_migration(facts, policy, plan);
    warn(plan, policy, facts);
    *result = plan;
    return 0;
}

size_t plan_count(const struct plan *plan, enum plan_action action)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->disks.count; i++)
        count += plan->disks.items[i].action == action;
    return count;
}

int plan_check(const struct plan *plan, struct error *error)
{
    if (plan->blocker) {
        error_set(error, ERROR_FAILED, "domain '%s' cannot be moved: %s", plan->domain,
                  plan->blocker);
        return plan->blocker_hint ? error_hint(error, "%s", plan->blocker_hint) : -1;
    }
    AUTO_BUFFER struct buffer refusals = {0};
    const char *hint = NULL;
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        if (disk->action != PLAN_REFUSE)
            continue;
        buffer_format(&refusals, "%sdisk %s: %s", refusals.length ? "; " : "", disk->target,
                      disk->reason);
        hint = hint ? hint : disk->hint;
    }
    if (refusals.length) {
        error_set(error, ERROR_FAILED, "domain '%s' is not moved, nothing was touched: %s",
                  plan->domain, refusals.text);
        return hint ? error_hint(error, "%s", hint) : -1;
    }
    if (plan_count(plan, PLAN_MOVE) == 0) {
        error_set(error, ERROR_NOTHING, "domain '%s': no disk is to be moved", plan->domain);
        return error_hint(error, "'virt-pivot plan %s' says why for each", plan->domain);
    }
    return 0;
}
