/* Monitors that answer, refuse, keep silent or are something else: real sockets on the loopback. */
#include "ceph/mon_probe.h"
#include "ceph/private.h"
#include "cmocka_compat.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

/* Listens and greets whoever comes; a NULL greeting never accepts. */
struct listener {
    int fd;
    unsigned port;
    const char *greeting;
    bool threaded;
    pthread_t thread;
};

static void *serve(void *argument)
{
    const struct listener *listener = argument;
    for (;;) {
        AUTO_CLOSE int fd = accept(listener->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        ssize_t written = write(fd, listener->greeting, strlen(listener->greeting));
        assert_true(written >= 0);
        char rest[64];
        while (*listener->greeting && read(fd, rest, sizeof(rest)) > 0)
            continue;
    }
}

static void listener_start(struct listener *listener, const char *greeting)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    listener->greeting = greeting;
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener->fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener->fd, 8), 0);
    assert_int_equal(getsockname(listener->fd, (struct sockaddr *)&address, &length), 0);
    listener->port = ntohs(address.sin_port);
    listener->threaded = greeting != NULL;
    if (greeting)
        assert_int_equal(pthread_create(&listener->thread, NULL, serve, listener), 0);
}

static void listener_stop(struct listener *listener)
{
    shutdown(listener->fd, SHUT_RDWR);
    if (listener->threaded)
        pthread_join(listener->thread, NULL);
    close(listener->fd);
}

/* A port at which nobody listens. */
static unsigned closed_port(void)
{
    struct listener listener;
    listener_start(&listener, NULL);
    listener_stop(&listener);
    return listener.port;
}

static char *probe(const char *text, unsigned seconds, struct text_list *reasons)
{
    AUTO_ERROR struct error error = {0};
    AUTO_MON_TARGETS struct mon_targets targets = {0};
    assert_int_equal(mon_targets_parse(text, &targets, &error), 0);
    return mon_probe(&targets, seconds, reasons);
}

/* Probes one listener with this greeting; `host` gets mon_host or NULL, `reason` the only reason or
 * NULL, both with the port cut out for comparison. */
static void probe_greeting(const char *greeting, char **host, char **reason)
{
    struct listener listener;
    listener_start(&listener, greeting);
    struct text_list reasons = {0};
    AUTO_FREE char *text = text_format("127.0.0.1:%u", listener.port);
    AUTO_FREE char *found = probe(text, 1, &reasons);
    AUTO_FREE char *port = text_format(":%u", listener.port);
    *host = NULL;
    *reason = NULL;
    if (found) {
        assert_non_null(strstr(found, port));
        *host = text_slice(found, (size_t)(strstr(found, port) - found));
    } else {
        assert_int_equal(reasons.count, 1);
        assert_non_null(strstr(reasons.items[0], port));
        *reason = text_dup(strstr(reasons.items[0], port) + strlen(port) + 2);
    }
    text_list_clear(&reasons);
    listener_stop(&listener);
}

static void greetings(void **state UNUSED)
{
    static const struct {
        const char *greeting, *host, *reason;
    } cases[] = {
        {"ceph v2\n\x10\x01", "v2:127.0.0.1", NULL},
        {"ceph v027xxxxxxxx", "v1:127.0.0.1", NULL},
        {"220 mail.example.org ESMTP", NULL, "something else than a Ceph monitor answers"},
        {"", NULL, "it hangs up at once"},
        {NULL, NULL, "no answer"},
        {"ceph", NULL, "no answer"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *host = NULL;
        AUTO_FREE char *reason = NULL;
        probe_greeting(cases[i].greeting, &host, &reason);
        assert_true(text_equal(host, cases[i].host));
        assert_true(text_equal(reason, cases[i].reason));
    }
}

static void refused_is_told_at_once(void **state UNUSED)
{
    struct text_list reasons = {0};
    AUTO_FREE char *text = text_format("127.0.0.1:%u,127.0.0.1:%u", closed_port(), closed_port());
    double start = ceph_clock();
    assert_null(probe(text, 30, &reasons));
    assert_true(ceph_clock() - start < 5);
    assert_int_equal(reasons.count, 2);
    assert_non_null(strstr(reasons.items[0], ": Connection refused"));
    text_list_clear(&reasons);
}

static void silence_costs_the_timeout_and_no_more(void **state UNUSED)
{
    struct listener silent;
    listener_start(&silent, NULL);
    struct text_list reasons = {0};
    AUTO_FREE char *text = text_format("127.0.0.1:%u", silent.port);
    double start = ceph_clock();
    assert_null(probe(text, 1, &reasons));
    double spent = ceph_clock() - start;
    assert_true(spent >= 0.9 && spent < 3);
    text_list_clear(&reasons);
    listener_stop(&silent);
}

/* One that answers is enough; the silent one is not waited for. */
static void one_of_three_answers(void **state UNUSED)
{
    struct listener silent, good;
    listener_start(&silent, NULL);
    listener_start(&good, "ceph v2\n");
    struct text_list reasons = {0};
    AUTO_FREE char *text = text_format("127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u", silent.port,
                                       closed_port(), good.port);
    AUTO_FREE char *expected = text_format("v2:127.0.0.1:%u", good.port);
    double start = ceph_clock();
    AUTO_FREE char *host = probe(text, 30, &reasons);
    assert_true(ceph_clock() - start < 5);
    assert_string_equal(host, expected);
    assert_int_equal(reasons.count, 2);
    text_list_clear(&reasons);
    listener_stop(&silent);
    listener_stop(&good);
}

static void a_name_without_an_address(void **state UNUSED)
{
    struct text_list reasons = {0};
    double start = ceph_clock();
    assert_null(probe("nobody.invalid", 4, &reasons));
    assert_true(ceph_clock() - start < 6);
    assert_int_equal(reasons.count, 1);
    assert_true(text_starts_with(reasons.items[0], "nobody.invalid: "));
    text_list_clear(&reasons);
}

static void both_default_ports_are_tried(void **state UNUSED)
{
    struct text_list reasons = {0};
    AUTO_FREE char *host = probe("127.9.8.7", 2, &reasons); /* loopback: refused, or nobody's */
    if (!host) {
        assert_int_equal(reasons.count, 2);
        assert_true(text_starts_with(reasons.items[0], "127.9.8.7:3300: "));
        assert_true(text_starts_with(reasons.items[1], "127.9.8.7:6789: "));
    }
    text_list_clear(&reasons);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greetings),
        cmocka_unit_test(refused_is_told_at_once),
        cmocka_unit_test(silence_costs_the_timeout_and_no_more),
        cmocka_unit_test(one_of_three_answers),
        cmocka_unit_test(a_name_without_an_address),
        cmocka_unit_test(both_default_ports_are_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
