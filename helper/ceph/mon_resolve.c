#include "ceph/mon_resolve.h"

#include "base/thread.h"
#include "ceph/private.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <time.h>

#define MAX_ADDRESSES 8 /* of one name */

/* One name's look-up, in a thread of its own. It belongs to two, the thread and who waits, and the
 * last one releases it: a thread that is stuck in getaddrinfo cannot be stopped, only left alone.
 */
struct lookup {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    unsigned owners;
    bool finished;
    char *host;
    int result;
    struct addrinfo *addresses;
};

static void lookup_release(struct lookup *lookup)
{
    pthread_mutex_lock(&lookup->mutex);
    bool last = --lookup->owners == 0;
    pthread_mutex_unlock(&lookup->mutex);
    if (!last)
        return;
    if (lookup->addresses)
        freeaddrinfo(lookup->addresses);
    pthread_cond_destroy(&lookup->done);
    pthread_mutex_destroy(&lookup->mutex);
    free(lookup->host);
    free(lookup);
}

static int resolve(const char *host, struct addrinfo **addresses)
{
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    if (strchr(host, ':') || host[strspn(host, "0123456789.")] == '\0')
        wanted.ai_flags = AI_NUMERICHOST;
    *addresses = NULL;
    return getaddrinfo(host, NULL, &wanted, addresses);
}

static void *lookup_run(void *argument)
{
    struct lookup *lookup = argument;
    struct addrinfo *addresses = NULL;
    int result = resolve(lookup->host, &addresses);

    pthread_mutex_lock(&lookup->mutex);
    lookup->result = result;
    lookup->addresses = addresses;
    lookup->finished = true;
    pthread_cond_signal(&lookup->done);
    pthread_mutex_unlock(&lookup->mutex);
    lookup_release(lookup);
    return NULL;
}

static struct lookup *lookup_start(const char *host)
{
    struct lookup *lookup = NEW(struct lookup);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&lookup->done, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&lookup->mutex, NULL);
    lookup->host = text_dup(host);
    lookup->owners = 2;

    pthread_t thread;
    if (thread_start(&thread, lookup_run, lookup) == 0)
        pthread_detach(thread);
    else
        lookup_run(lookup); /* no thread to be had: then without the bound */
    return lookup;          /* NOLINT(clang-analyzer-unix.Malloc): it has two owners */
}

/* Whether it came to an end before the deadline. */
static bool lookup_wait(struct lookup *lookup, double deadline)
{
    struct timespec until = {.tv_sec = (time_t)deadline,
                             .tv_nsec = (long)((deadline - (double)(time_t)deadline) * 1e9)};
    pthread_mutex_lock(&lookup->mutex);
    int result = 0;
    while (!lookup->finished && result == 0)
        result = pthread_cond_timedwait(&lookup->done, &lookup->mutex, &until);
    bool finished = lookup->finished;
    pthread_mutex_unlock(&lookup->mutex);
    return finished;
}

static void add_endpoint(const struct addrinfo *found, unsigned port, enum mon_protocol protocol,
                         struct mon_endpoints *endpoints)
{
    struct mon_endpoint *endpoint = mon_endpoints_add(endpoints);
    endpoint->protocol = protocol;
    endpoint->length = found->ai_addrlen;
    memcpy(&endpoint->address, found->ai_addr, found->ai_addrlen);
    if (found->ai_family == AF_INET6)
        endpoint->address.v6.sin6_port = htons((uint16_t)port);
    else
        endpoint->address.v4.sin_port = htons((uint16_t)port);
}

static void add_endpoints(const struct mon_target *target, const struct addrinfo *addresses,
                          struct mon_endpoints *endpoints)
{
    unsigned count = 0;
    for (const struct addrinfo *found = addresses; found && count < MAX_ADDRESSES;
         found = found->ai_next) {
        if (found->ai_family != AF_INET && found->ai_family != AF_INET6)
            continue;
        count++;
        if (target->port) {
            add_endpoint(found, (unsigned)atoi(target->port), target->protocol, endpoints);
            continue;
        }
        if (target->protocol != MON_V1)
            add_endpoint(found, 3300, MON_V2, endpoints);
        if (target->protocol != MON_V2)
            add_endpoint(found, 6789, MON_V1, endpoints);
    }
}

DEFINE_VECTOR(lookups, struct lookup *);

void mon_resolve(const struct mon_targets *targets, double deadline,
                 struct mon_endpoints *endpoints, struct text_list *failures)
{
    struct lookups lookups = {0};
    for (size_t i = 0; i < targets->count; i++)
        *lookups_add(&lookups) = lookup_start(targets->items[i].host);

    for (size_t i = 0; i < targets->count; i++) {
        struct lookup *lookup = lookups.items[i];
        if (!lookup_wait(lookup, deadline))
            *text_list_add(failures) = text_format("%s: the name server is silent", lookup->host);
        else if (lookup->result != 0)
            *text_list_add(failures) =
                text_format("%s: %s", lookup->host, gai_strerror(lookup->result));
        else
            add_endpoints(&targets->items[i], lookup->addresses, endpoints);
        lookup_release(lookup);
    }
    free(lookups.items);
}

char *mon_endpoint_text(const struct mon_endpoint *endpoint)
{
    char host[INET6_ADDRSTRLEN] = "";
    if (endpoint->address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &endpoint->address.v6.sin6_addr, host, sizeof(host));
        return text_format("[%s]:%u", host, ntohs(endpoint->address.v6.sin6_port));
    }
    inet_ntop(AF_INET, &endpoint->address.v4.sin_addr, host, sizeof(host));
    return text_format("%s:%u", host, ntohs(endpoint->address.v4.sin_port));
}
