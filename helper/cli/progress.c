#include "cli/progress.h"

#include "base/units.h"
#include "cli/watch.h"

#include <time.h>

#define REDRAW_MILLISECONDS 400
#define BAR_CELLS 20

void progress_init(struct progress *progress, const struct cli *cli, FILE *file)
{
    const char *term = getenv("TERM");
    *progress = (struct progress){
        .cli = cli,
        .file = file,
        .terminal = isatty(fileno(file)) && !text_equal(term, "dumb"),
    };
}

void progress_clear(struct progress *progress)
{
    free(progress->decades);
    progress->decades = NULL;
}

void progress_break(struct progress *progress)
{
    progress->rows = 0;
}

static unsigned percent(const struct disk_progress *disk)
{
    if (disk->ready)
        return 100;
    if (disk->total == 0)
        return 0;
    unsigned value = (unsigned)((double)disk->copied * 100 / (double)disk->total);
    return value > 99 ? 99 : value; /* all copied, and yet not ready to pivot */
}

char *progress_line(const struct disk_progress *disk, bool paused)
{
    unsigned done = percent(disk);
    char bar[BAR_CELLS + 1] = {0};
    memset(bar, '.', BAR_CELLS);
    memset(bar, '#', done * BAR_CELLS / 100);
    AUTO_FREE char *copied = format_size(disk->copied);
    AUTO_FREE char *total = format_size(disk->total);
    AUTO_BUFFER struct buffer line = {0};
    buffer_format(&line, "%-6s [%s] %3u %%  %s%s of %s", disk->target, bar, done,
                  disk->verifying ? "compared " : "", copied, total);
    if (disk->ready) {
        buffer_add(&line, disk->verifying ? "" : "  ready");
        return buffer_take(&line);
    }
    AUTO_FREE char *rate = format_rate(disk->rate);
    AUTO_FREE char *eta = disk->eta == UINT64_MAX ? text_dup("-") : format_duration(disk->eta);
    buffer_format(&line, "  %s  ETA %s", paused ? "paused" : rate, paused ? "-" : eta);
    if (disk->dirty_rate) {
        AUTO_FREE char *dirty = format_rate(disk->dirty_rate);
        buffer_format(&line, "  guest writes %s", dirty);
    }
    if (disk->latency_before > 0 && disk->latency_now > 0)
        buffer_format(&line, "  latency %.1f ms (was %.1f)", disk->latency_now,
                      disk->latency_before);
    return buffer_take(&line);
}

static void redraw(struct progress *progress, const struct disk_progress *disks, size_t count,
                   bool paused)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t at = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    bool all_ready = true;
    for (size_t i = 0; i < count; i++)
        all_ready &= disks[i].ready;
    if (at - progress->drawn < REDRAW_MILLISECONDS && !all_ready && progress->rows)
        return;
    progress->drawn = at;
    AUTO_BUFFER struct buffer text = {0};
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *line = progress_line(&disks[i], paused);
        buffer_format(&text, "%s\n", line);
    }
    if (progress->rows)
        fprintf(progress->file, "\033[%zuA\r\033[J", progress->rows);
    fputs(text.text, progress->file);
    progress->rows = watch_rows(text.text, watch_columns(progress->file));
    fflush(progress->file);
}

static void append(struct progress *progress, const struct disk_progress *disks, size_t count,
                   bool paused)
{
    if (progress->decade_count != count) {
        free(progress->decades);
        progress->decades = memory_new(count, sizeof(*progress->decades));
        progress->decade_count = count;
    }
    for (size_t i = 0; i < count; i++) {
        unsigned decade = percent(&disks[i]) / 10 + 1; /* 0 %, 10 %, … 100 % */
        if (decade <= progress->decades[i])
            continue;
        progress->decades[i] = decade;
        AUTO_FREE char *line = progress_line(&disks[i], paused);
        fprintf(progress->file, "%s\n", line);
    }
    fflush(progress->file);
}

void progress_show(struct progress *progress, const struct disk_progress *disks, size_t count,
                   bool paused)
{
    if (progress->cli->quiet)
        return;
    if (progress->terminal)
        redraw(progress, disks, count, paused);
    else
        append(progress, disks, count, paused);
}
