#include "cmocka_compat.h"

#include "base/text.h"
#include "cli/watch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <time.h>

static void rows_follow_the_width(void **state UNUSED)
{
    assert_int_equal(watch_rows("", 80), 0);
    assert_int_equal(watch_rows("one\ntwo\n", 80), 2);
    assert_int_equal(watch_rows("one\n\nthree\n", 80), 3);
    assert_int_equal(watch_rows("12345\n", 5), 1);
    assert_int_equal(watch_rows("123456\n", 5), 2);
    assert_int_equal(watch_rows("12345678901\nx\n", 5), 4);
    assert_int_equal(watch_rows("no newline", 80), 1);
}

static void show(struct watch *watch, const char *text)
{
    fputs(text, watch_block(watch));
    watch_show(watch);
}

static void a_pipe_gets_block_after_block(void **state UNUSED)
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = tmpfile();
    assert_non_null(file);
    struct watch watch;
    watch_begin(&watch, file);
    show(&watch, "one\n");
    show(&watch, "two\n");
    rewind(file);
    assert_true(getdelim(&text, &length, '\0', file) > 0);
    assert_string_equal(text, "one\n\ntwo\n\n");
    free(text);
    fclose(file);
}

#define END '#'

/* What arrives at the other end of a terminal ten columns wide. */
static char *on_terminal(void (*draw)(struct watch *))
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    FILE *file = fopen(ptsname(master), "w");
    assert_non_null(file);
    const struct winsize size = {.ws_row = 24, .ws_col = 10};
    assert_int_equal(ioctl(fileno(file), TIOCSWINSZ, &size), 0);
    struct watch watch;
    watch_begin(&watch, file);
    assert_true(watch.terminal);
    draw(&watch);
    fputc(END, file);
    fflush(file);
    /* The terminal's other end gets it in pieces. */
    char *text = memory_new(4096, 1);
    for (size_t length = 0; !strchr(text, END);) {
        ssize_t count = read(master, text + length, 4095 - length);
        assert_true(count > 0);
        length += (size_t)count;
    }
    *strchr(text, END) = '\0';
    fclose(file);
    close(master);
    return text;
}

static void draw_twice(struct watch *watch)
{
    show(watch, "1\n12345678901\n"); /* three rows */
    show(watch, "2\n");
}

static void draw_with_a_break(struct watch *watch)
{
    show(watch, "1\n");
    watch_break(watch);
    show(watch, "2\n");
}

static void a_terminal_is_drawn_over(void **state UNUSED)
{
    setenv("TERM", "xterm", 1);
    AUTO_FREE char *text = on_terminal(draw_twice);
    assert_string_equal(text, "1\r\n12345678901\r\n\033[3A\r\033[J2\r\n");
}

static void after_a_break_nothing_is_drawn_over(void **state UNUSED)
{
    setenv("TERM", "xterm", 1);
    AUTO_FREE char *text = on_terminal(draw_with_a_break);
    assert_string_equal(text, "1\r\n2\r\n");
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void ctrl_c_ends_the_wait(void **state UNUSED)
{
    struct watch watch;
    FILE *file = tmpfile();
    watch_begin(&watch, file);
    double start = now();
    assert_true(watch_wait(&watch));
    assert_true(now() - start > 0.9);
    raise(SIGINT); /* blocked: it waits to be taken */
    start = now();
    assert_false(watch_wait(&watch));
    assert_true(now() - start < 0.9);
    fclose(file);
}

static void a_closed_pipe_ends_the_wait(void **state UNUSED)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    FILE *file = fdopen(ends[1], "w");
    struct watch watch;
    watch_begin(&watch, file);
    show(&watch, "nobody reads this\n");
    assert_false(watch_wait(&watch));
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_follow_the_width),
        cmocka_unit_test(a_pipe_gets_block_after_block),
        cmocka_unit_test(a_terminal_is_drawn_over),
        cmocka_unit_test(after_a_break_nothing_is_drawn_over),
        cmocka_unit_test(ctrl_c_ends_the_wait),
        cmocka_unit_test(a_closed_pipe_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
