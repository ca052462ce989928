/* Every point of a move: each call that a nominal one makes, one after the other, as the place
 * where something happens. */
#ifndef TESTS_UNIT_MOVE_POINTS_H
#define TESTS_UNIT_MOVE_POINTS_H

#include "cmocka_compat.h"

#include "stage.h"

/* What a series of runs came to. */
struct tally {
    const char *name;
    long points, runs, checks;
    long ends[5]; /* by exit status, of the lives that were not killed */
    long killed, recovered, doubts;
    struct text_list problems;
};

/* Moves that go well, that fail before the first pivot and are taken back, and that fail after it:
 * each has a way of its own to be disturbed on. */
extern const struct stage_kind all_kinds[];
extern const size_t all_kinds_count;

/* Those of a domain that is off, which RBD migrates within the cluster. */
extern const struct stage_kind migrated_kinds[];
extern const size_t migrated_kinds_count;

/* The calls of a move in which nothing happens but what is of its kind. */
struct calls {
    long count;
    int status; /* how it ends */
    unsigned char kinds[FAKE_CALLS];
};
void calls_record(struct stage *stage, struct calls *calls);

/* Adds what is wrong (and releases it) with where that was; NULL is nothing. */
void tally_problem(struct tally *tally, const struct stage *stage, const char *where, char *wrong);
/* Prints the sums, and fails if there was a problem. */
void tally_close(struct tally *tally);

/* A life is over: the invariants must hold. If it needs an operator and the cause is gone, recovery
 * must bring it to its end, and a second one must have nothing to do. */
void settle(struct tally *tally, struct stage *stage, const char *where);
/* The same after a kill. */
void settle_after_kill(struct tally *tally, struct stage *stage, const char *where);
/* The same, where things need not be right before the recovery. */
void settle_by_recovery(struct tally *tally, struct stage *stage, const char *where);

/* libvirt has no compare-and-set: a change that comes between our last look at the definition and
 * what we then do with it is lost, whoever writes such a program. */
bool point_is_a_race(const struct calls *calls, long at);

/* From one point that is tried to the next: 1, or what VP_TEST_EVERY says, where all of them take
 * too long. */
long point_stride(void);

/* "call 17 (virt_define), before", new string. */
char *point_name(const struct calls *calls, const struct fake_event *event);

/* Moves of these kinds, all of domains that are off, with these deeds at each call, so many calls
 * apart; the guest is started afterwards. */
void disturb_every_call(const struct stage_kind *kinds, size_t count, const char *name,
                        const enum fake_deed deeds[FAKE_EVENTS], long apart);

#endif
