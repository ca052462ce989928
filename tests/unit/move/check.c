/* The five invariants of design.md, asserted on what is there: images and their contents, libvirt's
 * definition and its file, the journal's tables and the saved definitions. None of this uses what
 * the code under test says about itself, but for the outcome that it claims. */
#include "stage.h"

#include "base/text.h"

#include <sqlite3.h>

/* Says what is wrong unless it holds. */
#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        ++*checks;                                                                                 \
        if (!(condition))                                                                          \
            return text_format(__VA_ARGS__);                                                       \
    } while (0)

long ask_journal(const struct stage *stage, const char *sql)
{
    AUTO_FREE char *path = text_format("%s/journal.db", stage->folder);
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    long number = -1;
    if (access(path, F_OK) == 0 && sqlite3_open(path, &database) == SQLITE_OK &&
        sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        number = (long)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return number;
}

#define UNFINISHED "phase NOT IN (9, 10, 11, 13)"

static bool journal_has_definition(const struct stage *stage)
{
    AUTO_FREE char *path = text_format("%s/journal.db", stage->folder);
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    bool found = false;
    if (access(path, F_OK) == 0 && sqlite3_open(path, &database) == SQLITE_OK &&
        sqlite3_prepare_v2(database,
                           "SELECT definition, definition_file FROM moves WHERE " UNFINISHED
                           " AND definition IS NOT NULL AND plan LIKE '%\"destination\"%'",
                           -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        AUTO_FCLOSE FILE *file = fopen((const char *)sqlite3_column_text(statement, 1), "r");
        char content[FAKE_XML] = "";
        found = file && fread(content, 1, sizeof(content) - 1, file) == strlen(text) &&
                text_equal(content, text);
    }
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return found;
}

static bool pivoted_once(const struct fake_disk *disk)
{
    static const struct fake_writes none;
    return !fake_writes_contain(&none, &disk->before_pivot);
}

/* ---- the writes ---- */

static char *check_writes(const struct fake_world *world, size_t i, long *checks)
{
    const struct fake_disk *disk = &world->disks[i];
    const struct fake_image *source = &world->images[disk->source];
    REQUIRE(source->exists || source->migrated, "the source %s is gone", source->name);
    REQUIRE(source->written_over ||
                fake_writes_contain(&source->content,
                                    pivoted_once(disk) ? &disk->before_pivot : &disk->acknowledged),
            "the source %s lacks writes of the time before the pivot", source->name);
    if (world->active && !world->stale_start) {
        const struct fake_image *live = &world->images[disk->live];
        REQUIRE(live->exists, "the guest's disk %s is gone: %s", disk->target, live->name);
        REQUIRE(fake_writes_contain(&live->content, &disk->acknowledged),
                "acknowledged writes of disk %s are not on %s", disk->target, live->name);
        return NULL;
    }
    bool kept = false;
    struct fake_writes all = {0};
    for (int image = 0; image < FAKE_IMAGES; image++) {
        if (!world->images[image].exists && !world->images[image].migrated)
            continue;
        kept |= fake_writes_contain(&world->images[image].content, &disk->acknowledged);
        fake_writes_add(&all, &world->images[image].content);
    }
    /* A guest that somebody started from its old disk has its writes on two. */
    kept |= world->stale_start && fake_writes_contain(&all, &disk->acknowledged);
    REQUIRE(kept, "acknowledged writes of disk %s are lost", disk->target);
    return NULL;
}

/* ---- the definition ---- */

/* A definition in libvirt may not name a disk that lacks what the guest was told is written: the
 * next start would use it. */
static char *check_defined(const struct stage *stage, size_t i, long *checks)
{
    const struct fake_world *world = stage->world;
    const struct fake_disk *disk = &world->disks[i];
    int image = fake_image_defined(world, world->defined, disk->target);
    /* For a moment it names nothing, and the guest cannot be started. */
    if (image < 0 && world->images[disk->source].migrated && !world->active) {
        REQUIRE(ask_journal(stage, "SELECT count(*) FROM moves WHERE " UNFINISHED) > 0 &&
                    journal_has_definition(stage),
                "the definition names nothing for %s, and no move is under way", disk->target);
        return NULL;
    }
    REQUIRE(image >= 0, "the definition names no disk %s that exists", disk->target);
    if (world->stale_start || (world->active && disk->live != disk->shown))
        return NULL; /* QEMU has just pivoted, libvirt does not know */
    if (world->active)
        REQUIRE(image == disk->live, "the definition names %s for %s, the guest writes to %s",
                world->images[image].name, disk->target, world->images[disk->live].name);
    else
        REQUIRE(fake_writes_contain(&world->images[image].content, &disk->acknowledged),
                "the definition names %s for %s, which lacks acknowledged writes",
                world->images[image].name, disk->target);
    return NULL;
}

char *check_writes_kept(const struct stage *stage, long *checks)
{
    const struct fake_world *world = stage->world;
    REQUIRE(!*world->violation, "%s", world->violation);
    for (size_t i = 0; i < world->disk_count; i++) {
        char *wrong = check_writes(world, i, checks);
        if (wrong)
            return wrong;
    }
    return NULL;
}

char *check_always(const struct stage *stage, long *checks)
{
    const struct fake_world *world = stage->world;
    char *wrong_writes = check_writes_kept(stage, checks);
    if (wrong_writes)
        return wrong_writes;
    if (!world->was_persistent)
        return NULL;
    REQUIRE(world->persistent || journal_has_definition(stage),
            "there is no definition, neither in libvirt nor in the journal");
    for (size_t i = 0; world->persistent && i < world->disk_count; i++) {
        char *wrong = check_defined(stage, i, checks);
        if (wrong)
            return wrong;
    }
    return NULL;
}

/* ---- the end ---- */

/* The definition without its disks. */
static char *without_disks(const char *xml)
{
    AUTO_BUFFER struct buffer rest = {0};
    for (;;) {
        const char *disk = strstr(xml, "<disk ");
        const char *end = disk ? strstr(disk, "</disk>") : NULL;
        if (!end)
            break;
        buffer_add_slice(&rest, xml, (size_t)(disk - xml));
        xml = end + strlen("</disk>");
    }
    buffer_add(&rest, xml);
    return buffer_take(&rest);
}

/* Where the disk is for good: what the guest uses, or would use at its next start. */
static int home_of(const struct fake_world *world, const struct fake_disk *disk)
{
    if (world->active)
        return disk->live;
    if (world->persistent)
        return fake_image_defined(world, world->defined, disk->target);
    /* A transient guest that is off has no place but where its data are. */
    for (int image = 0; image < FAKE_IMAGES; image++)
        if (world->images[image].exists && image != disk->source && pivoted_once(disk) &&
            fake_writes_contain(&world->images[image].content, &disk->acknowledged))
            return image;
    return disk->source;
}

static char *check_definition_text(const struct fake_world *world, bool moved, long *checks)
{
    REQUIRE(world->persistent == (world->was_persistent || world->redefined), "the domain is %s",
            world->persistent ? "persistent" : "not persistent any more");
    if (!world->persistent)
        return NULL;
    REQUIRE(world->autostart == world->was_autostart, "autostart is %s",
            world->autostart ? "on" : "off");
    REQUIRE(text_equal(world->config, world->defined),
            "libvirt's file is not the definition that it has in memory");
    AUTO_FREE char *now = moved ? without_disks(world->defined) : text_dup(world->defined);
    AUTO_FREE char *before = moved ? without_disks(world->original) : text_dup(world->original);
    AUTO_FREE char *difference = text_diff("before", before, "now", now);
    REQUIRE(!*difference, "the definition has changed%s:\n%s", moved ? " beside its disks" : "",
            difference);
    return NULL;
}

static char *check_images(const struct fake_world *world, long *checks)
{
    for (int image = 0; image < FAKE_IMAGES; image++) {
        if (!world->images[image].exists || !*world->images[image].token)
            continue;
        bool used = false;
        for (size_t i = 0; i < world->disk_count; i++)
            used |= home_of(world, &world->disks[i]) == image;
        REQUIRE(used, "the image %s of ours is left behind", world->images[image].name);
    }
    return NULL;
}

/* ---- the proof ---- */

#define LONGEST_PAUSE 12000 /* ms: five seconds each for pivots and snapshots, and some */

static long ask_about(const struct stage *stage, const struct fake_disk *disk, const char *what)
{
    AUTO_FREE char *sql = text_format("SELECT %s FROM disks JOIN moves ON moves.id=disks.move"
                                      " WHERE target='%s' ORDER BY moves.id DESC LIMIT 1",
                                      what, disk->target);
    return ask_journal(stage, sql);
}

/* Verdicts: 0 none yet, 1 equal, 2 different, 3 impossible. */
static char *check_verdict(const struct stage *stage, const struct fake_disk *disk, long *checks)
{
    const struct fake_world *world = stage->world;
    long verdict = ask_about(stage, disk, "verdict");
    long captured = ask_about(stage, disk, "snapshot IS NOT NULL");
    long phase = ask_about(stage, disk, "phase");
    const struct fake_image *image = disk->live >= 0 ? &world->images[disk->live] : NULL;
    if (phase < 9 || phase > 11 || !image || !*image->token)
        return NULL; /* it has not moved, or is off */
    REQUIRE(!*image->snapshot || captured, "nobody knows of the snapshot of %s", image->name);
    REQUIRE(verdict != 1 || image->captured_right, "disk %s is called equal, and is not",
            disk->target);
    REQUIRE(verdict != 2 || !image->captured_right, "disk %s is called different, and is not",
            disk->target);
    REQUIRE(verdict != 0 || !captured || image->captured_right || world->ways.pivot_loses[0],
            "disk %s will be called different: the guest went on before it was captured",
            disk->target);
    REQUIRE(phase != 10 || (verdict == 1 && !*image->snapshot),
            "the move is called verified, and disk %s is not", disk->target);
    return NULL;
}

static char *check_proof(const struct stage *stage, const struct outcome *outcome, long *checks)
{
    const struct fake_world *world = stage->world;
    REQUIRE(world->paused == world->was_paused, "the guest is %s",
            world->paused ? "left paused" : "let go on, though somebody had paused it");
    REQUIRE(world->longest_pause < LONGEST_PAUSE, "the guest was paused for %u ms",
            world->longest_pause);
    for (size_t i = 0; i < world->disk_count; i++) {
        char *wrong = check_verdict(stage, &world->disks[i], checks);
        if (wrong)
            return wrong;
    }
    /* The watch of a client that was killed on the source lasts half a minute. */
    if (outcome->status == 0 && outcome->recovered > 0 && outcome->verification != ERROR_BUSY)
        REQUIRE(ask_journal(stage, "SELECT count(*) FROM moves JOIN disks ON moves.id=disks.move"
                                   " WHERE phase=9 AND snapshot IS NOT NULL AND verdict<>2") <= 0,
                "something is left to be verified");
    return NULL;
}

char *check_ended(const struct stage *stage, const struct outcome *outcome, long *checks)
{
    const struct fake_world *world = stage->world;
    char *wrong = check_always(stage, checks);
    if (wrong)
        return wrong;
    size_t moved = 0;
    for (size_t i = 0; i < world->disk_count; i++) {
        const struct fake_disk *disk = &world->disks[i];
        int home = home_of(world, disk);
        REQUIRE(disk->mirror.job == JOB_NONE, "disk %s still has a job", disk->target);
        REQUIRE(home >= 0, "disk %s has no place", disk->target);
        bool on_target = *world->images[home].token != '\0';
        moved += on_target;
        REQUIRE(on_target || home == disk->source, "disk %s is on neither", disk->target);
    }
    for (size_t i = 0; moved == 0 && i < world->disk_count; i++)
        REQUIRE(world->images[world->disks[i].source].features == OLD_FEATURES,
                "the features of %s were changed and not taken back",
                world->images[world->disks[i].source].name);
    wrong = check_proof(stage, outcome, checks);
    if (wrong)
        return wrong;
    bool recovery = outcome->recovered > 0;
    if (outcome->status == 0 && !recovery)
        REQUIRE(moved == world->disk_count, "it says moved, and %zu of %zu disks are", moved,
                world->disk_count);
    if (outcome->status == 0 && recovery)
        REQUIRE((moved > 0) == (outcome->end == OUTCOME_FINISHED),
                "recovery says %s, and %zu of %zu disks have moved",
                outcome->end == OUTCOME_FINISHED ? "finished" : "undone", moved, world->disk_count);
    if (outcome->status == 1)
        REQUIRE(moved == 0, "it says that all is as it was, and %zu disks have moved", moved);
    /* One that was only planned has touched nothing: it may be that not even its end could be
     * written. */
    const char *unfinished = outcome->status == 1
                                 ? "SELECT count(*) FROM moves WHERE phase > 0 AND " UNFINISHED
                                 : "SELECT count(*) FROM moves WHERE " UNFINISHED;
    REQUIRE(ask_journal(stage, unfinished) <= 0, "the journal has an unfinished move");
    wrong = check_definition_text(world, moved > 0, checks);
    return wrong ? wrong : check_images(world, checks);
}
