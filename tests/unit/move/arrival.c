#include "arrival.h"

#include "base/text.h"

#define ROUNDS 8 /* of looking, two minutes apart: then it has to be over */

/* ---- what people do ---- */

void define_with_images(struct stage *stage)
{
    struct fake_world *world = stage->world;
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = NULL;
    AUTO_FREE char *xml = NULL;
    assert_int_equal(domain_parse(world->original, strlen(world->original), &domain, &error), 0);
    assert_int_equal(plan_rewrite(stage->plan, domain, NULL, 0, &xml, &error), 0);
    FAKE_SET(world->defined, xml);
    FAKE_SET(world->config, xml);
    world->persistent = true;
}

void operator_answers(struct stage *stage)
{
    struct fake_world *world = stage->world;
    if (world->journey.ran_here) {
        bool is_stale = world->active;
        fake_world_happen(world, DEED_DESTROY);
        /* There are two ways to say so, and the other one is for a guest without a definition. */
        stage->keep = !is_stale && (!world->persistent || world->disk_count == 3);
        if (!stage->keep)
            define_with_images(stage);
        /* What the guest wrote to its old disks meanwhile is given up. */
        for (size_t i = 0; world->stale_start && i < world->disk_count; i++)
            if (image_of_disk(stage, i) >= 0)
                world->disks[i].acknowledged = world->images[image_of_disk(stage, i)].content;
        world->stale_start = false;
        return;
    }
    for (size_t i = 0; i < world->disk_count; i++) {
        int image = image_of_disk(stage, i);
        if (image >= 0)
            world->images[image].exists = false;
    }
}

static void shut_down_there(struct fake_world *world)
{
    world->journey.away = false;
    for (size_t i = 0; i < world->disk_count; i++) {
        world->disks[i].before_pivot = world->disks[i].acknowledged;
        world->disks[i].live = world->disks[i].shown = -1;
    }
}

static void copy_files(struct fake_world *world, enum copies which)
{
    if (which == COPIES_OF_ALL)
        shut_down_there(world);
    for (size_t i = 0; i < world->disk_count; i++) {
        struct fake_disk *disk = &world->disks[i];
        const struct fake_image *source = &world->images[disk->source];
        if (source->where == ON_OTHER_HOST) {
            int copy = fake_image_add(world, ON_HOST, source->name, source->size);
            if (which == COPIES_OF_ALL)
                world->images[copy].content = source->content;
        }
    }
}

static void mend(struct stage *stage)
{
    struct fake_world *world = stage->world;
    world->cluster_away = world->foreign_watchers = world->pool_full = false;
    world->journal_disk = (struct faulty_disk){.writes = world->journal_disk.writes};
    memset(world->events, 0, sizeof(world->events));
}

/* ---- playing ---- */

void script_open(struct stage *stage, const struct script *script)
{
    const struct stage_kind kind = {
        .disks = script->disks, .definition = "auto", .arrival = &script->arrival};
    stage_open(stage, &kind);
}

static void disturb(struct stage *stage, const struct disturbance *disturbance)
{
    struct faulty_disk *disk = &stage->world->journal_disk;
    stage->world->events[0] = disturbance->event;
    stage->world->events[1] = disturbance->then;
    if (disturbance->kill_at_write)
        disk->kill_at = disk->writes + disturbance->kill_at_write;
    if (disturbance->full_from_write)
        disk->full_from = disk->writes + disturbance->full_from_write;
}

static void count_end(struct tally *tally, const struct outcome *outcome)
{
    tally->runs++;
    if (outcome->status >= 0 && outcome->status < 5)
        tally->ends[outcome->status]++;
    else
        tally->killed++;
}

static void check_life(struct tally *tally, struct stage *stage, const char *where)
{
    const struct outcome *outcome = stage->outcome;
    count_end(tally, outcome);
    tally_problem(tally, stage, where, check_arrival(stage, &tally->checks));
    tally->checks++;
    if (outcome->status == 0 && outcome->recovered && outcome->end == OUTCOME_WAITING &&
        outcome->writes)
        tally_problem(tally, stage, where, text_dup("it waits, and writes to the journal"));
}

static void record_life(const struct stage *stage, size_t life, long writes_before,
                        struct script_calls *calls)
{
    assert_true(life < SCRIPT_LIVES);
    struct calls *record = &calls->of[life];
    record->count = stage->world->calls;
    record->status = stage->outcome->status;
    memcpy(record->kinds, stage->world->kinds, sizeof(record->kinds));
    calls->writes[life] = stage->world->journal_disk.writes - writes_before;
    calls->lives = life + 1;
}

bool is_helpers_life(const struct calls *calls)
{
    return memchr(calls->kinds, CALL_CREATE, (size_t)calls->count);
}

static void live_once(struct tally *tally, struct stage *stage, enum act_kind kind, size_t life,
                      const struct disturbance *disturbance, struct script_calls *calls,
                      const char *where)
{
    struct fake_world *world = stage->world;
    long writes = world->journal_disk.writes;
    bool disturbed = disturbance && disturbance->life == life;
    bool in_child = disturbed && disturbance->kill_at_write;
    fake_world_forget_calls(world);
    if (disturbed)
        disturb(stage, disturbance);
    if (kind == ACT_EXPECT)
        (in_child ? stage_expect_in_child : stage_expect)(stage);
    else
        (in_child ? stage_recover_in_child : stage_recover)(stage);
    if (disturbed) {
        memset(world->events, 0, sizeof(world->events));
        world->journal_disk.kill_at = world->journal_disk.full_from = 0;
    }
    if (calls)
        record_life(stage, life, writes, calls);
    check_life(tally, stage, where);
}

/* Somebody looks right after a disturbed life, and has trouble of his own. */
static void live_again(struct tally *tally, struct stage *stage,
                       const struct disturbance *disturbance, const char *where)
{
    struct fake_world *world = stage->world;
    fake_world_forget_calls(world);
    world->events[0] = (struct fake_event){.deed = DEED_KILL, .at = disturbance->again_at_call};
    if (!disturbance->again_at_call)
        world->events[0] = (struct fake_event){0};
    world->journal_disk.full = disturbance->again_without_room;
    stage_recover(stage);
    world->journal_disk.full = false;
    memset(world->events, 0, sizeof(world->events));
    check_life(tally, stage, where);
}

static void act_once(struct stage *stage, const struct act *act)
{
    switch (act->kind) {
    case ACT_PASS:
        fake_world_run(stage->world, (unsigned)act->value * 1000);
        break;
    case ACT_DEED:
        fake_world_happen(stage->world, (enum fake_deed)act->value);
        break;
    case ACT_DEFINE:
        if (image_of_disk(stage, 1) >= 0 && *stage->world->journey.handed)
            define_with_images(stage);
        break;
    case ACT_OFFLINE:
        if (image_of_disk(stage, 1) >= 0 && *stage->world->journey.handed) {
            define_with_images(stage);
            stage->world->journey.offline = true;
            shut_down_there(stage->world);
        }
        break;
    case ACT_COPIES:
        copy_files(stage->world, (enum copies)act->value);
        break;
    case ACT_MEND:
        mend(stage);
        break;
    case ACT_END:
    case ACT_EXPECT:
    case ACT_LOOK:
        break;
    }
}

/* ---- to its end ---- */

static bool names_image_of(const struct stage *stage, const struct fake_disk *disk)
{
    const struct fake_world *world = stage->world;
    int image = world->persistent ? fake_image_defined(world, world->defined, disk->target) : -1;
    return image >= 0 && *world->images[image].token;
}

/* The guest is off, nobody has seen it on the images, and they are not blank: was it here? Or it
 * runs, and not on them. */
static bool has_a_question(const struct stage *stage)
{
    const struct fake_world *world = stage->world;
    const struct fake_disk *last = &world->disks[world->disk_count - 1];
    if (!*world->journey.handed)
        return false;
    if (world->active)
        return world->images[last->live].where == ON_HOST;
    bool is_known = world->journey.ran_here || !world->journey.was_started;
    return !(stage->kind.arrival->watched && is_known) &&
           ask_journal(stage, "SELECT count(*) FROM disks WHERE fate = 2") == 0 &&
           !names_image_of(stage, last);
}

static bool is_over(const struct stage *stage)
{
    return stage->outcome->status == 0 &&
           ask_journal(stage, "SELECT count(*) FROM moves WHERE phase NOT IN (9, 10, 11, 13)") <= 0;
}

static void bring_to_end(struct tally *tally, struct stage *stage, const char *where)
{
    int asked = 0;
    for (int round = 0; round < ROUNDS; round++) {
        mend(stage);
        fake_world_run(stage->world, 120000);
        if (stage->world->journey.arriving)
            fake_world_happen(stage->world, DEED_LEAVE);
        fake_world_forget_calls(stage->world);
        stage_recover(stage);
        check_life(tally, stage, where);
        if (is_over(stage))
            return;
        asked = stage->outcome->status == 4 ? asked + 1 : 0;
        if (asked < 2)
            continue; /* what had failed may be mended by now */
        tally->doubts++;
        if (!has_a_question(stage))
            tally_problem(tally, stage, where, text_dup("an operator is asked for nothing"));
        operator_answers(stage);
        asked = 0;
    }
    tally_problem(tally, stage, where, text_dup("it does not come to an end"));
}

/* Once it is over nothing more happens, and the guest starts from the disks that it wrote to. */
static void check_afterwards(struct tally *tally, struct stage *stage, const char *where)
{
    struct fake_world *world = stage->world;
    tally_problem(tally, stage, where, check_arrival_ended(stage, &tally->checks));
    char before[FAKE_XML];
    memcpy(before, world->defined, sizeof(before));
    stage_recover(stage);
    if (stage->outcome->status != 0 || stage->outcome->recovered != 0 ||
        !text_equal(before, world->defined))
        tally_problem(tally, stage, where, text_dup("another look has done something"));
    if (!world->journey.ran_here || !world->persistent || world->stale_start)
        return;
    fake_world_happen(world, DEED_DESTROY);
    fake_world_happen(world, DEED_START);
    tally->checks++;
    if (!world->active || world->stale_start)
        tally_problem(tally, stage, where, text_dup("the guest does not start from its disks"));
}

int script_play(struct tally *tally, struct stage *stage, const struct script *script,
                const struct disturbance *disturbance, struct script_calls *calls,
                const char *where)
{
    size_t life = 0;
    int status = 0;
    stage_again(stage);
    for (const struct act *act = script->acts; act->kind != ACT_END; act++) {
        act_once(stage, act);
        if (act->kind != ACT_EXPECT && act->kind != ACT_LOOK)
            continue;
        live_once(tally, stage, act->kind, life, disturbance, calls, where);
        bool disturbed = disturbance && disturbance->life == life;
        life++;
        if (!disturbed)
            continue;
        if (disturbance->again_at_call || disturbance->again_without_room)
            live_again(tally, stage, disturbance, where);
        status = stage->outcome->status;
    }
    bring_to_end(tally, stage, where);
    check_afterwards(tally, stage, where);
    return status;
}

/* ---- undisturbed ---- */

static enum script_end end_of(const struct stage *stage)
{
    bool trashed = false;
    for (int i = 0; i < FAKE_IMAGES; i++)
        trashed |= stage->world->images[i].trashed;
    if (ask_journal(stage, "SELECT count(*) FROM moves WHERE phase = 9") > 0)
        return ENDS_FINISHED;
    if (ask_journal(stage, "SELECT count(*) FROM steps WHERE phase = 6") == 0)
        return ENDS_NEVER_BEGUN;
    return trashed ? ENDS_TRASHED : ENDS_REMOVED;
}

void script_record(struct tally *tally, struct stage *stage, const struct script *script,
                   struct script_calls *calls)
{
    AUTO_FREE char *where = text_format("%s, undisturbed", script->name);
    long doubts = tally->doubts;
    *calls = (struct script_calls){0};
    script_play(tally, stage, script, NULL, calls, where);
    doubts = tally->doubts - doubts;
    if (doubts != (script->asks ? 1 : 0))
        tally_problem(tally, stage, where, text_format("an operator was asked %ld times", doubts));
    if (end_of(stage) != script->end)
        tally_problem(tally, stage, where,
                      text_format("its end is %d and not %d", end_of(stage), script->end));
}

/* ---- disturbed ---- */

static void at_every_call_of(struct tally *tally, struct stage *stage, const struct script *script,
                             const struct script_calls *calls, script_choice choose)
{
    for (size_t life = 0; life < calls->lives; life++)
        for (long point = 2; point < 2 * calls->of[life].count + 2; point += point_stride()) {
            const struct calls *of_life = &calls->of[life];
            struct fake_event event = {.at = point / 2, .after = point % 2};
            struct disturbance disturbance = {.life = life, .event = event};
            enum fake_call call = (enum fake_call)of_life->kinds[event.at - 1];
            if (!script->helper_too && is_helpers_life(of_life))
                continue;
            /* After one that changes nothing is before the next one. */
            if ((event.after && !fake_call_changes(call)) || !choose(of_life, call, &disturbance))
                continue;
            AUTO_FREE char *name = point_name(of_life, &event);
            AUTO_FREE char *where = text_format("%s, life %zu, %s", script->name, life, name);
            tally->points++;
            script_play(tally, stage, script, &disturbance, NULL, where);
        }
}

void scripts_at_every_call(const char *name, script_choice choose)
{
    struct tally tally = {.name = name};
    for (size_t i = 0; i < scripts_count; i++) {
        AUTO_STAGE struct stage stage;
        struct script_calls calls;
        script_open(&stage, &scripts[i]);
        script_record(&tally, &stage, &scripts[i], &calls);
        at_every_call_of(&tally, &stage, &scripts[i], &calls, choose);
    }
    tally_close(&tally);
}
