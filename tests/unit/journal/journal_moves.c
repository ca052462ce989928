/* Moves, their story, their saved definitions. */
#include "journal_fixture.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

static void a_new_move(void **state)
{
    const struct desk *desk = *state;
    int64_t before = (int64_t)time(NULL);
    int64_t id = new_move(desk->journal, UUID_1);
    CLEANUP(move_record_clear) struct move_record record = {0};
    OK(journal_read(desk->journal, id, &record, why));
    assert_int_equal(record.id, id);
    assert_string_equal(record.uuid, UUID_1);
    assert_string_equal(record.domain, "db-1");
    assert_string_equal(record.uri, "qemu:///system");
    assert_string_equal(record.plan, "{\"disks\":[]}");
    assert_string_equal(record.live, "<domain/>");
    assert_int_equal(record.phase, PHASE_PLANNED);
    assert_int_equal(record.begun, PHASE_PLANNED);
    assert_null(record.definition);
    assert_null(record.definition_file);
    assert_null(record.message);
    assert_null(record.hint);
    assert_int_equal(record.pid, getpid());
    assert_int_equal(record.kind, MOVE_LIVE);
    assert_true(record.created >= before && record.created <= (int64_t)time(NULL));
}

static void who_copies_is_kept(void **state)
{
    struct desk *desk = *state;
    int64_t live = new_move_of_kind(desk->journal, MOVE_LIVE, UUID_1);
    int64_t incoming = new_move_of_kind(desk->journal, MOVE_INCOMING, UUID_1);
    desk_reopen(desk);
    CLEANUP(move_record_clear) struct move_record record = {0};
    OK(journal_read(desk->journal, incoming, &record, why));
    assert_int_equal(record.kind, MOVE_INCOMING);
    CLEANUP(move_records_clear) struct move_records records = {0};
    OK(journal_list(desk->journal, MOVES_UNFINISHED, UUID_1, &records, why));
    assert_int_equal(records.count, 2);
    assert_int_equal(records.items[0].id, live);
    assert_int_equal(records.items[0].kind, MOVE_LIVE);
    assert_int_equal(records.items[1].kind, MOVE_INCOMING);
}

static void numbers_are_never_used_twice(void **state)
{
    const struct desk *desk = *state;
    int64_t first = new_move(desk->journal, UUID_1);
    run_query(desk->folder, "DELETE FROM moves"); /* by hand */
    assert_true(new_move(desk->journal, UUID_1) > first);
}

static void any_text_comes_back(void **state)
{
    const struct desk *desk = *state;
    static const char hostile[] = "'; DROP TABLE moves; -- \xc3\xa4 \xff\n\t\"<&>%s%n";
    const struct move_record record = {.uuid = (char *)UUID_1,
                                       .domain = (char *)hostile,
                                       .uri = (char *)hostile,
                                       .plan = (char *)hostile,
                                       .live = (char *)hostile};
    int64_t id = 0;
    OK(journal_create(desk->journal, &record, &id, why));
    OK(journal_set_message(desk->journal, id, hostile, hostile, why));
    OK(journal_note(desk->journal, id, hostile, hostile, why));
    CLEANUP(move_record_clear) struct move_record again = {0};
    OK(journal_read(desk->journal, id, &again, why));
    assert_string_equal(again.domain, hostile);
    assert_string_equal(again.plan, hostile);
    assert_string_equal(again.message, hostile);
    assert_string_equal(again.hint, hostile);
}

static void a_large_record(void **state)
{
    const struct desk *desk = *state;
    size_t length = 4u << 20;
    AUTO_FREE char *text = memory_new(length + 1, 1);
    memset(text, 'x', length);
    int64_t id = new_move(desk->journal, UUID_1);
    OK(journal_save_definition(desk->journal, id, "db-1", UUID_1, text, why));
    CLEANUP(move_record_clear) struct move_record record = {0};
    OK(journal_read(desk->journal, id, &record, why));
    assert_int_equal(strlen(record.definition), length);
}

/* ---- lists ---- */

static void assert_list(struct journal *journal, enum journal_selection selection, const char *uuid,
                        const char *expected)
{
    CLEANUP(move_records_clear) struct move_records records = {0};
    OK(journal_list(journal, selection, uuid, &records, why));
    AUTO_BUFFER struct buffer ids = {0};
    for (size_t i = 0; i < records.count; i++)
        buffer_format(&ids, "%s%lld", i ? " " : "", (long long)records.items[i].id);
    assert_string_equal(ids.text ? ids.text : "", expected);
}

static void finish(struct journal *journal, int64_t id)
{
    OK(journal_reach(journal, id, PHASE_UNDOING, NULL, why));
    OK(journal_reach(journal, id, PHASE_UNDONE, NULL, why));
}

static void lists(void **state)
{
    const struct desk *desk = *state;
    assert_list(desk->journal, MOVES_ALL, NULL, "");
    for (int i = 0; i < 4; i++)
        assert_int_equal(new_move(desk->journal, i % 2 ? UUID_2 : UUID_1), i + 1);
    finish(desk->journal, 1);
    finish(desk->journal, 4);
    OK(journal_reach(desk->journal, 3, PHASE_NEEDS_OPERATOR, "x", why));
    assert_list(desk->journal, MOVES_ALL, NULL, "1 2 3 4");
    assert_list(desk->journal, MOVES_UNFINISHED, NULL, "2 3");
    assert_list(desk->journal, MOVES_ALL, UUID_1, "1 3");
    assert_list(desk->journal, MOVES_UNFINISHED, UUID_2, "2");
    assert_list(desk->journal, MOVES_ALL, "nobody", "");
}

static void a_glance_reads_no_xml(void **state)
{
    const struct desk *desk = *state;
    finish(desk->journal, new_move(desk->journal, UUID_1));
    int64_t id = new_move(desk->journal, UUID_2);
    OK(journal_begin(desk->journal, id, PHASE_LOCKED, why));
    CLEANUP(move_records_clear) struct move_records records = {0};
    CLEANUP(move_record_clear) struct move_record whole = {0};
    OK(journal_glance(desk->journal, MOVES_UNFINISHED, &records, why));
    OK(journal_read(desk->journal, id, &whole, why));
    assert_int_equal(records.count, 1);
    const struct move_record *record = &records.items[0];
    assert_int_equal(record->id, id);
    assert_string_equal(record->uuid, UUID_2);
    assert_string_equal(record->domain, whole.domain);
    assert_string_equal(record->uri, whole.uri);
    assert_int_equal(record->phase, PHASE_PLANNED);
    assert_int_equal(record->begun, PHASE_LOCKED);
    assert_true(whole.plan && whole.live && !record->plan && !record->live);
}

/* ---- the story ---- */

static void the_story_in_order(void **state)
{
    const struct desk *desk = *state;
    int64_t id = new_move(desk->journal, UUID_1);
    int64_t other = new_move(desk->journal, UUID_2);
    OK(journal_reach(desk->journal, id, PHASE_LOCKED, NULL, why));
    OK(journal_begin(desk->journal, id, PHASE_SOURCE_PREPARED, why));
    OK(journal_note(desk->journal, id, "warning", "holes", why));
    OK(journal_note(desk->journal, other, "warning", "not here", why));
    OK(journal_reach(desk->journal, id, PHASE_SOURCE_PREPARED, "nothing to do", why));
    CLEANUP(step_records_clear) struct step_records story = {0};
    OK(journal_story(desk->journal, id, &story, why));
    static const struct {
        const char *event, *phase, *detail;
    } expected[] = {
        {"done", "planned", NULL},
        {"done", "locked", NULL},
        {"begin", "source prepared", NULL},
        {"warning", "locked", "holes"},
        {"done", "source prepared", "nothing to do"},
    };
    assert_int_equal(story.count, ARRAY_SIZE(expected));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        assert_string_equal(story.items[i].event, expected[i].event);
        assert_string_equal(story.items[i].phase, expected[i].phase);
        assert_true(text_equal(story.items[i].detail, expected[i].detail));
        assert_true(i == 0 || story.items[i].at >= story.items[i - 1].at);
    }
}

static void messages_are_replaced_and_cleared(void **state)
{
    const struct desk *desk = *state;
    int64_t id = new_move(desk->journal, UUID_1);
    OK(journal_set_message(desk->journal, id, "full", "make room", why));
    OK(journal_set_message(desk->journal, id, "other", NULL, why));
    CLEANUP(move_record_clear) struct move_record record = {0};
    OK(journal_read(desk->journal, id, &record, why));
    assert_string_equal(record.message, "other");
    assert_null(record.hint);
    OK(journal_set_message(desk->journal, id, NULL, NULL, why));
    move_record_clear(&record);
    OK(journal_read(desk->journal, id, &record, why));
    assert_null(record.message);
}

/* ---- definitions ---- */

static char *read_text(const char *path)
{
    AUTO_FCLOSE FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("cannot open %s", path);
    char text[4096] = "";
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    return text_slice(text, length);
}

static void a_definition_is_a_file_and_a_record(void **state)
{
    const struct desk *desk = *state;
    int64_t id = new_move(desk->journal, UUID_1);
    OK(journal_save_definition(desk->journal, id, "db-1", UUID_1, "<domain>1</domain>", why));
    CLEANUP(move_record_clear) struct move_record record = {0};
    OK(journal_read(desk->journal, id, &record, why));
    assert_string_equal(record.definition, "<domain>1</domain>");
    AUTO_FREE char *start = text_format("%s/definitions/db-1-" UUID_1 "-", desk->folder);
    assert_true(text_starts_with(record.definition_file, start));
    assert_string_equal(record.definition_file + strlen(record.definition_file) - 5, "Z.xml");
    AUTO_FREE char *text = read_text(record.definition_file);
    assert_string_equal(text, "<domain>1</domain>");

    OK(journal_save_definition(desk->journal, id, "db-1", UUID_1, "<domain>2</domain>", why));
    move_record_clear(&record);
    OK(journal_read(desk->journal, id, &record, why));
    assert_string_equal(record.definition, "<domain>2</domain>");
    AUTO_FREE char *replaced = read_text(record.definition_file);
    assert_string_equal(replaced, "<domain>2</domain>");
}

static void names_are_made_tame(void **state)
{
    const struct desk *desk = *state;
    static const char *const cases[][2] = {
        {"../../../etc/cron.d/x", "_.___.___etc_cron.d_x-"},
        {"a b\n;$(x)", "a_b___"
                       "__x_-"},
        {".hidden", "_hidden-"},
        {"\xc3\xa4", "__-"},
        {"", "-"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t id = new_move(desk->journal, UUID_1);
        OK(journal_save_definition(desk->journal, id, cases[i][0], UUID_1, "<domain/>", why));
        CLEANUP(move_record_clear) struct move_record record = {0};
        OK(journal_read(desk->journal, id, &record, why));
        AUTO_FREE char *folder = text_format("%s/definitions/", desk->folder);
        assert_true(text_starts_with(record.definition_file, folder));
        const char *name = record.definition_file + strlen(folder);
        assert_null(strchr(name, '/'));
        assert_int_not_equal(*name, '.');
    }
}

static void a_long_name(void **state)
{
    const struct desk *desk = *state;
    char name[1000];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    int64_t id = new_move(desk->journal, UUID_1);
    OK(journal_save_definition(desk->journal, id, name, UUID_1, "<domain/>", why));
}

static size_t count_files(const char *folder)
{
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    size_t count = 0;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

/* No file can grow: as on a file system without room. */
static void a_definition_that_cannot_be_written(void **state)
{
    const struct desk *desk = *state;
    int64_t id = new_move(desk->journal, UUID_1);
    struct rlimit usual, none;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    none = usual;
    none.rlim_cur = 0;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    AUTO_ERROR struct error error = {0};
    int result = journal_save_definition(desk->journal, id, "db-1", UUID_1, "<domain/>", &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(result, -1);
    assert_non_null(strstr(error.message, "cannot write"));
    AUTO_FREE char *folder = text_format("%s/definitions", desk->folder);
    assert_int_equal(count_files(folder), 0); /* not even half of one */
    CLEANUP(move_record_clear) struct move_record record = {0};
    OK(journal_read(desk->journal, id, &record, why));
    assert_null(record.definition);
    assert_null(record.definition_file);
}

/* Two moves of one domain within a second: the file that the first one's record names must still
 * hold what the first one saved. */
static void moves_do_not_share_a_file(void **state)
{
    const struct desk *desk = *state;
    int64_t first = new_move(desk->journal, UUID_1);
    int64_t second = new_move(desk->journal, UUID_1);
    OK(journal_save_definition(desk->journal, first, "db-1", UUID_1, "<domain>1</domain>", why));
    OK(journal_save_definition(desk->journal, second, "db-1", UUID_1, "<domain>2</domain>", why));
    CLEANUP(move_record_clear) struct move_record record = {0};
    OK(journal_read(desk->journal, first, &record, why));
    AUTO_FREE char *text = read_text(record.definition_file);
    assert_string_equal(text, "<domain>1</domain>");
}

int main(void)
{
#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        WITH_DESK(a_new_move),
        WITH_DESK(who_copies_is_kept),
        WITH_DESK(numbers_are_never_used_twice),
        WITH_DESK(any_text_comes_back),
        WITH_DESK(a_large_record),
        WITH_DESK(lists),
        WITH_DESK(a_glance_reads_no_xml),
        WITH_DESK(the_story_in_order),
        WITH_DESK(messages_are_replaced_and_cleared),
        WITH_DESK(a_definition_is_a_file_and_a_record),
        WITH_DESK(names_are_made_tame),
        WITH_DESK(a_long_name),
        WITH_DESK(a_definition_that_cannot_be_written),
        WITH_DESK(moves_do_not_share_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
