/* Requests: moves that the agent is to make. */
#include "base/text.h"
#include "journal/private.h"

const char *request_state_word(enum request_state state)
{
    static const char *const words[] = {
        [REQUEST_WAITING] = "waiting", [REQUEST_RUNNING] = "running",     [REQUEST_DONE] = "done",
        [REQUEST_FAILED] = "failed",   [REQUEST_CANCELLED] = "cancelled",
    };
    return (size_t)state < ARRAY_SIZE(words) ? words[state] : "unknown";
}

void request_record_clear(struct request_record *record)
{
    free(record->file);
    free(record->uuid);
    free(record->domain);
    free(record->reason);
    free(record->tier);
    free(record->targets);
    free(record->message);
    free(record->hint);
    *record = (struct request_record){0};
}

void request_records_clear(struct request_records *records)
{
    for (size_t i = 0; i < records->count; i++)
        request_record_clear(&records->items[i]);
    free(records->items);
    *records = (struct request_records){0};
}

/* ---- adding ---- */

/* 1: *id is the number that the query found. */
static int find_one(struct journal *journal, sqlite3_stmt *statement, int64_t *id,
                    struct error *error)
{
    int found = statement ? journal_next(journal, statement, error) : -1;
    if (found == 1)
        *id = sqlite3_column_int64(statement, 0);
    return found;
}

/* 1: *id is the request that came from the same file. */
static int find_taken(struct journal *journal, const struct request_record *record, int64_t *id,
                      struct error *error)
{
    AUTO_STATEMENT statement = journal_prepare(
        journal, error, "SELECT request FROM request_files WHERE file=?", "t", record->file);
    return find_one(journal, statement, id, error);
}

/* 1: *id is the request that asks for the same and still waits. A running one is not that: it may
 * have passed by what is asked for now. */
static int find_waiting(struct journal *journal, const struct request_record *record, int64_t *id,
                        struct error *error)
{
    AUTO_STATEMENT statement = journal_prepare(
        journal, error,
        "SELECT id FROM requests r WHERE state=?1 AND uuid=?2 AND tier IS ?3 AND targets IS ?4"
        " AND NOT EXISTS (SELECT 1 FROM requests n WHERE n.state=?1 AND n.uuid=?2 AND n.id>r.id)"
        " ORDER BY id LIMIT 1",
        "ittt", (int64_t)REQUEST_WAITING, record->uuid, record->tier, record->targets);
    return find_one(journal, statement, id, error);
}

/* A user's word is the last: he may have mended what an earlier attempt failed by, and what he asks
 * for is moved while it is off. */
static int take_over(struct journal *journal, const struct request_record *record, int64_t id,
                     struct error *error)
{
    return text_equal(record->reason, "user")
               ? journal_run(journal, error,
                             "UPDATE requests SET reason='user', bandwidth=?, attempts=0,"
                             " not_before=0, message=NULL, hint=NULL, updated=? WHERE id=?",
                             "iii", (int64_t)record->bandwidth, journal_now_ms() / 1000, id)
               : 0;
}

/* A domain's metadata names one tier: the last one counts. */
static int forget_older_tiers(struct journal *journal, const struct request_record *record,
                              struct error *error)
{
    return text_equal(record->reason, "tier")
               ? journal_run(journal, error,
                             "UPDATE requests SET state=?, message='another tier was asked for',"
                             " hint=NULL, updated=? WHERE uuid=? AND reason='tier' AND state=?",
                             "iiti", (int64_t)REQUEST_CANCELLED, journal_now_ms() / 1000,
                             record->uuid, (int64_t)REQUEST_WAITING)
               : 0;
}

static int insert(struct journal *journal, const struct request_record *record, int64_t *id,
                  struct error *error)
{
    int64_t now = journal_now_ms() / 1000;
    if (journal_run(journal, error,
                    "INSERT INTO requests (file, uuid, domain, reason, tier, targets, bandwidth,"
                    " created, updated) VALUES (?,?,?,?,?,?,?,?,?)",
                    "ttttttiii", record->file, record->uuid, record->domain, record->reason,
                    record->tier, record->targets, (int64_t)record->bandwidth,
                    record->created ? record->created : now, now) < 0)
        return -1;
    *id = sqlite3_last_insert_rowid(journal->database);
    return 0;
}

static int add_or_join(struct journal *journal, const struct request_record *record, int64_t *id,
                       struct error *error)
{
    int found = find_waiting(journal, record, id, error);
    if (found == 1)
        return take_over(journal, record, *id, error);
    return found < 0 || forget_older_tiers(journal, record, error) < 0
               ? -1
               : insert(journal, record, id, error);
}

int journal_request_add(struct journal *journal, const struct request_record *record, int64_t *id,
                        struct error *error)
{
    AUTO_ROLLBACK struct transaction transaction = {0};
    if (transaction_begin(&transaction, journal, error) < 0)
        return -1;
    int found = find_taken(journal, record, id, error);
    if (found < 0 || (found == 0 && add_or_join(journal, record, id, error) < 0))
        return -1;
    /* The file may come once more, should the caller die before he has removed it: then this
     * request may have been carried out, and must not be a second time. */
    if (record->file && journal_run(journal, error,
                                    "INSERT OR IGNORE INTO request_files (file, request)"
                                    " VALUES (?,?)",
                                    "ti", record->file, *id) < 0)
        return -1;
    return transaction_commit(&transaction, error);
}

/* ---- reading ---- */

static void read_request(sqlite3_stmt *row, struct request_record *record)
{
    *record = (struct request_record){
        .id = sqlite3_column_int64(row, 0),
        .file = journal_text(row, 1),
        .uuid = journal_text(row, 2),
        .domain = journal_text(row, 3),
        .reason = journal_text(row, 4),
        .tier = journal_text(row, 5),
        .targets = journal_text(row, 6),
        .bandwidth = (uint64_t)sqlite3_column_int64(row, 7),
        .state = (enum request_state)sqlite3_column_int(row, 8),
        .attempts = (unsigned)sqlite3_column_int64(row, 9),
        .not_before = sqlite3_column_int64(row, 10),
        .pid = sqlite3_column_int(row, 11),
        .move = sqlite3_column_int64(row, 12),
        .message = journal_text(row, 13),
        .hint = journal_text(row, 14),
        .created = sqlite3_column_int64(row, 15),
        .updated = sqlite3_column_int64(row, 16),
        .after_move = sqlite3_column_int64(row, 17),
    };
}

/* What a selection asks of a request r, as SQL. A move has ended well for the first time when it
 * was redefined; later phases only add to that. */
static char *condition_of(enum request_selection selection)
{
    if (selection == REQUESTS_ALL)
        return text_dup("1");
    AUTO_FREE char *open =
        text_format("r.state IN (%d, %d)", (int)REQUEST_WAITING, (int)REQUEST_RUNNING);
    if (selection == REQUESTS_OPEN)
        return STEAL(open);
    return text_format(
        "(%s OR (r.state=%d"
        " AND NOT EXISTS (SELECT 1 FROM requests n WHERE n.uuid=r.uuid AND n.id>r.id AND"
        "  n.state=%d)"
        " AND NOT EXISTS (SELECT 1 FROM moves m JOIN steps s ON s.move=m.id WHERE m.uuid=r.uuid"
        "  AND m.id<>r.move AND m.phase IN (%d, %d, %d) AND s.event='done' AND s.phase=%d"
        "  AND s.at>=r.updated*1000)))",
        open, (int)REQUEST_FAILED, (int)REQUEST_DONE, (int)PHASE_REDEFINED, (int)PHASE_VERIFIED,
        (int)PHASE_RETIRED, (int)PHASE_REDEFINED);
}

int journal_requests(struct journal *journal, enum request_selection selection, const char *uuid,
                     struct request_records *records, struct error *error)
{
    if (journal->version < 2)
        return 0;
    AUTO_FREE char *condition = condition_of(selection);
    AUTO_FREE char *sql = text_format(
        "SELECT id, file, uuid, domain, reason, tier, targets, bandwidth, state, attempts,"
        " not_before, pid, move, message, hint, created, updated, after_move FROM requests r"
        " WHERE (?1 IS NULL OR uuid=?1) AND %s ORDER BY id",
        condition);
    AUTO_STATEMENT statement = journal_prepare(journal, error, sql, "t", uuid);
    int found = statement ? 1 : -1;
    while (statement && (found = journal_next(journal, statement, error)) == 1)
        read_request(statement, request_records_add(records));
    return found;
}

/* ---- changing ---- */

static int explain_missing(struct journal *journal, int64_t id, struct error *error)
{
    int64_t there = 0;
    AUTO_STATEMENT statement =
        journal_prepare(journal, error, "SELECT id FROM requests WHERE id=?", "i", id);
    int found = find_one(journal, statement, &there, error);
    if (found == 1)
        return error_set(error, ERROR_CANCELLED, "request %lld was cancelled meanwhile",
                         (long long)id);
    if (found == 0)
        error_set(error, ERROR_NOT_FOUND, "there is no request %lld", (long long)id);
    return -1;
}

int journal_request_update(struct journal *journal, const struct request_record *record,
                           struct error *error)
{
    if (journal_run(journal, error,
                    "UPDATE requests SET state=?1, attempts=?2, not_before=?3, pid=?4, move=?5,"
                    " message=?6, hint=?7, updated=?8, after_move=?11 WHERE id=?9"
                    " AND (state<>?10 OR ?1=?10)",
                    "iiiiittiiii", (int64_t)record->state, (int64_t)record->attempts,
                    record->not_before, (int64_t)record->pid, record->move, record->message,
                    record->hint, journal_now_ms() / 1000, record->id, (int64_t)REQUEST_CANCELLED,
                    record->after_move) < 0)
        return -1;
    return journal_changed(journal) ? 0 : explain_missing(journal, record->id, error);
}

int journal_requests_cancel(struct journal *journal, const char *uuid, size_t *count,
                            struct error *error)
{
    if (journal_run(journal, error,
                    "UPDATE requests SET state=?, message=NULL, hint=NULL, updated=?"
                    " WHERE uuid=? AND state IN (?,?)",
                    "iitii", (int64_t)REQUEST_CANCELLED, journal_now_ms() / 1000, uuid,
                    (int64_t)REQUEST_WAITING, (int64_t)REQUEST_FAILED) < 0)
        return -1;
    *count = journal_changed(journal);
    return 0;
}
