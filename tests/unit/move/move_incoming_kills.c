/* Guests that migrate here, and virt-pivot killed at every call on the way, alone or with the host,
 * and killed again. */
#include "arrival.h"

#include "base/text.h"

static bool killing(const struct calls *calls UNUSED, enum fake_call call UNUSED,
                    struct disturbance *disturbance)
{
    disturbance->event.deed = DEED_KILL;
    return true;
}

static void killed_at_every_call(void **state UNUSED)
{
    scripts_at_every_call("killed at a call", killing);
}

static bool rebooting(const struct calls *calls UNUSED, enum fake_call call UNUSED,
                      struct disturbance *disturbance)
{
    disturbance->event.deed = DEED_HOST_REBOOT;
    return true;
}

static void the_host_dies(void **state UNUSED)
{
    scripts_at_every_call("the host dies", rebooting);
}

/* ---- killed twice ---- */

static void killed_and_killed_again(void **state UNUSED)
{
    struct tally tally = {.name = "killed, and killed again"};
    for (size_t i = 0; i < scripts_count; i++) {
        AUTO_STAGE struct stage stage;
        struct script_calls calls;
        script_open(&stage, &scripts[i]);
        script_record(&tally, &stage, &scripts[i], &calls);
        long stride = i == 0 ? 2 : 11;
        for (size_t life = 0; life < calls.lives; life++)
            for (long at = 1; at <= calls.of[life].count; at += stride * point_stride()) {
                struct disturbance disturbance = {
                    .life = life, .event = {.deed = DEED_KILL, .at = at}, .again_at_call = 1};
                int status = FAKE_KILLED;
                for (; status == FAKE_KILLED; disturbance.again_at_call++) {
                    AUTO_FREE char *where =
                        text_format("%s, life %zu, call %ld, and then call %ld", scripts[i].name,
                                    life, at, disturbance.again_at_call);
                    tally.points++;
                    status = script_play(&tally, &stage, &scripts[i], &disturbance, NULL, where);
                }
            }
    }
    tally_close(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_call),
        cmocka_unit_test(the_host_dies),
        cmocka_unit_test(killed_and_killed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
