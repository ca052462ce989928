/* Guests that migrate to this host onto images that we made: libvirt copies and pivots, we prepare
 * before and put right afterwards.
 *
 * The destination's persistent definition comes from the source host (libvirt qemu_migration.c,
 * qemuMigrationDstPersist, takes it from the cookie), so that it still names the old disks when the
 * guest runs here on the new ones. */
#include "move/private.h"

#include <inttypes.h>
#include <time.h>

/* From the hook's end until libvirt lists the domain; other hooks may run in between. */
#define ARRIVAL_SECONDS 30
#define WATCHER_PATIENCE 2             /* seconds: who asks comes back */
#define TRASH_SECONDS UINT64_C(604800) /* seven days */
#define NOT_TOLD "libvirt was not told of its images"

/* ---- before ---- */

static int remove_images(struct move *move, struct error *error)
{
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct plan_disk *disk = move_plan_of(move, i);
        const struct ceph_image_name name = move_target_name(disk);
        struct ceph_cluster *cluster = NULL;
        if (move_target_cluster(move, disk, &cluster, error) < 0 ||
            ceph_image_remove_owned(cluster, &name, move->disks.items[i].token, WATCHER_PATIENCE,
                                    error) < 0)
            return -1;
    }
    return 0;
}

/* The hook has not let libvirt go on, so that nobody can have the images. The move's phase says so
 * until they are gone. */
static bool was_not_told(const struct move *move)
{
    return move->phase < PHASE_COPYING;
}

static int take_back(struct move *move, const char *why, struct error *error)
{
    return journal_begin(move->mover->journal, move->id, PHASE_UNDOING, error) < 0 ||
                   remove_images(move, error) < 0 || reach(move, PHASE_UNDOING, NULL, error) < 0
               ? -1
               : reach(move, PHASE_UNDONE, why, error);
}

static int give_up(struct move *move, struct error *error)
{
    AUTO_ERROR struct error failure = {0};
    if (journal_set_message(move->mover->journal, move->id, error->message, error->hint, &failure) <
            0 ||
        take_back(move, error->message, &failure) < 0)
        move_warn(move, "what was made of its images is not removed yet: %s", failure.message);
    return -1;
}

static int prepare(struct move *move, struct error *error)
{
    if (reach(move, PHASE_LOCKED, NULL, error) < 0 ||
        journal_begin(move->mover->journal, move->id, create_target_step.phase, error) < 0 ||
        create_target_step.act(move, error) < 0)
        return -1;
    AUTO_FREE char *images = create_target_step.describe(move);
    return reach(move, create_target_step.phase, images, error) < 0
               ? -1
               : reach(move, PHASE_COPYING, "libvirt copies, as it migrates the guest here", error);
}

/* ---- what was seen and copied ---- */

static bool was_seen(const struct move *move)
{
    return move->phase == PHASE_PIVOTED || move_any_pivoted(move);
}

/* Whether nothing was ever written to any of the images that are there. They have fast-diff, which
 * counts. */
static int are_blank(struct move *move, bool *blank, struct error *error)
{
    *blank = move->disks.count > 0;
    for (size_t i = 0; i < move->disks.count && *blank; i++) {
        const struct plan_disk *disk = move_plan_of(move, i);
        const struct ceph_image_name name = move_target_name(disk);
        struct ceph_cluster *cluster = NULL;
        struct ceph_image image = {0};
        if (move_target_cluster(move, disk, &cluster, error) < 0)
            return -1;
        bool gone = ceph_image(cluster, &name, &image, error) < 0;
        if (gone && error->code != ERROR_NOT_FOUND)
            return -1;
        if (gone)
            error_clear(error);
        *blank = gone || (image.allocated_known && image.allocated == 0);
        ceph_image_clear(&image);
    }
    return 0;
}

/* ---- afterwards: the guest is here ---- */

static int stale_start(const struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    AUTO_FREE char *where = plan_destination_describe(&disk->destination);
    error_set(error, ERROR_OPERATOR,
              "disk %s migrated to %s, or was to, but the guest runs here on another disk: it may "
              "have been started from its old definition",
              disk->target, where);
    return error_hint(error,
                      "stop the guest before it writes more, and decide which of %s and %s is "
                      "right (both are kept): define the domain with that one, remove the image "
                      "if it is the other, then 'virt-pivot recover'",
                      disk->source, where);
}

static int note_arrival(struct move *move, const struct world *world, struct error *error)
{
    for (size_t i = 0; i < move->disks.count; i++) {
        if (world->live && world->disks[i].live != PLACE_TARGET)
            return stale_start(move, i, error);
        if (move_set_fate(move, i, DISK_PIVOTED, error) < 0)
            return -1;
    }
    return 0;
}

/* libvirt refuses to migrate such disks without a copy, unless it is told --unsafe. */
static void warn_of_blank(struct move *move)
{
    bool blank = false;
    AUTO_ERROR struct error unknown = {0};
    if (are_blank(move, &blank, &unknown) == 0 && blank)
        move_warn(move, "nothing was copied to its images, which the guest runs on now: was it "
                        "migrated with --unsafe and without --copy-storage-all? The old disks are "
                        "untouched on its former host");
}

static int keep_definition(struct move *move, struct error *error)
{
    if (save_definition_step.act(move, error) < 0)
        return -1;
    domain_freep(&move->saved); /* of another host: a disk in it need not be one that migrated */
    return move_save_successor(move, error);
}

static int settle_arrived(struct move *move, const struct world *world, struct plan *plan,
                          struct error *error)
{
    plan->persistent = world->state.persistent; /* the hook could not know */
    if (world->live && !was_seen(move))
        warn_of_blank(move);
    if (note_arrival(move, world, error) < 0 || keep_definition(move, error) < 0)
        return -1;
    if (move->phase != PHASE_PIVOTED &&
        reach(move, PHASE_PIVOTED, "the guest is here; its definition still names the old disks",
              error) < 0)
        return -1;
    return finish(move, error);
}

/* ---- afterwards: it is not ---- */

static bool any_defined(const struct move *move, const struct world *world)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if (world->disks[i].defined == PLACE_TARGET)
            return true;
    return false;
}

static int put_aside(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name name = move_target_name(disk);
    struct ceph_cluster *cluster = NULL;
    AUTO_FREE char *trashed = NULL;
    if (move_target_cluster(move, disk, &cluster, error) < 0 ||
        ceph_image_trash_owned(cluster, &name, move->disks.items[index].token, TRASH_SECONDS,
                               &trashed, error) < 0)
        return -1;
    if (trashed)
        move_warn(move,
                  "disk %s: nobody watched whether the guest ever ran here, so its image is kept "
                  "for 7 days: 'rbd trash restore --pool %s%s%s %s' (cluster %s) brings it back",
                  disk->target, disk->destination.pool,
                  disk->destination.name_space ? " --namespace " : "",
                  disk->destination.name_space ? disk->destination.name_space : "", trashed,
                  disk->destination.cluster.name);
    return 0;
}

static int abandon(struct move *move, bool never_ran, struct error *error)
{
    if (move->phase != PHASE_UNDOING && reach(move, PHASE_UNDOING, NULL, error) < 0)
        return -1;
    for (size_t i = 0; i < move->disks.count && !never_ran; i++)
        if (put_aside(move, i, error) < 0)
            return -1;
    if (never_ran && remove_images(move, error) < 0)
        return -1;
    for (size_t i = 0; i < move->disks.count; i++)
        if (move->disks.items[i].fate == DISK_PIVOTED &&
            move_set_fate(move, i, DISK_RETURNED, error) < 0)
            return -1;
    return reach(move, PHASE_UNDONE,
                 never_ran ? "the guest is not here on its images, and they are removed"
                           : "the guest is not here; its images are in the trash",
                 error);
}

/* Perhaps the guest has run on them, and perhaps it does now, on another host: they may be all that
 * there is of its data. */
static int cannot_know(const struct move *move, struct error *error)
{
    error_set(error, ERROR_OPERATOR,
              "the guest was to migrate here onto new images and does not run here; nobody watched "
              "whether it ever did: its images may hold the only copy of its data");
    AUTO_FREE char *where =
        move->disks.count ? plan_destination_describe(&move_plan_of(move, 0)->destination) : NULL;
    return error_hint(error,
                      "if it did run here: 'virt-pivot recover --keep %s' keeps them (%s …) and "
                      "writes its definition, if there is one; if it did not: remove them, then "
                      "'virt-pivot recover'",
                      move->plan->domain, where ? where : "none");
}

/* Between the hook and libvirt's own list, the guest is nowhere. */
static bool may_be_about_to_come(const struct move *move)
{
    const struct mover *mover = move->mover;
    return move->phase == PHASE_COPYING && time(NULL) - move->updated < ARRIVAL_SECONDS &&
           !(mover->has_left &&
             mover->has_left(mover->watch_opaque, move->plan->uuid, move->updated));
}

static int settle_absent(struct move *move, const struct world *world, struct plan *plan,
                         enum move_outcome *outcome, struct error *error)
{
    const struct mover *mover = move->mover;
    if (may_be_about_to_come(move)) {
        *outcome = OUTCOME_WAITING;
        return 0;
    }
    *outcome = OUTCOME_FINISHED;
    if (mover->has_arrived &&
        mover->has_arrived(mover->watch_opaque, move->plan->uuid, move->created))
        return settle_arrived(move, world, plan, error);
    *outcome = OUTCOME_UNDONE;
    bool never_ran =
        mover->never_ran && mover->never_ran(mover->watch_opaque, move->plan->uuid, move->created);
    /* Images that hold nothing hold nothing that could be lost. */
    if (!never_ran && are_blank(move, &never_ran, error) < 0)
        return -1;
    if (never_ran)
        return abandon(move, true, error);
    if (move->disks.count > 0)
        return cannot_know(move, error);
    if (!world->state.exists)
        return abandon(move, false, error);
    *outcome = OUTCOME_FINISHED; /* what is here needs the names of this host's networks */
    return settle_arrived(move, world, plan, error);
}

/* An offline migration copies no data. Where its XML looked like a running guest's (a definition
 * made from live XML does), the guest is defined here with images that nobody ever wrote to. */
static int give_disks_back(struct move *move, struct error *error)
{
    AUTO_WORLD struct world world = {0}; /* the clusters were asked meanwhile */
    if (observe(move, &world, error) < 0)
        return -1;
    if (world.live || !world.inactive)
        return error_set(error, ERROR_BUSY, "the domain has just been started, or undefined");
    CLEANUP(text_burn) char *xml = text_dup(world.inactive->xml);
    for (size_t i = 0; i < move->disks.count; i++) {
        if (world.disks[i].defined != PLACE_TARGET)
            continue;
        CLEANUP(domain_freep) struct domain *domain = NULL;
        CLEANUP(text_burn) char *replaced = NULL;
        AUTO_FREE char *disk = domain_disk_xml(move->before, move->disks.items[i].target);
        if (domain_parse(xml, strlen(xml), &domain, error) < 0 ||
            domain_replace_disk(domain, disk, &replaced, error) < 0)
            return -1;
        text_burn(&xml);
        xml = STEAL(replaced);
    }
    return virt_define(move->mover->virt, xml, error);
}

/* ---- an earlier attempt ---- */

static int refuse_unsettled(const struct move_record *earlier, struct error *error)
{
    error_set(error, ERROR_BUSY,
              "move %" PRId64 " of this domain has not come to its end on this host (%s)",
              earlier->id, move_phase_word(earlier->phase));
    return error_hint(error, "'virt-pivot recover' on this host, then migrate again");
}

/* A migration that was cancelled may well be tried again at once, before anybody has noticed. Its
 * images go to the trash unless somebody has them open: nobody here knows whether the guest ran. */
static int put_earlier_aside(const struct mover *mover, const struct move_record *earlier,
                             struct error *error)
{
    if (earlier->kind != MOVE_INCOMING ||
        (earlier->phase > PHASE_COPYING && earlier->phase != PHASE_UNDOING))
        return refuse_unsettled(earlier, error);
    CLEANUP(plan_freep) struct plan *plan = NULL;
    CLEANUP(forget) struct move move = {.mover = mover, .id = earlier->id};
    if (move_load(&move, &plan, error) < 0)
        return -1;
    int result =
        was_not_told(&move) ? take_back(&move, NOT_TOLD, error) : abandon(&move, false, error);
    if (result == 0)
        return 0;
    return error->code == ERROR_BUSY ? refuse_unsettled(earlier, error) : -1;
}

static int put_all_earlier_aside(const struct mover *mover, const char *uuid, struct error *error)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    if (journal_list(mover->journal, MOVES_UNFINISHED, uuid, &records, error) < 0)
        return -1;
    for (size_t i = 0; i < records.count; i++)
        if (put_earlier_aside(mover, &records.items[i], error) < 0)
            return -1;
    return 0;
}

int move_expect(const struct mover *mover, const struct plan *plan, const char *xml, int64_t *id,
                struct error *error)
{
    CLEANUP(forget) struct move move = {.mover = mover, .plan = plan, .kind = MOVE_INCOMING};
    if (put_all_earlier_aside(mover, plan->uuid, error) < 0 ||
        domain_parse(xml, strlen(xml), &move.before, error) < 0 ||
        move_record_plan(&move, "", xml, error) < 0)
        return -1;
    *id = move.id;
    return prepare(&move, error) < 0 ? give_up(&move, error) : 0;
}

/* ---- both ---- */

static bool any_used(const struct move *move, const struct world *world)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if (world->disks[i].live == PLACE_TARGET)
            return true;
    return any_defined(move, world);
}

/* The guest runs on other disks, and there is nothing in the images. Or somebody was asked which
 * are right, and has removed the images: the old ones are. */
static int was_given_up(struct move *move, const struct world *world, bool *given_up,
                        struct error *error)
{
    bool was_asked = move->phase == PHASE_NEEDS_OPERATOR;
    AUTO_ERROR struct error unknown = {0};
    *given_up = false;
    if (any_used(move, world) || !(was_asked || world->live) ||
        are_blank(move, given_up, &unknown) == 0 || !was_asked)
        return 0;
    error_move(error, &unknown);
    return -1;
}

static int look(struct move *move, struct plan *plan, enum move_outcome *outcome,
                struct error *error)
{
    AUTO_WORLD struct world world = {0};
    bool given_up = false;
    if (observe(move, &world, error) < 0)
        return -1;
    *outcome = OUTCOME_WAITING;
    if (world.state.arriving)
        return 0;
    *outcome = OUTCOME_UNDONE;
    if (was_not_told(move) && !any_used(move, &world))
        return take_back(move, NOT_TOLD, error);
    if (was_given_up(move, &world, &given_up, error) < 0)
        return -1;
    if (given_up)
        return abandon(move, true, error);
    bool blank = false;
    if (!world.live && !was_seen(move) && any_defined(move, &world) &&
        are_blank(move, &blank, error) < 0)
        return -1;
    if (blank)
        return give_disks_back(move, error) < 0 ? -1 : abandon(move, true, error);
    *outcome = OUTCOME_FINISHED;
    if (world.live || any_defined(move, &world) || (was_seen(move) && world.state.persistent))
        return settle_arrived(move, &world, plan, error);
    if (was_seen(move)) /* it was transient here, and has ended: whoever starts it has its XML */
        return finish(move, error);
    return settle_absent(move, &world, plan, outcome, error);
}

/* What a later look may find mended by itself. */
static bool passes_by_itself(const struct error *error)
{
    switch (error->code) {
    case ERROR_BUSY:
    case ERROR_UNREACHABLE:
    case ERROR_DISCONNECTED:
    case ERROR_NO_SPACE:
        return true;
    default:
        return false;
    }
}

int incoming_recover(struct move *move, struct plan *plan, enum move_outcome *outcome,
                     struct error *error)
{
    domain_freep(&move->saved); /* as in keep_definition */
    if (look(move, plan, outcome, error) == 0)
        return *outcome == OUTCOME_WAITING
                   ? 0
                   : journal_set_message(move->mover->journal, move->id, NULL, NULL, error);
    error_prefix(error, "the migration of domain '%s' to this host (move %" PRId64 ")",
                 plan->domain, move->id);
    return passes_by_itself(error) ? -1 : needs_operator(move, error);
}
