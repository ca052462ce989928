/* How the agent saw each domain the last time. */
#include "base/text.h"
#include "journal/private.h"

void sighting_clear(struct sighting *sighting)
{
    free(sighting->run);
    free(sighting->tier);
    *sighting = (struct sighting){0};
}

static int find_any(struct journal *journal, bool *any, struct error *error)
{
    AUTO_STATEMENT statement =
        journal_prepare(journal, error, "SELECT 1 FROM sightings LIMIT 1", "");
    int found = statement ? journal_next(journal, statement, error) : -1;
    *any = found == 1;
    return found < 0 ? -1 : 0;
}

int journal_sighting(struct journal *journal, const char *uuid, struct sighting *sighting,
                     bool *seen, bool *any, struct error *error)
{
    *sighting = (struct sighting){0};
    *seen = *any = false;
    if (journal->version < 2)
        return 0;
    AUTO_STATEMENT statement =
        journal_prepare(journal, error, "SELECT run, tier FROM sightings WHERE uuid=?", "t", uuid);
    int found = statement ? journal_next(journal, statement, error) : -1;
    if (found != 1)
        return found < 0 ? -1 : find_any(journal, any, error);
    *seen = *any = true;
    *sighting = (struct sighting){
        .run = journal_text(statement, 0),
        .tier = journal_text(statement, 1),
    };
    return 0;
}

int journal_see(struct journal *journal, const char *uuid, const struct sighting *sighting,
                struct error *error)
{
    /* Every domain is looked at often, and has seldom changed: then nothing is written. */
    return journal_run(journal, error,
                       "INSERT INTO sightings (uuid, run, tier, at) VALUES (?,?,?,?)"
                       " ON CONFLICT (uuid) DO UPDATE SET run=excluded.run, tier=excluded.tier,"
                       " at=excluded.at WHERE run IS NOT excluded.run OR tier IS NOT excluded.tier",
                       "ttti", uuid, sighting->run, sighting->tier, journal_now_ms() / 1000);
}
