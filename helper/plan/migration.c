/* Whether the disks of a domain that is off are migrated by RBD itself. All of them or none: what
 * is copied is copied while nobody uses it, and what is migrated may be in use at once. */
#include "plan/private.h"

#include <rbd/features.h>

/* Why a disk that moves cannot be migrated; NULL: it can. */
static const char *must_be_copied(const struct disk_facts *facts, const struct plan_disk *planned)
{
    const struct ceph_image *image = &facts->source_image;
    if (!facts->source_is_rbd)
        return "its source is no RBD image";
    if (!facts->source_id)
        return facts->migration_problem;
    if (image->features & RBD_FEATURE_MIGRATING)
        return "its image is part of another migration, which is not committed";
    if (image->snapshots || image->children)
        return "its image has snapshots, which would go along";
    if (image->in_group || image->mirrored || image->features & RBD_FEATURE_JOURNALING)
        return "its image is part of a group, mirrored or journaled";
    if (image->is_clone)
        return "its image is a clone, and would stay one";
    return image->size == planned->destination.size ? NULL : "its size is no multiple of 512 bytes";
}

static bool all_can(const struct plan_facts *facts, struct plan *plan)
{
    bool can = true;
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *planned = &plan->disks.items[i];
        const char *why = planned->action == PLAN_MOVE
                              ? must_be_copied(plan_facts_of(facts, planned->target), planned)
                              : NULL;
        if (!why)
            continue;
        *text_list_add(&plan->warnings) = text_format(
            "disk %s cannot be migrated, so that all are copied: %s", planned->target, why);
        can = false;
    }
    return can;
}

static void set_migration(const struct plan_facts *facts, struct plan *plan)
{
    plan->migrates = true;
    free(plan->strategy_reason);
    plan->strategy_reason = text_dup("it is off: RBD brings its images over (live migration), and "
                                     "it may be started as soon as its definition names them");
    for (size_t i = 0; i < plan->disks.count; i++) {
        struct plan_disk *planned = &plan->disks.items[i];
        if (planned->action != PLAN_MOVE)
            continue;
        planned->source_id = text_dup(plan_facts_of(facts, planned->target)->source_id);
        planned->prepare_source = false;
    }
    *text_list_add(&plan->warnings) = text_format(
        "the sources are migrated: they are no images of their own any more, and are removed for "
        "good %s; 'undo' makes new ones of their names after that",
        plan->source_after == SOURCE_KEEP
            ? "when 'virt-pivot retire --now' says so: the policy keeps them until then"
            : "when the move is retired");
}

void plan_choose_migration(const struct plan_facts *facts, const struct policy *policy,
                           struct plan *plan)
{
    if (policy->offline != OFFLINE_MIGRATE || plan->active || !plan_count(plan, PLAN_MOVE))
        return;
    if (!plan->verify)
        *text_list_add(&plan->warnings) =
            text_dup("the disks are copied, not migrated: 'verify: none' in the policy, and what "
                     "RBD brings over while the guest writes has to be proven");
    else if (all_can(facts, plan))
        set_migration(facts, plan);
}
