/* The data of migrated disks are brought over, while the guest may be running on them. librbd does
 * not let itself be interrupted in that: so a process of its own does it, `virt-pivot bring`, which
 * is ended when we are, or when the user wants that; another one goes on from there. */
#include "base/spawn.h"
#include "move/pace.h"
#include "move/private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define LOOK_MILLISECONDS 200
#define LINE 64 /* bytes at most, of one that tells progress */

/* ---- in the process that does it ---- */

static int find_disk(const struct move *move, const char *target, size_t *index,
                     struct error *error)
{
    for (*index = 0; *index < move->disks.count; ++*index)
        if (text_equal(move->disks.items[*index].target, target) && move->plan->migrates)
            return 0;
    return error_set(error, ERROR_USAGE, "move %" PRId64 " migrates no disk %s", move->id, target);
}

static int execute(struct move *move, size_t index,
                   void (*progress)(void *opaque, uint64_t done, uint64_t total), void *opaque,
                   struct error *error)
{
    const struct ceph_migration migration = move_migration(move, index);
    struct ceph_cluster *cluster = NULL;
    return move_target_cluster(move, move_plan_of(move, index), &cluster, error) < 0
               ? -1
               : ceph_migration_execute(cluster, &migration, progress, opaque, error);
}

int move_bring(const struct mover *mover, int64_t id, const char *target,
               void (*progress)(void *opaque, uint64_t done, uint64_t total), void *opaque,
               struct error *error)
{
    CLEANUP(plan_freep) struct plan *plan = NULL;
    CLEANUP(forget) struct move move = {.mover = mover, .id = id};
    size_t index = 0;
    return move_load(&move, &plan, error) < 0 || find_disk(&move, target, &index, error) < 0
               ? -1
               : execute(&move, index, progress, opaque, error);
}

/* ---- in the one that looks on ---- */

struct bringing {
    struct move *move;
    size_t index;
    pid_t pid;
    int words;
    char line[LINE];
    size_t length;
    struct pace pace;
};

static void report(void *opaque, uint64_t done, uint64_t total)
{
    struct bringing *bringing = opaque;
    const struct move_audience *audience = &bringing->move->mover->audience;
    const struct disk_record *record = &bringing->move->disks.items[bringing->index];
    uint64_t size = move_plan_of(bringing->move, bringing->index)->destination.size;
    uint64_t copied = total ? (uint64_t)((double)size * (double)done / (double)total) : 0;
    pace_sample(&bringing->pace, move_now_ms(), copied, size);
    const struct disk_progress progress = {
        .target = record->target,
        .copied = copied,
        .total = size,
        .rate = (uint64_t)bringing->pace.rate,
        .eta = pace_eta(&bringing->pace),
        .ready = total && done == total,
    };
    if (audience->progress)
        audience->progress(audience->opaque, &progress, 1, false);
}

/* "done total": so many of the disk's objects. */
static void hear(struct bringing *bringing, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t done = 0, total = 0;
        if (bytes[i] != '\n') {
            bringing->line[bringing->length] = bytes[i];
            bringing->length += bringing->length + 1 < LINE;
            continue;
        }
        bringing->line[bringing->length] = '\0';
        bringing->length = 0;
        if (sscanf(bringing->line, "%" SCNu64 " %" SCNu64, &done, &total) == 2)
            report(bringing, done, total);
    }
}

/* Until it has nothing more to say. */
static int listen_to(struct bringing *bringing, struct error *error)
{
    for (;;) {
        struct pollfd wait = {.fd = bringing->words, .events = POLLIN};
        struct move_control control;
        char bytes[512];
        if (move_check_interrupted(bringing->move, &control, error) < 0)
            return -1;
        if (poll(&wait, 1, LOOK_MILLISECONDS) != 1)
            continue;
        ssize_t count = read(bringing->words, bytes, sizeof(bytes));
        if (count == 0)
            return 0;
        if (count > 0)
            hear(bringing, bytes, (size_t)count);
    }
}

static int start(struct bringing *bringing, struct error *error)
{
    const struct mover *mover = bringing->move->mover;
    AUTO_FREE char *id = text_format("%" PRId64, bringing->move->id);
    const char *target = bringing->move->disks.items[bringing->index].target;
    const char *const argv[] = {
        mover->program, "-q", "-c",   mover->uri, "--state", journal_directory(mover->journal),
        "bring",        id,   target, NULL};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set(error, ERROR_FAILED, "cannot make a pipe: %s", strerror(errno));
    AUTO_CLOSE int say = ends[1];
    const int files[] = {SPAWN_NULL, say, STDERR_FILENO};
    bringing->words = ends[0];
    int failure = spawn_program(argv, files, ARRAY_SIZE(files), &bringing->pid);
    return failure ? error_set(error, ERROR_FAILED, "'virt-pivot bring' cannot be started: %s",
                               strerror(failure))
                   : 0;
}

static int end(struct bringing *bringing, bool killed, struct error *error)
{
    int status = 0;
    if (killed)
        kill(bringing->pid, SIGKILL);
    while (waitpid(bringing->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (killed)
        return -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? 0
               : error_set(error, ERROR_FAILED, "not all of its data have been brought over");
}

static int run(struct bringing *bringing, struct error *error)
{
    int result = start(bringing, error);
    if (result == 0)
        result = end(bringing, listen_to(bringing, error) < 0, error);
    if (bringing->words >= 0)
        close(bringing->words);
    return result;
}

static int is_needed(struct move *move, size_t index, bool *needed, struct error *error)
{
    const struct ceph_migration migration = move_migration(move, index);
    struct ceph_cluster *cluster = NULL;
    enum ceph_migration_state state;
    if (move_target_cluster(move, move_plan_of(move, index), &cluster, error) < 0 ||
        ceph_migration_look(cluster, &migration, &state, error) < 0)
        return -1;
    *needed = state == CEPH_MIGRATION_PREPARED;
    return 0;
}

int move_bring_over(struct move *move, size_t index, struct error *error)
{
    struct bringing bringing = {.move = move, .index = index, .words = -1};
    bool needed = false;
    if (is_needed(move, index, &needed, error) < 0)
        return -1;
    if (!needed)
        return 0;
    if ((move->mover->program ? run(&bringing, error)
                              : execute(move, index, report, &bringing, error)) < 0)
        return -1;
    return journal_note(move->mover->journal, move->id, "brought over",
                        move->disks.items[index].target, error);
}
