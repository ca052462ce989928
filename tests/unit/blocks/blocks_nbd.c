/* NBD exports: good servers (qemu-nbd), and one that is not. */
#include "blocks/nbd.h"
#include "qemu_tools.h"
#include "tiny_server.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

/* Of one descriptor it is counted how often it is closed, by whomever. */
static int counted = -1;
static int closes;

int close(int fd)
{
    closes += fd == counted;
    return (int)syscall(SYS_close, fd);
}

static void opened(const char *uri, struct blocks **blocks)
{
    AUTO_ERROR struct error error = {0};
    if (blocks_open_nbd(uri, false, blocks, &error) < 0)
        fail_msg("%s: %s", uri, error.message);
}

static void assert_not_opened(const char *uri, enum error_code code)
{
    AUTO_ERROR struct error error = {0};
    struct blocks *blocks = NULL;
    assert_int_equal(blocks_open_nbd(uri, false, &blocks, &error), -1);
    assert_null(blocks);
    if (code != ERROR_NONE && error.code != code)
        fail_msg("%s: code %d: %s", uri, (int)error.code, error.message);
    assert_non_null(strstr(error.message, uri));
    assert_null(strchr(error.message, '\n'));
}

static void exports_of_qemu(void **state)
{
    struct scratch *scratch = *state;
    scratch_needs_tools(scratch);
    scratch_run(scratch, "truncate -s 30M a.raw && printf hello | "
                         "dd of=a.raw bs=1 seek=20000000 conv=notrunc status=none");
    AUTO_FREE char *socket = scratch_path(scratch, "socket");
    scratch_run(scratch, "qemu-nbd --fork --persistent --shared=4 --read-only -f raw -x 'a b' "
                         "--pid-file=$PWD/pid -k \"$PWD/socket\" a.raw");
    AUTO_FREE char *uri = text_format("nbd+unix:///a%%20b?socket=%s", socket);
    AUTO_FREE char *wrong = text_format("nbd+unix:///b?socket=%s", socket);

    CLEANUP(blocks_closep) struct blocks *blocks = NULL;
    opened(uri, &blocks);
    assert_int_equal(blocks_size(blocks), 30 * MIB);
    assert_true(blocks_knows_holes(blocks));
    AUTO_DISK struct fake_disk *same = fake_disk_new("same", 30 * MIB, FAKE_AT_ONCE);
    memcpy(same->bytes + 20000000, "hello", 5);
    AUTO_ERROR struct error error = {0};
    struct blocks_comparison found;
    assert_int_equal(blocks_compare(blocks, &same->blocks, NULL, &found, &error), 0);
    assert_true(found.equal);
    assert_in_range(found.read, 5, MIB);
    assert_not_opened(wrong, ERROR_NONE);
    scratch_run(scratch, "kill $(cat pid)");
}

/* What a server lets everybody write, it lets us, and no other. */
static void exports_are_written(void **state)
{
    struct scratch *scratch = *state;
    scratch_needs_tools(scratch);
    scratch_run(scratch, "truncate -s 30M a.raw && for way in --read-only --discard=unmap; do "
                         "qemu-nbd --fork --persistent $way -f raw --pid-file=$PWD/pid$way "
                         "-k \"$PWD/socket$way\" a.raw || exit 1; done");
    AUTO_FREE char *readable =
        text_format("nbd+unix:///?socket=%s/socket--read-only", scratch->folder);
    AUTO_FREE char *uri =
        text_format("nbd+unix:///?socket=%s/socket--discard=unmap", scratch->folder);
    AUTO_ERROR struct error error = {0};
    struct blocks *blocks = NULL;
    assert_int_equal(blocks_open_nbd(readable, true, &blocks, &error), -1);
    assert_int_equal(error.code, ERROR_DENIED);
    assert_non_null(strstr(error.message, readable));
    error_clear(&error);

    AUTO_DISK struct fake_disk *source = fake_disk_new("source", 30 * MIB, FAKE_BY_THREAD);
    fake_disk_fill(source, 3 * MIB, 9 * MIB + 5);
    assert_int_equal(blocks_open_nbd(uri, true, &blocks, &error), 0);
    uint64_t updated = 0, written = 0;
    assert_int_equal(blocks_update(&source->blocks, blocks, 0, NULL, &updated, &written, &error),
                     0);
    assert_int_equal(written, 9 * MIB + 4096);
    blocks_close(blocks);
    AUTO_FREE char *path = scratch_path(scratch, "a.raw");
    AUTO_FREE char *bytes = memory_new(30 * MIB, 1);
    AUTO_FCLOSE FILE *file = fopen(path, "r");
    assert_int_equal(fread(bytes, 1, 30 * MIB, file), 30 * MIB);
    assert_memory_equal(bytes, source->bytes, 30 * MIB);
    scratch_run(scratch, "kill $(cat pid--*)");
}

static void strangers(void **state UNUSED)
{
    static const char *const uris[] = {
        "nbd+unix:///?socket=/nonexistent/socket",
        "nbds://127.0.0.1/",
        "nbds+unix:///?socket=/tmp/x&tls-psk-file=/etc/passwd",
        "nbd+vsock://2:10809/",
        "nbd+ssh://host/",
        "http://127.0.0.1/",
        "/etc/passwd",
        "",
        "nbd://127.0.0.1:1/",
    };
    for (size_t i = 0; i < ARRAY_SIZE(uris); i++)
        assert_not_opened(uris[i], ERROR_NONE);
    assert_not_opened("nbd+unix:///?socket=/nonexistent/socket", ERROR_NOT_FOUND);
    assert_not_opened("nbd://127.0.0.1:1/", ERROR_UNREACHABLE);
}

static void no_holes_known(void **state UNUSED)
{
    struct tiny_server server = {.size = 20 * MIB + 512};
    tiny_server_start(&server);
    struct blocks *blocks = NULL;
    opened(server.uri, &blocks);
    assert_false(blocks_knows_holes(blocks));
    AUTO_DISK struct fake_disk *zeros = fake_disk_new("zeros", 20 * MIB + 512, FAKE_BY_THREAD);
    AUTO_ERROR struct error error = {0};
    struct blocks_comparison found;
    assert_int_equal(blocks_compare(&zeros->blocks, blocks, NULL, &found, &error), 0);
    assert_true(found.equal);
    assert_int_equal(server.reads, 6);
    blocks_close(blocks);
    tiny_server_end(&server);
}

/* The comparison fails with this, and the disk can be closed. */
static void assert_fails(struct tiny_server *server, const struct blocks_watch *watch,
                         unsigned patience, enum error_code code, const char *says)
{
    server->size = 40 * MIB;
    tiny_server_start(server);
    struct blocks *blocks = NULL;
    opened(server->uri, &blocks);
    if (patience)
        blocks->patience = patience;
    AUTO_DISK struct fake_disk *zeros = fake_disk_new("zeros", 40 * MIB, FAKE_LAST_FIRST);
    AUTO_ERROR struct error error = {0};
    struct blocks_comparison found;
    assert_int_equal(blocks_compare(blocks, &zeros->blocks, watch, &found, &error), -1);
    if (error.code != code || !strstr(error.message, says))
        fail_msg("code %d: %s", (int)error.code, error.message);
    blocks_close(blocks);
    tiny_server_end(server);
}

static void a_read_fails(void **state UNUSED)
{
    struct tiny_server server = {.fail_at = 3};
    assert_fails(&server, NULL, 0, ERROR_FAILED,
                 "cannot be read: 4194304 bytes at 8388608: Input/output error");
}

static void it_hangs_up(void **state UNUSED)
{
    struct tiny_server server = {.hang_up_at = 4};
    assert_fails(&server, NULL, 0, ERROR_DISCONNECTED, "the server has closed the connection");
}

static void it_stops_answering(void **state UNUSED)
{
    struct tiny_server server = {.stop_at = 2};
    fake_clock_step(0.5);
    assert_fails(&server, NULL, 40, ERROR_UNREACHABLE, "no answer for 40 s");
    fake_clock_step(0);
}

static bool five_times(void *opaque, uint64_t done UNUSED, uint64_t read UNUSED)
{
    return ++*(unsigned *)opaque < 5;
}

/* Cancelling does not wait for a server that does not answer. */
static void cancelled_while_it_hangs(void **state UNUSED)
{
    struct tiny_server server = {.stop_at = 1};
    unsigned asked = 0;
    const struct blocks_watch watch = {.opaque = &asked, .progress = five_times};
    fake_clock_step(0.5);
    assert_fails(&server, &watch, 0, ERROR_CANCELLED, "cancelled");
    fake_clock_step(0);
}

static void it_never_says_hello(void **state UNUSED)
{
    struct tiny_server server = {.silent = true};
    tiny_server_start(&server);
    fake_clock_step(1);
    assert_not_opened(server.uri, ERROR_UNREACHABLE);
    fake_clock_step(0);
    tiny_server_end(&server);
}

/* By then another thread may have something else of that number. */
static void it_hangs_up_at_once(void **state UNUSED)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    close(ends[1]);
    counted = ends[0];
    closes = 0;
    AUTO_ERROR struct error error = {0};
    struct blocks *blocks = NULL;
    assert_int_equal(blocks_open_socket(ends[0], "file x", false, NULL, &blocks, &error), -1);
    counted = -1;
    assert_null(blocks);
    assert_int_equal(closes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exports_of_qemu, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(exports_are_written, scratch_begin, scratch_end),
        cmocka_unit_test(strangers),
        cmocka_unit_test(no_holes_known),
        cmocka_unit_test(a_read_fails),
        cmocka_unit_test(it_hangs_up),
        cmocka_unit_test(it_stops_answering),
        cmocka_unit_test(cancelled_while_it_hangs),
        cmocka_unit_test(it_never_says_hello),
        cmocka_unit_test(it_hangs_up_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
