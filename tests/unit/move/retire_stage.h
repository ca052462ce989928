/* A move that is over, and whose sources may go. */
#ifndef TESTS_UNIT_MOVE_RETIRE_STAGE_H
#define TESTS_UNIT_MOVE_RETIRE_STAGE_H

#include "cmocka_compat.h"

#include "stage.h"

#include "base/text.h"

#define GRACE_SECONDS 3600
#define ASIDE ".virt-pivot-1"

/* after: trash, remove, keep. Its grace is over. */
void retire_stage_open(struct stage *stage, const char *after, bool verify);
/* As if its disks had been compared, but for the one of this target, which cannot be; NULL: all. */
void retire_stage_verify(struct stage *stage, enum disk_verdict verdict, const char *incomparable);

/* Where the image is that the disk had: at its place, in the trash, aside, or nowhere. */
enum source_place { AT_ITS_PLACE, IN_THE_TRASH, PUT_ASIDE, NOWHERE };
enum source_place source_place(const struct stage *stage, size_t disk);

/* New string out of the journal, "" for NULL. */
char *ask_journal_text(const struct stage *stage, const char *sql);

/* What is wrong, or NULL: the guest's writes are where it writes; a source that is not at its place
 * was not needed, is where the policy wants it, and the journal has it so. */
char *check_sources(const struct stage *stage, long *checks);
/* Beyond that, nothing is half done. */
char *check_settled(const struct stage *stage, long *checks);

#endif
