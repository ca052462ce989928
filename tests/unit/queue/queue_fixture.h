/* What the tests of helper/queue share. */
#ifndef TESTS_UNIT_QUEUE_FIXTURE_H
#define TESTS_UNIT_QUEUE_FIXTURE_H

#include "journal/scratch.h"

#include "queue/queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define UUID_1 "c7a5fdbd-cdaf-9455-926a-d65c16db1809"

/* Calls that have to succeed, with their error's text when they do not. */
#define OK(call)                                                                                   \
    do {                                                                                           \
        AUTO_ERROR struct error ok_error = {0};                                                    \
        struct error *why = &ok_error;                                                             \
        if ((call) < 0)                                                                            \
            fail_msg("%s: %s", #call, ok_error.message ? ok_error.message : "no message");         \
        assert_false(error_is_set(&ok_error));                                                     \
    } while (0)

static inline UNUSED int put_named(const char *state, const char *domain, struct error *error)
{
    const struct request request = {
        .uuid = (char *)UUID_1, .domain = (char *)domain, .reason = (char *)"user"};
    return queue_put(state, &request, error);
}

static inline UNUSED char *path_in(const char *state, const char *name)
{
    return text_format("%s/queue/%s", state, name);
}

/* A file as anybody might put it there, bytes and all. */
static inline UNUSED void drop(const char *state, const char *name, const char *bytes,
                               size_t length)
{
    AUTO_FREE char *folder = path_in(state, "");
    AUTO_FREE char *path = path_in(state, name);
    if (mkdir(folder, 0700) < 0)
        assert_int_equal(errno, EEXIST);
    AUTO_FCLOSE FILE *file = fopen(path, "w");
    if (!file)
        fail_msg("cannot make %s", path);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
}

static inline UNUSED void drop_text(const char *state, const char *name, const char *text)
{
    drop(state, name, text, strlen(text));
}

/* The names in STATE/queue/SUB, dot files too, in order, each followed by a blank; "" when there is
 * no such folder. New string. */
static inline UNUSED char *list(const char *state, const char *sub)
{
    AUTO_FREE char *path = path_in(state, sub);
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    AUTO_BUFFER struct buffer names = {0};
    for (int i = 0; i < count; i++) {
        if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
            buffer_format(&names, "%s ", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return buffer_take(&names);
}

static inline UNUSED void assert_list(const char *state, const char *sub, const char *expected)
{
    AUTO_FREE char *names = list(state, sub);
    assert_string_equal(names, expected);
}

static inline UNUSED char *read_text(const char *path)
{
    AUTO_FCLOSE FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("cannot open %s", path);
    char text[4096] = "";
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    return text_slice(text, length);
}

static inline UNUSED void assert_taken(const char *state, size_t good, size_t garbage)
{
    CLEANUP(requests_clear) struct requests requests = {0};
    size_t bad = 99;
    OK(queue_take(state, &requests, &bad, why));
    assert_int_equal(requests.count, good);
    assert_int_equal(bad, garbage);
}

#endif
