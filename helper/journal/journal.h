/* The journal: what every move is about to do, has done and found. SQLite in WAL mode with
 * synchronous=FULL, so that what is written survives the host's death.
 *
 * The state directory also holds locks/ (one file a domain, locked by its open file description:
 * gone with the process that held it, unlike a process id) and definitions/ (the saved XML as plain
 * files, for `virsh define` by hand). Files are 0600, folders 0700. */
#ifndef VP_JOURNAL_JOURNAL_H
#define VP_JOURNAL_JOURNAL_H

#include "base/error.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_DEFAULT_DIRECTORY "/var/lib/virt-pivot"

struct journal;

enum journal_access {
    JOURNAL_READ, /* nothing is created: ERROR_NOT_FOUND when there is no journal yet */
    JOURNAL_WRITE,
};
int journal_open(const char *directory, enum journal_access access, struct journal **journal,
                 struct error *error) MUST_CHECK;
void journal_close(struct journal *journal);
DEFINE_CLEANUP(struct journal, journal_close);

/* ---- locks ---- */

/* Takes the domain's lock, held until journal_unlock or the end of the process. ERROR_BUSY names
 * the process that holds it. */
int journal_lock(struct journal *journal, const char *uuid, int *lock, struct error *error)
    MUST_CHECK;
void journal_unlock(int *lock); /* also for CLEANUP on an int that starts as -1 */
/* Whether somebody holds it; *pid is 0 when not known. */
bool journal_is_locked(struct journal *journal, const char *uuid, int *pid);

/* ---- moves ---- */

/* The last step that a move has reached (design.md). */
enum move_phase {
    PHASE_PLANNED,
    PHASE_LOCKED,
    PHASE_SOURCE_PREPARED,
    PHASE_TARGET_CREATED,
    PHASE_DEFINITION_SAVED,
    PHASE_UNDEFINED,
    PHASE_COPYING,
    PHASE_MIRRORING, /* every disk is ready: from here on it may pivot */
    PHASE_PIVOTED,
    PHASE_REDEFINED,
    PHASE_VERIFIED,
    PHASE_RETIRED,
    PHASE_UNDOING,
    PHASE_UNDONE,
    PHASE_NEEDS_OPERATOR,
};
const char *move_phase_word(enum move_phase phase);
/* The table of transitions, as QEMU's JobSTT. */
bool move_phase_may_follow(enum move_phase from, enum move_phase to);
/* Whether the move has come to an end: nothing for recover to do. */
bool move_phase_is_final(enum move_phase phase);

struct move_record {
    int64_t id;
    char *uuid, *domain, *uri;
    enum move_phase phase;
    enum move_phase begun; /* the step that was begun last: phase, or the one after it */
    char *plan;            /* plan_to_record's JSON */
    char *live;            /* the live XML before the move, without secrets */
    char *definition;      /* the saved persistent XML, with secrets; NULL before it is saved */
    char *definition_file;
    char *message, *hint;     /* of the failure, or what the operator has to decide; NULL */
    int64_t created, updated; /* seconds since the epoch */
    int pid;
};
DEFINE_VECTOR(move_records, struct move_record);
void move_record_clear(struct move_record *record);
void move_records_clear(struct move_records *records);

/* Writes a new move in phase `planned`; *id is its number from then on. */
int journal_create(struct journal *journal, const struct move_record *record, int64_t *id,
                   struct error *error) MUST_CHECK;
/* ERROR_NOT_FOUND. */
int journal_read(struct journal *journal, int64_t id, struct move_record *record,
                 struct error *error) MUST_CHECK;
enum journal_selection { MOVES_ALL, MOVES_UNFINISHED };
/* Oldest first; of one domain when uuid is not NULL. */
int journal_list(struct journal *journal, enum journal_selection selection, const char *uuid,
                 struct move_records *records, struct error *error) MUST_CHECK;

/* Before a step acts, and after it has acted. A transition that the table forbids is a bug:
 * ERROR_OPERATOR, nothing is written. */
int journal_begin(struct journal *journal, int64_t id, enum move_phase step, struct error *error)
    MUST_CHECK;
int journal_reach(struct journal *journal, int64_t id, enum move_phase phase, const char *detail,
                  struct error *error) MUST_CHECK;
/* Adds a line to the move's story without a change of phase: "warning", "undo", … */
int journal_note(struct journal *journal, int64_t id, const char *event, const char *detail,
                 struct error *error) MUST_CHECK;
int journal_set_message(struct journal *journal, int64_t id, const char *message, const char *hint,
                        struct error *error) MUST_CHECK;
/* Writes the saved definition to definitions/NAME-UUID-TIME.xml (0600, fsync, rename) and into the
 * move's record. Replaces what an earlier call saved. */
int journal_save_definition(struct journal *journal, int64_t id, const char *domain,
                            const char *uuid, const char *xml, struct error *error) MUST_CHECK;

/* Writes what the definition will be once the disks have pivoted, beside the saved one:
 * definitions/NAME-UUID-TIME-after.xml. From the first pivot on that is the one to define by hand.
 */
int journal_save_successor(struct journal *journal, int64_t id, const char *xml,
                           struct error *error) MUST_CHECK;
/* The path of that file, new string, from the saved definition's; NULL for NULL. */
char *journal_successor_file(const char *definition_file) MUST_CHECK;

/* ---- a move's disks ---- */

enum disk_fate {
    DISK_WAITING,  /* on its source */
    DISK_PIVOTING, /* the pivot was asked for; what came of it must be looked at */
    DISK_PIVOTED,  /* seen on its target */
    DISK_RETURNED, /* back on, or still on, its source, for good */
};
const char *disk_fate_word(enum disk_fate fate);

struct disk_record {
    char *target;
    char *token; /* of the target image: who made it */
    enum disk_fate fate;
    uint64_t enabled_features;                /* of the source image, which we switched on */
    uint64_t copied, total, rate, dirty_rate; /* the last sample: bytes, bytes per second */
    double latency_before, latency_now;       /* milliseconds per request; 0: not known */
    int64_t sampled;
};
DEFINE_VECTOR(disk_records, struct disk_record);
void disk_records_clear(struct disk_records *records);

int journal_add_disk(struct journal *journal, int64_t id, const char *target, const char *token,
                     struct error *error) MUST_CHECK;
int journal_disks(struct journal *journal, int64_t id, struct disk_records *records,
                  struct error *error) MUST_CHECK;
int journal_set_fate(struct journal *journal, int64_t id, const char *target, enum disk_fate fate,
                     struct error *error) MUST_CHECK;
int journal_set_features(struct journal *journal, int64_t id, const char *target, uint64_t features,
                         struct error *error) MUST_CHECK;
int journal_sample(struct journal *journal, int64_t id, const struct disk_record *sample,
                   struct error *error) MUST_CHECK;
/* Bytes per second that finished moves reached on average, the last few; 0 when there is none. */
double journal_usual_rate(struct journal *journal);

/* ---- the story ---- */

struct step_record {
    int64_t at; /* milliseconds since the epoch */
    char *event, *phase, *detail;
};
DEFINE_VECTOR(step_records, struct step_record);
void step_records_clear(struct step_records *records);
int journal_story(struct journal *journal, int64_t id, struct step_records *records,
                  struct error *error) MUST_CHECK;

/* ---- wishes from other terminals; the process that runs the move reads them ---- */

struct move_control {
    bool cancel, paused;
    bool bandwidth_set;
    uint64_t bandwidth; /* bytes per second; 0 = unlimited */
};
int journal_control(struct journal *journal, int64_t id, struct move_control *control,
                    struct error *error) MUST_CHECK;
int journal_ask_cancel(struct journal *journal, int64_t id, struct error *error) MUST_CHECK;
int journal_ask_pause(struct journal *journal, int64_t id, bool paused, struct error *error)
    MUST_CHECK;
int journal_ask_bandwidth(struct journal *journal, int64_t id, uint64_t bandwidth,
                          struct error *error) MUST_CHECK;

/* ---- the ledger: where a disk went ---- */

/* One row a disk; the same move and target twice is one row. */
int journal_ledger_add(struct journal *journal, int64_t id, const char *target,
                       const char *old_source, const char *new_source, struct error *error)
    MUST_CHECK;

#endif
