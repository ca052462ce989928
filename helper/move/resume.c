/* The copy of a domain that is off, taken up again after its process died.
 *
 * Nobody watched over the sources meanwhile: the guest may have run. So nothing that was copied
 * counts, and every disk is brought up to date from its beginning on: that reads what is stored of
 * both sides, and writes what differs. What lies beyond the bytes that were copied, as the journal
 * says, is no exception: writes had been under way there, too. */
#include "move/private.h"

static int check_phase(const struct move *move, struct error *error)
{
    if (move->kind != MOVE_OFFLINE)
        return error_set(error, ERROR_FAILED,
                         move->undoes ? "it takes another move back" : "its domain was not off");
    if (move->phase != PHASE_COPYING && move->phase != PHASE_MIRRORING)
        return error_set(error, ERROR_FAILED, "it was left in phase '%s'",
                         move_phase_word(move->phase));
    for (size_t i = 0; i < move->disks.count; i++)
        if (move->disks.items[i].fate != DISK_WAITING)
            return error_set(error, ERROR_FAILED, "it was being taken back");
    return 0;
}

/* By the name of a target somebody else may have made an image meanwhile. */
static int check_target(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name name = move_target_name(disk);
    struct ceph_cluster *cluster = NULL;
    struct ceph_image image = {0};
    if (move_target_cluster(move, disk, &cluster, error) < 0 ||
        ceph_image(cluster, &name, &image, error) < 0)
        return -1;
    bool ours = text_equal(image.owner_token, move->disks.items[index].token);
    ceph_image_clear(&image);
    AUTO_FREE char *where = plan_destination_describe(&disk->destination);
    return ours ? 0
                : error_set(error, ERROR_FAILED, "%s is not the image that was made for disk %s",
                            where, disk->target);
}

/* A snapshot that was made of what had been copied is none of what will be. */
static int forget_capture(struct move *move, size_t index, struct error *error)
{
    return capture_drop(move, index, error) < 0 ||
                   (move->disks.items[index].verdict != VERDICT_NONE &&
                    capture_set_verdict(move, index, VERDICT_NONE, error) < 0)
               ? -1
               : 0;
}

static int open_ends(struct move *move, struct error *error)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if (check_target(move, i, error) < 0 || forget_capture(move, i, error) < 0)
            return -1;
    return copy_offline_step.act(move, error);
}

/* The watches of a client that was killed last for half a minute. */
static int open_when_free(struct move *move, struct error *error)
{
    struct move_control control;
    for (int64_t start = move_now_ms(); open_ends(move, error) < 0;) {
        if (error->code != ERROR_BUSY || !move_waits_for_others(move, start, error))
            return -1;
        if (move_check_interrupted(move, &control, error) < 0)
            return -1;
    }
    return 0;
}

static int take_up(struct move *move, struct error *error)
{
    return check_phase(move, error) < 0 ? -1 : insist(move, NULL, open_when_free, false, error);
}

int resume_copy(struct move *move, bool *resumed, struct error *error)
{
    AUTO_ERROR struct error obstacle = {0};
    *resumed = take_up(move, &obstacle) == 0;
    if (!*resumed) {
        offline_close(move);
        move_warn(move, "its copy does not go on: %s", obstacle.message);
        return 0;
    }
    move->recovering = false;
    move->resumed = true;
    for (size_t i = 0; i < move->disks.count; i++)
        move->disks.items[i].copied = 0;
    return run_from(move, PHASE_MIRRORING, error);
}
