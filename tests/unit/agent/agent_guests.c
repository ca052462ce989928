/* What the agent sees of guests: their starts, their tiers, their disks' sizes. */
#include "agent/stage.h"

#include <sys/stat.h>

/* The agent has looked at all that happened until now. */
static void let_it_look(struct stage *stage, struct fake_domain *domain)
{
    unsigned calls = stage->host->calls;
    fake_event(stage->host, domain, false);
    WAIT_FOR(stage->host->calls > calls);
    /* It goes on looking as long as there is something to look at: not for ever. */
    unsigned before = calls;
    for (unsigned i = 0; stage->host->calls != before; i++) {
        if (i > 40)
            stage_failed(stage, "the agent comes to rest", __FILE__, __LINE__);
        before = stage->host->calls;
        usleep(250000);
    }
}

/* ---- starts ---- */

static void a_start_is_a_request(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *old = fake_define(stage->host, 1, "old");
    struct fake_domain *db = fake_define(stage->host, 2, "db1");
    fake_start(stage->host, old);
    snprintf(old->tier, sizeof(old->tier), "gold");
    write_policy(stage, "triggers: {on_start: true}\n");
    agent_start(stage);
    let_it_look(stage, old);
    assert_int_equal(count_requests(stage), 0); /* it ran before the agent was new here */
    fake_start(stage->host, db);
    expect_requests(stage, db, "done");
    assert_query(stage->state, "SELECT reason, tier FROM requests", "start NULL");
    let_it_look(stage, db);
    assert_int_equal(agent_stop(stage), 0);
    agent_start(stage); /* the same run */
    let_it_look(stage, db);
    assert_int_equal(count_requests(stage), 1);
    assert_int_equal(agent_stop(stage), 0);
    fake_stop(stage->host, old); /* another run, while nobody looks */
    fake_start(stage->host, old);
    agent_start(stage);
    expect_requests(stage, old, "done");
    assert_int_equal(count_requests(stage), 2);
    assert_int_equal(agent_stop(stage), 0);
}

static void a_guest_on_its_way_does_not_prolong_the_first_look(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *coming = fake_define(stage->host, 1, "coming");
    struct fake_domain *db = fake_define(stage->host, 2, "db1");
    coming->arriving = true;
    fake_start(stage->host, coming);
    write_policy(stage, "triggers: {on_start: true}\n");
    agent_start(stage);
    let_it_look(stage, db);
    fake_start(stage->host, db);
    expect_requests(stage, db, "done");
    assert_int_equal(count_requests(stage), 1);
    assert_int_equal(agent_stop(stage), 0);
}

static void no_request_without_the_trigger(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    agent_start(stage);
    let_it_look(stage, db);
    fake_start(stage->host, db);
    let_it_look(stage, db);
    /* Nor later, for a run that was seen. */
    write_policy(stage, "triggers: {on_start: true}\n");
    let_it_look(stage, db);
    assert_int_equal(count_requests(stage), 0);
    assert_int_equal(agent_stop(stage), 0);
}

/* An agent that was killed in its very first look has not seen every domain. */
static void a_first_look_that_was_cut_short_begins_anew(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *seen = fake_define(stage->host, 1, "seen");
    struct fake_domain *unseen = fake_define(stage->host, 2, "unseen");
    fake_start(stage->host, seen);
    fake_start(stage->host, unseen);
    write_policy(stage, "triggers: {on_start: true}\n");
    {
        CLEANUP(journal_closep) struct journal *journal = NULL;
        OK(journal_open(stage->state, JOURNAL_WRITE, &journal, why));
        const struct sighting sighting = {.run = (char *)"an earlier boot:1"};
        OK(journal_see(journal, seen->uuid, &sighting, why));
    }
    agent_start(stage);
    let_it_look(stage, unseen);
    assert_int_equal(count_requests(stage), 0);
    assert_int_equal(agent_stop(stage), 0);
}

static void starts_are_seen_once_there_is_a_policy(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    write_policy(stage, "triggers: {on_start: true}\n");
    agent_start(stage);
    let_it_look(stage, db);
    assert_int_equal(agent_stop(stage), 0);
    write_policy(stage, "nonsense: 1\n");
    agent_start(stage);
    let_it_look(stage, db);
    fake_start(stage->host, db);
    let_it_look(stage, db);
    assert_int_equal(count_requests(stage), 0);
    assert_int_equal(db->size_writes, 1); /* that needs none */
    write_policy(stage, "triggers: {on_start: true}\n");
    let_it_look(stage, db);
    expect_requests(stage, db, "done");
    assert_int_equal(agent_stop(stage), 0);
}

static void an_arriving_guest_has_not_started(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    write_policy(stage, "triggers: {on_start: true}\n");
    agent_start(stage);
    let_it_look(stage, db);
    db->arriving = true;
    fake_start(stage->host, db);
    let_it_look(stage, db);
    assert_int_equal(count_requests(stage), 0);
    assert_int_equal(db->size_reads, 0);
    db->arriving = false;
    fake_event(stage->host, db, true);
    expect_requests(stage, db, "done");
    assert_int_equal(agent_stop(stage), 0);
}

/* ---- tiers ---- */

static void set_tier(struct stage *stage, struct fake_domain *domain, const char *tier)
{
    fake_host_lock(stage->host);
    snprintf(domain->tier, sizeof(domain->tier), "%s", tier);
    snprintf(domain->saved_tier, sizeof(domain->saved_tier), "%s", tier);
    fake_host_unlock(stage->host);
    fake_event(stage->host, domain, false);
}

static void a_tier_is_a_request(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    agent_start(stage);
    let_it_look(stage, db);
    set_tier(stage, db, "gold");
    expect_requests(stage, db, "done");
    AUTO_FREE char *line = call_line(stage, "begin move", 0);
    assert_non_null(strstr(line, " --tier gold -- "));
    let_it_look(stage, db);
    set_tier(stage, db, "");
    let_it_look(stage, db);
    assert_int_equal(count_requests(stage), 1);
    set_tier(stage, db, "gold");
    expect_requests(stage, db, "done\ndone");
    set_tier(stage, db, "silver");
    expect_requests(stage, db, "done\ndone\ndone");
    fake_stop(stage->host, db); /* no change of the tier */
    let_it_look(stage, db);
    fake_start(stage->host, db);
    let_it_look(stage, db);
    assert_query(stage->state, "SELECT tier FROM requests", "gold gold silver");
    assert_int_equal(agent_stop(stage), 0);
}

/* Or its next start would take it back to where the rules want it. */
static void a_start_goes_by_the_label(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    write_policy(stage, "triggers: {on_start: true}\n");
    set_tier(stage, db, "gold");
    agent_start(stage);
    let_it_look(stage, db);
    fake_start(stage->host, db);
    expect_requests(stage, db, "done");
    assert_query(stage->state, "SELECT reason, tier FROM requests", "start gold");
    fake_stop(stage->host, db);
    let_it_look(stage, db);
    set_tier(stage, db, "unheard-of");
    let_it_look(stage, db);
    fake_start(stage->host, db);
    expect_requests(stage, db, "done\ndone\ndone");
    assert_query(stage->state,
                 "SELECT ifnull(tier, 'by rules') FROM requests WHERE reason = 'start'",
                 "gold by rules");
    assert_int_equal(agent_stop(stage), 0);
}

static void a_tier_of_a_guest_that_is_off_waits(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    agent_start(stage);
    let_it_look(stage, db);
    set_tier(stage, db, "gold");
    expect_requests(stage, db, "waiting: waits for its start");
    assert_int_equal(agent_stop(stage), 0);
    agent_start(stage);
    let_it_look(stage, db);
    fake_start(stage->host, db);
    expect_requests(stage, db, "done");
    let_it_look(stage, db);
    assert_int_equal(count_requests(stage), 1);
    assert_int_equal(agent_stop(stage), 0);
}

static void a_tier_is_shown_without_its_control_characters(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    fake_start(stage->host, db);
    agent_start(stage);
    let_it_look(stage, db);
    set_tier(stage, db,
             "g\xc2\x9b"
             "31m");
    expect_said(stage, "(tier g??31m)");
    assert_int_equal(agent_stop(stage), 0);
}

/* ---- sizes ---- */

static void sizes_are_written_when_they_differ(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    db->disks[1] = (struct fake_disk){"vdb", "block", "", 3000, ""};
    agent_start(stage);
    let_it_look(stage, db);
    assert_int_equal(db->size_reads, 0); /* it is off */
    fake_start(stage->host, db);
    let_it_look(stage, db);
    assert_int_equal(db->size_writes, 1);
    assert_non_null(strstr(db->sizes, "target='vda' capacity='1048576'"));
    assert_non_null(strstr(db->sizes, "target='vdb' capacity='3072'")); /* whole sectors */
    let_it_look(stage, db);
    let_it_look(stage, db);
    assert_int_equal(db->size_writes, 1);
    db->disks[0].capacity = 2 << 20; /* virsh blockresize */
    let_it_look(stage, db);
    assert_int_equal(db->size_writes, 2);
    assert_non_null(strstr(db->sizes, "target='vda' capacity='2097152'"));
    db->disks[1].type = NULL; /* detached */
    db->disks[2] = (struct fake_disk){"vdc", "file", "", 512, ""};
    let_it_look(stage, db);
    assert_int_equal(db->size_writes, 3);
    assert_null(strstr(db->sizes, "vdb"));
    assert_non_null(strstr(db->sizes, "target='vdc' capacity='512'"));
    assert_int_equal(agent_stop(stage), 0);
    agent_start(stage);
    let_it_look(stage, db);
    assert_int_equal(db->size_writes, 3);
    assert_int_equal(agent_stop(stage), 0);
}

static void only_what_could_be_moved_has_a_size(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    db->disks[0].more = "<readonly/>";
    db->disks[1] = (struct fake_disk){"vdb", "file", "<shareable/>", 1 << 20, ""};
    db->disks[2] = (struct fake_disk){"vdc", "dir", "", 1 << 20, ""};
    fake_start(stage->host, db);
    agent_start(stage);
    let_it_look(stage, db);
    assert_int_equal(db->size_reads, 0);
    assert_int_equal(db->size_writes, 0);
    db->disks[0].more = "<transient/>";
    db->disks[1].more = "";
    let_it_look(stage, db);
    assert_int_equal(db->size_writes, 1);
    assert_null(strstr(db->sizes, "vda"));
    assert_non_null(strstr(db->sizes, "target='vdb'"));
    assert_int_equal(agent_stop(stage), 0);
}

static void put_path(struct fake_disk *disk, const char *folder, const char *name)
{
    snprintf(disk->path, sizeof(disk->path), "%s%s", folder, name);
}

/* So that the hook of the destination knows that libvirt copies it. */
static void local_files_are_said_to_be_local(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    AUTO_FREE char *link = text_format("%s/link", stage->state);
    write_file(stage, "image", "");
    assert_int_equal(symlink("image", link), 0);
    put_path(&db->disks[0], stage->state, "/image");
    db->disks[1] = (struct fake_disk){"vdb", "file", "", 512, ""};
    put_path(&db->disks[1], stage->state, "/link");
    db->disks[2] = (struct fake_disk){"vdc", "file", "", 512, "/proc/self/status"};
    fake_start(stage->host, db);
    agent_start(stage);
    let_it_look(stage, db);
    assert_non_null(strstr(db->sizes, "target='vda' capacity='1048576' local='yes'"));
    assert_non_null(strstr(db->sizes, "target='vdb' capacity='512' local='yes'"));
    assert_non_null(strstr(db->sizes, "target='vdc' capacity='512' source="));
    put_path(&db->disks[0], stage->state, "/gone");
    put_path(&db->disks[1], stage->state, "");
    let_it_look(stage, db);
    assert_int_equal(db->size_writes, 2);
    assert_null(strstr(db->sizes, "local"));
    put_path(&db->disks[0], stage->state, "/image");
    db->disks[0].type = "block";
    let_it_look(stage, db);
    assert_int_equal(db->size_writes, 3); /* of another source */
    assert_null(strstr(db->sizes, "local"));
    assert_int_equal(agent_stop(stage), 0);
}

static void a_busy_domain_is_left_alone(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    snprintf(db->job, sizeof(db->job), "migration");
    fake_start(stage->host, db);
    agent_start(stage);
    let_it_look(stage, db);
    assert_int_equal(db->size_writes, 0);
    db->job[0] = '\0';
    let_it_look(stage, db);
    assert_int_equal(db->size_writes, 1);
    assert_int_equal(agent_stop(stage), 0);
}

/* Our own change of the metadata is an event, too. */
static void sizes_that_libvirt_forgets_are_no_circle(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    db->forgets_sizes = true;
    fake_start(stage->host, db);
    agent_start(stage);
    let_it_look(stage, db);
    let_it_look(stage, db);
    assert_int_equal(db->size_writes, 1);
    assert_int_equal(agent_stop(stage), 0);
}

/* ---- and otherwise nothing ---- */

static char *journal_print(struct stage *stage)
{
    AUTO_BUFFER struct buffer print = {0};
    static const char *const names[] = {"journal.db", "journal.db-wal", "locks", "queue", "log"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        AUTO_FREE char *path = text_format("%s/%s", stage->state, names[i]);
        struct stat status = {0};
        if (stat(path, &status) == 0)
            buffer_format(&print, "%s %lld.%09ld %lld\n", names[i],
                          (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                          (long long)status.st_size);
    }
    return buffer_take(&print);
}

static void an_idle_agent_is_idle(void **state)
{
    struct stage *stage = *state;
    struct fake_domain *db = fake_define(stage->host, 1, "db1");
    struct fake_domain *off = fake_define(stage->host, 2, "off");
    fake_start(stage->host, db);
    stage->verbose = 1;
    agent_start(stage);
    let_it_look(stage, off);
    set_tier(stage, off, "gold");
    expect_requests(stage, off, "waiting: waits for its start");
    let_it_look(stage, db);
    AUTO_FREE char *before = journal_print(stage);
    unsigned calls = stage->host->calls;
    sleep(4);
    assert_int_equal(stage->host->calls, calls);
    let_it_look(stage, db); /* an event that changes nothing */
    AUTO_FREE char *after = journal_print(stage);
    assert_string_equal(after, before);
    assert_int_equal(agent_stop(stage), 0);
}

int main(void)
{
#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_open, stage_close)
    const struct CMUnitTest tests[] = {
        STAGED(a_start_is_a_request),
        STAGED(a_guest_on_its_way_does_not_prolong_the_first_look),
        STAGED(no_request_without_the_trigger),
        STAGED(a_first_look_that_was_cut_short_begins_anew),
        STAGED(starts_are_seen_once_there_is_a_policy),
        STAGED(an_arriving_guest_has_not_started),
        STAGED(a_tier_is_a_request),
        STAGED(a_start_goes_by_the_label),
        STAGED(a_tier_of_a_guest_that_is_off_waits),
        STAGED(a_tier_is_shown_without_its_control_characters),
        STAGED(sizes_are_written_when_they_differ),
        STAGED(only_what_could_be_moved_has_a_size),
        STAGED(local_files_are_said_to_be_local),
        STAGED(a_busy_domain_is_left_alone),
        STAGED(sizes_that_libvirt_forgets_are_no_circle),
        STAGED(an_idle_agent_is_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
