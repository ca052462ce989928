/* From monitors' names to socket addresses, within a time. */
#ifndef VP_CEPH_MON_RESOLVE_H
#define VP_CEPH_MON_RESOLVE_H

#include "ceph/mon_target.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct mon_endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t length;
    enum mon_protocol protocol; /* as written */
};
DEFINE_VECTOR(mon_endpoints, struct mon_endpoint);

/* Adds an endpoint for each address and port of each target (without a port: 3300 and 6789), and a
 * line "NAME: Name or service not known" for each that has none. A name server that keeps silent is
 * given up at the deadline (ceph_clock): getaddrinfo has no timeout of its own. */
void mon_resolve(const struct mon_targets *targets, double deadline,
                 struct mon_endpoints *endpoints, struct text_list *failures);

/* "10.0.0.1:3300", "[::1]:6789", new string. */
char *mon_endpoint_text(const struct mon_endpoint *endpoint) MUST_CHECK;

#endif
