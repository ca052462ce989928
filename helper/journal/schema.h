/* The journal's tables, as they came into being: a new journal goes the same way as an old one that
 * is brought up to date, so that both end alike. A text that was released is never changed. */
#ifndef VP_JOURNAL_SCHEMA_H
#define VP_JOURNAL_SCHEMA_H

#include "base/cleanup.h"

static const char journal_tables_1[] =
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

static const char journal_tables_2[] =
    "ALTER TABLE moves ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE ledger ADD COLUMN old_disk TEXT;"
    "ALTER TABLE ledger ADD COLUMN new_disk TEXT;"
    "ALTER TABLE ledger ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE ledger ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX ledger_of_domain ON ledger (uuid, move);"
    "CREATE TABLE requests (id INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT, uuid TEXT NOT NULL,"
    " domain TEXT, reason TEXT NOT NULL, tier TEXT, targets TEXT,"
    " bandwidth INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL DEFAULT 0,"
    " attempts INTEGER NOT NULL DEFAULT 0, not_before INTEGER NOT NULL DEFAULT 0,"
    " pid INTEGER NOT NULL DEFAULT 0, move INTEGER NOT NULL DEFAULT 0,"
    " after_move INTEGER NOT NULL DEFAULT 0, message TEXT, hint TEXT,"
    " created INTEGER NOT NULL, updated INTEGER NOT NULL);"
    "CREATE INDEX requests_of_domain ON requests (uuid);"
    "CREATE INDEX requests_by_state ON requests (state);"
    /* Two files may be one request. */
    "CREATE TABLE request_files (file TEXT PRIMARY KEY, request INTEGER NOT NULL"
    " REFERENCES requests (id));"
    "CREATE TABLE sightings (uuid TEXT PRIMARY KEY, run TEXT, tier TEXT, at INTEGER NOT NULL);";

static const char journal_tables_3[] =
    "ALTER TABLE moves ADD COLUMN undoes INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE moves ADD COLUMN held INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE moves ADD COLUMN pause INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE disks ADD COLUMN snapshot TEXT;"
    "ALTER TABLE disks ADD COLUMN verdict INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE disks ADD COLUMN compared INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE disks ADD COLUMN first_difference INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE disks ADD COLUMN differing INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE disks ADD COLUMN source_digest TEXT;"
    "ALTER TABLE disks ADD COLUMN target_digest TEXT;"
    "ALTER TABLE disks ADD COLUMN given_up TEXT;";

/* [n] leads from version n to n + 1. */
static const char *const journal_upgrades[] = {journal_tables_1, journal_tables_2,
                                               journal_tables_3};
#define JOURNAL_SCHEMA_VERSION ((int)ARRAY_SIZE(journal_upgrades))

#endif
