#include "cli/watch.h"

#include "base/text.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>

#define DEFAULT_COLUMNS 80

static void ending_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
}

void watch_begin(struct watch *watch, FILE *file)
{
    const char *term = getenv("TERM");
    *watch = (struct watch){
        .file = file,
        .terminal = isatty(fileno(file)) && !text_empty(term) && !text_equal(term, "dumb"),
    };
    sigset_t set;
    ending_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

FILE *watch_block(struct watch *watch)
{
    watch->stream = open_memstream(&watch->text, &watch->length);
    if (!watch->stream)
        abort(); /* out of memory */
    return watch->stream;
}

/* In characters; bytes where the locale cannot tell. */
static size_t width_of(const char *line, size_t length)
{
    AUTO_FREE char *copy = text_slice(line, length);
    size_t width = mbstowcs(NULL, copy, 0);
    return width == (size_t)-1 ? length : width;
}

size_t watch_rows(const char *text, size_t columns)
{
    size_t rows = 0;
    while (*text) {
        size_t length = strcspn(text, "\n");
        size_t width = width_of(text, length);
        rows += width ? (width + columns - 1) / columns : 1;
        text += length + (text[length] == '\n');
    }
    return rows;
}

size_t watch_columns(FILE *file)
{
    struct winsize size = {0};
    return ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col
                                                                      : DEFAULT_COLUMNS;
}

void watch_show(struct watch *watch)
{
    fclose(watch->stream);
    AUTO_FREE char *text = STEAL(watch->text);
    if (watch->terminal && watch->rows)
        fprintf(watch->file, "\033[%zuA\r\033[J", watch->rows);
    fputs(text, watch->file);
    if (!watch->terminal)
        fputc('\n', watch->file); /* between two blocks */
    watch->rows = watch_rows(text, watch_columns(watch->file));
    fflush(watch->file);
}

void watch_break(struct watch *watch)
{
    watch->rows = 0;
}

bool watch_wait(struct watch *watch)
{
    if (fflush(watch->file) != 0 || ferror(watch->file))
        return false;
    sigset_t set;
    ending_signals(&set);
    const struct timespec second = {.tv_sec = 1};
    return sigtimedwait(&set, NULL, &second) < 0;
}
