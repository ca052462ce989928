#include "move/private.h"

#include <inttypes.h>
#include <sys/random.h>

/* Each try already lasts as long as a cluster may take to answer (10 s). */
#define PROOF_TRIES 10
#define PROOF_PAUSE_MILLISECONDS 1000
#define CALM_MILLISECONDS 60000 /* between two restarts of the daemon: then they are no series */

struct steps {
    const struct step *const *items;
    size_t count;
};

/* The last one is the definition. */
static struct steps steps_of(const struct move *move)
{
    static const struct step *const live[] = {
        &prepare_source_step, &create_target_step, &save_definition_step, &undefine_step,
        &copy_step,           &mirror_step,        &pivot_step,           &redefine_step,
    };
    static const struct step *const offline[] = {
        &prepare_source_step, &create_target_step,  &save_definition_step, &copy_offline_step,
        &copied_offline_step, &switch_offline_step, &redefine_step,
    };
    static const struct step *const migrated[] = {
        &prepare_source_step, &create_target_step, &save_definition_step,
        &migrate_step,        &redefine_step,
    };
    if (move->plan->migrates)
        return (struct steps){migrated, ARRAY_SIZE(migrated)};
    return move_is_offline(move) ? (struct steps){offline, ARRAY_SIZE(offline)}
                                 : (struct steps){live, ARRAY_SIZE(live)};
}

static void announce(struct move *move, const char *detail)
{
    const struct move_audience *audience = &move->mover->audience;
    if (audience->phase)
        audience->phase(audience->opaque, move->id, move->phase, detail);
}

int reach(struct move *move, enum move_phase phase, const char *detail, struct error *error)
{
    if (journal_reach(move->mover->journal, move->id, phase, detail, error) < 0)
        return -1;
    move->phase = phase;
    announce(move, detail);
    return 0;
}

/* ---- one step ---- */

/* To libvirt, if it is that which is lost; a cluster may have shut its client out. */
static int reconnect(struct move *move, struct error *error)
{
    if (virt_connected(move->mover->virt))
        move_warn(move, "%s; trying again", error->message);
    else
        move_warn(move, "libvirt's daemon went away; waiting for it (the guest goes on)");
    error_clear(error);
    return virt_reconnect(move->mover->virt, move_patience(move), error);
}

int insist(struct move *move, const struct step *step, int (*act)(struct move *, struct error *),
           bool look_first, struct error *error)
{
    AUTO_FREE char *lost = NULL;
    for (unsigned tries = 0; tries < 5; tries++) {
        int64_t began = move_now_ms();
        if (act(move, error) == 0)
            return 0;
        free(lost);
        lost = text_dup(error->message);
        if (move_now_ms() - began > CALM_MILLISECONDS)
            tries = 0; /* a copy of days sees many an upgrade of the daemon */
        if (error->code != ERROR_DISCONNECTED || reconnect(move, error) < 0)
            return -1;
        bool is_done = false;
        if (look_first && step->done(move, &is_done, error) < 0 &&
            error->code != ERROR_DISCONNECTED)
            return -1;
        if (is_done)
            return 0;
        error_clear(error);
    }
    return error_set(error, ERROR_UNREACHABLE, "the connection keeps being lost: %s", lost);
}

/* A step may not act until the user's wish to cancel was looked at; from the first pivot on there
 * is no way back, only forward. */
static int perform(struct move *move, const struct step *step, struct error *error)
{
    struct move_control control;
    if (step->phase <= PHASE_PIVOTED && !move->recovering &&
        move_check_interrupted(move, &control, error) < 0)
        return -1;
    if (journal_begin(move->mover->journal, move->id, step->phase, error) < 0 ||
        insist(move, step, step->act, true, error) < 0)
        return -1;
    AUTO_FREE char *detail = step->describe(move);
    return reach(move, step->phase, detail, error);
}

/* ---- back ---- */

static void note_failure(struct move *move, const struct error *failure)
{
    AUTO_ERROR struct error ignored = {0};
    if (journal_set_message(move->mover->journal, move->id, failure->message, failure->hint,
                            &ignored) < 0 ||
        journal_note(move->mover->journal, move->id, "failed", failure->message, &ignored) < 0)
        error_clear(&ignored); /* the failure may well be the journal's: what counts is the world */
}

/* Ends what is under way, so that nobody can bring the guest to its targets any more. */
static int (*end_of(const struct move *move))(struct move *, struct error *)
{
    if (move->plan->migrates)
        return migrate_step.undo;
    return move_is_offline(move) ? offline_undo : copy_step.undo;
}

/* The guest writes to its sources: takes every step back, the last first. A step that cannot be
 * taken back does not keep the others from it: the definition comes back even if a target image
 * cannot be removed. */
int undo_all(struct move *move, struct error *error)
{
    AUTO_ERROR struct error journal_failure = {0};
    if (journal_reach(move->mover->journal, move->id, PHASE_UNDOING, NULL, &journal_failure) == 0) {
        move->phase = PHASE_UNDOING;
        announce(move, NULL);
    }
    AUTO_ERROR struct error paused = {0};
    bool goes_on = insist(move, NULL, move_let_go, false, &paused) == 0;
    bool ended = insist(move, NULL, end_of(move), false, error) == 0;
    /* Until the jobs had ended anybody could pivot them. */
    if (ended && insist(move, NULL, settle_fates, false, error) < 0)
        return -1;
    if (move_any_pivoted(move))
        return error_set(error, ERROR_FAILED, "a disk was pivoted meanwhile");
    const struct steps steps = steps_of(move);
    for (size_t i = steps.count; i-- > 0;) {
        const struct step *step = steps.items[i];
        if (step->phase >= PHASE_COPYING || (!ended && step == &create_target_step))
            continue;
        AUTO_ERROR struct error failure = {0};
        if (insist(move, step, step->undo, false, &failure) < 0 && !error_is_set(error))
            error_move(error, &failure);
    }
    if (!goes_on && insist(move, NULL, move_let_go, false, error) < 0)
        return -1;
    if (error_is_set(error))
        return -1;
    if (error_is_set(&journal_failure)) {
        error_move(error, &journal_failure);
        return -1;
    }
    return reach(move, PHASE_UNDONE, "everything is as it was", error);
}

int needs_operator(struct move *move, struct error *error)
{
    AUTO_ERROR struct error ignored = {0};
    AUTO_ERROR struct error paused = {0};
    error->code = ERROR_OPERATOR;
    if (insist(move, NULL, move_let_go, false, &paused) < 0)
        move_warn(move, "%s", paused.message);
    if (!error->hint)
        error_hint(error,
                   "'virt-pivot history %" PRId64 "' tells the story; mend the cause, then "
                   "'virt-pivot recover'",
                   move->id);
    note_failure(move, error);
    /* Even so the definition must name the disks in use, if that can be done at all. Where it is
     * not known which that are, no definition is better than one that the guest could be started
     * with. */
    AUTO_ERROR struct error again = {0};
    if (move_any_pivoted(move) && !move_has_fate(move, DISK_PIVOTING) &&
        !move_phase_is_final(move->phase) &&
        insist(move, &redefine_step, redefine_step.act, false, &again) < 0)
        move_warn(move, "the definition: %s", again.message);
    if (journal_reach(move->mover->journal, move->id, PHASE_NEEDS_OPERATOR, error->message,
                      &ignored) == 0) {
        move->phase = PHASE_NEEDS_OPERATOR;
        announce(move, error->message);
    }
    return -1;
}

static int go_forward(struct move *move, struct error *error);

static int go_back(struct move *move, struct error *error)
{
    AUTO_ERROR struct error failure = {0};
    note_failure(move, error);
    bool undone = undo_all(move, &failure) == 0;
    if (!undone && move_any_pivoted(move))
        return go_forward(move, error);
    if (undone) {
        error_prefix(error, "move %" PRId64 " of domain '%s' was undone, everything is as it was",
                     move->id, move->plan->domain);
        return -1;
    }
    AUTO_FREE char *cause = text_dup(error->message);
    error_move(error, &failure);
    error_prefix(error, "move %" PRId64 " of domain '%s' failed (%s), and is not fully undone",
                 move->id, move->plan->domain, cause);
    return needs_operator(move, error);
}

/* ---- forward ---- */

/* Some disks are on their target for good. What is not stays where it is, and the definition says
 * of each where it is. */
int leave_the_rest(struct move *move, struct error *error)
{
    bool partial = false;
    if (insist(move, NULL, move_abort_mirrors, false, error) < 0 ||
        insist(move, NULL, settle_fates, false, error) < 0)
        return -1;
    for (size_t i = 0; i < move->disks.count; i++) {
        if (move->disks.items[i].fate == DISK_PIVOTED)
            continue;
        partial = true;
        if (move_set_fate(move, i, DISK_RETURNED, error) < 0)
            return -1;
    }
    return partial ? move_remove_targets(move, error) : 0;
}

/* The target cluster may be slow to answer just now: the guest is there, so that is worth waiting
 * for. */
static int prove(struct move *move, struct error *error)
{
    bool proven = false;
    unsigned tries = 0;
    int64_t start = move_now_ms();
    /* A service with other things to do says how patient it is; it comes back. */
    bool in_a_hurry = move->mover->patience > 0;
    while (redefine_step.done(move, &proven, error) < 0) {
        if (error->code != ERROR_UNREACHABLE || tries++ >= PROOF_TRIES ||
            (in_a_hurry && move_out_of_patience(move, start)))
            return -1;
        move_warn(move, "waiting for the target cluster: %s", error->message);
        error_clear(error);
        clusters_reset(move->mover->clusters);
        virt_wait(move->mover->virt, PROOF_PAUSE_MILLISECONDS);
    }
    if (!proven)
        return error_set(error, ERROR_OPERATOR,
                         "the domain is not persistent after its definition "
                         "was given back");
    return 0;
}

/* Those that were made for a doubt that did not arise, or is settled. */
static void drop_captures(struct move *move)
{
    for (size_t i = 0; !move->plan->verify && i < move->disks.count; i++) {
        AUTO_ERROR struct error failure = {0};
        if (capture_drop_patiently(move, i, &failure) < 0)
            move_warn(move, "disk %s: the snapshot %s stays on its new image: %s",
                      move->disks.items[i].target, move->disks.items[i].snapshot, failure.message);
    }
}

/* The end is reached when it is proven, not before. After an interruption all of it is done again:
 * a daemon that was started anew may have found a definition of its own making. */
int finish(struct move *move, struct error *error)
{
    if (journal_begin(move->mover->journal, move->id, redefine_step.phase, error) < 0 ||
        insist(move, &redefine_step, redefine_step.act, false, error) < 0 ||
        insist(move, NULL, move_let_go, false, error) < 0 ||
        insist(move, &redefine_step, prove, false, error) < 0 || undo_end_origin(move, error) < 0)
        return -1;
    drop_captures(move);
    offline_reveal_snapshots(move);
    AUTO_FREE char *detail = redefine_step.describe(move);
    return reach(move, redefine_step.phase, detail, error);
}

static int go_forward(struct move *move, struct error *error)
{
    AUTO_ERROR struct error failure = {0};
    bool all = move_all_pivoted(move); /* an answer may have been lost, and all is well */
    if (!all)
        note_failure(move, error);
    if (leave_the_rest(move, &failure) == 0 &&
        reach(move, PHASE_PIVOTED, all ? "all disks" : "not all disks", &failure) == 0 &&
        finish(move, &failure) == 0) {
        if (all) {
            move_warn(move, "all disks have moved, but not without trouble: %s", error->message);
            error_clear(error);
            return 0;
        }
        error_prefix(error, "domain '%s': some disks moved, others are still on their source",
                     move->plan->domain);
        error->code = ERROR_OPERATOR;
        return error_hint(error, "its definition names the disks in use; move the others again "
                                 "when the cause is mended");
    }
    error_prefix(&failure, "domain '%s': after the first pivot (%s)", move->plan->domain,
                 error->message);
    error_move(error, &failure);
    return needs_operator(move, error);
}

static int resolve_after_failure(struct move *move, struct error *error)
{
    if (move->phase >= PHASE_PIVOTED)
        return needs_operator(move, error);
    /* By what is, not by what was asked for: somebody may have pivoted a disk by hand. */
    AUTO_ERROR struct error failure = {0};
    if (insist(move, NULL, settle_fates, false, &failure) < 0) {
        error_prefix(&failure, "%s", error->message);
        error_move(error, &failure);
        return needs_operator(move, error);
    }
    return move_any_pivoted(move) ? go_forward(move, error) : go_back(move, error);
}

int run_from(struct move *move, enum move_phase phase, struct error *error)
{
    const struct steps steps = steps_of(move);
    for (size_t i = 0; i + 1 < steps.count; i++)
        if (steps.items[i]->phase >= phase && perform(move, steps.items[i], error) < 0)
            return resolve_after_failure(move, error);
    return finish(move, error) < 0 ? needs_operator(move, error) : 0;
}

/* ---- entry points ---- */

void forget(struct move *move)
{
    offline_close(move);
    domain_freep(&move->before);
    domain_freep(&move->saved);
    disk_records_clear(&move->disks);
}

static char *new_token(const char *target)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        abort();
    return text_format("%016" PRIx64 "-%s", random, target);
}

int move_record_plan(struct move *move, const char *uri, const char *xml, struct error *error)
{
    AUTO_FREE char *text = plan_to_record(move->plan);
    const struct move_record record = {
        .kind = move->kind,
        .undoes = move->undoes,
        .uuid = move->plan->uuid,
        .domain = move->plan->domain,
        .uri = (char *)uri,
        .plan = text,
        .live = (char *)xml,
    };
    if (journal_create(move->mover->journal, &record, &move->id, error) < 0)
        return -1;
    for (size_t i = 0; i < move->plan->disks.count; i++) {
        const struct plan_disk *disk = &move->plan->disks.items[i];
        if (disk->action != PLAN_MOVE)
            continue;
        AUTO_FREE char *token = new_token(disk->target);
        if (journal_add_disk(move->mover->journal, move->id, disk->target, token, error) < 0)
            return -1;
    }
    return journal_disks(move->mover->journal, move->id, &move->disks, error);
}

/* Before a new row leads away from there once more. */
static int note_return(struct move *move, struct error *error)
{
    CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
    CLEANUP(text_list_clear) struct text_list told = {0};
    struct journal *journal = move->mover->journal;
    return journal_ledger(journal, move->plan->uuid, &rows, error) < 0
               ? -1
               : move_note_return(journal, &rows, move->before, &told, error);
}

static int execute(struct move *move, const char *live_xml, int64_t *id, struct error *error)
{
    if (domain_parse(live_xml, strlen(live_xml), &move->before, error) < 0 ||
        note_return(move, error) < 0 ||
        move_record_plan(move, move->mover->uri, live_xml, error) < 0)
        return -1;
    *id = move->id;
    announce(move, NULL);
    if (reach(move, PHASE_LOCKED, NULL, error) < 0)
        return go_back(move, error);
    return run_from(move, PHASE_SOURCE_PREPARED, error);
}

int move_execute(const struct mover *mover, const struct plan *plan, const char *xml, int64_t *id,
                 struct error *error)
{
    CLEANUP(forget)
    struct move move = {
        .mover = mover, .plan = plan, .kind = plan->active ? MOVE_LIVE : MOVE_OFFLINE};
    return execute(&move, xml, id, error);
}

int move_undo(const struct mover *mover, const struct plan *plan, int64_t undoes,
              const char *live_xml, int64_t *id, struct error *error)
{
    CLEANUP(forget)
    struct move move = {.mover = mover, .plan = plan, .kind = MOVE_UNDO, .undoes = undoes};
    return execute(&move, live_xml, id, error);
}
