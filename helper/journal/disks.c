#include "base/text.h"
#include "journal/private.h"

void disk_records_clear(struct disk_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        free(records->items[i].target);
        free(records->items[i].token);
        free(records->items[i].snapshot);
        free(records->items[i].source_digest);
        free(records->items[i].target_digest);
        free(records->items[i].given_up);
    }
    free(records->items);
    *records = (struct disk_records){0};
}

int journal_add_disk(struct journal *journal, int64_t id, const char *target, const char *token,
                     struct error *error)
{
    return journal_run(journal, error, "INSERT INTO disks (move, target, token) VALUES (?,?,?)",
                       "itt", id, target, token);
}

int journal_disks(struct journal *journal, int64_t id, struct disk_records *records,
                  struct error *error)
{
    AUTO_FREE char *sql = text_format(
        "SELECT target, token, fate, features, copied, total, rate, dirty_rate, latency_before,"
        " latency_now, sampled, %s FROM disks WHERE move=? ORDER BY rowid",
        journal->version < 3 ? "NULL, 0, 0, 0, 0, NULL, NULL, NULL"
                             : "snapshot, verdict, compared, first_difference, differing,"
                               " source_digest, target_digest, given_up");
    AUTO_STATEMENT statement = journal_prepare(journal, error, sql, "i", id);
    int found = statement ? 1 : -1;
    while (statement && (found = journal_next(journal, statement, error)) == 1)
        *disk_records_add(records) = (struct disk_record){
            .target = journal_text(statement, 0),
            .token = journal_text(statement, 1),
            .fate = (enum disk_fate)sqlite3_column_int(statement, 2),
            .enabled_features = (uint64_t)sqlite3_column_int64(statement, 3),
            .copied = (uint64_t)sqlite3_column_int64(statement, 4),
            .total = (uint64_t)sqlite3_column_int64(statement, 5),
            .rate = (uint64_t)sqlite3_column_int64(statement, 6),
            .dirty_rate = (uint64_t)sqlite3_column_int64(statement, 7),
            .latency_before = sqlite3_column_double(statement, 8),
            .latency_now = sqlite3_column_double(statement, 9),
            .sampled = sqlite3_column_int64(statement, 10),
            .snapshot = journal_text(statement, 11),
            .verdict = (enum disk_verdict)sqlite3_column_int(statement, 12),
            .compared = (uint64_t)sqlite3_column_int64(statement, 13),
            .first_difference = (uint64_t)sqlite3_column_int64(statement, 14),
            .differing = (uint64_t)sqlite3_column_int64(statement, 15),
            .source_digest = journal_text(statement, 16),
            .target_digest = journal_text(statement, 17),
            .given_up = journal_text(statement, 18),
        };
    return found;
}

static int set_fate(struct journal *journal, int64_t id, const char *target, enum disk_fate fate,
                    struct error *error)
{
    AUTO_FREE char *detail = text_format("disk %s: %s", target, disk_fate_word(fate));
    if (journal_run(journal, error, "UPDATE disks SET fate=? WHERE move=? AND target=?", "iit",
                    (int64_t)fate, id, target) < 0)
        return -1;
    return journal_note(journal, id, "disk", detail, error);
}

int journal_set_fate(struct journal *journal, int64_t id, const char *target, enum disk_fate fate,
                     struct error *error)
{
    AUTO_ROLLBACK struct transaction transaction = {0};
    if (transaction_begin(&transaction, journal, error) < 0 ||
        set_fate(journal, id, target, fate, error) < 0)
        return -1;
    return transaction_commit(&transaction, error);
}

int journal_set_fates(struct journal *journal, int64_t id, const struct disk_records *disks,
                      enum disk_fate fate, struct error *error)
{
    AUTO_ROLLBACK struct transaction transaction = {0};
    if (transaction_begin(&transaction, journal, error) < 0)
        return -1;
    for (size_t i = 0; i < disks->count; i++)
        if (disks->items[i].fate != fate &&
            set_fate(journal, id, disks->items[i].target, fate, error) < 0)
            return -1;
    return transaction_commit(&transaction, error);
}

int journal_set_features(struct journal *journal, int64_t id, const char *target, uint64_t features,
                         struct error *error)
{
    return journal_run(journal, error, "UPDATE disks SET features=? WHERE move=? AND target=?",
                       "iit", (int64_t)features, id, target);
}

int journal_sample(struct journal *journal, int64_t id, const struct disk_record *sample,
                   struct error *error)
{
    return journal_run(journal, error,
                       "UPDATE disks SET copied=?, total=?, rate=?, dirty_rate=?, latency_before=?,"
                       " latency_now=?, sampled=? WHERE move=? AND target=?",
                       "iiiiddiit", (int64_t)sample->copied, (int64_t)sample->total,
                       (int64_t)sample->rate, (int64_t)sample->dirty_rate, sample->latency_before,
                       sample->latency_now, journal_now_ms() / 1000, id, sample->target);
}

int journal_set_snapshot(struct journal *journal, int64_t id, const char *target,
                         const char *snapshot, struct error *error)
{
    return journal_run(journal, error, "UPDATE disks SET snapshot=? WHERE move=? AND target=?",
                       "tit", snapshot, id, target);
}

int journal_set_verdict(struct journal *journal, int64_t id, const struct disk_record *disk,
                        struct error *error)
{
    return journal_run(journal, error,
                       "UPDATE disks SET verdict=?, compared=?, first_difference=?, differing=?,"
                       " source_digest=?, target_digest=? WHERE move=? AND target=?",
                       "iiiittit", (int64_t)disk->verdict, (int64_t)disk->compared,
                       (int64_t)disk->first_difference, (int64_t)disk->differing,
                       disk->source_digest, disk->target_digest, id, disk->target);
}

int journal_set_given_up(struct journal *journal, int64_t id, const char *target,
                         const char *given_up, struct error *error)
{
    return journal_run(journal, error, "UPDATE disks SET given_up=? WHERE move=? AND target=?",
                       "tit", given_up, id, target);
}

double journal_usual_rate(struct journal *journal)
{
    AUTO_ERROR struct error ignored = {0};
    AUTO_STATEMENT statement = journal_prepare(
        journal, &ignored,
        "SELECT avg(rate) FROM (SELECT d.rate AS rate FROM disks d JOIN moves m ON m.id=d.move"
        " WHERE m.phase IN (?,?,?) AND d.rate>0 ORDER BY d.rowid DESC LIMIT 10)",
        "iii", (int64_t)PHASE_REDEFINED, (int64_t)PHASE_VERIFIED, (int64_t)PHASE_RETIRED);
    if (!statement || journal_next(journal, statement, &ignored) != 1)
        return 0;
    return sqlite3_column_double(statement, 0);
}

/* ---- wishes ---- */

int journal_control(struct journal *journal, int64_t id, struct move_control *control,
                    struct error *error)
{
    AUTO_STATEMENT statement = journal_prepare(
        journal, error, "SELECT cancel, paused, bandwidth FROM controls WHERE move=?", "i", id);
    if (!statement || journal_next(journal, statement, error) < 0)
        return -1;
    *control = (struct move_control){
        .cancel = sqlite3_column_int(statement, 0),
        .paused = sqlite3_column_int(statement, 1),
        .bandwidth_set = sqlite3_column_type(statement, 2) != SQLITE_NULL,
        .bandwidth = (uint64_t)sqlite3_column_int64(statement, 2),
    };
    return 0;
}

int journal_ask_cancel(struct journal *journal, int64_t id, struct error *error)
{
    return journal_run(journal, error, "UPDATE controls SET cancel=1 WHERE move=?", "i", id);
}

int journal_unwish(struct journal *journal, int64_t id, struct error *error)
{
    return journal_run(journal, error, "UPDATE controls SET cancel=0, paused=0 WHERE move=?", "i",
                       id);
}

int journal_ask_pause(struct journal *journal, int64_t id, bool paused, struct error *error)
{
    return journal_run(journal, error, "UPDATE controls SET paused=? WHERE move=?", "ii",
                       (int64_t)paused, id);
}

int journal_ask_bandwidth(struct journal *journal, int64_t id, uint64_t bandwidth,
                          struct error *error)
{
    return journal_run(journal, error, "UPDATE controls SET bandwidth=? WHERE move=?", "ii",
                       (int64_t)bandwidth, id);
}
