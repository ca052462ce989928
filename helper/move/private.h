/* Shared by the files of helper/move only. */
#ifndef VP_MOVE_PRIVATE_H
#define VP_MOVE_PRIVATE_H

#include "move/move.h"

struct move {
    const struct mover *mover;
    int64_t id;
    const struct plan *plan;
    struct domain *before;     /* the live XML before the move */
    struct domain *saved;      /* the saved definition; NULL before it is saved, or if transient */
    struct disk_records disks; /* those that move, in the plan's order */
    enum move_phase phase;
    bool recovering;
    int64_t created; /* by a process that is dead now, in seconds since the epoch; 0: by us */
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
extern const struct step pivot_step;                                         /* step_pivot.c */

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
struct ceph_image_name move_target_name(const struct plan_disk *disk);
int move_target_cluster(struct move *move, const struct plan_disk *disk,
                        struct ceph_cluster **cluster, struct error *error);
void move_warn(struct move *move, const char *format, ...) PRINTF(2, 3);
/* ERROR_CANCELLED when the user, here or at another terminal, asked for the end. */
int move_check_interrupted(struct move *move, struct move_control *control, struct error *error);
int move_set_fate(struct move *move, size_t index, enum disk_fate fate, struct error *error);
bool move_any_pivoted(const struct move *move);
bool move_all_pivoted(const struct move *move);
/* Cancels the jobs of all disks that are not on their target, and waits until they are gone. */
int move_abort_mirrors(struct move *move, struct error *error);
/* Writes the definition that will be right after the pivots where an operator finds it. */
int move_save_successor(struct move *move, struct error *error);
/* Removes the target images that no disk uses. */
int move_remove_targets(struct move *move, struct error *error);

/* ---- ways to an end (machine.c, recover.c) ---- */

/* Runs act; when the daemon goes away in the middle, waits for it, asks the world whether the step
 * is done if look_first (else step may be NULL), and runs it again. */
int insist(struct move *move, const struct step *step, int (*act)(struct move *, struct error *),
           bool look_first, struct error *error);

/* Looks where each disk is, whoever pivoted it. ERROR_OPERATOR when nobody can know. */
int settle_fates(struct move *move, struct error *error);
/* All back: the guest writes to its sources. */
int undo_all(struct move *move, struct error *error);
/* The disks that have not pivoted stay where they are. */
int leave_the_rest(struct move *move, struct error *error);
/* The definition rewritten, and everything read back. */
int finish(struct move *move, struct error *error);
int reach(struct move *move, enum move_phase phase, const char *detail, struct error *error);
/* Records that a person is needed; the definition is put right as far as that can be done. */
int needs_operator(struct move *move, struct error *error);
void forget(struct move *move);

#endif
