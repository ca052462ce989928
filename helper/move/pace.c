#include "move/pace.h"

#define SMOOTHING 0.3 /* weight of the newest sample */
#define LEAST_BANDWIDTH (1ull << 20)

static double smooth(double old, double sample)
{
    return old == 0 ? sample : old + SMOOTHING * (sample - old);
}

void pace_sample(struct pace *pace, int64_t now_ms, uint64_t copied, uint64_t total)
{
    uint64_t remaining = total > copied ? total - copied : 0;
    if (pace->at == 0) {
        *pace = (struct pace){
            .at = now_ms, .copied = copied, .remaining = remaining, .progress_at = now_ms};
        return;
    }
    double seconds = (double)(now_ms - pace->at) / 1000;
    if (seconds < 0.2)
        return;
    /* libvirt's counters may run backwards when a job starts anew. */
    double moved = copied > pace->copied ? (double)(copied - pace->copied) : 0;
    pace->rate = smooth(pace->rate, moved / seconds);
    pace->shrink = smooth(pace->shrink, ((double)pace->remaining - (double)remaining) / seconds);
    if (copied != pace->copied || remaining < pace->remaining)
        pace->progress_at = now_ms;
    pace->at = now_ms;
    pace->copied = copied;
    pace->remaining = remaining;
}

uint64_t pace_eta(const struct pace *pace)
{
    if (pace->remaining == 0)
        return 0;
    double seconds = pace->shrink > 1 ? (double)pace->remaining / pace->shrink : 1e18;
    return seconds < 1e9 ? (uint64_t)seconds + 1 : UINT64_MAX;
}

uint64_t pace_still_for(const struct pace *pace, int64_t now_ms)
{
    return pace->at && now_ms > pace->progress_at ? (uint64_t)(now_ms - pace->progress_at) / 1000
                                                  : 0;
}

void pace_excuse(struct pace *pace, int64_t now_ms)
{
    pace->progress_at = now_ms;
}

double latency_between(const struct latency_reading *from, const struct latency_reading *to,
                       uint64_t least)
{
    if (to->requests < from->requests || to->nanoseconds < from->nanoseconds)
        return 0; /* the guest was restarted */
    uint64_t requests = to->requests - from->requests;
    if (requests == 0 || requests < least)
        return 0;
    return (double)(to->nanoseconds - from->nanoseconds) / (double)requests / 1e6;
}

uint64_t pace_bandwidth(uint64_t current, uint64_t wanted, double rate, double latency_before,
                        double latency_now, double max_factor)
{
    if (max_factor <= 0 || latency_before <= 0 || latency_now <= 0)
        return wanted;
    /* What is wanted may have been changed a moment ago: it holds at once. */
    if (wanted && (current == 0 || current > wanted))
        current = wanted;
    const uint64_t least = wanted && wanted < LEAST_BANDWIDTH ? wanted : LEAST_BANDWIDTH;
    double bearable = latency_before * max_factor;
    double basis = current ? (double)current : rate;
    if (latency_now > bearable) {
        double slower = basis * 2 / 3;
        return slower > (double)least ? (uint64_t)slower : least;
    }
    if (latency_now > bearable * 0.8 || current == wanted || current == 0)
        return current;
    double faster = (double)current * 1.25;
    if (wanted)
        return faster < (double)wanted ? (uint64_t)faster : wanted;
    /* Unlimited again once the limit is far above what the copy can use. */
    return faster < rate * 2 ? (uint64_t)faster : 0;
}
