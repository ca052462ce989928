/* Points at which a debug build (CRASH_POINTS) can be made to die, as if by SIGKILL from outside:
 * right before and right after everything that changes the world or the journal. tests/lab/crash
 * learns the points from the program itself and dies at each of them; tests/unit/base has a check
 * that no such call is without them. Without the option nothing is left of this.
 *
 *   VIRT_PIVOT_CRASH_LIST=FILE      a line "PID NAME" is added for each point that is passed
 *   VIRT_PIVOT_CRASH_AT=NAME#K      dies when a process passes the point NAME for the Kth time
 *   VIRT_PIVOT_CRASH_ONCE=FILE      but not if FILE is there, which who dies makes: so that a child
 *                                   does not die of the same point that its parent has died of
 *   VIRT_PIVOT_STOP_AT=NAME#K       stops there instead (SIGSTOP), so that others can do harm
 *
 * A point is found again by its name and not by its number: how often progress is written down
 * differs from run to run. */
#ifndef VP_BASE_CRASH_H
#define VP_BASE_CRASH_H

#include <stdbool.h>

#ifdef CRASH_POINTS

#define CRASH_ENABLED true

/* The point "WHEN CALL in FUNCTION". Of the call (C or SQL) what comes before its first '(' or '='.
 */
void crash_point(const char *when, const char *call, const char *function);

/* The value of a call, with a point before and one after it. */
#define CRASH_AROUND(call)                                                                         \
    __extension__({                                                                                \
        crash_point("before", #call, __func__);                                                    \
        __auto_type crash_result = (call);                                                         \
        crash_point("after", #call, __func__);                                                     \
        crash_result;                                                                              \
    })

#else

#define CRASH_ENABLED false
#define crash_point(when, call, function) ((void)0)
#define CRASH_AROUND(call) (call)

#endif

#endif
