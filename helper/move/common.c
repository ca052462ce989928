/* Small things that several steps need. */
#include "move/private.h"
#include "survey/source_open.h"

#include <time.h>

#define DEFAULT_PATIENCE 60     /* seconds */
#define PAUSE_MILLISECONDS 1000 /* from one try to the next */

const struct plan_disk *move_plan_of(const struct move *move, size_t index)
{
    const char *target = move->disks.items[index].target;
    for (size_t i = 0; i < move->plan->disks.count; i++)
        if (text_equal(move->plan->disks.items[i].target, target))
            return &move->plan->disks.items[i];
    abort(); /* the records are made from the plan */
}

unsigned move_patience(const struct move *move)
{
    return move->mover->patience ? move->mover->patience : DEFAULT_PATIENCE;
}

int64_t move_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool move_out_of_patience(const struct move *move, int64_t since_ms)
{
    return move_now_ms() - since_ms >= (int64_t)move_patience(move) * 1000;
}

bool move_waits_for_others(struct move *move, int64_t since_ms, struct error *error)
{
    if ((error->code != ERROR_BUSY && error->code != ERROR_UNREACHABLE) ||
        move_out_of_patience(move, since_ms))
        return false;
    error_clear(error);
    virt_wait(move->mover->virt, PAUSE_MILLISECONDS);
    return true;
}

struct ceph_image_name move_target_name(const struct plan_disk *disk)
{
    return (struct ceph_image_name){disk->destination.pool, disk->destination.name_space,
                                    disk->destination.image};
}

int move_target_cluster(struct move *move, const struct plan_disk *disk,
                        struct ceph_cluster **cluster, struct error *error)
{
    return clusters_get(move->mover->clusters, &disk->destination.cluster, cluster, error);
}

struct ceph_image_name move_source_name(const struct plan_disk *disk)
{
    return (struct ceph_image_name){disk->source_pool, disk->source_name_space, disk->source_image};
}

int move_source_cluster(struct move *move, const struct plan_disk *disk,
                        struct ceph_cluster **cluster, struct error *error)
{
    return clusters_get(move->mover->clusters, &disk->source_cluster, cluster, error);
}

void move_warn(struct move *move, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO_FREE char *text = text_vformat(format, args);
    va_end(args);
    const struct move_audience *audience = &move->mover->audience;
    AUTO_ERROR struct error ignored = {0};
    if (journal_note(move->mover->journal, move->id, "warning", text, &ignored) < 0)
        error_clear(&ignored); /* it is said aloud in any case */
    if (audience->warning)
        audience->warning(audience->opaque, text);
}

int move_check_interrupted(struct move *move, struct move_control *control, struct error *error)
{
    const struct move_audience *audience = &move->mover->audience;
    if (journal_control(move->mover->journal, move->id, control, error) < 0)
        return -1;
    if (control->cancel || (audience->interrupted && audience->interrupted(audience->opaque)))
        return error_set(error, ERROR_CANCELLED, "cancelled");
    return 0;
}

int move_set_fate(struct move *move, size_t index, enum disk_fate fate, struct error *error)
{
    if (journal_set_fate(move->mover->journal, move->id, move->disks.items[index].target, fate,
                         error) < 0)
        return -1;
    move->disks.items[index].fate = fate;
    return 0;
}

int move_set_fates(struct move *move, enum disk_fate fate, struct error *error)
{
    if (journal_set_fates(move->mover->journal, move->id, &move->disks, fate, error) < 0)
        return -1;
    for (size_t i = 0; i < move->disks.count; i++)
        move->disks.items[i].fate = fate;
    return 0;
}

bool move_has_fate(const struct move *move, enum disk_fate fate)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if (move->disks.items[i].fate == fate)
            return true;
    return false;
}

bool move_any_pivoted(const struct move *move)
{
    return move_has_fate(move, DISK_PIVOTED);
}

bool move_all_pivoted(const struct move *move)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if (move->disks.items[i].fate != DISK_PIVOTED)
            return false;
    return true;
}

bool move_is_offline(const struct move *move)
{
    return move->kind != MOVE_INCOMING && !move->plan->active;
}

int move_open_source(struct move *move, size_t index, bool idle, struct blocks **blocks,
                     struct error *error)
{
    const struct plan_disk *planned = move_plan_of(move, index);
    const struct disk *disk = domain_disk(move->before, planned->target);
    if (!disk)
        return error_set(error, ERROR_NOT_FOUND, "there is no disk %s any more", planned->target);
    if (!planned->source_image)
        return source_open(move->mover->virt, disk, idle ? SOURCE_IDLE : SOURCE_READ, blocks,
                           error);
    const struct ceph_image_name name = move_source_name(planned);
    struct ceph_cluster *cluster = NULL;
    if (move_source_cluster(move, planned, &cluster, error) < 0)
        return -1;
    return idle ? blocks_open_rbd_idle(cluster, &name, blocks, error)
                : blocks_open_rbd(cluster, &name, NULL, false, blocks, error);
}

static int open_old_file(struct move *move, const struct plan_disk *disk, bool writable,
                         struct blocks **blocks, struct error *error)
{
    CLEANUP(domain_freep) struct domain *holder = NULL;
    if (disk_parse(disk->destination.old_disk, &holder, error) < 0)
        return -1;
    return source_open(move->mover->virt, &holder->disks.items[0],
                       writable ? SOURCE_WRITE : SOURCE_READ, blocks, error);
}

int move_open_target(struct move *move, size_t index, const char *snapshot, bool writable,
                     struct blocks **blocks, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    if (!plan_destination_is_rbd(&disk->destination))
        return open_old_file(move, disk, writable, blocks, error);
    const struct ceph_image_name name = move_target_name(disk);
    struct ceph_cluster *cluster = NULL;
    return move_target_cluster(move, disk, &cluster, error) < 0
               ? -1
               : blocks_open_rbd(cluster, &name, snapshot, writable, blocks, error);
}
