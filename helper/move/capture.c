/* The targets as they were at the pivot: an RBD snapshot each, made while the guest stands still.
 *
 * From the moment that a snapshot may be there until it is known to be good, the journal says that
 * the disk can never be compared: whoever finds it so, finds what may have been made after the
 * guest went on. */
#include "move/private.h"

#define CAPTURE_MILLISECONDS 5000

bool capture_is_wanted(const struct move *move, size_t index)
{
    return move->plan->verify && move_plan_of(move, index)->destination.image;
}

static int set_snapshot(struct move *move, size_t index, const char *snapshot, struct error *error)
{
    struct disk_record *record = &move->disks.items[index];
    if (journal_set_snapshot(move->mover->journal, move->id, record->target, snapshot, error) < 0)
        return -1;
    free(record->snapshot);
    record->snapshot = text_dup(snapshot);
    return 0;
}

int capture_set_verdict(struct move *move, size_t index, enum disk_verdict verdict,
                        struct error *error)
{
    struct disk_record *record = &move->disks.items[index];
    enum disk_verdict before = record->verdict;
    record->verdict = verdict;
    if (journal_set_verdict(move->mover->journal, move->id, record, error) == 0)
        return 0;
    record->verdict = before;
    return -1;
}

int capture_forget(struct move *move, size_t index, struct error *error)
{
    return move->disks.items[index].snapshot ? set_snapshot(move, index, NULL, error) : 0;
}

int capture_drop(struct move *move, size_t index, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct disk_record *record = &move->disks.items[index];
    const struct ceph_image_name name = move_target_name(disk);
    struct ceph_cluster *cluster = NULL;
    if (!record->snapshot)
        return 0;
    if (move_target_cluster(move, disk, &cluster, error) < 0 ||
        ceph_snapshot_remove(cluster, &name, record->snapshot, error) < 0)
        return -1;
    return capture_forget(move, index, error);
}

int capture_drop_patiently(struct move *move, size_t index, struct error *error)
{
    int64_t start = move_now_ms();
    while (capture_drop(move, index, error) < 0)
        if (!move_waits_for_others(move, start, error))
            return -1;
    return 0;
}

int capture_clean(struct move *move, const bool *which, struct error *error)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if (which[i] && capture_is_wanted(move, i) && capture_drop(move, i, error) < 0)
            return -1;
    return 0;
}

int capture_announce(struct move *move, const bool *which, struct error *error)
{
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct disk_record *record = &move->disks.items[i];
        if (!which[i] || !capture_is_wanted(move, i))
            continue;
        AUTO_FREE char *name = text_format(CEPH_SNAPSHOT_PREFIX "verify.%s", record->token);
        if (set_snapshot(move, i, name, error) < 0 ||
            capture_set_verdict(move, i, VERDICT_IMPOSSIBLE, error) < 0)
            return -1;
    }
    return 0;
}

int capture_open(struct move *move, const bool *which, struct capture *capture, struct error *error)
{
    capture->of = memory_new(move->disks.count, sizeof(*capture->of));
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct plan_disk *disk = move_plan_of(move, i);
        if (!which[i] || !capture_is_wanted(move, i))
            continue;
        struct ceph_capture_of *of = &capture->of[capture->count++];
        *of = (struct ceph_capture_of){.name = move_target_name(disk),
                                       .snapshot = move->disks.items[i].snapshot};
        if (move_target_cluster(move, disk, &of->cluster, error) < 0)
            return -1;
    }
    return ceph_captures_open(capture->of, capture->count, &capture->captures, error);
}

int capture_take(struct capture *capture, struct error *error)
{
    return ceph_captures_make(capture->captures, CAPTURE_MILLISECONDS, error);
}

int capture_conclude(struct move *move, const bool *which, struct error *error)
{
    for (size_t i = 0; i < move->disks.count; i++)
        if (which[i] && capture_is_wanted(move, i) &&
            capture_set_verdict(move, i, VERDICT_NONE, error) < 0)
            return -1;
    return 0;
}

void capture_clear(struct capture *capture)
{
    ceph_captures_closep(&capture->captures);
    free(capture->of);
    *capture = (struct capture){0};
}
