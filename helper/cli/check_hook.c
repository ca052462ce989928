/* `check`, the part about the hook: is it there, and can its helper do what it is for? */
#include "cli/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define HOOK_NAME "virt-pivot-hook"

/* ---- is it there? ---- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_ours(const char *name, const char *path)
{
    if (text_equal(name, HOOK_NAME))
        return true;
    char target[4096] = "";
    return readlink(path, target, sizeof(target) - 1) > 0 &&
           text_equal(last_part(target), HOOK_NAME);
}

static void closedirp(DIR *const *directory)
{
    if (*directory)
        closedir(*directory);
}

enum hook_state hook_look(const char *folder, char **path)
{
    CLEANUP(closedirp) DIR *directory = opendir(folder);
    if (!directory)
        return errno == ENOENT || errno == ENOTDIR ? HOOK_MISSING : HOOK_UNSEEN;
    enum hook_state state = HOOK_MISSING;
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        AUTO_FREE char *candidate = text_format("%s/%s", folder, entry->d_name);
        if (state == HOOK_INSTALLED || !is_ours(entry->d_name, candidate))
            continue;
        struct stat status;
        bool runs = stat(candidate, &status) == 0 && S_ISREG(status.st_mode) &&
                    (status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH));
        state = runs ? HOOK_INSTALLED : HOOK_BROKEN;
        free(*path);
        *path = STEAL(candidate);
    }
    return state;
}

void check_hook(struct check *check)
{
    struct check_report *report = &check->report;
    const struct policy *policy = check->session.policy;
    if (!virt_is_local(check->session.virt))
        return; /* its folder is on another host */
    AUTO_FREE char *path = NULL;
    enum hook_state state = hook_look(HOOK_FOLDER, &path);
    bool wanted = policy->on_migrate || policy->on_restore;
    switch (state) {
    case HOOK_INSTALLED:
        check_add(report, CHECK_OK, "hook", "installed: %s", path);
        return;
    case HOOK_BROKEN:
        check_add(report, CHECK_WARNING, "hook", "%s is not an executable file", path);
        check_hint(report, "libvirt passes over it: mend the link, or the mode of what it names");
        return;
    case HOOK_UNSEEN:
        check_add(report, wanted ? CHECK_WARNING : CHECK_OK, "hook", "cannot look into %s",
                  HOOK_FOLDER);
        check_hint(report, "only root sees whether the hook is installed");
        return;
    case HOOK_MISSING:
        break;
    }
    if (!wanted) {
        check_add(report, CHECK_OK, "hook", "not installed, and no trigger wants it");
        return;
    }
    check_add(report, CHECK_WARNING, "hook", "not installed: the triggers%s%s do nothing",
              policy->on_migrate ? " on_migrate" : "", policy->on_restore ? " on_restore" : "");
    check_hint(report, "link " HOOK_NAME " into " HOOK_FOLDER " and reload libvirt's daemon "
                       "('systemctl reload'), or switch these triggers off");
}

/* ---- can it log in? ---- */

/* The hook becomes the owner of the state directory, and its helper with it. In a process of its
 * own: the way back to root is barred. */
static bool owner_can_read(const char *path, const struct stat *owner)
{
    pid_t child = fork();
    if (child == 0) {
        bool can = setgroups(0, NULL) == 0 && setgid(owner->st_gid) == 0 &&
                   setuid(owner->st_uid) == 0 && access(path, R_OK) == 0;
        _exit(can ? 0 : 1);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static bool hook_can_read(const char *path, const char *state)
{
    struct stat owner;
    if (geteuid() == 0 && stat(state, &owner) == 0 && owner.st_uid != 0)
        return owner_can_read(path, &owner);
    return access(path, R_OK) == 0;
}

/* "gold, silver": what is in this cluster; empty: nothing goes there. */
static char *tiers_in(const struct policy *policy, const struct policy_cluster *cluster)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < policy->tiers.count; i++)
        if (policy->tiers.items[i]->cluster == cluster)
            buffer_format(&text, "%s%s", text.length ? ", " : "", policy->tiers.items[i]->name);
    return buffer_take(&text);
}

static void check_login(struct check *check, const struct policy_cluster *cluster)
{
    AUTO_FREE char *tiers = tiers_in(check->session.policy, cluster);
    if (!*tiers || !cluster->user)
        return;
    AUTO_FREE char *subject = text_format("on_migrate %s", cluster->name);
    struct check_report *report = &check->report;
    if (cluster->keyring && hook_can_read(cluster->keyring, check->cli->state)) {
        check_add(report, CHECK_OK, subject, "the hook's helper can log in by %s",
                  cluster->keyring);
        return;
    }
    AUTO_FREE char *why = cluster->keyring
                              ? text_format("its helper cannot read %s", cluster->keyring)
                              : text_dup("the policy names no keyring");
    check_add(report, CHECK_WARNING, subject,
              "the hook could not make images there: %s; migrations to this host that are to land "
              "on tier %s would be %s",
              why, tiers,
              check->session.policy->on_error == ON_ERROR_PASS ? "passed unchanged" : "refused");
    check_hint(report,
               "a hook must not ask libvirt for secrets: give cluster '%s' a 'keyring:' that the "
               "owner of %s can read, or set 'triggers: {on_migrate: false}'",
               cluster->name, check->cli->state);
}

void check_hook_logins(struct check *check)
{
    const struct policy *policy = check->session.policy;
    for (size_t i = 0; policy->on_migrate && i < policy->clusters.count; i++)
        check_login(check, policy->clusters.items[i]);
}
