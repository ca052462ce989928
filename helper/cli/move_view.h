/* A move as the journal knows it, for status, control and history: no libvirt, no Ceph. */
#ifndef VP_CLI_MOVE_VIEW_H
#define VP_CLI_MOVE_VIEW_H

#include "journal/journal.h"
#include "plan/plan.h"

struct move_view {
    struct move_record record;
    struct disk_records disks;
    struct move_control control;
    struct plan *plan; /* NULL: its record cannot be read */
    int64_t ended;     /* journal_ended */
    bool alive;        /* a process holds the domain's lock, */
    bool verifying;    /* and compares this move */
    int pid;           /* 0: not known */
};
DEFINE_VECTOR(move_views, struct move_view);
void move_view_clear(struct move_view *view);
void move_views_clear(struct move_views *views);

/* Whether the process that holds the domain's lock (alive) compares this move. */
bool move_is_verifying(const struct move_record *record, bool alive, int pid);
int move_view_read(struct journal *journal, int64_t id, struct move_view *view, struct error *error)
    MUST_CHECK;
/* Oldest first; of one domain, by name or UUID, when it is not NULL. */
int move_views_read(struct journal *journal, enum journal_selection selection, const char *domain,
                    struct move_views *views, struct error *error) MUST_CHECK;

/* "moved", "moved in part", "undone", "needs operator"; of an unfinished one "under way", or
 * "process gone". An incoming migration has no process of its own: "waits for its guest",
 * "definition not settled", or, when the making of its images was broken off, "left unfinished". */
const char *move_view_outcome(const struct move_view *view);
/* What comparing has shown so far: "equal", "being compared", "DIFFERENT", "not compared yet", "not
 * asked for", "cannot be compared"; several for several disks, with their targets; new string. */
char *move_view_contents(const struct move_view *view) MUST_CHECK;
/* The same of one disk. */
const char *move_view_verdict(const struct move_view *view, const struct disk_record *disk);
bool move_view_differs(const struct move_view *view);
/* "live move", "arrived by migration", or "by migration" for one that has not arrived. */
const char *move_view_kind(const struct move_view *view);
/* Of an incoming migration that has not come to its end: libvirt copies, or does something that
 * nobody here can see. */
bool move_view_awaits_guest(const struct move_view *view);
/* Of one that has not come to its end: its guest was seen here already, and only its definition is
 * still to be put right. */
bool move_view_is_unsettled(const struct move_view *view);
/* "/srv/db1.img (vda), lan (network)": what disks and networks were before the move, and what they
 * are after it; new string. */
char *move_view_sources(const struct move_view *view) MUST_CHECK;
char *move_view_destinations(const struct move_view *view) MUST_CHECK;
/* What the plan says of a disk of the move, or NULL. */
const struct plan_disk *move_view_planned(const struct move_view *view, const char *target);

/* ---- what a sample says; false: not known ---- */

bool disk_percent(const struct move_view *view, const struct disk_record *disk, unsigned *percent);
/* Seconds to go. Not known either while the guest writes as fast as the copy runs. */
bool disk_eta(const struct move_view *view, const struct disk_record *disk, uint64_t *seconds);

/* ---- JSON, for status and history alike; sizes in bytes, what is not known is null ---- */

struct json_object;
struct json_object *move_view_json(const struct move_view *view) MUST_CHECK;
/* {"moves":[…]} */
struct json_object *move_views_json(const struct move_views *views) MUST_CHECK;

#endif
