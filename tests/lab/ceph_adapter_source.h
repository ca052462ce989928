/* What the tests of images that are not ours share: one such image, and what may become of it. */
#ifndef TESTS_LAB_CEPH_ADAPTER_SOURCE_H
#define TESTS_LAB_CEPH_ADAPTER_SOURCE_H

#include "ceph_adapter_lab.h"

#define SOURCE_IMAGE "given"
#define SOURCE_SIZE (16 * MIB)
#define SOURCE_WEEK ((uint64_t)7 * 86400)

struct ceph_image_name source_name(const struct lab *lab);
/* An image as somebody made it, with something in it; its id, a new string. */
char *source_make(struct lab *lab, rados_ioctx_t pool);

/* It has its name and its content, and nothing of it is in the trash. */
void source_whole(rados_ioctx_t pool, const char *id);
/* Nothing is in the pool, nor in its trash. */
void source_nothing(rados_ioctx_t pool);
/* It is in the trash for a week, and nothing else is. */
void source_in_trash(rados_ioctx_t pool, const char *id);
bool source_is_trashed(struct lab *lab, const char *id);
size_t source_trash_count(rados_ioctx_t pool);

/* Each of these succeeds. */
void source_trash(struct lab *lab, const char *id);
void source_restore(struct lab *lab, const char *id);
void source_remove(struct lab *lab, const char *id);

enum source_verb { SOURCE_TRASH, SOURCE_RESTORE, SOURCE_REMOVE };
int source_try(struct lab *lab, enum source_verb verb, const char *id, struct error *error);

#endif
