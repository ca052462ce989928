/* The parts of virt-pivot-hook, the filter that libvirt calls with a domain's XML on stdin.
 *
 * libvirt waits for the end of our stdout and stderr, without a time limit, and may hold the
 * domain's lock meanwhile. So the hook never calls libvirt, is bounded in all that it reads and
 * waits for, and leaves nothing running that holds either. */
#ifndef VP_HOOKS_HOOK_H
#define VP_HOOKS_HOOK_H

#include "base/error.h"
#include "domain/domain.h"
#include "plan/plan.h"

struct hook_settings {
    const char *policy; /* file or folder */
    const char *state;  /* directory */
    const char *helper; /* path of virt-pivot */
    int input;          /* where the XML is read from */
    unsigned input_seconds, helper_seconds;
};

/* ---- operations (migrate.c, restore.c) ---- */

/* NAME is the domain's, as libvirt says it. 0 with *xml NULL: the XML passes unchanged; 0 with a
 * new string: it is replaced; -1: the operation is refused. */
int hook_migrate(const struct hook_settings *settings, const char *name, char **xml,
                 struct error *error) MUST_CHECK;
int hook_restore(const struct hook_settings *settings, const char *name, char **xml,
                 struct error *error) MUST_CHECK;

/* ---- input and facts ---- */

/* All that can be read from fd, at most DOMAIN_XML_MAX_BYTES of it and for that many seconds. */
int input_read(int fd, unsigned seconds, struct buffer *text, struct error *error) MUST_CHECK;
/* The domain on fd. */
int input_domain(const struct hook_settings *settings, struct domain **domain, struct error *error)
    MUST_CHECK;

DEFINE_VECTOR(incoming_facts, struct incoming_fact);
/* What this host knows of each disk of a guest that is to arrive; targets are borrowed. The size
 * comes from the metadata, else from an image that was made for this migration, else from the
 * source file if there is one of that name; the same three tell whether the disk is local. */
void facts_gather(const struct domain *domain, const char *state, struct incoming_facts *facts);

/* The virtual size of a raw or qcow2 file of that name on this host; 0: there is none, or it is not
 * readable for us, or not understood. The file may be hostile. */
uint64_t source_file_capacity(const struct disk *disk);
enum source_reach {
    REACH_NONE,   /* no file or block device of that name is here */
    REACH_LOCAL,  /* a file on a file system of this host alone */
    REACH_SHARED, /* a file on a network or cluster file system, or a block device; also when that
                     cannot be told */
};
/* What is here of the file or device that the source names. */
enum source_reach source_reach(const struct disk_source *source);
/* Of a type that statfs(2) gives. */
bool file_system_is_shared(unsigned long type);

/* ---- the helper ---- */

/* Has `virt-pivot incoming` prepare the plan's targets. On failure the error holds the reason that
 * the helper gave. However it ends, its whole process group is gone afterwards, and it never had
 * our stdin, stdout or stderr. */
int helper_prepare(const struct hook_settings *settings, const struct plan *plan,
                   const struct domain *domain, struct error *error) MUST_CHECK;

/* ---- the process ---- */

/* Makes stdin, stdout and stderr be open (on /dev/null, which cannot be written for stdout), and
 * everything above closed. A pipe that is closed is an error of write(2), no signal. */
void process_settle(void);
/* After that many seconds the process ends with status 1, having said so. Call it once, after
 * privileges_drop. */
int process_limit(unsigned seconds, const char *name, const char *consequence, struct error *error)
    MUST_CHECK;
/* Writes all of it. */
int process_write(int fd, const char *text, struct error *error) MUST_CHECK;

/* Root becomes the owner of the state directory, or nobody where there is none; and whoever we are,
 * there is no way to more rights from here, and no core dump (the XML holds passwords). */
int privileges_drop(const char *state, struct error *error) MUST_CHECK;

/* ---- talk ---- */

/* One line to stderr and syslog: "virt-pivot: domain 'NAME': TEXT: MESSAGE; HINT". Whatever comes
 * from outside has its control characters replaced. Priority is syslog(3)'s. */
void report(int priority, const char *name, const char *text, const struct error *error);
/* The same without an error. */
void report_line(int priority, const char *name, const char *text);

#endif
