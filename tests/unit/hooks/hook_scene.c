/* Writes into a journal what moves would have written.
 * usage: hook_scene STATE ledger UUID OLD-DISK NEW-DISK|- [retired]
 *        hook_scene STATE incoming UUID TARGET BYTES
 *        hook_scene STATE rows           UUID, OLD-DISK and NEW-DISK from stdin, each ended by NUL
 */
#include "base/text.h"
#include "journal/journal.h"
#include "plan/plan.h"

#include <inttypes.h>

static void must(int result, const struct error *error)
{
    if (result == 0)
        return;
    fprintf(stderr, "hook_scene: %s\n", error->message);
    exit(1);
}

static char *incoming_plan(const char *uuid, const char *target, uint64_t size)
{
    CLEANUP(plan_freep) struct plan *plan = NEW(struct plan);
    plan->domain = text_dup("db1");
    plan->uuid = text_dup(uuid);
    struct plan_disk *disk = plan_disks_add(&plan->disks);
    disk->target = text_dup(target);
    disk->action = PLAN_MOVE;
    disk->destination.image = text_format("db1-%s", target);
    disk->destination.size = size;
    return plan_to_record(plan);
}

static int64_t create(struct journal *journal, enum move_kind kind, const char *uuid, char *plan,
                      struct error *error)
{
    const struct move_record record = {
        .kind = kind,
        .uuid = (char *)uuid,
        .domain = (char *)"db1",
        .uri = (char *)"qemu:///system",
        .plan = plan,
        .live = (char *)"<domain/>",
    };
    int64_t id = 0;
    must(journal_create(journal, &record, &id, error), error);
    return id;
}

static void add_row(struct journal *journal, const char *uuid, char *old_disk, char *new_disk,
                    bool retired, struct error *error)
{
    const struct ledger_row row = {
        .target = (char *)"vda",
        .old_source = (char *)"where it was",
        .old_disk = old_disk,
        .new_disk = new_disk,
        .retired = retired,
    };
    int64_t id = create(journal, MOVE_LIVE, uuid, (char *)"{\"disks\":[]}", error);
    must(journal_ledger_add(journal, id, &row, error), error);
}

/* The next piece of stdin up to a NUL; NULL at its end. */
static char *next_piece(void)
{
    AUTO_FREE char *piece = NULL;
    size_t room = 0;
    return getdelim(&piece, &room, '\0', stdin) > 0 ? STEAL(piece) : NULL;
}

static void add_rows(struct journal *journal, struct error *error)
{
    for (;;) {
        AUTO_FREE char *uuid = next_piece();
        AUTO_FREE char *old_disk = next_piece();
        AUTO_FREE char *new_disk = next_piece();
        if (!new_disk)
            return;
        add_row(journal, uuid, old_disk, new_disk, false, error);
    }
}

int main(int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[2] : "";
    if (!text_equal(verb, "rows") && argc < 6)
        return 2;
    AUTO_ERROR struct error error = {0};
    CLEANUP(journal_closep) struct journal *journal = NULL;
    must(journal_open(argv[1], JOURNAL_WRITE, &journal, &error), &error);
    if (text_equal(verb, "rows")) {
        add_rows(journal, &error);
    } else if (text_equal(verb, "incoming")) {
        AUTO_FREE char *plan = incoming_plan(argv[3], argv[4], strtoull(argv[5], NULL, 10));
        create(journal, MOVE_INCOMING, argv[3], plan, &error);
    } else {
        add_row(journal, argv[3], argv[4], text_equal(argv[5], "-") ? NULL : argv[5], argc > 6,
                &error);
    }
    return 0;
}
