#include "cli/request_cancel.h"

#include "cli/request_view.h"
#include "queue/queue.h"

#include <fcntl.h>
#include <inttypes.h>

#define FORK_PATIENCE 20 /* times 50 ms, from "running" to the process's number */

void cancelled_requests_clear(struct cancelled_requests *cancelled)
{
    request_records_clear(&cancelled->running);
    *cancelled = (struct cancelled_requests){0};
}

/* ---- in the queue folder ---- */

static int take_one(struct journal *journal, const char *state, const struct request_view *view,
                    struct error *error)
{
    int64_t id = 0;
    return journal_request_add(journal, &view->record, &id, error) < 0
               ? -1
               : queue_done(state, view->record.file, error);
}

int requests_take_queued(const struct cli *cli, const char *domain, struct journal **journal,
                         struct error *error)
{
    CLEANUP(request_views_clear) struct request_views queued = {0};
    if (request_views_add_queued(cli->state, domain, &queued, error) < 0 ||
        (queued.count && !*journal && journal_open(cli->state, JOURNAL_WRITE, journal, error) < 0))
        return -1;
    for (size_t i = 0; i < queued.count; i++)
        if (take_one(*journal, cli->state, &queued.items[i], error) < 0)
            return -1;
    return 0;
}

/* ---- in the journal ---- */

static void say(const struct cli *cli, const struct request_record *record)
{
    const char *what = record->state == REQUEST_FAILED    ? "had failed; forgotten"
                       : record->state == REQUEST_RUNNING ? "is not tried again"
                                                          : "cancelled";
    cli_say(cli, "request %" PRId64 " of domain '%s' (%s%s%s): %s", record->id,
            request_domain(record), record->reason, record->tier ? ", tier " : "",
            record->tier ? record->tier : "", what);
}

/* What waits, or has failed. Never what has begun to run in this very moment. */
static int cancel_idle(const struct cli *cli, struct journal *journal, const char *domain,
                       size_t *sum, struct error *error)
{
    CLEANUP(request_views_clear) struct request_views views = {0};
    if (request_views_read(journal, domain, &views, error) < 0)
        return -1;
    for (size_t i = 0; i < views.count; i++) {
        const struct request_record *record = &views.items[i].record;
        size_t count = 0; /* 0, too, when an earlier turn has cancelled all of this domain */
        if (journal_requests_cancel(journal, record->uuid, &count, error) < 0)
            return -1;
        *sum += count;
        if (record->state != REQUEST_RUNNING)
            say(cli, record);
    }
    return 0;
}

static bool awaits_fork(const struct request_views *views)
{
    for (size_t i = 0; i < views->count; i++)
        if (views->items[i].record.state == REQUEST_RUNNING && views->items[i].record.pid == 0)
            return true;
    return false;
}

/* The agent writes "running" first, and then, when there is one, the number of the process. */
static int read_settled(struct journal *journal, const char *domain, struct request_views *views,
                        struct error *error)
{
    for (unsigned tries = 0;; tries++) {
        if (request_views_read(journal, domain, views, error) < 0)
            return -1;
        if (!awaits_fork(views) || tries == FORK_PATIENCE)
            return 0;
        request_views_clear(views);
        usleep(50000);
    }
}

static int cancel_running(const struct cli *cli, struct journal *journal, const char *domain,
                          struct cancelled_requests *cancelled, struct error *error)
{
    CLEANUP(request_views_clear) struct request_views views = {0};
    if (read_settled(journal, domain, &views, error) < 0)
        return -1;
    for (size_t i = 0; i < views.count; i++) {
        struct request_record *record = &views.items[i].record;
        if (record->state != REQUEST_RUNNING)
            continue;
        say(cli, record);
        record->state = REQUEST_CANCELLED;
        if (journal_request_update(journal, record, error) < 0)
            return -1;
        cancelled->count++;
        *request_records_add(&cancelled->running) = *record;
        *record = (struct request_record){0};
    }
    return 0;
}

int requests_cancel(const struct cli *cli, struct journal *journal, const char *domain,
                    bool running, struct cancelled_requests *cancelled, struct error *error)
{
    if (cancel_idle(cli, journal, domain, &cancelled->count, error) < 0)
        return -1;
    return running ? cancel_running(cli, journal, domain, cancelled, error) : 0;
}

/* A number alone may be another process's by now: this one's arguments name the domain. */
bool request_has_process(const struct request_record *record)
{
    if (record->pid <= 0)
        return false;
    AUTO_FREE char *path = text_format("/proc/%d/cmdline", record->pid);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[4096];
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text));
    return length > 0 && memmem(text, (size_t)length, record->uuid, strlen(record->uuid));
}
