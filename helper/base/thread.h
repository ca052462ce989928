/* Threads of our own. */
#ifndef VP_BASE_THREAD_H
#define VP_BASE_THREAD_H

#include <pthread.h>

/* pthread_create(3), but no signal is ever delivered to the thread: what the main thread blocks, to
 * ask for it when it has time, would end the process otherwise. librados does the same (ceph
 * common/Thread.cc). Returns 0, or an errno. */
int thread_start(pthread_t *thread, void *(*run)(void *), void *opaque);

#endif
