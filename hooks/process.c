#include "base/text.h"
#include "hooks/hook.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <syslog.h>
#include <time.h>

/* ---- descriptors ---- */

/* A file that we open must not become our stdout. What is written to a stdout that nobody gave us
 * is lost, and must be seen to be: hence read-only. */
static void open_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
}

static int close_listed(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return -1;
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (fd > STDERR_FILENO && fd != dirfd(directory))
            close(fd);
    }
    closedir(directory);
    return 0;
}

static void close_the_rest(void)
{
#ifdef HAVE_CLOSE_RANGE
    if (close_range(STDERR_FILENO + 1, ~0u, 0) == 0)
        return;
#endif
    if (close_listed() == 0)
        return;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > 65536)
        limit.rlim_cur = 65536;
    for (int fd = STDERR_FILENO + 1; fd < (int)limit.rlim_cur; fd++)
        close(fd);
}

void process_settle(void)
{
    open_standard_fds();
    close_the_rest();
    signal(SIGPIPE, SIG_IGN);
}

int process_write(int fd, const char *text, struct error *error)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t count = write(fd, text, left);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set(error, ERROR_FAILED, "cannot write: %s", strerror(errno));
        text += count;
        left -= (size_t)count;
    }
    return 0;
}

/* ---- time ---- */

struct limit {
    struct timespec end;
    unsigned seconds;
    char *name, *consequence;
};

/* A thread, and no alarm(2): a handler does not run while the process hangs in a dead NFS server's
 * file, but the end of the process ends that too. */
static void *watch_clock(void *argument)
{
    const struct limit *limit = argument;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &limit->end, NULL) == EINTR)
        continue;
    AUTO_FREE char *text =
        text_format("%s: the hook gave up after %u seconds", limit->consequence, limit->seconds);
    report_line(LOG_ERR, limit->name, text);
    _exit(1);
}

int process_limit(unsigned seconds, const char *name, const char *consequence, struct error *error)
{
    struct limit *limit = NEW(struct limit);
    clock_gettime(CLOCK_MONOTONIC, &limit->end);
    limit->end.tv_sec += seconds;
    limit->seconds = seconds;
    limit->name = text_dup(name);
    limit->consequence = text_dup(consequence);
    pthread_t thread;
    int number = pthread_create(&thread, NULL, watch_clock, limit);
    if (number == 0) {
        pthread_detach(thread);
        return 0;
    }
    free(limit->name);
    free(limit->consequence);
    free(limit);
    return error_set(error, ERROR_FAILED, "cannot start a thread: %s", strerror(number));
}
