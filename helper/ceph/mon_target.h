/* Monitors' addresses, as people and configuration files write them. */
#ifndef VP_CEPH_MON_TARGET_H
#define VP_CEPH_MON_TARGET_H

#include "base/error.h"
#include "base/vector.h"

enum mon_protocol {
    MON_EITHER, /* not said */
    MON_V1,
    MON_V2,
};

struct mon_target {
    char *host; /* a name, IPv4, or IPv6 without brackets */
    char *port; /* NULL: the protocol's default */
    enum mon_protocol protocol;
};
DEFINE_VECTOR(mon_targets, struct mon_target);
#define AUTO_MON_TARGETS CLEANUP(mon_targets_clear)

/* Reads "host:port,host", "[::1]:6789", "v2:10.0.0.1:3300/0",
 * "[v2:10.0.0.1:3300,v1:10.0.0.1:6789]", separated by commas, semicolons or white space: what Ceph
 * takes as mon_host. ERROR_INPUT. */
int mon_targets_parse(const char *text, struct mon_targets *targets, struct error *error)
    MUST_CHECK;
void mon_targets_clear(struct mon_targets *targets);

#endif
