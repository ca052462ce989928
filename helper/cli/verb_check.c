#include "cli/check.h"

static void check_policy(struct check *check)
{
    AUTO_ERROR struct error error = {0};
    if (session_open(check->cli, SESSION_POLICY, &check->session, &error) < 0) {
        check->report.policy_wrong = true;
        check_add_failure(&check->report, CHECK_ERROR, "policy", &error);
        return;
    }
    const struct policy *policy = check->session.policy;
    AUTO_BUFFER struct buffer files = {0};
    for (size_t i = 0; i < policy->files.count; i++)
        buffer_format(&files, "%s%s", i ? ", " : "", policy->files.items[i]);
    check_add(&check->report, CHECK_OK, "policy",
              "valid: %s (clusters: %zu, tiers: %zu, rules: %zu)", files.text,
              policy->clusters.count, policy->tiers.count, policy->rules.count);
}

static void check_libvirt(struct check *check)
{
    AUTO_ERROR struct error error = {0};
    if (session_open(check->cli, SESSION_VIRT, &check->session, &error) < 0)
        check_add_failure(&check->report, CHECK_ERROR, "libvirt", &error);
    else
        check_add(&check->report, CHECK_OK, "libvirt", "connected to %s", check->cli->uri);
}

enum { NEEDS_NOTHING = 0, NEEDS_POLICY = 1 << 0, NEEDS_VIRT = 1 << 1, NEEDS_JOURNAL = 1 << 2 };

static const struct {
    void (*look)(struct check *check);
    unsigned needs; /* where it lacks, that was reported already */
} checks[] = {
    {check_policy, NEEDS_NOTHING},     {check_libvirt, NEEDS_NOTHING},
    {check_versions, NEEDS_NOTHING},   {check_programs, NEEDS_NOTHING},
    {check_clusters, NEEDS_POLICY},    {check_secrets, NEEDS_POLICY | NEEDS_VIRT},
    {check_keyrings, NEEDS_POLICY},    {check_hook, NEEDS_POLICY | NEEDS_VIRT},
    {check_hook_logins, NEEDS_POLICY}, {check_state, NEEDS_NOTHING},
    {check_journal, NEEDS_NOTHING},    {check_agent, NEEDS_NOTHING},
    {check_requests, NEEDS_NOTHING},   {check_moves, NEEDS_JOURNAL},
    {check_definitions, NEEDS_VIRT},
};

static bool has(const struct session *session, unsigned needs)
{
    return (!(needs & NEEDS_POLICY) || session->policy) &&
           (!(needs & NEEDS_VIRT) || session->virt) &&
           (!(needs & NEEDS_JOURNAL) || session->journal);
}

static void close_all(struct check *check)
{
    session_close(&check->session);
    check_report_clear(&check->report);
}

static int run(const struct cli *cli, const struct cli_call *call UNUSED, struct error *error)
{
    CLEANUP(close_all) struct check check = {.cli = cli};
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        if (!has(&check.session, checks[i].needs))
            continue;
        checks[i].look(&check);
        if (cli->format == FORMAT_PLAIN)
            check_report_print(&check.report, stdout); /* at once: a dead cluster takes its time */
    }
    if (cli->format == FORMAT_JSON)
        cli_print_json(check_report_json(&check.report));
    if (check_report_conclude(&check.report, error) < 0)
        return -1;
    cli_say(cli, "no errors, %zu warning%s", check.report.warnings,
            check.report.warnings == 1 ? "" : "s");
    return 0;
}

const struct cli_verb check_verb = {
    "check", "", "Checks the policy, the clusters and this host", NULL, 0, 0, run};
