/* Compares what moves have copied with what it was copied from. */
#include "cli/prove.h"

#include "cli/stage.h"

#include <inttypes.h>
#include <json-c/json.h>

/* The moves that were named, or all that are pending. */
static int choose(struct session *session, const struct cli_call *call, struct move_records *chosen,
                  struct error *error)
{
    if (call->argument_count == 0)
        return journal_list(session->journal, MOVES_UNVERIFIED, NULL, chosen, error);
    for (size_t i = 0; i < call->argument_count; i++) {
        int64_t id = 0;
        if (cli_move_number(call->arguments[i], &id, error) < 0 ||
            journal_read(session->journal, id, move_records_add(chosen), error) < 0)
            return -1;
    }
    return 0;
}

static int verify_one(struct stage *stage, struct session *session,
                      const struct move_record *record, bool again, struct error *error)
{
    CLEANUP(journal_unlock) int lock = -1;
    struct recovery recovery = {0};
    AUTO_FREE char *program = cli_own_path(stage->cli);
    struct mover mover = prepare_mover(session, program);
    mover.audience = stage_audience(stage);
    stage_moved(stage);
    if (session_lock(session, record->uuid, &lock, error) < 0 ||
        recover_moves(stage->cli, session, record->uuid, &recovery, error) < 0)
        return -1;
    return prove_move(stage->cli, &mover, record->id, again, error);
}

static struct json_object *result_json(const struct move_record *record, const struct error *error)
{
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "move", json_object_new_int64(record->id));
    json_object_object_add(json, "domain", json_object_new_string(record->domain));
    json_object_object_add(json, "verified", json_object_new_boolean(!error_is_set(error)));
    json_object_object_add(json, "message",
                           error->message ? json_object_new_string(error->message) : NULL);
    return json;
}

/* What is worse is what is told at the end: a difference before all else. */
static void keep_worse(struct stage *stage, struct error *worst, struct error *error)
{
    bool worse = !error_is_set(worst) ||
                 (error->code == ERROR_OPERATOR && worst->code != ERROR_OPERATOR) ||
                 (worst->code == ERROR_NOTHING && error->code != ERROR_NOTHING);
    if (error_is_set(worst))
        cli_print_error(stage->cli, worse ? worst : error);
    if (worse)
        error_move(worst, error);
}

static int verify_all(struct stage *stage, struct session *session, const struct cli_call *call,
                      const struct move_records *chosen, struct error *error)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < chosen->count; i++) {
        AUTO_ERROR struct error failure = {0};
        int result =
            verify_one(stage, session, &chosen->items[i], call->argument_count > 0, &failure);
        json_object_array_add(list, result_json(&chosen->items[i], &failure));
        bool stop = result < 0 && failure.code == ERROR_CANCELLED;
        if (result < 0)
            keep_worse(stage, error, &failure);
        if (stop)
            break;
    }
    if (stage->cli->format == FORMAT_JSON)
        cli_print_json(list);
    else
        json_object_put(list);
    return error_is_set(error) ? -1 : 0;
}

static int run(const struct cli *cli, const struct cli_call *call, struct error *error)
{
    struct stage stage;
    CLEANUP(move_records_clear) struct move_records chosen = {0};
    AUTO_SESSION struct session session = {0};
    if (session_open(cli, SESSION_VIRT | SESSION_JOURNAL, &session, error) < 0 ||
        choose(&session, call, &chosen, error) < 0)
        return -1;
    stage_set(&stage, cli, -1);
    int result = verify_all(&stage, &session, call, &chosen, error);
    progress_clear(&stage.progress);
    return chosen.count ? result : error_set(error, ERROR_NOTHING, "no move waits to be verified");
}

const struct cli_verb verify_verb = {
    "verify",
    "[MOVE]...",
    "Compares moved disks with their sources, both as they were at the pivot",
    NULL,
    0,
    64,
    run};
