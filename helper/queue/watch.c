/* Waking up when something was put into the queue. */
#include "queue/private.h"

#include <errno.h>
#include <sys/inotify.h>

int queue_watch(const char *state)
{
    AUTO_ERROR struct error ignored = {0};
    AUTO_CLOSE int folder = folder_make_queue(state, &ignored);
    int watch = folder < 0 ? -1 : inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch < 0)
        return -1;
    /* By its descriptor: the name may be another folder's by now. Not IN_CREATE: what is copied
     * there by hand is not whole yet when it is created, but is when it is closed. */
    AUTO_FREE char *path = text_format("/proc/self/fd/%d", folder);
    if (inotify_add_watch(watch, path,
                          IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF) >= 0)
        return watch;
    close(watch);
    return -1;
}

void queue_changed(int watch)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t count = 1;
    while (watch >= 0 && (count > 0 || errno == EINTR))
        count = read(watch, events, sizeof(events));
}
