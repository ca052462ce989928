/* What must hold of a guest that migrates here, at every instant and at the end: asserted on the
 * images, libvirt's definition and its file, and the journal's tables. */
#include "arrival.h"

#include "base/text.h"

#include <sqlite3.h>

/* Says what is wrong unless it holds. */
#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        ++*checks;                                                                                 \
        if (!(condition))                                                                          \
            return text_format(__VA_ARGS__);                                                       \
    } while (0)

#define LAST "move = (SELECT max(id) FROM moves)"
#define UNFINISHED "SELECT count(*) FROM moves WHERE phase NOT IN (9, 10, 11, 13)"

static const struct fake_image *image_at(const struct fake_world *world, int image)
{
    return &world->images[image];
}

/* Those that are on files of the other host move; the one in the old cluster is reached from here
 * as well, and stays. */
static bool moves(const struct fake_world *world, size_t i)
{
    return image_at(world, world->disks[i].source)->where == ON_OTHER_HOST;
}

int image_of_disk(const struct stage *stage, size_t disk)
{
    AUTO_FREE char *name = text_format("fast/" FAKE_NAME "-%s", stage->world->disks[disk].target);
    return fake_image_find(stage->world, IN_NEW_CLUSTER, name);
}

/* ---- the writes ---- */

static char *check_writes(const struct fake_world *world, size_t i, long *checks)
{
    const struct fake_disk *disk = &world->disks[i];
    const struct fake_image *source = image_at(world, disk->source);
    bool moved = !world->journey.away && moves(world, i);
    REQUIRE(source->exists, "the source %s is gone", source->name);
    REQUIRE(
        fake_writes_contain(&source->content, moved ? &disk->before_pivot : &disk->acknowledged),
        "the source %s lacks writes", source->name);
    if (world->active) {
        const struct fake_image *live = image_at(world, disk->live);
        REQUIRE(live->exists, "the guest's disk %s is gone: %s", disk->target, live->name);
        if (!world->stale_start)
            REQUIRE(fake_writes_contain(&live->content, &disk->acknowledged),
                    "acknowledged writes of disk %s are not on %s", disk->target, live->name);
    }
    /* Of a guest that was started from its old disk they are on two. */
    bool kept = false;
    struct fake_writes all = {0};
    for (int image = 0; image < FAKE_IMAGES; image++) {
        if (!image_at(world, image)->exists && !image_at(world, image)->trashed)
            continue;
        kept |= fake_writes_contain(&image_at(world, image)->content, &disk->acknowledged);
        fake_writes_add(&all, &image_at(world, image)->content);
    }
    kept |= world->stale_start && fake_writes_contain(&all, &disk->acknowledged);
    REQUIRE(kept, "acknowledged writes of disk %s are lost", disk->target);
    return NULL;
}

/* ---- the definition ---- */

/* Which of our images it names for this disk; -1: none. */
static int names_image(const struct stage *stage, size_t disk)
{
    const struct fake_world *world = stage->world;
    if (!world->persistent)
        return -1;
    int image = fake_image_defined(world, world->defined, world->disks[disk].target);
    return image >= 0 && *image_at(world, image)->token ? image : -1;
}

static bool names_new_cluster(const struct fake_world *world, size_t disk)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = NULL;
    if (domain_parse(world->defined, strlen(world->defined), &domain, &error) < 0)
        return false;
    const struct disk *defined = domain_disk(domain, world->disks[disk].target);
    return defined && defined->source.hosts.count > 0 &&
           text_equal(defined->source.hosts.items[0].name, "10.1.0.1");
}

static bool is_unsettled(const struct stage *stage)
{
    return ask_journal(stage, UNFINISHED) > 0;
}

char *check_arrival(const struct stage *stage, long *checks)
{
    const struct fake_world *world = stage->world;
    REQUIRE(!*world->violation, "%s", world->violation);
    for (size_t i = 0; i < world->disk_count; i++) {
        char *wrong = check_writes(world, i, checks);
        if (wrong)
            return wrong;
    }
    for (size_t i = 0; world->persistent && i < world->disk_count; i++) {
        const char *target = world->disks[i].target;
        REQUIRE(!names_new_cluster(world, i) || names_image(stage, i) >= 0,
                "the definition names an image for %s that is gone", target);
        /* A stale start must be impossible to miss. */
        if (world->active && *image_at(world, world->disks[i].live)->token)
            REQUIRE(names_image(stage, i) == world->disks[i].live || is_unsettled(stage),
                    "the definition names the old disk %s, and nobody knows", target);
    }
    return NULL;
}

/* ---- the end ---- */

static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    return at ? text_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from))
              : text_dup(text);
}

/* The definition without the disks that move. */
static char *without_moved(const struct fake_world *world, const char *xml)
{
    AUTO_BUFFER struct buffer rest = {0};
    for (;;) {
        const char *disk = strstr(xml, "    <disk ");
        const char *end = disk ? strstr(disk, "</disk>\n") : NULL;
        if (!end)
            break;
        end += strlen("</disk>\n");
        AUTO_FREE char *element = text_slice(disk, (size_t)(end - disk));
        bool stays = true;
        for (size_t i = 0; i < world->disk_count; i++) {
            AUTO_FREE char *target = text_format("<target dev='%s'", world->disks[i].target);
            stays &= !moves(world, i) || !strstr(element, target);
        }
        buffer_add_slice(&rest, xml, (size_t)((stays ? end : disk) - xml));
        xml = end;
    }
    buffer_add(&rest, xml);
    return buffer_take(&rest);
}

static char *check_text(const struct stage *stage, bool finished, long *checks)
{
    const struct fake_world *world = stage->world;
    REQUIRE(text_equal(world->config, world->defined),
            "libvirt's file is not the definition that it has in memory");
    REQUIRE(!world->autostart, "autostart is on");
    AUTO_FREE char *now = without_moved(world, world->defined);
    AUTO_FREE char *as_it_came = without_moved(world, world->original);
    AUTO_FREE char *on_lan = replaced(as_it_came, "network='office'", "network='lan'");
    AUTO_FREE char *renamed = replaced(on_lan, "bridge='br-a'", "bridge='br0'");
    bool mapped = (finished || world->journey.offline) && stage->kind.arrival->networks;
    AUTO_FREE char *difference = text_diff("as it came", mapped ? renamed : as_it_came, "now", now);
    REQUIRE(!*difference,
            "the definition has changed beside its disks, or its networks have "
            "not:\n%s",
            difference);
    return NULL;
}

static bool same_source(const char *one, const char *other, const char *target)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *a = NULL;
    CLEANUP(domain_freep) struct domain *b = NULL;
    if (domain_parse(one, strlen(one), &a, &error) < 0 ||
        domain_parse(other, strlen(other), &b, &error) < 0)
        return false;
    const struct disk *x = domain_disk(a, target);
    const struct disk *y = domain_disk(b, target);
    return x && y && disk_source_same(&x->source, &y->source);
}

static char *check_definition(const struct stage *stage, bool finished, long *checks)
{
    const struct fake_world *world = stage->world;
    for (size_t i = 0; i < world->disk_count; i++) {
        const struct fake_disk *disk = &world->disks[i];
        int named = names_image(stage, i);
        if (!moves(world, i))
            continue;
        REQUIRE((named >= 0) == finished, "the definition names %s for %s",
                named >= 0 ? "our image" : "the old disk", disk->target);
        REQUIRE(finished || same_source(world->defined, world->original, disk->target),
                "the definition names another disk for %s than it came with", disk->target);
        /* A run from an old definition that nobody saw is not missed. */
        if (finished && world->journey.ran_here && !world->stale_start)
            REQUIRE(fake_writes_contain(&image_at(world, named)->content, &disk->acknowledged),
                    "the definition names an image for %s that lacks writes", disk->target);
    }
    return check_text(stage, finished, checks);
}

/* An image of ours is the guest's, or a definition names it, or it is gone: in the trash are only
 * those of an earlier attempt. */
static char *check_images(const struct stage *stage, bool finished, long *checks)
{
    const struct fake_world *world = stage->world;
    bool tried_before = world->journey.tries > 1;
    bool is_nowhere = finished && !world->active && !world->persistent; /* it was transient */
    for (int i = 0; i < FAKE_IMAGES; i++) {
        const struct fake_image *image = image_at(world, i);
        if (!*image->token)
            continue;
        bool used = is_nowhere;
        for (size_t disk = 0; disk < world->disk_count; disk++)
            used |=
                (world->active && world->disks[disk].live == i) || names_image(stage, disk) == i;
        REQUIRE(image->exists == used || (!finished && world->stale_start),
                "the image %s of ours %s", image->name, used ? "is gone" : "is left behind");
        REQUIRE(!image->trashed || tried_before, "the image %s is in the trash", image->name);
        if (image->trashed)
            REQUIRE(image->trashed_until - world->now > 6 * 86400000ll,
                    "the image %s may be purged from the trash", image->name);
    }
    return NULL;
}

/* One row of the ledger: both elements parse, and are what they are said to be. */
static char *check_row(const struct stage *stage, sqlite3_stmt *row, long *checks)
{
    const struct fake_world *world = stage->world;
    const char *target = (const char *)sqlite3_column_text(row, 0);
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *original = NULL;
    CLEANUP(domain_freep) struct domain *old = NULL;
    CLEANUP(domain_freep) struct domain *new = NULL;
    REQUIRE(sqlite3_column_text(row, 1) && sqlite3_column_text(row, 2),
            "the ledger has no elements for %s", target);
    REQUIRE(domain_parse(world->original, strlen(world->original), &original, &error) == 0 &&
                disk_parse((const char *)sqlite3_column_text(row, 1), &old, &error) == 0 &&
                disk_parse((const char *)sqlite3_column_text(row, 2), &new, &error) == 0,
            "the ledger's elements for %s do not parse: %s", target, error.message);
    const struct disk *from = domain_disk(original, target);
    const struct disk *before = domain_disk(old, target);
    const struct disk *after = domain_disk(new, target);
    REQUIRE(from && before && after && disk_source_same(&from->source, &before->source),
            "the ledger's old disk %s is another one", target);
    int image = fake_image_of_source(world, &after->source);
    AUTO_FREE char *name = text_format("fast/" FAKE_NAME "-%s", target);
    REQUIRE(image >= 0 && text_equal(image_at(world, image)->name, name),
            "the ledger's new disk %s is another one", target);
    REQUIRE(text_equal(after->format, "raw") && text_equal(after->serial, from->serial) &&
                text_equal(after->cache, "none") && after->source.auth_user,
            "the ledger's new disk %s is not as the policy has it", target);
    return NULL;
}

static char *check_ledger(const struct stage *stage, bool finished, long *checks)
{
    AUTO_FREE char *path = text_format("%s/journal.db", stage->folder);
    sqlite3 *database = NULL;
    sqlite3_stmt *row = NULL;
    char *wrong = NULL;
    size_t rows = 0, expected = 0;
    for (size_t i = 0; finished && i < stage->world->disk_count; i++)
        expected += moves(stage->world, i);
    if (sqlite3_open(path, &database) == SQLITE_OK &&
        sqlite3_prepare_v2(database, "SELECT target, old_disk, new_disk FROM ledger", -1, &row,
                           NULL) == SQLITE_OK)
        for (; !wrong && sqlite3_step(row) == SQLITE_ROW; rows++)
            if (finished)
                wrong = check_row(stage, row, checks);
    sqlite3_finalize(row);
    sqlite3_close(database);
    if (wrong)
        return wrong;
    REQUIRE(rows == expected, "the ledger has %zu rows, and not %zu", rows, expected);
    return NULL;
}

char *check_arrival_ended(const struct stage *stage, long *checks)
{
    const struct fake_world *world = stage->world;
    char *wrong = check_arrival(stage, checks);
    if (wrong)
        return wrong;
    REQUIRE(!is_unsettled(stage), "the journal has an unfinished move");
    REQUIRE(!world->journey.arriving, "the guest is still arriving");
    bool finished =
        ask_journal(stage, "SELECT phase FROM moves ORDER BY id DESC") == PHASE_REDEFINED;
    bool any = ask_journal(stage, "SELECT count(*) FROM moves") > 0;
    bool runs_on_images = world->active && !world->stale_start && world->journey.ran_here;
    REQUIRE(finished || !runs_on_images, "the guest is here, and the move is undone");
    REQUIRE(finished || !world->journey.ran_here || !world->persistent,
            "the guest ran here, and the definition that names the old disks is left");
    REQUIRE(!finished || world->journey.ran_here || names_image(stage, world->disk_count - 1) >= 0,
            "the guest never came, and the move is finished");
    if (any)
        REQUIRE(ask_journal(stage, finished ? "SELECT count(*) FROM disks WHERE fate <> 2 AND " LAST
                                            : "SELECT count(*) FROM disks WHERE fate = 2") == 0,
                "the journal's disks are %s", finished ? "not all on their images" : "not back");
    if (world->persistent)
        wrong = check_definition(stage, finished, checks);
    if (!wrong)
        wrong = check_images(stage, finished, checks);
    return wrong || !any ? wrong : check_ledger(stage, finished, checks);
}
