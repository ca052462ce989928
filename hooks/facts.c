#include "base/text.h"
#include "hooks/hook.h"
#include "journal/journal.h"

/* The size of the image that an unfinished incoming move of this domain made for this disk, or 0.
 * A migration that was cancelled and is tried again finds it. */
static uint64_t size_in_plan(const char *record, const struct disk *disk)
{
    CLEANUP(plan_freep) struct plan *plan = NULL;
    AUTO_ERROR struct error ignored = {0}; /* then it is not known from there */
    if (plan_from_record(record, &plan, &ignored) < 0)
        return 0;
    AUTO_FREE char *source = disk_source_describe(&disk->source);
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_disk *planned = &plan->disks.items[i];
        if (planned->action == PLAN_MOVE && text_equal(planned->target, disk->target) &&
            text_equal(planned->source, source))
            return planned->destination.size;
    }
    return 0;
}

static uint64_t size_in_moves(const struct move_records *moves, const struct disk *disk)
{
    for (size_t i = moves->count; i-- > 0;) {
        const struct move_record *move = &moves->items[i];
        bool is_incoming = move->kind == MOVE_INCOMING && move->plan;
        uint64_t size = is_incoming ? size_in_plan(move->plan, disk) : 0;
        if (size)
            return size;
    }
    return 0;
}

/* None when there is no journal, or it cannot be read: that says nothing about sizes. */
static void read_moves(const char *state, const char *uuid, struct move_records *moves)
{
    AUTO_ERROR struct error ignored = {0};
    CLEANUP(journal_closep) struct journal *journal = NULL;
    if (uuid && journal_open(state, JOURNAL_READ, &journal, &ignored) == 0 &&
        journal_list(journal, MOVES_UNFINISHED, uuid, moves, &ignored) < 0)
        move_records_clear(moves);
}

static bool all_sizes_known(const struct incoming_facts *facts)
{
    for (size_t i = 0; i < facts->count; i++)
        if (!facts->items[i].capacity)
            return false;
    return true;
}

/* What the metadata does not say. An image was made only for a disk that was known to be local. */
static void complete(struct incoming_fact *fact, const struct disk *disk,
                     const struct move_records *moves)
{
    fact->capacity = size_in_moves(moves, disk);
    if (fact->capacity)
        fact->local = true;
    else
        fact->capacity = source_file_capacity(disk);
}

void facts_gather(const struct domain *domain, const char *state, struct incoming_facts *facts)
{
    for (size_t i = 0; i < domain->disks.count; i++) {
        const struct disk *disk = &domain->disks.items[i];
        if (disk->source.type == SOURCE_NONE)
            continue;
        enum source_reach reach = source_reach(&disk->source);
        /* A host that says the size, and not that the file is local, knows better than a file that
         * happens to have its name here. */
        *incoming_facts_add(facts) = (struct incoming_fact){
            .target = disk->target,
            .capacity = disk->capacity,
            .shared = reach == REACH_SHARED,
            .local = disk->capacity ? disk->local : reach == REACH_LOCAL,
        };
    }
    if (all_sizes_known(facts))
        return;
    CLEANUP(move_records_clear) struct move_records moves = {0};
    read_moves(state, domain->uuid, &moves);
    for (size_t i = 0; i < facts->count; i++)
        if (!facts->items[i].capacity)
            complete(&facts->items[i], domain_disk(domain, facts->items[i].target), &moves);
}
