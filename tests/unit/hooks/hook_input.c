#include "hooks/hook_fixture.h"

#include <pthread.h>

struct feed {
    int fd;
    size_t bytes, step;
};

static void *feeder(void *argument)
{
    const struct feed *feed = argument;
    AUTO_FREE char *block = memory_new(feed->step, 1);
    memset(block, 'x', feed->step);
    for (size_t done = 0; done < feed->bytes; done += feed->step)
        if (write(feed->fd, block, feed->step) < 0)
            break;
    close(feed->fd);
    return NULL;
}

static int read_fed(size_t bytes, size_t step, struct buffer *text, struct error *error)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct feed feed = {ends[1], bytes, step};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, feeder, &feed), 0);
    int result = input_read(ends[0], 30, text, error);
    close(ends[0]);
    pthread_join(thread, NULL);
    return result;
}

static void test_reads_to_the_end(void **state UNUSED)
{
    AUTO_BUFFER struct buffer text = {0};
    OK(read_fed(1000000, 1000, &text, why));
    assert_int_equal(text.length, 1000000);
    assert_int_equal(strspn(text.text, "x"), 1000000);
}

static void test_reads_as_much_as_is_allowed(void **state UNUSED)
{
    AUTO_BUFFER struct buffer text = {0};
    OK(read_fed(DOMAIN_XML_MAX_BYTES, 65536, &text, why));
    assert_int_equal(text.length, DOMAIN_XML_MAX_BYTES);
}

static void test_refuses_more(void **state UNUSED)
{
    AUTO_BUFFER struct buffer text = {0};
    AUTO_ERROR struct error error = {0};
    assert_int_equal(read_fed(DOMAIN_XML_MAX_BYTES + 65536ul, 65536, &text, &error), -1);
    assert_int_equal(error.code, ERROR_INPUT);
    assert_contains(error.message, "larger than 16 MiB");
}

static void test_does_not_wait_for_ever(void **state UNUSED)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    AUTO_BUFFER struct buffer text = {0};
    AUTO_ERROR struct error error = {0};
    assert_int_equal(write(ends[1], "<domain", 7), 7);
    assert_int_equal(input_read(ends[0], 1, &text, &error), -1);
    assert_int_equal(error.code, ERROR_UNREACHABLE);
    assert_contains(error.message, "within 1 seconds");
    close(ends[0]);
    close(ends[1]);
}

static void test_nothing_is_no_domain(void **state)
{
    struct desk *desk = *state;
    give_input(desk, "");
    struct domain *domain = NULL;
    AUTO_ERROR struct error error = {0};
    assert_int_equal(input_domain(&desk->settings, &domain, &error), -1);
    assert_int_equal(error.code, ERROR_INPUT);
}

static void test_a_closed_input_is_an_error(void **state)
{
    struct desk *desk = *state;
    struct domain *domain = NULL;
    AUTO_ERROR struct error error = {0};
    struct hook_settings settings = desk->settings;
    settings.input = 9999;
    assert_int_equal(input_domain(&settings, &domain, &error), -1);
    assert_true(error_is_set(&error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_to_the_end),
        cmocka_unit_test(test_reads_as_much_as_is_allowed),
        cmocka_unit_test(test_refuses_more),
        cmocka_unit_test(test_does_not_wait_for_ever),
        cmocka_unit_test_setup_teardown(test_nothing_is_no_domain, desk_open, desk_close),
        cmocka_unit_test_setup_teardown(test_a_closed_input_is_an_error, desk_open, desk_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
