/* LD_PRELOAD of tests: the wall clock of one program, put forward or back while it runs, as if by a
 * person; the monotonic clock goes on as it did. VP_CLOCK names a file that holds the shift in
 * seconds, as an int64_t. (libfaketime shifts the clock but not what waits by it.) */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *file;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("VP_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*file), PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        abort();
    close(fd);
    file = memory;
}

static time_t shift(void)
{
    return file ? (time_t)*file : 0;
}

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL(clock_gettime);
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += shift();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    REAL(gettimeofday);
    int result = real(now, zone);
    now->tv_sec += shift();
    return result;
}

time_t time(time_t *result)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}

/* The kernel's clock was not put forward: a time to wait for that was reckoned by ours is later or
 * earlier than meant. */
static struct timespec unshifted(const struct timespec *until)
{
    return (struct timespec){until->tv_sec - shift(), until->tv_nsec};
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    /* Which clock a condition goes by cannot be asked; a monotonic time is a small one. */
    REAL(pthread_cond_timedwait);
    struct timespec now, moved = unshifted(until);
    clock_gettime(CLOCK_REALTIME, &now);
    return real(condition, mutex, until->tv_sec < now.tv_sec / 2 ? until : &moved);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
    REAL(pthread_mutex_timedlock);
    struct timespec moved = unshifted(until);
    return real(mutex, &moved);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until)
{
    REAL(sem_timedwait);
    struct timespec moved = unshifted(until);
    return real(semaphore, &moved);
}
