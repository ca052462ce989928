/* Guests that migrate here, from the hook's helper to the end: scripts of what happens and of when
 * somebody looks, each life in them disturbed at every one of its calls. */
#ifndef TESTS_UNIT_MOVE_ARRIVAL_H
#define TESTS_UNIT_MOVE_ARRIVAL_H

#include "points.h"

#define SCRIPT_ACTS 12
#define SCRIPT_LIVES 8

enum act_kind {
    ACT_END,
    ACT_EXPECT,  /* a life: the hook's helper */
    ACT_LOOK,    /* a life: move_recover */
    ACT_PASS,    /* so many seconds */
    ACT_DEED,    /* an enum fake_deed */
    ACT_DEFINE,  /* somebody defines it by hand, with the images */
    ACT_OFFLINE, /* the definition migrates here as the hook has it, and nothing else */
    ACT_COPIES,  /* copies of the guest's files lie here under the same names: an enum copies */
    ACT_MEND, /* what stood in the way is gone: the cluster answers, nobody has the images open */
};
struct act {
    enum act_kind kind;
    int value;
};

enum copies {
    COPIES_OLD,    /* of long ago */
    COPIES_OF_ALL, /* somebody shut the guest down and took it here by himself */
};

enum script_end { ENDS_FINISHED, ENDS_REMOVED, ENDS_TRASHED, ENDS_NEVER_BEGUN };

struct script {
    const char *name;
    size_t disks;
    struct stage_arrival arrival;
    struct act acts[SCRIPT_ACTS];
    enum script_end end; /* when nothing disturbs it */
    bool asks;           /* and on the way an operator is needed, who knows the truth */
    bool helper_too;     /* the helper's life is disturbed as well: it is much the same in all */
};
extern const struct script scripts[];
extern const size_t scripts_count;

/* What is to happen in one life of a script; none: all zero. */
struct disturbance {
    size_t life; /* from 0 */
    struct fake_event event, then;
    long kill_at_write, full_from_write; /* of the journal */
    long again_at_call; /* right after it somebody looks, and is killed at this call; 0: nobody */
    bool again_without_room; /* or finds no room for the journal */
};

/* What the lives of an undisturbed script do. */
struct script_calls {
    size_t lives;
    struct calls of[SCRIPT_LIVES];
    long writes[SCRIPT_LIVES]; /* of the journal */
};

void script_open(struct stage *stage, const struct script *script);
/* Plays it and brings it to its end, however that is to be done: every wrong thing goes into the
 * tally. calls may be NULL. Returns how the last disturbed life ended. */
int script_play(struct tally *tally, struct stage *stage, const struct script *script,
                const struct disturbance *disturbance, struct script_calls *calls,
                const char *where);
/* Whether the life was the hook's helper's: it makes the images. */
bool is_helpers_life(const struct calls *calls);
/* The undisturbed one, which must end as it is said to. */
void script_record(struct tally *tally, struct stage *stage, const struct script *script,
                   struct script_calls *calls);

/* Whether something is to happen at this call, which is disturbance->event's, and what. */
typedef bool (*script_choice)(const struct calls *calls, enum fake_call call,
                              struct disturbance *disturbance);
/* Every script, with that happening at every call of every life. Fails if anything is wrong. */
void scripts_at_every_call(const char *name, script_choice choose);

/* What an operator does who was asked, and knows whether the guest ever ran here. */
void operator_answers(struct stage *stage);
/* Defines the domain as it came, with the images. */
void define_with_images(struct stage *stage);
/* The moved image of this disk; -1: there is none, or it is in the trash. */
int image_of_disk(const struct stage *stage, size_t disk);

/* ---- the independent checker (check_arrival.c), as in stage.h ---- */

char *check_arrival(const struct stage *stage, long *checks);
/* That, and that the migration has come to its end. */
char *check_arrival_ended(const struct stage *stage, long *checks);

#endif
