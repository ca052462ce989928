#include "cli/prepare.h"
#include "cli/retiring.h"
#include "cli/stage.h"

/* By the journal's word for the domain too: it may be gone from libvirt. */
static int find_uuid(struct session *session, const char *domain, char uuid[VIRT_UUID_TEXT],
                     struct error *error)
{
    CLEANUP(move_record_clear) struct move_record record = {0};
    AUTO_ERROR struct error unknown = {0};
    if (session_find_move(session, domain, &record, &unknown) == 0) {
        snprintf(uuid, VIRT_UUID_TEXT, "%s", record.uuid);
        return 0;
    }
    return virt_find(session->virt, domain, uuid, error);
}

static int nothing_dead(const struct recovery *recovery, struct error *error)
{
    size_t alive = recovery->under_way + recovery->waiting;
    if (alive == 0)
        return error_set(error, ERROR_NOTHING, "every move has come to its end");
    return error_set(error, ERROR_NOTHING, "%zu move%s under way, and none is dead", alive,
                     alive == 1 ? " is" : "s are");
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    AUTO_SESSION struct session session = {0};
    struct stage stage = {0};
    if (cli_has(call, OPTION_RESUME)) {
        interrupt_arm(&stage.interrupt); /* before there are threads */
        session.resume = &stage;
    }
    if (session_open(cli, SESSION_VIRT | SESSION_JOURNAL, &session, error) < 0)
        return -1;
    char uuid[VIRT_UUID_TEXT];
    CLEANUP(journal_unlock) int lock = -1;
    bool one = call->argument_count == 1;
    session.keep = cli_has(call, OPTION_KEEP);
    if (session.keep && !one)
        return error_set(error, ERROR_USAGE, "--keep is about one domain: name it");
    if (one && (find_uuid(&session, call->arguments[0], uuid, error) < 0 ||
                session_lock(&session, uuid, &lock, error) < 0))
        return -1;
    struct recovery recovery = {0};
    AUTO_ERROR struct error failure = {0};
    size_t retirements = 0;
    int result = recover_moves(cli, &session, one ? uuid : NULL, &recovery, error);
    if (finish_retirements(cli, &session, one ? uuid : NULL, &retirements, &failure) < 0) {
        if (result == 0) {
            error_move(error, &failure);
            return -1;
        }
        cli_print_error(cli, &failure);
    }
    if (result < 0)
        return -1;
    return recovery.dead || retirements ? 0 : nothing_dead(&recovery, error);
}

static const struct cli_option options[] = {
    {"keep", OPTION_KEEP, NULL,
     "a guest that was to migrate here and is not here did run here: keep its images"},
    {"resume", OPTION_RESUME, NULL, "copies of domains that are off go on, if they can"},
    {NULL, 0, NULL, NULL},
};
const struct cli_verb recover_verb = {
    "recover", "[DOMAIN]", "Brings unfinished moves whose process is gone to their end", options, 0,
    1,         run};
