/* Shared by the files of helper/queue only. */
#ifndef VP_QUEUE_PRIVATE_H
#define VP_QUEUE_PRIVATE_H

#include "queue/queue.h"

#include <sys/stat.h>

/* ---- request.c: what a file says ---- */

/* New string; ERROR_INPUT when it is none that request_from_json would take. */
char *request_to_json(const struct request *request, struct error *error) MUST_CHECK;
/* Whatever the bytes are. Sets all but file; created is 0 when the text does not say. */
int request_from_json(const char *bytes, size_t length, struct request *request,
                      struct error *error) MUST_CHECK;

/* ---- folder.c: descriptors of folders, and files that appear whole ---- */

#define QUEUE_FOLDER "queue"
#define QUEUE_BAD "bad"
#define QUEUE_NEW ".new-" /* how a file's name begins before it is whole */

/* STATE/queue, made (0700) with STATE if need be; -1 with the error. */
int folder_make_queue(const char *state, struct error *error) MUST_CHECK;
/* STATE/queue; -1 with errno. */
int folder_open_queue(const char *state) MUST_CHECK;
/* The folder of that name in another one, never through a link; -1 with errno. */
int folder_open(int parent, const char *name) MUST_CHECK;
/* As folder_open, made (0700) if need be. */
int folder_open_or_make(int parent, const char *name) MUST_CHECK;
/* Writes a file that is there whole, on stable storage, or not at all; -1 with errno. */
int folder_write(int folder, const char *name, const char *text) MUST_CHECK;
/* The names in it but "." and ".."; -1 with errno. */
int folder_list(int folder, struct text_list *names) MUST_CHECK;
/* The error for a call that failed. */
int folder_error(struct error *error, int cause, const char *state, const char *what);

#endif
