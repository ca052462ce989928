/* A move's progress for people: a line a disk, redrawn on a terminal; else a line every 10 %. */
#ifndef VP_CLI_PROGRESS_H
#define VP_CLI_PROGRESS_H

#include "cli/cli.h"

struct progress {
    const struct cli *cli;
    FILE *file;
    bool terminal;
    size_t rows;       /* drawn on the terminal and to be drawn over */
    unsigned *decades; /* of each disk: the last ten per cent that were told */
    size_t decade_count;
    int64_t drawn; /* milliseconds */
};
void progress_init(struct progress *progress, const struct cli *cli, FILE *file);
void progress_clear(struct progress *progress);
void progress_show(struct progress *progress, const struct disk_progress *disks, size_t count,
                   bool paused);
/* What follows is printed below the lines drawn so far. */
void progress_break(struct progress *progress);
/* One disk's line, new string. */
char *progress_line(const struct disk_progress *disk, bool paused);

#endif
