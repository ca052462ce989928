#include "cli/stage.h"

#include <fcntl.h>
#include <inttypes.h>

static void detach_now(struct stage *stage)
{
    if (stage->started_pipe < 0)
        return;
    AUTO_FREE char *text = text_format("%" PRId64 "\n", stage->id);
    if (write(stage->started_pipe, text, strlen(text)) < 0)
        cli_say(stage->cli, "warning: cannot tell the terminal that the move has started");
    close(stage->started_pipe);
    stage->started_pipe = -1;
    AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= 2; fd++)
        dup2(null, fd);
}

static void on_phase(void *opaque, int64_t id, enum move_phase phase, const char *detail)
{
    struct stage *stage = opaque;
    stage->id = id;
    journal_unlock(&stage->host_lock);
    progress_break(&stage->progress);
    cli_say(stage->cli, "move %" PRId64 ": %s%s%s", id, move_phase_word(phase),
            text_empty(detail) ? "" : ": ", text_empty(detail) ? "" : detail);
    if (phase == PHASE_COPYING || phase == PHASE_REDEFINED)
        detach_now(stage); /* what is migrated is copied last */
}

static void on_warning(void *opaque, const char *text)
{
    struct stage *stage = opaque;
    progress_break(&stage->progress);
    cli_say(stage->cli, "warning: %s", text);
}

static void on_progress(void *opaque, const struct disk_progress *disks, size_t count, bool paused)
{
    struct stage *stage = opaque;
    if (!stage->interrupt.asking)
        progress_show(&stage->progress, disks, count, paused);
}

static bool on_interrupted(void *opaque)
{
    struct stage *stage = opaque;
    bool asked = false;
    if (stage->moved)
        return interrupt_simple(&stage->interrupt);
    bool end = interrupt_pending(&stage->interrupt, &asked);
    if (asked || end)
        progress_break(&stage->progress);
    return end;
}

void stage_set(struct stage *stage, const struct cli *cli, int started_pipe)
{
    *stage = (struct stage){.cli = cli, .started_pipe = started_pipe, .host_lock = -1};
    interrupt_arm(&stage->interrupt);
    progress_init(&stage->progress, cli, stderr);
}

void stage_moved(struct stage *stage)
{
    stage->moved = true;
    progress_clear(&stage->progress);
    progress_init(&stage->progress, stage->cli, stderr);
}

struct move_audience stage_audience(struct stage *stage)
{
    return (struct move_audience){stage, on_phase, on_warning, on_progress, on_interrupted};
}
