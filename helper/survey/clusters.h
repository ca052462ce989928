/* Connections to clusters: one a cluster and user, opened when first asked for. A cluster that does
 * not answer is asked once, not once a disk. */
#ifndef VP_SURVEY_CLUSTERS_H
#define VP_SURVEY_CLUSTERS_H

#include "ceph/ceph.h"
#include "plan/plan.h"

struct clusters;

/* virt lends its secrets; it must outlive the clusters. NULL: keyrings alone have to do. */
struct clusters *clusters_new(struct virt *virt) MUST_CHECK;
void clusters_free(struct clusters *clusters);
DEFINE_CLEANUP(struct clusters, clusters_free);

/* Lends a connection. The key comes from the keyring, if that can be read, else from the libvirt
 * secret. */
int clusters_get(struct clusters *clusters, const struct plan_cluster *which,
                 struct ceph_cluster **connection, struct error *error) MUST_CHECK;
/* Forgets every connection, and every failure to connect: a client that was idle while an OSD was
 * restarted may cling to the old one's address for good, where a new client gets through. */
void clusters_reset(struct clusters *clusters);

#endif
