/* The disk that a guest had before a move, and that it goes back to. It is ours to write to because
 * the journal says that this guest left it, and nobody has taken it up since: that is looked at. */
#include "base/units.h"
#include "files/files.h"
#include "move/undo.h"

#include <inttypes.h>

#define BUSY_HINT "whoever uses it has to let go of it first; or leave the guest where it is"

/* The old disk as the guest had it: its path, its format, the layers below it. */
static const struct disk *read_old(const struct plan_disk *disk, struct domain **holder,
                                   struct error *error)
{
    if (disk_parse(disk->destination.old_disk, holder, error) == 0 && (*holder)->disks.count == 1)
        return &(*holder)->disks.items[0];
    error_set(error, ERROR_OPERATOR, "the journal's record of the old disk %s cannot be read",
              disk->target);
    return NULL;
}

/* ---- is it whole? ---- */

static int check_size(const struct plan_disk *disk, const char *where, uint64_t size,
                      struct error *error)
{
    uint64_t wanted = disk->destination.size;
    /* QEMU rounds a file up to sectors. */
    if (size == 0 || (size <= wanted && wanted - size < 512))
        return 0;
    AUTO_FREE char *has = format_size(size);
    AUTO_FREE char *needs = format_size(wanted);
    error_set(error, ERROR_FAILED,
              "its old disk %s has %s (%" PRIu64 " bytes), and the guest's disk has %s (%" PRIu64
              " bytes): it was resized since",
              where, has, size, needs, wanted);
    return error_hint(error, "give it the guest's size ('rbd resize', 'qemu-img resize'), if "
                             "nobody needs it as it is");
}

/* How large a container is says nothing about the disk in it: QEMU compares that one with the
 * guest's (QEMU block/mirror.c, mirror_run). */
static int check_image_size(const struct plan_disk *disk, const char *where, uint64_t size,
                            struct error *error)
{
    CLEANUP(domain_freep) struct domain *holder = NULL;
    const struct disk *old = read_old(disk, &holder, error);
    if (!old)
        return -1;
    return disk_is_nested(old) ? 0 : check_size(disk, where, size, error);
}

static int is_missing(const char *where, struct error *error)
{
    error_set(error, ERROR_NOT_FOUND, "its old disk %s is not there any more", where);
    return error_hint(error, "there is nothing to go back to: a rule of the policy can move the "
                             "disk elsewhere");
}

static int is_replaced(const char *where, struct error *error)
{
    error_set(error, ERROR_FAILED,
              "its old disk %s is not there any more: another image has its name by now", where);
    return error_hint(error, "if the guest's old image was renamed, give it its name back");
}

static int check_image(const struct mover *mover, const struct plan_disk *disk, const char *where,
                       struct error *error)
{
    const struct ceph_image_name name = move_target_name(disk);
    struct ceph_cluster *cluster = NULL;
    struct ceph_image image = {0};
    if (clusters_get(mover->clusters, &disk->destination.cluster, &cluster, error) < 0)
        return -1;
    if (ceph_image(cluster, &name, &image, error) < 0)
        return error->code == ERROR_NOT_FOUND ? is_missing(where, error) : -1;
    bool is_another =
        disk->destination.old_identity && !text_equal(disk->destination.old_identity, image.id);
    int result =
        is_another ? is_replaced(where, error) : check_image_size(disk, where, image.size, error);
    ceph_image_clear(&image);
    CLEANUP(text_list_clear) struct text_list watchers = {0};
    if (result < 0 || ceph_image_watchers(cluster, &name, &watchers, error) < 0)
        return -1;
    if (watchers.count == 0)
        return 0;
    error_set(error, ERROR_BUSY, "its old disk %s is open elsewhere: %s watches it", where,
              watchers.items[0]);
    return error_hint(error, BUSY_HINT);
}

/* libvirt opens the file as if nothing were below it, and QEMU writes all of the disk: but zeros,
 * which version 2 cannot hold, are left out, and would show what is below at the next start (QEMU
 * block/qcow2-cluster.c, qcow2_subcluster_zeroize). */
static int refuse_cannot_hide(const char *path, bool is_known, struct error *error)
{
    if (is_known)
        error_set(error, ERROR_UNSUPPORTED,
                  "its old disk %s is a qcow2 file of version 2 (compat=0.10) on a backing file, "
                  "which cannot be written to as a whole",
                  path);
    else
        error_set(error, ERROR_DENIED,
                  "its old disk %s may not be read by this user, so that it is not known whether "
                  "it can be written to as a whole (qcow2 of version 2 on a backing file cannot)",
                  path);
    return error_hint(error, "%s",
                      is_known ? "'qemu-img amend -o compat=1.1' makes it version 3"
                               : "run 'virt-pivot undo' as a user who may read it, like root");
}

/* Whoever may not look into a file is still kept from what others write to by QEMU's own locks. */
static int check_unheld(const char *path, struct error *error)
{
    AUTO_FREE char *holder = NULL;
    if (files_holder(path, &holder, error) < 0) {
        if (error->code != ERROR_DENIED)
            return -1;
        error_clear(error);
    }
    if (!holder)
        return 0;
    error_set(error, ERROR_BUSY, "its old disk %s is open elsewhere: %s has it", path, holder);
    return error_hint(error, BUSY_HINT);
}

static int check_file(const struct plan_disk *disk, struct error *error)
{
    CLEANUP(domain_freep) struct domain *holder = NULL;
    const struct disk *old = read_old(disk, &holder, error);
    if (!old)
        return -1;
    const char *path = old->source.path;
    if (!path)
        return 0; /* an NBD export, say: its server alone can tell */
    struct file_disk file = {0};
    if (files_disk(path, old->format, &file, error) < 0) {
        if (error->code == ERROR_NOT_FOUND)
            return is_missing(path, error);
        if (error->code != ERROR_DENIED)
            return -1;
        if (text_equal(old->format, "qcow2") && old->backing_depth > 0)
            return refuse_cannot_hide(path, false, error);
        error_clear(error);
    }
    if (file.cannot_hide)
        return refuse_cannot_hide(path, true, error);
    return check_size(disk, path, file.size, error) < 0 ? -1 : check_unheld(path, error);
}

/* ---- is it nobody's? ---- */

static int check_unnamed_by(const struct domain *domain, const char *uuid,
                            const struct plan_disk *old, const char *where, struct error *error)
{
    for (size_t i = 0; i < domain->disks.count; i++) {
        const struct disk *disk = &domain->disks.items[i];
        bool own = text_equal(domain->uuid, uuid);
        if (!plan_is_destination(&old->destination, &disk->source))
            continue;
        error_set(error, ERROR_BUSY, "its old disk %s is disk %s of %s%s%s now", where,
                  disk->target, own ? "the guest itself" : "domain '", own ? "" : domain->name,
                  own ? "" : "'");
        return error_hint(error, BUSY_HINT);
    }
    return 0;
}

static int check_unnamed_in(const struct mover *mover, const char *other, enum virt_xml which,
                            const char *uuid, const struct plan_disk *old, const char *where,
                            struct error *error)
{
    AUTO_FREE char *xml = NULL;
    CLEANUP(domain_freep) struct domain *domain = NULL;
    if (virt_domain_xml(mover->virt, other, which, &xml, error) == 0)
        return domain_parse(xml, strlen(xml), &domain, error) < 0
                   ? -1
                   : check_unnamed_by(domain, uuid, old, where, error);
    if (error->code != ERROR_NOT_FOUND)
        return -1;
    error_clear(error); /* it has just gone */
    return 0;
}

static int check_unnamed(const struct mover *mover, const char *uuid, const struct plan_disk *old,
                         const char *where, struct error *error)
{
    struct virt_uuids uuids = {0};
    int result = virt_list(mover->virt, &uuids, error);
    for (size_t i = 0; i < uuids.count && result == 0; i++) {
        const char *other = uuids.items[i].text;
        struct virt_domain state = {0};
        result = virt_domain(mover->virt, other, &state, error);
        if (result == 0 && state.active)
            result = check_unnamed_in(mover, other, VIRT_XML_LIVE, uuid, old, where, error);
        if (result == 0 && state.persistent)
            result = check_unnamed_in(mover, other, VIRT_XML_INACTIVE, uuid, old, where, error);
        virt_domain_clear(&state);
    }
    free(uuids.items);
    return result;
}

/* Where it is made anew. */
static int check_name_is_free(const struct mover *mover, const struct plan_disk *disk,
                              const char *where, struct error *error)
{
    const struct ceph_image_name name = move_target_name(disk);
    struct ceph_cluster *cluster = NULL;
    struct ceph_image image = {0};
    if (clusters_get(mover->clusters, &disk->destination.cluster, &cluster, error) < 0)
        return -1;
    if (ceph_image(cluster, &name, &image, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error);
        return 0;
    }
    ceph_image_clear(&image);
    error_set(error, ERROR_FAILED,
              "its old disk %s was migrated and is gone, and by now there is another image of that "
              "name",
              where);
    return error_hint(error, "virt-pivot did not make it and will not touch it: rename or remove "
                             "it");
}

static int check_found(const struct mover *mover, const struct plan_disk *disk, const char *where,
                       struct error *error)
{
    if (disk->destination.remade)
        return check_name_is_free(mover, disk, where, error);
    return plan_destination_is_rbd(&disk->destination) ? check_image(mover, disk, where, error)
                                                       : check_file(disk, error);
}

int undo_check_old_disk(const struct mover *mover, const char *uuid, const struct plan_disk *disk,
                        struct error *error)
{
    AUTO_FREE char *where = plan_destination_describe(&disk->destination);
    return check_found(mover, disk, where, error) < 0
               ? -1
               : check_unnamed(mover, uuid, disk, where, error);
}

/* ---- as a target ---- */

static int claim(struct move *move, size_t index, struct error *error)
{
    return undo_fetch_back(move, index, error) < 0
               ? -1
               : undo_check_old_disk(move->mover, move->plan->uuid, move_plan_of(move, index),
                                     error);
}

static int ready_image(struct move *move, size_t index, struct error *error)
{
    return target_image_ready(move, index, error) < 0 ? -1 : undo_end_proof(move, index, error);
}

/* It is kept, and so would be a snapshot that was made of it for this move. */
static int release_image(struct move *move, size_t index, struct error *error)
{
    return capture_drop_patiently(move, index, error) < 0 ? -1 : undo_put_away(move, index, error);
}

static int ready_file(struct move *move, size_t index, struct error *error)
{
    return check_file(move_plan_of(move, index), error) < 0 ? -1
                                                            : undo_end_proof(move, index, error);
}

static int file_is_gone(struct move *move, size_t index, bool *gone, struct error *error)
{
    CLEANUP(domain_freep) struct domain *holder = NULL;
    const struct disk *old = read_old(move_plan_of(move, index), &holder, error);
    struct file_look look = {.exists = true};
    if (!old || (old->source.path && files_look(old->source.path, &look, error) < 0))
        return -1;
    *gone = !look.exists;
    return 0;
}

/* A file has no watchers; QEMU's lock on it keeps every other QEMU away. */
static int file_is_proven(struct move *move UNUSED, size_t index UNUSED, struct error *error UNUSED)
{
    return 0;
}

const struct target old_image_target = {
    .claim = claim,
    .ready = ready_image,
    .release = release_image,
    .is_gone = target_image_is_gone,
    .prove = target_image_prove,
    .noun = "the old image",
    .disposal = "rename the image",
};

const struct target old_file_target = {
    .claim = claim,
    .ready = ready_file,
    .release = undo_put_away,
    .is_gone = file_is_gone,
    .prove = file_is_proven,
    .noun = "the old disk",
    .disposal = "rename",
};
