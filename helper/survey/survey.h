/* The survey: asks libvirt and Ceph for the facts that a plan is made of. Changes nothing. */
#ifndef VP_SURVEY_SURVEY_H
#define VP_SURVEY_SURVEY_H

#include "plan/plan.h"
#include "survey/clusters.h"

/* Gathers what there is to know about the domain, its disks, and the tiers that the request or the
 * policy gives them. What cannot be found out about one disk is recorded in its facts; only what
 * makes a plan impossible is an error (no such domain, unreadable XML). other_move, hook_missing
 * and assumed_rate are the caller's to fill in. */
int survey_domain(struct virt *virt, struct clusters *clusters, const struct policy *policy,
                  const struct plan_request *request, const char *uuid, struct plan_facts *facts,
                  struct error *error) MUST_CHECK;

/* The same without a policy, for a guest that goes back: the domain, and the sizes of its disks. */
int survey_guest(struct virt *virt, struct clusters *clusters, const char *uuid,
                 struct plan_facts *facts, struct error *error) MUST_CHECK;

/* Releases what survey_domain and its caller put there. */
void survey_clear(struct plan_facts *facts);

/* Where an rbd source is, by the policy if one of its clusters is recognised, else by what the XML
 * says. */
void survey_source_cluster(const struct policy *policy, const struct disk_source *source,
                           struct plan_cluster *cluster);

#endif
