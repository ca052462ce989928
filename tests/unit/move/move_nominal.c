/* Moves in which nothing goes wrong. */
#include "cmocka_compat.h"

#include "stage.h"

#include "base/text.h"

static void assert_ended(const struct stage *stage, int status)
{
    long checks = 0;
    const struct outcome *outcome = stage->outcome;
    if (outcome->status != status)
        fail_msg("exit status %d: %s", outcome->status, outcome->message);
    AUTO_FREE char *wrong = check_ended(stage, outcome, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

static void nominal(void **state UNUSED)
{
    static const struct stage_kind kinds[] = {
        {.disks = 1, .definition = "dance"},
        {.disks = 3, .definition = "dance"},
        {.disks = 1, .definition = "keep"},
        {.disks = 3, .definition = "keep"},
        {.disks = 1, .definition = "auto", .transient = true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        AUTO_STAGE struct stage stage;
        stage_open(&stage, &kinds[i]);
        stage_move(&stage);
        assert_ended(&stage, 0);
        print_message("%s, %zu disks: %ld calls\n", kinds[i].definition, kinds[i].disks,
                      stage.world->calls);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nominal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
