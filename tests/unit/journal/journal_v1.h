/* A journal as the first version left it. The texts are that version's: never change them. */
#ifndef TESTS_UNIT_JOURNAL_V1_H
#define TESTS_UNIT_JOURNAL_V1_H

#include "journal/journal_fixture.h"

static const char v1_tables[] =
    "PRAGMA journal_mode=WAL;"
    "CREATE TABLE moves (id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL,"
    " domain TEXT NOT NULL, uri TEXT NOT NULL, phase INTEGER NOT NULL, begun INTEGER NOT NULL,"
    " plan TEXT NOT NULL, live TEXT, definition TEXT, definition_file TEXT, message TEXT,"
    " hint TEXT, created INTEGER NOT NULL, updated INTEGER NOT NULL, pid INTEGER NOT NULL);"
    "CREATE INDEX moves_of_domain ON moves (uuid);"
    "CREATE TABLE disks (move INTEGER NOT NULL REFERENCES moves (id), target TEXT NOT NULL,"
    " token TEXT NOT NULL, fate INTEGER NOT NULL DEFAULT 0, features INTEGER NOT NULL DEFAULT 0,"
    " copied INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,"
    " rate INTEGER NOT NULL DEFAULT 0, dirty_rate INTEGER NOT NULL DEFAULT 0,"
    " latency_before REAL NOT NULL DEFAULT 0, latency_now REAL NOT NULL DEFAULT 0,"
    " sampled INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (move, target));"
    "CREATE TABLE steps (id INTEGER PRIMARY KEY AUTOINCREMENT, move INTEGER NOT NULL"
    " REFERENCES moves (id), at INTEGER NOT NULL, event TEXT NOT NULL, phase INTEGER NOT NULL,"
    " detail TEXT);"
    "CREATE INDEX steps_of_move ON steps (move);"
    "CREATE TABLE controls (move INTEGER PRIMARY KEY REFERENCES moves (id),"
    " cancel INTEGER NOT NULL DEFAULT 0, paused INTEGER NOT NULL DEFAULT 0, bandwidth INTEGER);"
    "CREATE TABLE ledger (move INTEGER NOT NULL REFERENCES moves (id), target TEXT NOT NULL,"
    " uuid TEXT NOT NULL, old_source TEXT NOT NULL, new_source TEXT NOT NULL, at INTEGER NOT NULL,"
    " PRIMARY KEY (move, target));"
    "CREATE INDEX ledger_by_source ON ledger (old_source);"
    "PRAGMA user_version=1;";

/* One move that has ended well, and one that is copying. */
static const char v1_rows[] =
    "INSERT INTO moves VALUES (1,'" UUID_1 "','db-1','qemu:///system',9,9,'{\"disks\":[]}',"
    " '<domain/>','<domain>1</domain>','/d/db-1.xml',NULL,NULL,1600000000,1600000100,4711);"
    "INSERT INTO moves VALUES (2,'" UUID_2 "','db-2','qemu:///system',6,7,'{}','<domain/>',NULL,"
    " NULL,'slow','wait',1600000200,1600000300,4712);"
    "INSERT INTO disks (move, target, token, fate) VALUES (1,'vda','token-1',2);"
    "INSERT INTO disks (move, target, token, copied, total) VALUES (2,'vda','token-2',5,10);"
    "INSERT INTO steps (move, at, event, phase, detail) VALUES (1,1600000000000,'done',0,NULL);"
    "INSERT INTO steps (move, at, event, phase, detail) VALUES (1,1600000100000,'done',9,'x');"
    "INSERT INTO steps (move, at, event, phase, detail) VALUES (2,1600000200000,'done',6,NULL);"
    "INSERT INTO controls VALUES (1,0,0,NULL);"
    "INSERT INTO controls VALUES (2,0,1,1024);"
    "INSERT INTO ledger VALUES (1,'vda','" UUID_1 "','/old','flash/fast/a',1600000100);";

/* New string: a folder with such a journal, closed. */
static inline UNUSED char *v1_new(void)
{
    char *folder = scratch_new();
    AUTO_FREE char *path = text_format("%s/journal.db", folder);
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, v1_tables, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, v1_rows, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    return folder;
}

/* Whichever version it has by now: what was in it is in it. */
static inline UNUSED void v1_check(struct journal *journal)
{
    CLEANUP(move_records_clear) struct move_records moves = {0};
    OK(journal_list(journal, MOVES_ALL, NULL, &moves, why));
    assert_true(moves.count >= 2);
    const struct move_record *first = &moves.items[0], *second = &moves.items[1];
    assert_string_equal(first->uuid, UUID_1);
    assert_string_equal(first->definition, "<domain>1</domain>");
    assert_string_equal(first->definition_file, "/d/db-1.xml");
    assert_int_equal(first->phase, PHASE_REDEFINED);
    assert_int_equal(first->kind, MOVE_LIVE);
    assert_int_equal(first->created, 1600000000);
    assert_int_equal(first->pid, 4711);
    assert_string_equal(second->domain, "db-2");
    assert_int_equal(second->phase, PHASE_COPYING);
    assert_int_equal(second->begun, PHASE_MIRRORING);
    assert_int_equal(second->kind, MOVE_LIVE);
    assert_string_equal(second->message, "slow");
    CLEANUP(disk_records_clear) struct disk_records disks = {0};
    OK(journal_disks(journal, 2, &disks, why));
    assert_int_equal(disks.count, 1);
    assert_int_equal(disks.items[0].copied, 5);
    CLEANUP(step_records_clear) struct step_records story = {0};
    OK(journal_story(journal, 1, &story, why));
    assert_int_equal(story.count, 2);
    assert_string_equal(story.items[1].detail, "x");
    struct move_control control;
    OK(journal_control(journal, 2, &control, why));
    assert_true(control.paused && control.bandwidth == 1024);
    /* That row is for people only: it does not say which disk, as XML, went where. */
    CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
    OK(journal_ledger(journal, UUID_1, &rows, why));
    assert_int_equal(rows.count, 0);
}

#endif
