/* Text and memory that cannot fail. */
#include "cmocka_compat.h"

#include "base/text.h"

#include <signal.h>
#include <sys/wait.h>

/* ---- memory ---- */

static void memory_is_zeroed_and_never_null(void **state UNUSED)
{
    AUTO_FREE unsigned char *bytes = memory_new(1000, 3);
    for (size_t i = 0; i < 3000; i++)
        assert_int_equal(bytes[i], 0);
    AUTO_FREE void *nothing = memory_new(0, 0);
    assert_non_null(nothing);
    AUTO_FREE void *none_of_something = memory_new(0, 8);
    assert_non_null(none_of_something);
    AUTO_FREE void *resized = memory_resize(NULL, 0, 8);
    assert_non_null(resized);
}

static void resize_keeps_what_is_there(void **state UNUSED)
{
    char *text = memory_new(4, 1);
    memcpy(text, "abc", 4);
    text = memory_resize(text, 1 << 16, 1);
    assert_string_equal(text, "abc");
    free(text);
}

/* Runs it in a child, whose death is the expected result. */
static int signal_of(void (*run)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        signal(SIGABRT, SIG_DFL); /* cmocka catches it */
        run();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void resize_over_the_top(void)
{
    free(memory_resize(NULL, SIZE_MAX / 2, 4));
}

static void add_over_the_top(void)
{
    AUTO_BUFFER struct buffer buffer = {0};
    buffer_add_slice(&buffer, "x", SIZE_MAX - 1);
}

/* A product that wraps around would give a small block for a large number of elements. */
static void overflowing_sizes_end_the_process(void **state UNUSED)
{
    assert_int_equal(signal_of(resize_over_the_top), SIGABRT);
    assert_int_equal(signal_of(add_over_the_top), SIGABRT);
}

/* ---- strings ---- */

static void copies(void **state UNUSED)
{
    assert_null(text_dup(NULL));
    AUTO_FREE char *copy = text_dup("vda");
    assert_string_equal(copy, "vda");
    AUTO_FREE char *slice = text_slice("vda,vdb", 3);
    assert_string_equal(slice, "vda");
    AUTO_FREE char *empty = text_slice("vda", 0);
    assert_string_equal(empty, "");
    AUTO_FREE char *formatted = text_format("%s-%d", "vda", 12);
    assert_string_equal(formatted, "vda-12");
}

static void comparisons(void **state UNUSED)
{
    assert_true(text_equal(NULL, NULL));
    assert_false(text_equal(NULL, ""));
    assert_false(text_equal("", NULL));
    assert_true(text_equal("a", "a"));
    assert_false(text_equal("a", "A"));
    assert_true(text_starts_with("vda", "vd"));
    assert_true(text_starts_with("vda", ""));
    assert_false(text_starts_with("v", "vd"));
    assert_true(text_empty(NULL));
    assert_true(text_empty(""));
    assert_false(text_empty(" "));
}

static void steal_empties_the_variable(void **state UNUSED)
{
    char *text = text_dup("x");
    AUTO_FREE char *taken = STEAL(text);
    assert_null(text);
    assert_string_equal(taken, "x");
}

static void burning_releases_and_forgets(void **state UNUSED)
{
    char *secret = text_dup("AQBSdFhSAAAAABAA");
    text_burn(&secret);
    assert_null(secret);
    text_burn(&secret); /* nothing there: nothing happens */
    assert_null(secret);
}

/* ---- the likely spelling ---- */

static void closest_word(void **state UNUSED)
{
    static const char *const words[] = {"pool", "image", "object_size", "copy", "qos"};
    static const struct {
        const char *word, *closest;
    } cases[] = {
        {"pol", "pool"},
        {"pools", "pool"},
        {"imgae", "image"},
        {"gaimi", NULL},
        {"imag", "image"},
        {"images", "image"},
        {"objectsize", "object_size"},
        {"object-sise", "object_size"},
        {"qos", "qos"},
        {"xxxxxxxx", NULL},
        {"p", NULL},
        {"bandwidth", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *closest = text_closest(cases[i].word, words, ARRAY_SIZE(words));
        if (!text_equal(closest, cases[i].closest))
            fail_msg("'%s' gives '%s', not '%s'", cases[i].word, closest ? closest : "nothing",
                     cases[i].closest ? cases[i].closest : "nothing");
    }
    assert_null(text_closest("pool", words, 0));
}

/* A longer candidate list must not make an equal word lose to a near one. */
static void an_equal_word_wins(void **state UNUSED)
{
    static const char *const words[] = {"vdb", "vda", "vdc"};
    assert_string_equal(text_closest("vda", words, ARRAY_SIZE(words)), "vda");
}

static void closest_of_hostile_lengths(void **state UNUSED)
{
    static const char *const words[] = {"pool"};
    char word[100000];
    memset(word, 'p', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    assert_null(text_closest(word, words, 1));
    assert_null(text_closest("", words, 1));
}

/* ---- growing text ---- */

static void buffers_grow(void **state UNUSED)
{
    AUTO_BUFFER struct buffer buffer = {0};
    for (int i = 0; i < 1000; i++)
        buffer_format(&buffer, "%03d", i);
    assert_int_equal(buffer.length, 3000);
    assert_int_equal(strlen(buffer.text), 3000);
    assert_memory_equal(buffer.text, "000001002", 9);
    assert_string_equal(buffer.text + 2997, "999");
    buffer_add_slice(&buffer, "abcdef", 2);
    assert_string_equal(buffer.text + 3000, "ab");
}

static void buffers_hold_any_bytes(void **state UNUSED)
{
    AUTO_BUFFER struct buffer buffer = {0};
    buffer_add_slice(&buffer, "a\0b", 3);
    assert_int_equal(buffer.length, 3);
    assert_memory_equal(buffer.text, "a\0b\0", 4);
}

static void taking_empties_the_buffer(void **state UNUSED)
{
    struct buffer buffer = {0};
    AUTO_FREE char *nothing = buffer_take(&buffer);
    assert_string_equal(nothing, "");
    buffer_add(&buffer, "x");
    AUTO_FREE char *text = buffer_take(&buffer);
    assert_string_equal(text, "x");
    assert_null(buffer.text);
    assert_int_equal(buffer.length, 0);
    buffer_add(&buffer, "again");
    assert_string_equal(buffer.text, "again");
    buffer_clear(&buffer);
    buffer_clear(&buffer);
    assert_null(buffer.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_never_null),
        cmocka_unit_test(resize_keeps_what_is_there),
        cmocka_unit_test(overflowing_sizes_end_the_process),
        cmocka_unit_test(copies),
        cmocka_unit_test(comparisons),
        cmocka_unit_test(steal_empties_the_variable),
        cmocka_unit_test(burning_releases_and_forgets),
        cmocka_unit_test(closest_word),
        cmocka_unit_test(an_equal_word_wins),
        cmocka_unit_test(closest_of_hostile_lengths),
        cmocka_unit_test(buffers_grow),
        cmocka_unit_test(buffers_hold_any_bytes),
        cmocka_unit_test(taking_empties_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
