/* Wishes to the copy of a move that another process runs: throttle, pause, resume. */
#include "base/units.h"
#include "cli/control.h"

#include <inttypes.h>

/* ---- throttle ---- */

static int parse_limit(const char *text, uint64_t *rate, struct error *error)
{
    *rate = 0;
    if (text_equal(text, "unlimited"))
        return 0;
    if (parse_rate(text, rate, error) == 0)
        return 0;
    error->code = ERROR_USAGE;
    return error_hint(error, "write it like 200MiB; 0 or 'unlimited' lifts the limit");
}

static int throttle(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    uint64_t rate = 0;
    AUTO_SESSION struct session session = {0};
    CLEANUP(move_view_clear) struct move_view view = {0};
    if (parse_limit(call->arguments[1], &rate, error) < 0 ||
        control_find_copying(cli, call->arguments[0], &session, &view, error) < 0 ||
        journal_ask_bandwidth(session.journal, view.record.id, rate, error) < 0)
        return -1;
    AUTO_FREE char *text = rate ? format_rate(rate) : NULL;
    cli_say(cli, "move %" PRId64 " of domain '%s': asked for %s%s%s", view.record.id,
            view.record.domain, rate ? "at most " : "no limit of the bandwidth", rate ? text : "",
            rate && view.disks.count > 1 ? " for each disk" : "");
    return 0;
}

const struct cli_verb throttle_verb = {
    "throttle",
    "DOMAIN RATE",
    "Limits the bandwidth of a move's copy, like 200MiB; 0 lifts it",
    NULL,
    2,
    2,
    throttle};

/* ---- pause and resume ---- */

static int ask_pause(const struct cli *cli, const char *domain, bool paused, struct error *error)
{
    AUTO_SESSION struct session session = {0};
    CLEANUP(move_view_clear) struct move_view view = {0};
    if (control_find_copying(cli, domain, &session, &view, error) < 0)
        return -1;
    if (view.control.paused == paused)
        return error_set(error, ERROR_NOTHING, "move %" PRId64 " of domain '%s' is %s",
                         view.record.id, view.record.domain,
                         paused ? "paused already" : "not paused");
    if (journal_ask_pause(session.journal, view.record.id, paused, error) < 0)
        return -1;
    cli_say(cli, "move %" PRId64 " of domain '%s': asked to %s", view.record.id, view.record.domain,
            paused ? "pause; 'virt-pivot resume' lets it go on" : "go on");
    return 0;
}

static int pause_move(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    return ask_pause(cli, call->arguments[0], true, error);
}

static int resume_move(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    return ask_pause(cli, call->arguments[0], false, error);
}

const struct cli_verb pause_verb = {
    "pause", "DOMAIN", "Holds a move's copy back until it is resumed", NULL, 1, 1, pause_move};
const struct cli_verb resume_verb = {"resume", "DOMAIN",   "Lets a paused move go on", NULL, 1,
                                     1,        resume_move};
