/* CLOCK_MONOTONIC and CLOCK_BOOTTIME are the fake world's, by the linker's --wrap: hours of a copy
 * take no time. The one thing that is global here, as the clock is. */
#include "fake_world.h"

#include <time.h>

static const struct fake_world *followed;

int __real_clock_gettime(clockid_t id, struct timespec *now);
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
    if (!followed || id != CLOCK_MONOTONIC)
        return __real_clock_gettime(id, now);
    now->tv_sec = followed->now / 1000;
    now->tv_nsec = followed->now % 1000 * 1000000;
    return 0;
}
