/* Guests that migrate here, each life on the way disturbed at every call: it fails, or libvirt's
 * daemon goes away. */
#include "arrival.h"

static bool failing(const struct calls *calls UNUSED, enum fake_call call,
                    struct disturbance *disturbance)
{
    static const enum error_code codes[] = {ERROR_FAILED, ERROR_BUSY, ERROR_NOT_FOUND,
                                            ERROR_UNREACHABLE, ERROR_DENIED};
    struct fake_event *event = &disturbance->event;
    event->deed = DEED_FAIL;
    event->code = codes[(size_t)(event->at + event->after) % ARRAY_SIZE(codes)];
    return call != CALL_WAIT && call != CALL_RECONNECT;
}

static void every_call_fails_once(void **state UNUSED)
{
    scripts_at_every_call("a call fails", failing);
}

static bool disconnecting(const struct calls *calls UNUSED, enum fake_call call UNUSED,
                          struct disturbance *disturbance)
{
    disturbance->event.deed = DEED_DISCONNECT;
    return true;
}

static void the_daemon_goes_away_once(void **state UNUSED)
{
    scripts_at_every_call("libvirtd restarts", disconnecting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_fails_once),
        cmocka_unit_test(the_daemon_goes_away_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
