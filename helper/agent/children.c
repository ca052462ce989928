#include "agent/children.h"

#include "base/spawn.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define WORDS_MAX_BYTES 16384 /* the end of what it said */
#define REASON_MAX_BYTES 1000

void child_end_clear(struct child_end *end)
{
    free(end->reason);
    free(end->hint);
    *end = (struct child_end){0};
}

void child_clear(struct child *child)
{
    free(child->uuid);
    cleanup_close(&child->words);
    child_end_clear(&child->end);
    *child = (struct child){.words = -1};
}

void children_clear(struct children *children)
{
    for (size_t i = 0; i < children->count; i++)
        child_clear(&children->items[i]);
    free(children->items);
    *children = (struct children){0};
}

void children_remove(struct children *children, size_t index)
{
    child_clear(&children->items[index]);
    memmove(&children->items[index], &children->items[index + 1],
            (children->count - index - 1) * sizeof(struct child));
    children->count--;
}

/* ---- start ---- */

static int spawn_failed(int cause, const char *program, struct error *error)
{
    return error_set(error, ERROR_FAILED, "cannot start %s: %s", program, strerror(cause));
}

int child_start(const char *const argv[], int lock, struct child *child, struct error *error)
{
    AUTO_CLOSE int words = memfd_create("virt-pivot-child", MFD_CLOEXEC);
    if (words < 0)
        return spawn_failed(errno, argv[0], error);
    const int files[] = {SPAWN_NULL, SPAWN_NULL, words, lock};
    int failed = spawn_program(argv, files, ARRAY_SIZE(files), &child->pid);
    if (failed)
        return spawn_failed(failed, argv[0], error);
    child->words = steal_fd(&words);
    return 0;
}

/* ---- end ---- */

static void take_line(char **line, const char *start, size_t length)
{
    free(*line);
    *line = text_slice(start, length < REASON_MAX_BYTES ? length : REASON_MAX_BYTES);
}

/* What follows the beginning, if the line has it. */
static bool take_after(char **rest, const char *beginning, const char *line, size_t length)
{
    size_t skip = strlen(beginning);
    if (length < skip || strncmp(line, beginning, skip) != 0)
        return false;
    take_line(rest, line + skip, length - skip);
    return true;
}

void child_reason(const char *words, char **reason, char **hint)
{
    AUTO_FREE char *last = NULL;
    *reason = *hint = NULL;
    for (size_t length = 0; *words; words += length + (words[length] == '\n')) {
        length = strcspn(words, "\n");
        if (take_after(reason, "virt-pivot: error: ", words, length) ||
            take_after(reason, "virt-pivot: nothing to do: ", words, length)) {
            free(*hint); /* an earlier error's */
            *hint = NULL;
        } else if (*reason && !*hint) {
            take_after(hint, "virt-pivot: hint: ", words, length);
        }
        if (length)
            take_line(&last, words, length);
    }
    if (!*reason)
        *reason = STEAL(last);
}

static char *read_words(int words)
{
    struct stat status;
    if (words < 0 || fstat(words, &status) < 0)
        return text_dup("");
    off_t skip = status.st_size > WORDS_MAX_BYTES ? status.st_size - WORDS_MAX_BYTES : 0;
    char *text = memory_new(WORDS_MAX_BYTES + 1, 1);
    size_t have = 0;
    ssize_t count = 1;
    while (have < WORDS_MAX_BYTES && count > 0) {
        /* The file's offset is the child's. */
        count = pread(words, text + have, WORDS_MAX_BYTES - have, skip + (off_t)have);
        have += count > 0 ? (size_t)count : 0;
    }
    for (size_t i = 0; i < have; i++)
        if (!text[i])
            text[i] = '?';
    return text;
}

static void take_end(struct child *child, int status)
{
    child->ended = true;
    child->end.exited = WIFEXITED(status);
    child->end.status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    AUTO_FREE char *words = read_words(child->words);
    child_reason(words, &child->end.reason, &child->end.hint);
    if (!child->end.exited) {
        free(child->end.reason);
        child->end.reason = text_format("its process was ended by signal %d (%s)",
                                        child->end.status, strsignal(child->end.status));
    }
}

void child_look(struct child *child)
{
    int status = 0;
    if (!child->ended && waitpid(child->pid, &status, WNOHANG) == child->pid)
        take_end(child, status);
}
