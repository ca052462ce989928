#include "base/text.h"
#include "hooks/hook.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 1: there is something to read, or its end; 0: look again. */
static int wait_readable(int fd, int64_t deadline, unsigned seconds, struct error *error)
{
    int64_t left = deadline - now_ms();
    if (left <= 0)
        return error_set(error, ERROR_UNREACHABLE,
                         "the domain's XML did not arrive within %u seconds", seconds);
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    int ready = poll(&wanted, 1, (int)left);
    if (ready < 0 && errno != EINTR)
        return error_set(error, ERROR_FAILED, "cannot wait for the domain's XML: %s",
                         strerror(errno));
    return ready > 0;
}

int input_read(int fd, unsigned seconds, struct buffer *text, struct error *error)
{
    AUTO_FREE char *block = memory_new(1, 65536);
    int64_t deadline = now_ms() + (int64_t)seconds * 1000;
    for (;;) {
        int ready = wait_readable(fd, deadline, seconds, error);
        if (ready < 0)
            return -1;
        if (ready == 0)
            continue;
        ssize_t count = read(fd, block, 65536);
        if (count < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (count < 0)
            return error_set(error, ERROR_FAILED, "cannot read the domain's XML: %s",
                             strerror(errno));
        if (count == 0)
            return 0;
        if (text->length + (size_t)count > DOMAIN_XML_MAX_BYTES)
            return error_set(error, ERROR_INPUT, "the domain's XML is larger than %u MiB",
                             DOMAIN_XML_MAX_BYTES >> 20);
        buffer_add_slice(text, block, (size_t)count);
    }
}

int input_domain(const struct hook_settings *settings, struct domain **domain, struct error *error)
{
    AUTO_BUFFER struct buffer text = {0};
    if (input_read(settings->input, settings->input_seconds, &text, error) < 0)
        return -1;
    return domain_parse(text.text ? text.text : "", text.length, domain, error);
}
