/* What is put there is what is taken, in its order, until it is done. */
#include "queue_fixture.h"

static void every_field_comes_back(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    struct request request = {
        .file = (char *)"not mine to say",
        .uuid = (char *)"C7A5FDBD-cdaf-9455-926a-d65c16db1809",
        .domain = (char *)"db \"1\" \\ / <&> \xc3\xa4 \xf0\x9f\x92\xbe",
        .reason = (char *)"tier",
        .tier = (char *)"gold \"x\"",
        .bandwidth = 1ull << 50,
        .created = 1700000000,
    };
    text_list_append(&request.targets, "vda");
    text_list_append(&request.targets, "sdb");
    text_list_append(&request.targets, "hda_1");
    OK(queue_put(folder, &request, why));
    text_list_clear(&request.targets);
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 99;
    OK(queue_take(folder, &requests, &bad, why));
    assert_int_equal(bad, 0);
    assert_int_equal(requests.count, 1);
    const struct request *taken = &requests.items[0];
    AUTO_FREE char *path = path_in(folder, taken->file);
    assert_int_equal(access(path, R_OK), 0);
    assert_string_equal(taken->uuid, UUID_1);
    assert_string_equal(taken->domain, request.domain);
    assert_string_equal(taken->reason, "tier");
    assert_string_equal(taken->tier, request.tier);
    assert_int_equal(taken->targets.count, 3);
    assert_string_equal(taken->targets.items[0], "vda");
    assert_string_equal(taken->targets.items[2], "hda_1");
    assert_int_equal(taken->bandwidth, 1ull << 50);
    assert_int_equal(taken->created, 1700000000);
}

static void what_is_not_said_stays_so(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    int64_t before = (int64_t)time(NULL);
    OK(put_named(folder, NULL, why));
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 99;
    OK(queue_take(folder, &requests, &bad, why));
    assert_int_equal(requests.count, 1);
    const struct request *taken = &requests.items[0];
    assert_null(taken->domain);
    assert_null(taken->tier);
    assert_int_equal(taken->targets.count, 0);
    assert_int_equal(taken->bandwidth, 0);
    assert_true(taken->created >= before && taken->created <= (int64_t)time(NULL));
}

/* As a person may write it: as little as can be said. */
static void the_shortest_request(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    int64_t before = (int64_t)time(NULL) - 2;
    drop_text(
        folder, "1.json",
        "{\"version\":1,\"uuid\":\"C7A5FDBD-CDAF-9455-926A-D65C16DB1809\",\"reason\":\"user\"}");
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 99;
    OK(queue_take(folder, &requests, &bad, why));
    assert_int_equal(requests.count, 1);
    assert_string_equal(requests.items[0].file, "1.json");
    assert_string_equal(requests.items[0].uuid, UUID_1);
    assert_true(requests.items[0].created >= before); /* when the file was written */
}

static void oldest_first(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    for (int i = 0; i < 30; i++) {
        AUTO_FREE char *name = text_format("domain %d", i);
        OK(put_named(folder, name, why));
    }
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 99;
    OK(queue_take(folder, &requests, &bad, why));
    assert_int_equal(requests.count, 30);
    for (int i = 0; i < 30; i++) {
        AUTO_FREE char *name = text_format("domain %d", i);
        assert_string_equal(requests.items[i].domain, name);
    }
}

static void files_stay_until_done(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    OK(put_named(folder, "a", why));
    OK(put_named(folder, "b", why));
    assert_taken(folder, 2, 0);
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 99;
    OK(queue_take(folder, &requests, &bad, why));
    OK(queue_done(folder, requests.items[0].file, why));
    OK(queue_done(folder, requests.items[0].file, why)); /* gone already */
    CLEANUP(requests_clear) struct requests left = {0};
    OK(queue_take(folder, &left, &bad, why));
    assert_int_equal(left.count, 1);
    assert_string_equal(left.items[0].domain, "b");
}

static void no_folder_is_no_requests(void **state UNUSED)
{
    AUTO_SCRATCH char *parent = scratch_new();
    AUTO_FREE char *folder = text_format("%s/state", parent);
    char *example = (char *)"x";
    assert_taken(parent, 0, 0);
    assert_taken(folder, 0, 0);
    OK(queue_done(folder, "1.json", why));
    assert_int_equal(queue_bad(folder, &example), 0);
    assert_null(example);
    assert_int_equal(access(folder, F_OK), -1); /* looking makes nothing */
}

/* ---- what is not put there ---- */

static void refuse(const struct request *request, const char *reason)
{
    AUTO_SCRATCH char *folder = scratch_new();
    AUTO_ERROR struct error error = {0};
    assert_int_equal(queue_put(folder, request, &error), -1);
    assert_int_equal(error.code, ERROR_INPUT);
    if (!strstr(error.message, reason))
        fail_msg("'%s' expected in: %s", reason, error.message);
    assert_list(folder, "", "");
}

static void what_would_not_be_taken_is_not_put(void **state UNUSED)
{
    const struct request good = {.uuid = (char *)UUID_1, .reason = (char *)"user"};
    struct request request = good;
    request.uuid = NULL;
    refuse(&request, "'uuid'");
    request.uuid = (char *)"../../etc/passwd";
    refuse(&request, "'uuid'");
    request = good;
    request.reason = NULL;
    refuse(&request, "'reason'");
    request.reason = (char *)"because";
    refuse(&request, "'reason'");
    request = good;
    request.tier = (char *)"gold\n";
    refuse(&request, "'tier'");
    request.tier = (char *)"";
    refuse(&request, "'tier'");
    request = good;
    request.bandwidth = UINT64_MAX;
    refuse(&request, "'bandwidth'");
    request = good;
    request.created = -1;
    refuse(&request, "'created'");
    request = good;
    text_list_append(&request.targets, "vda");
    text_list_append(&request.targets, "--all");
    refuse(&request, "'targets'");
    text_list_clear(&request.targets);
}

/* The guest's name is not ours to refuse: the hook puts there whatever libvirt calls it. */
static void any_domain_s_name_will_do(void **state UNUSED)
{
    static const char *const cases[][2] = {
        {"tab\there", "tab?here"},
        {"a\x01\x7f\xc2\x80z", "a????z"}, /* C0, DEL, C1 */
        {"\xff\xfe", "??"},
        {"\xc0\x80", "??"},           /* a NUL, overlong */
        {"\xed\xa0\x80", "???"},      /* half of a surrogate pair */
        {"cut \xe2\x82", "cut ??"},   /* the end of the text in mid-character */
        {"\xf5\x80\x80\x80", "????"}, /* beyond Unicode */
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_SCRATCH char *folder = scratch_new();
        OK(put_named(folder, cases[i][0], why));
        CLEANUP(requests_clear) struct requests requests = {0};
        size_t bad = 99;
        OK(queue_take(folder, &requests, &bad, why));
        assert_int_equal(requests.count, 1);
        if (cases[i][1])
            assert_string_equal(requests.items[0].domain, cases[i][1]);
        else
            assert_null(requests.items[0].domain);
    }
    char name[5001] = "";
    for (size_t i = 0; i < sizeof(name) - 2; i += 2)
        memcpy(name + i, "\xc3\xa4", 2);
    AUTO_SCRATCH char *folder = scratch_new();
    OK(put_named(folder, name, why));
    assert_taken(folder, 1, 0); /* cut between two characters */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(what_is_not_said_stays_so),
        cmocka_unit_test(the_shortest_request),
        cmocka_unit_test(oldest_first),
        cmocka_unit_test(files_stay_until_done),
        cmocka_unit_test(no_folder_is_no_requests),
        cmocka_unit_test(what_would_not_be_taken_is_not_put),
        cmocka_unit_test(any_domain_s_name_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
