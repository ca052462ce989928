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
    "  new: {mons: ['10.1.0.1:3300', '10.1.0.2:3300'], user: libvirt, secret: client.libvirt new}\n"
    "tiers:\n"
    "  gold: {pool: new/fast, qos: {iops: 500}, driver: {cache: none, discard: unmap}}\n"
    "  tuned: {pool: new/fast, qos: {enforce: iotune, iops: 700}}\n"
    "  plain: {pool: new/fast}\n";

/* What a child and its parent share. */
struct shared {
    struct fake_world world;
    struct outcome outcome;
};

static struct mover mover_of(const struct stage *stage)
{
    return (struct mover){
        .journal = stage->journal,
        .virt = (struct virt *)&stage->virt,
        .clusters = stage->clusters,
        .uri = "fake:///system",
        .audience = stage->audience,
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

static int begin_life(struct stage *stage, struct error *error)
{
    fake_virt_connect(&stage->virt, stage->world);
    stage->clusters = clusters_new(&stage->virt);
    if (journal_open(stage->folder, JOURNAL_WRITE, &stage->journal, error) < 0)
        return -1;
    return journal_lock(stage->journal, FAKE_UUID, &stage->lock, error);
}

static int live_and_move(struct stage *stage, struct error *error)
{
    if (begin_life(stage, error) < 0)
        return -1;
    const struct mover mover = mover_of(stage);
    return move_execute(&mover, stage->plan, stage->live_xml, &stage->outcome->id, error);
}

/* As the verb does: the lock, then every unfinished move. */
static int live_and_recover(struct stage *stage, struct error *error)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    if (begin_life(stage, error) < 0 ||
        journal_list(stage->journal, MOVES_UNFINISHED, NULL, &records, error) < 0)
        return -1;
    const struct mover mover = mover_of(stage);
    stage->outcome->recovered = records.count;
    for (size_t i = 0; i < records.count; i++)
        if (move_recover(&mover, records.items[i].id, &stage->outcome->end, error) < 0)
            return -1;
    return 0;
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
    live_or_die(stage, way);
    fake_clock_follow(NULL);
    clusters_freep(&stage->clusters);
    journal_unlock(&stage->lock);
    journal_closep(&stage->journal);
    error_clear(&stage->error);
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

const struct outcome *stage_recover(struct stage *stage)
{
    return live(stage, live_and_recover);
}

/* ---- the scene ---- */

static void set_world(struct stage *stage)
{
    fake_world_set(stage->world, stage->kind.disks);
    if (stage->kind.transient)
        fake_world_make_transient(stage->world);
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
    CLEANUP(clusters_freep) struct clusters *clusters = clusters_new(&virt);
    if (survey_domain(&virt, clusters, stage->policy, &request, FAKE_UUID, &facts, &error) < 0 ||
        plan_make(&facts, stage->policy, &request, &stage->plan, &error) < 0 ||
        plan_check(stage->plan, &error) < 0)
        fail_msg("no plan: %s", error.message);
    stage->live_xml = text_dup(facts.live->xml);
    stage->definition =
        text_dup(stage->world->was_persistent ? stage->world->original : facts.live->xml);
    survey_clear(&facts);
    fake_world_forget_calls(stage->world);
}

void stage_open(struct stage *stage, const struct stage_kind *kind)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    *stage = (struct stage){
        .kind = *kind, .world = &shared->world, .outcome = &shared->outcome, .lock = -1};
    stage->audience = (struct move_audience){.opaque = stage, .warning = keep_warning};
    AUTO_FREE char *yaml =
        text_format("%s%srules:\n%s  - {name: all, match: {}, tier: gold}\ndefinition: %s\n%s",
                    policy_text, kind->tiers ? kind->tiers : "", kind->rules ? kind->rules : "",
                    kind->definition, kind->more ? kind->more : "");
    AUTO_ERROR struct error error = {0};
    if (policy_parse(yaml, strlen(yaml), "p.yaml", &stage->policy, &error) < 0)
        fail_msg("%s", error.message);
    set_world(stage);
    faulty_disk_install(&shared->world.journal_disk);
    make_plan(stage);
    stage->folder = scratch_new();
}

void stage_again(struct stage *stage)
{
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
    free(stage->warnings);
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
