/* The agent's loop: one pass after each event, and when something is due. */
#include "agent/private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>

#define AGENT_LOCK "agent"
#define STORAGE_PAUSE_SECONDS 5
#define FULL_PAUSE_MILLISECONDS 5000
#define GATHER_MILLISECONDS 100 /* events come in bursts */

struct signals {
    int fd;
    bool stop, reload;
};

void agent_wake_at(struct agent *agent, int64_t when)
{
    if (when < agent->due)
        agent->due = when;
}

void agent_storage_trouble(struct agent *agent, const struct error *error)
{
    trouble_is(&agent->storage, &agent->voice, "the journal does not take entries just now", error);
    agent->storage_failed = true;
    agent_wake_at(agent, agent->now + STORAGE_PAUSE_SECONDS);
}

/* ---- signals ---- */

/* Blocked before any thread starts, so that no other thread gets them. */
static int signals_open(struct signals *signals, sigset_t *before, struct error *error)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        sigaddset(&set, numbers[i]);
    signal(SIGCHLD, SIG_DFL); /* ignored by who started us, it would take the exit statuses away */
    pthread_sigmask(SIG_BLOCK, &set, before);
    signals->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return signals->fd < 0 ? error_set(error, ERROR_FAILED, "signalfd: %s", strerror(errno)) : 0;
}

static void signals_take(struct signals *signals)
{
    struct signalfd_siginfo info;
    while (read(signals->fd, &info, sizeof(info)) == sizeof(info)) {
        signals->stop |= info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
        signals->reload |= info.ssi_signo == SIGHUP;
    }
}

/* ---- begin and end ---- */

static int lock_agent(struct agent *agent, struct error *error)
{
    int pid = 0;
    if (journal_lock(agent->journal, AGENT_LOCK, &agent->lock, error) == 0)
        return 0;
    if (error->code != ERROR_BUSY)
        return -1;
    journal_is_locked(agent->journal, AGENT_LOCK, &pid);
    error_set(error, ERROR_BUSY, "an agent is at work on %s already (process %d)",
              agent->settings->state, pid);
    return error_hint(error, "one is enough for a host; 'systemctl status virt-pivot-agent' shows "
                             "whether it is the service");
}

/* A full disk is waited for. */
static int open_journal(struct agent *agent, struct signals *signals, struct error *error)
{
    struct trouble full = {0};
    int result = 0;
    while ((result = journal_open(agent->settings->state, JOURNAL_WRITE, &agent->journal, error)) <
               0 &&
           error->code == ERROR_NO_SPACE && !signals->stop) {
        trouble_is(&full, &agent->voice, "the journal cannot be opened and is waited for", error);
        error_clear(error);
        notify_ready();
        notify_alive(&agent->voice);
        struct pollfd wait = {.fd = signals->fd, .events = POLLIN};
        poll(&wait, 1, FULL_PAUSE_MILLISECONDS);
        signals_take(signals);
    }
    trouble_clear(&full);
    return result;
}

static char *read_boot_id(void)
{
    char text[64] = "";
    AUTO_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
        return text_dup("unknown boot");
    return text_slice(text, strcspn(text, "\n"));
}

static void agent_clear(struct agent *agent)
{
    children_clear(&agent->children); /* they go on */
    guests_clear(&agent->guests);
    errands_clear(&agent->errands);
    chores_clear(&agent->chores);
    free(agent->watch.runs.items);
    rulebook_clear(&agent->rulebook);
    clusters_freep(&agent->clusters);
    virt_closep(&agent->virt);
    journal_unlock(&agent->lock);
    journal_closep(&agent->journal);
    cleanup_close(&agent->queue);
    trouble_clear(&agent->libvirt);
    trouble_clear(&agent->storage);
    trouble_clear(&agent->queue_trouble);
    voice_clear(&agent->voice);
    free(agent->boot);
}

/* ---- a pass ---- */

static void say_status(struct agent *agent)
{
    size_t running = 0;
    for (size_t i = 0; i < agent->guests.count; i++)
        running += agent->guests.items[i].active;
    AUTO_FREE char *text = NULL;
    if (!agent->connected)
        text = text_dup("Waits for libvirt's daemon");
    else
        text = text_format("%s%zu guest%s running, %zu move%s under way, %zu open request%s",
                           agent->rulebook.valid ? "" : "No valid policy; ", running,
                           running == 1 ? "" : "s", agent->moves, agent->moves == 1 ? "" : "s",
                           agent->open_requests, agent->open_requests == 1 ? "" : "s");
    notify_status(&agent->voice, text);
}

static void look_at_moves(struct agent *agent)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(move_records_clear) struct move_records unfinished = {0};
    if (journal_list(agent->journal, MOVES_UNFINISHED, NULL, &unfinished, &error) < 0) {
        agent_storage_trouble(agent, &error);
        return;
    }
    settle_moves(agent, &unfinished);
    requests_look(agent, &unfinished);
}

static void pass(struct agent *agent, bool reload)
{
    agent->now = time(NULL);
    agent->due = agent->now + LOOK_SECONDS;
    agent->storage_failed = false;
    notify_alive(&agent->voice);
    rulebook_refresh(agent, reload || !agent->rulebook.valid);
    requests_reap(agent);
    requests_take(agent);
    watch_connect(agent);
    watch_collect(agent);
    guests_look(agent);
    look_at_moves(agent);
    chores_look(agent);
    /* What could not be written is tried again in each pass. */
    if (!agent->storage_failed)
        trouble_over(&agent->storage, &agent->voice, "the journal takes entries again");
    say_status(agent);
}

static int milliseconds_left(const struct agent *agent)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t left = (agent->due - now.tv_sec) * 1000 - now.tv_nsec / 1000000 + 1;
    int64_t most = (int64_t)LOOK_SECONDS * 1000;
    int64_t watchdog = (int64_t)notify_interval() * 1000;
    if (watchdog && watchdog < most)
        most = watchdog;
    return (int)(left < 1 ? 1 : left > most ? most : left);
}

static void sleep_until_due(struct agent *agent, struct signals *signals)
{
    struct pollfd sources[] = {
        {.fd = signals->fd, .events = POLLIN},
        {.fd = agent->queue, .events = POLLIN}, /* poll passes over -1 */
        {.fd = agent->virt ? virt_changes_fd(agent->virt) : -1, .events = POLLIN},
    };
    poll(sources, ARRAY_SIZE(sources), milliseconds_left(agent));
    if (sources[2].revents)
        poll(sources, 1, GATHER_MILLISECONDS);
    signals_take(signals);
}

static int run(struct agent *agent, struct signals *signals, struct error *error)
{
    if (open_journal(agent, signals, error) < 0)
        return signals->stop ? (error_clear(error), 0) : -1;
    if (lock_agent(agent, error) < 0)
        return -1;
    agent->boot = read_boot_id();
    notify_ready(); /* what a guest or a cluster that hangs holds up is told by the status */
    while (!signals->stop) {
        bool reload = signals->reload;
        signals->reload = false;
        pass(agent, reload);
        sleep_until_due(agent, signals);
    }
    say(&agent->voice, SAY_INFO, "ends; moves that are under way go on");
    notify_stopping();
    return 0;
}

int agent_run(const struct agent_settings *settings, struct error *error)
{
    struct signals signals = {.fd = -1};
    sigset_t before;
    CLEANUP(agent_clear)
    struct agent agent = {.settings = settings, .lock = -1, .queue = -1, .all_dirty = true};
    voice_init(&agent.voice, settings->quiet, settings->verbose);
    if (signals_open(&signals, &before, error) < 0)
        return -1;
    int result = run(&agent, &signals, error);
    close(signals.fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

bool agent_is_running(const char *state, int *pid)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(journal_closep) struct journal *journal = NULL;
    *pid = 0;
    return journal_open(state, JOURNAL_READ, &journal, &error) == 0 &&
           journal_is_locked(journal, AGENT_LOCK, pid);
}
