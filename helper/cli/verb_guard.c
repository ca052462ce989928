/* Watches over a guest that another virt-pivot has paused: lets it go on when that one dies. */
#include "cli/cli.h"

#include <inttypes.h>
#include <poll.h>
#include <time.h>

/* After the other's end a demand of his to pause may still be on its way. */
#define AFTERMATH_SECONDS 3
#define PERSISTENCE_SECONDS 3600 /* libvirt's daemon may be away as long as its upgrade takes */
#define POLL_MILLISECONDS 50

struct charge {
    const struct cli *cli;
    struct virt *virt;
    int64_t move;
    const char *uuid;
    int run; /* of the guest */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 1: dismissed; 0: the other has died, or takes too long. */
static int await_word(void)
{
    const int64_t begin = now_ms();
    for (;;) {
        struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
        int64_t left = (int64_t)GUARD_SECONDS * 1000 - (now_ms() - begin);
        if (left <= 0)
            return 0;
        if (poll(&wait, 1, (int)left) != 1)
            continue;
        char byte = 0;
        return read(STDIN_FILENO, &byte, 1) == 1;
    }
}

/* *done: it runs on, by us or by others; or that run of it is over. */
static int let_go(struct charge *charge, bool *paused, bool *over, struct error *error)
{
    struct virt_domain state = {0};
    if (virt_domain(charge->virt, charge->uuid, &state, error) < 0)
        return -1;
    *over = !state.active || state.id != charge->run;
    *paused = !*over && state.paused;
    virt_domain_clear(&state);
    return *paused ? virt_resume(charge->virt, charge->uuid, error) : 0;
}

/* So that nobody takes a pause of somebody else's for ours. */
static void note_release(const struct charge *charge)
{
    AUTO_ERROR struct error ignored = {0};
    CLEANUP(journal_closep) struct journal *journal = NULL;
    CLEANUP(move_record_clear) struct move_record record = {0};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (journal_open(charge->cli->state, JOURNAL_CHANGE, &journal, &ignored) < 0 ||
        journal_read(journal, charge->move, &record, &ignored) < 0 || !record.held)
        return;
    int64_t held = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - record.held;
    if (journal_release(journal, charge->move, held > 0 ? (uint64_t)held : 0, &ignored) < 0 ||
        journal_note(journal, charge->move, "guard",
                     "the guest was left paused in its pivot, and goes on", &ignored) < 0)
        error_clear(&ignored);
}

static int stand_in(struct charge *charge, struct error *error)
{
    const int64_t begin = now_ms();
    while (now_ms() - begin < (int64_t)PERSISTENCE_SECONDS * 1000) {
        bool paused = false, over = false;
        AUTO_ERROR struct error away = {0};
        error_clear(error);
        int result = let_go(charge, &paused, &over, error);
        if (result == 0 && paused)
            note_release(charge);
        if (result == 0 && (paused || over || now_ms() - begin > (int64_t)AFTERMATH_SECONDS * 1000))
            return 0;
        if (result < 0 && error->code == ERROR_DISCONNECTED &&
            virt_reconnect(charge->virt, 1, &away) == 0)
            continue;
        usleep(POLL_MILLISECONDS * 1000);
    }
    return error_is_set(error) ? -1 : 0;
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    AUTO_SESSION struct session session = {0};
    if (session_open(cli, SESSION_VIRT, &session, error) < 0)
        return -1;
    struct charge charge = {.cli = cli,
                            .virt = session.virt,
                            .move = strtoll(call->arguments[0], NULL, 10),
                            .uuid = call->arguments[1],
                            .run = atoi(call->arguments[2])};
    bool paused = false, over = false;
    /* Everything is looked up once, so that it is at hand. */
    struct virt_domain state = {0};
    if (virt_domain(charge.virt, charge.uuid, &state, error) < 0)
        return -1;
    paused = state.paused;
    over = !state.active || state.id != charge.run;
    virt_domain_clear(&state);
    if (paused || over)
        return error_set(error, ERROR_NOTHING, "the guest is %s", over ? "gone" : "paused already");
    if (write(STDOUT_FILENO, "r", 1) != 1)
        return error_set(error, ERROR_FAILED, "nobody listens");
    close(STDOUT_FILENO);
    return await_word() ? 0 : stand_in(&charge, error);
}

const struct cli_verb guard_verb = {"guard",
                                    "MOVE UUID RUN",
                                    "Lets a guest paused for its pivot go on (virt-pivot calls it)",
                                    NULL,
                                    3,
                                    3,
                                    run};
