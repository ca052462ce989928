#ifndef CRASH_POINTS
#define CRASH_POINTS /* for who reads this file without the option: clang-tidy */
#endif
#include "base/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_ROOM 160

static void add_to_list(const char *path, const char *name)
{
    char line[NAME_ROOM + 32];
    int length = snprintf(line, sizeof(line), "%d %s\n", (int)getpid(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    /* In one write, since several threads and processes add to it. */
    if (fd < 0 || write(fd, line, (size_t)length) != length)
        abort();
    close(fd);
}

static bool is_first(void)
{
    const char *path = getenv("VIRT_PIVOT_CRASH_ONCE");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : -1;
    if (fd >= 0)
        close(fd);
    return !path || fd >= 0;
}

/* passed: how often the wanted point was. */
static void signal_if_due(const char *wanted, const char *name, int number, atomic_ulong *passed)
{
    const char *times = strrchr(wanted, '#');
    if (!times || strlen(name) != (size_t)(times - wanted) ||
        strncmp(wanted, name, strlen(name)) != 0)
        return;
    if (atomic_fetch_add(passed, 1) + 1 == strtoul(times + 1, NULL, 10) && is_first())
        raise(number); /* in this thread: it gets no further */
}

void crash_point(const char *when, const char *call, const char *function)
{
    const char *list = getenv("VIRT_PIVOT_CRASH_LIST");
    const char *death = getenv("VIRT_PIVOT_CRASH_AT");
    const char *stop = getenv("VIRT_PIVOT_STOP_AT");
    static atomic_ulong deaths, stops;
    if (!list && !death && !stop)
        return;
    int cause = errno; /* of the call before: the caller has still to look at it */
    char name[NAME_ROOM];
    size_t length = strcspn(call, "(=");
    while (length > 0 && call[length - 1] == ' ')
        length--;
    snprintf(name, sizeof(name), "%s %.*s in %s", when, (int)length, call, function);
    if (list)
        add_to_list(list, name);
    if (death)
        signal_if_due(death, name, SIGKILL, &deaths);
    if (stop)
        signal_if_due(stop, name, SIGSTOP, &stops);
    errno = cause;
}
