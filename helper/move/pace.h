/* How fast a copy goes, how long it will take, and how fast it may go: pure arithmetic. */
#ifndef VP_MOVE_PACE_H
#define VP_MOVE_PACE_H

#include "base/error.h"

#include <stdint.h>

/* Follows one disk's counters. Zero-initialise. */
struct pace {
    int64_t at; /* milliseconds, of the last sample; 0: none yet */
    uint64_t copied, remaining;
    double rate;         /* bytes copied per second, smoothed */
    double shrink;       /* bytes per second by which what remains grows less, smoothed */
    int64_t progress_at; /* when it last got on */
};
void pace_sample(struct pace *pace, int64_t now_ms, uint64_t copied, uint64_t total);
/* Seconds to go: what remains over the rate at which it shrinks, so that a guest which writes as
 * fast as the copy runs has no end in sight (UINT64_MAX). */
uint64_t pace_eta(const struct pace *pace);
/* Seconds since it last got on. A long copy is never stuck, a still one is. */
uint64_t pace_still_for(const struct pace *pace, int64_t now_ms);
/* A pause is not stillness: the clock starts anew. */
void pace_excuse(struct pace *pace, int64_t now_ms);

/* The guest's latency between two readings of its cumulative counters. */
struct latency_reading {
    uint64_t requests, nanoseconds;
};
/* Milliseconds per request; 0 when there were fewer than `least` requests between the two. */
double latency_between(const struct latency_reading *from, const struct latency_reading *to,
                       uint64_t least);

/* The bandwidth for the next seconds: down by a third while the guest's latency is over
 * max_factor times what it was before, up by a quarter once it is clearly below, within
 * [1 MiB/s, wanted]. wanted 0 = unlimited; returns 0 for unlimited. max_factor 0, or a latency that
 * is not known: always wanted.
 * rate is what the copy reaches now. */
uint64_t pace_bandwidth(uint64_t current, uint64_t wanted, double rate, double latency_before,
                        double latency_now, double max_factor);

#endif
