/* Domains that are off, and whose images RBD brings into another pool of their cluster: killed,
 * failing, and the guest started and stopped, at every call. */
#include "points.h"

#include "base/text.h"

static const struct stage_kind *const one = &migrated_kinds[0], *const two = &migrated_kinds[1];

static struct fake_image *source_of(const struct stage *stage, size_t disk)
{
    return &stage->world->images[stage->world->disks[disk].source];
}

static struct fake_image *target_of(const struct stage *stage, size_t disk)
{
    AUTO_FREE char *name = text_format("fast/" FAKE_NAME "-%s", stage->world->disks[disk].target);
    int image = fake_image_find(stage->world, IN_OLD_CLUSTER, name);
    return image < 0 ? NULL : &stage->world->images[image];
}

static void check_end(struct stage *stage, int status)
{
    long checks = 0;
    if (stage->outcome->status != status)
        fail_msg("exit status %d: %s", stage->outcome->status, stage->outcome->message);
    AUTO_FREE char *wrong = check_ended(stage, stage->outcome, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

static void is_told(const struct stage *stage, const char *message, const char *hint)
{
    if (!strstr(stage->outcome->message, message) || !strstr(stage->outcome->hint, hint))
        fail_msg("%s (%s)", stage->outcome->message, stage->outcome->hint);
}

/* ---- what it does ---- */

static void it_moves(void **state UNUSED)
{
    for (size_t i = 0; i < migrated_kinds_count; i++) {
        AUTO_STAGE struct stage stage;
        stage_open(&stage, &migrated_kinds[i]);
        assert_true(stage.plan->migrates);
        stage_move(&stage);
        check_end(&stage, 0);
        assert_null(stage.warnings);
        assert_int_equal(stage.world->calls_of[CALL_BLOCKS_COPY], 0);
        assert_int_equal(stage.world->calls_of[CALL_DEFINE], 1);
        assert_int_equal(stage.world->calls_of[CALL_MIGRATION_COMMIT], 0);
        for (size_t disk = 0; disk < stage.kind.disks; disk++) {
            const struct fake_image *target = target_of(&stage, disk);
            assert_non_null(target);
            assert_true(target->executed);
            assert_int_equal(*target->snapshot, '\0');
            assert_true(target->qos_set);
            assert_true(source_of(&stage, disk)->migrated);
        }
        assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), 10);
        assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM ledger"),
                         (long)stage.kind.disks);
    }
}

struct starter {
    struct stage *stage;
    enum move_phase at;
};

static void start_at(void *opaque, int64_t id UNUSED, enum move_phase phase,
                     const char *detail UNUSED)
{
    const struct starter *starter = opaque;
    if (phase != starter->at)
        return;
    fake_world_happen(starter->stage->world, DEED_START);
    fake_world_run(starter->stage->world, 1000);
}

/* Its data are not brought over yet, and it writes. */
static void the_guest_is_started_at_once(void **state UNUSED)
{
    static const enum move_phase phases[] = {PHASE_PIVOTED, PHASE_REDEFINED};
    for (size_t i = 0; i < ARRAY_SIZE(phases); i++) {
        AUTO_STAGE struct stage stage;
        stage_open(&stage, two);
        struct starter starter = {&stage, phases[i]};
        stage.audience = (struct move_audience){.opaque = &starter, .phase = start_at};
        stage_move(&stage);
        check_end(&stage, 0);
        assert_true(stage.world->active);
        assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM disks WHERE verdict = 1"), 2);
        assert_false(fake_writes_contain(&source_of(&stage, 0)->content,
                                         &stage.world->disks[0].acknowledged));
    }
}

static bool always(void *opaque UNUSED)
{
    return true;
}

/* What is put off goes on later. */
static void its_data_follow_later(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, two);
    stage.unproven = true;
    stage_move(&stage);
    check_end(&stage, 0);
    assert_false(target_of(&stage, 0)->executed);
    stage.audience.interrupted = always;
    stage_verify(&stage);
    assert_int_equal(stage.outcome->verification, ERROR_CANCELLED);
    stage.audience.interrupted = NULL;
    stage_verify(&stage);
    assert_true(target_of(&stage, 0)->executed && target_of(&stage, 1)->executed);
    assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), 10);
}

/* ---- what is copied all the same ---- */

static void is_copied(const struct stage_kind *kind, const char *why)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, kind);
    assert_false(stage.plan->migrates);
    bool said = why == NULL;
    for (size_t i = 0; i < stage.plan->warnings.count; i++)
        said |= why && strstr(stage.plan->warnings.items[i], why) != NULL;
    if (!said)
        fail_msg("it does not say: %s", why);
    stage_move(&stage);
    check_end(&stage, 0);
    assert_int_equal(stage.world->calls_of[CALL_MIGRATION_PREPARE], 0);
    assert_true(stage.world->calls_of[CALL_BLOCKS_COPY] > 0);
}

static void what_cannot_be_migrated_is_copied(void **state UNUSED)
{
    struct stage_kind kind = *two;
    kind.more = "offline: copy\n";
    is_copied(&kind, NULL);
    kind.more = NULL;
    is_copied(&kind, NULL);
    kind.more = "offline: migrate\nverify: none\n";
    is_copied(&kind, "'verify: none'");
    kind = *two;
    kind.change = NULL;
    is_copied(&kind, "disk vdb cannot be migrated, so that all are copied: its source is no RBD "
                     "image");
    kind = *one;
    kind.tier = "gold";
    is_copied(&kind, "its image does not stay in its cluster");
}

static void it_has_clones(struct fake_world *world)
{
    fake_world_make_images(world);
    world->images[world->disks[0].source].children = 1;
}

static void what_has_snapshots_is_copied(void **state UNUSED)
{
    struct stage_kind kind = *one;
    kind.change = it_has_clones;
    kind.more = "offline: migrate\nsource: {allow_loss: [snapshots, children]}\n";
    is_copied(&kind, "its image has snapshots");
}

/* ---- refusals ---- */

static void it_is_watched(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, two);
    source_of(&stage, 1)->held = true;
    stage_move(&stage);
    check_end(&stage, 1);
    assert_non_null(strstr(stage.outcome->message, "is watched"));
    assert_true(source_of(&stage, 0)->exists && source_of(&stage, 1)->exists);
}

/* Between the plan and the move. */
static void the_name_is_taken(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, two);
    fake_image_add(stage.world, IN_OLD_CLUSTER, "fast/" FAKE_NAME "-vdb", 1);
    stage_move(&stage);
    check_end(&stage, 1);
    assert_non_null(strstr(stage.outcome->message, "exists already"));
    assert_true(source_of(&stage, 0)->exists && source_of(&stage, 1)->exists);
    assert_null(target_of(&stage, 0));
}

static long first_call(struct stage *stage, enum fake_call call)
{
    struct calls calls;
    calls_record(stage, &calls);
    for (long at = 1; at <= calls.count; at++)
        if (calls.kinds[at - 1] == call)
            return at;
    fail_msg("it never calls %s", fake_call_name(call));
    return 0;
}

static void killed_at(struct stage *stage, enum fake_call call, bool after)
{
    long at = first_call(stage, call);
    stage_again(stage);
    stage->world->events[0] = (struct fake_event){.deed = DEED_KILL, .at = at, .after = after};
    stage_move(stage);
    assert_int_equal(stage->outcome->status, FAKE_KILLED);
    memset(stage->world->events, 0, sizeof(stage->world->events));
}

/* Not by a guest, which nobody has told of it. */
static void somebody_has_written_to_it(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, one);
    killed_at(&stage, CALL_SNAPSHOT, true);
    target_of(&stage, 0)->content.bits[FAKE_WRITES / 64 - 1] |= 1;
    stage_recover(&stage);
    assert_int_equal(stage.outcome->status, 4);
    is_told(&stage, "somebody has written to old/fast/" FAKE_NAME "-vda", "define the domain with");
    assert_non_null(target_of(&stage, 0));
}

static void killed_before_its_definition_names_it(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, two);
    killed_at(&stage, CALL_DEFINE, false);
    assert_true(source_of(&stage, 0)->migrated && source_of(&stage, 1)->migrated);
    fake_world_happen(stage.world, DEED_START); /* finds no disk */
    assert_false(stage.world->active);
    stage_recover(&stage);
    assert_int_equal(stage.outcome->end, OUTCOME_UNDONE);
    check_end(&stage, 0);
    assert_true(source_of(&stage, 0)->exists && source_of(&stage, 1)->exists);
    fake_world_happen(stage.world, DEED_START);
    assert_true(stage.world->active);
}

static void killed_once_its_definition_names_it(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    stage_open(&stage, two);
    killed_at(&stage, CALL_DEFINE, true);
    fake_world_happen(stage.world, DEED_START);
    fake_world_run(stage.world, 1000);
    assert_true(stage.world->active);
    stage_recover(&stage);
    assert_int_equal(stage.outcome->end, OUTCOME_FINISHED);
    check_end(&stage, 0);
    assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), 10);
}

/* ---- at every call ---- */

static void the_guest_is_started(void **state UNUSED)
{
    disturb_every_call(migrated_kinds, migrated_kinds_count, "migrated, the guest is started",
                       (const enum fake_deed[FAKE_EVENTS]){DEED_START}, 0);
}

static void the_guest_is_started_and_stopped(void **state UNUSED)
{
    static const enum fake_deed deeds[FAKE_EVENTS] = {DEED_START, DEED_DESTROY};
    disturb_every_call(migrated_kinds, migrated_kinds_count,
                       "migrated, the guest is started and stopped", deeds, 1);
    disturb_every_call(migrated_kinds, migrated_kinds_count,
                       "migrated, the guest is started, and stopped later", deeds, 4);
}

static void the_daemon_goes_away(void **state UNUSED)
{
    static const enum fake_deed deeds[FAKE_EVENTS] = {DEED_DISCONNECT};
    disturb_every_call(migrated_kinds, migrated_kinds_count, "migrated, libvirtd restarts", deeds,
                       0);
}

static void the_sources_are_opened(void **state UNUSED)
{
    struct tally tally = {.name = "migrated, another client opens the sources"};
    AUTO_STAGE struct stage stage;
    struct calls calls;
    stage_open(&stage, two);
    calls_record(&stage, &calls);
    for (long at = 1; at <= calls.count; at += point_stride()) {
        const struct fake_event event = {.deed = DEED_OPEN_SOURCES, .at = at};
        AUTO_FREE char *where = point_name(&calls, &event);
        stage_again(&stage);
        stage.world->events[0] = event;
        tally.points++;
        stage_move(&stage);
        settle(&tally, &stage, where);
    }
    tally_close(&tally);
}

static void every_call_fails(void **state UNUSED)
{
    static const enum error_code codes[] = {ERROR_FAILED, ERROR_BUSY, ERROR_NOT_FOUND,
                                            ERROR_UNREACHABLE};
    struct tally tally = {.name = "migrated, a call fails"};
    for (size_t i = 0; i < migrated_kinds_count; i++) {
        AUTO_STAGE struct stage stage;
        struct calls calls;
        stage_open(&stage, &migrated_kinds[i]);
        calls_record(&stage, &calls);
        for (long at = 1; at <= calls.count; at += point_stride())
            for (int after = 0; after <= fake_call_changes((enum fake_call)calls.kinds[at - 1]);
                 after++)
                for (size_t code = 0; code < ARRAY_SIZE(codes); code++) {
                    const struct fake_event event = {
                        .deed = DEED_FAIL, .at = at, .after = after, .code = codes[code]};
                    AUTO_FREE char *where = point_name(&calls, &event);
                    stage_again(&stage);
                    stage.world->events[0] = event;
                    tally.points++;
                    stage_move(&stage);
                    settle(&tally, &stage, where);
                }
    }
    tally_close(&tally);
}

/* At once, or when the watches of the dead are forgotten; and the guest may have been started
 * before anybody recovers. */
static void killed(void **state UNUSED)
{
    struct tally tally = {.name = "migrated, killed"};
    for (size_t i = 0; i < migrated_kinds_count; i++) {
        AUTO_STAGE struct stage stage;
        struct calls calls;
        stage_open(&stage, &migrated_kinds[i]);
        calls_record(&stage, &calls);
        for (long at = 1; at <= calls.count; at += point_stride())
            for (int way = 0; way < 8; way++) {
                const struct fake_event event = {
                    .deed = way & 4 ? DEED_HOST_REBOOT : DEED_KILL, .at = at, .after = way & 1};
                AUTO_FREE char *where = point_name(&calls, &event);
                stage_again(&stage);
                stage.world->events[0] = event;
                tally.points++;
                stage_move(&stage);
                memset(stage.world->events, 0, sizeof(stage.world->events));
                if (way & 2) {
                    fake_world_happen(stage.world, DEED_START);
                    fake_world_run(stage.world, 1000);
                }
                settle_after_kill(&tally, &stage, where);
            }
    }
    tally_close(&tally);
}

/* ---- afterwards ---- */

static void open_moved(struct stage *stage, const char *more)
{
    struct stage_kind kind = *two;
    kind.more = more;
    stage_open(stage, &kind);
    stage_move(stage);
    check_end(stage, 0);
    fake_world_run(stage->world, 3601 * 1000);
    fake_world_forget_calls(stage->world);
}

#define POLICY(after) "offline: migrate\nsource: {after: " after ", grace: 1h}\n"

static void its_sources_go_for_good(void **state UNUSED)
{
    static const char *const policies[] = {POLICY("trash"), POLICY("remove")};
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        AUTO_STAGE struct stage stage;
        open_moved(&stage, policies[i]);
        fake_world_happen(stage.world, DEED_START); /* it may run meanwhile */
        stage_retire(&stage, &(struct retire_wishes){0});
        if (stage.outcome->status != 0)
            fail_msg("%s", stage.outcome->message);
        assert_string_equal(stage.told, "vda: removed (-)\nvdb: removed (-)\n");
        assert_false(source_of(&stage, 0)->trashed || source_of(&stage, 1)->trashed);
        assert_int_equal(target_of(&stage, 0)->from, 0);
        assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), 11);
        assert_int_equal(*stage.world->violation, '\0');
        stage_retire(&stage, &(struct retire_wishes){0});
        assert_int_equal(stage.outcome->code, ERROR_NOTHING);
    }
}

static void what_is_kept_goes_when_the_operator_says_so(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_moved(&stage, POLICY("keep"));
    stage_retire(&stage, &(struct retire_wishes){0});
    assert_int_equal(stage.outcome->code, ERROR_NOTHING);
    is_told(&stage, "keeps its sources", "retire --now 1");
    assert_true(source_of(&stage, 0)->migrated);
    stage_retire(&stage, &(struct retire_wishes){.now = true, .dry_run = true});
    assert_string_equal(stage.told, "vda: to be removed (-)\nvdb: to be removed (-)\n");
    stage_retire(&stage, &(struct retire_wishes){.now = true});
    assert_string_equal(stage.told, "vda: removed (-)\nvdb: removed (-)\n");
    assert_int_equal(*stage.world->violation, '\0');
}

static void what_is_still_needed_stays(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_moved(&stage, POLICY("remove"));
    target_of(&stage, 1)->executed = false;
    stage_retire(&stage, &(struct retire_wishes){0});
    assert_int_equal(stage.outcome->status, 1);
    assert_non_null(strstr(stage.told, "vdb: to be removed (its target still needs it"));
    assert_true(source_of(&stage, 0)->migrated && source_of(&stage, 1)->migrated);
}

static void retired_and_killed(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    struct stage_copy copy = {0};
    long checks = 0;
    open_moved(&stage, POLICY("remove"));
    stage_save(&stage, &copy);
    bool died = true;
    for (long at = 1; died; at++)
        for (int way = 0; way < 4; way++) {
            stage_load(&stage, &copy);
            fake_world_forget_calls(stage.world);
            stage.world->events[0] =
                (struct fake_event){.deed = way & 2 ? DEED_FAIL : DEED_KILL,
                                    .code = at % 2 ? ERROR_BUSY : ERROR_UNREACHABLE,
                                    .at = at,
                                    .after = way & 1};
            stage_retire(&stage, &(struct retire_wishes){0});
            died = way == 0 ? stage.outcome->status == FAKE_KILLED : died;
            memset(stage.world->events, 0, sizeof(stage.world->events));
            AUTO_FREE char *wrong = check_always(&stage, &checks);
            bool gone = !source_of(&stage, 0)->trashed || !source_of(&stage, 1)->trashed;
            if (wrong && !gone)
                fail_msg("call %ld: %s", at, wrong);
            stage_retire(&stage, &(struct retire_wishes){0});
            if (stage.outcome->status != 0 && stage.outcome->code != ERROR_NOTHING)
                fail_msg("call %ld, way %d: %s", at, way, stage.outcome->message);
            assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), 11);
            assert_false(source_of(&stage, 0)->trashed || source_of(&stage, 1)->trashed);
            assert_int_equal(*stage.world->violation, '\0');
        }
    stage_copy_clear(&copy);
}

/* ---- back ---- */

static void no_way_back_before_its_end(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    open_moved(&stage, POLICY("keep"));
    for (int runs = 0; runs < 2; runs++) {
        stage_undo(&stage, 1);
        assert_int_equal(stage.outcome->status, 1);
        is_told(&stage, "was migrated by RBD", "retire --now 1");
        fake_world_happen(stage.world, DEED_START);
    }
    assert_int_equal(*stage.world->violation, '\0');
}

/* Nothing is left of the migration, and the guest has written since. From now on its disks are what
 * the checker looks after. */
static void open_retired(struct stage *stage, bool runs)
{
    struct fake_world *world;
    open_moved(stage, POLICY("keep"));
    world = stage->world;
    stage_retire(stage, &(struct retire_wishes){.now = true});
    assert_int_equal(stage->outcome->status, 0);
    for (size_t i = 0; i < world->disk_count; i++)
        world->disks[i].source = fake_image_defined(world, world->defined, world->disks[i].target);
    fake_world_happen(world, DEED_START);
    fake_world_run(world, 500);
    if (!runs) {
        fake_world_happen(world, DEED_DESTROY);
        fake_world_run(world, 40 * 1000); /* until nobody watches them */
    }
    fake_world_forget_calls(world);
}

/* Whether the disks are on new images of their old names; none, or all of them. */
static bool is_back(const struct stage *stage, long *checks)
{
    const struct fake_world *world = stage->world;
    AUTO_FREE char *wrong = check_always(stage, checks);
    if (wrong)
        fail_msg("%s", wrong);
    bool back = strcmp(world->defined, world->original) == 0;
    for (size_t i = 0; i < world->disk_count; i++) {
        int image = fake_image_defined(world, world->defined, world->disks[i].target);
        assert_true((image != world->disks[i].source) == back);
        assert_true(world->images[world->disks[i].source].exists);
    }
    assert_int_equal(ask_journal(stage, "SELECT phase FROM moves WHERE id = 1"),
                     back ? PHASE_UNDONE : PHASE_RETIRED);
    return back;
}

static void it_goes_back_to_images_of_its_old_names(void **state UNUSED)
{
    long checks = 0;
    for (int runs = 0; runs < 2; runs++) {
        AUTO_STAGE struct stage stage;
        open_retired(&stage, runs);
        stage_undo(&stage, 1);
        if (stage.outcome->status != 0)
            fail_msg("%s", stage.outcome->message);
        assert_true(is_back(&stage, &checks));
        assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves WHERE id = 2"),
                         PHASE_VERIFIED);
        stage_undo(&stage, 2);
        if (stage.outcome->status != 0)
            fail_msg("forth again: %s", stage.outcome->message);
        assert_int_equal(*stage.world->violation, '\0');
    }
}

static void its_old_name_is_taken(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    struct fake_world *world;
    open_moved(&stage, POLICY("remove"));
    world = stage.world;
    const struct fake_image was = *source_of(&stage, 1);
    stage_retire(&stage, &(struct retire_wishes){0});
    fake_image_add(world, was.where, was.name, was.size);
    stage_undo(&stage, 1);
    assert_int_equal(stage.outcome->status, 1);
    is_told(&stage, "by now there is another image of that name", "rename or remove it");
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM moves"), 1);
}

static void killed_on_its_way_back(void **state UNUSED)
{
    long checks = 0, back = 0, kills = 0;
    for (int runs = 0; runs < 2; runs++) {
        AUTO_STAGE struct stage stage;
        struct stage_copy copy = {0};
        open_retired(&stage, runs);
        stage_save(&stage, &copy);
        stage_undo(&stage, 1);
        const long calls = stage.world->calls;
        for (long at = 1; at <= calls; at += point_stride())
            for (int after = 0; after < 2; after++) {
                stage_load(&stage, &copy);
                stage.world->events[0] =
                    (struct fake_event){.deed = DEED_KILL, .at = at, .after = after};
                stage_undo(&stage, 1);
                memset(stage.world->events, 0, sizeof(stage.world->events));
                kills += stage.outcome->status == FAKE_KILLED;
                if (stage.outcome->status == FAKE_KILLED)
                    stage_recover(&stage);
                if (stage.outcome->status != 0)
                    fail_msg("call %ld: %s", at, stage.outcome->message);
                back += is_back(&stage, &checks);
            }
        stage_copy_clear(&copy);
    }
    print_message("%ld kills, %ld of these moves are back, %ld checks\n", kills, back, checks);
    assert_true(kills > 20 && back > 4 && back < kills);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_moves),
        cmocka_unit_test(the_guest_is_started_at_once),
        cmocka_unit_test(its_data_follow_later),
        cmocka_unit_test(what_cannot_be_migrated_is_copied),
        cmocka_unit_test(what_has_snapshots_is_copied),
        cmocka_unit_test(it_is_watched),
        cmocka_unit_test(the_name_is_taken),
        cmocka_unit_test(somebody_has_written_to_it),
        cmocka_unit_test(killed_before_its_definition_names_it),
        cmocka_unit_test(killed_once_its_definition_names_it),
        cmocka_unit_test(the_guest_is_started),
        cmocka_unit_test(the_guest_is_started_and_stopped),
        cmocka_unit_test(the_daemon_goes_away),
        cmocka_unit_test(the_sources_are_opened),
        cmocka_unit_test(every_call_fails),
        cmocka_unit_test(killed),
        cmocka_unit_test(its_sources_go_for_good),
        cmocka_unit_test(what_is_kept_goes_when_the_operator_says_so),
        cmocka_unit_test(what_is_still_needed_stays),
        cmocka_unit_test(retired_and_killed),
        cmocka_unit_test(no_way_back_before_its_end),
        cmocka_unit_test(it_goes_back_to_images_of_its_old_names),
        cmocka_unit_test(its_old_name_is_taken),
        cmocka_unit_test(killed_on_its_way_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
