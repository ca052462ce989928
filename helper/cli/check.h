/* The parts of `check`. Each looks at one thing and adds its lines to the report. */
#ifndef VP_CLI_CHECK_H
#define VP_CLI_CHECK_H

#include "cli/check_report.h"
#include "cli/cli.h"

struct check {
    const struct cli *cli;
    struct session session; /* as far as it could be opened: each may be NULL */
    struct check_report report;
};

/* check_ceph.c: they need the policy. */
void check_clusters(struct check *check); /* with the tiers that are in them */
void check_secrets(struct check *check);
void check_keyrings(struct check *check);

/* check_hook.c */
void check_hook(struct check *check);
void check_hook_logins(struct check *check); /* needs the policy */

/* check_host.c */
void check_versions(struct check *check);
void check_programs(struct check *check);
void check_state(struct check *check);

/* check_definitions.c: running guests whose next start would use other disks; needs libvirt */
void check_definitions(struct check *check);
void check_definition(struct check_report *report, const struct domain *live,
                      const struct domain *inactive);

/* check_work.c: what is under way, waits, or was left; opens the journal */
void check_journal(struct check *check);
void check_agent(struct check *check);
void check_requests(struct check *check);
void check_moves(struct check *check);

/* What there is of us in a folder of libvirt's hooks. */
#define HOOK_FOLDER "/etc/libvirt/hooks/qemu.d"
enum hook_state {
    HOOK_MISSING,
    HOOK_INSTALLED,
    HOOK_BROKEN, /* not an executable file, or a link to nowhere: libvirt passes over it */
    HOOK_UNSEEN, /* the folder may not be read */
};
/* An entry is ours by its name, or by the name of what it links to; *path is a new string when one
 * was found. */
enum hook_state hook_look(const char *folder, char **path);
/* The state directory, which a check never makes. */
void check_state_directory(struct check_report *report, const char *directory);

#endif
