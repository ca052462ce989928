#include "cli/prove.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <syslog.h>

int prove_move(const struct cli *cli, const struct mover *mover, int64_t id, bool again,
               struct error *error)
{
    cli_say(cli,
            "move %" PRId64
            ": comparing source and target as they were at the pivot; the guest runs "
            "on meanwhile, and Ctrl-C puts it off",
            id);
    if (move_verify(mover, id, again, error) == 0)
        return 0;
    if (error->code == ERROR_OPERATOR) {
        openlog("virt-pivot", LOG_PID, LOG_DAEMON);
        syslog(LOG_ERR, "%s; %s", error->message, error->hint ? error->hint : "");
        closelog();
    }
    return -1;
}

void proof_clear(struct proof *proof)
{
    free(STEAL(proof->message));
}

/* By `virt-pivot cancel`, not by Ctrl-C here: that wish is in the journal, and the agent heeds it.
 */
static bool was_cancelled(const struct mover *mover, int64_t id)
{
    AUTO_ERROR struct error ignored = {0};
    struct move_control control = {0};
    return journal_control(mover->journal, id, &control, &ignored) == 0 && control.cancel;
}

int prove_after_move(const struct cli *cli, const struct mover *mover, const struct plan *plan,
                     int64_t id, struct proof *proof, struct error *error)
{
    *proof = (struct proof){0};
    if (!plan->verify)
        return 0;
    proof->verified = prove_move(cli, mover, id, false, error) == 0;
    if (proof->verified)
        return 0;
    proof->message = text_dup(error->message);
    if (error->code == ERROR_OPERATOR)
        return -1;
    cli_say(cli, "warning: %s", error->message);
    if (error->hint && error->code != ERROR_CANCELLED)
        cli_say(cli, "hint: %s", error->hint);
    if (error->code != ERROR_NOTHING)
        cli_say(cli, "note: 'virt-pivot verify %" PRId64 "' compares later%s", id,
                was_cancelled(mover, id) ? "" : ", and the agent does so by itself");
    error_clear(error);
    return 0;
}

void proof_print_json(const struct proof *proof, const struct plan *plan, int64_t id,
                      int64_t undoes, int64_t seconds)
{
    struct json_object *json = plan_json(plan);
    json_object_object_add(json, "move", json_object_new_int64(id));
    if (undoes)
        json_object_object_add(json, "undoes", json_object_new_int64(undoes));
    json_object_object_add(json, "outcome", json_object_new_string("moved"));
    json_object_object_add(json, "seconds", json_object_new_int64(seconds));
    json_object_object_add(json, "verified", json_object_new_boolean(proof->verified));
    json_object_object_add(json, "verification",
                           proof->message ? json_object_new_string(proof->message) : NULL);
    cli_print_json(json);
}
