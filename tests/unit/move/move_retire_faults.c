/* A retirement that fails, or is killed, at every call and every write of the journal. A source is
 * never given up that is needed, nor without its being written down; and what was begun comes to
 * its end. */
#include "retire_stage.h"

#include "points.h"

static const struct retire_wishes plain = {0};
static const char *const ways[] = {"trash", "remove"};

static bool is_begun(const struct stage *stage)
{
    return ask_journal(stage, "SELECT begun=11 AND phase IN (9, 10) FROM moves") == 1;
}

static void forget(struct stage *stage)
{
    fake_world_forget_calls(stage->world);
    stage->world->cluster_away = false;
    fake_world_run(stage->world, 60000);
}

/* As `recover` does. */
static void resume(struct stage *stage)
{
    forget(stage);
    if (is_begun(stage))
        stage_retire(stage, &plain);
}

/* Whatever came before, it ends well when nothing is in its way any more. */
static void end_well(struct tally *tally, struct stage *stage, const char *where)
{
    AUTO_FREE char *at = text_format("%s, brought to its end", where);
    resume(stage);
    tally_problem(tally, stage, at, check_settled(stage, &tally->checks));
    stage_retire(stage, &plain);
    tally_problem(tally, stage, at, check_settled(stage, &tally->checks));
    if (ask_journal(stage, "SELECT phase FROM moves") != PHASE_RETIRED)
        tally_problem(tally, stage, at, text_format("not retired: %s", stage->outcome->message));
}

/* Before it is taken up again somebody needs the last of the sources: if it is still there, it
 * stays. */
static void needed_again(struct tally *tally, struct stage *stage, const char *where)
{
    AUTO_FREE char *at = text_format("%s, needed again", where);
    struct fake_world *world = stage->world;
    struct fake_image *last = &world->images[world->disks[2].source];
    if (!last->exists)
        return;
    last->held = true;
    resume(stage);
    if (!last->exists)
        tally_problem(tally, stage, at, text_dup("what somebody holds was removed"));
    tally_problem(tally, stage, at, check_sources(stage, &tally->checks));
    last->held = false;
}

struct retire_scene {
    struct stage stage;
    struct stage_copy copy;
    struct calls calls;
    long writes;
};

static void scene_open(struct retire_scene *scene, const char *after)
{
    struct stage *stage = &scene->stage;
    retire_stage_open(stage, after, false);
    stage_save(stage, &scene->copy);
    long before = stage->world->journal_disk.writes;
    assert_int_equal(stage_retire(stage, &plain)->status, 0);
    scene->writes = stage->world->journal_disk.writes - before;
    scene->calls.count = stage->world->calls;
    memcpy(scene->calls.kinds, stage->world->kinds, sizeof(scene->calls.kinds));
}

static void scene_close(struct retire_scene *scene)
{
    stage_copy_clear(&scene->copy);
    stage_close(&scene->stage);
}

/* Each way to go on from here, from the same state. */
static void go_on(struct tally *tally, struct stage *stage, const char *where)
{
    struct stage_copy here = {0};
    tally->runs++;
    tally_problem(tally, stage, where, check_sources(stage, &tally->checks));
    stage_save(stage, &here);
    end_well(tally, stage, where);
    stage_load(stage, &here);
    needed_again(tally, stage, where);
    end_well(tally, stage, where);
    stage_copy_clear(&here);
}

static void at_every_call(struct tally *tally, enum fake_deed deed)
{
    static const enum error_code codes[] = {ERROR_FAILED, ERROR_BUSY, ERROR_NOT_FOUND};
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        CLEANUP(scene_close) struct retire_scene scene = {0};
        struct stage *stage = &scene.stage;
        scene_open(&scene, ways[way]);
        for (long at = 1; at <= scene.calls.count; at += point_stride()) {
            enum fake_call call = (enum fake_call)scene.calls.kinds[at - 1];
            for (int after = 0; after <= fake_call_changes(call); after++) {
                /* An image that is said not to be there is taken for gone. */
                if (call == CALL_SOURCE_LOOK && (at + after) % ARRAY_SIZE(codes) == 2)
                    continue;
                const struct fake_event event = {.deed = deed,
                                                 .at = at,
                                                 .after = after,
                                                 .code = codes[(at + after) % ARRAY_SIZE(codes)]};
                AUTO_FREE char *point = point_name(&scene.calls, &event);
                AUTO_FREE char *where = text_format("%s: %s", ways[way], point);
                tally->points++;
                stage_load(stage, &scene.copy);
                stage->world->events[0] = event;
                stage_retire(stage, &plain);
                go_on(tally, stage, where);
            }
        }
    }
}

static void fails_once(void **state UNUSED)
{
    struct tally tally = {.name = "a call of a retirement fails"};
    at_every_call(&tally, DEED_FAIL);
    tally_close(&tally);
}

static void killed(void **state UNUSED)
{
    struct tally tally = {.name = "a retirement is killed at a call"};
    at_every_call(&tally, DEED_KILL);
    tally_close(&tally);
}

/* And the one that takes it up again is, too. */
static void killed_twice(void **state UNUSED)
{
    struct tally tally = {.name = "a retirement is killed, and killed again"};
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        CLEANUP(scene_close) struct retire_scene scene = {0};
        struct stage *stage = &scene.stage;
        scene_open(&scene, ways[way]);
        for (long at = scene.calls.count; at >= scene.calls.count / 2; at -= point_stride()) {
            struct stage_copy here = {0};
            stage_load(stage, &scene.copy);
            stage->world->events[0] = (struct fake_event){.deed = DEED_KILL, .at = at};
            stage_retire(stage, &plain);
            forget(stage);
            stage_save(stage, &here);
            bool dies = is_begun(stage);
            for (long second = 1; dies; second += 2) {
                AUTO_FREE char *where =
                    text_format("%s: call %ld, then call %ld", ways[way], at, second);
                stage_load(stage, &here);
                stage->world->events[0] = (struct fake_event){.deed = DEED_KILL, .at = second};
                dies = stage_retire(stage, &plain)->status == FAKE_KILLED;
                tally.points += dies;
                tally.runs++;
                tally_problem(&tally, stage, where, check_sources(stage, &tally.checks));
                end_well(&tally, stage, where);
            }
            stage_copy_clear(&here);
        }
    }
    tally_close(&tally);
}

static void at_every_write(void **state UNUSED)
{
    struct tally tally = {.name = "a retirement's journal"};
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        CLEANUP(scene_close) struct retire_scene scene = {0};
        struct stage *stage = &scene.stage;
        scene_open(&scene, ways[way]);
        for (long at = 1; at <= scene.writes; at += point_stride()) {
            AUTO_FREE char *where = text_format("%s: write %ld", ways[way], at);
            long before = scene.copy.world.journal_disk.writes;
            tally.points += 2;
            stage_load(stage, &scene.copy);
            stage->world->journal_disk.kill_at = before + at;
            stage_retire_in_child(stage);
            stage->world->journal_disk.kill_at = 0;
            go_on(&tally, stage, where);
            stage_load(stage, &scene.copy);
            stage->world->journal_disk.full_from = before + at;
            stage_retire(stage, &plain);
            stage->world->journal_disk.full_from = 0;
            go_on(&tally, stage, where);
        }
    }
    tally_close(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fails_once),
        cmocka_unit_test(killed),
        cmocka_unit_test(killed_twice),
        cmocka_unit_test(at_every_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
