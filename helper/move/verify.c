/* Source and target compared, both as they were at the pivot: the source has stood still since, and
 * of the target there is a snapshot. The guest runs on meanwhile. */
#include "base/units.h"
#include "move/pace.h"
#include "move/private.h"

#include <inttypes.h>

#define PAUSE_BANDWIDTH 1
#define SAMPLE_MILLISECONDS 1000
#define RETRIES 3 /* for what passes by itself within a second or so */

struct verification {
    struct move *move;
    size_t index; /* of the disk under way */
    bool again;
    struct move_control control;
    struct pace pace;
    uint64_t size;
    int64_t sampled;
    struct blocks_watch watch;
    struct error broken_off;
};

/* ---- while it goes on ---- */

static void report(const struct verification *verification)
{
    const struct move *move = verification->move;
    const struct move_audience *audience = &move->mover->audience;
    if (!audience->progress)
        return;
    AUTO_FREE struct disk_progress *progress = memory_new(move->disks.count, sizeof(*progress));
    size_t count = 0;
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct disk_record *record = &move->disks.items[i];
        bool current = i == verification->index;
        bool compared = record->verdict == VERDICT_EQUAL || record->verdict == VERDICT_DIFFERENT;
        bool concerned = record->fate == DISK_PIVOTED && (compared || record->snapshot);
        if (!current && !concerned)
            continue;
        progress[count++] = (struct disk_progress){
            .target = record->target,
            .copied = record->compared,
            .total = move_plan_of(move, i)->destination.size,
            .rate = current ? (uint64_t)verification->pace.rate : 0,
            .eta = current ? pace_eta(&verification->pace) : UINT64_MAX,
            .ready = compared,
            .verifying = true,
        };
    }
    audience->progress(audience->opaque, progress, count, verification->control.paused);
}

static uint64_t bandwidth_of(const struct verification *verification)
{
    const struct move_control *control = &verification->control;
    if (control->paused)
        return PAUSE_BANDWIDTH;
    return control->bandwidth_set
               ? control->bandwidth
               : move_plan_of(verification->move, verification->index)->destination.bandwidth;
}

static bool look_on(void *opaque, uint64_t done, uint64_t read UNUSED)
{
    struct verification *verification = opaque;
    struct move *move = verification->move;
    struct disk_record *record = &move->disks.items[verification->index];
    const int64_t now = move_now_ms();
    if (move_check_interrupted(move, &verification->control, &verification->broken_off) < 0)
        return false;
    verification->watch.bandwidth = bandwidth_of(verification);
    record->compared = done;
    pace_sample(&verification->pace, now, done, verification->size);
    if (now - verification->sampled >= SAMPLE_MILLISECONDS) {
        /* Only looked at by others. */
        AUTO_ERROR struct error unwritten = {0};
        verification->sampled = now;
        if (journal_set_verdict(move->mover->journal, move->id, record, &unwritten) < 0)
            error_clear(&unwritten);
    }
    report(verification);
    return true;
}

/* ---- one disk ---- */

static int compare(struct verification *verification, struct blocks *source, struct blocks *target,
                   struct blocks_comparison *found, struct error *error)
{
    verification->pace = (struct pace){0};
    verification->size = blocks_size(target);
    verification->watch = (struct blocks_watch){
        .opaque = verification, .progress = look_on, .bandwidth = bandwidth_of(verification)};
    if (blocks_compare(source, target, &verification->watch, found, error) == 0)
        return 0;
    if (error_is_set(&verification->broken_off))
        error_move(error, &verification->broken_off);
    return -1;
}

static int open_and_compare(struct verification *verification, const char *snapshot,
                            struct blocks_comparison *found, struct error *error)
{
    struct move *move = verification->move;
    size_t index = verification->index;
    CLEANUP(blocks_closep) struct blocks *source = NULL;
    CLEANUP(blocks_closep) struct blocks *target = NULL;
    if (verify_source_open(move, index, &source, error) < 0 ||
        move_open_target(move, index, snapshot, false, &target, error) < 0 ||
        compare(verification, source, target, found, error) < 0)
        return -1;
    /* Whoever has opened it meanwhile may have written to it: then that is no proof of anything. */
    return found->equal ? 0 : verify_source_unused(move, index, error);
}

int verify_compare(struct move *move, size_t index, const char *snapshot,
                   struct blocks_comparison *found, struct error *error)
{
    struct verification verification = {.move = move, .index = index};
    int result = open_and_compare(&verification, snapshot, found, error);
    error_clear(&verification.broken_off);
    return result;
}

static int write_verdict(struct move *move, size_t index, const struct blocks_comparison *found,
                         struct error *error)
{
    struct disk_record *record = &move->disks.items[index];
    free(record->source_digest);
    free(record->target_digest);
    record->source_digest = text_dup(found->first.text);
    record->target_digest = text_dup(found->second.text);
    record->compared = move_plan_of(move, index)->destination.size;
    record->first_difference = found->first_difference;
    record->differing = found->differing;
    if (capture_set_verdict(move, index, found->equal ? VERDICT_EQUAL : VERDICT_DIFFERENT, error) <
        0)
        return -1;
    AUTO_FREE char *read = format_size(found->read);
    AUTO_FREE char *text =
        found->equal ? text_format("disk %s: equal, %s read, SHA-256 %s", record->target, read,
                                   found->first.text)
                     : text_format("disk %s: DIFFERENT, first at byte %" PRIu64 ", %" PRIu64
                                   " pieces of 4 MiB",
                                   record->target, found->first_difference, found->differing);
    return journal_note(move->mover->journal, move->id, "compared", text, error);
}

static int compare_disk(struct verification *verification, struct error *error)
{
    struct move *move = verification->move;
    size_t index = verification->index;
    struct blocks_comparison found = {0};
    return open_and_compare(verification, move->disks.items[index].snapshot, &found, error) < 0
               ? -1
               : write_verdict(move, index, &found, error);
}

/* ---- what cannot be compared ---- */

static int is_impossible(struct move *move, size_t index, const char *why, struct error *error)
{
    if (capture_set_verdict(move, index, VERDICT_IMPOSSIBLE, error) < 0)
        return -1;
    move_warn(move, "disk %s can never be compared with its source: %s",
              move->disks.items[index].target, why);
    return 0;
}

static int snapshot_is_there(struct move *move, size_t index, bool *there, struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name name = move_target_name(disk);
    struct ceph_cluster *cluster = NULL;
    *there = false;
    if (move_target_cluster(move, disk, &cluster, error) < 0)
        return -1;
    if (ceph_snapshot_exists(cluster, &name, move->disks.items[index].snapshot, there, error) == 0)
        return 0;
    if (error->code != ERROR_NOT_FOUND)
        return -1;
    error_clear(error); /* the image is gone, and the snapshot with it */
    return 0;
}

/* A guest that somebody has put back has written to its source. */
static int is_back(struct move *move, size_t index, bool *back, struct error *error)
{
    AUTO_WORLD struct world world = {0};
    if (observe(move, &world, error) < 0)
        return -1;
    *back = world.disks[index].live == PLACE_SOURCE;
    return 0;
}

static int decide_if_possible(struct move *move, size_t index, struct error *error)
{
    bool there = false, back = false;
    if (!move->disks.items[index].snapshot)
        return is_impossible(move, index, "its target was not captured at the pivot", error);
    if (snapshot_is_there(move, index, &there, error) < 0)
        return -1;
    if (!there)
        return is_impossible(move, index, "somebody has removed its target's snapshot", error);
    if (is_back(move, index, &back, error) < 0)
        return -1;
    return back ? is_impossible(move, index, "the guest runs on its source again", error) : 0;
}

/* ---- all disks ---- */

static bool is_undecided(const struct verification *verification, const struct disk_record *record)
{
    return record->verdict == VERDICT_NONE ||
           (record->verdict == VERDICT_DIFFERENT && verification->again);
}

static int verify_disk(struct verification *verification, struct error *error)
{
    struct move *move = verification->move;
    size_t index = verification->index;
    const struct disk_record *record = &move->disks.items[index];
    if (record->fate != DISK_PIVOTED)
        return 0;
    if (move->plan->migrates && move_bring_over(move, index, error) < 0)
        return -1;
    if (is_undecided(verification, record) && decide_if_possible(move, index, error) < 0)
        return -1;
    if (is_undecided(verification, record) && compare_disk(verification, error) < 0) {
        if (error->code != ERROR_UNSUPPORTED)
            return -1;
        AUTO_FREE char *why = text_dup(error->message);
        error_clear(error);
        return is_impossible(move, index, why, error);
    }
    /* The evidence stays if they differ. */
    return record->verdict == VERDICT_DIFFERENT ? 0 : capture_drop(move, index, error);
}

/* An answer may get lost. And a client that was killed, an earlier verification perhaps, has the
 * image open until it is forgotten. */
static int insist_on_disk(struct verification *verification, struct error *error)
{
    struct move *move = verification->move;
    int64_t busy_since = 0;
    for (unsigned tries = 1; verify_disk(verification, error) < 0; tries++) {
        bool busy = error->code == ERROR_BUSY;
        if (busy && !busy_since)
            busy_since = move_now_ms();
        bool passes = busy ? tries < RETRIES || !move_out_of_patience(move, busy_since)
                           : tries < RETRIES && (error->code == ERROR_DISCONNECTED ||
                                                 error->code == ERROR_UNREACHABLE);
        if (!passes)
            return error_prefix(error, "disk %s", move->disks.items[verification->index].target);
        AUTO_ERROR struct error away = {0};
        if (error->code == ERROR_DISCONNECTED &&
            virt_reconnect(move->mover->virt, move_patience(move), &away) < 0)
            return -1;
        error_clear(error);
        virt_wait(move->mover->virt, 1000);
    }
    return 0;
}

static size_t count_verdicts(const struct move *move, enum disk_verdict verdict)
{
    size_t count = 0;
    for (size_t i = 0; i < move->disks.count; i++)
        count +=
            move->disks.items[i].fate == DISK_PIVOTED && move->disks.items[i].verdict == verdict;
    return count;
}

static int tell_difference(struct move *move, struct error *error)
{
    AUTO_BUFFER struct buffer disks = {0};
    AUTO_BUFFER struct buffer kept = {0};
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct disk_record *record = &move->disks.items[i];
        const struct plan_disk *disk = move_plan_of(move, i);
        if (record->fate != DISK_PIVOTED || record->verdict != VERDICT_DIFFERENT)
            continue;
        AUTO_FREE char *where = plan_destination_describe(&disk->destination);
        buffer_format(&disks,
                      "%sdisk %s differs from its source in %" PRIu64
                      " pieces of 4 MiB, first at byte %" PRIu64,
                      disks.length ? "; " : "", record->target, record->differing,
                      record->first_difference);
        buffer_format(&kept, "%s%s as it was, and %s, whose snapshot %s is the pivot",
                      kept.length ? "; " : "", disk->source, where, record->snapshot);
    }
    error_set(error, ERROR_OPERATOR, "move %" PRId64 " of domain '%s': %s", move->id,
              move->plan->domain, disks.text);
    return error_hint(error,
                      "the guest runs on its new disk; kept: %s; find out which is right, and who "
                      "wrote there; 'virt-pivot verify %" PRId64 "' compares again",
                      kept.text, move->id);
}

/* What the end of it means for the move. */
static int conclude(struct move *move, struct error *failure, struct error *error)
{
    struct journal *journal = move->mover->journal;
    size_t equal = count_verdicts(move, VERDICT_EQUAL);
    if (count_verdicts(move, VERDICT_DIFFERENT)) {
        tell_difference(move, error);
        AUTO_ERROR struct error unwritten = {0};
        if (journal_note(journal, move->id, "ERROR", error->message, &unwritten) < 0 ||
            journal_set_message(journal, move->id, error->message, error->hint, &unwritten) < 0)
            move_warn(move, "%s", unwritten.message);
        return -1;
    }
    if (error_is_set(failure)) {
        error_move(error, failure);
        error_prefix(error, "move %" PRId64 " of domain '%s' is not verified yet", move->id,
                     move->plan->domain);
        AUTO_ERROR struct error unwritten = {0};
        if (journal_note(journal, move->id, "not verified", error->message, &unwritten) < 0 ||
            journal_set_message(journal, move->id, error->message, error->hint, &unwritten) < 0)
            error_clear(&unwritten); /* it is told, and tried again */
        return -1;
    }
    if (journal_set_message(journal, move->id, NULL, NULL, error) < 0)
        return -1;
    if (count_verdicts(move, VERDICT_IMPOSSIBLE) == 0) {
        AUTO_FREE char *detail = text_format("%zu disk%s equal", equal, equal == 1 ? "" : "s");
        return reach(move, PHASE_VERIFIED, detail, error);
    }
    return error_set(error, ERROR_NOTHING,
                     "move %" PRId64
                     " of domain '%s' cannot be verified%s: %zu of its disks cannot "
                     "be compared with what they were at the pivot",
                     move->id, move->plan->domain, equal ? " as a whole" : "",
                     count_verdicts(move, VERDICT_IMPOSSIBLE));
}

static int verify_all(struct verification *verification, struct error *error)
{
    struct move *move = verification->move;
    AUTO_ERROR struct error failure = {0};
    for (size_t i = 0; i < move->disks.count; i++) {
        AUTO_ERROR struct error this_one = {0};
        verification->index = i;
        if (insist_on_disk(verification, &this_one) == 0)
            continue;
        bool stop = this_one.code == ERROR_CANCELLED;
        if (stop || !error_is_set(&failure))
            error_move(&failure, &this_one);
        if (stop)
            break;
    }
    return conclude(move, &failure, error);
}

static int check_kind(const struct move *move, struct error *error)
{
    const char *why = NULL;
    if (move->phase != PHASE_REDEFINED)
        why = move->phase == PHASE_VERIFIED || move->phase == PHASE_RETIRED
                  ? "it is verified already"
                  : "its guest is not on its new disks, or not yet proven to be";
    else if (!move->plan->verify)
        why = "its policy asked for no proof, so that its targets were not captured";
    return why ? error_set(error, ERROR_NOTHING, "move %" PRId64 " of domain '%s': %s", move->id,
                           move->plan->domain, why)
               : 0;
}

int move_verify(const struct mover *mover, int64_t id, bool again, struct error *error)
{
    CLEANUP(plan_freep) struct plan *plan = NULL;
    CLEANUP(forget) struct move move = {.mover = mover, .id = id};
    if (move_load(&move, &plan, error) < 0 || check_kind(&move, error) < 0 ||
        journal_unwish(mover->journal, id, error) < 0 ||
        journal_begin(mover->journal, id, PHASE_VERIFIED, error) < 0)
        return -1;
    struct verification verification = {.move = &move, .again = again};
    int result = verify_all(&verification, error);
    error_clear(&verification.broken_off);
    return result;
}
