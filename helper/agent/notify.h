/* What the agent says: plain lines on stderr, and to systemd when it runs under it. */
#ifndef VP_AGENT_NOTIFY_H
#define VP_AGENT_NOTIFY_H

#include "base/error.h"

#include <stdint.h>

/* syslog's numbers, which sd-daemon(3) takes as "<3>" before a line. */
enum say_level { SAY_ERROR = 3, SAY_WARNING = 4, SAY_INFO = 6, SAY_DEBUG = 7 };

struct voice {
    enum say_level most; /* what is less important is not said */
    bool prefixes;       /* stderr is systemd's journal: it takes levels */
    char *last;          /* never said twice in a row */
    char *status;        /* that systemd was told last */
    int64_t fed;         /* when the watchdog was, monotonic seconds */
};
void voice_init(struct voice *voice, bool quiet, unsigned verbose);
void voice_clear(struct voice *voice);
/* One line; control characters, of names and messages from outside, are '?'. */
void say(struct voice *voice, enum say_level level, const char *format, ...) PRINTF(3, 4);

/* Something that lasts, such as a daemon that is away: said when it begins, when its text changes,
 * and when it is over. */
struct trouble {
    char *said; /* NULL: there is none */
};
/* "WHAT: error's message (hint)". */
void trouble_is(struct trouble *trouble, struct voice *voice, const char *what,
                const struct error *error);
/* Says good if there was trouble. */
void trouble_over(struct trouble *trouble, struct voice *voice, const char *good);
void trouble_clear(struct trouble *trouble);

/* ---- systemd: sd_notify(3); nothing without it ---- */

void notify_ready(void);
void notify_stopping(void);
/* What it does, for `systemctl status`. */
void notify_status(struct voice *voice, const char *text);
/* Feeds the watchdog, at most once a second. */
void notify_alive(struct voice *voice);
/* How often that must be done: seconds; 0 = never. */
unsigned notify_interval(void);

#endif
