/* What status, check and cancel make of a request. */
#include "cmocka_compat.h"

#include "cli/request_view.h"
#include "queue/queue.h"

#include <ftw.h>
#include <json-c/json.h>
#include <sys/stat.h>

#define UUID "11111111-2222-4333-8444-555555555555"
#define NOW 1000000

DEFINE_CLEANUP(struct json_object, json_object_put);

static struct request_view waiting(int64_t not_before)
{
    return (struct request_view){.record = {.id = 7,
                                            .uuid = UUID,
                                            .reason = "start",
                                            .state = REQUEST_WAITING,
                                            .not_before = not_before}};
}

/* ---- words ---- */

static void assert_next_try(struct request_view view, const char *expected)
{
    AUTO_FREE char *text = request_view_next_try(&view, NOW);
    if (expected)
        assert_string_equal(text, expected);
    else
        assert_null(text);
}

static void the_next_try_is_told_of_what_waits(void **state UNUSED)
{
    assert_next_try(waiting(NOW + 45), "in 45 s");
    assert_next_try(waiting(NOW + 240), "in 4 min 00 s");
    assert_next_try(waiting(NOW), "now");
    assert_next_try(waiting(0), "now");
    struct request_view view = waiting(NOW + 45);
    view.record.state = REQUEST_FAILED;
    assert_next_try(view, NULL);
    view.record.state = REQUEST_RUNNING;
    assert_next_try(view, NULL);
    view = waiting(0);
    view.queued = true; /* whoever takes it decides */
    assert_next_try(view, NULL);
}

static void assert_why(struct request_view view, const char *expected)
{
    AUTO_FREE char *text = request_view_why(&view);
    if (expected)
        assert_string_equal(text, expected);
    else
        assert_null(text);
}

static void why_is_the_message_the_move_or_the_missing_agent(void **state UNUSED)
{
    struct request_view view = waiting(0);
    assert_why(view, NULL);
    view.record.message = "waits for its start";
    assert_why(view, "waits for its start");
    view.record.move = 12;
    assert_why(view, "waits for its start"); /* that move has failed */
    view.record.state = REQUEST_RUNNING;
    assert_why(view, "move 12");
    view.queued = true;
    assert_why(view, "waits for an agent to take it");
}

static void a_failed_one_is_not_open(void **state UNUSED)
{
    static const bool expected[] = {
        [REQUEST_WAITING] = true, [REQUEST_RUNNING] = true,    [REQUEST_DONE] = false,
        [REQUEST_FAILED] = false, [REQUEST_CANCELLED] = false,
    };
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        struct request_view view = waiting(0);
        view.record.state = (enum request_state)i;
        assert_int_equal(request_view_is_open(&view), expected[i]);
        assert_string_equal(request_view_state(&view), request_state_word((enum request_state)i));
    }
}

static void a_domain_is_known_by_name_and_by_uuid(void **state UNUSED)
{
    assert_true(request_is_of(UUID, "db1", NULL));
    assert_true(request_is_of(UUID, "db1", "db1"));
    assert_true(request_is_of(UUID, NULL, UUID));
    assert_false(request_is_of(UUID, NULL, "db1"));
    assert_false(request_is_of(UUID, "db1", "db"));
    struct request_view view = waiting(0);
    assert_string_equal(request_domain(&view.record), UUID);
    view.record.domain = "db1";
    assert_string_equal(request_domain(&view.record), "db1");
}

static void assert_hint(const struct request_view *view, const char *expected)
{
    AUTO_FREE char *hint = request_hint(&view->record);
    assert_string_equal(hint, expected);
}

/* Anything else that ends well would hide that this one has failed. */
static void the_hint_asks_for_the_very_same(void **state UNUSED)
{
    struct request_view view = waiting(0);
    assert_hint(&view, "'virt-pivot move " UUID " --queue' tries again, 'virt-pivot cancel " UUID
                       "' forgets it");
    view.record.domain = "db1";
    view.record.tier = "gold";
    view.record.targets = "vda,vdb";
    view.record.bandwidth = 1048576;
    view.record.hint = "make room";
    assert_hint(&view, "make room; 'virt-pivot move db1 --disk vda --disk vdb --tier gold"
                       " --bandwidth 1048576 --queue' tries again, 'virt-pivot cancel db1' forgets "
                       "it");
}

/* ---- JSON ---- */

static struct json_object *json_of(struct request_view view)
{
    const struct request_views views = {.items = &view, .count = 1};
    struct json_object *array = request_views_json(&views);
    assert_int_equal(json_object_array_length(array), 1);
    return array;
}

static const char *member(struct json_object *array, const char *key)
{
    struct json_object *value = NULL;
    assert_true(json_object_object_get_ex(json_object_array_get_idx(array, 0), key, &value));
    return json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);
}

static void what_is_not_known_is_null(void **state UNUSED)
{
    CLEANUP(json_object_putp) struct json_object *json = json_of(waiting(0));
    static const char *const nulls[] = {"domain",   "tier",    "disks", "bandwidth",
                                        "next_try", "process", "move",  "message"};
    for (size_t i = 0; i < ARRAY_SIZE(nulls); i++)
        assert_string_equal(member(json, nulls[i]), "null");
    assert_string_equal(member(json, "id"), "7");
    assert_string_equal(member(json, "attempts"), "0");
}

static void disks_are_an_array(void **state UNUSED)
{
    struct request_view view = waiting(NOW);
    view.record.targets = "vda,vdb";
    view.record.bandwidth = 1048576;
    CLEANUP(json_object_putp) struct json_object *json = json_of(view);
    assert_string_equal(member(json, "disks"), "[\"vda\",\"vdb\"]");
    assert_string_equal(member(json, "bandwidth"), "1048576");
    assert_string_equal(member(json, "next_try"), "1000000");
}

static void one_in_the_queue_has_no_number_and_no_next_try(void **state UNUSED)
{
    struct request_view view = waiting(NOW);
    view.queued = true;
    CLEANUP(json_object_putp) struct json_object *json = json_of(view);
    assert_string_equal(member(json, "id"), "null");
    assert_string_equal(member(json, "next_try"), "null");
    assert_string_equal(member(json, "state"), "\"queued\"");
}

/* ---- the queue folder ---- */

static int set_up(void **state)
{
    char *folder = text_dup("/tmp/vp-request-view-XXXXXX");
    *state = folder;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status UNUSED, int kind UNUSED,
                      struct FTW *place UNUSED)
{
    return remove(path);
}

static int tear_down(void **state)
{
    int result = nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return result;
}

static void put(const char *folder, const char *domain)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(request_clear)
    struct request request = {.uuid = text_dup(UUID),
                              .domain = text_dup(domain),
                              .reason = text_dup("user"),
                              .tier = text_dup("gold")};
    text_list_append(&request.targets, "vda");
    text_list_append(&request.targets, "vdb");
    assert_int_equal(queue_put(folder, &request, &error), 0);
}

static void look(const char *folder, const char *domain, struct request_views *views)
{
    AUTO_ERROR struct error error = {0};
    assert_int_equal(request_views_add_queued(folder, domain, views, &error), 0);
}

static void no_folder_is_an_empty_queue(void **state UNUSED)
{
    CLEANUP(request_views_clear) struct request_views views = {0};
    look("/nonexistent", NULL, &views);
    assert_int_equal(views.count, 0);
}

static void what_lies_in_the_folder_is_shown_and_stays_there(void **state)
{
    put(*state, "db1");
    put(*state, "db2");
    for (int twice = 0; twice < 2; twice++) {
        CLEANUP(request_views_clear) struct request_views views = {0};
        look(*state, "db1", &views);
        assert_int_equal(views.count, 1);
        const struct request_view *view = &views.items[0];
        assert_true(view->queued);
        assert_true(request_view_is_open(view));
        assert_string_equal(request_view_state(view), "queued");
        assert_string_equal(view->record.targets, "vda,vdb");
        assert_string_equal(view->record.tier, "gold");
        assert_string_equal(view->record.reason, "user");
    }
}

static void what_the_agent_has_taken_meanwhile_is_not_shown_twice(void **state)
{
    CLEANUP(request_views_clear) struct request_views views = {0};
    put(*state, "db1");
    look(*state, NULL, &views);
    assert_int_equal(views.count, 1);
    views.items[0].queued = false; /* as the journal would give it */
    look(*state, NULL, &views);
    assert_int_equal(views.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_try_is_told_of_what_waits),
        cmocka_unit_test(why_is_the_message_the_move_or_the_missing_agent),
        cmocka_unit_test(a_failed_one_is_not_open),
        cmocka_unit_test(a_domain_is_known_by_name_and_by_uuid),
        cmocka_unit_test(the_hint_asks_for_the_very_same),
        cmocka_unit_test(what_is_not_known_is_null),
        cmocka_unit_test(disks_are_an_array),
        cmocka_unit_test(one_in_the_queue_has_no_number_and_no_next_try),
        cmocka_unit_test(no_folder_is_an_empty_queue),
        cmocka_unit_test_setup_teardown(what_lies_in_the_folder_is_shown_and_stays_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_the_agent_has_taken_meanwhile_is_not_shown_twice,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
