/* Shared by the files of helper/plan only. */
#ifndef VP_PLAN_PRIVATE_H
#define VP_PLAN_PRIVATE_H

#include "plan/plan.h"

/* What the checks of one disk look at. */
struct view {
    const struct plan_facts *facts; /* NULL for a guest that is to arrive */
    const struct disk_facts *facts_of_disk;
    const struct policy *policy;
    const struct plan_request *request;
    const struct domain *domain; /* live, else inactive */
    const struct disk *disk;
    const struct policy_tier *tier;
};

void plan_conclude(struct plan_disk *planned, enum plan_action action, char *reason,
                   const char *hint);
/* Why a disk of this kind cannot be moved at all; NULL: it can. */
const char *plan_immovable(const struct disk *disk);
/* The first words about a disk: what it is, and what the policy decided. */
void plan_introduce(const struct view *view, struct policy_decision decision,
                    struct plan_disk *planned);
/* Refusals: each looks at one thing and says whether it spoke. */
/* What the survey found about this disk; NULL: it was not looked at. */
const struct disk_facts *plan_facts_of(const struct plan_facts *facts, const char *target);
bool plan_refuse_job(const struct view *view, struct plan_disk *planned);
bool plan_refuse_edited(const struct view *view, struct plan_disk *planned);
bool plan_refuse_size(const struct view *view, struct plan_disk *planned);
bool plan_refuse_versions(const struct view *view, struct plan_disk *planned);
bool plan_refuse_watched(const struct view *view, struct plan_disk *planned);
uint64_t plan_expected_seconds(const struct view *view, const struct plan_disk *planned);
/* saved_state_is_led: the policy lets the hook lead saved guests to their new disks. */
void plan_find_blocker(const struct plan_facts *facts, bool saved_state_is_led, struct plan *plan);
void plan_choose_strategy(const struct plan_facts *facts, enum policy_definition wanted,
                          struct plan *plan);
/* Of a running guest's disks that this QEMU may hang on. */
void plan_warn_of_iothreads(const struct plan_facts *facts, struct plan *plan);
/* Whether RBD brings the disks over, as the policy wants it for a domain that is off; says why not.
 */
void plan_choose_migration(const struct plan_facts *facts, const struct policy *policy,
                           struct plan *plan);
/* A disk that no rule moves; false when one does. */
bool plan_leave_by_rule(struct policy_decision decision, struct plan_disk *planned);
bool plan_leave_when_there(const struct view *view, struct plan_disk *planned);
/* capacity in bytes; image is the image's name. */
void plan_set_destination(const struct view *view, uint64_t capacity, const char *image,
                          struct plan_disk *planned);

#endif
