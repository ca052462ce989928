#include "agent/agent.h"

#include "cli/cli.h"

static int run(const struct cli *cli, const struct cli_call *call UNUSED, struct error *error)
{
    AUTO_FREE char *program = cli_own_path(cli);
    const struct agent_settings settings = {
        .program = program,
        .uri = cli->uri,
        .policy = cli->policy,
        .state = cli->state,
        .verbose = cli->verbose,
        .quiet = cli->quiet,
    };
    return agent_run(&settings, error);
}

const struct cli_verb agent_verb = {
    "agent", "", "Runs the service: carries out requests, settles incoming migrations", NULL, 0,
    0,       run};
