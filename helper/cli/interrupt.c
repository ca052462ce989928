#include "cli/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static void ending_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
}

void interrupt_arm(struct interrupt *interrupt)
{
    *interrupt = (struct interrupt){0};
    sigset_t set;
    ending_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGHUP, SIG_IGN);
}

static void read_answer(struct interrupt *interrupt)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, 1, 0) != 1)
        return;
    char line[64] = "";
    ssize_t length = read(STDIN_FILENO, line, sizeof(line) - 1);
    interrupt->asking = false;
    interrupt->confirmed = length > 0 && (line[0] == 'y' || line[0] == 'Y');
    if (!interrupt->confirmed)
        fputs("The move goes on.\n", stderr);
}

bool interrupt_pending(struct interrupt *interrupt, bool *asked)
{
    *asked = false;
    sigset_t set;
    ending_signals(&set);
    const struct timespec at_once = {0};
    int number = sigtimedwait(&set, NULL, &at_once);
    if (number == SIGTERM || (number == SIGINT && (interrupt->asking || !isatty(STDIN_FILENO))))
        interrupt->confirmed = true;
    else if (number == SIGINT) {
        fputs("\nCancel the move and put everything back as it was? [y/N] ", stderr);
        interrupt->asking = true;
        *asked = true;
    }
    if (interrupt->asking && !interrupt->confirmed)
        read_answer(interrupt);
    return interrupt->confirmed;
}

bool interrupt_simple(struct interrupt *interrupt)
{
    sigset_t set;
    ending_signals(&set);
    const struct timespec at_once = {0};
    interrupt->confirmed |= sigtimedwait(&set, NULL, &at_once) > 0;
    return interrupt->confirmed;
}
