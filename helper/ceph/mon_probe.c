#include "ceph/mon_probe.h"

#include "ceph/mon_resolve.h"
#include "ceph/private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#define BANNER_BYTES 8    /* "ceph v2\n"; "ceph v027" and what follows */
#define GRACE_SECONDS 0.5 /* for the others, once one has answered */

enum probe_state { PROBE_CONNECTING, PROBE_READING, PROBE_ANSWERED, PROBE_FAILED };

struct probe {
    const struct mon_endpoint *endpoint;
    int fd;
    enum probe_state state;
    enum mon_protocol protocol; /* once answered */
    char banner[BANNER_BYTES];
    size_t length;
    char *reason; /* once failed */
};
DEFINE_VECTOR(probes, struct probe);

static void probe_end(struct probe *probe, enum probe_state state, const char *reason)
{
    if (probe->fd >= 0)
        close(probe->fd);
    probe->fd = -1;
    probe->state = state;
    probe->reason = text_dup(reason);
}

static void probe_fail(struct probe *probe, int number)
{
    char room[128];
    probe_end(probe, PROBE_FAILED, strerror_r(number, room, sizeof(room)));
}

static void probe_start(struct probe *probe, const struct mon_endpoint *endpoint)
{
    probe->endpoint = endpoint;
    probe->fd =
        socket(endpoint->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0 ||
        (connect(probe->fd, &endpoint->address.any, endpoint->length) < 0 && errno != EINPROGRESS))
        probe_fail(probe, errno);
}

static void probe_judge(struct probe *probe)
{
    if (memcmp(probe->banner, "ceph v2\n", BANNER_BYTES) == 0)
        probe->protocol = MON_V2;
    else if (memcmp(probe->banner, "ceph v0", BANNER_BYTES - 1) == 0)
        probe->protocol = MON_V1;
    else {
        probe_end(probe, PROBE_FAILED, "something else than a Ceph monitor answers");
        return;
    }
    probe_end(probe, PROBE_ANSWERED, NULL);
}

static void probe_connected(struct probe *probe)
{
    int number = 0;
    socklen_t size = sizeof(number);
    if (getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0)
        number = errno;
    if (number != 0)
        probe_fail(probe, number);
    else
        probe->state = PROBE_READING;
}

static void probe_read(struct probe *probe)
{
    ssize_t count = read(probe->fd, probe->banner + probe->length, BANNER_BYTES - probe->length);
    if (count < 0) {
        if (errno != EAGAIN && errno != EINTR)
            probe_fail(probe, errno);
        return;
    }
    if (count == 0) {
        probe_end(probe, PROBE_FAILED, "it hangs up at once");
        return;
    }
    probe->length += (size_t)count;
    if (probe->length == BANNER_BYTES)
        probe_judge(probe);
}

static size_t count_state(const struct probes *probes, enum probe_state from, enum probe_state to)
{
    size_t count = 0;
    for (size_t i = 0; i < probes->count; i++)
        count += probes->items[i].state >= from && probes->items[i].state <= to;
    return count;
}

/* Waits once for all that are open, until `until` at the latest. */
static void probes_step(struct probes *probes, double until)
{
    AUTO_FREE struct pollfd *waits = memory_new(probes->count, sizeof(*waits));
    for (size_t i = 0; i < probes->count; i++) {
        const struct probe *probe = &probes->items[i];
        waits[i].fd = probe->fd; /* a negative one is skipped by poll */
        waits[i].events = probe->state == PROBE_CONNECTING ? POLLOUT : POLLIN;
    }
    double left = until - ceph_clock();
    if (poll(waits, probes->count, left > 0 ? (int)(left * 1000) + 1 : 0) <= 0)
        return;
    for (size_t i = 0; i < probes->count; i++) {
        struct probe *probe = &probes->items[i];
        if (probe->fd < 0 || !waits[i].revents)
            continue;
        if (probe->state == PROBE_CONNECTING)
            probe_connected(probe);
        else
            probe_read(probe);
    }
}

static void probes_run(struct probes *probes, double deadline)
{
    double until = deadline;
    bool answered = false;
    while (count_state(probes, PROBE_CONNECTING, PROBE_READING) > 0 && ceph_clock() < until) {
        probes_step(probes, until);
        if (!answered && count_state(probes, PROBE_ANSWERED, PROBE_ANSWERED) > 0) {
            answered = true;
            double grace = ceph_clock() + GRACE_SECONDS;
            until = grace < deadline ? grace : deadline;
        }
    }
}

static void report(struct probes *probes, struct buffer *hosts, struct text_list *reasons)
{
    for (size_t i = 0; i < probes->count; i++) {
        struct probe *probe = &probes->items[i];
        AUTO_FREE char *text = mon_endpoint_text(probe->endpoint);
        if (probe->state == PROBE_ANSWERED)
            buffer_format(hosts, "%s%s:%s", hosts->length ? "," : "",
                          probe->protocol == MON_V2 ? "v2" : "v1", text);
        else
            *text_list_add(reasons) =
                text_format("%s: %s", text, probe->reason ? probe->reason : "no answer");
        if (probe->fd >= 0)
            close(probe->fd);
        free(probe->reason);
    }
}

char *mon_probe(const struct mon_targets *targets, unsigned seconds, struct text_list *reasons)
{
    double deadline = ceph_clock() + seconds;
    struct mon_endpoints endpoints = {0};
    /* Half of the time at most: one silent name server must not hide the monitors that answer. */
    mon_resolve(targets, deadline - seconds / 2.0, &endpoints, reasons);

    struct probes probes = {0};
    for (size_t i = 0; i < endpoints.count; i++)
        probe_start(probes_add(&probes), &endpoints.items[i]);
    probes_run(&probes, deadline);

    AUTO_BUFFER struct buffer hosts = {0};
    report(&probes, &hosts, reasons);
    free(probes.items);
    free(endpoints.items);
    return hosts.length ? buffer_take(&hosts) : NULL;
}
