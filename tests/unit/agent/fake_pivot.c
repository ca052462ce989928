/* What the agent takes for virt-pivot: does what STATE/script-VERB says, and writes into
 * STATE/calls when it began and ended, and with which arguments.
 *
 * A script is one line a call; the last one is for all further calls. A line is steps with ';'
 * between: lock, move, verified, undone, operator, cancelled, wait FILE, say TEXT, killed,
 * exit STATUS. */
#include "base/text.h"
#include "journal/journal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

struct play {
    const char *state, *verb, *uuid;
    struct journal *journal;
    int lock;
    int64_t id;
};

static void call_is(struct play *play, const char *what, int argc, char **argv)
{
    AUTO_FREE char *path = text_format("%s/calls", play->state);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    AUTO_BUFFER struct buffer line = {0};
    buffer_format(&line, "%s %s %s %d", what, play->verb, play->uuid, (int)getpid());
    for (int i = 1; i < argc; i++)
        buffer_format(&line, " %s", argv[i]);
    buffer_add(&line, "\n");
    if (write(fd, line.text, line.length) < 0)
        _exit(99);
}

/* Which call of this verb for this domain this is, counting from 0. */
static unsigned count_call(const struct play *play)
{
    AUTO_FREE char *path = text_format("%s/calls", play->state);
    AUTO_FREE char *begin = text_format("begin %s %s ", play->verb, play->uuid);
    AUTO_FCLOSE FILE *file = fopen(path, "re");
    char line[4096];
    unsigned count = 0;
    while (file && fgets(line, sizeof(line), file))
        count += text_starts_with(line, begin);
    return count;
}

/* The script for this very domain, or for all. */
static char *read_script(const struct play *play, unsigned call)
{
    AUTO_FREE char *own = text_format("%s/script-%s-%s", play->state, play->verb, play->uuid);
    AUTO_FREE char *common = text_format("%s/script-%s", play->state, play->verb);
    AUTO_FCLOSE FILE *file = fopen(access(own, R_OK) == 0 ? own : common, "re");
    char line[4096] = "exit 0";
    for (unsigned i = 0; file && i <= call && fgets(line, sizeof(line), file); i++)
        line[strcspn(line, "\n")] = '\0';
    return text_dup(line);
}

static void must(int result, const struct error *error)
{
    if (result == 0)
        return;
    fprintf(stderr, "fake: %s\n", error->message);
    _exit(98);
}

static void reach(struct play *play, const enum move_phase *way, size_t count)
{
    AUTO_ERROR struct error error = {0};
    for (size_t i = 0; i < count; i++) {
        must(journal_begin(play->journal, play->id, way[i], &error), &error);
        must(journal_reach(play->journal, play->id, way[i], NULL, &error), &error);
    }
}

static void begin_move(struct play *play)
{
    AUTO_ERROR struct error error = {0};
    const struct move_record record = {.uuid = (char *)play->uuid,
                                       .domain = (char *)"guest",
                                       .uri = (char *)"fake:///",
                                       .plan = (char *)"{}",
                                       .live = (char *)"<domain/>"};
    must(journal_create(play->journal, &record, &play->id, &error), &error);
}

static void wait_for_file(const struct play *play, const char *name)
{
    AUTO_FREE char *path = text_format("%s/%s", play->state, name);
    for (unsigned i = 0; i < 3000 && access(path, F_OK) < 0; i++)
        usleep(10000);
}

static void step(struct play *play, char *text)
{
    static const enum move_phase well[] = {PHASE_PIVOTED, PHASE_REDEFINED, PHASE_VERIFIED};
    static const enum move_phase back[] = {PHASE_UNDOING, PHASE_UNDONE};
    static const enum move_phase stuck[] = {PHASE_NEEDS_OPERATOR};
    AUTO_ERROR struct error error = {0};
    char *rest = text + strcspn(text, " ");
    if (*rest)
        *rest++ = '\0';
    if (text_equal(text, "lock"))
        must(journal_lock(play->journal, play->uuid, &play->lock, &error), &error);
    else if (text_equal(text, "move"))
        begin_move(play);
    else if (text_equal(text, "verified"))
        reach(play, well, ARRAY_SIZE(well));
    else if (text_equal(text, "undone"))
        reach(play, back, ARRAY_SIZE(back));
    else if (text_equal(text, "operator"))
        reach(play, stuck, ARRAY_SIZE(stuck));
    else if (text_equal(text, "cancelled"))
        must(journal_ask_cancel(play->journal, play->id, &error), &error);
    else if (text_equal(text, "wait"))
        wait_for_file(play, rest);
    else if (text_equal(text, "say"))
        fprintf(stderr, "%s\n", rest);
    else if (text_equal(text, "killed"))
        raise(SIGKILL);
}

static int perform(struct play *play, char *script)
{
    for (char *text = strsep(&script, ";"); text; text = strsep(&script, ";")) {
        if (text_starts_with(text, "exit "))
            return atoi(text + strlen("exit "));
        step(play, text);
    }
    return 0;
}

int main(int argc, char **argv)
{
    AUTO_ERROR struct error error = {0};
    struct play play = {
        .lock = -1, .state = "/nonexistent", .verb = "none", .uuid = argv[argc - 1]};
    for (int i = 1; i + 1 < argc; i++)
        if (text_equal(argv[i], "--state")) {
            play.state = argv[i + 1];
            play.verb = i + 2 < argc ? argv[i + 2] : "none";
        }
    AUTO_FREE char *script = read_script(&play, count_call(&play));
    call_is(&play, "begin", argc, argv);
    must(journal_open(play.state, JOURNAL_WRITE, &play.journal, &error), &error);
    int status = perform(&play, script);
    journal_unlock(&play.lock);
    journal_closep(&play.journal);
    call_is(&play, "end", 0, NULL);
    return status;
}
