/* Guests that have moved, on their way back; and the independent checker for that. */
#ifndef TESTS_UNIT_MOVE_UNDONE_H
#define TESTS_UNIT_MOVE_UNDONE_H

#include "points.h"

/* A guest that has moved, and written since. */
struct moved {
    struct stage stage;
    struct stage_copy copy;    /* of that moment */
    char definition[FAKE_XML]; /* as it was then */
};
void moved_open(struct moved *moved, const struct stage_kind *kind);
void moved_close(struct moved *moved);
#define AUTO_MOVED CLEANUP(moved_close)
/* That moment again. */
void moved_again(struct moved *moved);

/* An undo of move 1 has come to its end as the outcome claims: new string, or NULL. */
char *check_undone(const struct moved *moved, const struct outcome *outcome, long *checks);

#endif
