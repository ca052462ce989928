#include "base/text.h"
#include "cli/cli.h"

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
    error_set(error, ERROR_NOTHING, "no move of domain '%s' is under way", domain);
    return error_hint(error, "'virt-pivot history' shows those that have ended");
}
