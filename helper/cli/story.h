/* A move's story for people: the journal's raw events, begin and end of a step made one line. */
#ifndef VP_CLI_STORY_H
#define VP_CLI_STORY_H

#include "journal/journal.h"

struct story_line {
    int64_t at;         /* milliseconds since the epoch: when it began */
    int64_t took;       /* milliseconds; -1: not known */
    char *what;         /* "copying", "warning"; "copying: not finished", "copying: under way" */
    const char *detail; /* borrowed; NULL */
};
DEFINE_VECTOR(story_lines, struct story_line);
void story_clear(struct story_lines *lines);
/* running: a process is at the move, so that the step begun last is under way. */
void story_tell(const struct step_records *steps, bool running, struct story_lines *lines);

/* "0.12 s", "12 s", "1 min 02 s"; new string. */
char *format_milliseconds(int64_t milliseconds) MUST_CHECK;

#endif
