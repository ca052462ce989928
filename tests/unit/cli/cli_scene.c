/* Plays the process that runs a move, as far as the journal shows it: for the tests of the verbs
 * that look at moves and wish things of them. Neither libvirt nor Ceph takes part.
 *
 *   cli_scene STATE DOMAIN [incoming|broken|offline]
 *
 * makes a move that is copying, says "move N", and does what it reads, a word a line. "incoming" is
 * a migration to this host, which holds no lock once its images are made; "broken" is one whose
 * images are being made.
 *
 *   arrive   (incoming) the guest is here, and its definition still names the old disks
 *   ready    all disks are ready
 *   pivot    begins to pivot
 *   finish   it has moved, and ends
 *   part     one disk has moved, the other is back, and ends
 *   obey     waits until cancel is asked for, undoes the move, and ends
 *   fail     needs an operator, and ends
 *
 * At the end of its input it ends at once, as if killed; and after a minute in any case. */
#include "journal/journal.h"
#include "plan/plan.h"

#include <inttypes.h>
#include <stdio.h>

static const char definition[] =
    "<domain type='kvm'><devices><graphics passwd='sesame'/></devices></domain>";

static struct plan_disk planned(const char *target)
{
    return (struct plan_disk){
        .target = text_dup(target),
        .bus = text_dup("virtio"),
        .action = PLAN_MOVE,
        .reason = text_dup("the policy says so"),
        .rule = text_dup("databases"),
        .tier = text_dup("gold"),
        .source = text_format("old/vms/db1-%s", target),
        .capacity = 1 << 30,
        .allocated = 1 << 29,
        .size_known = true,
        .destination = {.cluster = {.name = text_dup("flash")},
                        .pool = text_dup("fast"),
                        .image = text_format("db1-%s", target),
                        .size = 1 << 30},
    };
}

static char *plan_text(const char *domain, const char *uuid)
{
    CLEANUP(plan_freep) struct plan *plan = NEW(struct plan);
    plan->domain = text_dup(domain);
    plan->uuid = text_dup(uuid);
    plan->strategy = STRATEGY_DANCE;
    plan->strategy_reason = text_dup("undefining it loses nothing");
    *plan_disks_add(&plan->disks) = planned("vda");
    *plan_disks_add(&plan->disks) = planned("vdb");
    return plan_to_record(plan);
}

/* The same name is the same domain. */
static char *uuid_of(const char *domain)
{
    unsigned number = 0;
    for (const char *c = domain; *c; c++)
        number = number * 31 + (unsigned char)*c;
    return text_format("%08x-0000-4000-8000-000000000000", number);
}

static int create(struct journal *journal, enum move_kind kind, const char *domain,
                  const char *uuid, int64_t *id, struct error *error)
{
    AUTO_FREE char *plan = plan_text(domain, uuid);
    AUTO_FREE char *name = text_dup(domain), *identity = text_dup(uuid),
                   *uri = text_dup(kind == MOVE_INCOMING ? "" : "qemu:///system"),
                   *live = text_format("<domain type='kvm'><name>%s</name></domain>", domain);
    const struct move_record record = {
        .kind = kind, .uuid = identity, .domain = name, .uri = uri, .plan = plan, .live = live};
    if (journal_create(journal, &record, id, error) < 0 ||
        journal_add_disk(journal, *id, "vda", "token-vda", error) < 0)
        return -1;
    return journal_add_disk(journal, *id, "vdb", "token-vdb", error);
}

static int step(struct journal *journal, int64_t id, enum move_phase phase, const char *detail,
                struct error *error)
{
    return journal_begin(journal, id, phase, error) < 0
               ? -1
               : journal_reach(journal, id, phase, detail, error);
}

static int go_to_copying(struct journal *journal, int64_t id, const char *domain, const char *uuid,
                         struct error *error)
{
    char target[] = "vda"; /* of vdb nothing is known yet */
    const struct disk_record sample = {.target = target,
                                       .copied = 256 << 20,
                                       .total = 1024 << 20,
                                       .rate = 64 << 20,
                                       .dirty_rate = 2 << 20,
                                       .latency_before = 1.2,
                                       .latency_now = 1.9};
    if (journal_reach(journal, id, PHASE_LOCKED, NULL, error) < 0 ||
        step(journal, id, PHASE_SOURCE_PREPARED, "nothing to do", error) < 0 ||
        step(journal, id, PHASE_TARGET_CREATED, "flash/fast/db1-vda", error) < 0 ||
        journal_begin(journal, id, PHASE_DEFINITION_SAVED, error) < 0 ||
        journal_save_definition(journal, id, domain, uuid, definition, error) < 0 ||
        journal_reach(journal, id, PHASE_DEFINITION_SAVED, NULL, error) < 0 ||
        step(journal, id, PHASE_UNDEFINED, NULL, error) < 0 ||
        step(journal, id, PHASE_COPYING, "vda (background, unlimited)", error) < 0 ||
        journal_begin(journal, id, PHASE_MIRRORING, error) < 0)
        return -1;
    return journal_sample(journal, id, &sample, error);
}

static int make_images(struct journal *journal, int64_t id, struct error *error)
{
    if (journal_reach(journal, id, PHASE_LOCKED, NULL, error) < 0)
        return -1;
    return journal_begin(journal, id, PHASE_TARGET_CREATED, error);
}

static int await_guest(struct journal *journal, int64_t id, struct error *error)
{
    if (make_images(journal, id, error) < 0 ||
        journal_reach(journal, id, PHASE_TARGET_CREATED, "flash/fast/db1-vda", error) < 0)
        return -1;
    return journal_reach(journal, id, PHASE_COPYING, "libvirt copies", error);
}

static int arrive(struct journal *journal, int64_t id, struct error *error)
{
    if (journal_set_fate(journal, id, "vda", DISK_PIVOTED, error) < 0 ||
        journal_set_fate(journal, id, "vdb", DISK_PIVOTED, error) < 0)
        return -1;
    return journal_reach(journal, id, PHASE_PIVOTED, "the guest is here", error);
}

static int finish(struct journal *journal, int64_t id, enum disk_fate second, struct error *error)
{
    if (journal_set_fate(journal, id, "vda", DISK_PIVOTED, error) < 0 ||
        journal_set_fate(journal, id, "vdb", second, error) < 0 ||
        journal_reach(journal, id, PHASE_PIVOTED, NULL, error) < 0 ||
        journal_note(journal, id, "warning", "limits not set", error) < 0)
        return -1;
    return step(journal, id, PHASE_REDEFINED, "vda on flash/fast/db1-vda", error);
}

static int obey(struct journal *journal, int64_t id, struct error *error)
{
    for (struct move_control control = {0}; !control.cancel; usleep(20000))
        if (journal_control(journal, id, &control, error) < 0)
            return -1;
    if (journal_reach(journal, id, PHASE_UNDOING, NULL, error) < 0)
        return -1;
    usleep(300000);
    return journal_reach(journal, id, PHASE_UNDONE, "everything is as it was", error);
}

static int fail(struct journal *journal, int64_t id, struct error *error)
{
    if (journal_set_message(journal, id, "the target vanished", "bring it back", error) < 0)
        return -1;
    return journal_reach(journal, id, PHASE_NEEDS_OPERATOR, "the target vanished", error);
}

/* 1: it was the last thing to do. */
static int perform(struct journal *journal, int64_t id, const char *word, struct error *error)
{
    if (text_equal(word, "arrive"))
        return arrive(journal, id, error);
    if (text_equal(word, "ready"))
        return journal_reach(journal, id, PHASE_MIRRORING, "2 disks", error);
    if (text_equal(word, "pivot"))
        return journal_begin(journal, id, PHASE_PIVOTED, error);
    if (text_equal(word, "finish"))
        return finish(journal, id, DISK_PIVOTED, error) < 0 ? -1 : 1;
    if (text_equal(word, "part"))
        return finish(journal, id, DISK_RETURNED, error) < 0 ? -1 : 1;
    if (text_equal(word, "obey"))
        return obey(journal, id, error) < 0 ? -1 : 1;
    if (text_equal(word, "fail"))
        return fail(journal, id, error) < 0 ? -1 : 1;
    return error_set(error, ERROR_USAGE, "what is '%s'?", word);
}

static int obey_words(struct journal *journal, int64_t id, struct error *error)
{
    printf("move %" PRId64 "\n", id);
    fflush(stdout);
    char line[64];
    int result = 0;
    while (result == 0 && fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        result = perform(journal, id, line, error);
        if (result >= 0) {
            puts("done");
            fflush(stdout);
        }
    }
    return result < 0 ? -1 : 0;
}

static int play(const char *directory, const char *domain, const char *kind, struct error *error)
{
    CLEANUP(journal_closep) struct journal *journal = NULL;
    CLEANUP(journal_unlock) int lock = -1;
    AUTO_FREE char *uuid = uuid_of(domain);
    bool off = text_equal(kind, "offline"), live = off || text_equal(kind, "live"),
         broken = text_equal(kind, "broken");
    int64_t id = 0;
    if (journal_open(directory, JOURNAL_WRITE, &journal, error) < 0 ||
        journal_lock(journal, uuid, &lock, error) < 0 ||
        create(journal,
               off    ? MOVE_OFFLINE
               : live ? MOVE_LIVE
                      : MOVE_INCOMING,
               domain, uuid, &id, error) < 0)
        return -1;
    int made = live     ? go_to_copying(journal, id, domain, uuid, error)
               : broken ? make_images(journal, id, error)
                        : await_guest(journal, id, error);
    if (made < 0)
        return -1;
    if (!live && !broken)
        journal_unlock(&lock); /* libvirt copies: no process of ours waits for that */
    return obey_words(journal, id, error);
}

int main(int argc, char **argv)
{
    AUTO_ERROR struct error error = {0};
    alarm(60); /* whatever became of the test */
    if ((argc == 3 || argc == 4) &&
        play(argv[1], argv[2], argc == 4 ? argv[3] : "live", &error) == 0)
        return 0;
    fprintf(stderr, "cli_scene: %s\n",
            error.message ? error.message : "usage: STATE DOMAIN [incoming|broken]");
    return 1;
}
