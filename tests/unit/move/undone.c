#include "undone.h"

#include "base/text.h"

#define A_WHILE 500       /* milliseconds, in which the guest writes */
#define LONG_ENOUGH 40000 /* until the watches of a QEMU that was killed are gone */

#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        ++*checks;                                                                                 \
        if (!(condition))                                                                          \
            return text_format(__VA_ARGS__);                                                       \
    } while (0)

void moved_open(struct moved *moved, const struct stage_kind *kind)
{
    *moved = (struct moved){0};
    stage_open(&moved->stage, kind);
    const struct outcome *outcome = stage_move(&moved->stage);
    if (outcome->status != 0)
        fail_msg("the move to be taken back: %s", outcome->message);
    if (kind->off)
        fake_world_happen(moved->stage.world, DEED_START);
    fake_world_run(moved->stage.world, A_WHILE);
    if (kind->off) {
        fake_world_happen(moved->stage.world, DEED_DESTROY);
        fake_world_run(moved->stage.world, LONG_ENOUGH);
    }
    fake_world_forget_calls(moved->stage.world);
    memcpy(moved->definition, moved->stage.world->defined, sizeof(moved->definition));
    stage_save(&moved->stage, &moved->copy);
}

void moved_close(struct moved *moved)
{
    stage_copy_clear(&moved->copy);
    stage_close(&moved->stage);
}

void moved_again(struct moved *moved)
{
    stage_load(&moved->stage, &moved->copy);
}

/* ---- the checker ---- */

static int home_of(const struct fake_world *world, const struct fake_disk *disk)
{
    return world->active ? disk->live : fake_image_defined(world, world->defined, disk->target);
}

/* The definition is that of before the move, that of before the undo, or one with both. */
static char *check_definition(const struct moved *moved, size_t back, long *checks)
{
    const struct fake_world *world = moved->stage.world;
    REQUIRE(world->persistent == world->was_persistent, "the domain is %s",
            world->persistent ? "persistent" : "not persistent any more");
    if (!world->persistent || (back > 0 && back < world->disk_count))
        return NULL;
    REQUIRE(world->autostart == world->was_autostart, "autostart is %s",
            world->autostart ? "on" : "off");
    REQUIRE(text_equal(world->config, world->defined), "libvirt's file is another definition");
    const char *wanted = back ? world->original : moved->definition;
    AUTO_FREE char *difference = text_diff("wanted", wanted, "is", world->defined);
    REQUIRE(!*difference, "the definition is not that of before the %s:\n%s",
            back ? "move" : "undo", difference);
    return NULL;
}

static char *check_journal(const struct moved *moved, size_t back, long *checks)
{
    const struct stage *stage = &moved->stage;
    const size_t count = stage->world->disk_count;
    bool whole = back == count;
    REQUIRE(ask_journal(stage, "SELECT count(*) FROM moves WHERE phase NOT IN (9, 10, 11, 13)") ==
                0,
            "the journal has an unfinished move");
    long phase = ask_journal(stage, "SELECT phase FROM moves WHERE id = 1");
    REQUIRE((phase == PHASE_UNDONE) == whole,
            "the first move's phase is %ld, and %zu of %zu disks "
            "are back",
            phase, back, count);
    REQUIRE(ask_journal(stage, "SELECT count(*) FROM ledger WHERE move = 1 AND NOT ended") ==
                (long)(count - back),
            "the ledger leads away from disks that are back, or not from others");
    REQUIRE(ask_journal(stage, "SELECT count(*) FROM ledger WHERE move > 1 AND NOT ended") ==
                (long)back,
            "the ledger does not lead back");
    REQUIRE(ask_journal(stage, "SELECT count(*) FROM disks WHERE move = 1 AND fate = 2") ==
                (long)(count - back),
            "the first move's disks are not where its record says");
    return NULL;
}

char *check_undone(const struct moved *moved, const struct outcome *outcome, long *checks)
{
    const struct fake_world *world = moved->stage.world;
    char *wrong = check_always(&moved->stage, checks);
    if (wrong)
        return wrong;
    if (!world->active && !world->persistent)
        return NULL; /* a transient guest that is off has no place but where its data are */
    size_t back = 0;
    for (size_t i = 0; i < world->disk_count; i++) {
        const struct fake_disk *disk = &world->disks[i];
        int home = home_of(world, disk);
        REQUIRE(disk->mirror.job == JOB_NONE, "disk %s still has a job", disk->target);
        REQUIRE(home >= 0, "disk %s has no place", disk->target);
        back += home == disk->source;
        REQUIRE(home == disk->source || *world->images[home].token, "disk %s is on neither",
                disk->target);
        REQUIRE(home == disk->source || !*world->images[disk->source].snapshot,
                "the old disk of %s is left with a snapshot", disk->target);
    }
    for (int image = 0; image < FAKE_IMAGES; image++)
        REQUIRE(world->images[image].exists || !*world->images[image].token,
                "the image %s, which the guest had moved to, is gone", world->images[image].name);
    if (outcome->status == 0 && !outcome->recovered)
        REQUIRE(back == world->disk_count, "it says that it is back, and %zu of %zu disks are",
                back, world->disk_count);
    if (outcome->status == 0 && outcome->recovered)
        REQUIRE((back > 0) == (outcome->end == OUTCOME_FINISHED),
                "recovery says %s, and %zu of %zu disks are back",
                outcome->end == OUTCOME_FINISHED ? "finished" : "undone", back, world->disk_count);
    if (outcome->status == 1)
        REQUIRE(back == 0, "it says that all is as it was, and %zu disks are back", back);
    wrong = check_definition(moved, back, checks);
    return wrong ? wrong : check_journal(moved, back, checks);
}
