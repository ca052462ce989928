/* Guests that migrate here, with the guest and its operators having a life of their own, at every
 * call of every look at them. */
#include "arrival.h"

/* ---- the guest ---- */

static bool listing(const struct calls *calls, enum fake_call call UNUSED,
                    struct disturbance *disturbance)
{
    disturbance->event.deed = DEED_LIST;
    return !is_helpers_life(calls); /* libvirt waits for the hook */
}

static bool arriving(const struct calls *calls, enum fake_call call UNUSED,
                     struct disturbance *disturbance)
{
    disturbance->event.deed = DEED_ARRIVE;
    return !is_helpers_life(calls);
}

static bool leaving(const struct calls *calls, enum fake_call call UNUSED,
                    struct disturbance *disturbance)
{
    disturbance->event.deed = DEED_LEAVE;
    return !is_helpers_life(calls);
}

static bool arriving_and_stopping(const struct calls *calls, enum fake_call call UNUSED,
                                  struct disturbance *disturbance)
{
    disturbance->event.deed = DEED_ARRIVE;
    disturbance->then = disturbance->event;
    disturbance->then.deed = DEED_DESTROY;
    return !is_helpers_life(calls);
}

/* Whoever looks at that very moment. */
static void the_guest_comes_or_goes(void **state UNUSED)
{
    scripts_at_every_call("it comes into libvirt's list", listing);
    scripts_at_every_call("it comes", arriving);
    scripts_at_every_call("it comes and stops", arriving_and_stopping);
    scripts_at_every_call("it is cancelled", leaving);
}

static bool destroying(const struct calls *calls, enum fake_call call UNUSED,
                       struct disturbance *disturbance)
{
    disturbance->event.deed = DEED_DESTROY;
    return !is_helpers_life(calls);
}

static bool restarting(const struct calls *calls, enum fake_call call UNUSED,
                       struct disturbance *disturbance)
{
    disturbance->event.deed = DEED_DESTROY;
    disturbance->then = disturbance->event;
    disturbance->then.deed = DEED_START;
    return !is_helpers_life(calls);
}

static void the_guest_stops(void **state UNUSED)
{
    scripts_at_every_call("the guest is destroyed", destroying);
    scripts_at_every_call("the guest is destroyed and started", restarting);
}

/* ---- other people ---- */

static bool redefining(const struct calls *calls, enum fake_call call UNUSED,
                       struct disturbance *disturbance)
{
    disturbance->event.deed = DEED_REDEFINE;
    return !point_is_a_race(calls, disturbance->event.at);
}

/* One that comes when all is over is a matter of its own. */
static bool defining_the_old(const struct calls *calls, enum fake_call call UNUSED,
                             struct disturbance *disturbance)
{
    long at = disturbance->event.at;
    disturbance->event.deed = DEED_DEFINE_OLD;
    return memchr(&calls->kinds[at - 1], CALL_XML_INACTIVE, (size_t)(calls->count - at + 1)) &&
           !point_is_a_race(calls, at);
}

static bool opening(const struct calls *calls UNUSED, enum fake_call call UNUSED,
                    struct disturbance *disturbance)
{
    disturbance->event.deed = DEED_OPEN_TARGET;
    return true;
}

static void somebody_interferes(void **state UNUSED)
{
    scripts_at_every_call("somebody redefines it", redefining);
    scripts_at_every_call("somebody defines it as it came", defining_the_old);
    scripts_at_every_call("somebody opens the images", opening);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guest_comes_or_goes),
        cmocka_unit_test(the_guest_stops),
        cmocka_unit_test(somebody_interferes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
