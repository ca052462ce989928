#include "cli/retiring.h"

#include <inttypes.h>

int retire_one(struct session *session, const struct move_record *record,
               const struct retire_wishes *wishes, bool locked, struct retirement *told,
               struct error *error)
{
    CLEANUP(journal_unlock) int lock = -1;
    const char *uri = virt_uri(session->virt);
    if (*record->uri && !text_equal(record->uri, uri)) {
        error_set(error, ERROR_FAILED, "it was made on %s, and this is %s", record->uri, uri);
        return error_hint(error, "'virt-pivot -c %s retire %" PRId64 "' looks there", record->uri,
                          record->id);
    }
    if (!locked && journal_lock(session->journal, record->uuid, &lock, error) < 0)
        return -1;
    const struct mover mover = {.journal = session->journal,
                                .virt = session->virt,
                                .clusters = session->clusters,
                                .uri = uri};
    return move_retire(&mover, record->id, wishes, told, error);
}

/* Success too when somebody else is at it. */
static int finish(const struct cli *cli, struct session *session, const struct move_record *record,
                  bool locked, size_t *count, struct error *error)
{
    CLEANUP(retirement_clear) struct retirement told = {0};
    const struct retire_wishes wishes = {0};
    int pid = 0;
    if (!locked && journal_is_locked(session->journal, record->uuid, &pid))
        return 0;
    ++*count;
    if (retire_one(session, record, &wishes, locked, &told, error) == 0) {
        cli_say(cli,
                "move %" PRId64 " of domain '%s': the sources that were about to be given up "
                "are, now",
                record->id, record->domain);
        return 0;
    }
    if (error->code == ERROR_NOTHING) { /* it was just about to finish by itself */
        error_clear(error);
        --*count;
        return 0;
    }
    return error_prefix(error, "move %" PRId64 " of domain '%s'", record->id, record->domain);
}

int finish_retirements(const struct cli *cli, struct session *session, const char *uuid,
                       size_t *count, struct error *error)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    if (journal_list(session->journal, MOVES_UNRETIRED, uuid, &records, error) < 0)
        return -1;
    for (size_t i = 0; i < records.count; i++) {
        AUTO_ERROR struct error failure = {0};
        if (!move_is_retiring(&records.items[i]) ||
            finish(cli, session, &records.items[i], uuid != NULL, count, &failure) == 0)
            continue;
        if (error_is_set(error))
            cli_print_error(cli, &failure);
        else
            error_move(error, &failure);
    }
    return error_is_set(error) ? -1 : 0;
}
