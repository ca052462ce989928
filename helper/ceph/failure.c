#include "ceph/failure.h"

#include "ceph/private.h"

#include <stdarg.h>

#define PRINTABLE_MAX 200

enum error_code ceph_error_code(int result)
{
    switch (-result) {
    case ENOENT:
        return ERROR_NOT_FOUND;
    case EEXIST:
        return ERROR_EXISTS;
    case EBUSY:
    case EROFS: /* another client holds the exclusive lock and does not give it up */
    case EAGAIN:
    case ENOTEMPTY:
        return ERROR_BUSY;
    case EACCES:
    case EPERM:
        return ERROR_DENIED;
    case ETIMEDOUT:
        return ERROR_UNREACHABLE;
    case ENOTCONN:
    case ESHUTDOWN: /* librados says so when this client is on the blocklist */
    case ECONNRESET:
    case ECONNABORTED:
        return ERROR_DISCONNECTED;
    case ENOSPC:
    case EDQUOT:
        return ERROR_NO_SPACE;
    case EOPNOTSUPP:
    case ENOSYS:
        return ERROR_UNSUPPORTED;
    default:
        return ERROR_FAILED;
    }
}

char *ceph_error_text(int result)
{
    if (result == -ESHUTDOWN)
        return text_format("this client is on the cluster's blocklist (%d)", result);
    char room[128];
    return text_format("%s (%d)", strerror_r(-result, room, sizeof(room)), result);
}

static void hint_for(struct error *error, const struct ceph_cluster *cluster, const char *pool)
{
    switch (error->code) {
    case ERROR_DENIED:
        error_hint(error,
                   "%s needs the caps mon 'profile rbd' and osd 'profile rbd pool=%s'; "
                   "'ceph auth get %s' shows what it has",
                   cluster->user, pool ? pool : "POOL", cluster->user);
        break;
    case ERROR_UNREACHABLE:
        error_hint(error,
                   "the monitors accepted the connection, but no answer came within %u s: "
                   "'ceph health detail' shows OSDs that are down, full pools and inactive "
                   "placement groups",
                   cluster->timeout);
        break;
    case ERROR_DISCONNECTED:
        error_hint(error, "connect again; 'ceph osd blocklist ls' (before Ceph 16: 'blacklist') "
                          "shows which clients the cluster has shut out");
        break;
    case ERROR_NO_SPACE:
        error_hint(error,
                   "'ceph df detail' and 'ceph osd pool get-quota %s' show what is left; free "
                   "space or raise the quota",
                   pool ? pool : "POOL");
        break;
    default:
        break;
    }
}

int ceph_failure(struct error *error, const struct ceph_cluster *cluster, const char *pool,
                 int result, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO_FREE char *what = text_vformat(format, args);
    va_end(args);

    AUTO_FREE char *why = ceph_error_text(result);
    error_set(error, ceph_error_code(result), "cluster '%s': %s: %s", cluster->name, what, why);
    hint_for(error, cluster, pool);
    return -1;
}

char *ceph_printable(const char *text)
{
    size_t length = strnlen(text, PRINTABLE_MAX);
    char *copy = text_slice(text, length);
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    return copy;
}
