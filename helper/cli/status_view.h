/* What `status` shows: moves, requests, and whether an agent is at work. From the state directory
 * alone: no libvirt, no Ceph. */
#ifndef VP_CLI_STATUS_VIEW_H
#define VP_CLI_STATUS_VIEW_H

#include "cli/cli.h"
#include "cli/move_view.h"
#include "cli/request_view.h"

struct status_view {
    struct move_views moves;
    struct request_views requests;
    bool agent;
    int agent_pid; /* 0: not known */
};
void status_view_clear(struct status_view *view);

/* Of one domain, by name or UUID, when it is not NULL. No journal is nothing under way. */
int status_view_read(const struct cli *cli, const char *domain, struct status_view *view,
                     struct error *error) MUST_CHECK;
bool status_view_is_empty(const struct status_view *view);
/* Whether it will change by itself: a process is at work, or an agent has something to do. */
bool status_view_is_alive(const struct status_view *view);
size_t status_view_open_requests(const struct status_view *view);

struct json_object;
/* {"moves":[…],"requests":[…],"agent":{"running":…,"pid":…}} */
struct json_object *status_view_json(const struct status_view *view) MUST_CHECK;
/* Tables, and below them what they have no room for. */
void status_view_print(const struct status_view *view, FILE *file);

#endif
