/* In a file of its own: the unit tests bring their own clock. */
#include "blocks/private.h"

#include <time.h>

double blocks_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
