/* What becomes of the disks and interfaces of a guest that is about to migrate to this host. */
#include "plan/private.h"

static const struct incoming_fact *find_fact(const struct incoming_fact *facts, size_t count,
                                             const char *target)
{
    static const struct incoming_fact unknown;
    for (size_t i = 0; i < count; i++)
        if (text_equal(facts[i].target, target))
            return &facts[i];
    return &unknown;
}

/* Of the XML of a running guest libvirt drops the id before the hook gets it (qemu_migration.c,
 * qemuMigrationAnyPrepareDef); what the guest's start left in it stays, as do the sizes, which the
 * agent writes into the XML of running guests only. */
static bool runs(const struct domain *domain, const struct disk *disk)
{
    return domain->live || domain->started || disk->capacity;
}

/* libvirt copies a file that other hosts cannot see, or does not migrate at all, unless it is told
 * --unsafe. Of all others we cannot know (libvirt qemu_migration.c, qemuMigrationSrcIsSafe). NULL:
 * it does; or its size is not known, which is reason enough to refuse. */
static const char *maybe_not_copied(const struct domain *domain, const struct disk *disk,
                                    const struct incoming_fact *fact)
{
    if (!runs(domain, disk))
        return "its XML is not a running guest's (--offline, or --xml), so libvirt may not copy it";
    if (disk->source.type != SOURCE_FILE)
        return "it is not a file, and libvirt may take it for shared and not copy it";
    if (fact->shared)
        return "this host sees it too, so libvirt may not copy it";
    return fact->local || !fact->capacity
               ? NULL
               : "its host does not say that it is local, so libvirt may not copy it";
}

static void leave_for_later(struct plan_disk *planned, const char *why)
{
    plan_conclude(planned, PLAN_LEAVE, text_format("%s: it is moved once the guest is here", why),
                  NULL);
    planned->later = true;
}

static void refuse_unknown_size(struct plan_disk *planned)
{
    plan_conclude(planned, PLAN_REFUSE, text_dup("its size is not known on this host"),
                  "run 'virt-pivot agent' on the guest's host, which writes it into the domain's "
                  "metadata, or allow it to pass unchanged with 'on_error: pass'");
}

static void rewrite(const struct view *view, uint64_t capacity, struct plan_disk *planned)
{
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *image = policy_image_name(view->tier, view->domain, view->disk, &error);
    if (!image) {
        plan_conclude(planned, PLAN_REFUSE, text_dup(error.message), error.hint);
        return;
    }
    planned->size_known = true;
    planned->capacity = planned->allocated = capacity;
    plan_set_destination(view, capacity, image, planned);
    plan_conclude(planned, PLAN_MOVE,
                  text_format("the policy wants it in tier '%s'", view->tier->name), NULL);
}

/* What is in it that an image cannot take, while libvirt copies it all the same. */
static const char *unfit_content(const struct disk *disk)
{
    if (disk->encrypted)
        return "it is encrypted";
    return disk->has_slices ? "it is a slice of a larger file" : NULL;
}

static void plan_one(const struct view *view, struct policy_decision decision,
                     const struct incoming_fact *fact, struct plan_disk *planned)
{
    const struct disk *disk = view->disk;
    plan_introduce(view, decision, planned);
    if (plan_leave_by_rule(decision, planned) || plan_leave_when_there(view, planned))
        return;
    const char *unsure = maybe_not_copied(view->domain, disk, fact);
    const char *unfit = unfit_content(disk);
    const char *immovable = plan_immovable(disk);
    bool is_fit_but_for_content = !immovable || text_equal(immovable, unfit);
    if (unfit && is_fit_but_for_content && !unsure)
        plan_conclude(planned, PLAN_REFUSE, text_dup(unfit),
                      "leave it out with a rule 'leave: true'");
    else if (immovable || unfit)
        plan_conclude(planned, PLAN_LEAVE, text_dup(immovable ? immovable : unfit), NULL);
    else if (unsure)
        leave_for_later(planned, unsure);
    else if (!fact->capacity)
        refuse_unknown_size(planned);
    else
        rewrite(view, fact->capacity, planned);
}

static void plan_interfaces(const struct domain *domain, const struct policy *policy,
                            struct plan *plan)
{
    for (size_t i = 0; i < domain->interfaces.count; i++) {
        const struct interface *interface = &domain->interfaces.items[i];
        const char *here = interface->source ? policy_network(policy, interface->source) : NULL;
        if (here && !text_equal(here, interface->source))
            *plan_networks_add(&plan->networks) = (struct plan_network){
                text_dup(interface->mac), text_dup(interface->source), text_dup(here)};
    }
}

int plan_make_incoming(const struct domain *domain, const struct policy *policy,
                       const struct incoming_fact *facts, size_t fact_count, struct plan **result,
                       struct error *error)
{
    if (!domain->uuid)
        return error_set(error, ERROR_INPUT, "domain '%s' has no UUID", domain->name);
    const struct plan_request request = {.tier = policy_labelled_tier(policy, domain->tier_label)};
    struct plan *plan = NEW(struct plan);
    plan->domain = text_dup(domain->name);
    plan->uuid = text_dup(domain->uuid);
    plan->active = domain->live;
    plan->strategy = STRATEGY_KEEP;
    plan->strategy_reason = text_dup("libvirt migrates it");
    plan->stuck_after = policy->stuck_after;
    for (size_t i = 0; i < domain->disks.count; i++) {
        const struct disk *disk = &domain->disks.items[i];
        const struct incoming_fact *fact = find_fact(facts, fact_count, disk->target);
        struct policy_decision decision =
            plan_decide(policy, &request, domain, disk, fact->capacity);
        const struct view view = {.policy = policy,
                                  .request = &request,
                                  .domain = domain,
                                  .disk = disk,
                                  .tier = decision.tier};
        plan_one(&view, decision, fact, plan_disks_add(&plan->disks));
    }
    plan_interfaces(domain, policy, plan);
    *result = plan;
    return 0;
}
