/* Brings the data of a migrated disk over: a process of its own, since librbd cannot be interrupted
 * in that. It ends with whoever has started it. */
#include "cli/prepare.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#define TELL_SECONDS 1

struct telling {
    time_t last;
};

/* Nobody listens any more: SIGPIPE ends us. */
static void tell(void *opaque, uint64_t done, uint64_t total)
{
    struct telling *telling = opaque;
    time_t now = time(NULL);
    if (done < total && now - telling->last < TELL_SECONDS)
        return;
    telling->last = now;
    printf("%" PRIu64 " %" PRIu64 "\n", done, total);
    fflush(stdout);
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    AUTO_SESSION struct session session = {0};
    struct telling telling = {0};
    int64_t id = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (cli_move_number(call->arguments[0], &id, error) < 0 ||
        session_open(cli, SESSION_VIRT | SESSION_JOURNAL, &session, error) < 0)
        return -1;
    const struct mover mover = prepare_mover(&session, NULL);
    return move_bring(&mover, id, call->arguments[1], tell, &telling, error);
}

const struct cli_verb bring_verb = {
    "bring", "MOVE DISK", "Brings a migrated disk's data over (virt-pivot calls it)", NULL, 2,
    2,       run};
