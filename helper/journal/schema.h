/* The journal's tables. */
#ifndef VP_JOURNAL_SCHEMA_H
#define VP_JOURNAL_SCHEMA_H

#define JOURNAL_SCHEMA_VERSION 1

static const char journal_schema[] =
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
    "CREATE INDEX ledger_by_source ON ledger (old_source);";

#endif
