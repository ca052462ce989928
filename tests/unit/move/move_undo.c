/* The way back in detail, and who is refused it. */
#include "undone.h"

#include "base/text.h"

static void assert_back(struct moved *moved)
{
    long checks = 0;
    const struct outcome *outcome = moved->stage.outcome;
    if (outcome->status != 0)
        fail_msg("exit status %d: %s", outcome->status, outcome->message);
    AUTO_FREE char *wrong = check_undone(moved, outcome, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

static void every_kind(void **state UNUSED)
{
    static const struct stage_kind kinds[] = {
        {.disks = 1, .definition = "dance"},
        {.disks = 3, .definition = "dance"},
        {.disks = 1, .definition = "keep"},
        {.disks = 3, .definition = "keep"},
        {.disks = 3, .definition = "auto", .transient = true},
        {.disks = 1, .definition = "auto", .off = true},
        {.disks = 3, .definition = "auto", .off = true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        AUTO_MOVED struct moved moved;
        moved_open(&moved, &kinds[i]);
        stage_undo(&moved.stage, 1);
        assert_back(&moved);
        assert_int_equal(ask_journal(&moved.stage, "SELECT kind FROM moves WHERE id = 2"),
                         MOVE_UNDO);
        assert_int_equal(ask_journal(&moved.stage, "SELECT undoes FROM moves WHERE id = 2"), 1);
    }
}

static void limits_end(void **state UNUSED)
{
    const struct stage_kind kind = {.disks = 1, .definition = "auto", .tier = "tuned"};
    AUTO_MOVED struct moved moved;
    moved_open(&moved, &kind);
    assert_int_equal(moved.stage.world->disks[0].iotune.total_iops_sec, 700);
    stage_undo(&moved.stage, 1);
    assert_back(&moved);
    assert_int_equal(moved.stage.world->disks[0].iotune.total_iops_sec, 0);
}

/* Files cannot be captured as they were at the pivot: what the guest leaves then is kept. */
static void without_proof_nothing_is_given_up(void **state UNUSED)
{
    const struct stage_kind kind = {
        .disks = 3, .definition = "dance", .more = "verify: full\nsource: {after: remove}\n"};
    AUTO_MOVED struct moved moved;
    moved_open(&moved, &kind);
    stage_undo(&moved.stage, 1);
    assert_back(&moved);
    const char *first = "SELECT json_extract(plan, '$.source_after') FROM moves WHERE id=1";
    const char *second = "SELECT json_extract(plan, '$.source_after') FROM moves WHERE id=2";
    assert_int_equal(ask_journal(&moved.stage, first), SOURCE_REMOVE);
    assert_int_equal(ask_journal(&moved.stage, second), SOURCE_KEEP);
}

static void nest(char *definition)
{
    static const char raw[] = "type='raw' cache";
    char *at = strstr(definition, raw);
    AUTO_FREE char *nested = text_format("type='qcow2' cache%s", at + strlen(raw));
    memcpy(at, nested, strlen(nested) + 1);
}

static void nest_first_disk(struct fake_world *world)
{
    FAKE_SET(world->disks[0].shown_format, "qcow2");
    nest(world->defined);
    nest(world->config);
    nest(world->original);
}

/* The old disk is qcow2 within an RBD image, which is larger than the guest's disk; what is in it
 * nobody but QEMU can compare. */
static void into_a_container(void **state UNUSED)
{
    const struct stage_kind kind = {
        .disks = 1, .definition = "dance", .more = "verify: full\n", .change = nest_first_disk};
    AUTO_MOVED struct moved moved;
    moved_open(&moved, &kind);
    moved.stage.world->images[moved.stage.world->disks[0].source].size *= 2;
    stage_undo(&moved.stage, 1);
    assert_back(&moved);
    assert_string_equal(moved.stage.world->disks[0].shown_format, "qcow2");
    assert_int_equal(
        ask_journal(&moved.stage, "SELECT json_extract(plan, '$.verify') FROM moves WHERE id=2"),
        false);
}

static void forth_again(void **state UNUSED)
{
    const struct stage_kind kind = {.disks = 3, .definition = "dance"};
    AUTO_MOVED struct moved moved;
    moved_open(&moved, &kind);
    stage_undo(&moved.stage, 1);
    assert_back(&moved);
    fake_world_run(moved.stage.world, 300);
    assert_int_equal(stage_undo(&moved.stage, 1)->status, 3);
    assert_non_null(strstr(moved.stage.outcome->message, "undone already"));
    assert_int_equal(stage_undo(&moved.stage, 2)->status, 0);
    const struct fake_world *world = moved.stage.world;
    for (size_t i = 0; i < world->disk_count; i++)
        assert_true(*world->images[world->disks[i].live].token);
    assert_string_equal(world->defined, moved.definition);
    assert_int_equal(ask_journal(&moved.stage, "SELECT phase FROM moves WHERE id = 2"),
                     PHASE_UNDONE);
    fake_world_run(moved.stage.world, 300);
    assert_int_equal(stage_undo(&moved.stage, 3)->status, 0);
    assert_string_equal(world->defined, world->original);
    long checks = 0;
    AUTO_FREE char *wrong = check_always(&moved.stage, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

/* ---- refused, and nothing is touched ---- */

static void refuse(void (*change)(struct fake_world *world), int status, const char *what)
{
    const struct stage_kind kind = {.disks = 3, .definition = "dance"};
    AUTO_MOVED struct moved moved;
    moved_open(&moved, &kind);
    change(moved.stage.world);
    const struct outcome *outcome = stage_undo(&moved.stage, 1);
    assert_int_equal(outcome->status, status);
    if (!strstr(outcome->message, what))
        fail_msg("'%s' does not say '%s'", outcome->message, what);
    assert_string_equal(moved.stage.world->defined, moved.definition);
    assert_int_equal(ask_journal(&moved.stage, "SELECT count(*) FROM moves"), 1);
    assert_int_equal(moved.stage.world->calls_of[CALL_MIRROR_START], 0);
}

static struct fake_image *old_image(struct fake_world *world, size_t disk)
{
    return &world->images[world->disks[disk].source];
}
static void a_file_is_held(struct fake_world *world)
{
    old_image(world, 2)->held = true;
}
static void an_image_is_watched(struct fake_world *world)
{
    old_image(world, 0)->stale_watch_until = world->now + 1000000;
}
static void an_image_is_gone(struct fake_world *world)
{
    old_image(world, 0)->exists = false;
}
static void another_has_its_name(struct fake_world *world)
{
    struct fake_image *old = old_image(world, 0);
    old->exists = false;
    fake_image_add(world, old->where, old->name, old->size);
}
static void a_file_is_gone(struct fake_world *world)
{
    old_image(world, 1)->exists = false;
}
static void the_old_one_was_resized(struct fake_world *world)
{
    old_image(world, 1)->size *= 2;
}
static void the_new_one_was_resized(struct fake_world *world)
{
    world->images[world->disks[0].live].size *= 2;
}
static void it_is_old_qcow2(struct fake_world *world)
{
    old_image(world, 1)->cannot_hide = true;
}
static void its_state_is_saved(struct fake_world *world)
{
    fake_world_happen(world, DEED_DESTROY);
    world->managed_save = true;
}

static void refusals(void **state UNUSED)
{
    refuse(a_file_is_held, 1, "is open elsewhere");
    refuse(an_image_is_watched, 1, "is open elsewhere");
    refuse(an_image_is_gone, 1, "is not there any more");
    refuse(another_has_its_name, 1, "another image has its name by now");
    refuse(a_file_is_gone, 1, "is not there any more");
    refuse(the_old_one_was_resized, 1, "it was resized since");
    refuse(the_new_one_was_resized, 1, "it was resized since");
    refuse(it_is_old_qcow2, 1, "qcow2 file of version 2");
    refuse(its_state_is_saved, 1, "its state is saved");
}

static void what_was_undone_by_cancel(void **state UNUSED)
{
    const struct stage_kind kind = {.disks = 1, .definition = "dance"};
    AUTO_STAGE struct stage stage;
    stage_open(&stage, &kind);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_FAIL, .kind = CALL_PIVOT, .nth = 1, .code = ERROR_FAILED};
    assert_int_equal(stage_move(&stage)->status, 1);
    assert_int_equal(stage_undo(&stage, 1)->status, 3);
    assert_int_equal(stage_undo(&stage, 7)->status, 1);
    assert_non_null(strstr(stage.outcome->message, "there is no move 7"));
}

/* ---- old disks that were given up ---- */

static void write_journal(struct moved *moved, const char *given_up)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(journal_closep) struct journal *journal = NULL;
    if (journal_open(moved->stage.folder, JOURNAL_WRITE, &journal, &error) < 0 ||
        journal_set_given_up(journal, 1, "vda", given_up, &error) < 0 ||
        journal_reach(journal, 1, PHASE_RETIRED, NULL, &error) < 0)
        fail_msg("%s", error.message);
}

static void give_up(struct moved *moved)
{
    struct fake_image *image = old_image(moved->stage.world, 0);
    AUTO_FREE char *text =
        text_format("trash vms/db-vda 5ca1ab1e%04x", (unsigned)moved->stage.world->disks[0].source);
    image->exists = false;
    image->trashed = true;
    write_journal(moved, text);
}

static void out_of_the_trash(void **state UNUSED)
{
    const struct stage_kind kind = {.disks = 1, .definition = "dance"};
    AUTO_MOVED struct moved moved;
    moved_open(&moved, &kind);
    give_up(&moved);
    stage_undo(&moved.stage, 1);
    assert_back(&moved);
    assert_false(old_image(moved.stage.world, 0)->trashed);
    assert_int_equal(ask_journal(&moved.stage, "SELECT count(*) FROM disks WHERE given_up NOTNULL"),
                     0);
}

static void into_the_trash_again(void **state UNUSED)
{
    const struct stage_kind kind = {.disks = 1, .definition = "dance"};
    AUTO_MOVED struct moved moved;
    moved_open(&moved, &kind);
    give_up(&moved);
    moved.stage.world->events[0] =
        (struct fake_event){.deed = DEED_FAIL, .kind = CALL_PIVOT, .nth = 1, .code = ERROR_FAILED};
    assert_int_equal(stage_undo(&moved.stage, 1)->status, 1);
    assert_true(old_image(moved.stage.world, 0)->trashed);
    assert_int_equal(ask_journal(&moved.stage, "SELECT phase FROM moves WHERE id = 1"),
                     PHASE_RETIRED);
}

static void removed_for_good(void **state UNUSED)
{
    const struct stage_kind kind = {.disks = 1, .definition = "dance"};
    AUTO_MOVED struct moved moved;
    moved_open(&moved, &kind);
    write_journal(&moved, "removed vms/db-vda 5ca1ab1e0000");
    assert_int_equal(stage_undo(&moved.stage, 1)->status, 1);
    assert_non_null(strstr(moved.stage.outcome->message, "was removed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(limits_end),
        cmocka_unit_test(without_proof_nothing_is_given_up),
        cmocka_unit_test(into_a_container),
        cmocka_unit_test(forth_again),
        cmocka_unit_test(refusals),
        cmocka_unit_test(out_of_the_trash),
        cmocka_unit_test(into_the_trash_again),
        cmocka_unit_test(removed_for_good),
        cmocka_unit_test(what_was_undone_by_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
