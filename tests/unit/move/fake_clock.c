/* The clocks are the fake world's, by the linker's --wrap: hours of a copy, or of waiting for a
 * guest, take no time. The one thing that is global here, as the clock is. */
#include "fake_world.h"

#include <time.h>

static const struct fake_world *followed;

int __real_clock_gettime(clockid_t id, struct timespec *now);
time_t __real_time(time_t *now);
time_t __wrap_time(time_t *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);

void fake_clock_follow(const struct fake_world *world)
{
    followed = world;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    if (followed && id == CLOCK_BOOTTIME) {
        *now = (struct timespec){.tv_sec = followed->host_restarted ? 0 : 1000000};
        return 0;
    }
    if (!followed || (id != CLOCK_MONOTONIC && id != CLOCK_REALTIME))
        return __real_clock_gettime(id, now);
    now->tv_sec = followed->now / 1000 + (id == CLOCK_REALTIME ? FAKE_EPOCH : 0);
    now->tv_nsec = followed->now % 1000 * 1000000;
    return 0;
}

time_t __wrap_time(time_t *now)
{
    if (!followed)
        return __real_time(now);
    time_t seconds = FAKE_EPOCH + followed->now / 1000;
    if (now)
        *now = seconds;
    return seconds;
}
