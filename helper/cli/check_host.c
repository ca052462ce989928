/* `check`, the part about this host: versions and the state directory. */
#include "blocks/qemu_nbd.h"
#include "cli/check.h"
#include "plan/versions.h"

#include <errno.h>
#include <libgen.h>
#include <sys/stat.h>

/* ---- versions ---- */

static void add_version(struct check_report *report, const char *subject, unsigned long version)
{
    check_add(report, CHECK_OK, subject, "version %lu.%lu.%lu", version / 1000000,
              version / 1000 % 1000, version % 1000);
}

static bool is_synchronous(const struct policy_tier *tier)
{
    return tier->copy_mode == COPY_SYNCHRONOUS;
}

static bool any_tier(const struct policy *policy, bool (*is)(const struct policy_tier *))
{
    for (size_t i = 0; policy && i < policy->tiers.count; i++)
        if (is(policy->tiers.items[i]))
            return true;
    return false;
}

static void check_bugs(struct check *check, const struct virt_versions *versions)
{
    const struct policy *policy = check->session.policy;
    size_t index = 0;
    for (const struct known_bug *bug = known_bug_next(versions, &index); bug;
         bug = known_bug_next(versions, &index)) {
        if (bug == known_bug(BUG_NAMESPACE, versions))
            continue; /* told of the tiers that it hits */
        if (bug == known_bug(BUG_SYNCHRONOUS, versions) && !any_tier(policy, is_synchronous))
            continue;
        /* The plan refuses the disks that a bug would corrupt, and warns of those that may hang: no
         * harm comes of the rest. */
        check_add(&check->report, CHECK_WARNING, bug->owner == OF_LIBVIRT ? "libvirt" : "QEMU",
                  "%s%s", bug->what, bug->effect == BUG_CORRUPTS ? "; such disks are refused" : "");
        check_hint(&check->report, "%s", bug->remedy);
    }
    const struct known_bug *namespaces = known_bug(BUG_NAMESPACE, versions);
    for (size_t i = 0; policy && namespaces && i < policy->tiers.count; i++) {
        const struct policy_tier *tier = policy->tiers.items[i];
        if (!tier->name_space)
            continue;
        AUTO_FREE char *subject = text_format("tier %s", tier->name);
        check_add(&check->report, CHECK_ERROR, subject, "namespace '%s': %s", tier->name_space,
                  namespaces->what);
        check_hint(&check->report, "upgrade libvirt to 11.6 or newer, or use a pool without a "
                                   "namespace; moves to this tier are refused until then");
    }
}

static void check_libvirt_versions(struct check *check)
{
    AUTO_ERROR struct error error = {0};
    struct virt_versions versions = {0};
    if (virt_versions(check->session.virt, &versions, &error) < 0) {
        check_add_failure(&check->report, CHECK_ERROR, "QEMU", &error);
        return;
    }
    add_version(&check->report, "libvirt", versions.libvirt);
    add_version(&check->report, "QEMU", versions.hypervisor);
    check_bugs(check, &versions);
}

void check_versions(struct check *check)
{
    if (check->session.virt)
        check_libvirt_versions(check);
    AUTO_FREE char *library = ceph_library_version();
    check_add(&check->report, CHECK_OK, "librbd", "version %s", library);
    unsigned long major = 0, minor = 0, release = 0;
    if (sscanf(library, "%3lu.%3lu.%3lu", &major, &minor, &release) < 1)
        return;
    size_t index = 0;
    for (const struct known_bug *bug;
         (bug = known_librbd_bug_next(major * 1000000 + minor * 1000 + release, &index));) {
        check_add(&check->report, CHECK_WARNING, "librbd", "%s", bug->what);
        check_hint(&check->report, "%s", bug->remedy);
    }
}

/* ---- other programs ---- */

void check_programs(struct check *check)
{
    if (qemu_nbd_is_installed()) {
        check_add(&check->report, CHECK_OK, "qemu-nbd", "is installed");
        return;
    }
    check_add(&check->report, CHECK_WARNING, "qemu-nbd",
              "is not installed: disks that are no RBD images cannot be verified, nor moved while "
              "their domain is off");
    check_hint(&check->report, "it comes with qemu-img (package qemu-img or qemu-utils)");
}

/* ---- the state directory ---- */

static void check_missing(struct check_report *report, const char *directory)
{
    AUTO_FREE char *copy = text_dup(directory); /* dirname(3) writes in it */
    if (access(dirname(copy), W_OK | X_OK) == 0) {
        check_add(report, CHECK_OK, "state", "%s is not there yet: the first move makes it",
                  directory);
        return;
    }
    check_add(report, CHECK_ERROR, "state", "%s is not there, and you may not make it", directory);
    check_hint(report, "as root: install -d -m 0700 -o USER %s; or name another with --state",
               directory);
}

void check_state_directory(struct check_report *report, const char *directory)
{
    struct stat status;
    if (stat(directory, &status) < 0) {
        if (errno == ENOENT) {
            check_missing(report, directory);
            return;
        }
        check_add(report, CHECK_ERROR, "state", "cannot look at %s: %s", directory,
                  strerror(errno));
        return;
    }
    if (!S_ISDIR(status.st_mode)) {
        check_add(report, CHECK_ERROR, "state", "%s is not a directory", directory);
        return;
    }
    if (access(directory, R_OK | W_OK | X_OK) < 0) {
        check_add(report, CHECK_ERROR, "state", "%s is not yours to write in", directory);
        check_hint(report, "run virt-pivot as the user whose directory it is, or name another "
                           "with --state");
        return;
    }
    if (status.st_mode & (S_IRWXG | S_IRWXO)) {
        check_add(report, CHECK_WARNING, "state",
                  "%s has mode %04o: others could get at saved definitions, which may hold "
                  "passwords",
                  directory, status.st_mode & 07777);
        check_hint(report, "'chmod 0700 %s'", directory);
        return;
    }
    check_add(report, CHECK_OK, "state", "%s is writable", directory);
}

void check_state(struct check *check)
{
    check_state_directory(&check->report, check->cli->state);
}
