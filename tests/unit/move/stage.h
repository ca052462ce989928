/* A whole move of the fake world's guest: policy, survey, plan, journal, and lives of virt-pivot,
 * each of which may end by a kill. */
#ifndef TESTS_UNIT_MOVE_STAGE_H
#define TESTS_UNIT_MOVE_STAGE_H

#include "fake_world.h"
#include "move/move.h"
#include "survey/survey.h"

/* A guest that migrates here. */
struct stage_arrival {
    bool lasting;  /* with a definition */
    bool networks; /* which have other names here */
    bool watched;  /* somebody knows whether it ever ran here */
};

struct stage_kind {
    size_t disks;
    const char *definition; /* dance, keep */
    bool transient;
    bool off;                  /* the guest does not run */
    const char *more;          /* of the policy */
    const char *tiers, *rules; /* further tiers, and rules before the one for all; NULL */
    const char *tier;          /* of the request; NULL */
    void (*change)(struct fake_world *world); /* before anything looks at it; NULL */
    const struct stage_arrival *arrival;      /* NULL: it runs here */
};

/* How a life of virt-pivot ended. */
struct outcome {
    int status; /* virt-pivot's exit status, or FAKE_KILLED */
    enum error_code code;
    int64_t id;
    enum move_outcome end;        /* of a recovery */
    size_t recovered;             /* how many moves there were to recover */
    enum error_code verification; /* of the last one that did not succeed */
    long writes;                  /* of the journal, while they were */
    char message[1024], hint[256];
};

struct stage {
    struct stage_kind kind;
    struct fake_world *world; /* in shared memory, as is: */
    struct outcome *outcome;
    char *folder; /* the state directory */
    const struct policy *policy;
    struct plan *plan;
    char *live_xml;
    char *definition; /* the inactive XML before the move; of a transient domain the live one */
    char *handed;     /* what the hook prints for an incoming migration */
    char *keyring;    /* a file: what the hook's helper has instead of libvirt's secrets */
    struct move_audience audience;
    unsigned patience;
    int64_t undoes; /* what stage_undo takes back */
    bool keep;      /* an operator says that the guest did run here */
    struct retire_wishes wishes;
    char *told;     /* "vda: FATE (OBSTACLE)", a line each, of the last retirement */
    bool unproven;  /* verification is put off */
    char *warnings; /* of the last life that was not a child's */

    /* What a life holds: the system takes it back, however it ends. */
    struct virt virt;
    struct journal *journal;
    struct clusters *clusters;
    int lock;
    struct error error;
};

void stage_open(struct stage *stage, const struct stage_kind *kind);
void stage_close(struct stage *stage);
#define AUTO_STAGE CLEANUP(stage_close)

/* The world as it was, with an empty state directory, for the next move of the same plan. */
void stage_again(struct stage *stage);

/* `virt-pivot move`. One that is killed leaks; in a child it may be killed anywhere. */
const struct outcome *stage_move(struct stage *stage);
const struct outcome *stage_move_in_child(struct stage *stage);
/* `virt-pivot undo` of this move, of a guest that has moved. */
const struct outcome *stage_undo(struct stage *stage, int64_t id);
const struct outcome *stage_undo_in_child(struct stage *stage, int64_t id);
/* `virt-pivot incoming`, for the hook: libvirt goes on with its XML if all is well. */
const struct outcome *stage_expect(struct stage *stage);
const struct outcome *stage_expect_in_child(struct stage *stage);
/* `virt-pivot verify`; the two others go on with it as long as they live. */
const struct outcome *stage_verify(struct stage *stage);
/* `virt-pivot recover`. */
const struct outcome *stage_recover(struct stage *stage);
const struct outcome *stage_recover_in_child(struct stage *stage);
/* `virt-pivot recover --resume`. */
const struct outcome *stage_resume(struct stage *stage);

/* `virt-pivot retire 1`; what it told of each disk is in stage->told. */
const struct outcome *stage_retire(struct stage *stage, const struct retire_wishes *wishes);
const struct outcome *stage_retire_in_child(struct stage *stage);

/* A copy of world and state directory, to begin from more than once. */
struct stage_copy {
    struct fake_world world;
    char *folder;
};
void stage_save(const struct stage *stage, struct stage_copy *copy);
void stage_load(struct stage *stage, const struct stage_copy *copy);
void stage_copy_clear(struct stage_copy *copy);

/* ---- the independent checker (check.c): it looks at the world and the files, and believes nobody.
 * New string: what is wrong; NULL: nothing. *checks is counted up. ---- */

/* No acknowledged write is lost, no source touched, no image written by two. */
char *check_writes_kept(const struct stage *stage, long *checks);
/* The invariants that hold at every instant: the same, and a definition that is right. */
char *check_always(const struct stage *stage, long *checks);
/* All that, and that the move has come to its end as the outcome claims. */
char *check_ended(const struct stage *stage, const struct outcome *outcome, long *checks);
/* One number out of the journal, by a connection of our own; -1: there is no such thing. */
long ask_journal(const struct stage *stage, const char *sql);

#endif
