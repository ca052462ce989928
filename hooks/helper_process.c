/* `virt-pivot incoming`, as a child of the hook. */
#include "base/text.h"
#include "hooks/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <libxml/entities.h>
#include <libxml/xmlmemory.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>

enum {
    TALK_MAX_BYTES = 16384, /* of its stderr; the rest is read and dropped */
    LAST_BLOCKS = 8,        /* read once it has ended: a pipe holds 64 KiB */
    POLL_MS = 5,            /* between two looks whether it has ended */
    DEATH_MS = 2000,        /* for it to die once it was killed */
};

DEFINE_CLEANUP(struct json_object, json_object_put);

/* ---- what it is told ---- */

static void add_element(struct buffer *xml, const char *name, const char *text)
{
    xmlChar *escaped = xmlEncodeSpecialChars(NULL, (const xmlChar *)(text ? text : ""));
    buffer_format(xml, "<%s>%s</%s>", name, (const char *)escaped, name);
    xmlFree(escaped);
}

/* The domain with nothing but its names and the disks that move: libvirt gives us its passwords
 * too, and nobody behind the hook needs them. */
static char *small_domain(const struct plan *plan, const struct domain *domain)
{
    struct buffer xml = {0};
    buffer_add(&xml,
               text_equal(domain->type, "kvm") ? "<domain type='kvm'>" : "<domain type='qemu'>");
    add_element(&xml, "name", domain->name);
    add_element(&xml, "uuid", domain->uuid);
    buffer_add(&xml, "<devices>");
    for (size_t i = 0; i < plan->disks.count; i++) {
        if (plan->disks.items[i].action != PLAN_MOVE)
            continue;
        AUTO_FREE char *element = domain_disk_xml(domain, plan->disks.items[i].target);
        buffer_add(&xml, element ? element : "");
    }
    buffer_add(&xml, "</devices></domain>");
    return buffer_take(&xml);
}

static int make_message(const struct plan *plan, const struct domain *domain, char **message,
                        struct error *error)
{
    AUTO_FREE char *record = plan_to_record(plan);
    AUTO_FREE char *xml = small_domain(plan, domain);
    CLEANUP(json_object_putp) struct json_object *root = json_object_new_object();
    struct json_object *content = json_tokener_parse(record);
    if (!content)
        return error_set(error, ERROR_FAILED, "the plan is not JSON");
    json_object_object_add(root, "plan", content);
    json_object_object_add(root, "xml", json_object_new_string(xml));
    *message = text_dup(json_object_to_json_string_ext(root, JSON_C_TO_STRING_NOSLASHESCAPE));
    return 0;
}

/* A file in memory, so that nobody has to keep writing while the helper reads. */
static int memory_file(const char *text, struct error *error)
{
    int fd = memfd_create("virt-pivot-incoming", MFD_CLOEXEC);
    if (fd < 0)
        return error_set(error, ERROR_FAILED, "cannot make a file in memory: %s", strerror(errno));
    if (process_write(fd, text, error) == 0 && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    close(fd);
    return error_is_set(error) ? -1 : error_set(error, ERROR_FAILED, "cannot seek in memory");
}

/* ---- its process ---- */

struct child {
    pid_t pid; /* of its group, too; 0: none */
    int talk;  /* what it says on stderr */
    struct buffer said;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether it has ended; it stays a zombie, so that its number cannot become another's. */
static bool has_ended(const struct child *child)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
           info.si_pid != 0;
}

/* The group goes with it, however it ended: what it left behind would hold nothing of ours, but
 * nobody would ever end it either. */
static void child_end(struct child *child)
{
    if (child->pid > 0) {
        kill(-child->pid, SIGKILL);
        for (int64_t end = now_ms() + DEATH_MS; !has_ended(child) && now_ms() < end;)
            poll(NULL, 0, POLL_MS);
        waitpid(child->pid, NULL, WNOHANG);
    }
    if (child->talk >= 0)
        close(child->talk);
    buffer_clear(&child->said);
}

static int spawn_with(const struct hook_settings *settings, int input, int talk, pid_t *pid)
{
    char *arguments[] = {(char *)"virt-pivot",
                         (char *)"--policy",
                         (char *)settings->policy,
                         (char *)"--state",
                         (char *)settings->state,
                         (char *)"incoming",
                         NULL};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files, talk, STDERR_FILENO);
    sigset_t none, ignored;
    sigemptyset(&none);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &ignored);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    int number = posix_spawn(pid, settings->helper, &files, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return number;
}

/* All its descriptors above 2 are closed by exec: each of ours is opened with O_CLOEXEC. */
static int child_begin(struct child *child, const struct hook_settings *settings, int input,
                       struct error *error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_set(error, ERROR_FAILED, "cannot make a pipe: %s", strerror(errno));
    child->talk = ends[0];
    AUTO_CLOSE int far_end = ends[1];
    if (fcntl(far_end, F_SETFL, 0) < 0) /* blocking, as programs expect their stderr to be */
        return error_set(error, ERROR_FAILED, "cannot set up a pipe: %s", strerror(errno));
    int number = spawn_with(settings, input, far_end, &child->pid);
    if (number == 0)
        return 0;
    child->pid = 0;
    error_set(error, ERROR_FAILED, "cannot run %s: %s", settings->helper, strerror(number));
    return error_hint(error, "install virt-pivot on this host");
}

/* Reads what is there, without waiting. 1: there was something; 0: it was its end; -1: nothing now.
 */
static int listen_to(struct child *child)
{
    char block[16384];
    ssize_t count = read(child->talk, block, sizeof(block));
    if (count <= 0)
        return count == 0 ? 0 : -1;
    size_t room = TALK_MAX_BYTES - child->said.length;
    buffer_add_slice(&child->said, block, (size_t)count < room ? (size_t)count : room);
    return 1;
}

/* Until it has ended, not until its stderr has: something that it started may hold that. */
static int child_wait(struct child *child, unsigned seconds, struct error *error)
{
    int64_t deadline = now_ms() + (int64_t)seconds * 1000;
    bool speaks = true;
    while (!has_ended(child)) {
        if (now_ms() >= deadline) {
            error_set(error, ERROR_UNREACHABLE, "the target images were not made within %u seconds",
                      seconds);
            return error_hint(error, "'virt-pivot check' tells whether the cluster answers");
        }
        struct pollfd talk = {.fd = speaks ? child->talk : -1, .events = POLLIN};
        if (poll(&talk, 1, POLL_MS) > 0)
            speaks = listen_to(child) != 0;
    }
    for (int blocks = 0; blocks < LAST_BLOCKS && listen_to(child) > 0; blocks++)
        continue;
    return 0;
}

/* ---- what it answers ---- */

/* The line that begins so, without that; NULL when there is none. */
static char *line_behind(const char *text, const char *prefix)
{
    for (const char *line = text; line && *line;) {
        const char *end = strchrnul(line, '\n');
        if (text_starts_with(line, prefix))
            return text_slice(line + strlen(prefix), (size_t)(end - line) - strlen(prefix));
        line = *end ? end + 1 : NULL;
    }
    return NULL;
}

static int take_reason(const struct child *child, const siginfo_t *end, struct error *error)
{
    const char *said = child->said.text ? child->said.text : "";
    AUTO_FREE char *reason = line_behind(said, "virt-pivot: error: ");
    AUTO_FREE char *hint = line_behind(said, "virt-pivot: hint: ");
    AUTO_FREE char *first = text_slice(said, strcspn(said, "\n"));
    if (reason || *first)
        error_set(error, ERROR_FAILED, "%s", reason ? reason : first);
    else
        error_set(error, ERROR_FAILED,
                  "the target images were not made: virt-pivot ended with %s %d",
                  end->si_code == CLD_EXITED ? "status" : "signal", end->si_status);
    return error_hint(error, "%s", hint ? hint : "'virt-pivot check' tells whether all is well");
}

/* Nobody reads the stderr of a hook that succeeds. */
static void pass_warning_on(const struct child *child, const char *domain)
{
    AUTO_FREE char *warning =
        line_behind(child->said.text ? child->said.text : "", "virt-pivot: warning: ");
    if (warning)
        report_line(LOG_WARNING, domain, warning);
}

int helper_prepare(const struct hook_settings *settings, const struct plan *plan,
                   const struct domain *domain, struct error *error)
{
    AUTO_FREE char *message = NULL;
    if (make_message(plan, domain, &message, error) < 0)
        return -1;
    AUTO_CLOSE int input = memory_file(message, error);
    if (input < 0)
        return -1;
    CLEANUP(child_end) struct child child = {.talk = -1};
    if (child_begin(&child, settings, input, error) < 0 ||
        child_wait(&child, settings->helper_seconds, error) < 0)
        return -1;
    siginfo_t end = {0};
    if (waitid(P_PID, (id_t)child.pid, &end, WEXITED | WNOHANG | WNOWAIT) < 0)
        return error_set(error, ERROR_FAILED, "cannot wait for virt-pivot: %s", strerror(errno));
    if (end.si_code == CLD_EXITED && end.si_status == 0) {
        pass_warning_on(&child, domain->name);
        return 0;
    }
    return take_reason(&child, &end, error);
}
