/* A guest is about to migrate here: disks that libvirt is going to copy are put onto their RBD
 * target, which the helper makes first. */
#include "base/text.h"
#include "hooks/hook.h"
#include "policy/policy.h"
#include "queue/queue.h"

#include <syslog.h>

static int refuse_what_must_be(const struct plan *plan, struct error *error)
{
    AUTO_BUFFER struct buffer reasons = {0};
    const char *hint = NULL;
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        if (disk->action != PLAN_REFUSE)
            continue;
        buffer_format(&reasons, "%sdisk %s: %s", reasons.length ? "; " : "", disk->target,
                      disk->reason);
        hint = hint ? hint : disk->hint;
    }
    if (!reasons.length)
        return 0;
    error_set(error, ERROR_FAILED, "%s", reasons.text);
    return hint ? error_hint(error, "%s", hint) : -1;
}

/* The agent moves them once the guest is here. That it cannot be told so is no reason to stop a
 * migration: nothing is lost but a move. */
static void ask_for_later(const struct hook_settings *settings, const char *name,
                          const struct plan *plan, const char *tier)
{
    struct request request = {.uuid = plan->uuid,
                              .domain = plan->domain,
                              .reason = (char *)"migrate",
                              .tier = (char *)tier};
    for (size_t i = 0; i < plan->disks.count; i++)
        if (plan->disks.items[i].later)
            text_list_append(&request.targets, plan->disks.items[i].target);
    AUTO_ERROR struct error error = {0};
    if (request.targets.count > 0 && queue_put(settings->state, &request, &error) < 0) {
        if (!error.hint)
            error_hint(&error, "'virt-pivot move' moves them once the guest is here");
        report(LOG_WARNING, name, "disks that should move later are not queued", &error);
    }
    text_list_clear(&request.targets);
}

static int rewrite(const struct hook_settings *settings, const char *name,
                   const struct policy *policy, char **xml, struct error *error)
{
    CLEANUP(domain_freep) struct domain *domain = NULL;
    if (input_domain(settings, &domain, error) < 0)
        return -1;
    if (!domain->uuid) /* what libvirt writes has one: this is nobody's guest */
        return 0;
    struct incoming_facts facts = {0};
    facts_gather(domain, settings->state, &facts);
    AUTO_FREE UNUSED struct incoming_fact *items = facts.items;
    CLEANUP(plan_freep) struct plan *plan = NULL;
    if (plan_make_incoming(domain, policy, facts.items, facts.count, &plan, error) < 0 ||
        refuse_what_must_be(plan, error) < 0)
        return -1;
    /* The rewrite first: it has no side effects, and what cannot be rewritten needs no image. */
    CLEANUP(text_burn) char *rewritten = NULL;
    bool is_changed = plan_count(plan, PLAN_MOVE) > 0 || plan->networks.count > 0;
    if (is_changed && (plan_rewrite(plan, domain, NULL, 0, &rewritten, error) < 0 ||
                       helper_prepare(settings, plan, domain, error) < 0))
        return -1;
    ask_for_later(settings, name, plan, policy_labelled_tier(policy, domain->tier_label));
    *xml = STEAL(rewritten);
    return 0;
}

int hook_migrate(const struct hook_settings *settings, const char *name, char **xml,
                 struct error *error)
{
    CLEANUP(policy_freep) const struct policy *policy = NULL;
    if (policy_load(settings->policy, &policy, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error); /* no policy: nothing is to move */
        return 0;
    }
    if (!policy->on_migrate)
        return 0;
    if (rewrite(settings, name, policy, xml, error) == 0)
        return 0;
    if (policy->on_error == ON_ERROR_REFUSE)
        return -1;
    report(LOG_WARNING, name, "the migration passes unchanged, as 'on_error: pass' wants", error);
    error_clear(error);
    return 0;
}
