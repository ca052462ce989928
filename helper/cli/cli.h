/* The command line: verbs, options, what is printed. Data goes to stdout, talk to stderr. */
#ifndef VP_CLI_CLI_H
#define VP_CLI_CLI_H

#include "journal/journal.h"
#include "move/move.h"
#include "policy/policy.h"
#include "survey/clusters.h"
#include "virt/virt.h"

#include <getopt.h>

enum cli_format { FORMAT_PLAIN, FORMAT_JSON };

/* What the options before and behind the verb said. */
struct cli {
    const char *program;
    const char *uri;
    const char *policy;
    const char *state;
    enum cli_format format;
    bool quiet;
    unsigned verbose;
};

/* One option of a verb: getopt_long's row and its line of help in one place. Ends with name NULL.
 */
struct cli_option {
    const char *name;
    int letter;           /* short form, or a value above 255 when there is none */
    const char *argument; /* "TARGET"; NULL: takes none */
    const char *help;
};

/* A verb as it was called. Options may be repeated: each use is one pair. */
struct cli_given {
    int letter;
    const char *value; /* NULL for an option without argument */
};
DEFINE_VECTOR(cli_givens, struct cli_given);
struct cli_call {
    struct cli_givens options;
    const char *const *arguments;
    size_t argument_count;
};
bool cli_has(const struct cli_call *call, int letter);
const char *cli_value(const struct cli_call *call, int letter); /* the last one given, or NULL */

struct cli_verb {
    const char *name;
    const char *arguments; /* "DOMAIN", "[MOVE]…"; "" for none */
    const char *summary;   /* one line, no full stop */
    const struct cli_option *options;
    size_t least, most; /* how many arguments it takes */
    /* Returns 0, or -1 with the error that decides the exit status. */
    int (*run)(const struct cli *cli, const struct cli_call *call, struct error *error);
};

extern const struct cli_verb check_verb, plan_verb, move_verb, status_verb, throttle_verb,
    pause_verb, resume_verb, cancel_verb, undo_verb, retire_verb, recover_verb, verify_verb,
    history_verb, report_verb, agent_verb, incoming_verb, guard_verb, bring_verb;
const struct cli_verb *const *cli_verbs(size_t *count); /* in the order of the help */

/* ---- what most verbs open (session.c) ---- */

struct session {
    const struct policy *policy;
    struct journal *journal;
    struct virt *virt;
    struct clusters *clusters;
    bool
        keep; /* recover --keep: a guest that is not here did run here, on the images made for it */
    struct stage *resume; /* recover --resume: copies go on, before this audience; NULL */
};
#define AUTO_SESSION CLEANUP(session_close)
enum session_part {
    SESSION_POLICY = 1 << 0,
    SESSION_VIRT = 1 << 1, /* with clusters */
    SESSION_JOURNAL = 1 << 2,
};
/* Opens these parts, the policy first: a wrong policy touches nothing. */
int session_open(const struct cli *cli, unsigned parts, struct session *session,
                 struct error *error) MUST_CHECK;
void session_close(struct session *session);
/* The domain's lock. ERROR_BUSY says what its holder is at, and how to end it. */
int session_lock(struct session *session, const char *uuid, int *lock, struct error *error)
    MUST_CHECK;
/* The path of this very program, new string. */
char *cli_own_path(const struct cli *cli) MUST_CHECK;
/* Finds the newest unfinished move of a domain given by name or UUID, or the one that is being
 * compared, by the journal alone: the domain may be gone from libvirt. ERROR_NOTHING when there is
 * none. */
int session_find_move(struct session *session, const char *domain, struct move_record *record,
                      struct error *error) MUST_CHECK;

/* A move's number, as an argument. */
int cli_move_number(const char *text, int64_t *id, struct error *error) MUST_CHECK;

/* ---- printing ---- */

/* "virt-pivot: error: MESSAGE", and the hint on a line of its own. */
void cli_print_error(const struct cli *cli, const struct error *error);
/* A copy in which control characters (of names and paths from outside) are '?', but for newlines
 * and tabs. */
char *cli_printable(const char *text) MUST_CHECK;
/* To stdout, without what a terminal would obey. */
void cli_print(const char *format, ...) PRINTF(1, 2);
/* Talk, to stderr; nothing with --quiet. */
void cli_say(const struct cli *cli, const char *format, ...) PRINTF(2, 3);
/* The same, of what a move warns of. Opaque is the struct cli (const). */
void cli_warn(void *opaque, const char *text);
/* Prints the JSON on stdout, pretty and with a newline, and releases it. */
struct json_object;
void cli_print_json(struct json_object *json);

/* A table with a header, its columns as wide as they need to be (in characters, not bytes). */
struct table;
struct table *table_new(const char *const headers[], size_t columns) MUST_CHECK;
/* One string a column, copied; NULL is "-". */
void table_row(struct table *table, const char *const cells[]);
void table_print(const struct table *table, FILE *file);
void table_free(struct table *table);
DEFINE_CLEANUP(struct table, table_free);

/* "2026-11-20 05:03:34" in local time, new string. */
char *format_time(int64_t seconds) MUST_CHECK;

#endif
