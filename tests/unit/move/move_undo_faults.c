/* The way back, killed and failing at every call. */
#include "undone.h"

#include "base/text.h"

#define A_WHILE 60000

static void second_copy_fails(struct fake_world *world)
{
    world->ways.copy_fails[world->disk_count - 1] = true;
}

static void second_pivot_fails(struct fake_world *world)
{
    world->ways.pivot_fails[1] = true;
}

static const struct {
    struct stage_kind kind;
    void (*change)(struct fake_world *world); /* after the move */
    int status;                               /* of the undo that nothing disturbs */
} ways[] = {
    {{.disks = 1, .definition = "dance"}, NULL, 0},
    {{.disks = 3, .definition = "dance"}, NULL, 0},
    {{.disks = 1, .definition = "keep"}, NULL, 0},
    {{.disks = 3, .definition = "keep"}, NULL, 0},
    {{.disks = 1, .definition = "auto", .transient = true}, NULL, 0},
    {{.disks = 1, .definition = "auto", .off = true}, NULL, 0},
    {{.disks = 3, .definition = "auto", .off = true}, NULL, 0},
    {{.disks = 2, .definition = "dance"}, second_copy_fails, 1},
    {{.disks = 2, .definition = "keep"}, second_copy_fails, 1},
    {{.disks = 3, .definition = "dance"}, second_pivot_fails, 4},
    {{.disks = 3, .definition = "keep"}, second_pivot_fails, 4},
};

static void set_out(struct moved *moved, size_t way)
{
    moved_again(moved);
    if (ways[way].change)
        ways[way].change(moved->stage.world);
}

static void record(struct moved *moved, size_t way, struct calls *calls)
{
    set_out(moved, way);
    const struct outcome *outcome = stage_undo(&moved->stage, 1);
    if (outcome->status != ways[way].status)
        fail_msg("the undisturbed undo: %d, %s", outcome->status, outcome->message);
    calls->count = moved->stage.world->calls;
    calls->status = outcome->status;
    memcpy(calls->kinds, moved->stage.world->kinds, sizeof(calls->kinds));
}

/* An undo that was refused has no record, and nothing to recover. */
static bool was_refused(const struct moved *moved)
{
    return ask_journal(&moved->stage, "SELECT count(*) FROM moves WHERE undoes = 1") == 0;
}

static void recover(struct tally *tally, struct moved *moved, const char *where)
{
    struct stage *stage = &moved->stage;
    memset(stage->world->events, 0, sizeof(stage->world->events));
    const struct outcome *outcome = stage_recover(stage);
    tally->recovered += outcome->recovered > 0;
    struct outcome first = *outcome;
    if (first.recovered == 0)
        first.status = 4; /* nothing new is claimed */
    AUTO_FREE char *at = text_format("%s, recovered", where);
    if (outcome->status != 0) {
        tally_problem(tally, stage, at, text_dup("recovery does not come to an end"));
        tally_problem(tally, stage, at, check_always(stage, &tally->checks));
        return;
    }
    tally_problem(tally, stage, at, check_undone(moved, &first, &tally->checks));
}

/* A pivot was asked for, or about to be, and the guest was gone before anybody saw what came of it.
 */
static bool in_doubt(const struct moved *moved)
{
    const struct fake_world *world = moved->stage.world;
    /* Off: the host has started it on disks of which some could not be captured. */
    return world->host_restarted &&
           (moved->stage.kind.off
                ? world->active && moved->stage.kind.disks > 1
                : ask_journal(&moved->stage, "SELECT count(*) FROM disks WHERE fate = 1") > 0);
}

static void put_out_of_the_way(struct fake_image *image)
{
    AUTO_FREE char *away = text_format("%s.away", image->name);
    fake_set(image->name, sizeof(image->name), away);
}

/* What a person finds out by comparing them, and how he says it. */
static void decide(struct moved *moved)
{
    struct fake_world *world = moved->stage.world;
    AUTO_BUFFER struct buffer xml = {0};
    fake_world_happen(world, DEED_DESTROY); /* "before the guest runs on" */
    buffer_add(&xml, world->was_persistent ? world->original : moved->stage.definition);
    for (size_t i = 0; i < world->disk_count; i++) {
        const struct fake_disk *disk = &world->disks[i];
        struct fake_image *old = &world->images[disk->source];
        if (fake_writes_contain(&old->content, &disk->acknowledged)) {
            if (moved->stage.kind.off)
                put_out_of_the_way(
                    &world->images[fake_image_defined(world, moved->definition, disk->target)]);
            continue;
        }
        AUTO_ERROR struct error error = {0};
        CLEANUP(domain_freep) struct domain *now = NULL, *then = NULL;
        AUTO_FREE char *changed = NULL;
        if (domain_parse(xml.text, xml.length, &now, &error) < 0 ||
            domain_parse(moved->definition, strlen(moved->definition), &then, &error) < 0)
            fail_msg("%s", error.message);
        AUTO_FREE char *element = domain_disk_xml(then, disk->target);
        if (domain_replace_disk(now, element, &changed, &error) < 0)
            fail_msg("%s", error.message);
        buffer_clear(&xml);
        buffer_add(&xml, changed);
        put_out_of_the_way(old);
    }
    fake_set(world->defined, sizeof(world->defined), xml.text);
    fake_set(world->config, sizeof(world->config), xml.text);
    world->persistent = true;
}

/* Nobody but a person can know where the last writes are: it says so each time, and keeps both. */
static void settle_doubt(struct tally *tally, struct moved *moved, const char *where)
{
    struct stage *stage = &moved->stage;
    memset(stage->world->events, 0, sizeof(stage->world->events));
    for (int i = 0; i < 2; i++) {
        tally_problem(tally, stage, where, check_writes_kept(stage, &tally->checks));
        fake_world_run(stage->world, A_WHILE);
        /* libvirt may have written down what became of it. */
        if (stage_recover(stage)->status != 4) {
            tally_problem(tally, stage, where, check_always(stage, &tally->checks));
            return;
        }
    }
    tally->doubts++;
    if (!stage->world->was_persistent)
        return;
    decide(moved);
    if (stage_recover(stage)->status != 0)
        tally_problem(tally, stage, where, text_dup("the answer is not taken"));
    tally_problem(tally, stage, where, check_always(stage, &tally->checks));
}

static void settle_undo(struct tally *tally, struct moved *moved, const char *where)
{
    struct stage *stage = &moved->stage;
    const struct outcome outcome = *stage->outcome;
    tally->runs++;
    if (outcome.status >= 0 && outcome.status < 5)
        tally->ends[outcome.status]++;
    else
        tally->killed++;
    if (outcome.status == 0 || outcome.status == 1) {
        tally_problem(tally, stage, where, check_undone(moved, &outcome, &tally->checks));
        return;
    }
    if (in_doubt(moved)) {
        settle_doubt(tally, moved, where);
        return;
    }
    tally_problem(tally, stage, where, check_always(stage, &tally->checks));
    if (!was_refused(moved))
        recover(tally, moved, where);
}

static void run_point(struct tally *tally, struct moved *moved, size_t way,
                      const struct calls *calls, const struct fake_event *event, unsigned pause)
{
    set_out(moved, way);
    moved->stage.world->events[0] = *event;
    stage_undo(&moved->stage, 1);
    fake_world_run(moved->stage.world, pause);
    AUTO_FREE char *where = point_name(calls, event);
    settle_undo(tally, moved, where);
}

static void at_every_call(struct tally *tally, enum fake_deed deed, const unsigned *pauses,
                          size_t pause_count)
{
    static const enum error_code codes[] = {ERROR_FAILED, ERROR_BUSY, ERROR_NOT_FOUND};
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        AUTO_MOVED struct moved moved;
        struct calls calls;
        moved_open(&moved, &ways[way].kind);
        record(&moved, way, &calls);
        for (long at = 1; at <= calls.count; at += point_stride()) {
            enum fake_call call = (enum fake_call)calls.kinds[at - 1];
            if (deed == DEED_FAIL && (call == CALL_WAIT || call == CALL_RECONNECT))
                continue;
            tally->points++;
            for (int after = 0; after <= fake_call_changes(call); after++)
                for (size_t pause = 0; pause < pause_count; pause++)
                    run_point(tally, &moved, way, &calls,
                              &(struct fake_event){.deed = deed,
                                                   .at = at,
                                                   .after = after,
                                                   .code = codes[(at + after) % 3]},
                              pauses[pause]);
        }
    }
    tally_close(tally);
}

static void killed_at_every_call(void **state UNUSED)
{
    static const unsigned pauses[] = {0, A_WHILE};
    struct tally tally = {.name = "an undo is killed"};
    at_every_call(&tally, DEED_KILL, pauses, ARRAY_SIZE(pauses));
}

static void every_call_fails_once(void **state UNUSED)
{
    static const unsigned pauses[] = {A_WHILE};
    struct tally tally = {.name = "a call of an undo fails"};
    at_every_call(&tally, DEED_FAIL, pauses, ARRAY_SIZE(pauses));
}

static void the_daemon_goes_away_once(void **state UNUSED)
{
    static const unsigned pauses[] = {A_WHILE};
    struct tally tally = {.name = "libvirtd restarts in an undo"};
    at_every_call(&tally, DEED_DISCONNECT, pauses, ARRAY_SIZE(pauses));
}

static void the_host_dies(void **state UNUSED)
{
    static const unsigned pauses[] = {A_WHILE};
    struct tally tally = {.name = "the host dies in an undo"};
    at_every_call(&tally, DEED_HOST_REBOOT, pauses, ARRAY_SIZE(pauses));
}

/* Of a domain that is off it is the journal alone that tells how far its definition is meant. */
static void killed_at_every_write(void **state UNUSED)
{
    struct tally tally = {.name = "an undo is killed at a write of the journal"};
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        long stride = ways[way].kind.off ? 1 : 17;
        if (ways[way].change)
            continue;
        AUTO_MOVED struct moved moved;
        moved_open(&moved, &ways[way].kind);
        struct fake_world *world = moved.stage.world;
        bool killed = true;
        for (long at = 1; killed; at += stride * point_stride()) {
            AUTO_FREE char *where = text_format("write %ld of the journal", at);
            set_out(&moved, way);
            world->journal_disk.kill_at = world->journal_disk.writes + at;
            stage_undo_in_child(&moved.stage, 1);
            world->journal_disk.kill_at = 0;
            killed = moved.stage.outcome->status == FAKE_KILLED;
            tally.points += killed;
            fake_world_run(world, A_WHILE);
            settle_undo(&tally, &moved, where);
        }
    }
    tally_close(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_write), cmocka_unit_test(killed_at_every_call),
        cmocka_unit_test(every_call_fails_once), cmocka_unit_test(the_daemon_goes_away_once),
        cmocka_unit_test(the_host_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
