#include "base/crash.h"
#include "ceph/private.h"

#include <sys/random.h>

/* Old cephx caps are often limited to "object_prefix rbd_…": the probe has such a name. */
static char *probe_name(void)
{
    uint64_t random[2] = {0};
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random[0] = (uint64_t)(ceph_clock() * 1e9) ^ (uint64_t)getpid() << 40;
    return text_format("rbd_virt_pivot_probe.%016llx%016llx", (unsigned long long)random[0],
                       (unsigned long long)random[1]);
}

static int create_probe(rados_ioctx_t pool, const char *name)
{
    static const char text[] = "virt-pivot asks whether it may write here; remove at will\n";
    rados_write_op_t operation = rados_create_write_op();
    rados_write_op_create(operation, LIBRADOS_CREATE_EXCLUSIVE, NULL);
    rados_write_op_write_full(operation, text, sizeof(text) - 1);
    int result = CRASH_AROUND(rados_write_op_operate(operation, pool, name, NULL, 0));
    rados_release_write_op(operation);
    return result;
}

/* rbd's own methods on objects need the "x" of "rwx". */
static int call_method(rados_ioctx_t pool, const char *name)
{
    char answer[64];
    int result = rados_exec(pool, name, "rbd", "get_all_features", NULL, 0, answer, sizeof(answer));
    return result == -EPERM || result == -EACCES || result == -ETIMEDOUT ? result : 0;
}

int ceph_pool_writable(struct ceph_cluster *cluster, const char *pool, const char *name_space,
                       struct error *error)
{
    AUTO_POOL rados_ioctx_t handle = NULL;
    if (ceph_pool_open(cluster, pool, name_space, &handle, error) < 0)
        return -1;

    AUTO_FREE char *name = probe_name();
    int result = create_probe(handle, name);
    if (result < 0)
        return ceph_failure(error, cluster, pool, result, "%s cannot write to pool '%s'",
                            cluster->user, pool);
    int method = call_method(handle, name);
    result = CRASH_AROUND(rados_remove(handle, name));
    if (result < 0)
        return ceph_failure(error, cluster, pool, result,
                            "%s can write to pool '%s', but not remove: object %s is left there",
                            cluster->user, pool, name);
    if (method < 0)
        return ceph_failure(error, cluster, pool, method,
                            "%s cannot call rbd's methods in pool '%s' (nothing is left there)",
                            cluster->user, pool);
    return 0;
}
