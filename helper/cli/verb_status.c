#include "cli/status_view.h"
#include "cli/watch.h"

#include <inttypes.h>

enum { OPTION_WATCH = 512 };

static int print_none(const struct cli *cli, const char *domain, struct error *error)
{
    if (domain)
        return error_set(error, ERROR_NOTHING,
                         "no move of domain '%s' is under way, and no request for it waits",
                         domain);
    cli_say(cli, "no move is under way, and no request waits");
    return 0;
}

static int show(const struct cli *cli, const char *domain, const struct status_view *view,
                struct error *error)
{
    if (cli->format == FORMAT_JSON)
        cli_print_json(status_view_json(view));
    else
        status_view_print(view, stdout);
    return status_view_is_empty(view) ? print_none(cli, domain, error) : 0;
}

static int show_once(const struct cli *cli, const char *domain, struct error *error)
{
    CLEANUP(status_view_clear) struct status_view view = {0};
    return status_view_read(cli, domain, &view, error) < 0 ? -1 : show(cli, domain, &view, error);
}

/* ---- again and again: what was there the last time and is not any more ---- */

static int tell_ended_moves(const struct cli *cli, struct watch *watch, struct journal *journal,
                            const struct move_views *before, const struct move_views *now,
                            struct error *error)
{
    for (size_t i = 0; i < before->count; i++) {
        bool still = false;
        for (size_t j = 0; j < now->count; j++)
            still |= now->items[j].record.id == before->items[i].record.id;
        if (still)
            continue;
        CLEANUP(move_view_clear) struct move_view view = {0};
        if (move_view_read(journal, before->items[i].record.id, &view, error) < 0)
            return -1;
        watch_break(watch);
        cli_say(cli, "move %" PRId64 " of domain '%s': %s%s%s", view.record.id, view.record.domain,
                move_view_outcome(&view), view.record.message ? ": " : "",
                view.record.message ? view.record.message : "");
    }
    return 0;
}

static void tell_request(const struct cli *cli, struct watch *watch,
                         const struct request_record *record)
{
    watch_break(watch);
    cli_say(cli, "request %" PRId64 " of domain '%s': %s%s%s", record->id, request_domain(record),
            request_state_word(record->state), record->message ? ": " : "",
            record->message ? record->message : "");
}

static int tell_ended_requests(const struct cli *cli, struct watch *watch, struct journal *journal,
                               const struct request_views *before, const struct request_views *now,
                               struct error *error)
{
    CLEANUP(request_records_clear) struct request_records all = {0};
    for (size_t i = 0; i < before->count; i++) {
        const struct request_view *view = &before->items[i];
        bool still = false;
        for (size_t j = 0; j < now->count; j++)
            still |= now->items[j].record.id == view->record.id;
        if (still)
            continue;
        if (all.count == 0 && journal_requests(journal, REQUESTS_ALL, NULL, &all, error) < 0)
            return -1;
        for (size_t j = 0; j < all.count; j++)
            if (all.items[j].id == view->record.id)
                tell_request(cli, watch, &all.items[j]);
    }
    return 0;
}

static int tell_ended(const struct cli *cli, struct watch *watch, const struct status_view *before,
                      const struct status_view *now, struct error *error)
{
    if (status_view_is_empty(before))
        return 0;
    CLEANUP(journal_closep) struct journal *journal = NULL;
    if (journal_open(cli->state, JOURNAL_READ, &journal, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error); /* all that there was is in the queue folder still */
        return 0;
    }
    if (tell_ended_moves(cli, watch, journal, &before->moves, &now->moves, error) < 0)
        return -1;
    return tell_ended_requests(cli, watch, journal, &before->requests, &now->requests, error);
}

static void show_block(const struct cli *cli, struct watch *watch, const struct status_view *view)
{
    if (cli->format == FORMAT_JSON) {
        cli_print_json(status_view_json(view));
        return;
    }
    if (status_view_is_empty(view))
        return;
    status_view_print(view, watch_block(watch));
    watch_show(watch);
}

static int show_until_done(const struct cli *cli, const char *domain, struct error *error)
{
    CLEANUP(status_view_clear) struct status_view before = {0};
    struct watch watch;
    watch_begin(&watch, stdout);
    for (bool first = true;; first = false) {
        CLEANUP(status_view_clear) struct status_view view = {0};
        if (status_view_read(cli, domain, &view, error) < 0)
            return -1;
        if (first && status_view_is_empty(&view))
            return show(cli, domain, &view, error);
        show_block(cli, &watch, &view);
        if (tell_ended(cli, &watch, &before, &view, error) < 0)
            return -1;
        if (!status_view_is_alive(&view) || !watch_wait(&watch))
            return 0;
        status_view_clear(&before);
        before = view;
        view = (struct status_view){0};
    }
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    const char *domain = call->argument_count ? call->arguments[0] : NULL;
    return cli_has(call, OPTION_WATCH) ? show_until_done(cli, domain, error)
                                       : show_once(cli, domain, error);
}

static const struct cli_option options[] = {
    {"watch", OPTION_WATCH, NULL, "show it again every second until nothing is at work any more"},
    {NULL, 0, NULL, NULL},
};
const struct cli_verb status_verb = {
    "status",
    "[DOMAIN]",
    "Shows the moves that are under way, and the requests that wait or failed",
    options,
    0,
    1,
    run};
