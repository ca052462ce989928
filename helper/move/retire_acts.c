/* A source given up: put into the trash, renamed aside, removed, or kept where it cannot be. */
#include "files/files.h"
#include "move/private.h"
#include "move/retire.h"

#include <inttypes.h>

int retire_source_cluster(struct retiring *retiring, size_t index, struct ceph_cluster **cluster,
                          struct ceph_image_name *name, struct error *error)
{
    const struct plan_disk *disk = retiring->disks[index].plan;
    *name =
        (struct ceph_image_name){disk->source_pool, disk->source_name_space, disk->source_image};
    return clusters_get(retiring->mover->clusters, &disk->source_cluster, cluster, error);
}

/* ---- what is to become of it ---- */

static int keep(struct given_up *given_up, const char *reason)
{
    *given_up = (struct given_up){.kind = GIVEN_UP_KEPT, .reason = text_dup(reason)};
    return 0;
}

/* What is to be removed is put into the trash, or aside, first: until it is there whoever opens it
 * in that moment still finds it, and it comes back. */
static bool is_for_good(const struct retiring *retiring, size_t index)
{
    return retiring->plan->source_after == SOURCE_REMOVE ||
           retiring->disks[index].given_up.kind == GIVEN_UP_REMOVED;
}

/* Somebody may have removed what the guest left, and made something of the same name. */
static bool is_another(const struct retiring *retiring, size_t index, const char *identity)
{
    const char *known = retiring->disks[index].plan->source_identity;
    return known && !text_equal(known, identity);
}

static int choose_image(struct retiring *retiring, size_t index, struct error *error)
{
    struct given_up *given_up = &retiring->disks[index].given_up;
    struct ceph_cluster *cluster = NULL;
    struct ceph_image_name name;
    char *id = NULL;
    if (retire_source_cluster(retiring, index, &cluster, &name, error) < 0)
        return -1;
    if (ceph_image_id(cluster, &name, &id, error) < 0) {
        bool is_old = error->code == ERROR_UNSUPPORTED;
        if (!is_old && error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error);
        return keep(given_up, is_old ? "an image of format 1" : "it was not there any more");
    }
    if (is_another(retiring, index, id)) {
        free(id);
        return keep(given_up, "another image has its name by now");
    }
    *given_up = (struct given_up){
        .kind = GIVEN_UP_TRASH,
        .pool = text_dup(name.pool),
        .name_space = text_dup(name.name_space),
        .image = text_dup(name.image),
        .id = id,
    };
    return 0;
}

/* It is in the trash already, as a part of its target; with it goes what is left of the migration.
 */
static int choose_migrated(struct retiring_disk *disk)
{
    const struct plan_disk *plan = disk->plan;
    disk->given_up = (struct given_up){.kind = GIVEN_UP_REMOVED,
                                       .pool = text_dup(plan->source_pool),
                                       .name_space = text_dup(plan->source_name_space),
                                       .image = text_dup(plan->source_image),
                                       .id = text_dup(plan->source_id)};
    return 0;
}

/* Once it is aside nobody else can mean that name. */
static int choose_file(struct retiring *retiring, size_t index, struct error *error)
{
    struct given_up *given_up = &retiring->disks[index].given_up;
    const char *path = retiring->disks[index].before->source.path;
    struct file_look look;
    if (files_look(path, &look, error) < 0)
        return -1;
    if (!look.exists)
        return keep(given_up, "it was not there any more");
    if (is_another(retiring, index, look.identity))
        return keep(given_up, "another file has its name by now");
    if (look.is_link)
        return keep(given_up, "its name is a symbolic link");
    if (!look.regular)
        return keep(given_up, "it is no regular file");
    if (look.links > 1)
        return keep(given_up, "it has other names");
    *given_up = (struct given_up){.kind = GIVEN_UP_ASIDE,
                                  .path = text_dup(path),
                                  .aside = given_up_aside_name(path, retiring->record.id)};
    return 0;
}

int retire_choose(struct retiring *retiring, size_t index, struct error *error)
{
    struct retiring_disk *disk = &retiring->disks[index];
    if (disk->record->given_up)
        return given_up_parse(disk->record->given_up, &disk->given_up, error);
    if (retiring->plan->source_after == SOURCE_KEEP && !retiring->plan->migrates)
        return keep(&disk->given_up, NULL);
    if (retiring->plan->verify && disk->record->verdict == VERDICT_IMPOSSIBLE)
        return keep(&disk->given_up, "it could not be compared with its target");
    if (retiring->plan->migrates)
        return choose_migrated(disk);
    switch (disk->before->source.type) {
    case SOURCE_FILE:
        return choose_file(retiring, index, error);
    case SOURCE_BLOCK:
        return keep(&disk->given_up, "a block device");
    case SOURCE_VOLUME:
        return keep(&disk->given_up, "a volume of one of libvirt's storage pools");
    case SOURCE_NETWORK:
        if (disk->plan->source_image)
            return choose_image(retiring, index, error);
        return keep(&disk->given_up, "on a server that is not virt-pivot's to change");
    default:
        return keep(&disk->given_up, "a kind of disk that virt-pivot does not know");
    }
}

/* ---- migrated ---- */

/* The target's login: it is the one that has migrated it. */
static int migrated_cluster(struct retiring *retiring, size_t index, struct ceph_cluster **cluster,
                            struct ceph_migration *migration, struct error *error)
{
    const struct retiring_disk *disk = &retiring->disks[index];
    *migration = move_migration_of(disk->plan, disk->record->token);
    return clusters_get(retiring->mover->clusters, &disk->plan->destination.cluster, cluster,
                        error);
}

/* Nobody can write to it, and whoever reads it does so through the target. */
static int check_migrated(struct retiring *retiring, size_t index, struct error *error)
{
    struct ceph_cluster *cluster = NULL;
    struct ceph_migration migration;
    enum ceph_migration_state state;
    if (migrated_cluster(retiring, index, &cluster, &migration, error) < 0 ||
        ceph_migration_look(cluster, &migration, &state, error) < 0)
        return -1;
    return state == CEPH_MIGRATION_PREPARED
               ? error_set(error, ERROR_FAILED, "its target still needs it for its data")
               : 0;
}

static int commit(struct retiring *retiring, size_t index, struct error *error)
{
    struct ceph_cluster *cluster = NULL;
    struct ceph_migration migration;
    return migrated_cluster(retiring, index, &cluster, &migration, error) < 0
               ? -1
               : ceph_migration_commit(cluster, &migration, error);
}

/* ---- who has it open ---- */

static int check_image(struct retiring *retiring, size_t index, struct error *error)
{
    struct ceph_cluster *cluster = NULL;
    struct ceph_image_name name;
    CLEANUP(ceph_image_clear) struct ceph_image image = {0};
    CLEANUP(text_list_clear) struct text_list watchers = {0};
    if (retire_source_cluster(retiring, index, &cluster, &name, error) < 0)
        return -1;
    if (ceph_image_watchers(cluster, &name, &watchers, error) < 0 ||
        ceph_image(cluster, &name, &image, error) < 0) {
        /* It may have been on its way when somebody was killed. */
        if (error->code != ERROR_NOT_FOUND || !retiring->disks[index].record->given_up)
            return -1;
        error_clear(error);
        return 0;
    }
    if (watchers.count)
        return error_set(error, ERROR_BUSY, "%s has it open", watchers.items[0]);
    if (image.children)
        return error_set(error, ERROR_BUSY, "%u clones stand on its snapshots", image.children);
    if (image.in_group || image.mirrored)
        return error_set(error, ERROR_BUSY, "it is %s",
                         image.in_group ? "part of a group" : "mirrored to another cluster");
    if (image.snapshots && is_for_good(retiring, index))
        return error_set(error, ERROR_BUSY, "it has %u snapshots, which would go with it",
                         image.snapshots);
    return 0;
}

static int check_file(const char *path, struct error *error)
{
    AUTO_FREE char *holder = NULL;
    if (files_holder(path, &holder, error) < 0)
        return -1;
    return holder ? error_set(error, ERROR_BUSY, "%s has it open", holder) : 0;
}

int retire_check_holders(struct retiring *retiring, size_t index, struct error *error)
{
    const struct given_up *given_up = &retiring->disks[index].given_up;
    if (given_up->kind == GIVEN_UP_KEPT)
        return 0;
    if (retiring->plan->migrates)
        return check_migrated(retiring, index, error);
    if (given_up->pool)
        return check_image(retiring, index, error);
    /* It may be aside already, about to be removed. */
    AUTO_FREE char *aside = given_up_aside_name(given_up->path, retiring->record.id);
    return check_file(given_up->path, error) < 0 ? -1 : check_file(aside, error);
}

/* ---- is it so? ---- */

/* By its id: somebody may have made another image of that name since. */
static int is_image_done(struct retiring *retiring, size_t index, bool *done, struct error *error)
{
    const struct given_up *given_up = &retiring->disks[index].given_up;
    struct ceph_cluster *cluster = NULL;
    struct ceph_image_name name;
    AUTO_FREE char *id = NULL;
    bool trashed = false;
    if (retire_source_cluster(retiring, index, &cluster, &name, error) < 0)
        return -1;
    if (ceph_image_id(cluster, &name, &id, error) < 0 && error->code != ERROR_NOT_FOUND)
        return -1;
    error_clear(error);
    if (ceph_image_is_trashed(cluster, &name, given_up->id, &trashed, error) < 0)
        return -1;
    *done =
        !text_equal(id, given_up->id) &&
        (is_for_good(retiring, index) ? given_up->kind == GIVEN_UP_REMOVED && !trashed : trashed);
    return 0;
}

/* Aside, and nobody has it: who opened it just before it was renamed is to find it in its place. */
static int is_file_done(struct retiring *retiring, size_t index, bool *done, struct error *error)
{
    const struct given_up *given_up = &retiring->disks[index].given_up;
    struct file_look look;
    AUTO_FREE char *aside = given_up_aside_name(given_up->path, retiring->record.id);
    if (files_look(aside, &look, error) < 0)
        return -1;
    if (is_for_good(retiring, index)) {
        *done = given_up->kind == GIVEN_UP_REMOVED && !look.exists;
        return 0;
    }
    AUTO_FREE char *holder = NULL;
    if (look.exists && files_holder(aside, &holder, error) < 0)
        return -1;
    *done = look.exists && !holder;
    return 0;
}

int retire_is_done(struct retiring *retiring, size_t index, bool *done, struct error *error)
{
    const struct given_up *given_up = &retiring->disks[index].given_up;
    *done = given_up->kind == GIVEN_UP_KEPT;
    if (*done || !retiring->disks[index].record->given_up)
        return 0;
    return given_up->pool ? is_image_done(retiring, index, done, error)
                          : is_file_done(retiring, index, done, error);
}

/* ---- doing it ---- */

/* From now on the journal says that there is no way back, or that there is one again. */
static int call_it(struct retiring *retiring, size_t index, enum given_up_kind kind,
                   struct error *error)
{
    struct retiring_disk *disk = &retiring->disks[index];
    disk->given_up.kind = kind;
    AUTO_FREE char *text = given_up_format(&disk->given_up);
    return journal_set_given_up(retiring->mover->journal, retiring->record.id, disk->plan->target,
                                text, error);
}

/* Ours to remove: it is in the trash. Who has just opened it is to find it in its place, which may
 * be only if nothing was removed before. */
static int remove_image(struct retiring *retiring, size_t index, struct ceph_cluster *cluster,
                        const struct ceph_image_name *name, struct error *error)
{
    const struct given_up *given_up = &retiring->disks[index].given_up;
    bool is_whole = given_up->kind == GIVEN_UP_TRASH;
    if (is_whole && call_it(retiring, index, GIVEN_UP_REMOVED, error) < 0)
        return -1;
    if (ceph_image_remove(cluster, name, given_up->id, error) == 0)
        return 0;
    AUTO_ERROR struct error failure = {0};
    if (is_whole && error->code == ERROR_BUSY &&
        call_it(retiring, index, GIVEN_UP_TRASH, &failure) == 0)
        return -1;
    return error_hint(error,
                      "it is in the trash, and parts of it may be gone: 'virt-pivot retire "
                      "%" PRId64 "' goes on",
                      retiring->record.id);
}

/* Also when it is done already: then what was left unfinished of it is finished. */
static int give_up_image(struct retiring *retiring, size_t index, struct error *error)
{
    const struct retiring_disk *disk = &retiring->disks[index];
    struct ceph_cluster *cluster = NULL;
    struct ceph_image_name name;
    if (retire_source_cluster(retiring, index, &cluster, &name, error) < 0 ||
        (!disk->done && check_image(retiring, index, error) < 0) ||
        (disk->given_up.kind == GIVEN_UP_TRASH &&
         ceph_image_trash(cluster, &name, disk->given_up.id, retiring->plan->grace, error) < 0))
        return -1;
    return is_for_good(retiring, index) ? remove_image(retiring, index, cluster, &name, error) : 0;
}

static int put_aside(const struct given_up *given_up, struct error *error)
{
    return check_file(given_up->path, error) < 0
               ? -1
               : files_rename(given_up->path, given_up->aside, error);
}

/* Whoever had opened it before it was renamed has it open still: then it is not given up, and who
 * called us takes it back. */
static int give_up_file(struct retiring *retiring, size_t index, struct error *error)
{
    const struct given_up *given_up = &retiring->disks[index].given_up;
    AUTO_FREE char *aside = given_up_aside_name(given_up->path, retiring->record.id);
    struct file_look look;
    if (files_look(aside, &look, error) < 0)
        return -1;
    if (given_up->kind == GIVEN_UP_ASIDE) {
        if ((!look.exists && put_aside(given_up, error) < 0) || check_file(aside, error) < 0)
            return -1;
        if (retiring->plan->source_after != SOURCE_REMOVE)
            return 0;
        if (call_it(retiring, index, GIVEN_UP_REMOVED, error) < 0)
            return -1;
    }
    return check_file(aside, error) < 0 ? -1 : files_remove(aside, error);
}

int retire_act(struct retiring *retiring, size_t index, struct error *error)
{
    const struct given_up *given_up = &retiring->disks[index].given_up;
    if (given_up->kind == GIVEN_UP_REMOVED && retiring->plan->migrates)
        return commit(retiring, index, error);
    if (given_up->pool)
        return give_up_image(retiring, index, error);
    return given_up->kind == GIVEN_UP_KEPT || retiring->disks[index].done
               ? 0
               : give_up_file(retiring, index, error);
}

static int take_image_back(struct retiring *retiring, size_t index, struct error *error)
{
    struct ceph_cluster *cluster = NULL;
    struct ceph_image_name name;
    const char *id = retiring->disks[index].given_up.id;
    bool trashed = false;
    if (retiring->disks[index].given_up.kind == GIVEN_UP_REMOVED)
        return error_set(error, ERROR_FAILED, "parts of it may have been removed");
    if (retire_source_cluster(retiring, index, &cluster, &name, error) < 0 ||
        ceph_image_is_trashed(cluster, &name, id, &trashed, error) < 0)
        return -1;
    return trashed ? ceph_image_restore(cluster, &name, id, error) : 0;
}

/* What was to be removed may be aside, or in the trash, already. A file is there, whole, until it
 * is gone. */
int retire_take_back(struct retiring *retiring, size_t index, struct error *error)
{
    const struct given_up *given_up = &retiring->disks[index].given_up;
    struct file_look look;
    if (retiring->plan->migrates)
        return 0; /* there is no way back, but on again */
    if (given_up->pool)
        return take_image_back(retiring, index, error);
    if (!given_up->path)
        return 0;
    AUTO_FREE char *aside = given_up_aside_name(given_up->path, retiring->record.id);
    if (files_look(aside, &look, error) < 0)
        return -1;
    return look.exists ? files_rename(aside, given_up->path, error) : 0;
}
