#include "agent/stage.h"

#include "journal/faulty_disk.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static const char usual_policy[] =
    "version: 1\n"
    "clusters:\n"
    "  flash: {mons: ['127.0.0.1:13300'], user: libvirt, secret: client.libvirt}\n"
    "tiers:\n"
    "  gold: {pool: flash/fast}\n"
    "rules:\n"
    "  - {name: all, match: {}, tier: gold}\n";

/* ---- set-up ---- */

int stage_open(void **state)
{
    struct stage *stage = NEW(struct stage);
    stage->state = scratch_new();
    stage->policy = text_format("%s/policy.yaml", stage->state);
    stage->host = fake_host_new();
    stage->disk =
        mmap(NULL, sizeof(*stage->disk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(stage->disk != MAP_FAILED);
    /* Children of killed agents come to the test, and end with it. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    write_policy(stage, "limits: {retries: 2, retry_pause: 1s}\n");
    *state = stage;
    return 0;
}

/* By the numbers that they have written down themselves. */
static void end_children(struct stage *stage)
{
    write_file(stage, "curtain", "");
    for (unsigned n = 0;; n++) {
        AUTO_FREE char *line = call_line(stage, "begin", n);
        int pid = 0;
        if (!line || sscanf(line, "begin %*s %*s %d", &pid) != 1)
            return;
        if (waitpid(pid, NULL, WNOHANG) == 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
    }
}

int stage_close(void **state)
{
    struct stage *stage = *state;
    if (stage->agent)
        agent_kill(stage);
    end_children(stage);
    scratch_remove(&stage->state);
    free(stage->policy);
    fake_host_free(stage->host);
    munmap(stage->disk, sizeof(*stage->disk));
    free(stage);
    return 0;
}

/* Whole or not at all: the agent may read at any moment. */
static void write_path(const char *path, const char *text)
{
    AUTO_FREE char *temporary = text_format("%s.new", path);
    FILE *file = fopen(temporary, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(temporary, path), 0);
}

void write_file(struct stage *stage, const char *name, const char *text)
{
    AUTO_FREE char *path = text_format("%s/%s", stage->state, name);
    write_path(path, text);
}

void write_policy(struct stage *stage, const char *lines)
{
    AUTO_FREE char *text = text_format("%s%s", usual_policy, lines);
    write_path(stage->policy, text);
}

void write_script(struct stage *stage, const char *name, const char *text)
{
    AUTO_FREE char *file = text_format("script-%s", name);
    write_file(stage, file, text);
}

/* ---- the agent ---- */

static void play_agent(struct stage *stage)
{
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *log = text_format("%s/log", stage->state);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, STDERR_FILENO);
    close(fd);
    faulty_disk_install(stage->disk);
    fake_host_use(stage->host);
    const struct agent_settings settings = {.program = FAKE_PIVOT,
                                            .uri = "fake:///",
                                            .policy = stage->policy,
                                            .state = stage->state,
                                            .verbose = (unsigned)stage->verbose};
    int status = agent_run(&settings, &error) < 0 ? 10 + (int)error.code : 0;
    if (status)
        fprintf(stderr, "agent: %s\n", error.message);
    error_clear(&error);
    free(log);
    free(stage->state);
    free(stage->policy);
    free(stage);
    exit(status); /* so that a leak is found */
}

void agent_start(struct stage *stage)
{
    fflush(NULL);
    stage->agent = fork();
    assert_true(stage->agent >= 0);
    if (stage->agent == 0)
        play_agent(stage);
}

int agent_stop(struct stage *stage)
{
    int status = 0;
    agent_signal(stage, SIGTERM);
    for (unsigned i = 0; waitpid(stage->agent, &status, WNOHANG) == 0; i++) {
        if (i > 500)
            stage_failed(stage, "the agent ends at SIGTERM", __FILE__, __LINE__);
        usleep(10000);
    }
    stage->agent = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 1) /* 1: a sanitizer's */
        stage_failed(stage, "the agent exits", __FILE__, __LINE__);
    return WEXITSTATUS(status);
}

void agent_kill(struct stage *stage)
{
    kill(stage->agent, SIGKILL);
    waitpid(stage->agent, NULL, 0);
    stage->agent = 0;
}

void agent_signal(struct stage *stage, int number)
{
    kill(stage->agent, number);
}

/* ---- asking ---- */

void ask_for(struct stage *stage, const char *uuid, const char *reason, const char *tier,
             int64_t created)
{
    const struct request request = {
        .uuid = (char *)uuid, .reason = (char *)reason, .tier = (char *)tier, .created = created};
    OK(queue_put(stage->state, &request, why));
}

void ask(struct stage *stage, const struct fake_domain *domain, const char *tier,
         const char *targets)
{
    struct request request = {.uuid = (char *)domain->uuid,
                              .domain = (char *)domain->name,
                              .reason = (char *)"user",
                              .tier = (char *)tier};
    if (targets)
        text_list_append(&request.targets, targets);
    OK(queue_put(stage->state, &request, why));
    text_list_clear(&request.targets);
}

int64_t make_incoming(struct stage *stage, const struct fake_domain *domain)
{
    CLEANUP(journal_closep) struct journal *journal = NULL;
    OK(journal_open(stage->state, JOURNAL_WRITE, &journal, why));
    const struct move_record record = {.kind = MOVE_INCOMING,
                                       .uuid = (char *)domain->uuid,
                                       .domain = (char *)domain->name,
                                       .uri = (char *)"qemu:///system",
                                       .plan = (char *)"{}",
                                       .live = (char *)"<domain/>"};
    int64_t id = 0;
    OK(journal_create(journal, &record, &id, why));
    return id;
}

/* ---- what came of it ---- */

char *requests_of(struct stage *stage, const struct fake_domain *domain)
{
    AUTO_ERROR struct error error = {0};
    AUTO_BUFFER struct buffer lines = {0};
    CLEANUP(request_records_clear) struct request_records records = {0};
    CLEANUP(journal_closep) struct journal *journal = NULL;
    if (journal_open(stage->state, JOURNAL_READ, &journal, &error) == 0)
        OK(journal_requests(journal, REQUESTS_ALL, domain->uuid, &records, why));
    for (size_t i = 0; i < records.count; i++)
        buffer_format(&lines, "%s%s%s%s", i ? "\n" : "", request_state_word(records.items[i].state),
                      records.items[i].message ? ": " : "",
                      records.items[i].message ? records.items[i].message : "");
    return buffer_take(&lines);
}

static bool fits(const char *text, const char *expected)
{
    size_t length = strlen(expected);
    return length && expected[length - 1] == '*' ? strncmp(text, expected, length - 1) == 0
                                                 : text_equal(text, expected);
}

void expect_requests(struct stage *stage, const struct fake_domain *domain, const char *expected)
{
    for (unsigned i = 0;; i++) {
        AUTO_FREE char *now = requests_of(stage, domain);
        if (fits(now, expected))
            return;
        AUTO_FREE char *what =
            text_format("requests of %s: \"%s\", wanted: \"%s\"", domain->name, now, expected);
        if (i > 500)
            stage_failed(stage, what, __FILE__, __LINE__);
        usleep(20000);
    }
}

unsigned count_requests(struct stage *stage)
{
    AUTO_FREE char *count = query(stage->state, "SELECT count(*) FROM requests");
    return (unsigned)atoi(count);
}

static char *read_file(struct stage *stage, const char *name)
{
    AUTO_FREE char *path = text_format("%s/%s", stage->state, name);
    AUTO_FCLOSE FILE *file = fopen(path, "re");
    AUTO_BUFFER struct buffer text = {0};
    char chunk[4096];
    for (size_t count = 0; file && (count = fread(chunk, 1, sizeof(chunk), file)) > 0;)
        buffer_add_slice(&text, chunk, count);
    return buffer_take(&text);
}

char *call_line(struct stage *stage, const char *beginning, unsigned n)
{
    AUTO_FREE char *calls = read_file(stage, "calls");
    char *rest = calls;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        if (text_starts_with(line, beginning) && n-- == 0)
            return text_dup(line);
    return NULL;
}

unsigned count_calls(struct stage *stage, const char *beginning)
{
    unsigned count = 0;
    for (;; count++) {
        AUTO_FREE char *line = call_line(stage, beginning, count);
        if (!line)
            return count;
    }
}

void expect_calls(struct stage *stage, const char *beginning, unsigned count)
{
    WAIT_FOR(count_calls(stage, beginning) >= count);
    assert_int_equal(count_calls(stage, beginning), count);
}

char *read_log(struct stage *stage)
{
    return read_file(stage, "log");
}

unsigned count_said(struct stage *stage, const char *text)
{
    AUTO_FREE char *log = read_log(stage);
    unsigned count = 0;
    for (const char *found = strstr(log, text); found; found = strstr(found + 1, text))
        count++;
    return count;
}

void expect_said(struct stage *stage, const char *text)
{
    for (unsigned i = 0; !count_said(stage, text); i++) {
        if (i > 500)
            stage_failed(stage, text, __FILE__, __LINE__);
        usleep(20000);
    }
}

void stage_failed(struct stage *stage, const char *what, const char *file, int line)
{
    AUTO_FREE char *log = read_log(stage);
    AUTO_FREE char *calls = read_file(stage, "calls");
    fail_msg("%s:%d: %s\n--- the agents said:\n%s--- calls:\n%s", file, line, what, log, calls);
}
