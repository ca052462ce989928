/* What the tests of helper/journal share. */
#ifndef TESTS_UNIT_JOURNAL_FIXTURE_H
#define TESTS_UNIT_JOURNAL_FIXTURE_H

#include "journal/scratch.h"

#include "journal/journal.h"

#include <sqlite3.h>
#include <sys/stat.h>

#define UUID_1 "c7a5fdbd-cdaf-9455-926a-d65c16db1809"
#define UUID_2 "00000000-0000-4000-8000-000000000002"

/* Calls that have to succeed, with their error's text when they do not. */
#define OK(call)                                                                                   \
    do {                                                                                           \
        AUTO_ERROR struct error ok_error = {0};                                                    \
        struct error *why = &ok_error;                                                             \
        if ((call) < 0)                                                                            \
            fail_msg("%s: %s", #call, ok_error.message ? ok_error.message : "no message");         \
        assert_false(error_is_set(&ok_error));                                                     \
    } while (0)

/* A journal in a folder of its own, as *state. */
struct desk {
    char *folder;
    struct journal *journal;
};

static inline UNUSED int desk_open(void **state)
{
    struct desk *desk = NEW(struct desk);
    desk->folder = scratch_new();
    OK(journal_open(desk->folder, JOURNAL_WRITE, &desk->journal, why));
    *state = desk;
    return 0;
}

static inline UNUSED int desk_close(void **state)
{
    struct desk *desk = *state;
    journal_closep(&desk->journal);
    scratch_remove(&desk->folder);
    free(desk);
    return 0;
}

static inline UNUSED void desk_reopen(struct desk *desk)
{
    journal_closep(&desk->journal);
    OK(journal_open(desk->folder, JOURNAL_WRITE, &desk->journal, why));
}

static inline UNUSED int64_t new_move_of_kind(struct journal *journal, enum move_kind kind,
                                              const char *uuid)
{
    const struct move_record record = {
        .kind = kind,
        .uuid = (char *)uuid,
        .domain = (char *)"db-1",
        .uri = (char *)"qemu:///system",
        .plan = (char *)"{\"disks\":[]}",
        .live = (char *)"<domain/>",
    };
    int64_t id = 0;
    OK(journal_create(journal, &record, &id, why));
    return id;
}

static inline UNUSED int64_t new_move(struct journal *journal, const char *uuid)
{
    return new_move_of_kind(journal, MOVE_LIVE, uuid);
}

/* Through a connection of the test's own, as another program would see it. */
static inline UNUSED char *query(const char *folder, const char *sql)
{
    AUTO_FREE char *path = text_format("%s/journal.db", folder);
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(database));
    AUTO_BUFFER struct buffer rows = {0};
    while (sqlite3_step(statement) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *cell = (const char *)sqlite3_column_text(statement, i);
            buffer_format(&rows, "%s%s", rows.length ? " " : "", cell ? cell : "NULL");
        }
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return buffer_take(&rows);
}

static inline UNUSED void run_query(const char *folder, const char *sql)
{
    free(query(folder, sql));
}

static inline UNUSED void assert_query(const char *folder, const char *sql, const char *expected)
{
    AUTO_FREE char *rows = query(folder, sql);
    assert_string_equal(rows, expected);
}

#endif
