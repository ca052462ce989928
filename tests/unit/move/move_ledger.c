/* A guest that is back on a disk which it had left. */
#include "base/text.h"
#include "cmocka_compat.h"
#include "move/move.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#define UUID "11111111-2222-4333-8444-555555555555"
#define FILE_DISK "<disk type='file'><source file='/old.raw'/><target dev='vda'/></disk>"
#define RBD_DISK(image)                                                                            \
    "<disk type='network'><source protocol='rbd' name='fast/" image "'><host name='h'/></source>"  \
    "<target dev='vda'/></disk>"

struct desk {
    char folder[64];
    struct journal *journal;
    struct error error;
};

static int set_up(void **state)
{
    struct desk *desk = NEW(struct desk);
    snprintf(desk->folder, sizeof(desk->folder), "/tmp/vp-ledger-XXXXXX");
    assert_non_null(mkdtemp(desk->folder));
    assert_int_equal(journal_open(desk->folder, JOURNAL_WRITE, &desk->journal, &desk->error), 0);
    *state = desk;
    return 0;
}

static int remove_one(const char *path, const struct stat *status UNUSED, int type UNUSED,
                      struct FTW *where UNUSED)
{
    return remove(path);
}

static int tear_down(void **state)
{
    struct desk *desk = *state;
    journal_close(desk->journal);
    error_clear(&desk->error);
    nftw(desk->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(desk);
    return 0;
}

static void add_row(struct desk *desk, const char *old_disk, const char *new_disk)
{
    const struct move_record record = {.uuid = (char *)UUID,
                                       .domain = (char *)"db1",
                                       .uri = (char *)"test:///default",
                                       .plan = (char *)"{}"};
    int64_t id = 0;
    assert_int_equal(journal_create(desk->journal, &record, &id, &desk->error), 0);
    const struct ledger_row row = {.target = (char *)"vda",
                                   .old_source = (char *)"old",
                                   .new_source = (char *)"new",
                                   .old_disk = (char *)old_disk,
                                   .new_disk = (char *)new_disk};
    assert_int_equal(journal_ledger_add(desk->journal, id, &row, &desk->error), 0);
}

/* How many rows still lead somewhere once the guest was seen on this disk. */
static size_t rows_after_seeing(struct desk *desk, const char *disk, size_t expect_told)
{
    AUTO_FREE char *xml = text_format(
        "<domain id='1'><name>db1</name><uuid>" UUID "</uuid><devices>%s</devices></domain>", disk);
    CLEANUP(domain_freep) struct domain *live = NULL;
    CLEANUP(ledger_rows_clear) struct ledger_rows before = {0}, after = {0};
    CLEANUP(text_list_clear) struct text_list told = {0};
    assert_int_equal(domain_parse(xml, strlen(xml), &live, &desk->error), 0);
    assert_int_equal(journal_ledger(desk->journal, UUID, &before, &desk->error), 0);
    assert_int_equal(move_note_return(desk->journal, &before, live, &told, &desk->error), 0);
    assert_int_equal(told.count, expect_told);
    assert_int_equal(journal_ledger(desk->journal, UUID, &after, &desk->error), 0);
    return after.count;
}

static void a_guest_on_its_new_disk_ends_nothing(void **state)
{
    add_row(*state, FILE_DISK, RBD_DISK("a"));
    assert_int_equal(rows_after_seeing(*state, RBD_DISK("a"), 0), 1);
    assert_int_equal(rows_after_seeing(*state, RBD_DISK("other"), 0), 1);
}

static void a_guest_back_on_its_old_disk_ends_the_row(void **state)
{
    add_row(*state, FILE_DISK, RBD_DISK("a"));
    assert_int_equal(rows_after_seeing(*state, FILE_DISK, 1), 0);
    assert_int_equal(rows_after_seeing(*state, FILE_DISK, 0), 0);
    /* It moves once more. */
    add_row(*state, FILE_DISK, RBD_DISK("b"));
    assert_int_equal(rows_after_seeing(*state, RBD_DISK("b"), 0), 1);
}

static void what_leads_on_from_there_ends_too(void **state)
{
    add_row(*state, FILE_DISK, RBD_DISK("a"));
    add_row(*state, RBD_DISK("a"), RBD_DISK("b"));
    assert_int_equal(rows_after_seeing(*state, RBD_DISK("b"), 0), 2);
    assert_int_equal(rows_after_seeing(*state, RBD_DISK("a"), 1), 1); /* from a on */
    assert_int_equal(rows_after_seeing(*state, FILE_DISK, 1), 0);
}

static void a_row_that_leads_back_is_right(void **state)
{
    add_row(*state, FILE_DISK, RBD_DISK("a"));
    add_row(*state, RBD_DISK("a"), FILE_DISK);
    assert_int_equal(rows_after_seeing(*state, FILE_DISK, 0), 2);
    add_row(*state, FILE_DISK, RBD_DISK("b"));
    assert_int_equal(rows_after_seeing(*state, RBD_DISK("b"), 0), 3);
    assert_int_equal(rows_after_seeing(*state, FILE_DISK, 1), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_guest_on_its_new_disk_ends_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_guest_back_on_its_old_disk_ends_the_row, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_leads_on_from_there_ends_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_row_that_leads_back_is_right, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
