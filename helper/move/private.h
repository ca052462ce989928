/* Shared by the files of helper/move only. */
#ifndef VP_MOVE_PRIVATE_H
#define VP_MOVE_PRIVATE_H

#include "blocks/blocks.h"
#include "move/move.h"

struct offline_ends; /* offline.h */

struct move {
    const struct mover *mover;
    int64_t id;
    enum move_kind kind;
    int64_t undoes; /* the move that this one takes back; 0: none */
    const struct plan *plan;
    struct domain *before;     /* the live XML before the move */
    struct domain *saved;      /* the saved definition; NULL before it is saved, or if transient */
    struct disk_records disks; /* those that move, in the plan's order */
    enum move_phase phase;
    bool recovering;
    int64_t held;              /* as in the journal: we have paused the guest, or may have */
    uint64_t pause;            /* milliseconds for which it was, so far */
    int64_t created, updated;  /* by a process that is dead now, in seconds since the epoch; 0: by
                                  us */
    struct offline_ends *ends; /* of a copy of our own, while it is under way; NULL */
    bool resumed;              /* it is one that another process began: see resume.c */
};

/* A step acts, can take back what it did, looks whether it is done (at the world, not at the
 * journal), and describes what it did. act and undo may be called again after any interruption:
 * they look first. */
struct step {
    enum move_phase phase; /* that it leads to */
    int (*act)(struct move *move, struct error *error);
    int (*undo)(struct move *move, struct error *error);
    int (*done)(struct move *move, bool *done, struct error *error);
    char *(*describe)(const struct move *move); /* new string */
};

extern const struct step prepare_source_step;                                /* step_source.c */
extern const struct step create_target_step;                                 /* step_target.c */
extern const struct step save_definition_step, undefine_step, redefine_step; /* step_definition.c */
extern const struct step copy_step, mirror_step;                             /* step_copy.c */
extern const struct step copy_offline_step, copied_offline_step; /* step_copy_offline.c */
extern const struct step switch_offline_step;                    /* step_switch_offline.c */
extern const struct step migrate_step;                           /* step_migrate.c */
extern const struct step pivot_step;                             /* step_pivot.c */

/* ---- where a disk goes (target_image.c, target_migrated.c, target_old.c) ---- */

/* An image that is made for the disk, or the disk that it had before. All may be called again after
 * any interruption. */
struct target {
    /* Makes it, or makes sure that it is there, whole, and nobody's. */
    int (*claim)(struct move *move, size_t index, struct error *error);
    /* Right before the mirror: we write to nothing that somebody else has open. */
    int (*ready)(struct move *move, size_t index, struct error *error);
    /* Takes the claim back. Nobody uses it. */
    int (*release)(struct move *move, size_t index, struct error *error);
    int (*is_gone)(struct move *move, size_t index, bool *gone, struct error *error);
    /* Waits until the guest that runs on it is seen to have it open, and nobody else has. */
    int (*prove)(struct move *move, size_t index, struct error *error);
    const char *noun;     /* "the target image" */
    const char *disposal; /* how a person says that it is not the right one: "remove the image" */
};
const struct target *move_target(const struct plan_disk *disk);
extern const struct target image_target, migrated_target, old_image_target, old_file_target;

/* An image that is made for this disk; borrows from the move. */
struct ceph_image_spec target_image_spec(const struct move *move, size_t index);
/* What RBD is to bring over (plan->migrates); borrows likewise. */
struct ceph_migration move_migration(const struct move *move, size_t index);
struct ceph_migration move_migration_of(const struct plan_disk *disk, const char *token);
/* Does so, if it is not done yet (bring.c). ERROR_CANCELLED: the user put it off. */
int move_bring_over(struct move *move, size_t index, struct error *error) MUST_CHECK;

/* RBD images of any kind. */
int target_image_ready(struct move *move, size_t index, struct error *error);
int target_image_is_gone(struct move *move, size_t index, bool *gone, struct error *error);
int target_image_prove(struct move *move, size_t index, struct error *error);

/* ---- what is taken back (undo.c) ---- */

/* From now on the old disk of this one is written to: it is not what it was at the pivot any more.
 */
int undo_end_proof(struct move *move, size_t index, struct error *error);
/* The disk is back: nothing leads away from there any more. */
int undo_end_row(struct move *move, size_t index, struct error *error);
/* Nothing is left of the move that this one takes back, if that is so. */
int undo_end_origin(struct move *move, struct error *error);

/* ---- the guest held still for the pivot (hold.c) ---- */

struct guard {
    pid_t pid; /* 0: none */
    int life;  /* the end of a pipe: it is read to its end when we die; -1 */
};

/* Zero-initialise, but for guard.life, which is -1. */
struct hold {
    struct guard guard;
    bool held;         /* by us */
    bool still;        /* by us, or somebody else had paused it before */
    int64_t since;     /* monotonic milliseconds */
    uint64_t *written; /* bytes, of each disk: nothing may be added to it */
};
/* Pauses the guest, unless it is already. What may take time is done before. -1: it is not, or must
 * be let go by hold_end. */
int hold_begin(struct move *move, struct hold *hold, struct error *error) MUST_CHECK;
bool hold_is_over_time(const struct hold *hold);
/* Fails unless the guest has stood still all the time. */
int hold_check(struct move *move, const struct hold *hold, struct error *error) MUST_CHECK;
/* The guest goes on, before anything else. */
int hold_end(struct move *move, struct hold *hold, struct error *error) MUST_CHECK;
/* The same, later or in another process, if it is the same run of the guest and still paused. */
int move_let_go(struct move *move, struct error *error) MUST_CHECK;

/* guard.c: a process that outlives us and lets the guest go on when we die, or take too long. */
int guard_start(struct move *move, int run, struct guard *guard, struct error *error) MUST_CHECK;
void guard_dismiss(struct guard *guard);

/* ---- the targets as they were at the pivot (capture.c) ---- */

bool capture_is_wanted(const struct move *move, size_t index);
/* Removes what an earlier try has left: it is not of this pivot. */
int capture_clean(struct move *move, const bool *which, struct error *error) MUST_CHECK;
/* Writes down that these disks are about to be captured; until they are, they count as lost to
 * comparison. */
int capture_announce(struct move *move, const bool *which, struct error *error) MUST_CHECK;
/* Opens their images; capture_take makes the snapshots, capture_conclude notes that they are good.
 */
struct capture {
    struct ceph_capture_of *of;
    size_t count;
    struct ceph_captures *captures; /* NULL: it was given up */
};
int capture_open(struct move *move, const bool *which, struct capture *capture, struct error *error)
    MUST_CHECK;
int capture_take(struct capture *capture, struct error *error) MUST_CHECK;
int capture_conclude(struct move *move, const bool *which, struct error *error) MUST_CHECK;
void capture_clear(struct capture *capture);
/* Removes the snapshot of this disk, if there is one. */
int capture_drop(struct move *move, size_t index, struct error *error) MUST_CHECK;
/* The same, but waits for a client that was killed and has the image open. */
int capture_drop_patiently(struct move *move, size_t index, struct error *error) MUST_CHECK;
/* It is gone, as its image is. */
int capture_forget(struct move *move, size_t index, struct error *error) MUST_CHECK;
int capture_set_verdict(struct move *move, size_t index, enum disk_verdict verdict,
                        struct error *error) MUST_CHECK;

/* verify_source.c: opens the disk that the guest had before, for reading; it must be in use by
 * nobody. ERROR_UNSUPPORTED: its kind cannot be read by us. */
int verify_source_open(struct move *move, size_t index, struct blocks **blocks, struct error *error)
    MUST_CHECK;
/* Whether somebody uses it who may have written there; ERROR_BUSY names him. */
int verify_source_unused(struct move *move, size_t index, struct error *error) MUST_CHECK;

/* Compares the disk's source with its target, at a snapshot or (NULL) as it is, and writes nothing
 * down. ERROR_BUSY: somebody uses the source, or has come to use it. */
int verify_compare(struct move *move, size_t index, const char *snapshot,
                   struct blocks_comparison *found, struct error *error) MUST_CHECK;

/* ---- looking at the world (observe.c) ---- */

enum disk_place {
    PLACE_UNKNOWN, /* the guest does not run, or has no such disk */
    PLACE_SOURCE,
    PLACE_TARGET,
    PLACE_ELSEWHERE, /* somebody gave it another disk */
};

struct disk_view {
    enum disk_place live;    /* what the running guest writes to */
    enum disk_place defined; /* what the persistent definition names */
    bool mirrored, ready;    /* our job is there: into our target; it may be pivoted */
    bool ending;             /* our job was told to end, and takes no more orders */
    bool foreign_job;        /* somebody else's job is there: never to be touched */
};

struct world {
    struct virt_domain state;
    struct domain *live, *inactive; /* NULL when there is none */
    struct disk_view *disks;        /* one for each of move->disks */
};
#define AUTO_WORLD CLEANUP(world_clear)
int observe(struct move *move, struct world *world, struct error *error) MUST_CHECK;
/* The same, once no job is ending any more: only then the live XML says where the guest writes. */
int observe_settled(struct move *move, struct world *world, struct error *error) MUST_CHECK;
void world_clear(struct world *world);
/* Whether the guest that runs now is another run of it than the one that the move began with. */
bool is_another_run(const struct move *move, const struct world *world);

/* ---- small things that several steps need (common.c) ---- */

const struct plan_disk *move_plan_of(const struct move *move, size_t index);
unsigned move_patience(const struct move *move);
int64_t move_now_ms(void); /* monotonic */
bool move_out_of_patience(const struct move *move, int64_t since_ms);
/* After a failure because somebody has an image open, or does not answer, waits a moment, forgets
 * the failure, and says true: another try is worth it, as the watch of a process that was killed
 * goes away within half a minute. False: it is something else, or has lasted too long. */
bool move_waits_for_others(struct move *move, int64_t since_ms, struct error *error);
struct ceph_image_name move_target_name(const struct plan_disk *disk);
int move_target_cluster(struct move *move, const struct plan_disk *disk,
                        struct ceph_cluster **cluster, struct error *error);
/* The same of an RBD source. */
struct ceph_image_name move_source_name(const struct plan_disk *disk);
int move_source_cluster(struct move *move, const struct plan_disk *disk,
                        struct ceph_cluster **cluster, struct error *error);
void move_warn(struct move *move, const char *format, ...) PRINTF(2, 3);
/* ERROR_CANCELLED when the user, here or at another terminal, asked for the end. */
int move_check_interrupted(struct move *move, struct move_control *control, struct error *error);
int move_set_fate(struct move *move, size_t index, enum disk_fate fate, struct error *error);
/* Of all disks at once. */
int move_set_fates(struct move *move, enum disk_fate fate, struct error *error) MUST_CHECK;
bool move_has_fate(const struct move *move, enum disk_fate fate); /* any of them */
bool move_any_pivoted(const struct move *move);
bool move_all_pivoted(const struct move *move);
/* Cancels the jobs of all disks that are not on their target, and waits until they are gone. */
int move_abort_mirrors(struct move *move, struct error *error);
/* Writes the definition that will be right after the pivots where an operator finds it. */
int move_save_successor(struct move *move, struct error *error);
/* Writes where the disk went, for whoever comes with the old XML. */
int move_write_ledger(struct move *move, size_t index, struct error *error);
/* Removes the target images that no disk uses. */
int move_remove_targets(struct move *move, struct error *error);
/* Writes the move and its disks, each with a new token, into the journal. */
int move_record_plan(struct move *move, const char *uri, const char *xml, struct error *error);

/* Opens what the disk was on before the move, to be read. `idle`: see blocks_open_rbd_idle. */
int move_open_source(struct move *move, size_t index, bool idle, struct blocks **blocks,
                     struct error *error) MUST_CHECK;
/* Opens what it goes to, at a snapshot or (NULL) as it is. */
int move_open_target(struct move *move, size_t index, const char *snapshot, bool writable,
                     struct blocks **blocks, struct error *error) MUST_CHECK;
/* Whether we copy the disks ourselves, in a move or an undo, since the domain is off. */
bool move_is_offline(const struct move *move);

/* ---- ways to an end (machine.c, recover.c, resume.c) ---- */

/* Runs act; when the daemon goes away in the middle, waits for it, asks the world whether the step
 * is done if look_first (else step may be NULL), and runs it again. */
int insist(struct move *move, const struct step *step, int (*act)(struct move *, struct error *),
           bool look_first, struct error *error);

/* The steps from the one that leads to this phase on, as in a move that has come so far. */
int run_from(struct move *move, enum move_phase phase, struct error *error);
/* Goes on with the copy of a domain that is off, up to the move's end. *resumed: false when that
 * cannot be done (a warning has said why), and there is nothing new. */
int resume_copy(struct move *move, bool *resumed, struct error *error);

/* Looks where each disk is, whoever pivoted it. ERROR_OPERATOR when nobody can know. */
int settle_fates(struct move *move, struct error *error);
/* All back: the guest writes to its sources. */
int undo_all(struct move *move, struct error *error);
/* The disks that have not pivoted stay where they are. */
int leave_the_rest(struct move *move, struct error *error);
/* The definition rewritten, and everything read back. */
int finish(struct move *move, struct error *error);
/* Reads what the journal has of move->id; the plan is the caller's to free. */
int move_load(struct move *move, struct plan **plan, struct error *error);
/* The same for a guest that was to migrate here (incoming.c). */
int incoming_recover(struct move *move, struct plan *plan, enum move_outcome *outcome,
                     struct error *error);
/* Closes both ends of a copy of our own. */
void offline_close(struct move *move);
/* The same, and the definition is given back if it names the copies. */
int offline_undo(struct move *move, struct error *error);
/* The move has ended well: the snapshots that were copied along get their names. */
void offline_reveal_snapshots(struct move *move);
/* Whether a definition that names the copies is right, when nobody has written down that it is:
 * gives every disk its fate. ERROR_OPERATOR when nobody can know. */
int offline_settle_doubt(struct move *move, const struct world *world, struct error *error)
    MUST_CHECK;
int reach(struct move *move, enum move_phase phase, const char *detail, struct error *error);
/* Records that a person is needed; the definition is put right as far as that can be done. */
int needs_operator(struct move *move, struct error *error);
void forget(struct move *move);

#endif
