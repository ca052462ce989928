#include "cmocka_compat.h"

#include "cli/story.h"

static struct step_records *story_of(const struct step_record *steps, size_t count)
{
    struct step_records *records = NEW(struct step_records);
    for (size_t i = 0; i < count; i++)
        *step_records_add(records) = steps[i];
    return records;
}

#define STORY(lines, running, ...)                                                                 \
    const struct step_record given[] = {__VA_ARGS__};                                              \
    struct step_records *records = story_of(given, ARRAY_SIZE(given));                             \
    CLEANUP(story_clear) struct story_lines lines = {0};                                           \
    story_tell(records, running, &lines);                                                          \
    free(records->items);                                                                          \
    free(records)

static void begin_and_end_are_one_line(void **state UNUSED)
{
    STORY(lines, false, {1000, "begin", "copying", NULL}, {3500, "done", "copying", "vda"});
    assert_int_equal(lines.count, 1);
    assert_string_equal(lines.items[0].what, "copying");
    assert_string_equal(lines.items[0].detail, "vda");
    assert_int_equal(lines.items[0].at, 1000);
    assert_int_equal(lines.items[0].took, 2500);
}

static void what_happens_between_stays(void **state UNUSED)
{
    STORY(lines, false, {1, "begin", "pivoted", NULL},
          {2, "disk", "mirroring", "disk vda: pivoting"}, {3, "warning", "mirroring", "slow"},
          {4, "done", "pivoted", "1 of 1 disks"});
    assert_int_equal(lines.count, 3);
    assert_string_equal(lines.items[0].what, "pivoted");
    assert_int_equal(lines.items[0].took, 3);
    assert_string_equal(lines.items[1].what, "disk");
    assert_string_equal(lines.items[2].what, "warning");
    assert_string_equal(lines.items[2].detail, "slow");
}

static void an_end_without_begin_has_its_line(void **state UNUSED)
{
    STORY(lines, false, {1, "done", "planned", NULL}, {2, "done", "locked", NULL});
    assert_int_equal(lines.count, 2);
    assert_string_equal(lines.items[0].what, "planned");
    assert_int_equal(lines.items[0].took, -1);
    assert_string_equal(lines.items[1].what, "locked");
}

static void a_broken_step_is_not_finished(void **state UNUSED)
{
    STORY(lines, false, {1, "begin", "mirroring", NULL}, {2, "failed", "copying", "cancelled"},
          {3, "done", "undoing", NULL}, {4, "done", "undone", "everything is as it was"});
    assert_int_equal(lines.count, 4);
    assert_string_equal(lines.items[0].what, "mirroring: not finished");
    assert_int_equal(lines.items[0].took, -1);
    assert_string_equal(lines.items[1].what, "failed");
    assert_string_equal(lines.items[2].what, "undoing");
    assert_string_equal(lines.items[3].what, "undone");
}

/* A recovery may run the step again: its end is not the end of the first try. */
static void a_second_try_is_told_apart(void **state UNUSED)
{
    STORY(lines, false, {1, "begin", "redefined", NULL}, {100, "recover", "pivoted", NULL},
          {101, "begin", "redefined", NULL}, {103, "done", "redefined", "vda"});
    assert_int_equal(lines.count, 3);
    assert_string_equal(lines.items[0].what, "redefined: not finished");
    assert_string_equal(lines.items[1].what, "recover");
    assert_string_equal(lines.items[2].what, "redefined");
    assert_int_equal(lines.items[2].took, 2);
}

/* A recovery may also find the step done, and only write that down. */
static void what_recovery_found_done_is_not_the_end_of_the_step(void **state UNUSED)
{
    STORY(lines, false, {1, "begin", "pivoted", NULL}, {100, "recover", "mirroring", NULL},
          {101, "done", "pivoted", "all disks"});
    assert_int_equal(lines.count, 3);
    assert_string_equal(lines.items[0].what, "pivoted: not finished");
    assert_string_equal(lines.items[1].what, "recover");
    assert_string_equal(lines.items[2].what, "pivoted");
    assert_int_equal(lines.items[2].took, -1);
}

static void the_last_step_of_a_running_move_is_under_way(void **state UNUSED)
{
    STORY(lines, true, {1, "begin", "copying", NULL}, {2, "done", "copying", NULL},
          {3, "begin", "mirroring", NULL}, {4, "warning", "copying", "slow"});
    assert_int_equal(lines.count, 3);
    assert_string_equal(lines.items[1].what, "mirroring: under way");
    assert_string_equal(lines.items[2].what, "warning");
}

static void the_last_step_of_a_dead_move_is_not(void **state UNUSED)
{
    STORY(lines, false, {1, "begin", "mirroring", NULL});
    assert_string_equal(lines.items[0].what, "mirroring: not finished");
}

static void milliseconds_read_well(void **state UNUSED)
{
    static const struct {
        int64_t milliseconds;
        const char *text;
    } cases[] = {
        {0, "0.00 s"}, {120, "0.12 s"}, {9990, "9.99 s"}, {12345, "12 s"}, {62000, "1 min 02 s"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *text = format_milliseconds(cases[i].milliseconds);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begin_and_end_are_one_line),
        cmocka_unit_test(what_happens_between_stays),
        cmocka_unit_test(an_end_without_begin_has_its_line),
        cmocka_unit_test(a_broken_step_is_not_finished),
        cmocka_unit_test(a_second_try_is_told_apart),
        cmocka_unit_test(what_recovery_found_done_is_not_the_end_of_the_step),
        cmocka_unit_test(the_last_step_of_a_running_move_is_under_way),
        cmocka_unit_test(the_last_step_of_a_dead_move_is_not),
        cmocka_unit_test(milliseconds_read_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
