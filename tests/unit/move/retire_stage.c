#include "retire_stage.h"

#include <sqlite3.h>

#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        ++*checks;                                                                                 \
        if (!(condition))                                                                          \
            return text_format(__VA_ARGS__);                                                       \
    } while (0)

#define POLICY(verify, after) "verify: " verify "\nsource: {after: " after ", grace: 1h}\n"

static const struct {
    const char *after, *proven, *unproven;
} policies[] = {
    {"trash", POLICY("full", "trash"), POLICY("none", "trash")},
    {"remove", POLICY("full", "remove"), POLICY("none", "remove")},
    {"keep", POLICY("full", "keep"), POLICY("none", "keep")},
};

void retire_stage_open(struct stage *stage, const char *after, bool verify)
{
    struct stage_kind kind = {.disks = 3};
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
        if (text_equal(policies[i].after, after))
            kind.more = verify ? policies[i].proven : policies[i].unproven;
    stage_open(stage, &kind);
    stage->unproven = true; /* that is the tests' to say */
    assert_int_equal(stage_move(stage)->status, 0);
    fake_world_run(stage->world, (GRACE_SECONDS + 1) * 1000);
    fake_world_forget_calls(stage->world);
}

void retire_stage_verify(struct stage *stage, enum disk_verdict verdict, const char *incomparable)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(journal_closep) struct journal *journal = NULL;
    CLEANUP(disk_records_clear) struct disk_records disks = {0};
    if (journal_open(stage->folder, JOURNAL_WRITE, &journal, &error) < 0 ||
        journal_disks(journal, 1, &disks, &error) < 0)
        fail_msg("%s", error.message);
    for (size_t i = 0; i < disks.count; i++) {
        struct disk_record *disk = &disks.items[i];
        disk->verdict = text_equal(disk->target, incomparable) ? VERDICT_IMPOSSIBLE : verdict;
        free(disk->source_digest);
        free(disk->target_digest);
        disk->source_digest = text_dup("aa");
        disk->target_digest = text_dup(verdict == VERDICT_EQUAL ? "aa" : "bb");
        if (journal_set_verdict(journal, 1, disk, &error) < 0)
            fail_msg("%s", error.message);
    }
    if (verdict == VERDICT_EQUAL && !incomparable &&
        journal_reach(journal, 1, PHASE_VERIFIED, NULL, &error) < 0)
        fail_msg("%s", error.message);
}

char *ask_journal_text(const struct stage *stage, const char *sql)
{
    AUTO_FREE char *path = text_format("%s/journal.db", stage->folder);
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    char *text = NULL;
    if (sqlite3_open(path, &database) == SQLITE_OK &&
        sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        text = text_dup((const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return text ? text : text_dup("");
}

enum source_place source_place(const struct stage *stage, size_t disk)
{
    const struct fake_image *image = &stage->world->images[stage->world->disks[disk].source];
    if (image->trashed)
        return IN_THE_TRASH;
    if (!image->exists)
        return NOWHERE;
    return strstr(image->name, ASIDE) ? PUT_ASIDE : AT_ITS_PLACE;
}

static bool is_named(const struct fake_world *world, int image)
{
    static const char *const targets[] = {"vda", "vdb", "vdc"};
    const char *const xmls[] = {world->neighbour_live, world->neighbour_defined,
                                world->persistent ? world->defined : ""};
    for (size_t i = 0; i < ARRAY_SIZE(xmls); i++)
        for (size_t j = 0; *xmls[i] && j < ARRAY_SIZE(targets); j++)
            if (fake_image_defined(world, xmls[i], targets[j]) == image)
                return true;
    return false;
}

static char *check_source(const struct stage *stage, size_t i, long *checks)
{
    const struct fake_world *world = stage->world;
    const struct fake_image *image = &world->images[world->disks[i].source];
    AUTO_FREE char *sql =
        text_format("SELECT given_up FROM disks WHERE target='%s'", world->disks[i].target);
    AUTO_FREE char *said = ask_journal_text(stage, sql);
    bool removes = strstr(stage->kind.more, "remove") != NULL;
    switch (source_place(stage, i)) {
    case AT_ITS_PLACE:
        return NULL; /* whatever the journal says: it may be about to go */
    case IN_THE_TRASH:
        REQUIRE(text_starts_with(said, "trash ") || (removes && text_starts_with(said, "removed ")),
                "%s is in the trash, and the journal says '%s'", image->name, said);
        REQUIRE(image->trashed_until > world->now, "%s can be purged at once", image->name);
        break;
    case PUT_ASIDE:
        REQUIRE(text_starts_with(said, "aside ") || (removes && text_starts_with(said, "removed")),
                "%s is aside, and the journal says '%s'", image->name, said);
        break;
    case NOWHERE:
        REQUIRE(removes && text_starts_with(said, "removed "),
                "%s is gone, and the journal says '%s'", image->name, said);
        break;
    }
    REQUIRE(!is_named(world, world->disks[i].source), "%s was given up, and is named", image->name);
    return NULL;
}

char *check_sources(const struct stage *stage, long *checks)
{
    const struct fake_world *world = stage->world;
    REQUIRE(!*world->violation, "%s", world->violation);
    for (size_t i = 0; i < world->disk_count; i++) {
        const struct fake_disk *disk = &world->disks[i];
        if (world->active && !world->stale_start)
            REQUIRE(fake_writes_contain(&world->images[disk->live].content, &disk->acknowledged),
                    "acknowledged writes of disk %s are lost", disk->target);
        char *wrong = check_source(stage, i, checks);
        if (wrong)
            return wrong;
    }
    return NULL;
}

char *check_settled(const struct stage *stage, long *checks)
{
    char *wrong = check_sources(stage, checks);
    if (wrong)
        return wrong;
    long begun = ask_journal(stage, "SELECT begun FROM moves");
    long phase = ask_journal(stage, "SELECT phase FROM moves");
    long retired = ask_journal(stage, "SELECT count(*) FROM ledger WHERE retired");
    long written = ask_journal(stage, "SELECT count(*) FROM disks WHERE given_up IS NOT NULL");
    bool removes = strstr(stage->kind.more, "remove") != NULL;
    size_t gone = 0;
    for (size_t i = 0; i < stage->world->disk_count; i++)
        gone += source_place(stage, i) != AT_ITS_PLACE;
    REQUIRE(begun == phase, "the journal has an unfinished retirement");
    REQUIRE(phase == PHASE_RETIRED || gone == 0, "%zu sources are gone from a move in phase %ld",
            gone, phase);
    REQUIRE(phase != PHASE_RETIRED || gone == 3, "retired, and only %zu sources are gone", gone);
    REQUIRE((size_t)retired == gone && (size_t)written == gone,
            "%zu sources are gone, the ledger has %ld, the journal %ld", gone, retired, written);
    for (size_t i = 0; removes && gone && i < stage->world->disk_count; i++)
        REQUIRE(source_place(stage, i) == NOWHERE, "a source was not removed");
    return NULL;
}
