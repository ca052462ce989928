#include "base/text.h"
#include "cli/cli.h"
#include "cli/move_view.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>

int session_open(const struct cli *cli, unsigned parts, struct session *session,
                 struct error *error)
{
    if ((parts & SESSION_POLICY) && policy_load(cli->policy, &session->policy, error) < 0) {
        error->code = ERROR_POLICY; /* none at all is as wrong as a broken one */
        return -1;
    }
    if ((parts & SESSION_JOURNAL) &&
        journal_open(cli->state, JOURNAL_WRITE, &session->journal, error) < 0)
        return -1;
    if (parts & SESSION_VIRT) {
        if (virt_open(cli->uri, &session->virt, error) < 0)
            return -1;
        session->clusters = clusters_new(session->virt);
    }
    return 0;
}

void session_close(struct session *session)
{
    clusters_freep(&session->clusters);
    virt_closep(&session->virt);
    journal_closep(&session->journal);
    policy_freep(&session->policy);
}

/* 1: found. A move that has ended is under way as long as it is compared. */
static int find_verifying(struct session *session, const char *domain, struct move_record *record,
                          struct error *error)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    if (journal_list(session->journal, MOVES_UNPROVEN, NULL, &records, error) < 0)
        return -1;
    for (size_t i = records.count; i-- > 0;) {
        struct move_record *candidate = &records.items[i];
        int pid = 0;
        bool alive = journal_is_locked(session->journal, candidate->uuid, &pid);
        if ((!text_equal(candidate->domain, domain) && !text_equal(candidate->uuid, domain)) ||
            !move_is_verifying(candidate, alive, pid))
            continue;
        *record = *candidate;
        *candidate = (struct move_record){0};
        return 1;
    }
    return 0;
}

int session_find_move(struct session *session, const char *domain, struct move_record *record,
                      struct error *error)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    if (journal_list(session->journal, MOVES_UNFINISHED, NULL, &records, error) < 0)
        return -1;
    for (size_t i = records.count; i-- > 0;) {
        struct move_record *candidate = &records.items[i];
        if (!text_equal(candidate->domain, domain) && !text_equal(candidate->uuid, domain))
            continue;
        *record = *candidate;
        *candidate = (struct move_record){0};
        return 0;
    }
    int found = find_verifying(session, domain, record, error);
    if (found != 0)
        return found < 0 ? -1 : 0;
    error_set(error, ERROR_NOTHING, "no move of domain '%s' is under way", domain);
    return error_hint(error, "'virt-pivot history' shows those that have ended");
}

int cli_move_number(const char *text, int64_t *id, struct error *error)
{
    char *end = NULL;
    errno = 0;
    *id = strtoll(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0)
        return 0;
    error_set(error, ERROR_USAGE, "'%s' is not the number of a move", text);
    return error_hint(error, "'virt-pivot history' shows the numbers");
}

/* Wherever the path leads by the time it is used: a package that is upgraded meanwhile brings the
 * agent's next child the new version. */
char *cli_own_path(const struct cli *cli)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    return length > 0 ? text_slice(path, (size_t)length) : text_dup(cli->program);
}

int session_lock(struct session *session, const char *uuid, int *lock, struct error *error)
{
    if (journal_lock(session->journal, uuid, lock, error) == 0)
        return 0;
    int pid = 0;
    AUTO_ERROR struct error ignored = {0};
    CLEANUP(move_records_clear) struct move_records records = {0};
    if (error->code != ERROR_BUSY || !journal_is_locked(session->journal, uuid, &pid) ||
        journal_list(session->journal, MOVES_ALL, uuid, &records, &ignored) < 0)
        return -1;
    for (size_t i = 0; i < records.count; i++) {
        const struct move_record *record = &records.items[i];
        if (!move_is_verifying(record, true, pid))
            continue;
        error_set(error, ERROR_BUSY,
                  "move %" PRId64 " of domain '%s' is being verified (process %d)", record->id,
                  record->domain, pid);
        return error_hint(error, "'virt-pivot cancel %s' stops that; it can be done later",
                          record->domain);
    }
    return -1;
}
