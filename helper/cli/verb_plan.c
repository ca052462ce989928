#include "cli/prepare.h"
#include "survey/survey.h"

#include <json-c/json.h>

/* NULL in *diff where nothing moves. */
static int make_diff(const struct plan *plan, const struct plan_facts *facts, char **diff,
                     struct error *error)
{
    if (!plan_count(plan, PLAN_MOVE))
        return 0;
    const struct domain *domain = facts->inactive ? facts->inactive : facts->live;
    AUTO_FREE char *after = NULL;
    if (plan_rewrite(plan, domain, NULL, 0, &after, error) < 0)
        return -1;
    *diff = text_diff("definition before", domain->xml, "definition after", after);
    return 0;
}

static void print_json(const struct plan *plan, bool with_diff, const char *diff)
{
    struct json_object *json = plan_json(plan);
    if (with_diff)
        json_object_object_add(json, "diff", diff ? json_object_new_string(diff) : NULL);
    cli_print_json(json);
}

static void print_explanations(const struct session *session, const struct plan_facts *facts)
{
    const struct domain *domain = facts->live ? facts->live : facts->inactive;
    for (size_t i = 0; i < domain->disks.count; i++) {
        const struct disk *disk = &domain->disks.items[i];
        const struct policy_subject subject = {domain, disk, facts->disks.items[i].capacity};
        AUTO_FREE char *why = policy_explain(session->policy, &subject);
        cli_print("\n%s:\n%s", disk->target, why);
    }
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    AUTO_SESSION struct session session = {0};
    AUTO_FREE const char **targets = NULL;
    struct plan_request request = {0};
    if (prepare_request(call, &request, &targets, error) < 0 ||
        session_open(cli, SESSION_POLICY | SESSION_VIRT, &session, error) < 0)
        return -1;
    AUTO_ERROR struct error no_journal = {0};
    if (journal_open(cli->state, JOURNAL_READ, &session.journal, &no_journal) < 0)
        session.journal = NULL; /* a plan needs none */

    char uuid[VIRT_UUID_TEXT];
    CLEANUP(survey_clear) struct plan_facts facts = {0};
    CLEANUP(plan_freep) struct plan *plan = NULL;
    if (virt_find(session.virt, call->arguments[0], uuid, error) < 0 ||
        prepare_plan(&session, &request, uuid, false, &facts, &plan, error) < 0)
        return -1;
    AUTO_FREE char *diff = NULL;
    bool wants_diff = cli_has(call, OPTION_DIFF);
    int result = wants_diff ? make_diff(plan, &facts, &diff, error) : 0;
    if (cli->format == FORMAT_JSON)
        print_json(plan, wants_diff, diff);
    else
        print_plan(cli, plan);
    if (cli->verbose && cli->format == FORMAT_PLAIN)
        print_explanations(&session, &facts);
    if (diff && cli->format == FORMAT_PLAIN)
        cli_print("\n%s", diff);
    return result < 0 ? -1 : plan_check(plan, error);
}

static const struct cli_option options[] = {
    {"disk", OPTION_DISK, "TARGET", "only this disk (may be repeated)"},
    {"tier", OPTION_TIER, "NAME", "to this tier, whatever the rules say"},
    {"bandwidth", OPTION_BANDWIDTH, "RATE", "limit of each disk's copy, like 200MiB"},
    {"diff", OPTION_DIFF, NULL, "also print how the definition will change"},
    {NULL, 0, NULL, NULL},
};
const struct cli_verb plan_verb = {
    "plan", "DOMAIN", "Shows what a move would do with each disk, and why", options, 1, 1, run};
