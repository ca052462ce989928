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
    bool alive;        /* a process holds the domain's lock */
    int pid;           /* 0: not known */
};
DEFINE_VECTOR(move_views, struct move_view);
void move_view_clear(struct move_view *view);
void move_views_clear(struct move_views *views);

int move_view_read(struct journal *journal, int64_t id, struct move_view *view, struct error *error)
    MUST_CHECK;
/* Oldest first; of one domain, by name or UUID, when it is not NULL. */
int move_views_read(struct journal *journal, enum journal_selection selection, const char *domain,
                    struct move_views *views, struct error *error) MUST_CHECK;

/* "moved", "moved in part", "undone", "needs operator"; of an unfinished one "under way", or
 * "process gone". */
const char *move_view_outcome(const struct move_view *view);
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
