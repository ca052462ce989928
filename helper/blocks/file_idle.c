#include "blocks/file_idle.h"

#include "base/text.h"
#include "blocks/file_lock.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

void file_state_clear(struct file_state *state)
{
    free(state->name);
    free(state->writes);
    *state = (struct file_state){0};
}

/* Fields of /sys/dev/block/…/stat (Documentation/block/stat.rst): of reads, writes and discards
 * each the requests, those merged, the sectors and the time, with three others before the discards.
 * New string; NULL: there is none. */
static char *count_writes(const struct stat *status)
{
    AUTO_FREE char *path =
        text_format("/sys/dev/block/%u:%u/stat", major(status->st_rdev), minor(status->st_rdev));
    AUTO_FCLOSE FILE *file = fopen(path, "re");
    unsigned long long field[14] = {0};
    int count = 0;
    while (file && count < (int)ARRAY_SIZE(field) && fscanf(file, "%llu", &field[count]) == 1)
        count++;
    if (count < 7)
        return NULL;
    return text_format("%llu writes, %llu sectors, %llu discards", field[4], field[6], field[11]);
}

static int read_state(int fd, const char *name, struct file_state *state, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return error_set(error, ERROR_FAILED, "%s cannot be looked at: %m", name);
    state->name = text_dup(name);
    state->changed = status.st_mtim;
    state->size = status.st_size;
    if (S_ISBLK(status.st_mode)) {
        /* The node's own time is no business of the device's. */
        state->changed = (struct timespec){0};
        state->writes = count_writes(&status);
    }
    return 0;
}

int file_look(int fd, const char *name, struct file_state *state, struct error *error)
{
    if (read_state(fd, name, state, error) < 0)
        return -1;
    if (!file_is_written(fd))
        return 0;
    return file_is_busy(name, "open for writing elsewhere", error);
}

int file_check_idle(int fd, const struct file_state *state, struct error *error)
{
    CLEANUP(file_state_clear) struct file_state now = {0};
    if (file_look(fd, state->name, &now, error) < 0)
        return -1;
    if (now.changed.tv_sec == state->changed.tv_sec &&
        now.changed.tv_nsec == state->changed.tv_nsec && now.size == state->size &&
        text_equal(now.writes, state->writes))
        return 0;
    return error_set(error, ERROR_BUSY, "%s was written to meanwhile", state->name);
}
