/* The journal: what every move is about to do, has done and found. SQLite in WAL mode with
 * synchronous=EXTRA, so that what is written survives the host's death.
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
    JOURNAL_READ,   /* nothing is written, and nobody waited for longer than two seconds;
                       ERROR_NOT_FOUND when there is no journal yet */
    JOURNAL_WRITE,  /* made if need be */
    JOURNAL_CHANGE, /* for writing, but not made: ERROR_NOT_FOUND */
};
int journal_open(const char *directory, enum journal_access access, struct journal **journal,
                 struct error *error) MUST_CHECK;
void journal_close(struct journal *journal);
DEFINE_CLEANUP(struct journal, journal_close);
const char *journal_directory(const struct journal *journal);

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

/* Who copies, and where to. */
enum move_kind {
    MOVE_LIVE,     /* QEMU's mirror, told by us */
    MOVE_INCOMING, /* libvirt, as part of a migration to this host that the hook rewrote */
    MOVE_OFFLINE,  /* we ourselves: the domain is off */
    MOVE_UNDO,     /* QEMU's mirror, back onto the disks that an earlier move had left */
};
const char *move_kind_word(enum move_kind kind); /* "live", "incoming", "offline", "undo" */

struct move_record {
    int64_t id;
    enum move_kind kind;
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
    int64_t undoes; /* the move that this one takes back; 0: none */
    int64_t held;   /* since when the guest is paused by us, for the pivot, or may be: milliseconds
                       since the epoch; 0: it is not */
    uint64_t pause; /* how long it was, in milliseconds; 0: not at all */
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
enum journal_selection {
    MOVES_ALL,
    MOVES_UNFINISHED,
    MOVES_UNRETIRED, /* at their end, and their sources are where they were, or were about to go */
    MOVES_UNPROVEN,  /* the guest is on its new disks, and of one there is a snapshot: it is not
                        compared yet, or it differs */
    MOVES_UNVERIFIED /* the guest is on its new disks, and something is left to be compared or
                        to be cleaned up after it: move_verify's work. Not those that differ */
};
/* Oldest first; of one domain when uuid is not NULL. */
int journal_list(struct journal *journal, enum journal_selection selection, const char *uuid,
                 struct move_records *records, struct error *error) MUST_CHECK;

/* The same of all domains, for who looks often: only id, uuid, domain, uri, phase and begun. */
int journal_glance(struct journal *journal, enum journal_selection selection,
                   struct move_records *records, struct error *error) MUST_CHECK;

/* When the guest was safe on its new disks, and those proven, the last time that was so; of a move
 * that never came so far, when it was last written to. Seconds since the epoch. */
int journal_ended(struct journal *journal, const struct move_record *record, int64_t *ended,
                  struct error *error) MUST_CHECK;

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

/* Before the guest is paused for the pivot: whoever comes after us has to let it go on. */
int journal_hold(struct journal *journal, int64_t id, struct error *error) MUST_CHECK;
/* After it goes on, with how long it was paused. */
int journal_release(struct journal *journal, int64_t id, uint64_t milliseconds, struct error *error)
    MUST_CHECK;

/* ---- a move's disks ---- */

enum disk_fate {
    DISK_WAITING,  /* on its source */
    DISK_PIVOTING, /* the pivot was asked for; what came of it must be looked at */
    DISK_PIVOTED,  /* seen on its target */
    DISK_RETURNED, /* back on, or still on, its source, for good */
};
const char *disk_fate_word(enum disk_fate fate);

/* What comparing the source with the target, both as they were at the pivot, has shown. */
enum disk_verdict {
    VERDICT_NONE, /* not compared to the end yet */
    VERDICT_EQUAL,
    VERDICT_DIFFERENT,
    VERDICT_IMPOSSIBLE, /* the target at the pivot was not captured: it can never be compared */
};
const char *disk_verdict_word(enum disk_verdict verdict); /* "not compared", "equal", … */

struct disk_record {
    char *target;
    char *token; /* of the target image: who made it */
    enum disk_fate fate;
    char *snapshot; /* of the target, as it was at the pivot, while it is there, or may be; NULL */
    enum disk_verdict verdict;
    uint64_t compared;                   /* bytes of the disk, so far */
    uint64_t first_difference;           /* offset in bytes, if different */
    uint64_t differing;                  /* pieces that are, see blocks_comparison */
    char *source_digest, *target_digest; /* blocks_digest; NULL before the verdict */
    char *given_up; /* what became of the source: "trash old/vms/ID", "aside PATH", "removed",
                       "kept"; written before it is done; NULL: it is where it was */
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
/* Of all disks of the move at once, as they were read: those that have it already are left out. */
int journal_set_fates(struct journal *journal, int64_t id, const struct disk_records *disks,
                      enum disk_fate fate, struct error *error) MUST_CHECK;
int journal_set_features(struct journal *journal, int64_t id, const char *target, uint64_t features,
                         struct error *error) MUST_CHECK;
int journal_sample(struct journal *journal, int64_t id, const struct disk_record *sample,
                   struct error *error) MUST_CHECK;
/* NULL: it is gone. */
int journal_set_snapshot(struct journal *journal, int64_t id, const char *target,
                         const char *snapshot, struct error *error) MUST_CHECK;
/* Of disk->target: verdict, compared, first_difference, differing and the digests. */
int journal_set_verdict(struct journal *journal, int64_t id, const struct disk_record *disk,
                        struct error *error) MUST_CHECK;
/* NULL: it is there again. */
int journal_set_given_up(struct journal *journal, int64_t id, const char *target,
                         const char *given_up, struct error *error) MUST_CHECK;
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
/* Takes wishes to cancel and to pause back; the bandwidth stays. */
int journal_unwish(struct journal *journal, int64_t id, struct error *error) MUST_CHECK;
int journal_ask_pause(struct journal *journal, int64_t id, bool paused, struct error *error)
    MUST_CHECK;
int journal_ask_bandwidth(struct journal *journal, int64_t id, uint64_t bandwidth,
                          struct error *error) MUST_CHECK;

/* ---- the ledger: where a disk went ---- */

struct ledger_row {
    int64_t move;
    char *target;
    char *old_source, *new_source; /* for people, as disk_source_describe */
    char *old_disk, *new_disk;     /* <disk> elements, for the hook; new_disk is NULL when nobody
                                      knows where it is now */
    bool retired;                  /* the old disk was given up */
    int64_t at;                    /* seconds since the epoch */
};
DEFINE_VECTOR(ledger_rows, struct ledger_row);
void ledger_rows_clear(struct ledger_rows *rows);

/* One row a disk; the same move and target twice is one row. row->move and row->at are set here. */
int journal_ledger_add(struct journal *journal, int64_t id, const struct ledger_row *row,
                       struct error *error) MUST_CHECK;
/* This row and the later ones of its disk lead nowhere any more: the guest is back where it was. */
int journal_ledger_end(struct journal *journal, int64_t id, const char *target, struct error *error)
    MUST_CHECK;
/* Whether the old disk of this move was given up: the row leads to the new one all the same. */
int journal_ledger_retire(struct journal *journal, int64_t id, const char *target, bool retired,
                          struct error *error) MUST_CHECK;
/* All rows of the domain that lead somewhere, in the order of their moves: whoever goes through
 * them once, and follows each row whose old disk is the one he has, ends where the disk is now.
 * Rows without old_disk (of the first version) are left out. */
int journal_ledger(struct journal *journal, const char *uuid, struct ledger_rows *rows,
                   struct error *error) MUST_CHECK;

/* ---- requests: moves that the agent is to make ---- */

enum request_state {
    REQUEST_WAITING, /* for its time, its domain, or a free place */
    REQUEST_RUNNING,
    REQUEST_DONE,
    REQUEST_FAILED, /* given up; the message says why */
    REQUEST_CANCELLED,
};
const char *request_state_word(enum request_state state);

struct request_record {
    int64_t id;
    char *file;         /* its name in the queue folder: the same file twice is one request */
    char *uuid;         /* of the domain */
    char *domain;       /* its name, for people; NULL: not known */
    char *reason;       /* "start", "migrate", "tier", "user" */
    char *tier;         /* NULL: the rules decide */
    char *targets;      /* "vda,vdb"; NULL: all that the policy moves */
    uint64_t bandwidth; /* 0: the tier's */
    enum request_state state;
    unsigned attempts;        /* begun so far */
    int64_t not_before;       /* seconds since the epoch */
    int pid;                  /* of the process that carries it out; 0 */
    int64_t move;             /* that it led to; 0 */
    int64_t after_move;       /* the newest move of the domain when the last attempt began; 0 */
    char *message, *hint;     /* what it waits for, or why it failed; NULL */
    int64_t created, updated; /* seconds since the epoch */
};
DEFINE_VECTOR(request_records, struct request_record);
void request_record_clear(struct request_record *record);
void request_records_clear(struct request_records *records);

/* Adds a waiting request, unless one from the same file was ever added, or the domain's last
 * waiting one asks for the same (tier, targets): *id is that one's then, and a user's wish takes it
 * over, with its bandwidth and as if it had never been tried. With the reason "tier" it cancels the
 * domain's waiting ones of that reason. Of the record, what stands before `state`, and created,
 * count. */
int journal_request_add(struct journal *journal, const struct request_record *record, int64_t *id,
                        struct error *error) MUST_CHECK;
enum request_selection {
    REQUESTS_ALL,
    REQUESTS_OPEN,   /* waiting or running */
    REQUESTS_PENDING /* open, or failed and not superseded: no later request of the domain is done,
                        and no later move of it ended well */
};
/* Oldest first; of one domain when uuid is not NULL. */
int journal_requests(struct journal *journal, enum request_selection selection, const char *uuid,
                     struct request_records *records, struct error *error) MUST_CHECK;
/* Writes state, attempts, not_before, pid, move, after_move, message and hint of record->id.
 * ERROR_CANCELLED, and nothing is written, when it was cancelled since it was read. */
int journal_request_update(struct journal *journal, const struct request_record *record,
                           struct error *error) MUST_CHECK;
/* Cancels waiting and failed requests of the domain; *count of them. Running ones are moves, and
 * cancelled as such. */
int journal_requests_cancel(struct journal *journal, const char *uuid, size_t *count,
                            struct error *error) MUST_CHECK;

/* ---- sightings: how the agent saw a domain the last time, to know what is new ---- */

struct sighting {
    char *run;  /* names one run of the guest, from its start to its end; NULL: it was off */
    char *tier; /* that its metadata named; NULL: none */
};
void sighting_clear(struct sighting *sighting);
/* *seen is false, with the sighting empty, when the domain was never seen; *any is false when no
 * domain ever was: the agent is new here. */
int journal_sighting(struct journal *journal, const char *uuid, struct sighting *sighting,
                     bool *seen, bool *any, struct error *error) MUST_CHECK;
int journal_see(struct journal *journal, const char *uuid, const struct sighting *sighting,
                struct error *error) MUST_CHECK;

#endif
