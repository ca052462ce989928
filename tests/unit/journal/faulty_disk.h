/* A disk for SQLite that can be full, or take the process with it at a chosen write.
 *
 * It stands between SQLite and the file system (a VFS of SQLite's), and does not wait for syncs, so
 * that thousands of short lives of a journal take seconds: a killed process needs none. */
#ifndef TESTS_UNIT_JOURNAL_FAULTY_DISK_H
#define TESTS_UNIT_JOURNAL_FAULTY_DISK_H

#include <stdbool.h>

struct faulty_disk {
    long writes, syncs;   /* counted */
    bool full;            /* every write fails */
    long full_from;       /* so does this one and every later one; 0: none */
    long kill_at;         /* the process ends before this write; 0: none */
    bool waits_for_syncs; /* as the real one does */
    bool lacks_wal;       /* there is no shared memory on it */
    long forgotten;       /* files that were removed, without the folder being synced: counted */
};

/* From now on whatever SQLite opens is on this disk; it must outlive that. */
void faulty_disk_install(struct faulty_disk *disk);
void faulty_disk_remove(void);

#endif
