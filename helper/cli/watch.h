/* A block of text shown again and again: drawn over the last one on a terminal, else appended. */
#ifndef VP_CLI_WATCH_H
#define VP_CLI_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct watch {
    FILE *file;
    bool terminal;
    size_t rows;  /* drawn on the terminal and to be drawn over */
    FILE *stream; /* the block that is being written */
    char *text;
    size_t length;
};

/* Blocks SIGINT and SIGTERM: watch_wait takes them. To be called before any thread starts. */
void watch_begin(struct watch *watch, FILE *file);
/* A stream for the next block; watch_show closes it and puts the block on the screen. */
FILE *watch_block(struct watch *watch);
void watch_show(struct watch *watch);
/* The next block goes below what has been printed since. */
void watch_break(struct watch *watch);
/* Waits a second. False when it is over: Ctrl-C, SIGTERM, or nobody reads any more. */
bool watch_wait(struct watch *watch);

/* Of the terminal that the file is. */
size_t watch_columns(FILE *file);
/* How many rows of a terminal so wide the text takes. */
size_t watch_rows(const char *text, size_t columns);

#endif
