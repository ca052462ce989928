/* What retire and recover share: the sources of finished moves given up, each under its domain's
 * lock. */
#ifndef VP_CLI_RETIRING_H
#define VP_CLI_RETIRING_H

#include "cli/cli.h"

/* One move. told is filled as far as it got; the caller holds the domain's lock if locked. */
int retire_one(struct session *session, const struct move_record *record,
               const struct retire_wishes *wishes, bool locked, struct retirement *told,
               struct error *error) MUST_CHECK;
/* Brings retirements to their end whose process died, of one domain (whose lock the caller holds)
 * or of all when uuid is NULL; *count of them. */
int finish_retirements(const struct cli *cli, struct session *session, const char *uuid,
                       size_t *count, struct error *error) MUST_CHECK;

#endif
