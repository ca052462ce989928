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
    OPTION_DRY_RUN,
    OPTION_DIFF
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

/* Brings every unfinished move of the domain (of all when uuid is NULL) to its end, if its process
 * is gone. The lock of uuid is the caller's; others are taken here. *count is how many there were,
 * *under_way how many are alive and were left alone. */
int recover_moves(const struct cli *cli, struct session *session, const char *uuid, size_t *count,
                  size_t *under_way, struct error *error) MUST_CHECK;

#endif
