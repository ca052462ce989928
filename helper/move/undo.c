/* A move is taken back: by another move, whose record says so. What it ends of the first. */
#include "move/undo.h"

#include "files/files.h"
#include "move/given_up.h"
#include "survey/survey.h"

#include <inttypes.h>

static int origin_disk(struct move *move, size_t index, struct disk_records *records,
                       const struct disk_record **disk, struct error *error)
{
    *disk = NULL;
    if (journal_disks(move->mover->journal, move->undoes, records, error) < 0)
        return -1;
    for (size_t i = 0; i < records->count; i++)
        if (text_equal(records->items[i].target, move->disks.items[index].target))
            *disk = &records->items[i];
    if (*disk)
        return 0;
    error_set(error, ERROR_OPERATOR, "move %" PRId64 " has no disk %s", move->undoes,
              move->disks.items[index].target);
    return -1;
}

/* The image that the move had made is what this one copies from. */
static int remove_snapshot(struct move *move, size_t index, const char *snapshot,
                           struct error *error)
{
    const struct plan_disk *disk = move_plan_of(move, index);
    const struct ceph_image_name name = move_source_name(disk);
    struct ceph_cluster *cluster = NULL;
    return move_source_cluster(move, disk, &cluster, error) < 0 ||
                   ceph_snapshot_remove(cluster, &name, snapshot, error) < 0
               ? -1
               : journal_set_snapshot(move->mover->journal, move->undoes, disk->target, NULL,
                                      error);
}

int undo_end_proof(struct move *move, size_t index, struct error *error)
{
    CLEANUP(disk_records_clear) struct disk_records records = {0};
    const struct disk_record *disk = NULL;
    if (origin_disk(move, index, &records, &disk, error) < 0)
        return -1;
    if (disk->verdict == VERDICT_NONE) {
        struct disk_record verdict = *disk; /* borrows */
        verdict.verdict = VERDICT_IMPOSSIBLE;
        if (journal_set_verdict(move->mover->journal, move->undoes, &verdict, error) < 0)
            return -1;
    }
    /* What shows a difference is kept: somebody may want to look at it. */
    return disk->snapshot && disk->verdict != VERDICT_DIFFERENT
               ? remove_snapshot(move, index, disk->snapshot, error)
               : 0;
}

int undo_end_row(struct move *move, size_t index, struct error *error)
{
    const char *target = move->disks.items[index].target;
    struct journal *journal = move->mover->journal;
    return journal_ledger_end(journal, move->undoes, target, error) < 0 ||
                   journal_set_given_up(journal, move->undoes, target, NULL, error) < 0
               ? -1
               : journal_set_fate(journal, move->undoes, target, DISK_RETURNED, error);
}

int undo_end_origin(struct move *move, struct error *error)
{
    CLEANUP(disk_records_clear) struct disk_records records = {0};
    if (!move->undoes)
        return 0;
    if (journal_disks(move->mover->journal, move->undoes, &records, error) < 0)
        return -1;
    for (size_t i = 0; i < records.count; i++)
        if (records.items[i].fate == DISK_PIVOTED)
            return 0; /* the rest can be taken back by another undo */
    AUTO_FREE char *detail = text_format("taken back by move %" PRId64, move->id);
    return journal_reach(move->mover->journal, move->undoes, PHASE_UNDONE, detail, error);
}

/* ---- old disks that were given up ---- */

static int is_lost(const struct given_up *given_up, struct error *error)
{
    AUTO_FREE char *where = given_up_describe(given_up);
    error_set(error, ERROR_NOT_FOUND, "its old disk is not there any more: it was %s", where);
    return error_hint(error, "there is nothing to go back to: a rule of the policy can move the "
                             "disk elsewhere");
}

static int find_image(const struct mover *mover, const struct plan_disk *disk,
                      const struct given_up *given_up, struct ceph_cluster **cluster, bool *away,
                      struct error *error)
{
    const struct ceph_image_name name = given_up_image(given_up);
    AUTO_FREE char *id = NULL;
    if (clusters_get(mover->clusters, &disk->destination.cluster, cluster, error) < 0 ||
        ceph_image_is_trashed(*cluster, &name, given_up->id, away, error) < 0)
        return -1;
    if (*away)
        return 0;
    if (ceph_image_id(*cluster, &name, &id, error) < 0 && error->code != ERROR_NOT_FOUND)
        return -1;
    error_clear(error);
    return text_equal(id, given_up->id) ? 0 : is_lost(given_up, error);
}

static int find_file(const struct given_up *given_up, bool *away, struct error *error)
{
    struct file_look aside, here;
    if (files_look(given_up->aside, &aside, error) < 0 ||
        files_look(given_up->path, &here, error) < 0)
        return -1;
    *away = aside.exists;
    return aside.exists || here.exists ? 0 : is_lost(given_up, error);
}

/* Where it is; `away` is false when it is where it was before. */
static int find_given_up(const struct mover *mover, const struct plan_disk *disk,
                         const struct given_up *given_up, struct ceph_cluster **cluster, bool *away,
                         struct error *error)
{
    *away = false;
    switch (given_up->kind) {
    case GIVEN_UP_TRASH:
        return find_image(mover, disk, given_up, cluster, away, error);
    case GIVEN_UP_ASIDE:
        return find_file(given_up, away, error);
    case GIVEN_UP_REMOVED:
        return is_lost(given_up, error);
    case GIVEN_UP_KEPT:
    case GIVEN_UP_NOTHING:
        break;
    }
    return 0;
}

static int read_given_up(struct move *move, size_t index, struct given_up *given_up,
                         struct error *error)
{
    CLEANUP(disk_records_clear) struct disk_records records = {0};
    const struct disk_record *disk = NULL;
    return origin_disk(move, index, &records, &disk, error) < 0
               ? -1
               : given_up_parse(disk->given_up, given_up, error);
}

int undo_fetch_back(struct move *move, size_t index, struct error *error)
{
    CLEANUP(given_up_clear) struct given_up given_up = {0};
    struct ceph_cluster *cluster = NULL;
    bool away = false;
    if (read_given_up(move, index, &given_up, error) < 0 ||
        find_given_up(move->mover, move_plan_of(move, index), &given_up, &cluster, &away, error) <
            0)
        return -1;
    if (!away)
        return 0;
    const struct ceph_image_name name = given_up_image(&given_up);
    return given_up.kind == GIVEN_UP_ASIDE ? files_rename(given_up.aside, given_up.path, error)
                                           : ceph_image_restore(cluster, &name, given_up.id, error);
}

int undo_put_away(struct move *move, size_t index, struct error *error)
{
    CLEANUP(given_up_clear) struct given_up given_up = {0};
    CLEANUP(move_record_clear) struct move_record origin = {0};
    struct ceph_cluster *cluster = NULL;
    bool away = false;
    if (read_given_up(move, index, &given_up, error) < 0 ||
        journal_read(move->mover->journal, move->undoes, &origin, error) < 0)
        return -1;
    bool had_been_away = origin.phase == PHASE_RETIRED &&
                         (given_up.kind == GIVEN_UP_TRASH || given_up.kind == GIVEN_UP_ASIDE);
    if (!had_been_away)
        return 0;
    if (find_given_up(move->mover, move_plan_of(move, index), &given_up, &cluster, &away, error) <
        0) {
        /* It was lost before: that is why this one is taken back. */
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error);
        return 0;
    }
    if (away)
        return 0;
    if (given_up.kind == GIVEN_UP_ASIDE)
        return files_rename(given_up.path, given_up.aside, error);
    const struct ceph_image_name name = given_up_image(&given_up);
    return ceph_image_trash(cluster, &name, given_up.id, move->plan->grace, error);
}

/* ---- the plan ---- */

struct origin {
    struct move_record record;
    struct disk_records disks;
    struct plan *plan;
    struct domain *live, *definition;
};

static void origin_clear(struct origin *origin)
{
    move_record_clear(&origin->record);
    disk_records_clear(&origin->disks);
    plan_freep(&origin->plan);
    domain_freep(&origin->live);
    domain_freep(&origin->definition);
}

static int read_origin(const struct mover *mover, int64_t id, struct origin *origin,
                       struct error *error)
{
    struct move_record *record = &origin->record;
    if (journal_read(mover->journal, id, record, error) < 0 ||
        journal_disks(mover->journal, id, &origin->disks, error) < 0 ||
        plan_from_record(record->plan, &origin->plan, error) < 0 ||
        domain_parse(record->live, strlen(record->live), &origin->live, error) < 0)
        return -1;
    return record->definition ? domain_parse(record->definition, strlen(record->definition),
                                             &origin->definition, error)
                              : 0;
}

/* By which move, as far as the journal knows. */
static int refuse_undone(const struct mover *mover, const struct move_record *record,
                         struct error *error)
{
    CLEANUP(move_records_clear) struct move_records later = {0};
    AUTO_ERROR struct error ignored = {0};
    error_set(error, ERROR_NOTHING, "move %" PRId64 " of domain '%s' was undone already",
              record->id, record->domain);
    if (journal_list(mover->journal, MOVES_ALL, record->uuid, &later, &ignored) < 0)
        return -1;
    for (size_t i = later.count; i-- > 0;)
        if (later.items[i].undoes == record->id && move_phase_is_final(later.items[i].phase) &&
            later.items[i].phase != PHASE_UNDONE)
            return error_hint(error,
                              "move %" PRId64 " took it back; 'virt-pivot undo %" PRId64
                              "' goes forth again",
                              later.items[i].id, later.items[i].id);
    return -1;
}

static int check_origin(const struct mover *mover, const struct move_record *record,
                        struct error *error)
{
    if (record->phase == PHASE_UNDONE)
        return refuse_undone(mover, record, error);
    if (record->kind == MOVE_INCOMING) {
        error_set(error, ERROR_FAILED,
                  "move %" PRId64 " of domain '%s' came by migration: its old disks are another "
                  "host's",
                  record->id, record->domain);
        return error_hint(error, "migrate it back, or move its disks by a rule of the policy");
    }
    if (*record->uri && mover->uri && !text_equal(record->uri, mover->uri)) {
        error_set(error, ERROR_FAILED,
                  "move %" PRId64 " of domain '%s' was made on %s, and this is %s", record->id,
                  record->domain, record->uri, mover->uri);
        return error_hint(error, "'virt-pivot -c %s undo %" PRId64 "' takes it back", record->uri,
                          record->id);
    }
    if (move_phase_is_final(record->phase))
        return 0;
    error_set(error, ERROR_OPERATOR, "move %" PRId64 " of domain '%s' has not come to its end: %s",
              record->id, record->domain,
              record->message ? record->message : move_phase_word(record->phase));
    return error_hint(error, "'virt-pivot recover %s' brings it to one", record->domain);
}

/* Of a volume; kept in texts. */
static void find_path(const struct mover *mover, const struct origin *origin,
                      struct undo_fact *fact, struct text_list *texts)
{
    const struct disk *disk = domain_disk(origin->live, fact->target);
    AUTO_ERROR struct error problem = {0};
    char *path = NULL;
    if (!fact->moved || !disk || disk->source.type != SOURCE_VOLUME)
        return;
    if (virt_volume_path(mover->virt, disk->source.volume_pool, disk->source.volume, &path,
                         &problem) == 0)
        fact->path = *text_list_add(texts) = path;
    else
        fact->problem = *text_list_add(texts) = STEAL(problem.message);
}

static int make_facts(const struct mover *mover, const struct origin *origin,
                      struct undo_fact *facts, struct given_up *given_up, struct text_list *texts,
                      struct error *error)
{
    for (size_t i = 0; i < origin->disks.count; i++) {
        const struct disk_record *disk = &origin->disks.items[i];
        if (given_up_parse(disk->given_up, &given_up[i], error) < 0)
            return -1;
        facts[i] = (struct undo_fact){
            .target = disk->target,
            .moved = disk->fate == DISK_PIVOTED,
            .removed = given_up[i].kind == GIVEN_UP_REMOVED,
            .away = given_up[i].kind == GIVEN_UP_TRASH || given_up[i].kind == GIVEN_UP_ASIDE,
            .verified = disk->verdict != VERDICT_NONE || !origin->plan->verify,
        };
        find_path(mover, origin, &facts[i], texts);
    }
    return 0;
}

static const struct plan_disk *planned_to_move(const struct plan *plan, const char *target)
{
    for (size_t i = 0; i < plan->disks.count; i++)
        if (text_equal(plan->disks.items[i].target, target) &&
            plan->disks.items[i].action == PLAN_MOVE)
            return &plan->disks.items[i];
    return NULL;
}

/* What stands against it in the world. An old disk that is away is looked at more closely once it
 * is back. */
static void find_problems(const struct mover *mover, const struct plan *plan,
                          struct undo_fact *facts, const struct given_up *given_up, size_t count,
                          struct text_list *texts)
{
    for (size_t i = 0; i < count; i++) {
        const struct plan_disk *disk = planned_to_move(plan, facts[i].target);
        struct ceph_cluster *cluster = NULL;
        AUTO_ERROR struct error problem = {0};
        bool away = false;
        if (!disk || ((disk->destination.remade ||
                       find_given_up(mover, disk, &given_up[i], &cluster, &away, &problem) == 0) &&
                      (away || undo_check_old_disk(mover, plan->uuid, disk, &problem) == 0)))
            continue;
        facts[i].problem = *text_list_add(texts) = STEAL(problem.message);
        if (problem.hint)
            facts[i].hint = *text_list_add(texts) = STEAL(problem.hint);
    }
}

/* Twice: what is to be looked at is known from the plan that would be made if all were well. */
static int plan_twice(const struct mover *mover, const struct origin *origin,
                      const struct move_undo_request *request, const struct plan_facts *facts,
                      struct undo_fact *old, struct given_up *given_up, struct plan **plan,
                      struct error *error)
{
    const struct undo_origin view = {request->id, origin->plan, origin->live, origin->definition};
    const size_t count = origin->disks.count;
    CLEANUP(text_list_clear) struct text_list texts = {0};
    CLEANUP(plan_freep) struct plan *first = NULL;
    if (make_facts(mover, origin, old, given_up, &texts, error) < 0)
        return -1;
    first = plan_make_undo(facts, &view, old, count, request->bandwidth);
    find_problems(mover, first, old, given_up, count, &texts);
    *plan = plan_make_undo(facts, &view, old, count, request->bandwidth);
    return 0;
}

int move_plan_undo(const struct mover *mover, const struct move_undo_request *request,
                   struct plan_facts *facts, struct plan **plan, struct error *error)
{
    CLEANUP(origin_clear) struct origin origin = {0};
    if (read_origin(mover, request->id, &origin, error) < 0 ||
        check_origin(mover, &origin.record, error) < 0 ||
        survey_guest(mover->virt, mover->clusters, origin.record.uuid, facts, error) < 0)
        return -1;
    const size_t count = origin.disks.count;
    AUTO_FREE struct undo_fact *old = memory_new(count, sizeof(*old));
    AUTO_FREE struct given_up *given_up = memory_new(count, sizeof(*given_up));
    int result = plan_twice(mover, &origin, request, facts, old, given_up, plan, error);
    for (size_t i = 0; i < count; i++)
        given_up_clear(&given_up[i]);
    return result;
}
