#include "cli/enqueue.h"

#include "agent/agent.h"
#include "cli/prepare.h"
#include "queue/queue.h"
#include "survey/survey.h"

#include <json-c/json.h>

/* What was asked for, not what the plan made of it: the agent decides by the policy of its own
 * time. */
static int put(const struct cli *cli, const struct plan_request *wanted, const struct plan *plan,
               struct error *error)
{
    CLEANUP(request_clear)
    struct request request = {
        .uuid = text_dup(plan->uuid),
        .domain = text_dup(plan->domain),
        .reason = text_dup("user"),
        .tier = text_dup(wanted->tier),
        .bandwidth = wanted->bandwidth,
    };
    for (size_t i = 0; i < wanted->target_count; i++)
        text_list_append(&request.targets, wanted->targets[i]);
    return queue_put(cli->state, &request, error);
}

static void report(const struct cli *cli, const struct plan *plan)
{
    int pid = 0;
    bool agent = agent_is_running(cli->state, &pid);
    if (cli->format == FORMAT_JSON) {
        struct json_object *json = plan_json(plan);
        json_object_object_add(json, "outcome", json_object_new_string("queued"));
        cli_print_json(json);
    }
    for (size_t i = 0; i < plan->disks.count && cli->format == FORMAT_PLAIN; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        if (disk->action != PLAN_MOVE)
            continue;
        AUTO_FREE char *where = plan_destination_describe(&disk->destination);
        AUTO_FREE char *line =
            text_format("%s %s: queued, to be moved to %s", plan->domain, disk->target, where);
        AUTO_FREE char *printable = cli_printable(line);
        puts(printable);
    }
    if (agent)
        cli_say(cli, "queued for the agent (process %d); 'virt-pivot status %s' shows it", pid,
                plan->domain);
    else
        cli_say(cli,
                "warning: no agent runs: the request waits in %s/queue until 'virt-pivot agent' "
                "is started",
                cli->state);
}

int enqueue_move(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    AUTO_FREE const char **targets = NULL;
    struct plan_request request = {0};
    AUTO_SESSION struct session session = {0};
    CLEANUP(survey_clear) struct plan_facts facts = {0};
    CLEANUP(plan_freep) struct plan *plan = NULL;
    char uuid[VIRT_UUID_TEXT];
    if (prepare_request(call, &request, &targets, error) < 0 ||
        session_open(cli, SESSION_POLICY | SESSION_VIRT | SESSION_JOURNAL, &session, error) < 0 ||
        virt_find(session.virt, call->arguments[0], uuid, error) < 0 ||
        /* Another move of the domain is no obstacle: the agent waits for its end. */
        prepare_plan(&session, &request, uuid, true, &facts, &plan, error) < 0)
        return -1;
    if (cli->format == FORMAT_PLAIN && !cli->quiet)
        print_plan(cli, plan);
    if (plan_check(plan, error) < 0) {
        if (cli->format == FORMAT_JSON)
            cli_print_json(plan_json(plan));
        return -1;
    }
    if (put(cli, &request, plan, error) < 0)
        return -1;
    report(cli, plan);
    return 0;
}
