/* When a source may be given up: what the move, its domain and its target have to be like. */
#include "move/retire.h"

#include "base/units.h"

#include <inttypes.h>
#include <time.h>

/* ---- the move ---- */

int move_retire_due(struct journal *journal, const struct move_record *record, bool *wants,
                    int64_t *due, struct error *error)
{
    CLEANUP(plan_freep) struct plan *plan = NULL;
    *wants = false;
    if (plan_from_record(record->plan, &plan, error) < 0 ||
        journal_ended(journal, record, due, error) < 0)
        return -1;
    bool proven = record->phase == PHASE_VERIFIED || !plan->verify;
    *due += (int64_t)plan->grace;
    *wants = move_is_retiring(record) ||
             (plan->source_after != SOURCE_KEEP && record->kind != MOVE_INCOMING && proven);
    if (move_is_retiring(record))
        *due = 0;
    return 0;
}

static int check_grace(struct retiring *retiring, struct error *error)
{
    int64_t end = 0;
    if (journal_ended(retiring->mover->journal, &retiring->record, &end, error) < 0)
        return -1;
    int64_t left = end + (int64_t)retiring->plan->grace - (int64_t)time(NULL);
    if (left <= 0)
        return 0;
    AUTO_FREE char *rest = format_duration((uint64_t)left);
    AUTO_FREE char *grace = format_duration(retiring->plan->grace);
    error_set(error, ERROR_FAILED, "its grace of %s is not over for another %s", grace, rest);
    return error_hint(error,
                      "the agent gives its sources up then; 'virt-pivot retire --now "
                      "%" PRId64 "' does not wait",
                      retiring->record.id);
}

/* What can never be compared is kept, and is no reason to keep the others. But of an image that was
 * migrated nothing is left to keep. */
static int check_proof(struct retiring *retiring, struct error *error)
{
    bool is_decided = !retiring->plan->migrates;
    if (!retiring->plan->verify || retiring->record.phase == PHASE_VERIFIED)
        return 0;
    for (size_t i = 0; i < retiring->records.count; i++) {
        const struct disk_record *record = &retiring->records.items[i];
        is_decided &= record->fate != DISK_PIVOTED || record->verdict != VERDICT_NONE;
        if (record->verdict == VERDICT_DIFFERENT) {
            error_set(error, ERROR_OPERATOR, "disk %s differs from its source: both are kept",
                      record->target);
            return error_hint(error, "'virt-pivot history %" PRId64 "' tells what was found",
                              retiring->record.id);
        }
    }
    if (is_decided)
        return 0;
    error_set(error, ERROR_FAILED, "its contents are not verified yet, and the policy wants that");
    return error_hint(error, "'virt-pivot verify %" PRId64 "' does it", retiring->record.id);
}

static int check_phase(const struct retiring *retiring, bool now, struct error *error)
{
    const struct move_record *record = &retiring->record;
    if (record->kind == MOVE_INCOMING)
        return error_set(error, ERROR_NOTHING,
                         "its sources are on the host that the guest came from");
    if (record->phase == PHASE_RETIRED)
        return error_set(error, ERROR_NOTHING, "its sources were given up already");
    if (record->phase == PHASE_UNDONE)
        return error_set(error, ERROR_NOTHING, "it was taken back: its sources are in use");
    if (record->phase != PHASE_REDEFINED && record->phase != PHASE_VERIFIED)
        return error_set(error, ERROR_FAILED, "it has not come to its end (%s)",
                         move_phase_word(record->phase));
    if (retiring->plan->source_after != SOURCE_KEEP || retiring->begun)
        return 0;
    /* A source that is a part of its target can be kept for a while, but not for ever. */
    if (retiring->plan->migrates && now)
        return 0;
    error_set(error, ERROR_NOTHING, "the policy that it was made by keeps its sources");
    if (retiring->plan->migrates)
        return error_hint(error,
                          "they are parts of their targets: 'virt-pivot retire --now %" PRId64
                          "' removes them for good",
                          record->id);
    return error_hint(error, "'source: {after: trash}' or 'remove' in the policy is for later "
                             "moves");
}

static int check_domain(const struct retiring *retiring, struct error *error)
{
    const struct virt_domain *state = &retiring->state;
    if (!state->exists) {
        error_set(error, ERROR_FAILED,
                  "its domain is not on this host any more: nobody here knows which disks it uses");
        return error_hint(error, "where it is, or when it is gone for good, its old disks can be "
                                 "removed by hand");
    }
    if (state->arriving || state->job)
        return error_set(error, ERROR_BUSY, "libvirt is busy with its domain (%s)",
                         state->job ? state->job : "a start or a migration");
    if (state->snapshots || state->checkpoints) {
        error_set(error, ERROR_BUSY,
                  "libvirt keeps snapshots or checkpoints of its domain, which may name the old "
                  "disks");
        return error_hint(error, "see 'virsh snapshot-list %s' and 'virsh checkpoint-list %s'",
                          state->name, state->name);
    }
    return 0;
}

int retire_check_move(struct retiring *retiring, bool now, struct error *error)
{
    if (check_phase(retiring, now, error) < 0 || check_proof(retiring, error) < 0)
        return -1;
    if (!now && !retiring->begun && check_grace(retiring, error) < 0)
        return -1;
    return check_domain(retiring, error);
}

/* ---- the disk's target ---- */

/* Where the disk is by now. */
struct place {
    struct disk_source source;
    int64_t move; /* that brought it there */
};

static void place_clear(struct place *place)
{
    disk_source_clear(&place->source);
}

static int read_place(const char *disk_xml, struct disk_source *source, struct error *error)
{
    CLEANUP(domain_freep) struct domain *holder = NULL;
    if (disk_parse(disk_xml, &holder, error) < 0)
        return error_prefix(error, "the ledger");
    if (holder->disks.count != 1)
        return error_set(error, ERROR_INPUT, "the ledger: a row without its disk");
    disk_source_clear(source);
    disk_source_copy(source, &holder->disks.items[0].source);
    return 0;
}

static int no_row(const struct retiring_disk *disk, struct error *error)
{
    error_set(error, ERROR_FAILED,
              "disk %s does not lead from there any more: it was put back, by hand or by another "
              "move",
              disk->record->target);
    return error_hint(error, "its old disk is in use, or may be");
}

/* By the ledger, from this move's row on: as the hook goes. */
static int find_place(struct retiring *retiring, const struct retiring_disk *disk,
                      struct place *place, struct error *error)
{
    /* What is taken back leaves no row of its own. */
    if (retiring->record.kind == MOVE_UNDO) {
        plan_destination_source(&disk->plan->destination, &place->source);
        place->move = retiring->record.id;
    }
    for (size_t i = 0; i < retiring->rows.count; i++) {
        const struct ledger_row *row = &retiring->rows.items[i];
        CLEANUP(disk_source_clear) struct disk_source old = {0};
        bool own = row->move == retiring->record.id && text_equal(row->target, disk->plan->target);
        if (!row->old_disk || !row->new_disk || (!own && row->move <= place->move) ||
            (!own && place->move == 0))
            continue;
        if (!own && (read_place(row->old_disk, &old, error) < 0))
            return -1;
        if (!own && !disk_source_same(&old, &place->source))
            continue;
        if (read_place(row->new_disk, &place->source, error) < 0)
            return -1;
        place->move = row->move;
    }
    if (place->move == 0 || disk_source_same(&place->source, &disk->before->source))
        return no_row(disk, error);
    return 0;
}

static int check_named_place(struct retiring *retiring, const struct retiring_disk *disk,
                             const struct place *place, bool live, struct error *error)
{
    AUTO_FREE char *xml = NULL;
    CLEANUP(domain_freep) struct domain *domain = NULL;
    if (virt_domain_xml(retiring->mover->virt, retiring->record.uuid,
                        live ? VIRT_XML_LIVE : VIRT_XML_INACTIVE, &xml, error) < 0 ||
        domain_parse(xml, strlen(xml), &domain, error) < 0)
        return -1;
    for (size_t i = 0; i < domain->disks.count; i++)
        if (disk_source_same(&domain->disks.items[i].source, &place->source))
            return 0;
    AUTO_FREE char *where = disk_source_describe(&place->source);
    error_set(error, ERROR_FAILED, "disk %s went to %s, and %s does not name that",
              disk->record->target, where, live ? "the running guest" : "the definition");
    return error_hint(error, "what the guest uses now, nobody here knows for sure: the old disk "
                             "may be the last good one");
}

static int count_watchers(struct retiring *retiring, const struct place *place, size_t *count,
                          struct error *error)
{
    CLEANUP(move_record_clear) struct move_record record = {0};
    CLEANUP(plan_freep) struct plan *plan = NULL;
    if (journal_read(retiring->mover->journal, place->move, &record, error) < 0 ||
        plan_from_record(record.plan, &plan, error) < 0)
        return -1;
    for (size_t i = 0; i < plan->disks.count; i++) {
        const struct plan_destination *destination = &plan->disks.items[i].destination;
        CLEANUP(text_list_clear) struct text_list watchers = {0};
        const char *name_space = destination->name_space;
        AUTO_FREE char *name =
            text_format("%s/%s%s%s", destination->pool, name_space ? name_space : "",
                        name_space ? "/" : "", destination->image);
        if (!destination->image || !text_equal(name, place->source.name))
            continue;
        struct ceph_cluster *cluster = NULL;
        const struct ceph_image_name image = {destination->pool, destination->name_space,
                                              destination->image};
        if (clusters_get(retiring->mover->clusters, &destination->cluster, &cluster, error) < 0 ||
            ceph_image_watchers(cluster, &image, &watchers, error) < 0)
            return -1;
        *count = watchers.count;
        return 0;
    }
    return error_set(error, ERROR_FAILED, "its cluster is not known");
}

static int check_watcher(struct retiring *retiring, const struct retiring_disk *disk,
                         const struct place *place, struct error *error)
{
    size_t count = 0;
    if (!retiring->state.active || !text_equal(place->source.protocol, "rbd"))
        return 0;
    AUTO_FREE char *where = disk_source_describe(&place->source);
    if (count_watchers(retiring, place, &count, error) < 0)
        return error_prefix(error, "who has %s open cannot be told", where);
    if (count == 1)
        return 0;
    error_set(error, ERROR_FAILED,
              "disk %s: %zu clients have %s open, and it should be the guest alone",
              disk->record->target, count, where);
    return error_hint(error, "'rbd status' shows them");
}

static int check_target(struct retiring *retiring, const struct retiring_disk *disk,
                        struct error *error)
{
    CLEANUP(place_clear) struct place place = {0};
    if (find_place(retiring, disk, &place, error) < 0 ||
        (retiring->state.active && check_named_place(retiring, disk, &place, true, error) < 0) ||
        (retiring->state.persistent && check_named_place(retiring, disk, &place, false, error) < 0))
        return -1;
    return check_watcher(retiring, disk, &place, error);
}

int retire_check_disk(struct retiring *retiring, size_t index, struct error *error)
{
    const struct retiring_disk *disk = &retiring->disks[index];
    if (retiring->plan->verify && disk->record->verdict != VERDICT_EQUAL)
        return error_set(error, ERROR_FAILED, "disk %s: %s", disk->record->target,
                         disk_verdict_word(disk->record->verdict));
    if (check_target(retiring, disk, error) < 0 || retire_check_names(retiring, index, error) < 0 ||
        retire_check_moves(retiring, index, error) < 0)
        return -1;
    return retire_check_holders(retiring, index, error);
}
