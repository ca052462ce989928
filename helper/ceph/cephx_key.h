/* cephx keys: looked at before librados sees them, since librados writes a key that it cannot
 * decode into its log and says no more than "invalid argument". */
#ifndef VP_CEPH_CEPHX_KEY_H
#define VP_CEPH_CEPHX_KEY_H

#include "base/cleanup.h"

#include <stdbool.h>

/* Whether the text is the base64 of a key: type, time, length and that many bytes. */
bool cephx_key_valid(const char *text) MUST_CHECK;

#endif
