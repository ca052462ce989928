/* The ledger: where a disk went. */
#include "journal_fixture.h"

#include <time.h>

#define DISK(name) "<disk type='file'><source file='" name "'/><target dev='vda'/></disk>"

static void add(struct journal *journal, int64_t id, const char *target, const char *old_disk,
                const char *new_disk)
{
    const struct ledger_row row = {
        .move = 4711, /* neither of these is the caller's to say */
        .at = 1,
        .target = (char *)target,
        .old_source = (char *)"an old one",
        .new_source = (char *)"a new one",
        .old_disk = (char *)old_disk,
        .new_disk = (char *)new_disk,
        .retired = !new_disk,
    };
    OK(journal_ledger_add(journal, id, &row, why));
}

static void a_row(void **state)
{
    struct desk *desk = *state;
    new_move(desk->journal, UUID_2);
    int64_t id = new_move(desk->journal, UUID_1), now = (int64_t)time(NULL);
    add(desk->journal, id, "vda", DISK("/old"), DISK("/new"));
    desk_reopen(desk);
    CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
    OK(journal_ledger(desk->journal, UUID_1, &rows, why));
    assert_int_equal(rows.count, 1);
    const struct ledger_row *row = &rows.items[0];
    assert_int_equal(row->move, id);
    assert_string_equal(row->target, "vda");
    assert_string_equal(row->old_source, "an old one");
    assert_string_equal(row->new_source, "a new one");
    assert_string_equal(row->old_disk, DISK("/old"));
    assert_string_equal(row->new_disk, DISK("/new"));
    assert_false(row->retired);
    assert_true(row->at >= now && row->at <= (int64_t)time(NULL));
}

static void one_row_a_disk(void **state)
{
    const struct desk *desk = *state;
    int64_t id = new_move(desk->journal, UUID_1);
    for (int i = 0; i < 3; i++) { /* a step that is done again after an interruption */
        add(desk->journal, id, "vda", DISK("/a"), DISK("/new-a"));
        add(desk->journal, id, "vdb", DISK("/b"), i < 2 ? DISK("/not yet") : DISK("/new-b"));
    }
    CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
    OK(journal_ledger(desk->journal, UUID_1, &rows, why));
    assert_int_equal(rows.count, 2);
    assert_string_equal(rows.items[0].target, "vda");
    assert_string_equal(rows.items[1].new_disk, DISK("/new-b"));
}

static void retired_and_gone(void **state)
{
    const struct desk *desk = *state;
    int64_t id = new_move(desk->journal, UUID_1);
    add(desk->journal, id, "vda", DISK("/a"), DISK("/new-a"));
    add(desk->journal, id, "vda", DISK("/a"), NULL);
    const struct ledger_row nameless = {.target = (char *)"vdb", .old_disk = (char *)DISK("/b")};
    OK(journal_ledger_add(desk->journal, id, &nameless, why));
    CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
    OK(journal_ledger(desk->journal, UUID_1, &rows, why));
    assert_int_equal(rows.count, 2);
    assert_true(rows.items[0].retired);
    assert_null(rows.items[0].new_disk);
    assert_false(rows.items[1].retired);
    assert_null(rows.items[1].old_source);
    assert_null(rows.items[1].new_source);
}

/* The hook goes on leading old XML to the new disk. */
static void retired_and_still_leading(void **state)
{
    const struct desk *desk = *state;
    int64_t first = new_move(desk->journal, UUID_1), second = new_move(desk->journal, UUID_1);
    add(desk->journal, first, "vda", DISK("/a"), DISK("/b"));
    add(desk->journal, first, "vdb", DISK("/x"), DISK("/y"));
    add(desk->journal, second, "vda", DISK("/b"), DISK("/c"));
    OK(journal_ledger_retire(desk->journal, first, "vda", true, why));
    for (int retired = 1; retired >= 0; retired--) {
        CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
        OK(journal_ledger_retire(desk->journal, first, "vda", retired, why));
        OK(journal_ledger(desk->journal, UUID_1, &rows, why));
        assert_int_equal(rows.count, 3);
        assert_int_equal(rows.items[0].retired, retired);
        assert_string_equal(rows.items[0].new_disk, DISK("/b"));
        assert_false(rows.items[1].retired || rows.items[2].retired);
    }
}

/* As the hook goes through it. */
static const char *follow(const struct ledger_rows *rows, const char *disk)
{
    for (size_t i = 0; i < rows->count; i++)
        if (text_equal(rows->items[i].old_disk, disk))
            disk = rows->items[i].new_disk;
    return disk;
}

/* There, back, and to a third place; written down late, as a recovery does. */
static void whoever_follows_the_rows_ends_where_the_disk_is(void **state)
{
    const struct desk *desk = *state;
    int64_t first = new_move(desk->journal, UUID_1), second = new_move(desk->journal, UUID_1),
            third = new_move(desk->journal, UUID_1), other = new_move(desk->journal, UUID_2);
    add(desk->journal, third, "vda", DISK("/a"), DISK("/c"));
    add(desk->journal, second, "vda", DISK("/b"), DISK("/a"));
    add(desk->journal, first, "vda", DISK("/a"), DISK("/b"));
    add(desk->journal, other, "vda", DISK("/c"), DISK("/elsewhere"));
    CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
    OK(journal_ledger(desk->journal, UUID_1, &rows, why));
    assert_int_equal(rows.count, 3);
    assert_string_equal(follow(&rows, DISK("/a")), DISK("/c"));
    assert_string_equal(follow(&rows, DISK("/b")), DISK("/c"));
    assert_string_equal(follow(&rows, DISK("/x")), DISK("/x"));
}

static void nobody_has_moved(void **state)
{
    const struct desk *desk = *state;
    CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
    OK(journal_ledger(desk->journal, UUID_1, &rows, why));
    assert_int_equal(rows.count, 0);
}

static void any_text_comes_back(void **state)
{
    const struct desk *desk = *state;
    static const char hostile[] = "'); DROP TABLE ledger; -- \xc3\xa4 \xff\n\t\"<&>%s%n";
    int64_t id = new_move(desk->journal, UUID_1);
    add(desk->journal, id, "vda", hostile, hostile);
    CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
    OK(journal_ledger(desk->journal, UUID_1, &rows, why));
    assert_string_equal(rows.items[0].old_disk, hostile);
    assert_string_equal(rows.items[0].new_disk, hostile);
}

int main(void)
{
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        WITH_DESK(a_row),
        WITH_DESK(one_row_a_disk),
        WITH_DESK(retired_and_gone),
        WITH_DESK(retired_and_still_leading),
        WITH_DESK(whoever_follows_the_rows_ends_where_the_disk_is),
        WITH_DESK(nobody_has_moved),
        WITH_DESK(any_text_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
