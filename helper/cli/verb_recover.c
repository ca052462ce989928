#include "cli/prepare.h"

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

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    AUTO_SESSION struct session session = {0};
    if (session_open(cli, SESSION_VIRT | SESSION_JOURNAL, &session, error) < 0)
        return -1;
    char uuid[VIRT_UUID_TEXT];
    CLEANUP(journal_unlock) int lock = -1;
    bool one = call->argument_count == 1;
    if (one && (find_uuid(&session, call->arguments[0], uuid, error) < 0 ||
                journal_lock(session.journal, uuid, &lock, error) < 0))
        return -1;
    size_t count = 0, under_way = 0;
    if (recover_moves(cli, &session, one ? uuid : NULL, &count, &under_way, error) < 0)
        return -1;
    if (count == 0 && under_way)
        return error_set(error, ERROR_NOTHING, "%zu move%s under way, and none is dead", under_way,
                         under_way == 1 ? " is" : "s are");
    if (count == 0)
        return error_set(error, ERROR_NOTHING, "every move has come to its end");
    return 0;
}

const struct cli_verb recover_verb = {
    "recover", "[DOMAIN]", "Brings unfinished moves whose process is gone to their end", NULL, 0,
    1,         run};
