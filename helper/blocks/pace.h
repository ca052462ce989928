/* A token bucket. */
#ifndef VP_BLOCKS_PACE_H
#define VP_BLOCKS_PACE_H

#include <stdint.h>

struct blocks_pace {
    uint64_t rate;   /* bytes per second; 0: unlimited */
    double left;     /* bytes that may pass; below 0: what passed in advance */
    double refilled; /* when */
};

void blocks_pace_start(struct blocks_pace *pace, uint64_t rate, double now);
/* From now on it is another rate. What passed in advance is still owed. */
void blocks_pace_change(struct blocks_pace *pace, uint64_t rate, double now);
/* Seconds until something may pass, 0: now. */
double blocks_pace_wait(struct blocks_pace *pace, double now);
/* So many bytes pass. */
void blocks_pace_take(struct blocks_pace *pace, uint64_t bytes);

#endif
