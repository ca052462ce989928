/* Guests that migrate here, in detail: the hook's helper, waiting for them, and their coming. */
#include "arrival_steps.h"

/* ---- before ---- */

static void images_are_made(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes, 3);
    assert_int_equal(image_of_disk(&stage, 0), -1); /* in another cluster: both hosts reach it */
    for (size_t i = 1; i < 3; i++) {
        int image = image_of_disk(&stage, i);
        assert_true(image >= 0);
        assert_int_equal(stage.world->images[image].size, stage.world->ways.disk_size);
    }
    /* libvirt was not asked for anything, the waiting move says what it waits for. */
    for (int call = CALL_NONE + 1; call < CALL_CONNECT; call++)
        assert_int_equal(stage.world->calls_of[call], 0);
    assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves WHERE kind = 1"), PHASE_COPYING);
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM disks WHERE fate = 0"), 2);
    assert_true(stage.outcome->id > 0);
}

/* What the hook is told of when it has the size from: the record of the waiting move. */
static void the_record_knows_the_size(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes, 2);
    AUTO_FREE char *record = ask_text(&stage, "SELECT plan FROM moves");
    AUTO_ERROR struct error error = {0};
    CLEANUP(plan_freep) struct plan *plan = NULL;
    assert_int_equal(plan_from_record(record, &plan, &error), 0);
    assert_string_equal(plan->disks.items[1].target, "vdb");
    assert_int_equal(plan->disks.items[1].action, PLAN_MOVE);
    assert_int_equal(plan->disks.items[1].destination.size, stage.world->ways.disk_size);
    assert_int_equal(plan->networks.count, 2);
}

/* Nobody has noticed yet that the one before has come to nothing. */
static void tried_again(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes, 2);
    int first = image_of_disk(&stage, 1);
    happen(&stage, DEED_LIST);
    stage_expect(&stage); /* somebody has the first one's images open */
    assert_int_equal(stage.outcome->status, 1);
    assert_int_equal(stage.outcome->code, ERROR_BUSY);
    assert_non_null(strstr(stage.outcome->message, "move 1 of this domain"));
    assert_int_equal(image_of_disk(&stage, 1), first);
    happen(&stage, DEED_LEAVE);
    wait(&stage, LATER);
    stage_expect(&stage);
    assert_int_equal(stage.outcome->status, 0);
    assert_true(stage.world->images[first].trashed);
    assert_true(image_of_disk(&stage, 1) > first);
    assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves WHERE id = 1"), PHASE_UNDONE);
    happen(&stage, DEED_ARRIVE);
    look(&stage, OUTCOME_FINISHED);
    assert_well(&stage);
}

/* One that was killed before libvirt was told of its images has nothing to keep. */
static void tried_again_after_a_kill(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 3, .definition = "auto", .arrival = &comes_unwatched};
    stage_open(&stage, &kind);
    stage.world->events[0] = (struct fake_event){.deed = DEED_KILL, .kind = CALL_CREATE, .nth = 2};
    stage_expect(&stage);
    assert_int_equal(stage.outcome->status, FAKE_KILLED);
    fake_world_forget_calls(stage.world);
    int first = image_of_disk(&stage, 1);
    assert_true(first >= 0);
    stage_expect(&stage);
    assert_int_equal(stage.outcome->status, 0);
    assert_false(stage.world->images[first].exists || stage.world->images[first].trashed);
    assert_true(image_of_disk(&stage, 1) > first);
}

/* A live move that is dead, or an operator's question, is not the hook's to answer. */
static void not_over_a_question(void **state UNUSED)
{
    static const int phases[] = {PHASE_PIVOTED, PHASE_NEEDS_OPERATOR};
    for (size_t i = 0; i < ARRAY_SIZE(phases); i++) {
        AUTO_STAGE struct stage stage;
        open_and_expect(&stage, &comes, 2);
        AUTO_FREE char *sql = text_format("UPDATE moves SET phase = %d", phases[i]);
        ask_journal(&stage, sql);
        stage_expect(&stage);
        assert_int_equal(stage.outcome->code, ERROR_BUSY);
        assert_true(image_of_disk(&stage, 1) >= 0);
        assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM moves"), 1);
    }
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes, 2);
    ask_journal(&stage, "UPDATE moves SET kind = 0");
    stage_expect(&stage);
    assert_int_equal(stage.outcome->code, ERROR_BUSY);
}

static void an_image_of_that_name_is_not_touched(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 3, .definition = "auto", .arrival = &comes};
    stage_open(&stage, &kind);
    int theirs = fake_image_add(stage.world, IN_NEW_CLUSTER, "fast/db-1-vdc", 4096);
    stage_expect(&stage);
    assert_int_equal(stage.outcome->status, 1);
    assert_non_null(strstr(stage.outcome->message, "disk vdc"));
    assert_true(stage.world->images[theirs].exists);
    assert_int_equal(image_of_disk(&stage, 1), -1); /* and the other is taken back */
    assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), PHASE_UNDONE);
    assert_string_equal(stage.world->journey.handed, "");
}

static void no_cluster_no_migration(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 2, .definition = "auto", .arrival = &comes};
    stage_open(&stage, &kind);
    stage.world->cluster_away = true;
    stage_expect(&stage);
    assert_int_equal(stage.outcome->status, 1);
    assert_int_equal(stage.outcome->code, ERROR_UNREACHABLE);
    stage.world->cluster_away = false;
    look(&stage, OUTCOME_UNDONE);
    assert_well(&stage);
}

/* Killed before libvirt was told of the image, which somebody then found, and defined. */
static void a_definition_goes_before_what_we_think(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 2, .definition = "auto", .arrival = &comes};
    stage_open(&stage, &kind);
    stage.world->events[0] =
        (struct fake_event){.deed = DEED_KILL, .kind = CALL_CREATE, .nth = 1, .after = true};
    stage_expect(&stage);
    assert_int_equal(stage.outcome->status, FAKE_KILLED);
    fake_world_forget_calls(stage.world);
    define_with_images(&stage);
    stage.world->journey.offline = true; /* with our networks, and no data */
    look(&stage, OUTCOME_UNDONE);
    assert_int_equal(stage.world->calls_of[CALL_DEFINE], 1);
    assert_well(&stage);
}

/* ---- waiting ---- */

static void seconds_of_arrival(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes, 2);
    for (int i = 0; i < 4; i++) {
        look(&stage, OUTCOME_WAITING);
        assert_int_equal(stage.outcome->writes, 0);
        assert_true(image_of_disk(&stage, 1) >= 0);
        wait(&stage, 7);
    }
    wait(&stage, 2); /* 30 in all: libvirt would have listed it by now */
    look(&stage, OUTCOME_UNDONE);
    assert_int_equal(image_of_disk(&stage, 1), -1);
    assert_well(&stage);
}

/* Who saw it leave need not wait for it. */
static void cancelled_at_once(void **state UNUSED)
{
    for (int watched = 0; watched <= 1; watched++) {
        AUTO_STAGE struct stage stage;
        open_and_expect(&stage, watched ? &comes : &comes_unwatched, 2);
        stage.world->ways.stale_watch_ms = 0;
        wait(&stage, 2);
        happen(&stage, DEED_LIST);
        wait(&stage, 2);
        look(&stage, OUTCOME_WAITING);
        happen(&stage, DEED_LEAVE);
        look(&stage, watched ? OUTCOME_UNDONE : OUTCOME_WAITING);
        wait(&stage, 30);
        if (!watched)
            look_in_vain(&stage, 4, "nobody watched", "remove them"); /* some was copied */
        else
            assert_well(&stage);
    }
}

static void a_long_migration(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes_unwatched, 2);
    happen(&stage, DEED_LIST);
    for (int i = 0; i < 5; i++) {
        wait(&stage, 3600);
        look(&stage, OUTCOME_WAITING);
        assert_int_equal(stage.outcome->writes, 0);
    }
    happen(&stage, DEED_ARRIVE);
    look(&stage, OUTCOME_FINISHED);
    assert_well(&stage);
}

/* ---- it comes ---- */

static void the_definition(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes, 3);
    happen(&stage, DEED_ARRIVE);
    assert_non_null(strstr(stage.world->defined, "/images/db-vdb.qcow2"));
    assert_non_null(strstr(stage.world->defined, "network='office'"));
    look(&stage, OUTCOME_FINISHED);
    assert_well(&stage);
    const char *xml = stage.world->defined;
    assert_null(strstr(xml, "/images/"));
    assert_non_null(strstr(xml, "name='vms/db-vda'"));
    assert_non_null(strstr(xml, "network='lan'"));
    assert_non_null(strstr(xml, "bridge='br0'"));
    assert_non_null(strstr(xml, "passwd='hunter2'"));
    assert_int_equal(stage.world->calls_of[CALL_UNDEFINE], 0);
    assert_int_equal(stage.world->calls_of[CALL_DEFINE], 1);
    assert_int_equal(stage.world->images[image_of_disk(&stage, 1)].qos.iops, 500);
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM moves WHERE message IS NULL"), 1);
    /* Saved, as it came and as it is now. */
    AUTO_FREE char *saved = ask_text(&stage, "SELECT definition FROM moves");
    assert_string_equal(saved, stage.world->original);
    AUTO_FREE char *path = ask_text(&stage, "SELECT definition_file FROM moves");
    AUTO_FREE char *after = journal_successor_file(path);
    char text[FAKE_XML] = "";
    AUTO_FCLOSE FILE *file = fopen(after, "re");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    assert_string_equal(text, stage.world->defined);
}

static void a_transient_guest_is_not_defined(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes_transient, 2);
    happen(&stage, DEED_ARRIVE);
    look(&stage, OUTCOME_FINISHED);
    assert_well(&stage);
    assert_false(stage.world->persistent);
    assert_int_equal(stage.world->calls_of[CALL_DEFINE], 0);
}

/* The cluster may be away: the definition is put right all the same, and the rest is done later. */
static void the_definition_needs_no_cluster(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes, 2);
    happen(&stage, DEED_ARRIVE);
    happen(&stage, DEED_CLUSTER_AWAY);
    look_in_vain(&stage, 1, "does not answer", "");
    assert_null(strstr(stage.world->defined, "/images/db-vdb"));
    assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), PHASE_PIVOTED);
    stage.world->cluster_away = false;
    look(&stage, OUTCOME_FINISHED);
    assert_well(&stage);
}

/* No disk moves: libvirt copies them into files of their names here. */
static void expect_networks_only(struct stage *stage, const struct stage_arrival *arrival)
{
    const struct stage_kind kind = {.disks = 2,
                                    .definition = "auto",
                                    .arrival = arrival,
                                    .rules =
                                        "  - {name: stay, match: {disk: 'vd*'}, leave: true}\n"};
    stage_open(stage, &kind);
    assert_int_equal(plan_count(stage->plan, PLAN_MOVE), 0);
    stage_expect(stage);
    assert_int_equal(stage->outcome->status, 0);
    for (size_t i = 0; i < 2; i++) {
        struct fake_image *image = &stage->world->images[stage->world->disks[i].source];
        image->where = image->where == ON_OTHER_HOST ? ON_HOST : image->where;
    }
    look(stage, OUTCOME_WAITING);
}

static void assert_on_networks(const struct stage *stage)
{
    assert_non_null(strstr(stage->world->defined, "network='lan'"));
    assert_non_null(strstr(stage->world->defined, "bridge='br0'"));
    assert_non_null(strstr(stage->world->defined, "/images/db-vdb.qcow2"));
    assert_int_equal(ask_journal(stage, "SELECT phase FROM moves"), PHASE_REDEFINED);
    assert_int_equal(ask_journal(stage, "SELECT count(*) FROM ledger"), 0);
}

static void only_networks(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    expect_networks_only(&stage, &comes);
    happen(&stage, DEED_ARRIVE);
    assert_true(stage.world->active);
    look(&stage, OUTCOME_FINISHED);
    assert_on_networks(&stage);
}

/* There is no doubt about its disks, and its interfaces are to be on this host's networks. */
static void only_networks_of_one_that_stopped(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    expect_networks_only(&stage, &comes);
    happen(&stage, DEED_ARRIVE);
    happen(&stage, DEED_DESTROY);
    wait(&stage, LATER);
    look(&stage, OUTCOME_FINISHED);
    assert_on_networks(&stage);
}

static void only_networks_of_one_that_never_came(void **state UNUSED)
{
    for (int here = 0; here <= 1; here++) {
        AUTO_STAGE struct stage stage;
        expect_networks_only(&stage, &comes);
        if (here)
            happen(&stage, DEED_DEFINE_OLD);
        wait(&stage, LATER);
        look(&stage, OUTCOME_UNDONE);
        assert_string_equal(stage.world->defined, here ? stage.world->original : "");
    }
}

/* Told --unsafe, and not to copy: the disks are where they were, and an operator should know. */
static void nothing_was_copied(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes, 2);
    happen(&stage, DEED_ARRIVE);
    stage.world->ways.guest_idle = true;
    memset(&stage.world->images[image_of_disk(&stage, 1)].content, 0, sizeof(struct fake_writes));
    look(&stage, OUTCOME_FINISHED);
    assert_non_null(stage.warnings);
    assert_non_null(strstr(stage.warnings, "nothing was copied"));
}

/* A disk that the definition gives another source is somebody's own. */
static void another_disk_in_the_definition(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes, 3);
    char *place = strstr(stage.world->journey.cookie, "/images/db-vdc.raw");
    memcpy(place, "/images/theirs.raw", strlen("/images/theirs.raw"));
    happen(&stage, DEED_ARRIVE);
    look(&stage, OUTCOME_FINISHED);
    assert_non_null(strstr(stage.world->defined, "/images/theirs.raw"));
    assert_null(strstr(stage.world->defined, "/images/db-vdb.qcow2"));
    assert_non_null(stage.warnings);
    assert_non_null(strstr(stage.warnings, "disk vdc: the definition was changed meanwhile"));
}

/* Also when its definition had been saved by a process that was killed. */
static void another_disk_after_a_kill(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_and_expect(&stage, &comes, 3);
    char *place = strstr(stage.world->journey.cookie, "/images/db-vdc.raw");
    memcpy(place, "/images/theirs.raw", strlen("/images/theirs.raw"));
    happen(&stage, DEED_ARRIVE);
    look_and_die(&stage, CALL_DEFINE);
    assert_int_equal(ask_journal(&stage, "SELECT definition IS NOT NULL FROM moves"), 1);
    look(&stage, OUTCOME_FINISHED);
    assert_non_null(strstr(stage.world->defined, "/images/theirs.raw"));
    assert_null(strstr(stage.world->defined, "/images/db-vdb.qcow2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_are_made),
        cmocka_unit_test(the_record_knows_the_size),
        cmocka_unit_test(tried_again),
        cmocka_unit_test(tried_again_after_a_kill),
        cmocka_unit_test(not_over_a_question),
        cmocka_unit_test(an_image_of_that_name_is_not_touched),
        cmocka_unit_test(no_cluster_no_migration),
        cmocka_unit_test(a_definition_goes_before_what_we_think),
        cmocka_unit_test(seconds_of_arrival),
        cmocka_unit_test(cancelled_at_once),
        cmocka_unit_test(a_long_migration),
        cmocka_unit_test(the_definition),
        cmocka_unit_test(a_transient_guest_is_not_defined),
        cmocka_unit_test(the_definition_needs_no_cluster),
        cmocka_unit_test(only_networks),
        cmocka_unit_test(only_networks_of_one_that_stopped),
        cmocka_unit_test(only_networks_of_one_that_never_came),
        cmocka_unit_test(nothing_was_copied),
        cmocka_unit_test(another_disk_in_the_definition),
        cmocka_unit_test(another_disk_after_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
