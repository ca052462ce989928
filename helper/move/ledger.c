/* A guest that is back on a disk which it had left: by hand, since the old disk was kept. */
#include "move/move.h"

/* The source of a <disk> element; SOURCE_NONE when it cannot be read: then it is nobody's. */
static void read_source(const char *disk_xml, struct disk_source *source)
{
    CLEANUP(domain_freep) struct domain *holder = NULL;
    AUTO_ERROR struct error unreadable = {0};
    disk_source_clear(source);
    if (disk_xml && disk_parse(disk_xml, &holder, &unreadable) == 0 && holder->disks.count == 1)
        disk_source_copy(source, &holder->disks.items[0].source);
}

/* The first row that leads away from this source for good; NULL when none does, or when a later one
 * leads back. */
static const struct ledger_row *row_that_leads_away(const struct ledger_rows *rows,
                                                    const struct disk_source *source)
{
    const struct ledger_row *first = NULL;
    CLEANUP(disk_source_clear) struct disk_source here = {0}, old = {0};
    disk_source_copy(&here, source);
    for (size_t i = 0; i < rows->count; i++) {
        const struct ledger_row *row = &rows->items[i];
        read_source(row->old_disk, &old);
        if (old.type == SOURCE_NONE || !disk_source_same(&old, &here))
            continue;
        first = first ? first : row;
        read_source(row->new_disk, &here);
        if (disk_source_same(&here, source))
            first = NULL;
    }
    return first;
}

int move_note_return(struct journal *journal, const struct ledger_rows *rows,
                     const struct domain *live, struct text_list *told, struct error *error)
{
    for (size_t i = 0; i < live->disks.count; i++) {
        const struct disk *disk = &live->disks.items[i];
        const struct ledger_row *row =
            disk->source.type == SOURCE_NONE ? NULL : row_that_leads_away(rows, &disk->source);
        if (!row)
            continue;
        if (journal_ledger_end(journal, row->move, row->target, error) < 0)
            return -1;
        *text_list_add(told) = text_format(
            "disk %s is back on %s, which it had left for %s in move %lld: what names the old disk "
            "is not led to the new one any more",
            disk->target, row->old_source ? row->old_source : "its old disk",
            row->new_source ? row->new_source : "another", (long long)row->move);
    }
    return 0;
}
