#include "cli/status_view.h"

#include "agent/agent.h"

#include <json-c/json.h>

void status_view_clear(struct status_view *view)
{
    move_views_clear(&view->moves);
    request_views_clear(&view->requests);
    *view = (struct status_view){0};
}

static int read_journal(const struct cli *cli, const char *domain, struct status_view *view,
                        struct error *error)
{
    CLEANUP(journal_closep) struct journal *journal = NULL;
    if (journal_open(cli->state, JOURNAL_READ, &journal, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error);
        return 0;
    }
    if (move_views_read(journal, MOVES_UNFINISHED, domain, &view->moves, error) < 0 ||
        move_views_read(journal, MOVES_UNPROVEN, domain, &view->moves, error) < 0)
        return -1;
    return request_views_read(journal, domain, &view->requests, error);
}

int status_view_read(const struct cli *cli, const char *domain, struct status_view *view,
                     struct error *error)
{
    if (read_journal(cli, domain, view, error) < 0)
        return -1;
    AUTO_ERROR struct error unread = {0};
    if (request_views_add_queued(cli->state, domain, &view->requests, &unread) < 0)
        cli_say(cli, "warning: what waits in the queue is not shown: %s", unread.message);
    view->agent = agent_is_running(cli->state, &view->agent_pid);
    return 0;
}

bool status_view_is_empty(const struct status_view *view)
{
    return view->moves.count == 0 && view->requests.count == 0;
}

size_t status_view_open_requests(const struct status_view *view)
{
    size_t count = 0;
    for (size_t i = 0; i < view->requests.count; i++)
        count += request_view_is_open(&view->requests.items[i]);
    return count;
}

bool status_view_is_alive(const struct status_view *view)
{
    if (view->agent && status_view_open_requests(view))
        return true;
    for (size_t i = 0; i < view->moves.count; i++) {
        const struct move_view *move = &view->moves.items[i];
        bool agents =
            move->record.kind == MOVE_INCOMING && move->record.phase != PHASE_NEEDS_OPERATOR;
        bool ended = move_phase_is_final(move->record.phase); /* another may be at work */
        if ((ended ? move->verifying : move->alive) || (view->agent && agents))
            return true;
    }
    return false;
}

struct json_object *status_view_json(const struct status_view *view)
{
    struct json_object *json = move_views_json(&view->moves);
    json_object_object_add(json, "requests", request_views_json(&view->requests));
    struct json_object *agent = json_object_new_object();
    json_object_object_add(agent, "running", json_object_new_boolean(view->agent));
    json_object_object_add(
        agent, "pid",
        view->agent && view->agent_pid > 0 ? json_object_new_int64(view->agent_pid) : NULL);
    json_object_object_add(json, "agent", agent);
    return json;
}
