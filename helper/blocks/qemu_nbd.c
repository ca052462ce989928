#include "blocks/qemu_nbd.h"

#include "base/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

/* Where socket activation wants the socket, and the lock behind it. Our own descriptors are kept
 * away from there. */
#define LISTEN_FD 3
#define LOCK_FD 4
#define HIGH_FD 10
/* The child's exit status when there was no exec; its stderr then holds errno, in decimal. */
#define NOT_STARTED 127
#define PID_DIGITS 10
#define COMPLAINT_MAX 400
/* How long a child that has closed its socket, or was killed, may take to end. */
#define END_MS 2000
/* How long one that has written may take to close its image. */
#define CLOSE_MS 10000

struct qemu_nbd {
    struct blocks_server server; /* first: all that nbd.c knows of it */
    pid_t pid;                   /* 0: it has been waited for */
    int status;                  /* then: how it ended */
    int output;                  /* its stderr, a file in memory */
    bool writable;
};

/* What the child needs between fork and exec, where nothing can be allocated. */
struct launch {
    pid_t parent;
    int listening, lock, output, null;
    char *const *arguments;
    char **environment;
    char *listen_pid; /* the digits in it */
};

static void write_number(char *digits, unsigned number)
{
    for (size_t i = PID_DIGITS; i-- > 0; number /= 10)
        digits[i] = (char)('0' + number % 10);
}

/* Locks and connections of ours are none of its business. */
static void close_others(void)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, LOCK_FD + 1, UINT_MAX, 0) == 0)
        return;
#endif
    struct rlimit limit = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = LOCK_FD + 1; fd < 65536 && (rlim_t)fd < limit.rlim_cur; fd++)
        close(fd);
}

/* In the child. A process group of its own: Ctrl-C is for us to handle. */
static void become_qemu_nbd(const struct launch *launch)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != launch->parent)
        _exit(NOT_STARTED);
    write_number(launch->listen_pid, (unsigned)getpid());
    if (dup2(launch->null, STDIN_FILENO) >= 0 && dup2(launch->null, STDOUT_FILENO) >= 0 &&
        dup2(launch->output, STDERR_FILENO) >= 0 && dup2(launch->listening, LISTEN_FD) >= 0 &&
        dup2(launch->lock, LOCK_FD) >= 0) {
        close_others();
        execvpe(launch->arguments[0], launch->arguments, launch->environment);
    }
    char digits[PID_DIGITS];
    write_number(digits, (unsigned)errno);
    if (write(STDERR_FILENO, digits, sizeof(digits)) < 0)
        _exit(NOT_STARTED);
    _exit(NOT_STARTED);
}

static bool is_ours_alone(const char *entry)
{
    return text_starts_with(entry, "LISTEN_") || text_starts_with(entry, "NOTIFY_SOCKET=") ||
           text_starts_with(entry, "LC_") || text_starts_with(entry, "LANG");
}

/* Without our own socket activation, and with messages that can be understood by a program. */
static char **make_environment(char **listen_pid)
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **made = memory_new(count + 4, sizeof(*made));
    for (size_t i = 0; i < count; i++)
        if (!is_ours_alone(environ[i]))
            made[kept++] = text_dup(environ[i]);
    made[kept++] = text_dup("LC_ALL=C");
    made[kept++] = text_dup("LISTEN_FDS=1");
    made[kept] = text_format("LISTEN_PID=%0*d", PID_DIGITS, 0);
    *listen_pid = made[kept] + strlen("LISTEN_PID=");
    return made;
}

static void free_environment(char **environment)
{
    for (char **entry = environment; *entry; entry++)
        free(*entry);
    free(environment);
}

/* A descriptor that is out of the way of the child's own. */
static int move_up(int fd)
{
    int moved = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (fd >= 0)
        close(fd);
    return moved;
}

/* A listening socket and a connection to it, whose name is gone again: it was in a folder that only
 * we can enter, and for this moment only. */
static int bind_and_connect(const char *folder, int *listening, int *connected)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t room = sizeof(address.sun_path);
    if ((size_t)snprintf(address.sun_path, room, "%s/s", folder) >= room) {
        errno = ENAMETOOLONG;
        return -1;
    }
    const struct sockaddr *name = (const struct sockaddr *)&address;
    *listening = move_up(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    *connected = move_up(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int result = *listening < 0 || *connected < 0 ? -1 : bind(*listening, name, sizeof(address));
    if (result < 0)
        return -1;
    if (listen(*listening, 1) < 0 || connect(*connected, name, sizeof(address)) < 0)
        result = -1;
    int number = errno;
    CRASH_AROUND(unlink(address.sun_path));
    errno = number;
    return result;
}

static int make_sockets_in(const char *parent, int *listening, int *connected)
{
    AUTO_FREE char *folder = text_format("%s/virt-pivot-XXXXXX", parent);
    if (!mkdtemp(folder))
        return -1;
    int result = bind_and_connect(folder, listening, connected);
    int number = errno;
    CRASH_AROUND(rmdir(folder));
    errno = number;
    return result;
}

static int make_sockets(int *listening, int *connected, struct error *error)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (!text_empty(runtime) && make_sockets_in(runtime, listening, connected) == 0)
        return 0;
    for (int *fd = listening; fd; fd = fd == listening ? connected : NULL) {
        cleanup_close(fd);
        *fd = -1;
    }
    if (make_sockets_in("/tmp", listening, connected) == 0)
        return 0;
    return error_set(error, ERROR_FAILED, "no socket for qemu-nbd can be made in /tmp: %m");
}

static bool has_ended(struct qemu_nbd *child)
{
    if (child->pid && waitpid(child->pid, &child->status, WNOHANG) == child->pid)
        child->pid = 0;
    return child->pid == 0;
}

static bool ends_within(struct qemu_nbd *child, int milliseconds)
{
    for (int waited = 0; !has_ended(child); waited += 10) {
        if (waited >= milliseconds)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return true;
}

bool qemu_nbd_is_installed(void)
{
    const char *path = getenv("PATH");
    for (const char *at = path ? path : ""; *at; at += strspn(at, ":")) {
        size_t length = strcspn(at, ":");
        AUTO_FREE char *program = text_format("%.*s/qemu-nbd", (int)length, at);
        if (access(program, X_OK) == 0)
            return true;
        at += length;
    }
    return false;
}

static char *epitaph(struct blocks_server *server)
{
    struct qemu_nbd *child = (struct qemu_nbd *)server;
    const char *does = child->writable ? "writes" : "reads";
    if (!ends_within(child, END_MS))
        return NULL;
    if (WIFSIGNALED(child->status))
        return text_format("qemu-nbd, which %s it, was ended by signal %d", does,
                           WTERMSIG(child->status));
    AUTO_FREE char *complaint = qemu_nbd_complaint(child);
    return text_format("qemu-nbd, which %s it, has ended%s%s", does, *complaint ? ": " : "",
                       complaint);
}

static void end(struct blocks_server *server)
{
    qemu_nbd_end((struct qemu_nbd *)server);
}

static int launch_child(struct qemu_nbd *child, int listening, int image_lock,
                        char *const arguments[], struct error *error)
{
    AUTO_CLOSE int null = move_up(open("/dev/null", O_RDWR | O_CLOEXEC));
    AUTO_CLOSE int lock = fcntl(image_lock, F_DUPFD_CLOEXEC, HIGH_FD);
    if (null < 0 || lock < 0 || child->output < 0)
        return error_set(error, ERROR_FAILED, "no descriptors for qemu-nbd: %m");
    struct launch launch = {.parent = getpid(),
                            .listening = listening,
                            .lock = lock,
                            .output = child->output,
                            .null = null,
                            .arguments = arguments};
    launch.environment = make_environment(&launch.listen_pid);
    child->pid = fork();
    if (child->pid == 0)
        become_qemu_nbd(&launch);
    int number = errno;
    free_environment(launch.environment);
    if (child->pid > 0)
        return 0;
    child->pid = 0;
    errno = number;
    return error_set(error, ERROR_FAILED, "qemu-nbd cannot be started: %m");
}

int qemu_nbd_start(const struct qemu_nbd_launch *launch, struct qemu_nbd **child, int *socket,
                   struct error *error)
{
    AUTO_CLOSE int listening = -1;
    AUTO_CLOSE int connected = -1;
    if (make_sockets(&listening, &connected, error) < 0)
        return -1;
    CLEANUP(qemu_nbd_endp) struct qemu_nbd *fresh = NEW(struct qemu_nbd);
    fresh->server = (struct blocks_server){.epitaph = epitaph, .end = end};
    fresh->output = move_up(memfd_create("qemu-nbd", MFD_CLOEXEC));
    fresh->writable = launch->writable;
    AUTO_FREE char *image = text_dup(launch->image_options);
    char *arguments[] = {"qemu-nbd",
                         launch->direct ? "--cache=none" : "--cache=writeback",
                         "--image-opts",
                         image,
                         launch->writable ? NULL : "--read-only",
                         NULL};
    if (launch_child(fresh, listening, launch->lock, arguments, error) < 0)
        return -1;
    *child = STEAL(fresh);
    *socket = steal_fd(&connected);
    return 0;
}

void qemu_nbd_end(struct qemu_nbd *child)
{
    /* Without its last client it closes the image and ends: bitmaps in a qcow2 stay good. */
    if (child->pid && !(child->writable && ends_within(child, CLOSE_MS))) {
        kill(child->pid, SIGKILL);
        /* One that waits for a device or a server (state D) ends when that answers, maybe never. It
         * keeps its image's lock so long. */
        ends_within(child, END_MS);
    }
    cleanup_close(&child->output);
    free(child);
}

struct blocks_server *qemu_nbd_server(struct qemu_nbd *child)
{
    return &child->server;
}

/* The last line that says something. */
static char *last_line(char *text)
{
    char *found = text;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (*line)
            found = line;
    for (char *at = found; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    return found;
}

char *qemu_nbd_complaint(struct qemu_nbd *child)
{
    char text[8192];
    ssize_t length = pread(child->output, text, sizeof(text) - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    if (child->pid == 0 && WIFEXITED(child->status) && WEXITSTATUS(child->status) == NOT_STARTED) {
        char room[128];
        return text_format("qemu-nbd cannot be started: %s",
                           strerror_r(atoi(text), room, sizeof(room)));
    }
    const char *line = last_line(text);
    if (text_starts_with(line, "qemu-nbd: "))
        line += strlen("qemu-nbd: ");
    return text_slice(line, strnlen(line, COMPLAINT_MAX));
}
