/* The queue: a folder in the state directory into which hook and command line put requests for the
 * agent, each a file that appears whole or not at all (written, synced, renamed). The agent takes
 * them into the journal and removes them.
 *
 * STATE/queue/NAME.json; half-written ones begin with a dot. What is not a request is set aside in
 * STATE/queue/bad/, with the reason in NAME.why. */
#ifndef VP_QUEUE_QUEUE_H
#define VP_QUEUE_QUEUE_H

#include "base/error.h"
#include "base/vector.h"

#include <stdint.h>

#define QUEUE_FILE_MAX_BYTES (64u << 10)

struct request {
    char *file;               /* its name in the folder; set by queue_take */
    char *uuid;               /* of the domain, lower case with dashes */
    char *domain;             /* its name, for people; NULL: not known */
    char *reason;             /* "start", "migrate", "tier", "user" */
    char *tier;               /* NULL: the rules decide */
    struct text_list targets; /* none: all that the policy moves */
    uint64_t bandwidth;       /* bytes per second; 0: the tier's */
    int64_t created;          /* seconds since the epoch; 0: now */
};
DEFINE_VECTOR(requests, struct request);
void request_clear(struct request *request);
void requests_clear(struct requests *requests);

/* Puts a request there, durably. The folder is made if need be (0700). ERROR_NO_SPACE and the like
 * leave nothing behind. */
int queue_put(const char *state, const struct request *request, struct error *error) MUST_CHECK;
/* Reads what is there, oldest first; garbage is set aside, and *bad counts it. The files stay until
 * queue_done. An empty list when there is no folder. Hostile content is expected: links, folders,
 * devices, huge files, any bytes. */
int queue_take(const char *state, struct requests *requests, size_t *bad, struct error *error)
    MUST_CHECK;
/* Removes a request's file, durably; success when it is gone already. */
int queue_done(const char *state, const char *file, struct error *error) MUST_CHECK;
/* How many were set aside as garbage; 0 also when that cannot be told. *example is a new string
 * (one of their paths) or NULL. */
size_t queue_bad(const char *state, char **example);
/* A descriptor that becomes readable (poll) when something was put there, or -1: then look now and
 * then. Close it. queue_changed empties it. Should somebody remove the folder, it is silent from
 * then on: look now and then all the same. */
int queue_watch(const char *state);
void queue_changed(int watch);

#endif
