/* Shared by retire*.c only. */
#ifndef VP_MOVE_RETIRE_H
#define VP_MOVE_RETIRE_H

#include "move/given_up.h"
#include "move/move.h"

/* A place that a domain of this host names, in its running guest or in its definition. */
struct naming {
    char *domain, *uuid;
    bool live;
    struct named_source at;
};
DEFINE_VECTOR(namings, struct naming);

/* A disk of the move, on its way to being given up. */
struct retiring_disk {
    const struct disk_record *record;
    const struct plan_disk *plan;
    const struct disk *before; /* as the guest had it before the move: its source is the source */
    bool staying;              /* it never moved */
    bool done;                 /* it has been given up, in this run or before */
    struct given_up given_up;  /* what becomes of it; as the journal has it once that is so */
};

struct retiring {
    const struct mover *mover;
    struct move_record record;
    struct plan *plan;
    struct domain *before;
    struct disk_records records;
    struct retiring_disk *disks; /* one for each of records */
    struct ledger_rows rows;
    struct move_records others; /* every move but this one */
    struct virt_domain state;   /* of the move's domain */
    struct namings namings;     /* by all domains of this host */
    struct error unknown; /* what some image of theirs stands on cannot be told; empty: it can */
    bool begun;           /* by an earlier process, or by us */
};
void retiring_clear(struct retiring *retiring);

/* ---- retire_names.c ---- */

/* Reads what every domain names. */
int retire_read_names(struct retiring *retiring, struct error *error) MUST_CHECK;
/* ERROR_BUSY when a domain, or another move, names the source of this disk. */
int retire_check_names(struct retiring *retiring, size_t index, struct error *error) MUST_CHECK;
int retire_check_moves(struct retiring *retiring, size_t index, struct error *error) MUST_CHECK;

/* ---- retire_conditions.c ---- */

/* Whether the move as a whole is one to retire; now: its grace does not count. */
int retire_check_move(struct retiring *retiring, bool now, struct error *error) MUST_CHECK;
/* Whether this disk's source may be given up: all of it read from the world. */
int retire_check_disk(struct retiring *retiring, size_t index, struct error *error) MUST_CHECK;

/* ---- retire_acts.c ---- */

/* What is to become of the disk's source, unless the journal has it already. */
int retire_choose(struct retiring *retiring, size_t index, struct error *error) MUST_CHECK;
/* Whether nobody has it open now. */
int retire_check_holders(struct retiring *retiring, size_t index, struct error *error) MUST_CHECK;
/* Whether the world has it so already. */
int retire_is_done(struct retiring *retiring, size_t index, bool *done, struct error *error)
    MUST_CHECK;
/* Makes it so. What is to become of it is in the journal. */
int retire_act(struct retiring *retiring, size_t index, struct error *error) MUST_CHECK;
/* What was begun of it, and is not done, is taken back. */
int retire_take_back(struct retiring *retiring, size_t index, struct error *error) MUST_CHECK;
int retire_source_cluster(struct retiring *retiring, size_t index, struct ceph_cluster **cluster,
                          struct ceph_image_name *name, struct error *error) MUST_CHECK;

#endif
