#include "stage.h"

#include "journal/scratch.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

static const char policy_text[] =
    "version: 1\n"
    "clusters:\n"
    "  old: {mons: ['10.0.0.1:6789'], user: libvirt,"
    " secret: 2d51d16c-b0ef-4a9f-8938-de099f017a62}\n"
    "  new: {mons: ['10.1.0.1:3300', '10.1.0.2:3300'], user: libvirt, secret: client.libvirt new";
static const char policy_tiers[] =
    "}\n"
    "tiers:\n"
    "  gold: {pool: new/fast, qos: {iops: 500}, driver: {cache: none, discard: unmap}}\n"
    "  tuned: {pool: new/fast, qos: {enforce: iotune, iops: 700}}\n"
    "  plain: {pool: new/fast}\n";

/* What a child and its parent share. */
struct shared {
    struct fake_world world;
    struct outcome outcome;
};

/* Who watched knows the truth. */
static bool never_ran(void *opaque, const char *uuid, int64_t since)
{
    struct stage *stage = opaque;
    if (!text_equal(uuid, FAKE_UUID) || since <= 0)
        fake_violate(stage->world, "asked whether %s ran since %lld", uuid, (long long)since);
    return !stage->world->journey.ran_here && !stage->world->journey.was_started;
}

/* As somebody saw it come, or says so (recover --keep). One that was started here from a definition
 * has not been on its images for that. */
static bool has_arrived(void *opaque, const char *uuid, int64_t since)
{
    struct stage *stage = opaque;
    if (!text_equal(uuid, FAKE_UUID) || since <= 0)
        fake_violate(stage->world, "asked whether %s ran since %lld", uuid, (long long)since);
    return stage->keep || (stage->kind.arrival->watched && stage->world->journey.ran_here);
}

static bool has_left(void *opaque, const char *uuid, int64_t since)
{
    struct stage *stage = opaque;
    const struct fake_journey *journey = &stage->world->journey;
    return text_equal(uuid, FAKE_UUID) && journey->left_at &&
           FAKE_EPOCH + journey->left_at / 1000 >= since;
}

static struct mover mover_of(struct stage *stage)
{
    bool watched = stage->kind.arrival && stage->kind.arrival->watched;
    return (struct mover){
        .journal = stage->journal,
        .virt = &stage->virt,
        .clusters = stage->clusters,
        .uri = "fake:///system",
        .audience = stage->audience,
        .never_ran = watched ? never_ran : NULL,
        .has_arrived = watched || stage->keep ? has_arrived : NULL,
        .has_left = watched ? has_left : NULL,
        .watch_opaque = stage,
        .patience = stage->patience,
    };
}

static void end_life(struct stage *stage, int result)
{
    struct outcome *outcome = stage->outcome;
    const struct error *error = &stage->error;
    outcome->status = result == 0 ? 0 : error_exit_status(error);
    outcome->code = error->code;
    snprintf(outcome->message, sizeof(outcome->message), "%s",
             error->message ? error->message : "");
    snprintf(outcome->hint, sizeof(outcome->hint), "%s", error->hint ? error->hint : "");
    if ((result == 0) != (error->code == ERROR_NONE))
        fake_violate(stage->world, "result %d with error code %d (%s)", result, (int)error->code,
                     outcome->message);
}

static void keep_warning(void *opaque, const char *text)
{
    struct stage *stage = opaque;
    char *more = text_format("%s%s\n", stage->warnings ? stage->warnings : "", text);
    free(stage->warnings);
    stage->warnings = more;
}

/* ---- lives ---- */

static int begin_life(struct stage *stage, struct virt *virt, struct error *error)
{
    if (virt)
        fake_virt_connect(virt, stage->world);
    stage->clusters = clusters_new(virt);
    if (journal_open(stage->folder, JOURNAL_WRITE, &stage->journal, error) < 0)
        return -1;
    return journal_lock(stage->journal, FAKE_UUID, &stage->lock, error);
}

/* What is not verified now is so later: only a difference is a reason to end otherwise. */
static int verify(struct stage *stage, const struct mover *mover, int64_t id, struct error *error)
{
    if (move_verify(mover, id, false, error) == 0)
        return 0;
    stage->outcome->verification = error->code;
    snprintf(stage->outcome->message, sizeof(stage->outcome->message), "%s", error->message);
    if (error->code == ERROR_OPERATOR)
        return -1;
    error_clear(error);
    return 0;
}

static int live_and_move(struct stage *stage, struct error *error)
{
    if (begin_life(stage, &stage->virt, error) < 0)
        return -1;
    const struct mover mover = mover_of(stage);
    if (move_execute(&mover, stage->plan, stage->live_xml, &stage->outcome->id, error) < 0)
        return -1;
    return stage->plan->verify && !stage->unproven
               ? verify(stage, &mover, stage->outcome->id, error)
               : 0;
}

/* Of all that are still to be verified. */
static int verify_all(struct stage *stage, const struct mover *mover, struct error *error)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    if (journal_list(stage->journal, MOVES_UNVERIFIED, NULL, &records, error) < 0)
        return -1;
    for (size_t i = 0; i < records.count; i++)
        if (verify(stage, mover, records.items[i].id, error) < 0)
            return -1;
    return 0;
}

static int live_and_verify(struct stage *stage, struct error *error)
{
    if (begin_life(stage, &stage->virt, error) < 0)
        return -1;
    const struct mover mover = mover_of(stage);
    return verify_all(stage, &mover, error);
}

static int live_and_undo(struct stage *stage, struct error *error)
{
    CLEANUP(survey_clear) struct plan_facts facts = {0};
    CLEANUP(plan_freep) struct plan *plan = NULL;
    if (begin_life(stage, &stage->virt, error) < 0)
        return -1;
    const struct mover mover = mover_of(stage);
    const struct move_undo_request request = {.id = stage->undoes};
    if (move_plan_undo(&mover, &request, &facts, &plan, error) < 0 || plan_check(plan, error) < 0)
        return -1;
    const struct domain *domain = facts.live ? facts.live : facts.inactive;
    if (move_undo(&mover, plan, stage->undoes, domain->xml, &stage->outcome->id, error) < 0)
        return -1;
    return plan->verify ? verify(stage, &mover, stage->outcome->id, error) : 0;
}

/* Within libvirt's hook: libvirt must not be asked for anything. */
static int live_and_expect(struct stage *stage, struct error *error)
{
    if (begin_life(stage, NULL, error) < 0)
        return -1;
    const struct mover mover = {.journal = stage->journal, .clusters = stage->clusters};
    return move_expect(&mover, stage->plan, stage->live_xml, &stage->outcome->id, error);
}

/* As the verb does: the lock, then every unfinished move. */
static int recover_all(struct stage *stage,
                       int (*recover)(const struct mover *, int64_t, enum move_outcome *,
                                      struct error *),
                       struct error *error)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    if (begin_life(stage, &stage->virt, error) < 0 ||
        journal_list(stage->journal, MOVES_UNFINISHED, NULL, &records, error) < 0)
        return -1;
    const struct mover mover = mover_of(stage);
    stage->outcome->recovered = records.count;
    long before = stage->world->journal_disk.writes;
    int result = 0;
    for (size_t i = 0; i < records.count && result == 0; i++)
        result = recover(&mover, records.items[i].id, &stage->outcome->end, error);
    stage->outcome->writes = stage->world->journal_disk.writes - before;
    return result == 0 ? verify_all(stage, &mover, error) : result;
}

static int live_and_recover(struct stage *stage, struct error *error)
{
    return recover_all(stage, move_recover, error);
}

static int live_and_resume(struct stage *stage, struct error *error)
{
    return recover_all(stage, move_resume, error);
}

static int live_and_retire(struct stage *stage, struct error *error)
{
    CLEANUP(retirement_clear) struct retirement told = {0};
    AUTO_BUFFER struct buffer text = {0};
    if (begin_life(stage, &stage->virt, error) < 0)
        return -1;
    const struct mover mover = mover_of(stage);
    int result = move_retire(&mover, 1, &stage->wishes, &told, error);
    for (size_t i = 0; i < told.disks.count; i++) {
        const struct retirement_disk *disk = &told.disks.items[i];
        buffer_format(&text, "%s: %s (%s)\n", disk->target, disk->fate ? disk->fate : "-",
                      disk->obstacle ? disk->obstacle : "-");
    }
    free(stage->told);
    stage->told = buffer_take(&text);
    return result;
}

/* The address sanitizer keeps what was freed for a while, and who had allocated it: less of both is
 * enough here, and several times as fast. */
extern const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=16:malloc_context_size=6";
}

/* Of the leak sanitizer, where that is linked in. */
extern void __lsan_disable(void) __attribute__((weak));
extern void __lsan_enable(void) __attribute__((weak));

/* Who is killed does not clean up. */
static bool will_be_killed(const struct fake_world *world)
{
    for (size_t i = 0; i < FAKE_EVENTS; i++)
        if (world->events[i].deed == DEED_KILL || world->events[i].deed == DEED_HOST_REBOOT)
            return true;
    return false;
}

static void live_or_die(struct stage *stage, int (*way)(struct stage *, struct error *))
{
    jmp_buf death;
    const volatile bool leaks = __lsan_disable && __lsan_enable && will_be_killed(stage->world);
    if (leaks)
        __lsan_disable();
    stage->world->death = &death;
    if (setjmp(death) == 0)
        end_life(stage, way(stage, &stage->error));
    stage->world->death = NULL;
    if (leaks)
        __lsan_enable();
}

static const struct outcome *live(struct stage *stage, int (*way)(struct stage *, struct error *))
{
    *stage->outcome = (struct outcome){.status = FAKE_KILLED};
    free(STEAL(stage->warnings));
    fake_clock_follow(stage->world);
    fake_blocks_follow(stage->world);
    fake_files_follow(stage->world);
    live_or_die(stage, way);
    fake_clock_follow(NULL);
    fake_blocks_follow(NULL);
    fake_files_follow(NULL);
    clusters_freep(&stage->clusters);
    journal_unlock(&stage->lock);
    journal_closep(&stage->journal);
    error_clear(&stage->error);
    fake_world_guard(stage->world);
    return stage->outcome;
}

static const struct outcome *live_in_child(struct stage *stage,
                                           int (*way)(struct stage *, struct error *))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        live(stage, way);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    fake_world_guard(stage->world);
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != FAKE_KILLED))
        fake_violate(stage->world, "virt-pivot died of itself (wait status %#x)", (unsigned)status);
    return stage->outcome;
}

const struct outcome *stage_move(struct stage *stage)
{
    return live(stage, live_and_move);
}

const struct outcome *stage_move_in_child(struct stage *stage)
{
    return live_in_child(stage, live_and_move);
}

const struct outcome *stage_verify(struct stage *stage)
{
    return live(stage, live_and_verify);
}

const struct outcome *stage_undo(struct stage *stage, int64_t id)
{
    stage->undoes = id;
    return live(stage, live_and_undo);
}

const struct outcome *stage_undo_in_child(struct stage *stage, int64_t id)
{
    stage->undoes = id;
    return live_in_child(stage, live_and_undo);
}

const struct outcome *stage_recover(struct stage *stage)
{
    return live(stage, live_and_recover);
}

const struct outcome *stage_resume(struct stage *stage)
{
    return live(stage, live_and_resume);
}

const struct outcome *stage_recover_in_child(struct stage *stage)
{
    return live_in_child(stage, live_and_recover);
}

const struct outcome *stage_retire(struct stage *stage, const struct retire_wishes *wishes)
{
    stage->wishes = *wishes;
    return live(stage, live_and_retire);
}

const struct outcome *stage_retire_in_child(struct stage *stage)
{
    stage->wishes = (struct retire_wishes){0};
    return live_in_child(stage, live_and_retire);
}

/* A hook whose helper fails, or is killed, refuses the migration. */
static const struct outcome *hand_over(struct stage *stage, const struct outcome *outcome)
{
    fake_journey_hand(stage->world, outcome->status == 0 ? stage->handed : "");
    return outcome;
}

const struct outcome *stage_expect(struct stage *stage)
{
    return hand_over(stage, live(stage, live_and_expect));
}

const struct outcome *stage_expect_in_child(struct stage *stage)
{
    return hand_over(stage, live_in_child(stage, live_and_expect));
}

/* ---- the scene ---- */

static void set_world(struct stage *stage)
{
    fake_world_set(stage->world, stage->kind.disks);
    if (stage->kind.transient)
        fake_world_make_transient(stage->world);
    if (stage->kind.arrival)
        fake_world_make_distant(stage->world, stage->kind.arrival->lasting);
    if (stage->kind.off)
        fake_world_make_idle(stage->world);
    if (stage->kind.change)
        stage->kind.change(stage->world);
}

static void make_plan(struct stage *stage)
{
    AUTO_ERROR struct error error = {0};
    const struct plan_request request = {.tier = stage->kind.tier};
    struct plan_facts facts = {0};
    struct virt virt;
    fake_virt_connect(&virt, stage->world);
    fake_blocks_follow(stage->world);
    fake_files_follow(stage->world);
    CLEANUP(clusters_freep) struct clusters *clusters = clusters_new(&virt);
    if (survey_domain(&virt, clusters, stage->policy, &request, FAKE_UUID, &facts, &error) < 0 ||
        plan_make(&facts, stage->policy, &request, &stage->plan, &error) < 0 ||
        plan_check(stage->plan, &error) < 0)
        fail_msg("no plan: %s", error.message);
    stage->live_xml = text_dup((facts.live ? facts.live : facts.inactive)->xml);
    stage->definition =
        text_dup(stage->world->was_persistent ? stage->world->original : facts.live->xml);
    fake_blocks_follow(NULL);
    fake_files_follow(NULL);
    survey_clear(&facts);
    fake_world_forget_calls(stage->world);
}

/* The moved disks as they are at the source, for the journal. */
static char *small_domain(const struct plan *plan, const struct domain *domain)
{
    AUTO_BUFFER struct buffer xml = {0};
    buffer_add(&xml,
               "<domain type='kvm'><name>" FAKE_NAME "</name><uuid>" FAKE_UUID "</uuid><devices>");
    for (size_t i = 0; i < plan->disks.count; i++) {
        AUTO_FREE char *disk = domain_disk_xml(domain, plan->disks.items[i].target);
        if (plan->disks.items[i].action == PLAN_MOVE)
            buffer_add(&xml, disk);
    }
    buffer_add(&xml, "</devices></domain>");
    return buffer_take(&xml);
}

/* What the hook does with the other host's XML. */
static void make_arrival_plan(struct stage *stage)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = NULL;
    AUTO_FREE char *xml = fake_live_xml(stage->world);
    const uint64_t size = stage->world->ways.disk_size;
    const struct incoming_fact facts[] = {
        {.target = "vda", .capacity = size, .local = true},
        {.target = "vdb", .capacity = size, .local = true},
        {.target = "vdc", .capacity = size, .local = true},
    };
    if (domain_parse(xml, strlen(xml), &domain, &error) < 0 ||
        plan_make_incoming(domain, stage->policy, facts, ARRAY_SIZE(facts), &stage->plan, &error) <
            0 ||
        plan_rewrite(stage->plan, domain, NULL, 0, &stage->handed, &error) < 0)
        fail_msg("no plan: %s", error.message);
    stage->live_xml = small_domain(stage->plan, domain);
    stage->definition = text_dup(stage->world->original);
}

/* The key of a fake cluster is where its world is. */
static void write_keyring(struct stage *stage)
{
    AUTO_FREE char *folder = scratch_new();
    stage->keyring = text_format("%s.keyring", folder);
    scratch_empty(folder);
    AUTO_FCLOSE FILE *file = fopen(stage->keyring, "we");
    assert_non_null(file);
    fprintf(file, "%p\n", (void *)stage->world);
}

void stage_open(struct stage *stage, const struct stage_kind *kind)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    *stage = (struct stage){
        .kind = *kind, .world = &shared->world, .outcome = &shared->outcome, .lock = -1};
    stage->audience = (struct move_audience){.opaque = stage, .warning = keep_warning};
    if (kind->arrival)
        write_keyring(stage);
    AUTO_FREE char *yaml = text_format(
        "%s%s%s%s%srules:\n%s  - {name: all, match: {}, tier: gold}\ndefinition: %s\n%s%s",
        policy_text, kind->arrival ? ", keyring: " : "", kind->arrival ? stage->keyring : "",
        policy_tiers, kind->tiers ? kind->tiers : "", kind->rules ? kind->rules : "",
        kind->definition ? kind->definition : "auto", kind->more ? kind->more : "",
        kind->arrival && kind->arrival->networks ? "networks: {office: lan, br-a: br0}\n" : "");
    AUTO_ERROR struct error error = {0};
    if (policy_parse(yaml, strlen(yaml), "p.yaml", &stage->policy, &error) < 0)
        fail_msg("%s", error.message);
    set_world(stage);
    faulty_disk_install(&shared->world.journal_disk);
    if (kind->arrival)
        make_arrival_plan(stage);
    else
        make_plan(stage);
    stage->folder = scratch_new();
}

void stage_again(struct stage *stage)
{
    stage->keep = false;
    set_world(stage);
    scratch_empty(stage->folder);
}

void stage_close(struct stage *stage)
{
    faulty_disk_remove();
    scratch_remove(&stage->folder);
    plan_freep(&stage->plan);
    policy_freep(&stage->policy);
    free(stage->live_xml);
    free(stage->definition);
    free(stage->handed);
    if (stage->keyring)
        unlink(stage->keyring);
    free(stage->keyring);
    free(stage->warnings);
    free(stage->told);
    if (stage->world)
        munmap(stage->world, sizeof(struct shared));
}

/* ---- copies ---- */

static void copy_file(const char *from, const char *to)
{
    AUTO_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC);
    AUTO_CLOSE int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char bytes[1 << 16];
    ssize_t count;
    assert_true(in >= 0 && out >= 0);
    while ((count = read(in, bytes, sizeof(bytes))) > 0)
        assert_int_equal(write(out, bytes, (size_t)count), count);
}

/* SQLite's files are all there is to restore: the others are written once and stay. */
static const char *const copied[] = {"journal.db", "journal.db-wal"};

void stage_save(const struct stage *stage, struct stage_copy *copy)
{
    copy->world = *stage->world;
    copy->folder = scratch_new();
    for (size_t i = 0; i < ARRAY_SIZE(copied); i++) {
        AUTO_FREE char *from = text_format("%s/%s", stage->folder, copied[i]);
        AUTO_FREE char *to = text_format("%s/%s", copy->folder, copied[i]);
        if (access(from, F_OK) == 0)
            copy_file(from, to);
    }
}

void stage_load(struct stage *stage, const struct stage_copy *copy)
{
    *stage->world = copy->world;
    AUTO_FREE char *index = text_format("%s/journal.db-shm", stage->folder);
    unlink(index); /* SQLite makes it anew from the log */
    for (size_t i = 0; i < ARRAY_SIZE(copied); i++) {
        AUTO_FREE char *from = text_format("%s/%s", copy->folder, copied[i]);
        AUTO_FREE char *to = text_format("%s/%s", stage->folder, copied[i]);
        if (access(from, F_OK) == 0)
            copy_file(from, to);
        else
            unlink(to);
    }
}

void stage_copy_clear(struct stage_copy *copy)
{
    scratch_remove(&copy->folder);
}
