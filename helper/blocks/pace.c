#include "blocks/pace.h"

/* What was not used is forgotten after so many seconds. */
#define SAVED_SECONDS 0.5

void blocks_pace_start(struct blocks_pace *pace, uint64_t rate, double now)
{
    *pace = (struct blocks_pace){.rate = rate, .refilled = now};
}

void blocks_pace_change(struct blocks_pace *pace, uint64_t rate, double now)
{
    if (rate == pace->rate)
        return;
    blocks_pace_wait(pace, now);
    pace->rate = rate;
    pace->refilled = now;
}

double blocks_pace_wait(struct blocks_pace *pace, double now)
{
    if (pace->rate == 0)
        return 0;
    double rate = (double)pace->rate;
    pace->left += (now - pace->refilled) * rate;
    pace->refilled = now;
    if (pace->left > rate * SAVED_SECONDS)
        pace->left = rate * SAVED_SECONDS;
    return pace->left < 0 ? -pace->left / rate : 0;
}

void blocks_pace_take(struct blocks_pace *pace, uint64_t bytes)
{
    if (pace->rate)
        pace->left -= (double)bytes;
}
