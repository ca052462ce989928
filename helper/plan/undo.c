/* The way back: a guest's disks return to where they were before a move. */
#include "base/units.h"
#include "plan/private.h"
#include "plan/versions.h"

#include <inttypes.h>

struct undoing {
    struct view view;
    const struct undo_origin *origin;
    const struct undo_fact *old;
    size_t old_count;
    uint64_t bandwidth;
};

/* What is looked at for one disk. */
struct way_back {
    const struct undoing *undoing;
    const struct view *view;
    const struct plan_disk *was; /* in the plan of the move */
    const struct undo_fact *fact;
};

/* ---- refusals ---- */

static bool refuse_other_place(const struct way_back *way, struct plan_disk *planned)
{
    const struct disk *now = way->view->disk;
    const struct disk *before = domain_disk(way->undoing->origin->live, planned->target);
    if (plan_is_destination(&way->was->destination, &now->source))
        return false;
    if (before && disk_source_same(&before->source, &now->source)) {
        plan_conclude(planned, PLAN_LEAVE, text_dup("it is on its old disk already"), NULL);
        return true;
    }
    AUTO_FREE char *where = plan_destination_describe(&way->was->destination);
    plan_conclude(planned, PLAN_REFUSE,
                  text_format("the guest runs on %s by now, and not on %s, where move %" PRId64
                              " had brought it",
                              planned->source, where, way->undoing->origin->id),
                  "it has moved on since: undo the later moves first, the last one before the "
                  "others; 'virt-pivot history DOMAIN' lists them");
    return true;
}

/* Whether its old disk was a part of its new one, and went with the end of the migration. */
static bool is_remade(const struct way_back *way)
{
    return way->undoing->origin->plan->migrates && way->fact->removed;
}

/* Until then its name is the migration's. */
static bool refuse_migrated(const struct way_back *way, struct plan_disk *planned)
{
    if (!way->undoing->origin->plan->migrates || way->fact->removed)
        return false;
    AUTO_FREE char *hint = text_format("'virt-pivot retire --now %" PRId64
                                       "' ends the migration; then the move can be taken back",
                                       way->undoing->origin->id);
    plan_conclude(planned, PLAN_REFUSE,
                  text_format("its old disk %s was migrated by RBD, and is a part of its new one",
                              way->was->source),
                  hint);
    return true;
}

static bool refuse_removed(const struct way_back *way, struct plan_disk *planned)
{
    if (!way->fact->removed || is_remade(way))
        return false;
    plan_conclude(
        planned, PLAN_REFUSE,
        text_format("its old disk %s was removed when the move was retired", way->was->source),
        "there is nothing to go back to; a rule of the policy can move the disk "
        "elsewhere");
    return true;
}

static bool refuse_resized(const struct way_back *way, struct plan_disk *planned)
{
    if (planned->capacity == way->was->destination.size)
        return false;
    AUTO_FREE char *now = format_size(planned->capacity);
    AUTO_FREE char *before = format_size(way->was->destination.size);
    plan_conclude(planned, PLAN_REFUSE,
                  text_format("it was resized since: it has %s (%" PRIu64
                              " bytes) now, and the old disk has %s (%" PRIu64 " bytes)",
                              now, planned->capacity, before, way->was->destination.size),
                  "give the old disk the same size ('rbd resize', 'qemu-img resize') if you know "
                  "that nobody needs it as it is, or move the disk elsewhere");
    return true;
}

/* libvirt does not translate the name of a volume for a mirror. */
static bool refuse_volume(const struct way_back *way, struct plan_disk *planned)
{
    const struct disk *before = domain_disk(way->undoing->origin->live, planned->target);
    if (!before || before->source.type != SOURCE_VOLUME || way->fact->path || way->fact->problem)
        return false;
    plan_conclude(planned, PLAN_REFUSE,
                  text_format("its old disk is %s, and its path is not known", way->was->source),
                  "is its storage pool active? 'virsh pool-list' shows it");
    return true;
}

static bool is_written_by_qemu_only(const struct disk *disk)
{
    const struct disk_source *source = &disk->source;
    return disk_is_nested(disk) ||
           (source->type == SOURCE_NETWORK && !text_equal(source->protocol, "rbd") &&
            !text_equal(source->protocol, "nbd"));
}

/* What only QEMU can write to needs a guest that runs. */
static bool refuse_writer(const struct way_back *way, struct plan_disk *planned)
{
    const struct disk *before = domain_disk(way->undoing->origin->live, planned->target);
    if (way->view->facts->state.active || !before || !is_written_by_qemu_only(before))
        return false;
    AUTO_FREE char *format =
        disk_is_nested(before) ? text_format(" (%s within a network disk)", before->format) : NULL;
    plan_conclude(planned, PLAN_REFUSE,
                  text_format("its old disk %s%s can be written to by the guest's QEMU only",
                              way->was->source, format ? format : ""),
                  "start the guest, and take the move back while it runs");
    return true;
}

/* A file's version is looked at (helper/move/target_old.c tells why); one within a network disk
 * cannot be. */
static bool refuse_nested_chain(const struct way_back *way, struct plan_disk *planned)
{
    const struct disk *before = domain_disk(way->undoing->origin->live, planned->target);
    if (!before || !disk_is_nested(before) || !before->backing_depth)
        return false;
    plan_conclude(planned, PLAN_REFUSE,
                  text_format("its old disk %s is %s within a network disk, on a backing file: "
                              "whether it can be written to as a whole (qcow2 of version 2 cannot) "
                              "is not known",
                              way->was->source, before->format),
                  "there is no way back onto it; a rule of the policy can move the disk elsewhere");
    return true;
}

static bool refuse_problem(const struct way_back *way, struct plan_disk *planned)
{
    if (!way->fact->problem)
        return false;
    plan_conclude(planned, PLAN_REFUSE, text_dup(way->fact->problem), way->fact->hint);
    return true;
}

static bool refuse(const struct way_back *way, struct plan_disk *planned)
{
    return refuse_other_place(way, planned) || refuse_migrated(way, planned) ||
           plan_refuse_job(way->view, planned) || plan_refuse_edited(way->view, planned) ||
           plan_refuse_size(way->view, planned) || refuse_removed(way, planned) ||
           refuse_resized(way, planned) || refuse_problem(way, planned) ||
           refuse_volume(way, planned) || refuse_nested_chain(way, planned) ||
           refuse_writer(way, planned) || plan_refuse_watched(way->view, planned) ||
           plan_refuse_versions(way->view, planned);
}

/* ---- one disk ---- */

/* What the move had left is where this one goes, and the other way round. */
static void set_destination(const struct way_back *way, struct plan_disk *planned)
{
    const struct undoing *undoing = way->undoing;
    const struct undo_origin *origin = undoing->origin;
    const struct plan_destination *from = &way->was->destination;
    const char *target = planned->target;
    const struct disk *before = domain_disk(origin->live, target);
    planned->destination = (struct plan_destination){
        .pool = text_dup(way->was->source_pool),
        .name_space = text_dup(way->was->source_name_space),
        .image = text_dup(way->was->source_image),
        .size = from->size,
        .bandwidth = undoing->bandwidth ? undoing->bandwidth : from->bandwidth,
        .synchronous = from->synchronous && undoing->view.facts->state.active &&
                       !known_bug(BUG_SYNCHRONOUS, &undoing->view.facts->versions),
        .old_disk = domain_disk_xml(origin->live, target),
        .old_identity = way->was->source_image ? text_dup(way->was->source_identity) : NULL,
        .old_definition = origin->definition ? domain_disk_xml(origin->definition, target) : NULL,
        .remade = is_remade(way),
        .object_size = is_remade(way) ? from->object_size : 0,
        .clears_iotune = plan_wants_iotune(from),
    };
    plan_cluster_copy(&planned->destination.cluster, &way->was->source_cluster);
    if (before && way->fact->path) {
        free(planned->destination.old_disk);
        planned->destination.old_disk =
            local_disk_xml(way->fact->path, text_starts_with(way->fact->path, "/dev/"),
                           before->format, target, before->bus);
    }
    if (!plan_destination_is_rbd(from))
        return;
    if (way->view->facts_of_disk)
        planned->source_identity = text_dup(way->view->facts_of_disk->source_identity);
    plan_cluster_copy(&planned->source_cluster, &from->cluster);
    planned->source_pool = text_dup(from->pool);
    planned->source_name_space = text_dup(from->name_space);
    planned->source_image = text_dup(from->image);
}

static void set_size(const struct view *view, struct plan_disk *planned)
{
    const struct disk_facts *facts = view->facts_of_disk;
    if (!facts || !facts->size_known)
        return;
    planned->size_known = true;
    planned->capacity = facts->capacity;
    planned->allocated = facts->allocated;
    planned->allocated_exact = facts->allocated_exact;
}

static const struct undo_fact *fact_of(const struct undoing *undoing, const char *target)
{
    for (size_t i = 0; i < undoing->old_count; i++)
        if (text_equal(undoing->old[i].target, target))
            return &undoing->old[i];
    return NULL;
}

static void plan_one(const struct undoing *undoing, const struct plan_disk *was,
                     struct plan_disk *planned)
{
    struct view view = undoing->view;
    const struct way_back way = {undoing, &view, was, fact_of(undoing, was->target)};
    view.disk = domain_disk(view.domain, was->target);
    view.facts_of_disk = plan_facts_of(view.facts, was->target);
    planned->target = text_dup(was->target);
    planned->bus = text_dup(was->bus);
    planned->source =
        view.disk ? disk_source_describe(&view.disk->source) : text_dup("no disk any more");
    if (!way.fact || !way.fact->moved) {
        plan_conclude(planned, PLAN_LEAVE,
                      text_format("move %" PRId64 " has not moved it", undoing->origin->id), NULL);
        return;
    }
    if (!view.disk) {
        plan_conclude(planned, PLAN_REFUSE, text_dup("the guest has no such disk any more"), NULL);
        return;
    }
    set_size(&view, planned);
    set_destination(&way, planned);
    if (refuse(&way, planned))
        return;
    planned->expected_seconds = plan_expected_seconds(&view, planned);
    plan_conclude(planned, PLAN_MOVE,
                  text_format("move %" PRId64 " is taken back", undoing->origin->id), NULL);
}

/* ---- the domain ---- */

/* Only an RBD image can be captured as it was at the pivot; and of one that holds another format
 * the guest's data cannot be read. */
static bool can_be_proven(const struct plan *plan, const struct undo_origin *origin)
{
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        const struct disk *before = domain_disk(origin->live, disk->target);
        if (disk->action == PLAN_MOVE &&
            (!plan_destination_is_rbd(&disk->destination) || (before && disk_is_nested(before))))
            return false;
    }
    return true;
}

/* Whether somebody has changed the disk's definition since the move had rewritten it. */
static bool was_edited(const struct undoing *undoing, const char *target)
{
    const struct undo_origin *origin = undoing->origin;
    const struct domain *now = undoing->view.facts->inactive;
    CLEANUP(text_burn) char *xml = NULL;
    CLEANUP(domain_freep) struct domain *then = NULL;
    AUTO_ERROR struct error ignored = {0};
    if (!origin->definition || !now ||
        plan_rewrite(origin->plan, origin->definition, &target, 1, &xml, &ignored) < 0 ||
        domain_parse(xml, strlen(xml), &then, &ignored) < 0)
        return false;
    AUTO_FREE char *element_now = domain_disk_xml(now, target);
    AUTO_FREE char *element_then = domain_disk_xml(then, target);
    return element_now && !text_equal(element_now, element_then);
}

static void warn(const struct undoing *undoing, bool proof_is_wanted, struct plan *plan)
{
    bool unproven = false;
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        const struct undo_fact *fact = fact_of(undoing, disk->target);
        if (disk->action != PLAN_MOVE)
            continue;
        unproven |= !fact->verified;
        if (was_edited(undoing, disk->target))
            *text_list_add(&plan->warnings) =
                text_format("disk %s: its definition was edited since move %" PRId64
                            ", which is lost: it gets the one that it had before",
                            disk->target, undoing->origin->id);
        if (disk->destination.remade)
            *text_list_add(&plan->warnings) =
                text_format("disk %s: its old disk was migrated and is gone; an image of its name "
                            "is made",
                            disk->target);
        if (fact->away)
            *text_list_add(&plan->warnings) = text_format(
                "disk %s: its old disk was given up, and is fetched back first", disk->target);
    }
    plan_warn_of_iothreads(undoing->view.facts, plan);
    if (unproven)
        *text_list_add(&plan->warnings) = text_format(
            "move %" PRId64 " was not verified, and cannot be any more once its old disks are "
            "written to",
            undoing->origin->id);
    if (proof_is_wanted && !plan->verify)
        *text_list_add(&plan->warnings) =
            text_dup("the contents are not compared on the way back: a file or device, other than "
                     "an RBD image with raw data, cannot be captured as it was at the pivot; what "
                     "the guest leaves is kept");
}

/* As the move did it: whoever wanted the definition kept then will want so now. */
static void choose_strategy(const struct undoing *undoing, struct plan *plan)
{
    const struct plan_facts *facts = undoing->view.facts;
    bool kept = undoing->origin->plan->strategy == STRATEGY_KEEP && facts->state.persistent;
    plan_choose_strategy(facts, kept ? DEFINITION_KEEP : DEFINITION_AUTO, plan);
    if (!kept || !facts->state.active)
        return;
    free(plan->strategy_reason);
    plan->strategy_reason = text_format("as move %" PRId64 " did", undoing->origin->id);
}

struct plan *plan_make_undo(const struct plan_facts *facts, const struct undo_origin *origin,
                            const struct undo_fact *old, size_t old_count, uint64_t bandwidth)
{
    const struct plan *was = origin->plan;
    const struct undoing undoing = {
        .view = {.facts = facts, .domain = facts->live ? facts->live : facts->inactive},
        .origin = origin,
        .old = old,
        .old_count = old_count,
        .bandwidth = bandwidth,
    };
    struct plan *plan = NEW(struct plan);
    plan->domain = text_dup(facts->state.name);
    plan->uuid = text_dup(facts->uuid);
    plan->active = facts->state.active;
    plan->persistent = facts->state.persistent;
    plan->autostart = facts->state.autostart;
    plan->source_after = was->source_after;
    plan->grace = was->grace;
    plan->stuck_after = was->stuck_after;
    plan->max_latency = was->max_latency;
    plan_find_blocker(facts, true, plan);
    if (!facts->state.active && facts->state.managed_save && !plan->blocker) {
        plan->blocker =
            text_dup("its state is saved (managed save), with the disks that it has now");
        plan->blocker_hint = text_dup("start it first: 'virsh start'");
    }
    choose_strategy(&undoing, plan);
    for (size_t i = 0; i < was->disks.count; i++)
        if (was->disks.items[i].action == PLAN_MOVE)
            plan_one(&undoing, &was->disks.items[i], plan_disks_add(&plan->disks));
    plan->verify = was->verify && can_be_proven(plan, origin);
    if (was->verify && !plan->verify)
        plan->source_after = SOURCE_KEEP; /* of two disks, none of them proven, none is given up */
    warn(&undoing, was->verify, plan);
    return plan;
}
