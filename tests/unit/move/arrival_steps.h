/* The steps of a test about one guest that migrates here. */
#ifndef TESTS_UNIT_MOVE_ARRIVAL_STEPS_H
#define TESTS_UNIT_MOVE_ARRIVAL_STEPS_H

#include "arrival.h"

#include "base/text.h"

#include <sqlite3.h>

#define LATER 120 /* seconds: the hook's XML is not on its way any more */

static const UNUSED struct stage_arrival comes = {
    .lasting = true, .networks = true, .watched = true};
static const UNUSED struct stage_arrival comes_unwatched = {.lasting = true};
static const UNUSED struct stage_arrival comes_transient = {.networks = true};

static inline UNUSED void open_and_expect(struct stage *stage, const struct stage_arrival *arrival,
                                          size_t disks)
{
    const struct stage_kind kind = {.disks = disks, .definition = "auto", .arrival = arrival};
    stage_open(stage, &kind);
    stage_expect(stage);
    if (stage->outcome->status != 0)
        fail_msg("exit status %d: %s", stage->outcome->status, stage->outcome->message);
}

static inline UNUSED void look(struct stage *stage, enum move_outcome end)
{
    stage_recover(stage);
    if (stage->outcome->status != 0)
        fail_msg("exit status %d: %s", stage->outcome->status, stage->outcome->message);
    assert_int_equal(stage->outcome->recovered, 1);
    assert_int_equal(stage->outcome->end, end);
}

static inline UNUSED void look_in_vain(struct stage *stage, int status, const char *message,
                                       const char *hint)
{
    stage_recover(stage);
    assert_int_equal(stage->outcome->status, status);
    if (!strstr(stage->outcome->message, message))
        fail_msg("it says: %s", stage->outcome->message);
    if (!strstr(stage->outcome->hint, hint))
        fail_msg("its hint is: %s", stage->outcome->hint);
}

static inline UNUSED void look_and_die(struct stage *stage, enum fake_call before)
{
    fake_world_forget_calls(stage->world);
    stage->world->events[0] = (struct fake_event){.deed = DEED_KILL, .kind = before, .nth = 1};
    stage_recover(stage);
    assert_int_equal(stage->outcome->status, FAKE_KILLED);
    fake_world_forget_calls(stage->world);
}

static inline UNUSED void assert_well(const struct stage *stage)
{
    long checks = 0;
    AUTO_FREE char *wrong = check_arrival_ended(stage, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

static inline UNUSED void wait(struct stage *stage, unsigned seconds)
{
    fake_world_run(stage->world, seconds * 1000);
}

static inline UNUSED void happen(struct stage *stage, enum fake_deed deed)
{
    fake_world_happen(stage->world, deed);
}

/* New string; NULL: nothing. */
static inline UNUSED char *ask_text(const struct stage *stage, const char *sql)
{
    AUTO_FREE char *path = text_format("%s/journal.db", stage->folder);
    sqlite3 *database = NULL;
    sqlite3_stmt *row = NULL;
    char *text = NULL;
    if (sqlite3_open(path, &database) == SQLITE_OK &&
        sqlite3_prepare_v2(database, sql, -1, &row, NULL) == SQLITE_OK &&
        sqlite3_step(row) == SQLITE_ROW)
        text = text_dup((const char *)sqlite3_column_text(row, 0));
    sqlite3_finalize(row);
    sqlite3_close(database);
    return text;
}

#endif
