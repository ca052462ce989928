/* What plan, move and recover share: a domain surveyed and planned for, dead moves brought to an
 * end. */
#ifndef VP_CLI_PREPARE_H
#define VP_CLI_PREPARE_H

#include "cli/cli.h"

enum {
    OPTION_DISK = 512,
    OPTION_TIER,
    OPTION_BANDWIDTH,
    OPTION_DETACH,
    OPTION_QUEUE,
    OPTION_DRY_RUN,
    OPTION_DIFF,
    OPTION_KEEP,
    OPTION_RESUME
};

/* --disk, --tier and --bandwidth as a request; targets is the caller's to release. */
int prepare_request(const struct cli_call *call, struct plan_request *request,
                    const char ***targets, struct error *error) MUST_CHECK;
/* Survey and plan of one domain. journal may be NULL. The facts stay with the caller. */
int prepare_plan(struct session *session, const struct plan_request *request, const char *uuid,
                 bool own_lock, struct plan_facts *facts, struct plan **plan, struct error *error)
    MUST_CHECK;
/* The plan as a table, with reasons and warnings, on stdout. */
void print_plan(const struct cli *cli, const struct plan *plan);

struct recovery {
    size_t dead; /* moves whose process was gone, brought to their end unless there is an error */
    size_t under_way; /* alive, and left alone */
    size_t waiting;   /* for a guest that is still migrating here */
};
/* The mover of a session, without an audience; program is the caller's to release. */
struct mover prepare_mover(const struct session *session, const char *program);
/* Brings every unfinished move of the domain (of all when uuid is NULL) to its end, if its process
 * is gone. The lock of uuid is the caller's; others are taken here. */
int recover_moves(const struct cli *cli, struct session *session, const char *uuid,
                  struct recovery *recovery, struct error *error) MUST_CHECK;

#endif
