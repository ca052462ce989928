#include "hooks/hook_fixture.h"

static void add_incoming(struct desk *desk, const char *uuid, enum move_kind kind, uint64_t size)
{
    CLEANUP(plan_freep) struct plan *plan = NEW(struct plan);
    plan->domain = text_dup("db1");
    plan->uuid = text_dup(uuid);
    struct plan_disk *disk = plan_disks_add(&plan->disks);
    disk->target = text_dup("vda");
    disk->source = text_format("%s/disk", desk->folder);
    disk->action = PLAN_MOVE;
    disk->destination.image = text_dup("db1-vda");
    disk->destination.size = size;
    AUTO_FREE char *record = plan_to_record(plan);
    const struct move_record move = {
        .kind = kind,
        .uuid = (char *)uuid,
        .domain = (char *)"db1",
        .uri = (char *)"qemu:///system",
        .plan = record,
        .live = (char *)"<domain/>",
    };
    CLEANUP(journal_closep) struct journal *journal = NULL;
    int64_t id = 0;
    OK(journal_open(desk->state, JOURNAL_WRITE, &journal, why));
    OK(journal_create(journal, &move, &id, why));
}

/* Of disk vda on a raw file of 3 GiB, if it is there, in the desk's folder. */
static struct incoming_fact fact_found(struct desk *desk, const char *sizes)
{
    AUTO_FREE char *path = text_format("%s/disk", desk->folder);
    AUTO_FREE char *device = text_format(FILE_DISK("vda", "%s", "raw"), path);
    AUTO_FREE char *xml = guest(sizes, device);
    CLEANUP(domain_freep) struct domain *domain = domain_of(xml);
    struct incoming_facts facts = {0};
    facts_gather(domain, desk->state, &facts);
    assert_int_equal(facts.count, 1);
    assert_string_equal(facts.items[0].target, "vda");
    assert_false(facts.items[0].shared);
    struct incoming_fact fact = facts.items[0];
    fact.target = NULL; /* the domain's */
    free(facts.items);
    return fact;
}

static uint64_t capacity_found(struct desk *desk, const char *sizes)
{
    return fact_found(desk, sizes).capacity;
}

static void give_disk(struct desk *desk)
{
    AUTO_FREE char *path = text_format("%s/disk", desk->folder);
    write_file(path, "", 0600);
    assert_int_equal(truncate(path, 3 * GIB), 0);
}

static void test_metadata_is_first(void **state)
{
    give_disk(*state);
    add_incoming(*state, UUID, MOVE_INCOMING, 2 * GIB);
    assert_int_equal(capacity_found(*state, SIZE("vda", "1073741824", "yes")), GIB);
}

static void test_an_image_made_before_is_second(void **state)
{
    give_disk(*state);
    add_incoming(*state, UUID, MOVE_INCOMING, 2 * GIB);
    assert_int_equal(capacity_found(*state, SIZE("vdb", "1073741824", "yes")), 2 * GIB);
}

static void test_other_moves_do_not_count(void **state)
{
    give_disk(*state);
    add_incoming(*state, OTHER_UUID, MOVE_INCOMING, 2 * GIB);
    add_incoming(*state, UUID, MOVE_LIVE, 2 * GIB);
    assert_int_equal(capacity_found(*state, ""), 3 * GIB);
}

static void test_the_file_is_last(void **state)
{
    assert_int_equal(capacity_found(*state, ""), 0);
    give_disk(*state);
    assert_int_equal(capacity_found(*state, ""), 3 * GIB);
}

static void test_images_made_for_another_disk_do_not_count(void **state)
{
    struct desk *desk = *state;
    add_incoming(desk, UUID, MOVE_INCOMING, 2 * GIB);
    AUTO_FREE char *xml = guest("", FILE_DISK("vda", "/nonexistent/other", "raw"));
    CLEANUP(domain_freep) struct domain *domain = domain_of(xml);
    struct incoming_facts facts = {0};
    facts_gather(domain, desk->state, &facts);
    assert_int_equal(facts.items[0].capacity, 0);
    assert_false(facts.items[0].local);
    free(facts.items);
}

static void test_who_says_that_it_is_local(void **state)
{
    assert_false(fact_found(*state, "").local);
    assert_false(fact_found(*state, SIZE("vda", "1073741824", "no")).local);
    assert_true(fact_found(*state, SIZE("vda", "1073741824", "yes")).local);
    add_incoming(*state, UUID, MOVE_INCOMING, 2 * GIB);
    assert_true(fact_found(*state, "").local);
}

static void test_a_file_of_that_name_is_local(void **state)
{
    give_disk(*state);
    assert_true(fact_found(*state, "").local);
}

static void test_the_source_knows_better_than_a_name(void **state)
{
    give_disk(*state);
    assert_false(fact_found(*state, SIZE("vda", "1073741824", "no")).local);
}

static void test_a_broken_journal_is_passed_over(void **state)
{
    struct desk *desk = *state;
    give_disk(desk);
    AUTO_FREE char *path = text_format("%s/journal.db", desk->state);
    write_file(path, "this is no database, however long one looks at it", 0600);
    assert_int_equal(capacity_found(desk, ""), 3 * GIB);
}

static void test_empty_drives_have_no_facts(void **state)
{
    struct desk *desk = *state;
    AUTO_FREE char *xml = guest("", "<disk type='file' device='cdrom'><target dev='sda'/></disk>");
    CLEANUP(domain_freep) struct domain *domain = domain_of(xml);
    struct incoming_facts facts = {0};
    facts_gather(domain, desk->state, &facts);
    assert_int_equal(facts.count, 0);
}

int main(void)
{
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        WITH_DESK(test_metadata_is_first),
        WITH_DESK(test_an_image_made_before_is_second),
        WITH_DESK(test_other_moves_do_not_count),
        WITH_DESK(test_the_file_is_last),
        WITH_DESK(test_images_made_for_another_disk_do_not_count),
        WITH_DESK(test_who_says_that_it_is_local),
        WITH_DESK(test_a_file_of_that_name_is_local),
        WITH_DESK(test_the_source_knows_better_than_a_name),
        WITH_DESK(test_a_broken_journal_is_passed_over),
        WITH_DESK(test_empty_drives_have_no_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
