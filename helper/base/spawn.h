/* Another process of our own making: a session of its own, with the files it is given and no
 * others. */
#ifndef VP_BASE_SPAWN_H
#define VP_BASE_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

#define SPAWN_NULL (-1) /* /dev/null in the place of a file */

/* Starts a program (argv[0] is its path). files[i] becomes its descriptor i; SPAWN_NULL: nothing to
 * read, and nobody who reads. Signals are as at a login, and neither Ctrl-C nor the end of our
 * terminal reaches it. Returns 0, or an errno. posix_spawn, not fork: threads of libraries are
 * there, and may hold any lock. */
int spawn_program(const char *const argv[], const int *files, size_t count, pid_t *pid);

#endif
