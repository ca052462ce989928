/* Addresses of Ceph monitors. Private to policy/. */
#ifndef VP_POLICY_MONS_H
#define VP_POLICY_MONS_H

#include "policy/policy.h"

/* Appends the addresses of a list as Ceph takes it for mon_host: separated by commas, semicolons or
 * white space, each "host", "host:port", "[::1]:6789", "v2:1.2.3.4:3300/0", or several of one
 * monitor in brackets. What is there already is not added twice. ERROR_INPUT. */
int policy_mons_read(const char *text, struct mon_addresses *mons, struct error *error) MUST_CHECK;
void policy_mons_clear(struct mon_addresses *mons);

/* Whether both can be the same monitor: the same host, and a port in common. An address without a
 * port has both of the default ones. */
bool policy_mon_same(const struct mon_address *a, const struct mon_address *b);

/* A host as it is compared: an IP address in its shortest form, a name in lower case. New string.
 */
char *policy_host_normal(const char *host) MUST_CHECK;

/* The value of 'mon host' in [global] of a ceph.conf's text, new string; NULL when it has none. */
char *policy_conf_mon_host(const char *text, size_t length) MUST_CHECK;

/* Reads a regular file of at most POLICY_MAX_BYTES. ERROR_NOT_FOUND, ERROR_DENIED, ERROR_FAILED,
 * ERROR_INPUT; never blocks, not on a FIFO either. load.c. */
int policy_file_read(const char *path, char **text, size_t *length, struct error *error) MUST_CHECK;

#endif
