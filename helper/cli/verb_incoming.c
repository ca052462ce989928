#include "base/text.h"
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>

#define LOCK_TRIES 50 /* 100 ms apart: less than the hook's patience */
#define INPUT_MAX_BYTES ((size_t)2 * DOMAIN_XML_MAX_BYTES)

DEFINE_CLEANUP(struct json_object, json_object_put);

static int read_input(struct buffer *text, struct error *error)
{
    char block[65536];
    for (size_t got = 0; (got = fread(block, 1, sizeof(block), stdin)) > 0;) {
        buffer_add_slice(text, block, got);
        if (text->length > INPUT_MAX_BYTES)
            return error_set(error, ERROR_INPUT, "more than %zu bytes on stdin", INPUT_MAX_BYTES);
    }
    if (ferror(stdin))
        return error_set(error, ERROR_INPUT, "cannot read stdin: %s", strerror(errno));
    return 0;
}

/* {"plan": …, "xml": "<domain>…"}, as the hook writes it. */
static int parse_input(const char *text, struct plan **plan, char **xml, struct error *error)
{
    CLEANUP(json_object_putp) struct json_object *json = json_tokener_parse(text);
    struct json_object *plan_json = NULL, *xml_json = NULL;
    if (!json_object_object_get_ex(json, "plan", &plan_json) ||
        !json_object_object_get_ex(json, "xml", &xml_json) ||
        !json_object_is_type(xml_json, json_type_string)) {
        error_set(error, ERROR_INPUT, "stdin is not what the hook writes");
        error_hint(error, "this verb is for virt-pivot-hook alone");
        return -1;
    }
    *xml = text_dup(json_object_get_string(xml_json));
    return plan_from_record(json_object_to_json_string_ext(plan_json, JSON_C_TO_STRING_PLAIN), plan,
                            error);
}

/* The agent may just be looking at an earlier migration of the domain. */
static int lock_domain(struct journal *journal, const char *uuid, int *lock, struct error *error)
{
    for (unsigned tries = 0; journal_lock(journal, uuid, lock, error) < 0; tries++) {
        if (error->code != ERROR_BUSY || tries == LOCK_TRIES)
            return -1;
        error_clear(error);
        usleep(100000);
    }
    return 0;
}

static int run(const struct cli *cli, const struct cli_call *call UNUSED, struct error *error)
{
    AUTO_BUFFER struct buffer input = {0};
    CLEANUP(plan_freep) struct plan *plan = NULL;
    AUTO_FREE char *xml = NULL;
    if (read_input(&input, error) < 0 ||
        parse_input(input.length ? input.text : "", &plan, &xml, error) < 0)
        return -1;
    AUTO_SESSION struct session session = {0};
    CLEANUP(journal_unlock) int lock = -1;
    if (session_open(cli, SESSION_JOURNAL, &session, error) < 0 ||
        lock_domain(session.journal, plan->uuid, &lock, error) < 0)
        return -1;
    session.clusters = clusters_new(NULL);
    const struct mover mover = {.journal = session.journal,
                                .clusters = session.clusters,
                                .audience = {.opaque = (void *)cli, .warning = cli_warn}};
    int64_t id = 0;
    if (move_expect(&mover, plan, xml, &id, error) < 0)
        return -1;
    cli_say(cli, "move %" PRId64 ": waits for domain '%s'", id, plan->domain);
    return 0;
}

const struct cli_verb incoming_verb = {
    "incoming", "", "Makes the images for a guest that migrates here (virt-pivot-hook calls it)",
    NULL,       0,  0,
    run};
