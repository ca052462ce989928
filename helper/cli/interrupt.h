/* Ctrl-C and SIGTERM, without a handler: the signals are blocked and asked for. */
#ifndef VP_CLI_INTERRUPT_H
#define VP_CLI_INTERRUPT_H

#include <stdbool.h>

struct interrupt {
    bool asking; /* "Cancel the move?" is on the terminal */
    bool confirmed;
};

/* Blocks SIGINT and SIGTERM, and ignores SIGHUP: a lost terminal does not end a copy of hours.
 * Threads that there are must not take them either: see base/thread.h. Until then Ctrl-C ends the
 * process, as it should while nothing has begun: libvirt may never answer. */
void interrupt_arm(struct interrupt *interrupt);
/* True once the user wants the end: at SIGTERM, at Ctrl-C without a terminal, at Ctrl-C and "y", or
 * at a second Ctrl-C. *asked is set when a question was just put on the terminal. Never blocks. */
bool interrupt_pending(struct interrupt *interrupt, bool *asked);
/* The same without a question: where nothing is lost by the end. */
bool interrupt_simple(struct interrupt *interrupt);

#endif
