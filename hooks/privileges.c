#include "base/text.h"
#include "hooks/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { NOBODY = 65534 };

/* Who owns the state directory; nobody where there is none. */
static void find_owner(const char *state, uid_t *user, gid_t *group)
{
    *user = *group = NOBODY;
    AUTO_CLOSE int fd = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return;
    *user = status.st_uid;
    *group = status.st_gid;
}

static int become(uid_t user, gid_t group, struct error *error)
{
    if (setgroups(0, NULL) < 0 || setresgid(group, group, group) < 0 ||
        setresuid(user, user, user) < 0)
        return error_set(error, ERROR_DENIED, "cannot become user %u: %s", (unsigned)user,
                         strerror(errno));
    if (setuid(0) == 0)
        return error_set(error, ERROR_DENIED, "cannot give up root for good");
    return 0;
}

int privileges_drop(const char *state, struct error *error)
{
    if (geteuid() == 0) {
        uid_t user = 0;
        gid_t group = 0;
        find_owner(state, &user, &group);
        if (user != 0 && become(user, group, error) < 0)
            return -1;
    }
    const struct rlimit none = {0, 0};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        setrlimit(RLIMIT_CORE, &none) < 0)
        return error_set(error, ERROR_FAILED, "cannot give up rights: %s", strerror(errno));
    return 0;
}
