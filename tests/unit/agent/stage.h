/* Agents on a stage: each a process of its own, on a fake host, with a real journal and queue, and
 * with a fake virt-pivot for a child. */
#ifndef TESTS_UNIT_AGENT_STAGE_H
#define TESTS_UNIT_AGENT_STAGE_H

#include "agent/fake_host.h"
#include "journal/journal_fixture.h"

#include "agent/agent.h"
#include "queue/queue.h"

#include <sys/types.h>

struct faulty_disk;

struct stage {
    char *state, *policy;
    struct fake_host *host;
    struct faulty_disk *disk; /* under the agent's journal; shared */
    pid_t agent;
    int verbose;
};
/* cmocka's set-up and tear-down; kills what is left. */
int stage_open(void **state);
int stage_close(void **state);

/* The usual policy with these lines after it. */
void write_policy(struct stage *stage, const char *lines);
/* script("move", "exit 1\nexit 0"): see fake_pivot.c. */
void write_script(struct stage *stage, const char *name, const char *text);
void write_file(struct stage *stage, const char *name, const char *text);

void agent_start(struct stage *stage);
/* SIGTERM, and its exit status. */
int agent_stop(struct stage *stage);
void agent_kill(struct stage *stage);
void agent_signal(struct stage *stage, int number);

/* Puts a request into the queue. */
void ask(struct stage *stage, const struct fake_domain *domain, const char *tier,
         const char *targets);
void ask_for(struct stage *stage, const char *uuid, const char *reason, const char *tier,
             int64_t created);

/* ---- what came of it; each opens the journal anew, for it must not be open in a fork ---- */

/* The domain's requests, oldest first, in one line each: "done", "waiting: why", "failed: why". */
char *requests_of(struct stage *stage, const struct fake_domain *domain);
unsigned count_requests(struct stage *stage);
/* Waits until the domain's requests read so; a '*' at the end stands for anything. */
void expect_requests(struct stage *stage, const struct fake_domain *domain, const char *expected);
/* Each line of STATE/calls that begins so; its n-th (from 0) as a new string or NULL. */
char *call_line(struct stage *stage, const char *beginning, unsigned n);
unsigned count_calls(struct stage *stage, const char *beginning);
void expect_calls(struct stage *stage, const char *beginning, unsigned count);
/* What the agents have said. */
char *read_log(struct stage *stage);
unsigned count_said(struct stage *stage, const char *text);
void expect_said(struct stage *stage, const char *text);
int64_t make_incoming(struct stage *stage, const struct fake_domain *domain);

/* Waits until the condition holds, at most ten seconds. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        unsigned waited_ = 0;                                                                      \
        while (!(condition) && waited_++ < 1000)                                                   \
            usleep(10000);                                                                         \
        if (!(condition))                                                                          \
            stage_failed(stage, #condition, __FILE__, __LINE__);                                   \
    } while (0)
/* Fails, with the agents' log. */
void stage_failed(struct stage *stage, const char *what, const char *file, int line);

#endif
