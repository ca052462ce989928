/* Guests that migrate here, and a journal that cannot be written, or a process that is killed while
 * it writes it. */
#include "arrival.h"

#include "base/text.h"

/* Every script, with something wrong at every so-manieth write of every life. */
static void at_every_write(const char *name, bool killed)
{
    struct tally tally = {.name = name};
    for (size_t i = 0; i < scripts_count; i++) {
        long stride = i == 0 ? 1 : 7; /* the others write little else */
        AUTO_STAGE struct stage stage;
        struct script_calls calls;
        script_open(&stage, &scripts[i]);
        script_record(&tally, &stage, &scripts[i], &calls);
        for (size_t life = 0; life < calls.lives; life++)
            for (long at = 1; at <= calls.writes[life]; at += stride * point_stride()) {
                if (!scripts[i].helper_too && is_helpers_life(&calls.of[life]))
                    break;
                AUTO_FREE char *where = text_format("%s, life %zu, write %ld of the journal",
                                                    scripts[i].name, life, at);
                const struct disturbance disturbance = {.life = life,
                                                        .kill_at_write = killed ? at : 0,
                                                        .full_from_write = killed ? 0 : at};
                tally.points++;
                script_play(&tally, &stage, &scripts[i], &disturbance, NULL, where);
            }
    }
    tally_close(&tally);
}

static void killed_at_every_write(void **state UNUSED)
{
    at_every_write("killed at a write of the journal", true);
}

static void full_from_every_write(void **state UNUSED)
{
    at_every_write("the journal's disk fills up", false);
}

/* Killed in the middle, and when it comes back there is no room at all. */
static bool killing_without_room(const struct calls *calls UNUSED, enum fake_call call UNUSED,
                                 struct disturbance *disturbance)
{
    disturbance->event.deed = DEED_KILL;
    disturbance->again_without_room = true;
    return true;
}

static void a_look_without_room(void **state UNUSED)
{
    scripts_at_every_call("a look without room", killing_without_room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_write),
        cmocka_unit_test(full_from_every_write),
        cmocka_unit_test(a_look_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
