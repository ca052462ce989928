/* What others say while a move goes on: cancel, pause, resume, throttle, from another terminal; and
 * what the guest's latency says. */
#include "cmocka_compat.h"

#include "points.h"

#include "base/text.h"

#define MIB (1ull << 20)

/* Somebody at another terminal, who looks at the progress. */
struct terminal {
    struct stage stage;
    struct journal *journal;
    void (*look)(struct terminal *terminal, const struct disk_progress *disks, bool paused);
    int looks;
    enum move_phase cancel_at; /* asked for when this phase is reached */
    bool by_key;               /* with Ctrl-C instead */
    bool pressed, cancelled;
    int64_t began, noted;
    uint64_t copied;
};

static void on_progress(void *opaque, const struct disk_progress *disks, size_t count UNUSED,
                        bool paused)
{
    struct terminal *terminal = opaque;
    if (disks[0].verifying)
        return; /* that is another story */
    terminal->looks++;
    if (terminal->look)
        terminal->look(terminal, disks, paused);
}

static void on_phase(void *opaque, int64_t id, enum move_phase phase, const char *detail UNUSED)
{
    struct terminal *terminal = opaque;
    AUTO_ERROR struct error error = {0};
    if (terminal->cancel_at == PHASE_UNDONE || phase != terminal->cancel_at)
        return;
    terminal->cancelled = true;
    terminal->pressed = terminal->by_key;
    if (!terminal->by_key)
        assert_int_equal(journal_ask_cancel(terminal->journal, id, &error), 0);
}

static bool on_interrupted(void *opaque)
{
    return ((struct terminal *)opaque)->pressed;
}

static void terminal_open(struct terminal *terminal, const struct stage_kind *kind)
{
    AUTO_ERROR struct error error = {0};
    *terminal = (struct terminal){.cancel_at = PHASE_UNDONE};
    stage_open(&terminal->stage, kind);
    terminal->stage.audience = (struct move_audience){
        .opaque = terminal,
        .phase = on_phase,
        .progress = on_progress,
        .interrupted = on_interrupted,
    };
    assert_int_equal(
        journal_open(terminal->stage.folder, JOURNAL_WRITE, &terminal->journal, &error), 0);
    terminal->began = terminal->stage.world->now;
}

static void terminal_close(struct terminal *terminal)
{
    journal_closep(&terminal->journal);
    stage_close(&terminal->stage);
}
#define AUTO_TERMINAL CLEANUP(terminal_close)

static void assert_end(struct terminal *terminal, int status)
{
    long checks = 0;
    const struct outcome *outcome = terminal->stage.outcome;
    if (outcome->status != status)
        fail_msg("exit status %d instead of %d: %s", outcome->status, status, outcome->message);
    AUTO_FREE char *wrong = check_ended(&terminal->stage, outcome, &checks);
    if (wrong)
        fail_msg("%s", wrong);
}

/* Of one move in a folder: its number is 1. */
static void ask_pause(struct terminal *terminal, bool paused)
{
    AUTO_ERROR struct error error = {0};
    assert_int_equal(journal_ask_pause(terminal->journal, 1, paused, &error), 0);
}

static void ask_bandwidth(struct terminal *terminal, uint64_t bandwidth)
{
    AUTO_ERROR struct error error = {0};
    assert_int_equal(journal_ask_bandwidth(terminal->journal, 1, bandwidth, &error), 0);
}

static const struct stage_kind three_disks = {.disks = 3, .definition = "dance"};
static const struct stage_kind one_disk = {.disks = 1, .definition = "dance"};

/* ---- cancel ---- */

static void cancelled_in_every_phase(void **state UNUSED)
{
    static const char *const definitions[] = {"dance", "keep"};
    for (size_t i = 0; i < ARRAY_SIZE(definitions); i++)
        for (int phase = PHASE_PLANNED; phase <= PHASE_REDEFINED; phase++)
            for (int by_key = 0; by_key < 2; by_key++) {
                AUTO_TERMINAL struct terminal terminal;
                const struct stage_kind kind = {.disks = 3, .definition = definitions[i]};
                terminal_open(&terminal, &kind);
                terminal.cancel_at = (enum move_phase)phase;
                terminal.by_key = by_key;
                stage_move(&terminal.stage);
                assert_true(terminal.cancelled);
                /* From the first pivot on there is no way back. */
                assert_end(&terminal, phase < PHASE_PIVOTED ? 1 : 0);
                if (phase < PHASE_PIVOTED)
                    assert_int_equal(terminal.stage.outcome->code, ERROR_CANCELLED);
            }
}

static void cancel_later(struct terminal *terminal, const struct disk_progress *disks UNUSED,
                         bool paused UNUSED)
{
    AUTO_ERROR struct error error = {0};
    if (terminal->looks == 2)
        assert_int_equal(journal_ask_cancel(terminal->journal, 1, &error), 0);
}

static void cancelled_in_mid_copy(void **state UNUSED)
{
    AUTO_TERMINAL struct terminal terminal;
    terminal_open(&terminal, &three_disks);
    terminal.stage.world->ways.copy_rate = 1024;
    terminal.look = cancel_later;
    stage_move(&terminal.stage);
    assert_int_equal(terminal.looks, 2);
    assert_end(&terminal, 1);
}

/* ---- pause ---- */

#define HOURS ((int64_t)3600 * 1000)

static void pause_for_hours(struct terminal *terminal, const struct disk_progress *disks,
                            bool paused)
{
    struct fake_world *world = terminal->stage.world;
    if (terminal->looks == 2) {
        ask_pause(terminal, true);
        return;
    }
    if (!paused)
        return;
    for (size_t i = 0; i < world->disk_count; i++)
        assert_int_equal(world->disks[i].mirror.bandwidth, 1); /* a byte a second is a pause */
    if (terminal->noted == 0) {
        terminal->noted = world->now;
        terminal->copied = disks[0].copied;
        fake_world_run(world, (unsigned)(3 * HOURS));
    } else if (world->now > terminal->noted + 3 * HOURS) {
        assert_int_equal(disks[0].copied, terminal->copied);
        ask_pause(terminal, false);
    }
}

static void paused_and_resumed(void **state UNUSED)
{
    AUTO_TERMINAL struct terminal terminal;
    terminal_open(&terminal, &three_disks);
    terminal.stage.world->ways.copy_rate = 4096;
    terminal.look = pause_for_hours;
    stage_move(&terminal.stage);
    assert_true(terminal.noted > 0);
    assert_end(&terminal, 0);
}

/* All disks are ready, but the operator has said: not now. */
static void pause_when_ready(struct terminal *terminal, const struct disk_progress *disks,
                             bool paused)
{
    if (terminal->looks == 1)
        ask_pause(terminal, true);
    if (paused && disks[0].ready && terminal->noted == 0)
        terminal->noted = terminal->stage.world->now;
    if (terminal->noted && terminal->stage.world->now > terminal->noted + 60000) {
        assert_true(terminal->stage.world->disks[0].mirror.job == JOB_READY);
        ask_pause(terminal, false);
        terminal->copied = 1;
    }
}

static void a_pause_holds_the_pivot(void **state UNUSED)
{
    AUTO_TERMINAL struct terminal terminal;
    terminal_open(&terminal, &one_disk);
    terminal.stage.world->ways.copy_rate = 1e6; /* ready before anybody can pause it */
    terminal.stage.world->ways.ready_lag = 700;
    terminal.look = pause_when_ready;
    stage_move(&terminal.stage);
    assert_int_equal(terminal.copied, 1); /* it was resumed before it pivoted */
    assert_end(&terminal, 0);
}

static void cancel_when_paused(struct terminal *terminal, const struct disk_progress *disks UNUSED,
                               bool paused)
{
    if (terminal->looks == 2)
        ask_pause(terminal, true);
    if (paused)
        terminal->pressed = true;
}

static void cancelled_while_paused(void **state UNUSED)
{
    AUTO_TERMINAL struct terminal terminal;
    terminal_open(&terminal, &three_disks);
    terminal.stage.world->ways.copy_rate = 4096;
    terminal.look = cancel_when_paused;
    stage_move(&terminal.stage);
    assert_end(&terminal, 1);
}

/* The daemon is started anew while the move is paused, and somebody resumes it meanwhile: what QEMU
 * was told last was "a byte a second". */
static void resume_behind_its_back(struct terminal *terminal,
                                   const struct disk_progress *disks UNUSED, bool paused)
{
    if (terminal->looks == 2)
        ask_pause(terminal, true);
    if (paused && terminal->noted == 0) {
        terminal->noted = 1;
        ask_pause(terminal, false);
        fake_world_happen(terminal->stage.world, DEED_DISCONNECT);
    }
}

static void resumed_while_the_daemon_is_away(void **state UNUSED)
{
    AUTO_TERMINAL struct terminal terminal;
    terminal_open(&terminal, &one_disk);
    terminal.stage.world->ways.copy_rate = 4096;
    terminal.look = resume_behind_its_back;
    stage_move(&terminal.stage);
    assert_int_equal(terminal.noted, 1);
    assert_end(&terminal, 0);
}

/* ---- throttle ---- */

static void assert_bandwidths(const struct terminal *terminal, uint64_t expected)
{
    const struct fake_world *world = terminal->stage.world;
    for (size_t i = 0; i < world->disk_count; i++)
        if (world->disks[i].mirror.job == JOB_COPYING && terminal->stage.plan->max_latency == 0)
            assert_int_equal(world->disks[i].mirror.bandwidth, expected);
        else if (world->disks[i].mirror.job == JOB_COPYING && expected) /* it may creep up to it */
            assert_in_range(world->disks[i].mirror.bandwidth, MIB, expected);
}

static void throttle_it(struct terminal *terminal, const struct disk_progress *disks UNUSED,
                        bool paused UNUSED)
{
    static const uint64_t wishes[] = {2 * MIB, MIB, 3 * MIB, 0};
    if (terminal->looks % 2 == 0 && terminal->looks / 2 < (int)ARRAY_SIZE(wishes) + 1) {
        if (terminal->looks > 2)
            assert_bandwidths(terminal, wishes[terminal->looks / 2 - 2]);
        if (terminal->looks / 2 - 1 < (int)ARRAY_SIZE(wishes))
            ask_bandwidth(terminal, wishes[terminal->looks / 2 - 1]);
    }
}

static void throttled(void **state UNUSED)
{
    static const char *const policies[] = {"", "limits: {max_latency: 1.5x}\n"};
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        AUTO_TERMINAL struct terminal terminal;
        const struct stage_kind kind = {.disks = 3, .definition = "keep", .more = policies[i]};
        terminal_open(&terminal, &kind);
        terminal.stage.world->ways.copy_rate = 2048;
        terminal.look = throttle_it;
        stage_move(&terminal.stage);
        assert_true(terminal.looks >= 10);
        assert_end(&terminal, 0);
    }
}

/* The wish is written down: it holds from the start when it comes before the copy. */
static void throttled_before_it_starts(void **state UNUSED)
{
    AUTO_TERMINAL struct terminal terminal;
    terminal_open(&terminal, &one_disk);
    terminal.stage.world->ways.disk_size = 32 * MIB;
    terminal.look = throttle_it;
    stage_move(&terminal.stage);
    assert_end(&terminal, 0);
}

/* ---- latency ---- */

/* The guest suffers at first; the copy gives way, and comes back when it is well again. */
static void suffer(struct terminal *terminal, const struct disk_progress *disks UNUSED,
                   bool paused UNUSED)
{
    struct fake_disk *disk = &terminal->stage.world->disks[0];
    struct fake_ways *ways = &terminal->stage.world->ways;
    if (terminal->looks == 4)
        terminal->copied = disk->mirror.bandwidth;
    if (terminal->looks == 4)
        ways->milliseconds_per_request = 5;
    if (terminal->looks == 20) {
        assert_true(disk->mirror.bandwidth > 0);
        assert_true(disk->mirror.bandwidth < 32 * MIB);
        ways->milliseconds_per_request = 1;
        terminal->noted = (int64_t)disk->mirror.bandwidth;
    }
    if (terminal->looks == 60)
        assert_true(disk->mirror.job != JOB_COPYING || disk->mirror.bandwidth == 0 ||
                    (int64_t)disk->mirror.bandwidth > terminal->noted);
}

static void the_guest_comes_first(void **state UNUSED)
{
    AUTO_TERMINAL struct terminal terminal;
    const struct stage_kind kind = {
        .disks = 1, .definition = "dance", .more = "limits: {max_latency: 1.5x}\n"};
    terminal_open(&terminal, &kind);
    terminal.stage.world->ways.copy_rate = 700;
    terminal.look = suffer;
    stage_move(&terminal.stage);
    assert_true(terminal.looks > 60);
    assert_end(&terminal, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancelled_in_every_phase),
        cmocka_unit_test(cancelled_in_mid_copy),
        cmocka_unit_test(paused_and_resumed),
        cmocka_unit_test(a_pause_holds_the_pivot),
        cmocka_unit_test(cancelled_while_paused),
        cmocka_unit_test(resumed_while_the_daemon_is_away),
        cmocka_unit_test(throttled),
        cmocka_unit_test(throttled_before_it_starts),
        cmocka_unit_test(the_guest_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
