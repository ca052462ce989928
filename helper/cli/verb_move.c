#include "base/units.h"
#include "cli/enqueue.h"
#include "cli/prove.h"
#include "cli/stage.h"
#include "survey/survey.h"

#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define LOOK_MILLISECONDS 200

/* ---- before ---- */

static int lock_host(struct session *session, int *lock, struct error *error)
{
    for (unsigned tries = 0; journal_lock(session->journal, "host", lock, error) < 0; tries++) {
        if (error->code != ERROR_BUSY || tries > 100)
            return -1;
        error_clear(error);
        usleep(100000);
    }
    return 0;
}

/* The host's lock is held from the count until this move can be counted, too. */
static int check_limit(struct session *session, const char *uuid, int *host_lock,
                       struct error *error)
{
    if (lock_host(session, host_lock, error) < 0)
        return -1;
    CLEANUP(move_records_clear) struct move_records records = {0};
    if (journal_list(session->journal, MOVES_UNFINISHED, NULL, &records, error) < 0)
        return -1;
    unsigned running = 0;
    int pid = 0;
    for (size_t i = 0; i < records.count; i++)
        running += !text_equal(records.items[i].uuid, uuid) &&
                   journal_is_locked(session->journal, records.items[i].uuid, &pid);
    if (running < session->policy->per_host)
        return 0;
    error_set(error, ERROR_BUSY, "%u move%s under way on this host, as many as the policy allows",
              running, running == 1 ? " is" : "s are");
    return error_hint(error, "'virt-pivot status' shows them; the limit is 'limits: {per_host: "
                             "...}'");
}

/* ---- after ---- */

static void report(const struct plan *plan, int64_t seconds)
{
    AUTO_FREE char *duration = format_duration((uint64_t)seconds);
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *disk = &plan->disks.items[i];
        if (disk->action != PLAN_MOVE)
            continue;
        AUTO_FREE char *where = plan_destination_describe(&disk->destination);
        cli_print("%s %s: moved to %s in %s; the source %s is %s\n", plan->domain, disk->target,
                  where, duration, disk->source, plan->migrates ? "a part of it for now" : "kept");
    }
    fflush(stdout);
}

/* ---- the verb ---- */

static int execute(const struct cli *cli, struct session *session, struct stage *stage,
                   const struct plan_facts *facts, const struct plan *plan, struct error *error)
{
    AUTO_FREE char *program = cli_own_path(cli);
    struct mover mover = prepare_mover(session, program);
    mover.audience = stage_audience(stage);
    int64_t id = 0;
    time_t begin = time(NULL);
    if (move_execute(&mover, plan, (facts->live ? facts->live : facts->inactive)->xml, &id, error) <
        0)
        return -1;
    int64_t seconds = time(NULL) - begin;
    stage_moved(stage);
    if (cli->format == FORMAT_PLAIN)
        report(plan, seconds);
    struct proof proof = {0};
    int result = prove_after_move(cli, &mover, plan, id, &proof, error);
    if (cli->format == FORMAT_JSON)
        proof_print_json(&proof, plan, id, 0, seconds);
    proof_clear(&proof);
    return result;
}

static int move_domain(const struct cli *cli, const struct cli_call *call, int started_pipe,
                       struct error *error)
{
    struct stage stage;
    bool dry_run = cli_has(call, OPTION_DRY_RUN);

    AUTO_FREE const char **targets = NULL;
    struct plan_request request = {0};
    AUTO_SESSION struct session session = {0};
    if (prepare_request(call, &request, &targets, error) < 0 ||
        session_open(cli, SESSION_POLICY | SESSION_VIRT | SESSION_JOURNAL, &session, error) < 0)
        return -1;
    char uuid[VIRT_UUID_TEXT];
    CLEANUP(journal_unlock) int lock = -1;
    struct recovery recovery = {0};
    if (virt_find(session.virt, call->arguments[0], uuid, error) < 0)
        return -1;
    stage_set(&stage, cli, started_pipe); /* a libvirt that is mute could be left without it */
    if (session_lock(&session, uuid, &lock, error) < 0 ||
        (!dry_run && recover_moves(cli, &session, uuid, &recovery, error) < 0))
        return -1;

    CLEANUP(survey_clear) struct plan_facts facts = {0};
    CLEANUP(plan_freep) struct plan *plan = NULL;
    if (prepare_plan(&session, &request, uuid, true, &facts, &plan, error) < 0)
        return -1;
    if (cli->format == FORMAT_PLAIN && !cli->quiet)
        print_plan(cli, plan);
    else if (dry_run)
        cli_print_json(plan_json(plan));
    if (plan_check(plan, error) < 0)
        return -1;
    if (dry_run)
        return 0;
    if (check_limit(&session, uuid, &stage.host_lock, error) < 0)
        return -1;
    int result = execute(cli, &session, &stage, &facts, plan, error);
    progress_clear(&stage.progress);
    return result;
}

/* False if the child ends before that. It is in a session of its own: what the terminal says to us
 * has to be passed on to it. */
static bool await_copy(struct interrupt *interrupt, pid_t child, int words, int64_t *id)
{
    struct pollfd wait = {.fd = words, .events = POLLIN};
    while (poll(&wait, 1, LOOK_MILLISECONDS) != 1)
        if (!interrupt->confirmed && interrupt_simple(interrupt))
            kill(child, SIGTERM);
    char text[32] = "";
    return read(words, text, sizeof(text) - 1) > 0 && sscanf(text, "%" SCNd64, id) == 1;
}

static void tell_detached(const struct cli *cli, const char *domain, int64_t id, pid_t child)
{
    cli_say(cli,
            "move %" PRId64 " copies in the background (process %d); 'virt-pivot status' shows it",
            id, (int)child);
    if (cli->format != FORMAT_JSON)
        return;
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "move", json_object_new_int64(id));
    json_object_object_add(json, "domain", json_object_new_string(domain));
    json_object_object_add(json, "outcome", json_object_new_string("under way"));
    json_object_object_add(json, "process", json_object_new_int64(child));
    cli_print_json(json);
}

/* The child moves; the parent goes when the copy runs, or with the child's own exit status. Nothing
 * is open yet: threads and connections do not survive a fork. */
static int move_detached(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    struct interrupt interrupt;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set(error, ERROR_FAILED, "cannot make a pipe");
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return error_set(error, ERROR_FAILED, "cannot start a process");
    if (child == 0) {
        close(ends[0]);
        setsid();
        if (move_domain(cli, call, ends[1], error) < 0)
            cli_print_error(cli, error);
        fflush(NULL);
        _exit(error_exit_status(error));
    }
    interrupt_arm(&interrupt);
    close(ends[1]);
    int64_t id = 0;
    bool copies = await_copy(&interrupt, child, ends[0], &id);
    close(ends[0]);
    if (copies) {
        tell_detached(cli, call->arguments[0], id, child);
        return 0;
    }
    int status = 0;
    waitpid(child, &status, 0);
    fflush(NULL);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1); /* it has said why */
}

static int refuse_queue(const struct cli_call *call, struct error *error)
{
    error_set(error, ERROR_USAGE, "--queue cannot go with --%s",
              cli_has(call, OPTION_DETACH) ? "detach" : "dry-run");
    return error_hint(error, "see 'virt-pivot move --help'");
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    if (cli_has(call, OPTION_QUEUE))
        return cli_has(call, OPTION_DETACH) || cli_has(call, OPTION_DRY_RUN)
                   ? refuse_queue(call, error)
                   : enqueue_move(cli, call, error);
    return cli_has(call, OPTION_DETACH) ? move_detached(cli, call, error)
                                        : move_domain(cli, call, -1, error);
}

static const struct cli_option options[] = {
    {"disk", OPTION_DISK, "TARGET", "only this disk (may be repeated)"},
    {"tier", OPTION_TIER, "NAME", "to this tier, whatever the rules say"},
    {"bandwidth", OPTION_BANDWIDTH, "RATE", "limit of each disk's copy, like 200MiB"},
    {"detach", OPTION_DETACH, NULL, "return as soon as the copy runs"},
    {"queue", OPTION_QUEUE, NULL, "leave it to the agent, and return at once"},
    {"dry-run", OPTION_DRY_RUN, NULL, "stop after the plan"},
    {NULL, 0, NULL, NULL},
};
const struct cli_verb move_verb = {
    "move", "DOMAIN", "Moves a domain's disks to where the policy wants them", options, 1, 1, run};
