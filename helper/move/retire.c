/* The sources of a finished move are given up: when its grace is over, its contents are proven, and
 * nobody in the world as it is now names, watches or holds them. What is given up is written down
 * before it is. */
#include "move/retire.h"

#include "base/units.h"

#include <inttypes.h>

/* ---- what is known ---- */

void retiring_clear(struct retiring *retiring)
{
    for (size_t i = 0; retiring->disks && i < retiring->records.count; i++)
        given_up_clear(&retiring->disks[i].given_up);
    free(retiring->disks);
    disk_records_clear(&retiring->records);
    ledger_rows_clear(&retiring->rows);
    move_records_clear(&retiring->others);
    virt_domain_clear(&retiring->state);
    for (size_t i = 0; i < retiring->namings.count; i++) {
        free(retiring->namings.items[i].domain);
        free(retiring->namings.items[i].uuid);
        /* As a list of one, the entry is cleared by who knows it. */
        struct named_sources one = {memory_new(1, sizeof(struct named_source)), 1, 1};
        one.items[0] = retiring->namings.items[i].at;
        named_sources_clear(&one);
    }
    free(retiring->namings.items);
    error_clear(&retiring->unknown);
    domain_freep(&retiring->before);
    plan_freep(&retiring->plan);
    move_record_clear(&retiring->record);
}

static const struct plan_disk *planned(const struct plan *plan, const char *target)
{
    for (size_t i = 0; i < plan->disks.count; i++)
        if (text_equal(plan->disks.items[i].target, target))
            return &plan->disks.items[i];
    abort(); /* the records are made from the plan */
}

static int load(struct retiring *retiring, int64_t id, struct error *error)
{
    struct journal *journal = retiring->mover->journal;
    if (journal_read(journal, id, &retiring->record, error) < 0 ||
        plan_from_record(retiring->record.plan, &retiring->plan, error) < 0 ||
        domain_parse(retiring->record.live, strlen(retiring->record.live), &retiring->before,
                     error) < 0 ||
        journal_disks(journal, id, &retiring->records, error) < 0 ||
        journal_ledger(journal, retiring->record.uuid, &retiring->rows, error) < 0)
        return -1;
    retiring->begun = retiring->record.begun == PHASE_RETIRED;
    retiring->disks = memory_new(retiring->records.count, sizeof(*retiring->disks));
    for (size_t i = 0; i < retiring->records.count; i++) {
        const struct disk_record *record = &retiring->records.items[i];
        retiring->disks[i] = (struct retiring_disk){
            .record = record,
            .plan = planned(retiring->plan, record->target),
            .before = domain_disk(retiring->before, record->target),
            .staying = record->fate != DISK_PIVOTED,
        };
        if (!retiring->disks[i].before)
            return error_set(error, ERROR_INPUT,
                             "the journal does not tell what disk %s of move %" PRId64 " was",
                             record->target, id);
    }
    return 0;
}

static int load_others(struct retiring *retiring, struct error *error)
{
    CLEANUP(move_records_clear) struct move_records all = {0};
    if (journal_list(retiring->mover->journal, MOVES_ALL, NULL, &all, error) < 0)
        return -1;
    for (size_t i = 0; i < all.count; i++) {
        if (all.items[i].id == retiring->record.id)
            continue;
        *move_records_add(&retiring->others) = all.items[i];
        all.items[i] = (struct move_record){0};
    }
    return 0;
}

/* ---- looking ---- */

static char *tell_fate(const struct retiring *retiring, const struct retiring_disk *disk)
{
    const struct given_up *given_up = &disk->given_up;
    if (disk->staying)
        return text_dup("stays: the guest has not left it");
    if (disk->done || given_up->kind == GIVEN_UP_NOTHING || given_up->kind == GIVEN_UP_KEPT)
        return given_up_describe(given_up);
    if (retiring->plan->source_after == SOURCE_REMOVE || given_up->kind == GIVEN_UP_REMOVED)
        return text_dup("to be removed");
    if (given_up->kind == GIVEN_UP_ASIDE)
        return text_format("to be renamed to %s", given_up->aside);
    AUTO_FREE char *grace = format_duration(retiring->plan->grace);
    return text_format("to the trash of pool %s, for %s", given_up->pool, grace);
}

static void tell(const struct retiring *retiring, struct retirement *told)
{
    told->id = retiring->record.id;
    told->domain = text_dup(retiring->record.domain);
    for (size_t i = 0; i < retiring->records.count; i++) {
        struct retirement_disk *disk = retirement_disks_add(&told->disks);
        disk->target = text_dup(retiring->records.items[i].target);
        disk->source = text_dup(retiring->disks[i].plan->source);
    }
}

static void tell_fates(const struct retiring *retiring, struct retirement *told)
{
    for (size_t i = 0; i < told->disks.count; i++) {
        struct retirement_disk *disk = &told->disks.items[i];
        free(disk->fate);
        disk->fate = tell_fate(retiring, &retiring->disks[i]);
        disk->kept =
            retiring->disks[i].staying || retiring->disks[i].given_up.kind == GIVEN_UP_KEPT;
    }
}

void retirement_clear(struct retirement *told)
{
    for (size_t i = 0; i < told->disks.count; i++) {
        free(told->disks.items[i].target);
        free(told->disks.items[i].source);
        free(told->disks.items[i].fate);
        free(told->disks.items[i].obstacle);
        free(told->disks.items[i].hint);
    }
    free(told->disks.items);
    free(told->domain);
    *told = (struct retirement){0};
}

/* Every disk is looked at, so that all obstacles are told at once; the error is the first. */
static int look_at_disks(struct retiring *retiring, struct retirement *told, struct error *error)
{
    for (size_t i = 0; i < retiring->records.count; i++) {
        struct retiring_disk *disk = &retiring->disks[i];
        AUTO_ERROR struct error obstacle = {0};
        if (disk->staying)
            continue;
        bool is_clear = retire_choose(retiring, i, &obstacle) == 0 &&
                        retire_is_done(retiring, i, &disk->done, &obstacle) == 0 &&
                        (disk->done || retire_check_disk(retiring, i, &obstacle) == 0);
        if (is_clear)
            continue;
        told->disks.items[i].obstacle = text_dup(obstacle.message);
        told->disks.items[i].hint = text_dup(obstacle.hint);
        if (error_is_set(error))
            continue;
        error_move(error, &obstacle);
        error_prefix(error, "the source %s of disk %s is not given up", disk->plan->source,
                     disk->plan->target);
    }
    return error_is_set(error) ? -1 : 0;
}

static int look(struct retiring *retiring, bool now, struct retirement *told, struct error *error)
{
    const struct mover *mover = retiring->mover;
    if (virt_domain(mover->virt, retiring->record.uuid, &retiring->state, error) < 0 ||
        retire_check_move(retiring, now, error) < 0 || load_others(retiring, error) < 0 ||
        retire_read_names(retiring, error) < 0)
        return -1;
    return look_at_disks(retiring, told, error);
}

/* ---- acting ---- */

static int announce_disk(struct retiring *retiring, size_t index, struct error *error)
{
    struct retiring_disk *disk = &retiring->disks[index];
    struct journal *journal = retiring->mover->journal;
    AUTO_FREE char *text = given_up_format(&disk->given_up);
    AUTO_FREE char *fate = tell_fate(retiring, disk);
    AUTO_FREE char *size = format_size(disk->plan->capacity);
    const char *source_digest = disk->record->source_digest;
    AUTO_FREE char *detail = text_format(
        "disk %s: %s%s%s (%s%s%s%s%s): %s", disk->plan->target, disk->plan->source,
        disk->given_up.id ? ", id " : "", disk->given_up.id ? disk->given_up.id : "", size,
        source_digest ? ", sha256 " : "", source_digest ? source_digest : "",
        source_digest ? ", target " : "", source_digest ? disk->record->target_digest : "", fate);
    if (journal_note(journal, retiring->record.id, "give up", detail, error) < 0 ||
        journal_set_given_up(journal, retiring->record.id, disk->plan->target, text, error) < 0)
        return -1;
    free(retiring->records.items[index].given_up);
    retiring->records.items[index].given_up = STEAL(text);
    return 0;
}

static int do_disk(struct retiring *retiring, size_t index, struct error *error)
{
    struct retiring_disk *disk = &retiring->disks[index];
    if (retire_act(retiring, index, error) < 0) {
        /* The answer may have been lost. */
        AUTO_ERROR struct error unknown = {0};
        if (retire_is_done(retiring, index, &disk->done, &unknown) < 0 || !disk->done)
            return error_prefix(error, "the source %s of disk %s is not given up",
                                disk->plan->source, disk->plan->target);
        error_clear(error);
    }
    disk->done = true;
    return journal_ledger_retire(retiring->mover->journal, retiring->record.id, disk->plan->target,
                                 disk->given_up.kind != GIVEN_UP_KEPT, error);
}

static int write_back(struct retiring *retiring, size_t index, struct error *error)
{
    struct journal *journal = retiring->mover->journal;
    const char *target = retiring->disks[index].plan->target;
    return journal_set_given_up(journal, retiring->record.id, target, NULL, error) < 0 ||
                   journal_ledger_retire(journal, retiring->record.id, target, false, error) < 0
               ? -1
               : 0;
}

/* What was announced and not done is not to be done: the journal says so again. When some of it was
 * done, the retirement stays begun, and is to be brought to its end. */
static int withdraw(struct retiring *retiring, const struct error *cause, struct error *error)
{
    struct journal *journal = retiring->mover->journal;
    bool any = false;
    for (size_t i = 0; i < retiring->records.count; i++) {
        struct retiring_disk *disk = &retiring->disks[i];
        if (disk->staying || !disk->record->given_up)
            continue;
        if ((disk->given_up.kind == GIVEN_UP_NOTHING && retire_choose(retiring, i, error) < 0) ||
            retire_is_done(retiring, i, &disk->done, error) < 0)
            return -1;
        any |= disk->done && disk->given_up.kind != GIVEN_UP_KEPT;
        if (!disk->done &&
            (retire_take_back(retiring, i, error) < 0 || write_back(retiring, i, error) < 0))
            return -1;
    }
    if (journal_note(journal, retiring->record.id, "not given up", cause->message, error) < 0)
        return -1;
    if (any)
        return 0;
    for (size_t i = 0; i < retiring->records.count; i++)
        if (retiring->disks[i].record->given_up && write_back(retiring, i, error) < 0)
            return -1;
    return journal_begin(journal, retiring->record.id, retiring->record.phase, error);
}

static char *summary(const struct retiring *retiring)
{
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < retiring->records.count; i++) {
        AUTO_FREE char *fate = tell_fate(retiring, &retiring->disks[i]);
        buffer_format(&text, "%s%s: %s", i ? "; " : "", retiring->records.items[i].target, fate);
    }
    return buffer_take(&text);
}

static int act(struct retiring *retiring, struct error *error)
{
    const struct mover *mover = retiring->mover;
    int64_t id = retiring->record.id;
    if (journal_begin(mover->journal, id, PHASE_RETIRED, error) < 0)
        return -1;
    for (size_t i = 0; i < retiring->records.count; i++)
        if (!retiring->disks[i].staying && !retiring->disks[i].record->given_up &&
            announce_disk(retiring, i, error) < 0)
            return -1;
    for (size_t i = 0; i < retiring->records.count; i++)
        if (!retiring->disks[i].staying && do_disk(retiring, i, error) < 0)
            return -1;
    AUTO_FREE char *detail = summary(retiring);
    if (journal_reach(mover->journal, id, PHASE_RETIRED, detail, error) < 0)
        return -1;
    if (mover->audience.phase)
        mover->audience.phase(mover->audience.opaque, id, PHASE_RETIRED, detail);
    return 0;
}

int move_retire(const struct mover *mover, int64_t id, const struct retire_wishes *wishes,
                struct retirement *told, struct error *error)
{
    CLEANUP(retiring_clear) struct retiring retiring = {.mover = mover};
    if (load(&retiring, id, error) < 0)
        return -1;
    tell(&retiring, told);
    told->begun = retiring.begun;
    int result = look(&retiring, wishes->now, told, error);
    tell_fates(&retiring, told);
    if (wishes->dry_run)
        return result;
    bool begins = result == 0;
    if (begins)
        result = act(&retiring, error);
    if (result < 0 && (begins || retiring.begun) && error->code != ERROR_NOTHING) {
        AUTO_ERROR struct error failure = {0};
        if (withdraw(&retiring, error, &failure) < 0)
            error_clear(&failure); /* it stays begun: whoever comes next looks again */
    }
    tell_fates(&retiring, told);
    return result;
}

bool move_is_retiring(const struct move_record *record)
{
    return record->begun == PHASE_RETIRED &&
           (record->phase == PHASE_REDEFINED || record->phase == PHASE_VERIFIED);
}
