/* Sources are given up when nobody needs them; each single thing that speaks against it is enough
 * to leave all as it was. */
#include "retire_stage.h"

static const struct retire_wishes plain = {0}, at_once = {.now = true},
                                  only_look = {.dry_run = true};

static void check(char *wrong)
{
    if (wrong)
        fail_msg("%s", wrong);
}

static void expect_places(const struct stage *stage, enum source_place image,
                          enum source_place file)
{
    long checks = 0;
    assert_int_equal(source_place(stage, 0), image);
    assert_int_equal(source_place(stage, 1), file);
    assert_int_equal(source_place(stage, 2), file);
    check(check_settled(stage, &checks));
}

/* ---- it goes ---- */

/* When it ended, which its retirement does not change. */
static int64_t end_of_move(const struct stage *stage)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(journal_closep) struct journal *journal = NULL;
    CLEANUP(move_record_clear) struct move_record record = {0};
    int64_t end = 0;
    if (journal_open(stage->folder, JOURNAL_READ, &journal, &error) < 0 ||
        journal_read(journal, 1, &record, &error) < 0 ||
        journal_ended(journal, &record, &end, &error) < 0)
        fail_msg("%s", error.message);
    return end;
}

static void trash(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    retire_stage_open(&stage, "trash", false);
    int64_t end = end_of_move(&stage);
    const struct outcome *outcome = stage_retire(&stage, &plain);
    if (outcome->status != 0)
        fail_msg("%s\n%s", outcome->message, stage.told);
    expect_places(&stage, IN_THE_TRASH, PUT_ASIDE);
    assert_int_equal(end_of_move(&stage), end);
    assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), PHASE_RETIRED);
    AUTO_FREE char *note =
        ask_journal_text(&stage, "SELECT detail FROM steps WHERE event='give up' LIMIT 1");
    assert_non_null(strstr(note, "id 5ca1ab1e"));

    assert_int_equal(stage_retire(&stage, &plain)->status, 3);
    assert_int_equal(stage_recover(&stage)->recovered, 0);
    expect_places(&stage, IN_THE_TRASH, PUT_ASIDE);
}

static void removed(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    retire_stage_open(&stage, "remove", false);
    assert_int_equal(stage_retire(&stage, &plain)->status, 0);
    expect_places(&stage, NOWHERE, NOWHERE);
}

static void verified(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    retire_stage_open(&stage, "trash", true);
    retire_stage_verify(&stage, VERDICT_EQUAL, NULL);
    assert_int_equal(stage_retire(&stage, &at_once)->status, 0);
    expect_places(&stage, IN_THE_TRASH, PUT_ASIDE);
    AUTO_FREE char *note =
        ask_journal_text(&stage, "SELECT detail FROM steps WHERE event='give up' LIMIT 1");
    assert_non_null(strstr(note, "sha256 aa, target aa"));
}

/* What can never be compared is kept, and keeps nothing else. */
static void one_that_cannot_be_verified(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    retire_stage_open(&stage, "remove", true);
    retire_stage_verify(&stage, VERDICT_EQUAL, "vda");
    assert_int_equal(stage_retire(&stage, &at_once)->status, 0);
    assert_int_equal(source_place(&stage, 0), AT_ITS_PLACE);
    assert_int_equal(source_place(&stage, 1), NOWHERE);
    assert_int_equal(source_place(&stage, 2), NOWHERE);
    assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), PHASE_RETIRED);
}

static void while_off(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    retire_stage_open(&stage, "trash", false);
    fake_world_happen(stage.world, DEED_DESTROY);
    fake_world_run(stage.world, 60000);
    assert_int_equal(stage_retire(&stage, &plain)->status, 0);
    expect_places(&stage, IN_THE_TRASH, PUT_ASIDE);
}

static void only_looked_at(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    retire_stage_open(&stage, "trash", false);
    long before = stage.world->journal_disk.writes;
    assert_int_equal(stage_retire(&stage, &only_look)->status, 0);
    assert_non_null(strstr(stage.told, "vda: to the trash of pool vms, for 1 h 00 min"));
    assert_non_null(strstr(stage.told, "vdc: to be renamed to /images/db-vdc.raw" ASIDE));
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM steps WHERE event='give up'"), 0);
    assert_int_equal(stage.world->calls_of[CALL_FILE_RENAME], 0);
    assert_true(stage.world->journal_disk.writes >= before);
    expect_places(&stage, AT_ITS_PLACE, AT_ITS_PLACE);
}

/* Somebody else was faster. */
static void what_is_gone_already(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    retire_stage_open(&stage, "trash", false);
    stage.world->images[stage.world->disks[0].source].exists = false;
    assert_int_equal(stage_retire(&stage, &plain)->status, 0);
    assert_non_null(strstr(stage.told, "vda: kept: it was not there any more"));
    assert_int_equal(source_place(&stage, 2), PUT_ASIDE);
}

/* And has made something of the same name since, which the guest never had. */
static void what_has_its_name_by_now(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    retire_stage_open(&stage, "remove", false);
    struct fake_world *world = stage.world;
    int others[3];
    for (size_t i = 0; i < 3; i++) {
        struct fake_image *old = &world->images[world->disks[i].source];
        old->exists = false;
        others[i] = fake_image_add(world, old->where, old->name, old->size);
    }
    assert_int_equal(stage_retire(&stage, &plain)->status, 0);
    assert_non_null(strstr(stage.told, "vda: kept: another image has its name by now"));
    assert_non_null(strstr(stage.told, "vdc: kept: another file has its name by now"));
    for (size_t i = 0; i < 3; i++)
        assert_true(world->images[others[i]].exists);
}

/* ---- it does not ---- */

struct refusal {
    void (*change)(struct stage *stage);
    const char *words; /* in the message */
    int status;        /* 0 stands for 1 */
};

static void refuse(const struct refusal *refusal, const char *after, bool verify)
{
    const struct retire_wishes *const ways[] = {&only_look, &plain, &plain};
    AUTO_STAGE struct stage stage;
    retire_stage_open(&stage, after, verify);
    refusal->change(&stage);
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        const struct outcome *outcome = stage_retire(&stage, ways[i]);
        if (!strstr(outcome->message, refusal->words))
            fail_msg("expected '%s', got: %s\n%s", refusal->words, outcome->message, stage.told);
        assert_int_equal(outcome->status, refusal->status ? refusal->status : 1);
        expect_places(&stage, AT_ITS_PLACE, AT_ITS_PLACE);
    }
}

static void no_change(struct stage *stage UNUSED)
{
}

static void not_over(struct stage *stage)
{
    stage->world->now -= 2 * 1000;
}

static void different(struct stage *stage)
{
    retire_stage_verify(stage, VERDICT_DIFFERENT, NULL);
}

static void snapshots(struct stage *stage)
{
    stage->world->snapshots = 1;
}

static void migrating(struct stage *stage)
{
    FAKE_SET(stage->world->job, "migration out");
}

static void gone(struct stage *stage)
{
    fake_world_happen(stage->world, DEED_DESTROY);
    stage->world->persistent = false;
}

static void defined_old(struct stage *stage)
{
    FAKE_SET(stage->world->defined, stage->world->original);
    FAKE_SET(stage->world->config, stage->world->original);
}

/* The guest was started from its old definition, and runs on its old disks. */
static void runs_on_old(struct stage *stage)
{
    fake_world_happen(stage->world, DEED_DESTROY);
    fake_world_run(stage->world, 60000);
    defined_old(stage);
    fake_world_happen(stage->world, DEED_START);
    stage->world->stale_start = true;
}

static void foreign_watcher(struct stage *stage)
{
    stage->world->foreign_watchers = true;
}

static void image_open(struct stage *stage)
{
    stage->world->images[stage->world->disks[0].source].held = true;
}

static void file_open(struct stage *stage)
{
    stage->world->images[stage->world->disks[2].source].held = true;
}

static void cloned(struct stage *stage)
{
    stage->world->images[stage->world->disks[0].source].children = 2;
}

#define NEIGHBOUR                                                                                  \
    "<domain type='kvm'><name>neighbour</name><uuid>" FAKE_NEIGHBOUR "</uuid><devices>%s"          \
    "</devices></domain>"

static void set_neighbour(char *field, size_t room, const char *disk)
{
    AUTO_FREE char *xml = text_format(NEIGHBOUR, disk);
    fake_set(field, room, xml);
}
#define SET_NEIGHBOUR(field, disk) set_neighbour(field, sizeof(field), disk)

static void neighbour_defined(struct stage *stage)
{
    SET_NEIGHBOUR(
        stage->world->neighbour_defined,
        "<disk type='file'><source file='/images/db-vdc.raw'/><target dev='vda'/></disk>");
}

static void neighbour_by_volume(struct stage *stage)
{
    SET_NEIGHBOUR(stage->world->neighbour_defined,
                  "<disk type='volume'><source pool='images' volume='db-vdc.raw'/>"
                  "<target dev='vda'/></disk>");
}

static void neighbour_by_unknown_volume(struct stage *stage)
{
    SET_NEIGHBOUR(
        stage->world->neighbour_defined,
        "<disk type='volume'><source pool='other' volume='x'/><target dev='vda'/></disk>");
    stage->world->events[0] =
        (struct fake_event){.deed = DEED_FAIL, .kind = CALL_VOLUME, .code = ERROR_NOT_FOUND};
}

static void neighbour_runs(struct stage *stage)
{
    SET_NEIGHBOUR(stage->world->neighbour_live,
                  "<disk type='network'><source protocol='rbd' name='vms/db-vda'>"
                  "<host name='10.0.0.1' port='6789'/></source><target dev='vda'/></disk>");
}

/* By another of the cluster's monitors. */
static void neighbour_by_another_monitor(struct stage *stage)
{
    SET_NEIGHBOUR(stage->world->neighbour_defined,
                  "<disk type='network'><source protocol='rbd' name='vms/db-vda'>"
                  "<host name='10.0.0.2' port='6789'/></source><target dev='vda'/></disk>");
}

static void neighbour_stands_on_it(struct stage *stage)
{
    SET_NEIGHBOUR(stage->world->neighbour_live,
                  "<disk type='file'><driver type='qcow2'/><source file='/images/top'/>"
                  "<backingStore type='file'><format type='raw'/>"
                  "<source file='/images/db-vdc.raw'/><backingStore/></backingStore>"
                  "<target dev='vda'/></disk>");
}

static void neighbour_copies_there(struct stage *stage)
{
    SET_NEIGHBOUR(stage->world->neighbour_live,
                  "<disk type='file'><source file='/images/other'/>"
                  "<mirror type='file' job='copy'><format type='raw'/>"
                  "<source file='/images/db-vdc.raw'/></mirror><target dev='vda'/></disk>");
}

static void add_file(struct stage *stage, const char *path, const char *backing)
{
    int image = fake_image_add(stage->world, ON_HOST, path, 4096);
    FAKE_SET(stage->world->images[image].token, "not a source");
    FAKE_SET(stage->world->images[image].backing, backing);
}

#define QCOW2_NEIGHBOUR                                                                            \
    "<disk type='file'><driver type='qcow2'/><source file='/images/top'/><target "                 \
    "dev='vda'/></disk>"

/* Only the headers tell. */
static void neighbour_stands_on_it_when_started(struct stage *stage)
{
    add_file(stage, "/images/top", "/images/middle");
    add_file(stage, "/images/middle", "/images/db-vdb.qcow2");
    SET_NEIGHBOUR(stage->world->neighbour_defined, QCOW2_NEIGHBOUR);
}

static void neighbour_stands_on_the_image(struct stage *stage)
{
    add_file(stage, "/images/top", "rbd:vms/db-vda:conf=/etc/ceph/old.conf");
    SET_NEIGHBOUR(stage->world->neighbour_defined, QCOW2_NEIGHBOUR);
}

static void headers_unreadable(struct stage *stage)
{
    add_file(stage, "/images/top", "");
    SET_NEIGHBOUR(stage->world->neighbour_defined, QCOW2_NEIGHBOUR);
    stage->world->events[0] =
        (struct fake_event){.deed = DEED_FAIL, .kind = CALL_FILE_BACKING, .code = ERROR_DENIED};
}

/* Another move of this domain, or of another, that has come so far. */
static void add_move(struct stage *stage, enum move_phase phase)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(journal_closep) struct journal *journal = NULL;
    int64_t id = 0;
    AUTO_FREE char *plan = ask_journal_text(stage, "SELECT plan FROM moves WHERE id=1");
    const struct move_record record = {.uuid = FAKE_NEIGHBOUR,
                                       .domain = "neighbour",
                                       .uri = "fake:///system",
                                       .plan = plan,
                                       .live = stage->live_xml};
    if (journal_open(stage->folder, JOURNAL_WRITE, &journal, &error) < 0 ||
        journal_create(journal, &record, &id, &error) < 0 ||
        (phase != PHASE_PLANNED && journal_reach(journal, id, phase, NULL, &error) < 0))
        fail_msg("%s", error.message);
}

static void another_move(struct stage *stage)
{
    add_move(stage, PHASE_LOCKED);
}

static void before_the_end(void **state UNUSED)
{
    static const struct refusal refusals[] = {
        {not_over, "its grace of 1 h 00 min is not over", 0},
        {snapshots, "snapshots", 0},
        {migrating, "migration out", 0},
        {gone, "not on this host any more", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
        refuse(&refusals[i], "trash", false);
}

static void without_proof(void **state UNUSED)
{
    static const struct refusal none = {no_change, "not verified", 0};
    static const struct refusal bad = {different, "differs from its source", 4};
    refuse(&none, "trash", true);
    refuse(&bad, "remove", true);
}

static void unless_the_guest_is_elsewhere(void **state UNUSED)
{
    static const struct refusal refusals[] = {
        {defined_old, "the definition does not name that", 0},
        {runs_on_old, "does not name that", 0},
        {foreign_watcher, "2 clients have", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
        refuse(&refusals[i], "trash", false);
}

static void while_others_need_it(void **state UNUSED)
{
    static const struct refusal refusals[] = {
        {image_open, "has it open", 0},
        {file_open, "process 4711 (qemu) has it open", 0},
        {cloned, "2 clones", 0},
        {neighbour_defined, "the definition of domain 'neighbour' still names it", 0},
        {neighbour_by_volume, "the definition of domain 'neighbour' still names it", 0},
        {neighbour_by_unknown_volume, "nobody knows whether another image stands on it", 0},
        {neighbour_runs, "the running guest of domain 'neighbour' still names it", 0},
        {neighbour_by_another_monitor, "still names it", 0},
        {neighbour_stands_on_it, "still names it", 0},
        {neighbour_copies_there, "still names it", 0},
        {neighbour_stands_on_it_when_started, "still names it", 0},
        {neighbour_stands_on_the_image, "still names it", 0},
        {headers_unreadable, "nobody knows whether another image stands on it", 0},
        {another_move, "move 2 of domain 'neighbour' (locked) still needs it", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        refuse(&refusals[i], "trash", false);
        refuse(&refusals[i], "remove", false);
    }
}

static void kept(void **state UNUSED)
{
    static const struct refusal refusal = {no_change, "keeps its sources", 3};
    refuse(&refusal, "keep", false);
}

static void replace(char *field, size_t room, const char *old, const char *new)
{
    AUTO_FREE char *text = text_dup(field);
    const char *at = strstr(text, old);
    AUTO_FREE char *changed =
        at ? text_format("%.*s%s%s", (int)(at - text), text, new, at + strlen(old))
           : text_dup(text);
    fake_set(field, room, changed);
}
#define REPLACE(field) replace(field, sizeof(field), "vms/db-vda", "vms/" FAKE_NAME "-vda")

static void name_alike(struct fake_world *world)
{
    REPLACE(world->defined);
    REPLACE(world->config);
    REPLACE(world->original);
    REPLACE(world->disks[0].shown_source);
    REPLACE(world->images[world->disks[0].source].name);
}

/* An image of the same name, in the cluster that it went to, is not its source. */
static void of_the_same_name_elsewhere(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 1,
                                    .more = "verify: none\nsource: {after: trash, grace: 0s}\n",
                                    .tiers = "  same: {pool: new/vms}\n",
                                    .tier = "same",
                                    .change = name_alike};
    stage_open(&stage, &kind);
    assert_int_equal(stage_move(&stage)->status, 0);
    const struct fake_disk *disk = &stage.world->disks[0];
    assert_string_equal(stage.world->images[disk->live].name,
                        stage.world->images[disk->source].name);
    const struct outcome *outcome = stage_retire(&stage, &plain);
    if (outcome->status != 0)
        fail_msg("%s", outcome->message);
    assert_int_equal(source_place(&stage, 0), IN_THE_TRASH);
}

/* Opened after the last look, before it is renamed. */
static void opened_in_that_moment(void **state UNUSED)
{
    static const char *const ways[] = {"trash", "remove"};
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        long checks = 0;
        AUTO_STAGE struct stage stage;
        retire_stage_open(&stage, ways[i], false);
        stage.world->events[0] =
            (struct fake_event){.deed = DEED_OPEN_SOURCES, .kind = CALL_FILE_RENAME, .nth = 1};
        assert_int_equal(stage_retire(&stage, &plain)->status, 1);
        check(check_sources(&stage, &checks));
        assert_int_equal(source_place(&stage, 1), AT_ITS_PLACE);
        assert_int_equal(source_place(&stage, 2), AT_ITS_PLACE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trash),
        cmocka_unit_test(removed),
        cmocka_unit_test(verified),
        cmocka_unit_test(one_that_cannot_be_verified),
        cmocka_unit_test(while_off),
        cmocka_unit_test(only_looked_at),
        cmocka_unit_test(what_is_gone_already),
        cmocka_unit_test(what_has_its_name_by_now),
        cmocka_unit_test(before_the_end),
        cmocka_unit_test(without_proof),
        cmocka_unit_test(unless_the_guest_is_elsewhere),
        cmocka_unit_test(while_others_need_it),
        cmocka_unit_test(kept),
        cmocka_unit_test(of_the_same_name_elsewhere),
        cmocka_unit_test(opened_in_that_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
