/* Saved XML may name a disk that has moved since. The ledger says where it went.
 *
 * What is known to be stale is never let through, whatever `on_error` says: the guest's memory on
 * another disk than its own would ruin the disk. */
#include "base/text.h"
#include "hooks/hook.h"
#include "journal/journal.h"
#include "policy/policy.h"

#include <syslog.h>

#define EDIT_HINT                                                                                  \
    "if you know where its data is, name that with 'virsh save-image-edit' or "                    \
    "'virsh managedsave-edit'"

/* A row of the ledger, its elements parsed when they are asked for. */
struct stop {
    const struct ledger_row *row;
    struct domain *before, *after;
};
DEFINE_VECTOR(stops, struct stop);

static void stops_clear(struct stops *stops)
{
    for (size_t i = 0; i < stops->count; i++) {
        domain_freep(&stops->items[i].before);
        domain_freep(&stops->items[i].after);
    }
    free(stops->items);
}

/* Reads an element of the ledger once. */
static int parse_once(const char *element, struct domain **holder, const struct disk **disk,
                      struct error *error)
{
    if (!*holder && disk_parse(element, holder, error) < 0)
        return error_prefix(error, "the ledger");
    if ((*holder)->disks.count != 1)
        return error_set(error, ERROR_INPUT, "the ledger: a row without its disk");
    *disk = &(*holder)->disks.items[0];
    return 0;
}

static int refuse_retired(const struct disk *disk, const struct ledger_row *row,
                          struct error *error)
{
    error_set(error, ERROR_OPERATOR,
              "disk %s is on %s, which was given up in move %lld, and the ledger does not know "
              "where its data went",
              disk->target, row->old_source ? row->old_source : "a disk", (long long)row->move);
    return error_hint(error, EDIT_HINT);
}

/* Goes through the ledger once, from the disk as saved to where it is now. *now is that disk's
 * element, or NULL when it is where it was. */
static int follow(const struct disk *disk, struct stops *stops, const struct disk **now,
                  struct error *error)
{
    *now = NULL;
    const struct disk_source *here = &disk->source;
    for (size_t i = 0; i < stops->count; i++) {
        struct stop *stop = &stops->items[i];
        const struct disk *before = NULL;
        if (!stop->row->old_disk)
            continue;
        if (parse_once(stop->row->old_disk, &stop->before, &before, error) < 0)
            return -1;
        if (!disk_source_same(&before->source, here))
            continue;
        if (!stop->row->new_disk && stop->row->retired)
            return refuse_retired(disk, stop->row, error);
        if (!stop->row->new_disk)
            continue;
        if (parse_once(stop->row->new_disk, &stop->after, now, error) < 0)
            return -1;
        here = &(*now)->source;
    }
    if (*now && disk_source_same(&disk->source, here))
        *now = NULL;
    return 0;
}

/* ---- the rewrite ---- */

DEFINE_VECTOR(rewrites, struct disk_rewrite);
DEFINE_VECTOR(parts, struct rbd_parts *); /* pointers: the rewrites borrow from them */

struct redirection {
    struct rewrites rewrites;
    struct parts parts;
};

static void redirection_clear(struct redirection *redirection)
{
    for (size_t i = 0; i < redirection->parts.count; i++) {
        rbd_parts_clear(redirection->parts.items[i]);
        free(redirection->parts.items[i]);
    }
    free(redirection->parts.items);
    free(redirection->rewrites.items);
}

/* The rewrite makes it raw, and the guest would take the container for its disk. */
static int refuse_nested(const struct disk *disk, const struct disk *now, struct error *error)
{
    AUTO_FREE char *place = disk_source_describe(&now->source);
    error_set(error, ERROR_OPERATOR, "disk %s is on %s now, which is %s within a network disk",
              disk->target, place, now->format);
    return error_hint(error, EDIT_HINT);
}

static int redirect(struct redirection *redirection, const struct disk *disk,
                    const struct disk *now, struct error *error)
{
    if (disk_is_nested(now))
        return refuse_nested(disk, now, error);
    struct rbd_parts *parts = NEW(struct rbd_parts);
    *parts_add(&redirection->parts) = parts;
    if (!rbd_destination_of_source(&now->source, parts)) {
        AUTO_FREE char *place = disk_source_describe(&now->source);
        error_set(error, ERROR_OPERATOR, "disk %s is on %s now, which is not on network RBD",
                  disk->target, place);
        return error_hint(error, EDIT_HINT);
    }
    *rewrites_add(&redirection->rewrites) = (struct disk_rewrite){
        .target = disk->target,
        .destination = parts->destination,
        .cache = now->cache,
        .discard = now->discard,
        .io = now->io,
        .detect_zeroes = now->detect_zeroes,
        .iotune_xml = now->iotune_xml,
    };
    return 0;
}

static int rewrite(const struct domain *domain, const struct redirection *redirection, char **xml,
                   struct error *error)
{
    if (redirection->rewrites.count == 0 ||
        domain_rewrite(domain, redirection->rewrites.items, redirection->rewrites.count, xml,
                       error) == 0)
        return 0;
    error->code = ERROR_OPERATOR; /* a disk that has moved, under its old name */
    return error->hint ? -1 : error_hint(error, EDIT_HINT);
}

static int redirect_all(const struct domain *domain, const struct ledger_rows *rows, char **xml,
                        struct error *error)
{
    CLEANUP(stops_clear) struct stops stops = {0};
    for (size_t i = 0; i < rows->count; i++)
        *stops_add(&stops) = (struct stop){.row = &rows->items[i]};
    CLEANUP(redirection_clear) struct redirection redirection = {0};
    for (size_t i = 0; i < domain->disks.count; i++) {
        const struct disk *disk = &domain->disks.items[i], *now = NULL;
        if (disk->source.type == SOURCE_NONE)
            continue;
        if (follow(disk, &stops, &now, error) < 0 ||
            (now && redirect(&redirection, disk, now, error) < 0))
            return -1;
    }
    return rewrite(domain, &redirection, xml, error);
}

static int look_up(const struct hook_settings *settings, char **xml, struct error *error)
{
    CLEANUP(journal_closep) struct journal *journal = NULL;
    if (journal_open(settings->state, JOURNAL_READ, &journal, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        error_clear(error); /* nothing was ever moved here */
        return 0;
    }
    CLEANUP(domain_freep) struct domain *domain = NULL;
    CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
    if (input_domain(settings, &domain, error) < 0)
        return -1;
    if (!domain->uuid)
        return 0;
    if (journal_ledger(journal, domain->uuid, &rows, error) < 0)
        return -1;
    return redirect_all(domain, &rows, xml, error);
}

int hook_restore(const struct hook_settings *settings, const char *name, char **xml,
                 struct error *error)
{
    bool follows = true, refuses = true;
    CLEANUP(policy_freep) const struct policy *policy = NULL;
    if (policy_load(settings->policy, &policy, error) == 0) {
        follows = policy->on_restore;
        refuses = policy->on_error == ON_ERROR_REFUSE;
    } else if (error->code != ERROR_NOT_FOUND) {
        report(LOG_WARNING, name, "the policy cannot be used, so the ledger alone decides", error);
    }
    error_clear(error);
    if (!follows || look_up(settings, xml, error) == 0)
        return 0;
    if (refuses || error->code == ERROR_OPERATOR)
        return -1;
    report(LOG_WARNING, name, "the restore passes unchanged, as 'on_error: pass' wants", error);
    error_clear(error);
    return 0;
}
