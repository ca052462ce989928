/* Shared by the files of helper/journal only. */
#ifndef VP_JOURNAL_PRIVATE_H
#define VP_JOURNAL_PRIVATE_H

#include "journal/journal.h"

#include <sqlite3.h>

DEFINE_CLEANUP(sqlite3_stmt, sqlite3_finalize);
#define AUTO_STATEMENT CLEANUP(sqlite3_finalizep) sqlite3_stmt *

struct journal {
    char *directory;
    sqlite3 *database;
    int version; /* of its tables; the newest unless it is open for reading */
    bool reads_only;
};

/* Each letter of types binds one argument: i int64_t, t const char * (NULL is NULL), d double. */
sqlite3_stmt *journal_prepare(struct journal *journal, struct error *error, const char *sql,
                              const char *types, ...);
/* Runs a statement that returns nothing. */
int journal_run(struct journal *journal, struct error *error, const char *sql, const char *types,
                ...);
/* 1: a row, 0: no more, -1: error. */
int journal_next(struct journal *journal, sqlite3_stmt *statement, struct error *error);
int journal_error(struct journal *journal, struct error *error);

/* How many rows the last statement has changed. */
size_t journal_changed(struct journal *journal);

/* What root makes in the folder of an unprivileged service is that service's, or the service could
 * not go on with it. Only for what was made by this very process: never for what was found. */
int journal_give_to_owner(int fd, const char *directory);

/* The table of transitions, and what holds for this kind of move only. */
bool phase_may_follow(enum move_kind kind, enum move_phase from, enum move_phase to);

/* A column as a new string; NULL for NULL. */
char *journal_text(sqlite3_stmt *statement, int column);
int64_t journal_now_ms(void);

/* A transaction, rolled back at the end of the scope unless committed. */
struct transaction {
    struct journal *journal; /* NULL: none open */
};
#define AUTO_ROLLBACK CLEANUP(transaction_rollback)
int transaction_begin(struct transaction *transaction, struct journal *journal,
                      struct error *error);
int transaction_commit(struct transaction *transaction, struct error *error);
void transaction_rollback(struct transaction *transaction);

#endif
