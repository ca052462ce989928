/* What the states and events of a migration mean. The test driver has no migrations: the values are
 * those that libvirt's QEMU driver shows (see the comments in helper/virt). */
#include "virt_fixture.h"

#define IN VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN
#define OUT VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT

static void states(void **state UNUSED)
{
    static const struct {
        int job, state, reason;
        bool arriving;
    } cases[] = {
        /* a destination, from its first moment to its last */
        {IN, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_UNKNOWN, true},
        {IN, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_STARTING_UP, true},
        {IN, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION, true},
        {IN, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_MIGRATED, false},
        {IN, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_POSTCOPY, false},
        {IN, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_IOERROR, false},
        {IN, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER, false},
        {VIRT_JOB_NONE, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_MIGRATED, false},
        {VIRT_JOB_NONE, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER, false},
        /* a source */
        {OUT, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, false},
        {OUT, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION, false},
        {VIRT_JOB_NONE, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION, false},
        /* an offline migration that was given up leaves this behind */
        {VIRT_JOB_UNREADABLE, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_UNKNOWN, false},
        /* not knowing, it has not arrived */
        {VIRT_JOB_UNREADABLE, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION, true},
        /* others */
        {VIR_DOMAIN_JOB_OPERATION_START, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_STARTING_UP, true},
        {VIRT_JOB_UNREADABLE, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, false},
        {VIRT_JOB_NONE, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_DESTROYED, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (virt_is_arriving(cases[i].job, cases[i].state, cases[i].reason) != cases[i].arriving)
            fail_msg("case %zu: job %d, state %d, reason %d", i, cases[i].job, cases[i].state,
                     cases[i].reason);
}

static void events(void **state UNUSED)
{
    static const struct {
        int event, detail;
        bool shows;
    } cases[] = {
        {VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_MIGRATED, false},
        {VIR_DOMAIN_EVENT_DEFINED, VIR_DOMAIN_EVENT_DEFINED_ADDED, false},
        {VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_FAILED, false},
        {VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_DESTROYED, false},
        {VIR_DOMAIN_EVENT_UNDEFINED, VIR_DOMAIN_EVENT_UNDEFINED_REMOVED, false},
        {VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_MIGRATED, true},
        {VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_POSTCOPY, true},
        {VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_UNPAUSED, true},
        {VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_PAUSED, true},
        {VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_BOOTED, true},
        {VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_RESTORED, true},
        {VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_FROM_SNAPSHOT, true},
        {VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_WAKEUP, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (virt_event_shows_guest(cases[i].event, cases[i].detail) != cases[i].shows)
            fail_msg("event %d, detail %d", cases[i].event, cases[i].detail);
    /* Only these two are of a guest that a migration has brought. */
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(virt_event_shows_arrival(cases[i].event, cases[i].detail),
                         cases[i].event == VIR_DOMAIN_EVENT_RESUMED &&
                             cases[i].detail != VIR_DOMAIN_EVENT_RESUMED_UNPAUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(states), cmocka_unit_test(events)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
