/* The domain's definition: saved, taken away for the copy (the dance), and given back with its
 * disks rewritten. */
#include "move/private.h"

/* ---- save ---- */

static int save(struct move *move, struct error *error)
{
    if (!move->plan->persistent)
        return 0;
    CLEANUP(text_burn) char *xml = NULL;
    if (virt_domain_xml(move->mover->virt, move->plan->uuid, VIRT_XML_INACTIVE_SECURE, &xml,
                        error) < 0 ||
        journal_save_definition(move->mover->journal, move->id, move->plan->domain,
                                move->plan->uuid, xml, error) < 0)
        return -1;
    domain_freep(&move->saved);
    return domain_parse(xml, strlen(xml), &move->saved, error);
}

static int nothing_to_undo(struct move *move UNUSED, struct error *error UNUSED)
{
    return 0; /* a saved definition harms nobody, and may help */
}

static int never_done(struct move *move UNUSED, bool *is_done, struct error *error UNUSED)
{
    *is_done = false; /* acting again is harmless */
    return 0;
}

static char *describe_saved(const struct move *move)
{
    return text_dup(move->plan->persistent ? "in the journal and in definitions/"
                                           : "the domain is transient: there is none");
}

const struct step save_definition_step = {PHASE_DEFINITION_SAVED, save, nothing_to_undo, never_done,
                                          describe_saved};

/* ---- undefine ---- */

static bool is_dance(const struct move *move)
{
    return move->plan->persistent && move->plan->strategy == STRATEGY_DANCE;
}

static int undefine(struct move *move, struct error *error)
{
    if (!is_dance(move))
        return 0;
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    if (!world.state.active)
        return error_set(error, ERROR_FAILED, "the guest is not running any more");
    if (!world.state.persistent)
        return 0;
    /* Somebody may have edited it since it was saved. */
    if (!text_equal(world.inactive->xml, move->saved->xml) && save(move, error) < 0)
        return -1;
    return virt_undefine(move->mover->virt, move->plan->uuid, error);
}

/* The flag is a link in libvirt's autostart folder, which undefine removes. */
static int restore_autostart(struct move *move, struct error *error)
{
    if (!is_dance(move))
        return 0; /* we never touched it: who changed it meant it */
    struct virt_domain state = {0};
    if (virt_domain(move->mover->virt, move->plan->uuid, &state, error) < 0)
        return -1;
    bool wrong = state.persistent && move->plan->autostart && !state.autostart;
    virt_domain_clear(&state);
    return wrong ? virt_set_autostart(move->mover->virt, move->plan->uuid, true, error) : 0;
}

static int hint_at_file(struct move *move, struct error *error)
{
    struct move_record record = {0};
    AUTO_ERROR struct error ignored = {0};
    if (journal_read(move->mover->journal, move->id, &record, &ignored) == 0 &&
        record.definition_file) {
        AUTO_FREE char *successor = journal_successor_file(record.definition_file);
        error_hint(error,
                   "%s holds the definition with the disks in use: 'virsh define' takes it; "
                   "then 'virt-pivot recover'",
                   move_all_pivoted(move) ? successor : record.definition_file);
        /* With some disks here and some there neither file is right. */
        if (move_any_pivoted(move) && !move_all_pivoted(move))
            error_hint(error, "'virt-pivot recover' writes the definition with the disks in use");
    }
    move_record_clear(&record);
    return -1;
}

static int give_back(struct move *move, struct error *error)
{
    if (!move->saved)
        return 0;
    struct virt_domain state = {0};
    if (virt_domain(move->mover->virt, move->plan->uuid, &state, error) < 0)
        return -1;
    /* A definition that is there is somebody's own, or the one that was never taken away. */
    bool missing = !state.persistent;
    virt_domain_clear(&state);
    if (missing && virt_define(move->mover->virt, move->saved->xml, error) < 0)
        return hint_at_file(move, error);
    return restore_autostart(move, error);
}

static int is_undefined(struct move *move, bool *is_done, struct error *error)
{
    struct virt_domain state = {0};
    if (virt_domain(move->mover->virt, move->plan->uuid, &state, error) < 0)
        return -1;
    *is_done = !is_dance(move) || !state.persistent;
    virt_domain_clear(&state);
    return 0;
}

static char *describe_undefined(const struct move *move)
{
    return text_dup(is_dance(move) ? "the domain is transient for the time of the copy"
                                   : "kept: the job is transient, the definition stays");
}

const struct step undefine_step = {PHASE_UNDEFINED, undefine, give_back, is_undefined,
                                   describe_undefined};

/* ---- redefine ---- */

/* Whether the definition's disk may be rewritten. Somebody else's definition may lack it, or give
 * this target another disk: that is theirs to say. */
static bool may_rewrite(const struct move *move, const struct world *world,
                        const struct domain *base, size_t index)
{
    return domain_disk(base, move->disks.items[index].target) &&
           !(world->inactive && world->disks[index].defined == PLACE_ELSEWHERE);
}

/* The definition with the disks that have pivoted, or with all of them, on their targets. */
static int rewrite_definition(struct move *move, const struct world *world, bool pivoted_only,
                              char **xml, struct error *error)
{
    /* Theirs if there is one (an edit in mid-copy is not lost), else the saved one. */
    const struct domain *base = world->inactive ? world->inactive : move->saved;
    if (!base)
        return error_set(error, ERROR_FAILED, "the domain's definition is gone");
    AUTO_FREE const char **targets = memory_new(move->disks.count, sizeof(*targets));
    size_t count = 0;
    for (size_t i = 0; i < move->disks.count; i++) {
        bool wanted = !pivoted_only || move->disks.items[i].fate == DISK_PIVOTED;
        if (wanted && may_rewrite(move, world, base, i))
            targets[count++] = move->disks.items[i].target;
    }
    return plan_rewrite(move->plan, base, targets, count, xml, error);
}

int move_save_successor(struct move *move, struct error *error)
{
    if (!move->plan->persistent)
        return 0;
    AUTO_WORLD struct world world = {0};
    CLEANUP(text_burn) char *xml = NULL;
    if (observe(move, &world, error) < 0 ||
        rewrite_definition(move, &world, false, &xml, error) < 0)
        return -1;
    return journal_save_successor(move->mover->journal, move->id, xml, error);
}

static void warn_of_other_disks(struct move *move, const struct world *world)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if (move->disks.items[i].fate == DISK_PIVOTED && world->disks[i].defined == PLACE_ELSEWHERE)
            move_warn(move,
                      "disk %s: the definition was changed meanwhile and names another disk; it "
                      "is left as it is",
                      move->disks.items[i].target);
}

static int define_rewritten(struct move *move, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    CLEANUP(text_burn) char *xml = NULL;
    if (observe(move, &world, error) < 0)
        return -1;
    warn_of_other_disks(move, &world);
    if (rewrite_definition(move, &world, true, &xml, error) < 0)
        return -1;
    if (world.inactive && text_equal(xml, world.inactive->xml))
        return 0;
    if (virt_define(move->mover->virt, xml, error) < 0)
        return hint_at_file(move, error);
    return 0;
}

static int set_limits(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct policy_qos *qos = &disk->destination.qos;
    if (plan_wants_iotune(&disk->destination) || disk->destination.clears_iotune) {
        struct iotune iotune = plan_iotune(qos); /* none, for a way back */
        struct virt_domain state = {0};
        if (virt_domain(move->mover->virt, move->plan->uuid, &state, error) < 0)
            return -1;
        bool active = state.active;
        virt_domain_clear(&state);
        return active ? virt_set_iotune(move->mover->virt, move->plan->uuid, disk->target, &iotune,
                                        error)
                      : 0;
    }
    const struct ceph_qos limits = {
        .iops = qos->iops,
        .iops_burst = qos->iops_burst,
        .read_iops = qos->read_iops,
        .write_iops = qos->write_iops,
        .bps = qos->bps,
        .bps_burst = qos->bps_burst,
        .read_bps = qos->read_bps,
        .write_bps = qos->write_bps,
    };
    static const struct ceph_qos none = {0};
    if (qos->enforce != QOS_RBD || memcmp(&limits, &none, sizeof(none)) == 0)
        return 0;
    struct ceph_cluster *cluster = NULL;
    const struct ceph_image_name name = move_target_name(disk);
    if (move_target_cluster(move, disk, &cluster, error) < 0)
        return -1;
    return ceph_image_set_qos(cluster, &name, &limits, error);
}

/* The disk as it was, and as it is now, for whoever comes with the old XML. */
int move_write_ledger(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    CLEANUP(text_burn) char *xml = NULL;
    CLEANUP(domain_freep) struct domain *after = NULL;
    const char *target = disk->target;
    if (plan_rewrite(move->plan, move->before, &target, 1, &xml, error) < 0 ||
        domain_parse(xml, strlen(xml), &after, error) < 0)
        return -1;
    if (move->undoes && undo_end_row(move, index, error) < 0)
        return -1;
    AUTO_FREE char *new_source = plan_destination_describe(&disk->destination);
    AUTO_FREE char *old_disk = domain_disk_xml(move->before, target);
    AUTO_FREE char *new_disk = domain_disk_xml(after, target);
    const struct ledger_row row = {.target = disk->target,
                                   .old_source = disk->source,
                                   .new_source = new_source,
                                   .old_disk = old_disk,
                                   .new_disk = new_disk};
    return journal_ledger_add(move->mover->journal, move->id, &row, error);
}

static int redefine(struct move *move, struct error *error)
{
    if (move->plan->persistent &&
        (define_rewritten(move, error) < 0 || restore_autostart(move, error) < 0))
        return -1;
    for (size_t i = 0; i < move->disks.count; i++) {
        if (move->disks.items[i].fate != DISK_PIVOTED)
            continue;
        /* The guest is safe where it is: a limit that cannot be set is no reason to stop. */
        AUTO_ERROR struct error failure = {0};
        if (set_limits(move, i, &failure) < 0)
            move_warn(move, "disk %s: the tier's limits are not set: %s",
                      move->disks.items[i].target, failure.message);
        if (move_write_ledger(move, i, error) < 0)
            return -1;
    }
    return 0;
}

/* The disk of the definition that is still the old one, under whatever target: somebody may have
 * given it another for the next start. NULL: none. */
static const struct disk *still_defined(const struct move *move, const struct world *world,
                                        const char *target)
{
    const struct disk *before = domain_disk(move->before, target);
    for (size_t i = 0; before && world->inactive && i < world->inactive->disks.count; i++) {
        const struct disk *disk = &world->inactive->disks.items[i];
        if (disk_source_same(&disk->source, &before->source))
            return disk;
    }
    return NULL;
}

/* Read back, never inferred: live XML, definition and the watcher on the target must agree. */
static int prove_one(struct move *move, const struct world *world, size_t index,
                     struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    AUTO_FREE char *where = plan_destination_describe(&disk->destination);
    if (world->live && world->disks[index].live != PLACE_TARGET)
        return error_set(error, ERROR_OPERATOR,
                         "disk %s had moved to %s, but the running guest uses another disk",
                         disk->target, where);
    const struct disk *old = still_defined(move, world, disk->target);
    if (old) {
        error_set(error, ERROR_OPERATOR,
                  "disk %s is on %s, but the definition still names the old disk %s, as %s",
                  disk->target, where, disk->source, old->target);
        return error_hint(error, "'virsh edit' it to the new one before the guest is started from "
                                 "it; then 'virt-pivot recover'");
    }
    return world->live ? move_target(disk)->prove(move, index, error) : 0;
}

static int is_redefined(struct move *move, bool *is_done, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    if (move->plan->persistent && !world.state.persistent) {
        *is_done = false;
        return 0;
    }
    for (size_t i = 0; i < move->disks.count; i++)
        if (move->disks.items[i].fate == DISK_PIVOTED && prove_one(move, &world, i, error) < 0)
            return -1;
    *is_done = true;
    return 0;
}

static int cannot_undo(struct move *move UNUSED, struct error *error)
{
    return error_set(error, ERROR_OPERATOR, "the disks have pivoted already");
}

static char *describe_redefined(const struct move *move)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < move->disks.count; i++) {
        if (move->disks.items[i].fate != DISK_PIVOTED)
            continue;
        AUTO_FREE char *name = plan_destination_describe(&move_plan_of(move, i)->destination);
        buffer_format(&text, "%s%s on %s", text.length ? ", " : "", move->disks.items[i].target,
                      name);
    }
    return buffer_take(&text);
}

const struct step redefine_step = {PHASE_REDEFINED, redefine, cannot_undo, is_redefined,
                                   describe_redefined};
