/* Plays the agent, and whoever puts requests into the queue, as far as the state directory shows
 * it. Neither libvirt nor Ceph takes part.
 *
 *   cli_agent STATE
 *
 * makes a journal, says "ready", does what it reads, a line at a time, and says "done", or what was
 * asked for:
 *
 *   lock                              is the agent from now on
 *   put DOMAIN REASON                 puts a request into the queue folder
 *   add DOMAIN REASON TIER DISKS      adds a request to the journal ("-": none); says its number
 *   wait NUMBER SECONDS MESSAGE       it was tried, and waits so long
 *   run NUMBER PROCESS                it runs
 *   end NUMBER                        it is done
 *   fail NUMBER MESSAGE               it was given up, after 3 attempts
 *   hint NUMBER HINT                  gives it a hint
 *   state NUMBER                      says its state
 *
 * At the end of its input it ends; and after a minute in any case. */
#include "journal/journal.h"
#include "queue/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct desk {
    const char *state;
    struct journal *journal;
    int lock;
};

/* As cli_scene's: the same name is the same domain. */
static char *uuid_of(const char *domain)
{
    unsigned number = 0;
    for (const char *c = domain; *c; c++)
        number = number * 31 + (unsigned char)*c;
    return text_format("%08x-0000-4000-8000-000000000000", number);
}

static char *word_or_null(const char *word)
{
    return text_equal(word, "-") ? NULL : text_dup(word);
}

static int put(const struct desk *desk, const char *domain, const char *reason, struct error *error)
{
    CLEANUP(request_clear)
    struct request request = {
        .uuid = uuid_of(domain), .domain = text_dup(domain), .reason = text_dup(reason)};
    text_list_append(&request.targets, "vda");
    return queue_put(desk->state, &request, error);
}

static int add(const struct desk *desk, const char *line, struct error *error)
{
    char domain[64], reason[64], tier[64], disks[64];
    if (sscanf(line, "%63s %63s %63s %63s", domain, reason, tier, disks) != 4)
        return error_set(error, ERROR_USAGE, "add %s?", line);
    CLEANUP(request_record_clear)
    struct request_record record = {
        .uuid = uuid_of(domain),
        .domain = text_dup(domain),
        .reason = text_dup(reason),
        .tier = word_or_null(tier),
        .targets = word_or_null(disks),
    };
    int64_t id = 0;
    if (journal_request_add(desk->journal, &record, &id, error) < 0)
        return -1;
    printf("%" PRId64 "\n", id);
    return 1;
}

static int find(const struct desk *desk, int64_t id, struct request_record *found,
                struct error *error)
{
    CLEANUP(request_records_clear) struct request_records all = {0};
    if (journal_requests(desk->journal, REQUESTS_ALL, NULL, &all, error) < 0)
        return -1;
    for (size_t i = 0; i < all.count; i++) {
        if (all.items[i].id != id)
            continue;
        *found = all.items[i];
        all.items[i] = (struct request_record){0};
        return 0;
    }
    return error_set(error, ERROR_NOT_FOUND, "no request %" PRId64, id);
}

static void replace(char **text, const char *with)
{
    free(*text);
    *text = text_dup(with);
}

/* 1: it has said something itself. */
static int change(const struct desk *desk, const char *verb, int64_t id, const char *rest,
                  struct error *error)
{
    CLEANUP(request_record_clear) struct request_record record = {0};
    int used = 0;
    if (find(desk, id, &record, error) < 0)
        return -1;
    if (text_equal(verb, "state")) {
        puts(request_state_word(record.state));
        return 1;
    }
    if (text_equal(verb, "wait")) {
        int64_t seconds = 0;
        if (sscanf(rest, "%" SCNd64 " %n", &seconds, &used) != 1)
            return error_set(error, ERROR_USAGE, "wait how long?");
        record.state = REQUEST_WAITING;
        record.attempts++;
        record.not_before = time(NULL) + seconds;
        replace(&record.message, rest + used);
    } else if (text_equal(verb, "run")) {
        record.state = REQUEST_RUNNING;
        record.attempts++;
        record.pid = (int)strtol(rest, NULL, 10);
    } else if (text_equal(verb, "end")) {
        record.state = REQUEST_DONE;
    } else if (text_equal(verb, "fail")) {
        record.state = REQUEST_FAILED;
        record.attempts = 3;
        replace(&record.message, rest);
    } else if (text_equal(verb, "hint")) {
        replace(&record.hint, rest);
    } else {
        return error_set(error, ERROR_USAGE, "what is '%s'?", verb);
    }
    return journal_request_update(desk->journal, &record, error);
}

static int perform(struct desk *desk, const char *line, struct error *error)
{
    char verb[16], first[64];
    int used = 0;
    int64_t id = 0;
    if (text_equal(line, "lock"))
        return journal_lock(desk->journal, "agent", &desk->lock, error);
    if (text_starts_with(line, "put ") && sscanf(line, "put %63s %15s", first, verb) == 2)
        return put(desk, first, verb, error);
    if (text_starts_with(line, "add "))
        return add(desk, line + strlen("add "), error);
    if (sscanf(line, "%15s %" SCNd64 " %n", verb, &id, &used) >= 2)
        return change(desk, verb, id, line + used, error);
    return error_set(error, ERROR_USAGE, "what is '%s'?", line);
}

static int play(struct desk *desk, struct error *error)
{
    if (journal_open(desk->state, JOURNAL_WRITE, &desk->journal, error) < 0)
        return -1;
    puts("ready");
    fflush(stdout);
    char line[256];
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        int result = perform(desk, line, error);
        if (result < 0)
            return -1;
        if (result == 0)
            puts("done");
        fflush(stdout);
    }
    return 0;
}

static void leave(struct desk *desk)
{
    journal_unlock(&desk->lock);
    journal_closep(&desk->journal);
}

int main(int argc, char **argv)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(leave) struct desk desk = {.state = argv[1], .lock = -1};
    alarm(60); /* whatever became of the test */
    if (argc == 2 && play(&desk, &error) == 0)
        return 0;
    fprintf(stderr, "cli_agent: %s\n", error.message ? error.message : "usage: STATE");
    return 1;
}
