/* What librados and librbd return, as our one error type. */
#ifndef VP_CEPH_FAILURE_H
#define VP_CEPH_FAILURE_H

#include "base/error.h"

struct ceph_cluster;

/* The code for a negative errno of librados or librbd. */
enum error_code ceph_error_code(int result);

/* "Permission denied (-13)", new string. */
char *ceph_error_text(int result) MUST_CHECK;

/* Sets "cluster 'NAME': FORMAT: Permission denied (-13)" and the hint that fits the code. `pool` is
 * for the hint; NULL when no pool is concerned. Returns -1. */
int ceph_failure(struct error *error, const struct ceph_cluster *cluster, const char *pool,
                 int result, const char *format, ...) PRINTF(5, 6);

/* A copy with control characters replaced, cut after 200 bytes: what a cluster says is not ours to
 * trust on a terminal. New string. */
char *ceph_printable(const char *text) MUST_CHECK;

#endif
