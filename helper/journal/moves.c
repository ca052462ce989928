#include "base/text.h"
#include "journal/private.h"

#include <assert.h>

void move_record_clear(struct move_record *record)
{
    free(record->uuid);
    free(record->domain);
    free(record->uri);
    free(record->plan);
    free(record->live);
    free(record->definition);
    free(record->definition_file);
    free(record->message);
    free(record->hint);
    *record = (struct move_record){0};
}

void move_records_clear(struct move_records *records)
{
    for (size_t i = 0; i < records->count; i++)
        move_record_clear(&records->items[i]);
    free(records->items);
    *records = (struct move_records){0};
}

static int add_step(struct journal *journal, int64_t id, const char *event, enum move_phase phase,
                    const char *detail, struct error *error)
{
    return journal_run(journal, error,
                       "INSERT INTO steps (move, at, event, phase, detail) VALUES (?,?,?,?,?)",
                       "iitit", id, journal_now_ms(), event, (int64_t)phase, detail);
}

int journal_create(struct journal *journal, const struct move_record *record, int64_t *id,
                   struct error *error)
{
    AUTO_ROLLBACK struct transaction transaction = {0};
    int64_t now = journal_now_ms() / 1000;
    if (transaction_begin(&transaction, journal, error) < 0 ||
        journal_run(journal, error,
                    "INSERT INTO moves (kind, undoes, uuid, domain, uri, phase, begun, plan, live,"
                    " created, updated, pid) VALUES (?,?,?,?,?,0,0,?,?,?,?,?)",
                    "iitttttiii", (int64_t)record->kind, record->undoes, record->uuid,
                    record->domain, record->uri, record->plan, record->live, now, now,
                    (int64_t)getpid()) < 0)
        return -1;
    *id = sqlite3_last_insert_rowid(journal->database);
    if (journal_run(journal, error, "INSERT INTO controls (move) VALUES (?)", "i", *id) < 0 ||
        add_step(journal, *id, "done", PHASE_PLANNED, NULL, error) < 0)
        return -1;
    return transaction_commit(&transaction, error);
}

#define GLANCE_COLUMNS "id, uuid, domain, uri, phase, begun"

/* An older journal that was opened for reading does not have all columns. */
static char *move_columns(const struct journal *journal)
{
    return text_format(GLANCE_COLUMNS ", plan, live, definition, definition_file, message, hint,"
                                      " created, updated, pid, %s, %s",
                       journal->version < 2 ? "0" : "kind",
                       journal->version < 3 ? "0, 0, 0" : "undoes, held, pause");
}

static void read_glance(sqlite3_stmt *row, struct move_record *record)
{
    *record = (struct move_record){
        .id = sqlite3_column_int64(row, 0),
        .uuid = journal_text(row, 1),
        .domain = journal_text(row, 2),
        .uri = journal_text(row, 3),
        .phase = (enum move_phase)sqlite3_column_int(row, 4),
        .begun = (enum move_phase)sqlite3_column_int(row, 5),
    };
}

static void read_move(sqlite3_stmt *row, struct move_record *record)
{
    read_glance(row, record);
    record->plan = journal_text(row, 6);
    record->live = journal_text(row, 7);
    record->definition = journal_text(row, 8);
    record->definition_file = journal_text(row, 9);
    record->message = journal_text(row, 10);
    record->hint = journal_text(row, 11);
    record->created = sqlite3_column_int64(row, 12);
    record->updated = sqlite3_column_int64(row, 13);
    record->pid = sqlite3_column_int(row, 14);
    record->kind = (enum move_kind)sqlite3_column_int(row, 15);
    record->undoes = sqlite3_column_int64(row, 16);
    record->held = sqlite3_column_int64(row, 17);
    record->pause = (uint64_t)sqlite3_column_int64(row, 18);
}

int journal_read(struct journal *journal, int64_t id, struct move_record *record,
                 struct error *error)
{
    AUTO_FREE char *columns = move_columns(journal);
    AUTO_FREE char *sql = text_format("SELECT %s FROM moves WHERE id=?", columns);
    AUTO_STATEMENT statement = journal_prepare(journal, error, sql, "i", id);
    int found = statement ? journal_next(journal, statement, error) : -1;
    if (found == 0) {
        error_set(error, ERROR_NOT_FOUND, "there is no move %lld", (long long)id);
        error_hint(error, "'virt-pivot history' lists them");
    }
    if (found != 1)
        return -1;
    read_move(statement, record);
    return 0;
}

static bool is_selected(enum journal_selection selection, enum move_phase phase)
{
    switch (selection) {
    case MOVES_UNFINISHED:
        return !move_phase_is_final(phase);
    case MOVES_UNRETIRED:
        return phase == PHASE_REDEFINED || phase == PHASE_VERIFIED;
    case MOVES_ALL:
    case MOVES_UNPROVEN: /* have conditions of their own */
    case MOVES_UNVERIFIED:
        break;
    }
    return true;
}

/* Phase redefined; a disk on its target (fate 2) has a snapshot that is not the evidence of a
 * difference (verdict 2), or all are equal (verdict 1) and only the phase is not written yet. */
#define UNVERIFIED                                                                                 \
    " AND phase=9 AND (EXISTS (SELECT 1 FROM disks WHERE move=moves.id AND fate=2"                 \
    " AND snapshot IS NOT NULL AND verdict<>2)"                                                    \
    " OR (EXISTS (SELECT 1 FROM disks WHERE move=moves.id AND fate=2 AND verdict=1)"               \
    " AND NOT EXISTS (SELECT 1 FROM disks WHERE move=moves.id AND fate=2 AND verdict<>1)))"
#define UNPROVEN                                                                                   \
    " AND phase=9 AND EXISTS (SELECT 1 FROM disks WHERE move=moves.id AND fate=2"                  \
    " AND snapshot IS NOT NULL)"
static_assert(PHASE_REDEFINED == 9 && DISK_PIVOTED == 2 && VERDICT_EQUAL == 1 &&
                  VERDICT_DIFFERENT == 2,
              "what the text above says");

static int list(struct journal *journal, const char *columns,
                void (*read_row)(sqlite3_stmt *, struct move_record *),
                enum journal_selection selection, const char *uuid, struct move_records *records,
                struct error *error)
{
    const char *more = selection == MOVES_UNVERIFIED ? UNVERIFIED
                       : selection == MOVES_UNPROVEN ? UNPROVEN
                                                     : "";
    if (*more && journal->version < 3)
        return 0; /* nothing was compared then */
    AUTO_FREE char *sql = text_format(
        "SELECT %s FROM moves WHERE (?1 IS NULL OR uuid=?1)%s ORDER BY id", columns, more);
    AUTO_STATEMENT statement = journal_prepare(journal, error, sql, "t", uuid);
    int found = statement ? 1 : -1;
    while (statement && (found = journal_next(journal, statement, error)) == 1) {
        if (!is_selected(selection, (enum move_phase)sqlite3_column_int(statement, 4)))
            continue;
        read_row(statement, move_records_add(records));
    }
    return found;
}

int journal_list(struct journal *journal, enum journal_selection selection, const char *uuid,
                 struct move_records *records, struct error *error)
{
    AUTO_FREE char *columns = move_columns(journal);
    return list(journal, columns, read_move, selection, uuid, records, error);
}

int journal_glance(struct journal *journal, enum journal_selection selection,
                   struct move_records *records, struct error *error)
{
    return list(journal, GLANCE_COLUMNS, read_glance, selection, NULL, records, error);
}

/* What was written about it since, its retirement too, does not count. */
int journal_ended(struct journal *journal, const struct move_record *record, int64_t *ended,
                  struct error *error)
{
    AUTO_STATEMENT statement =
        journal_prepare(journal, error,
                        "SELECT at FROM steps WHERE move=? AND event='done' AND phase IN (?,?)"
                        " ORDER BY id DESC LIMIT 1",
                        "iii", record->id, (int64_t)PHASE_REDEFINED, (int64_t)PHASE_VERIFIED);
    int found = statement ? journal_next(journal, statement, error) : -1;
    *ended = found == 1 ? sqlite3_column_int64(statement, 0) / 1000 : record->updated;
    return found < 0 ? -1 : 0;
}

static int check_transition(struct journal *journal, int64_t id, enum move_phase to,
                            struct error *error)
{
    AUTO_STATEMENT statement =
        journal_prepare(journal, error, "SELECT phase, kind FROM moves WHERE id=?", "i", id);
    if (!statement || journal_next(journal, statement, error) < 0)
        return -1;
    enum move_phase from = (enum move_phase)sqlite3_column_int(statement, 0);
    enum move_kind kind = (enum move_kind)sqlite3_column_int(statement, 1);
    if (from == to || phase_may_follow(kind, from, to))
        return 0;
    error_set(error, ERROR_OPERATOR, "move %lld: '%s' may not follow '%s'", (long long)id,
              move_phase_word(to), move_phase_word(from));
    return error_hint(error, "this is a bug of virt-pivot; 'virt-pivot recover' looks at the world "
                             "again");
}

int journal_begin(struct journal *journal, int64_t id, enum move_phase step, struct error *error)
{
    AUTO_ROLLBACK struct transaction transaction = {0};
    if (transaction_begin(&transaction, journal, error) < 0 ||
        check_transition(journal, id, step, error) < 0 ||
        journal_run(journal, error, "UPDATE moves SET begun=?, updated=?, pid=? WHERE id=?", "iiii",
                    (int64_t)step, journal_now_ms() / 1000, (int64_t)getpid(), id) < 0 ||
        add_step(journal, id, "begin", step, NULL, error) < 0)
        return -1;
    return transaction_commit(&transaction, error);
}

int journal_reach(struct journal *journal, int64_t id, enum move_phase phase, const char *detail,
                  struct error *error)
{
    AUTO_ROLLBACK struct transaction transaction = {0};
    if (transaction_begin(&transaction, journal, error) < 0 ||
        check_transition(journal, id, phase, error) < 0 ||
        journal_run(journal, error, "UPDATE moves SET phase=?1, begun=?1, updated=? WHERE id=?",
                    "iii", (int64_t)phase, journal_now_ms() / 1000, id) < 0 ||
        add_step(journal, id, "done", phase, detail, error) < 0)
        return -1;
    return transaction_commit(&transaction, error);
}

int journal_note(struct journal *journal, int64_t id, const char *event, const char *detail,
                 struct error *error)
{
    return journal_run(journal, error,
                       "INSERT INTO steps (move, at, event, phase, detail)"
                       " SELECT id, ?, ?, phase, ? FROM moves WHERE id=?",
                       "itti", journal_now_ms(), event, detail, id);
}

int journal_set_message(struct journal *journal, int64_t id, const char *message, const char *hint,
                        struct error *error)
{
    return journal_run(journal, error, "UPDATE moves SET message=?, hint=?, updated=? WHERE id=?",
                       "ttii", message, hint, journal_now_ms() / 1000, id);
}

int journal_hold(struct journal *journal, int64_t id, struct error *error)
{
    return journal_run(journal, error, "UPDATE moves SET held=? WHERE id=?", "ii", journal_now_ms(),
                       id);
}

int journal_release(struct journal *journal, int64_t id, uint64_t milliseconds, struct error *error)
{
    return journal_run(journal, error, "UPDATE moves SET held=0, pause=? WHERE id=?", "ii",
                       (int64_t)milliseconds, id);
}

void step_records_clear(struct step_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        free(records->items[i].event);
        free(records->items[i].phase);
        free(records->items[i].detail);
    }
    free(records->items);
    *records = (struct step_records){0};
}

int journal_story(struct journal *journal, int64_t id, struct step_records *records,
                  struct error *error)
{
    AUTO_STATEMENT statement = journal_prepare(
        journal, error, "SELECT at, event, phase, detail FROM steps WHERE move=? ORDER BY id", "i",
        id);
    int found = statement ? 1 : -1;
    while (statement && (found = journal_next(journal, statement, error)) == 1)
        *step_records_add(records) = (struct step_record){
            .at = sqlite3_column_int64(statement, 0),
            .event = journal_text(statement, 1),
            .phase = text_dup(move_phase_word((enum move_phase)sqlite3_column_int(statement, 2))),
            .detail = journal_text(statement, 3),
        };
    return found;
}
