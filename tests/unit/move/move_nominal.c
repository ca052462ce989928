/* Moves in which nothing goes wrong, in detail. */
#include "cmocka_compat.h"

#include "stage.h"

#include "base/text.h"

#define MIB (1ull << 20)

static void assert_moved(const struct stage *stage)
{
    long checks = 0;
    const struct outcome *outcome = stage->outcome;
    if (outcome->status != 0)
        fail_msg("exit status %d: %s", outcome->status, outcome->message);
    AUTO_FREE char *wrong = check_ended(stage, outcome, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

static void move_it(struct stage *stage, const struct stage_kind *kind)
{
    stage_open(stage, kind);
    stage_move(stage);
    assert_moved(stage);
}

static const struct fake_image *target_of(const struct stage *stage, size_t disk)
{
    return &stage->world->images[stage->world->disks[disk].live];
}

/* ---- every kind of domain ---- */

static void every_kind(void **state UNUSED)
{
    static const struct stage_kind kinds[] = {
        {.disks = 1, .definition = "dance"},
        {.disks = 3, .definition = "dance"},
        {.disks = 1, .definition = "keep"},
        {.disks = 3, .definition = "keep"},
        {.disks = 3, .definition = "auto", .transient = true},
        {.disks = 2, .definition = "auto", .tier = "tuned"},
        {.disks = 2, .definition = "auto", .tier = "plain"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        AUTO_STAGE struct stage stage;
        move_it(&stage, &kinds[i]);
        print_message("%s, %zu disks: %ld calls\n", kinds[i].definition, kinds[i].disks,
                      stage.world->calls);
    }
}

static void keeps_snapshots(struct fake_world *world)
{
    world->snapshots = 1;
}

/* What undefining would lose is not undefined. */
static void snapshots_keep_the_definition(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 1, .definition = "auto", .change = keeps_snapshots};
    move_it(&stage, &kind);
    assert_int_equal(stage.world->calls_of[CALL_UNDEFINE], 0);
}

static void without_autostart(struct fake_world *world)
{
    world->autostart = world->was_autostart = false;
}

static void autostart_is_not_invented(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 1, .definition = "dance", .change = without_autostart};
    move_it(&stage, &kind);
    assert_int_equal(stage.world->calls_of[CALL_AUTOSTART], 0);
    assert_false(stage.world->autostart);
}

/* ---- order ---- */

struct order {
    struct stage *stage;
    int phases[PHASE_NEEDS_OPERATOR + 1];
    size_t count;
};

/* What must hold when a phase is reached, and not a moment before. */
static void on_phase(void *opaque, int64_t id UNUSED, enum move_phase phase,
                     const char *detail UNUSED)
{
    struct order *order = opaque;
    const struct fake_world *world = order->stage->world;
    assert_int_equal(phase, order->count); /* one after the other, each once */
    order->count++;
    assert_int_equal(world->persistent, phase < PHASE_UNDEFINED || phase >= PHASE_REDEFINED);
    for (size_t i = 0; i < world->disk_count; i++) {
        const struct fake_disk *disk = &world->disks[i];
        bool pivoted = phase >= PHASE_PIVOTED;
        assert_int_equal(disk->live != disk->source, pivoted);
        assert_int_equal(disk->mirror.job != JOB_NONE,
                         phase == PHASE_COPYING || phase == PHASE_MIRRORING);
        if (phase == PHASE_MIRRORING)
            assert_true(disk->mirror.shown_ready); /* all of them, before the first pivots */
        /* Limits throttle a mirror, too: they come when it is over. */
        int target = pivoted ? disk->live : disk->mirror.image;
        if (phase >= PHASE_COPYING)
            assert_int_equal(world->images[target].qos_set, phase >= PHASE_REDEFINED);
    }
    AUTO_FREE char *sql = text_format("SELECT phase FROM moves");
    assert_int_equal(ask_journal(order->stage, sql), phase);
}

static void step_by_step(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 3, .definition = "dance"};
    stage_open(&stage, &kind);
    struct order order = {.stage = &stage};
    stage.audience = (struct move_audience){.opaque = &order, .phase = on_phase};
    stage_move(&stage);
    assert_moved(&stage);
    assert_int_equal(order.count, PHASE_VERIFIED + 1);
}

/* ---- limits ---- */

static void rbd_limits(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 3, .definition = "dance"};
    move_it(&stage, &kind);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(target_of(&stage, i)->qos.iops, 500);
        assert_int_equal(target_of(&stage, i)->qos.bps, 0);
        assert_false(stage.world->disks[i].iotune_set);
    }
}

static void iotune_limits(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 1, .definition = "dance", .tier = "tuned"};
    move_it(&stage, &kind);
    assert_false(target_of(&stage, 0)->qos_set);
    assert_int_equal(stage.world->disks[0].iotune.total_iops_sec, 700);
    assert_non_null(strstr(stage.world->defined, "<total_iops_sec>700</total_iops_sec>"));
}

static void no_limits(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 1, .definition = "dance", .tier = "plain"};
    move_it(&stage, &kind);
    assert_int_equal(stage.world->calls_of[CALL_QOS], 0);
    assert_int_equal(stage.world->calls_of[CALL_IOTUNE], 0);
}

/* ---- what is left ---- */

static void the_definition(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 3, .definition = "dance"};
    move_it(&stage, &kind);
    const char *xml = stage.world->defined;
    assert_non_null(strstr(xml, "passwd='hunter2'"));
    assert_non_null(strstr(xml, "<nvram>/var/lib/nvram/db-1.fd</nvram>"));
    assert_non_null(strstr(xml, "<m:owner xmlns:m='urn:owner'>ops</m:owner>"));
    assert_non_null(strstr(xml, "cache='none' discard='unmap'"));
    assert_non_null(strstr(xml, "<boot order='1'/>"));
    assert_non_null(strstr(xml, "<serial>S-vdb</serial>"));
    assert_null(strstr(xml, "io='native'"));
    assert_null(strstr(xml, "/images/"));
}

static void the_images(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 3, .definition = "keep"};
    move_it(&stage, &kind);
    for (size_t i = 0; i < 3; i++) {
        AUTO_FREE char *name = text_format("fast/db-1-%s", stage.world->disks[i].target);
        assert_string_equal(target_of(&stage, i)->name, name);
        assert_int_equal(target_of(&stage, i)->size, 32 * MIB);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(target_of(&stage, i)->token, target_of(&stage, j)->token);
    }
    /* The source's holes were made visible, and stay so: that is for the better. */
    assert_int_equal(stage.world->calls_of[CALL_FAST_DIFF], 1);
}

static void the_story(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 2, .definition = "dance"};
    move_it(&stage, &kind);
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM moves"), 1);
    assert_int_equal(ask_journal(&stage, "SELECT phase FROM moves"), PHASE_VERIFIED);
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM disks WHERE fate = 2"), 2);
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM ledger"), 2);
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM ledger WHERE old_source ="
                                         " 'rbd:vms/db-vda' AND new_source ="
                                         " 'new/fast/db-1-vda'"),
                     1);
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM disks WHERE total > 0"
                                         " AND copied <= total"),
                     2);
    assert_int_equal(ask_journal(&stage, "SELECT count(*) FROM moves WHERE message IS NULL"), 1);
    /* Each step is written down before it acts, and after. */
    for (int phase = PHASE_SOURCE_PREPARED; phase <= PHASE_VERIFIED; phase++) {
        AUTO_FREE char *begin =
            text_format("SELECT count(*) FROM steps WHERE event='begin' AND phase=%d", phase);
        AUTO_FREE char *done =
            text_format("SELECT count(*) FROM steps WHERE event='done' AND phase=%d", phase);
        assert_int_equal(ask_journal(&stage, begin), 1);
        assert_int_equal(ask_journal(&stage, done), 1);
    }
}

/* ---- progress ---- */

struct seen {
    int calls;
    uint64_t copied;
    bool backwards, ready, rate, eta;
    uint64_t compared;
};

static void on_progress(void *opaque, const struct disk_progress *disks, size_t count, bool paused)
{
    struct seen *seen = opaque;
    assert_int_equal(count, 1);
    assert_string_equal(disks[0].target, "vda");
    assert_false(paused);
    if (disks[0].verifying) {
        seen->backwards |= disks[0].copied < seen->compared || disks[0].copied > disks[0].total;
        seen->compared = disks[0].copied;
        return;
    }
    seen->calls++;
    seen->backwards |= disks[0].copied < seen->copied || disks[0].copied > disks[0].total;
    seen->copied = disks[0].copied;
    seen->ready |= disks[0].ready;
    seen->rate |= disks[0].rate > 900000 && disks[0].rate < 1100000;
    seen->eta |= disks[0].eta > 0 && disks[0].eta < 60;
}

static void progress_is_shown(void **state UNUSED)
{
    AUTO_STAGE struct stage stage;
    const struct stage_kind kind = {.disks = 1, .definition = "dance"};
    stage_open(&stage, &kind);
    stage.world->ways.copy_rate = 1000; /* a megabyte a second */
    struct seen seen = {0};
    stage.audience = (struct move_audience){.opaque = &seen, .progress = on_progress};
    stage_move(&stage);
    assert_moved(&stage);
    assert_true(seen.calls > 60);
    assert_false(seen.backwards);
    assert_true(seen.ready && seen.rate && seen.eta);
    assert_int_equal(seen.compared, 32 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(snapshots_keep_the_definition),
        cmocka_unit_test(autostart_is_not_invented),
        cmocka_unit_test(step_by_step),
        cmocka_unit_test(rbd_limits),
        cmocka_unit_test(iotune_limits),
        cmocka_unit_test(no_limits),
        cmocka_unit_test(the_definition),
        cmocka_unit_test(the_images),
        cmocka_unit_test(the_story),
        cmocka_unit_test(progress_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
