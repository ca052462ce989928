/* The ledger: where a disk went, for whoever still has its old name. */
#include "base/text.h"
#include "journal/private.h"

void ledger_rows_clear(struct ledger_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        struct ledger_row *row = &rows->items[i];
        free(row->target);
        free(row->old_source);
        free(row->new_source);
        free(row->old_disk);
        free(row->new_disk);
    }
    free(rows->items);
    *rows = (struct ledger_rows){0};
}

int journal_ledger_add(struct journal *journal, int64_t id, const struct ledger_row *row,
                       struct error *error)
{
    return journal_run(journal, error,
                       "INSERT OR REPLACE INTO ledger (move, target, uuid, old_source, new_source,"
                       " old_disk, new_disk, retired, at)"
                       " SELECT id, ?, uuid, coalesce(?,''), coalesce(?,''), ?, ?, ?, ?"
                       " FROM moves WHERE id=?",
                       "tttttiii", row->target, row->old_source, row->new_source, row->old_disk,
                       row->new_disk, (int64_t)row->retired, journal_now_ms() / 1000, id);
}

int journal_ledger_end(struct journal *journal, int64_t id, const char *target, struct error *error)
{
    return journal_run(journal, error,
                       "UPDATE ledger SET ended=1 WHERE target=?1 AND move>=?2"
                       " AND uuid=(SELECT uuid FROM moves WHERE id=?2)",
                       "ti", target, id);
}

int journal_ledger_retire(struct journal *journal, int64_t id, const char *target, bool retired,
                          struct error *error)
{
    return journal_run(journal, error, "UPDATE ledger SET retired=? WHERE move=? AND target=?",
                       "iit", (int64_t)retired, id, target);
}

int journal_ledger(struct journal *journal, const char *uuid, struct ledger_rows *rows,
                   struct error *error)
{
    if (journal->version < 2)
        return 0; /* its rows are for people only */
    AUTO_STATEMENT statement =
        journal_prepare(journal, error,
                        "SELECT move, target, nullif(old_source,''), nullif(new_source,''),"
                        " old_disk, new_disk, retired, at FROM ledger"
                        " WHERE uuid=? AND old_disk IS NOT NULL AND NOT ended"
                        " ORDER BY move, rowid",
                        "t", uuid);
    int found = statement ? 1 : -1;
    while (statement && (found = journal_next(journal, statement, error)) == 1)
        *ledger_rows_add(rows) = (struct ledger_row){
            .move = sqlite3_column_int64(statement, 0),
            .target = journal_text(statement, 1),
            .old_source = journal_text(statement, 2),
            .new_source = journal_text(statement, 3),
            .old_disk = journal_text(statement, 4),
            .new_disk = journal_text(statement, 5),
            .retired = sqlite3_column_int(statement, 6),
            .at = sqlite3_column_int64(statement, 7),
        };
    return found;
}
