/* Guests that were to migrate here and are not here, or not on their images. */
#include "arrival_steps.h"

/* ---- it does not ---- */

/* It was transient, and may run elsewhere now: nothing of it is removed but by a person. */
static void an_image_that_may_hold_data_is_kept(void **state UNUSED)
{
    static const struct stage_arrival passing = {0};
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &passing, 2);
    happen(&stage, DEED_ARRIVE);
    happen(&stage, DEED_DESTROY);
    for (int i = 0; i < 3; i++) {
        wait(&stage, LATER);
        look_in_vain(&stage, 4, "nobody watched whether it ever did", "--keep db-1");
        assert_true(image_of_disk(&stage, 1) >= 0);
    }
    stage.keep = true;
    look(&stage, OUTCOME_FINISHED);
    assert_well(&stage);
    assert_true(image_of_disk(&stage, 1) >= 0);
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM ledger"), 1);
}

/* Of an earlier attempt, which the hook has put aside: rbd needs to be told the namespace, too. */
static void the_way_back(void **state UNUSED)
{
    static const struct stage_arrival passing = {0};
    static const struct {
        const char *rules, *way;
    } cases[] = {
        {"", "'rbd trash restore --pool fast 5ca1ab1e"},
        {"  - {name: tenants, match: {type: file}, tier: tenant}\n",
         "'rbd trash restore --pool fast --namespace tenant 5ca1ab1e"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct stage_kind kind = {.disks = 2,
                                        .definition = "auto",
                                        .arrival = &passing,
                                        .tiers = "  tenant: {pool: new/fast/tenant}\n",
                                        .rules = cases[i].rules};
        AUTO_STAGE struct stage stage;
        stage_open(&stage, &kind);
        stage_expect(&stage);
        happen(&stage, DEED_ARRIVE);
        happen(&stage, DEED_DESTROY);
        wait(&stage, LATER);
        stage_expect(&stage);
        assert_int_equal(stage.outcome->status, 0);
        AUTO_FREE char *told =
            ask_text(&stage, "SELECT detail FROM steps WHERE event = 'warning' AND move = 1");
        assert_non_null(told);
        if (!strstr(told, cases[i].way))
            fail_msg("it says: %s", told);
    }
}

static void somebody_has_it_open(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes, 2);
    happen(&stage, DEED_OPEN_TARGET);
    wait(&stage, LATER);
    look_in_vain(&stage, 1, "watched by", "");
    assert_int_equal(stage.outcome->code, ERROR_BUSY);
    assert_true(image_of_disk(&stage, 1) >= 0);
    stage.world->foreign_watchers = false;
    look(&stage, OUTCOME_UNDONE);
    assert_well(&stage);
}

/* ---- an operator is needed ---- */

static void nobody_knows(struct stage *stage)
{
    open_and_expect(stage, &comes_unwatched, 2);
    happen(stage, DEED_ARRIVE);
    happen(stage, DEED_DESTROY);
    wait(stage, LATER);
    for (int i = 0; i < 3; i++) { /* however often it is asked */
        look_in_vain(stage, 4, "nobody watched whether it ever did",
                     "'virt-pivot recover --keep db-1' keeps them (new/fast/db-1-vdb");
        assert_true(image_of_disk(stage, 1) >= 0);
        assert_string_equal(stage->world->defined, stage->world->original);
    }
}

static void it_ran(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    nobody_knows(&stage);
    define_with_images(&stage);
    look(&stage, OUTCOME_FINISHED);
    assert_well(&stage);
    happen(&stage, DEED_START);
    assert_true(stage.world->active && !stage.world->stale_start);
}

static void it_ran_and_is_to_be_kept(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    nobody_knows(&stage);
    stage.keep = true;
    look(&stage, OUTCOME_FINISHED);
    assert_well(&stage);
    happen(&stage, DEED_START);
    assert_true(stage.world->active && !stage.world->stale_start);
}

/* Not true, but then it is his answer. */
static void it_did_not(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    nobody_knows(&stage);
    stage.world->images[image_of_disk(&stage, 1)].exists = false;
    look(&stage, OUTCOME_UNDONE);
    assert_string_equal(stage.world->defined, stage.world->original);
    assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), PHASE_UNDONE);
}

/* Seen on its images, but virt-pivot was killed before the definition was right; and then somebody
 * has started it from that. */
static void seen_and_stale(struct stage *stage)
{
    open_and_expect(stage, &comes, 2);
    happen(stage, DEED_ARRIVE);
    look_and_die(stage, CALL_DEFINE);
    assert_int_equal(ask_journal(stage, "SELECT fate FROM disks"), DISK_PIVOTED);
    int copy = fake_image_add(stage->world, ON_HOST, "/images/db-vdb.qcow2", 4096);
    happen(stage, DEED_DESTROY);
    happen(stage, DEED_START);
    assert_true(stage->world->stale_start);
    assert_int_equal(stage->world->disks[1].live, copy);
    look_in_vain(stage, 4, "it may have been started from its old definition",
                 "stop the guest before it writes more");
    assert_true(image_of_disk(stage, 1) >= 0);
}

static void the_old_disk_is_right(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    seen_and_stale(&stage);
    happen(&stage, DEED_DESTROY);
    happen(&stage, DEED_DEFINE_OLD);
    stage.world->images[image_of_disk(&stage, 1)].exists = false;
    look(&stage, OUTCOME_UNDONE);
    assert_string_equal(stage.world->defined, stage.world->original);
    assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), PHASE_UNDONE);
    assert_int_equal(ask_journal(&stage, "SELECT fate FROM disks"), DISK_RETURNED);
}

static void the_new_disk_is_right(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    seen_and_stale(&stage);
    happen(&stage, DEED_DESTROY);
    define_with_images(&stage);
    look(&stage, OUTCOME_FINISHED);
    assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), PHASE_REDEFINED);
    assert_null(strstr(stage.world->defined, "/images/db-vdb"));
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM ledger"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_that_may_hold_data_is_kept),
        cmocka_unit_test(the_way_back),
        cmocka_unit_test(somebody_has_it_open),
        cmocka_unit_test(it_ran),
        cmocka_unit_test(it_ran_and_is_to_be_kept),
        cmocka_unit_test(it_did_not),
        cmocka_unit_test(the_old_disk_is_right),
        cmocka_unit_test(the_new_disk_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
