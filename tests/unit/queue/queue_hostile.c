/* What anybody may have put there: each is set aside with its reason, and the others are taken. */
#include "queue_fixture.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#define HEAD "{\"version\":1,\"uuid\":\"" UUID_1 "\",\"reason\":\"user\""

/* Takes the one file that is there, and expects it in bad/, as it was, with that reason. */
static void assert_set_aside(const char *folder, const char *reason)
{
    assert_taken(folder, 0, 1);
    assert_list(folder, "", "bad ");
    char *example = NULL;
    assert_int_equal(queue_bad(folder, &example), 1);
    AUTO_FREE char *path = example;
    AUTO_FREE char *start = path_in(folder, "bad/");
    assert_true(text_starts_with(path, start));
    AUTO_FREE char *why_path = text_format("%s.why", path);
    AUTO_FREE char *text = read_text(why_path);
    if (!strstr(text, reason))
        fail_msg("'%s' expected in: %s", reason, text);
    for (const char *c = text; c[1]; c++)
        assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
    assert_taken(folder, 0, 0); /* once is enough */
}

static void refuse(const char *text, const char *reason)
{
    AUTO_SCRATCH char *folder = scratch_new();
    drop_text(folder, "1.json", text);
    assert_set_aside(folder, reason);
    AUTO_FREE char *path = path_in(folder, "bad/1.json");
    AUTO_FREE char *kept = read_text(path);
    assert_int_equal(strncmp(kept, text, strlen(kept)), 0);
}

static void what_is_no_json(void **state UNUSED)
{
    refuse("", "it is empty");
    refuse("   \n", "it is not JSON");
    refuse("not json", "it is not JSON");
    refuse("{", "it ends too early");
    refuse(HEAD, "it ends too early");
    refuse(HEAD "} trailing", "it is not JSON");
    refuse(HEAD "}{}", "it is not JSON");
    refuse("null\n", "it is not a JSON object");
    refuse("[1]", "it is not a JSON object");
    refuse("\"text\"", "it is not a JSON object");
    refuse("<domain/>", "it is not JSON");
    refuse("{version:1}", "it is not JSON");
    refuse("\xff\xfe", "it is not JSON");
}

static void wrong_versions(void **state UNUSED)
{
    refuse("{}", "'version' must be 1");
    refuse("{\"uuid\":\"" UUID_1 "\",\"reason\":\"user\"}", "'version' must be 1");
    refuse("{\"version\":2,\"uuid\":\"" UUID_1 "\",\"reason\":\"user\"}", "'version' must be 1");
    refuse("{\"version\":\"1\"}", "'version' must be 1");
    refuse("{\"version\":1.0}", "'version' must be 1");
    refuse("{\"version\":true}", "'version' must be 1");
    refuse("{\"version\":null}", "'version' must be 1");
    refuse("{\"version\":99999999999999999999}", "'version' must be 1");
}

static void missing_and_malformed(void **state UNUSED)
{
    refuse("{\"version\":1,\"reason\":\"user\"}", "'uuid'");
    refuse("{\"version\":1,\"uuid\":\"" UUID_1 "\"}", "'reason'");
    static const char *const uuids[] = {
        "",
        "c7a5fdbd",
        "c7a5fdbdcdaf9455926ad65c16db1809",
        "c7a5fdbd-cdaf-9455-926a-d65c16db180",
        "c7a5fdbd-cdaf-9455-926a-d65c16db18099",
        "g7a5fdbd-cdaf-9455-926a-d65c16db1809",
        "c7a5fdbd-cdaf-9455-926ad-65c16db1809",
        "-7a5fdbd-cdaf-9455-926a-d65c16db1809",
        "../../../../../../../../../etc/passwd",
        "c7a5fdbd-cdaf-9455-926a-d65c16db1809 ",
    };
    for (size_t i = 0; i < ARRAY_SIZE(uuids); i++) {
        AUTO_FREE char *text =
            text_format("{\"version\":1,\"uuid\":\"%s\",\"reason\":\"user\"}", uuids[i]);
        refuse(text, "'uuid'");
    }
    refuse("{\"version\":1,\"uuid\":\"" UUID_1 "\",\"reason\":\"because\"}", "'reason'");
    refuse("{\"version\":1,\"uuid\":\"" UUID_1 "\",\"reason\":\"\"}", "'reason'");
    refuse("{\"version\":1,\"uuid\":\"" UUID_1 "\",\"reason\":\"User\"}", "'reason'");
}

static void wrong_types(void **state UNUSED)
{
    static const char *const keys[] = {"uuid",    "domain",    "reason", "tier",
                                       "targets", "bandwidth", "created"};
    static const char *const values[] = {"null", "true", "1.5",    "{}",
                                         "[[]]", "[1]",  "[null]", "[{}]"};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
            AUTO_FREE char *text = text_format(HEAD ",\"%s\":%s}", keys[i], values[j]);
            AUTO_FREE char *reason = text_format("'%s' must be a", keys[i]);
            /* Deep enough to be stopped by the parser already. */
            refuse(text,
                   text_equal(values[j], "[{}]") || text_equal(values[j], "[[]]") ? "" : reason);
        }
    refuse(HEAD ",\"domain\":7}", "'domain' must be a string");
    refuse(HEAD ",\"targets\":\"vda\"}", "'targets' must be a list");
    refuse(HEAD ",\"bandwidth\":\"7\"}", "'bandwidth' must be a whole number");
}

/* A key that means something to somebody else: "target" would otherwise move every disk. */
static void unknown_keys(void **state UNUSED)
{
    refuse(HEAD ",\"target\":\"vda\"}", "'target' is no key");
    refuse(HEAD ",\"Version\":1}", "'Version' is no key");
    refuse(HEAD ",\"\":1}", "'' is no key");
    refuse(HEAD ",\"a\\nb\\u001b[31m\":1}", "'a?b?[31m' is no key");
    refuse(HEAD ",\"file\":\"x\"}", "'file' is no key");
}

static void names_with_more_than_letters(void **state UNUSED)
{
    static const char *const bad[] = {
        "a\\nb", "\\u0007", "\\u001b[2J", "\\u007f", "\\u0085", "", "\x80", "\xc3", "\xc0\xaf",
    };
    static const char *const keys[] = {"domain", "tier"};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        for (size_t j = 0; j < ARRAY_SIZE(bad); j++) {
            AUTO_FREE char *text = text_format(HEAD ",\"%s\":\"%s\"}", keys[i], bad[j]);
            refuse(text, ""); /* here, or by a json-c that knows UTF-8 */
        }
    refuse(HEAD ",\"domain\":\"a\\nb\"}", "'domain' must be a name");
    refuse(HEAD ",\"tier\":\"\"}", "'tier' must be a name");
    char long_name[2000];
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    AUTO_FREE char *text = text_format(HEAD ",\"tier\":\"%s\"}", long_name);
    refuse(text, "'tier' must be a name");
}

static void targets_that_are_no_disks(void **state UNUSED)
{
    static const char *const targets[] = {
        "",        "--tier", "vda,vdb", "../vda", "/dev/vda",
        "vda vdb", "Vda",    "1a",      "_",      "vd\\u00e4",
        "vda\\n",  "vda;x",  "$(x)",    "v*",     "vdaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        AUTO_FREE char *text = text_format(HEAD ",\"targets\":[\"sda\",\"%s\"]}", targets[i]);
        refuse(text, "'targets' must be names of disks");
    }
    AUTO_BUFFER struct buffer many = {0};
    buffer_add(&many, HEAD ",\"targets\":[\"vda\"");
    for (int i = 0; i < 1000; i++)
        buffer_add(&many, ",\"vda\"");
    buffer_add(&many, "]}");
    refuse(many.text, "'targets' names more than");
}

static void numbers_out_of_range(void **state UNUSED)
{
    static const char *const numbers[] = {"-1",
                                          "1125899906842625",
                                          "9223372036854775807",
                                          "18446744073709551615",
                                          "99999999999999999999999",
                                          "-99999999999999999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        AUTO_FREE char *bandwidth = text_format(HEAD ",\"bandwidth\":%s}", numbers[i]);
        refuse(bandwidth, "'bandwidth' is out of range");
        AUTO_FREE char *created = text_format(HEAD ",\"created\":%s}", numbers[i]);
        refuse(created, "'created' is out of range");
    }
    refuse(HEAD ",\"bandwidth\":1e3}", "'bandwidth' must be a whole number");
    refuse(HEAD ",\"bandwidth\":NaN}", "");
    refuse(HEAD ",\"bandwidth\":Infinity}", "");
}

static void nul_bytes(void **state UNUSED)
{
    static const char after[] = HEAD "}\0{\"version\":2}";
    AUTO_SCRATCH char *folder = scratch_new();
    drop(folder, "1.json", after, sizeof(after) - 1);
    assert_set_aside(folder, "it holds a NUL");
    AUTO_SCRATCH char *zeros = scratch_new();
    char nothing[5000] = {0};
    drop(zeros, "1.json", nothing, sizeof(nothing));
    assert_set_aside(zeros, "it holds a NUL");
    refuse("{\"version\":1,\"uuid\":\"" UUID_1 "\\u0000x\",\"reason\":\"user\"}", "holds a NUL");
    refuse(HEAD ",\"tier\":\"gold\\u0000\"}", "holds a NUL");
    refuse(HEAD ",\"targets\":[\"vda\\u0000\"]}", "holds a NUL");
}

static void nesting_bombs(void **state UNUSED)
{
    static char bomb[60000];
    memset(bomb, '[', sizeof(bomb) - 1);
    refuse(bomb, "it is not JSON");
    AUTO_BUFFER struct buffer objects = {0};
    for (int i = 0; i < 10000; i++)
        buffer_add(&objects, "{\"a\":");
    refuse(objects.text, "it is not JSON");
    AUTO_FREE char *inside = text_format(HEAD ",\"targets\":%s}", bomb);
    refuse(inside, "it is not JSON");
}

static void sizes(void **state UNUSED)
{
    AUTO_BUFFER struct buffer text = {0};
    buffer_add(&text, HEAD "}");
    while (text.length < QUEUE_FILE_MAX_BYTES)
        buffer_add(&text, " ");
    AUTO_SCRATCH char *folder = scratch_new();
    drop_text(folder, "1.json", text.text);
    assert_taken(folder, 1, 0); /* as large as it may be */
    buffer_add(&text, " ");
    refuse(text.text, "it is larger than 65536 bytes");

    AUTO_SCRATCH char *sparse = scratch_new();
    drop_text(sparse, "1.json", HEAD "}");
    AUTO_FREE char *path = path_in(sparse, "1.json");
    assert_int_equal(truncate(path, 1LL << 40), 0);
    assert_set_aside(sparse, "it is larger than");
}

/* ---- what is not even a file ---- */

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
}

static void things_that_are_no_files(void **state UNUSED)
{
    enum { FOLDER, FULL_FOLDER, LINK, DANGLING, LOOP, PIPE, SOCKET, DEVICE, KINDS };
    for (int kind = FOLDER; kind < KINDS; kind++) {
        AUTO_SCRATCH char *folder = scratch_new();
        AUTO_FREE char *path = path_in(folder, "1.json");
        AUTO_FREE char *real = text_format("%s/real.json", folder);
        drop_text(folder, "../real.json", HEAD "}");
        if (kind == FOLDER || kind == FULL_FOLDER)
            assert_int_equal(mkdir(path, 0700), 0);
        if (kind == FULL_FOLDER)
            drop_text(folder, "1.json/inner.json", HEAD "}");
        if (kind == LINK) /* to a good one, elsewhere */
            assert_int_equal(symlink(real, path), 0);
        if (kind == DANGLING)
            assert_int_equal(symlink("/nowhere/at/all", path), 0);
        if (kind == LOOP)
            assert_int_equal(symlink("1.json", path), 0);
        if (kind == PIPE)
            assert_int_equal(mkfifo(path, 0600), 0);
        if (kind == SOCKET)
            make_socket(path);
        if (kind == DEVICE && mknod(path, S_IFCHR | 0600, makedev(1, 5)) < 0) {
            print_message("no device can be made here: %s\n", strerror(errno));
            continue;
        }
        assert_set_aside(folder, "it is not a regular file");
        assert_int_equal(access(real, R_OK), 0);
    }
}

static void names_that_are_no_requests(void **state UNUSED)
{
    static const char *const names[][2] = {
        {"README", "README"},
        {"1.json~", "1.json_"},
        {"1.JSON", "1.JSON"},
        {"a b.json", "a_b.json"},
        {"a\nb\x1b[2J.json", "a_b__2J.json"},
        {"json", "json"},
        {"x.why", "x.why.0"},
        {"\xff\xff.json", "__.json"},
        {"$(x);.json", "__x__.json"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        AUTO_SCRATCH char *folder = scratch_new();
        drop_text(folder, names[i][0], HEAD "}");
        assert_set_aside(folder, "its name is not a request's");
        AUTO_FREE char *sub = text_format("bad/%s", names[i][1]);
        AUTO_FREE char *path = path_in(folder, sub);
        assert_int_equal(access(path, R_OK), 0);
    }
    char name[252];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    AUTO_SCRATCH char *folder = scratch_new();
    drop_text(folder, name, HEAD "}");
    assert_set_aside(folder, "its name is not a request's");
}

static void files_of_somebody_else(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    drop_text(folder, "1.json", HEAD "}");
    AUTO_FREE char *path = path_in(folder, "1.json");
    if (chown(path, 12345, 12345) < 0) {
        print_message("SKIPPED: a file cannot be given away: %s\n", strerror(errno));
        skip();
    }
    assert_set_aside(folder, "it belongs to user 12345");
}

#define NOBODY 65534

/* Root can read everything: it lets nobody do it, in a folder of nobody's. */
static void take_as_nobody(const char *folder)
{
    AUTO_FREE char *queue = path_in(folder, "");
    AUTO_FREE char *path = path_in(folder, "1.json");
    assert_int_equal(chown(folder, NOBODY, NOBODY), 0);
    assert_int_equal(chown(queue, NOBODY, NOBODY), 0);
    assert_int_equal(chown(path, NOBODY, NOBODY), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        AUTO_ERROR struct error error = {0};
        CLEANUP(requests_clear) struct requests requests = {0};
        size_t bad = 99;
        if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
            _exit(100);
        _exit(queue_take(folder, &requests, &bad, &error) == 0 && bad == 1 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void files_that_cannot_be_read(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    drop_text(folder, "1.json", HEAD "}");
    AUTO_FREE char *path = path_in(folder, "1.json");
    AUTO_FREE char *why_path = path_in(folder, "bad/1.json.why");
    assert_int_equal(chmod(path, 0), 0);
    if (geteuid() == 0)
        take_as_nobody(folder);
    else
        assert_taken(folder, 0, 1);
    AUTO_FREE char *text = read_text(why_path);
    assert_string_equal(text, "it cannot be read: Permission denied\n");
}

/* ---- many, again and again ---- */

static void a_thousand_at_once(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    for (int i = 0; i < 1000; i++) {
        AUTO_FREE char *name = text_format("%04d.json", i);
        AUTO_FREE char *good = text_format(HEAD ",\"created\":%d}", i + 1);
        drop_text(folder, name, i % 2 ? good : "garbage");
    }
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 0;
    OK(queue_take(folder, &requests, &bad, why));
    assert_int_equal(requests.count, 500);
    assert_int_equal(bad, 500);
    for (size_t i = 0; i < requests.count; i++) {
        assert_int_equal(requests.items[i].created, 2 * i + 2);
        OK(queue_done(folder, requests.items[i].file, why));
    }
    char *example = NULL;
    assert_int_equal(queue_bad(folder, &example), 500);
    free(example);
    assert_list(folder, "", "bad ");
}

/* The earlier ones are evidence, too. */
static void nothing_set_aside_is_overwritten(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    static const char *const texts[] = {"first", "second", "third"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        drop_text(folder, "1.json", texts[i]);
        assert_taken(folder, 0, 1);
    }
    assert_list(folder, "bad", "1.json 1.json.1 1.json.1.why 1.json.2 1.json.2.why 1.json.why ");
    AUTO_FREE char *path = path_in(folder, "bad/1.json");
    AUTO_FREE char *text = read_text(path);
    assert_string_equal(text, "first");
}

static void garbage_that_cannot_be_set_aside(void **state UNUSED)
{
    AUTO_SCRATCH char *folder = scratch_new();
    drop_text(folder, "1.json", "garbage");
    drop_text(folder, "2.json", HEAD "}");
    drop_text(folder, "bad", "a file where the folder belongs");
    for (int i = 0; i < 2; i++)
        assert_taken(folder, 1, 0);
    assert_list(folder, "", "1.json 2.json bad ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_json),
        cmocka_unit_test(wrong_versions),
        cmocka_unit_test(missing_and_malformed),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(unknown_keys),
        cmocka_unit_test(names_with_more_than_letters),
        cmocka_unit_test(targets_that_are_no_disks),
        cmocka_unit_test(numbers_out_of_range),
        cmocka_unit_test(nul_bytes),
        cmocka_unit_test(nesting_bombs),
        cmocka_unit_test(sizes),
        cmocka_unit_test(things_that_are_no_files),
        cmocka_unit_test(names_that_are_no_requests),
        cmocka_unit_test(files_of_somebody_else),
        cmocka_unit_test(files_that_cannot_be_read),
        cmocka_unit_test(a_thousand_at_once),
        cmocka_unit_test(nothing_set_aside_is_overwritten),
        cmocka_unit_test(garbage_that_cannot_be_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
