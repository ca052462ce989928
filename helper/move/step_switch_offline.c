/* The moment at which a domain that is off changes over: its definition names the copies.
 *
 * libvirt has no compare-and-set: between our last look and virDomainDefineXML the guest may be
 * started, from the old definition. So it is looked for again afterwards, while the sources are
 * still watched over: libvirt knows of a guest before its QEMU opens a disk, and a QEMU that has
 * opened one does not come unseen. If there is one, the definition is given back, and nothing has
 * happened: neither has the guest written to the copies, nor can it be started from them without
 * what it writes now. */
#include "move/offline.h"

#define TOLD_MILLISECONDS 2000 /* in which libvirt tells of a definition */

/* ---- the copies, as they are now ---- */

int offline_capture(struct move *move, size_t index, struct error *error)
{
    struct disk_record *record = &move->disks.items[index];
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name name = move_target_name(disk);
    struct ceph_cluster *cluster = NULL;
    AUTO_FREE char *snapshot = text_format(CEPH_SNAPSHOT_PREFIX "verify.%s", record->token);
    if (!record->snapshot &&
        journal_set_snapshot(move->mover->journal, move->id, record->target, snapshot, error) < 0)
        return -1;
    if (!record->snapshot)
        record->snapshot = STEAL(snapshot);
    return move_target_cluster(move, disk, &cluster, error) < 0
               ? -1
               : ceph_snapshot_create(cluster, &name, record->snapshot, error);
}

/* The guest may be started as soon as the definition is there, and then the copy is no more what
 * was copied: which has to be known for a proof, and for us if we are killed before we have seen
 * that nobody started it in that moment (offline_doubt.c). */
static void capture(struct move *move)
{
    for (size_t i = 0; i < move->disks.count; i++) {
        struct disk_record *record = &move->disks.items[i];
        AUTO_ERROR struct error failure = {0};
        if (!plan_destination_is_rbd(&move_plan_of(move, i)->destination))
            continue; /* an old file: there is no capturing it */
        if (record->verdict != VERDICT_NONE || offline_capture(move, i, &failure) == 0)
            continue;
        if (move->plan->verify)
            move_warn(move, "disk %s will not be compared with its source: %s", record->target,
                      failure.message);
        error_clear(&failure);
        record->verdict = VERDICT_IMPOSSIBLE;
        if (journal_set_verdict(move->mover->journal, move->id, record, &failure) < 0)
            error_clear(&failure); /* it was said, and is in the journal's story */
    }
}

/* ---- back ---- */

/* The definition as it is, with the disks that it names our copies for as they were. */
static int definition_before(struct move *move, const struct world *world, char **xml,
                             struct error *error)
{
    CLEANUP(text_burn) char *text = text_dup(world->inactive->xml);
    for (size_t i = 0; i < move->disks.count; i++) {
        const char *target = move->disks.items[i].target;
        CLEANUP(domain_freep) struct domain *domain = NULL;
        CLEANUP(text_burn) char *next = NULL;
        if (world->disks[i].defined != PLACE_TARGET)
            continue;
        AUTO_FREE char *disk = domain_disk_xml(move->saved, target);
        if (!disk)
            return error_set(error, ERROR_OPERATOR, "the saved definition has no disk %s", target);
        if (domain_parse(text, strlen(text), &domain, error) < 0 ||
            domain_replace_disk(domain, disk, &next, error) < 0)
            return -1;
        text_burn(&text);
        text = STEAL(next);
    }
    *xml = STEAL(text);
    return 0;
}

static bool names_a_target(const struct move *move, const struct world *world)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if (world->disks[i].defined == PLACE_TARGET)
            return true;
    return false;
}

/* What is meant is written down first: a definition that names the copies is no proof of a move
 * any more. */
static int give_definition_back(struct move *move, const struct world *world, struct error *error)
{
    CLEANUP(text_burn) char *xml = NULL;
    for (size_t i = 0; i < move->disks.count; i++) {
        AUTO_ERROR struct error unwritten = {0};
        if (move_set_fate(move, i, DISK_RETURNED, &unwritten) < 0)
            move->disks.items[i].fate = DISK_RETURNED;
    }
    return definition_before(move, world, &xml, error) < 0
               ? -1
               : virt_define(move->mover->virt, xml, error);
}

static int put_back(struct move *move, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    if (move->saved && world.inactive && names_a_target(move, &world) &&
        give_definition_back(move, &world, error) < 0)
        return -1;
    for (size_t i = 0; i < move->disks.count; i++)
        if (journal_ledger_end(move->mover->journal, move->id, move->disks.items[i].target, error) <
            0)
            return -1;
    return 0;
}

int offline_undo(struct move *move, struct error *error)
{
    offline_close(move);
    return put_back(move, error);
}

/* ---- over ---- */

int offline_define_targets(struct move *move, const struct world *world, struct error *error)
{
    CLEANUP(text_burn) char *xml = NULL;
    return plan_rewrite(move->plan, world->inactive, NULL, 0, &xml, error) < 0
               ? -1
               : virt_define(move->mover->virt, xml, error);
}

bool offline_all_defined(const struct move *move, const struct world *world)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if (world->disks[i].defined != PLACE_TARGET)
            return false;
    return world->inactive != NULL;
}

/* Whether somebody used a source until the definition was there. */
static int check_window(struct move *move, const struct world *world, struct error *error)
{
    for (size_t i = 0; world->live && i < move->disks.count; i++)
        if (world->disks[i].live != PLACE_TARGET) {
            error_set(error, ERROR_FAILED,
                      "the guest was started, from its old definition, in the "
                      "very moment in which that was to be changed");
            return error_hint(error, "it runs on its old disks, as if nothing had been; "
                                     "'virt-pivot move' moves it while it runs");
        }
    for (size_t i = 0; i < move->ends->count; i++)
        if (blocks_check_idle(move->ends->from[i], error) < 0)
            return error_prefix(error, "disk %s: its source is used", move->disks.items[i].target);
    return world->live ? 0 : offline_check_unseen(move, error);
}

/* Once more, with all that libvirt has to tell of the time before. What is restored from a saved
 * state is led to the copies from the moment on in which they are in the ledger; there is no such
 * state where a move is taken back, and what leads away from its old disks does so until the end.
 */
static int settle_window(struct move *move, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    for (size_t i = 0; !move->undoes && i < move->disks.count; i++)
        if (move_write_ledger(move, i, error) < 0)
            return -1;
    bool told = virt_await_defined(move->mover->virt, TOLD_MILLISECONDS);
    if (observe(move, &world, error) < 0)
        return -1;
    if (!told && virt_connected(move->mover->virt))
        move_warn(move, "libvirt did not tell of the definition in time");
    return check_window(move, &world, error);
}

static int give_up(struct move *move, struct error *error)
{
    AUTO_ERROR struct error failure = {0};
    if (error->code == ERROR_DISCONNECTED || put_back(move, &failure) == 0)
        return -1;
    if (failure.code != ERROR_DISCONNECTED) {
        error_prefix(&failure, "%s; but the definition names the copies, and cannot be given back",
                     error->message);
        failure.code = ERROR_OPERATOR;
        error_hint(&failure, "'virsh edit' the disks back to their old source before the guest is "
                             "started again; then 'virt-pivot recover'");
    }
    error_move(error, &failure);
    return -1;
}

static int check_still_idle(struct move *move, struct error *error)
{
    return offline_check_sources(move, error) < 0 || offline_check_off(move, error) < 0
               ? -1
               : offline_check_unseen(move, error);
}

/* The definition is looked at last of all: what somebody writes into it after that is lost. */
static int last_look(struct move *move, struct world *world, struct error *error)
{
    AUTO_ERROR struct error disturbed = {0};
    virt_await_defined(move->mover->virt, 0); /* forgets what was told of earlier ones */
    bool idle = check_still_idle(move, &disturbed) == 0;
    if (observe(move, world, error) < 0)
        return -1;
    if (offline_all_defined(move, world))
        return 0; /* an answer was lost, and we are here for the second time */
    if (!idle) {
        error_move(error, &disturbed);
        return -1;
    }
    return offline_check_definition(move, world, error);
}

static int switch_over(struct move *move, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    offline_close_targets(move);
    capture(move);
    if (move_save_successor(move, error) < 0 || last_look(move, &world, error) < 0)
        return -1;
    if (!offline_all_defined(move, &world) && offline_define_targets(move, &world, error) < 0)
        return -1;
    if (settle_window(move, error) < 0)
        return give_up(move, error);
    if (move_set_fates(move, DISK_PIVOTED, error) < 0)
        return -1;
    offline_close(move);
    return 0;
}

static int never_done(struct move *move UNUSED, bool *is_done, struct error *error UNUSED)
{
    *is_done = false; /* acting again looks first */
    return 0;
}

static char *describe(const struct move *move)
{
    return text_format("the definition names %s",
                       move->disks.count == 1 ? "the copy" : "the copies");
}

const struct step switch_offline_step = {PHASE_PIVOTED, switch_over, offline_undo, never_done,
                                         describe};
