/* Which monitors answer, and in which protocol: asked before librados is.
 *
 * librados alone would say "timed out" for everything: for a host that is down, for a name without
 * an address (and it writes about that to stderr), and even for a wrong key, where an address does
 * not say which of the two protocols it speaks and librados waits for the other one. A Ceph daemon
 * greets each connection with its protocol's banner, so one connection each tells all of this. */
#ifndef VP_CEPH_MON_PROBE_H
#define VP_CEPH_MON_PROBE_H

#include "ceph/mon_target.h"

/* Asks all of them at once. Returns mon_host for librados with those that answer
 * ("v2:10.0.0.1:3300,v1:10.0.0.2:6789", new string), or NULL with the reasons ("10.0.0.1:3300:
 * Connection refused") when none does within these seconds. */
char *mon_probe(const struct mon_targets *targets, unsigned seconds, struct text_list *reasons)
    MUST_CHECK;

#endif
