/* Requests as the journal and the queue folder know them, for status, check and cancel: no libvirt.
 */
#ifndef VP_CLI_REQUEST_VIEW_H
#define VP_CLI_REQUEST_VIEW_H

#include "journal/journal.h"

struct request_view {
    struct request_record record;
    bool queued; /* still a file in the queue folder, which no agent has taken: it has no number */
};
DEFINE_VECTOR(request_views, struct request_view);
void request_views_clear(struct request_views *views);

/* Adds what waits, runs, or failed and was not superseded, oldest first; of one domain, by name or
 * UUID, when it is not NULL. */
int request_views_read(struct journal *journal, const char *domain, struct request_views *views,
                       struct error *error) MUST_CHECK;
/* Adds those that still lie in the state directory's queue folder and are not there already. */
int request_views_add_queued(const char *state, const char *domain, struct request_views *views,
                             struct error *error) MUST_CHECK;

/* Whether a request is of this domain, by name or UUID; of any when it is NULL. */
bool request_is_of(const char *uuid, const char *name, const char *domain);
/* The domain's name, or its UUID where that is all there is. */
const char *request_domain(const struct request_record *record);
/* "queued", or the journal's word. */
const char *request_view_state(const struct request_view *view);
/* Whether there is something left for the agent to do: queued, waiting or running. */
bool request_view_is_open(const struct request_view *view);
/* What it waits for, or why it failed; new string, NULL: nothing to say. */
char *request_view_why(const struct request_view *view) MUST_CHECK;
/* "in 45 s", "now"; NULL unless it waits. */
char *request_view_next_try(const struct request_view *view, int64_t now) MUST_CHECK;

/* What to do about a failed one: its own hint, and how to ask for the very same again. */
char *request_hint(const struct request_record *record) MUST_CHECK;

struct json_object;
/* An array. */
struct json_object *request_views_json(const struct request_views *views) MUST_CHECK;

#endif
