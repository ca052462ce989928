/* The domains of this host: what changed of them, and what that asks for. */
#include "agent/private.h"

#include "move/move.h"

#define FORGET_SECONDS 3600 /* after a domain is gone */
/* In the journal's sightings, beside those of domains: every domain was looked at once. */
#define FIRST_LOOK "first look"

static struct guest *find(struct guests *guests, const char *uuid)
{
    for (size_t i = 0; i < guests->count; i++)
        if (text_equal(guests->items[i].uuid, uuid))
            return &guests->items[i];
    return NULL;
}

struct guest *guest_of(struct agent *agent, const char *uuid)
{
    struct guest *guest = find(&agent->guests, uuid);
    if (guest)
        return guest;
    guest = guests_add(&agent->guests);
    snprintf(guest->uuid, sizeof(guest->uuid), "%s", uuid);
    guest->missing_since = agent->now;
    guest->dirty = agent->any_dirty = true;
    return guest;
}

const char *guest_name(struct agent *agent, const char *uuid)
{
    const struct guest *guest = find(&agent->guests, uuid);
    return guest && guest->name ? guest->name : uuid;
}

bool guest_is_pressing(struct agent *agent, const char *uuid)
{
    const struct guest *guest = find(&agent->guests, uuid);
    return guest && guest->pressing;
}

static void guest_clear(struct guest *guest)
{
    free(guest->name);
    free(guest->job);
    free(guest->sizes);
    sighting_clear(&guest->sighting);
    trouble_clear(&guest->trouble);
}

void guests_clear(struct guests *guests)
{
    for (size_t i = 0; i < guests->count; i++)
        guest_clear(&guests->items[i]);
    free(guests->items);
    *guests = (struct guests){0};
}

static void forget_gone(struct agent *agent)
{
    struct guests *guests = &agent->guests;
    size_t kept = 0;
    for (size_t i = 0; i < guests->count; i++) {
        struct guest *guest = &guests->items[i];
        if (!guest->known && agent->now > guest->missing_since + FORGET_SECONDS)
            guest_clear(guest);
        else
            guests->items[kept++] = *guest;
    }
    guests->count = kept;
}

/* ---- its state ---- */

int guest_refresh(struct agent *agent, struct guest *guest, struct error *error)
{
    CLEANUP(virt_domain_clear) struct virt_domain state = {0};
    if (virt_domain(agent->virt, guest->uuid, &state, error) < 0)
        return -1;
    if (guest->known && !state.exists)
        guest->missing_since = agent->now;
    guest->known = state.exists;
    guest->active = state.active;
    guest->arriving = state.arriving;
    guest->migrated = state.migrated;
    guest->id = state.id;
    free(guest->job);
    guest->job = STEAL(state.job);
    if (state.name) {
        free(guest->name);
        guest->name = STEAL(state.name);
    }
    return 0;
}

/* ---- what its run and its tier ask for ---- */

static int read_sighting(struct agent *agent, struct guest *guest, struct error *error)
{
    bool any = false;
    if (guest->sighting_read)
        return 0;
    sighting_clear(&guest->sighting);
    if (journal_sighting(agent->journal, guest->uuid, &guest->sighting, &guest->seen, &any, error) <
        0)
        return -1;
    guest->sighting_read = true;
    return 0;
}

/* A label stands above the rules whenever a guest is moved by itself, or its next start would take
 * it back. */
static int ask_for_moves(struct agent *agent, const struct guest *guest,
                         const struct sighting *sight, struct error *error)
{
    const struct policy *policy = agent->rulebook.policy;
    /* One that came by a migration did not start, and nobody has set its label here. */
    bool arrived = guest->migrated && !text_equal(sight->run, guest->sighting.run);
    if (agent->newcomer || arrived)
        return 0;
    if (sight->run && policy->on_start && !text_equal(sight->run, guest->sighting.run) &&
        request_add(agent, guest, "start", policy_labelled_tier(policy, sight->tier), error) < 0)
        return -1;
    if (sight->tier && !text_equal(sight->tier, guest->sighting.tier) &&
        request_add(agent, guest, "tier", sight->tier, error) < 0)
        return -1;
    return 0;
}

/* The requests first: whoever is killed in between asks twice, and twice the same is one. */
static int compare(struct agent *agent, struct guest *guest, const struct domain *domain,
                   struct error *error)
{
    AUTO_FREE char *run = guest->active ? text_format("%s:%d", agent->boot, guest->id) : NULL;
    struct sighting sight = {run, text_empty(domain->tier_label) ? NULL : domain->tier_label};
    if (read_sighting(agent, guest, error) < 0)
        return -1;
    if (guest->seen && text_equal(sight.run, guest->sighting.run) &&
        text_equal(sight.tier, guest->sighting.tier))
        return 0;
    if (ask_for_moves(agent, guest, &sight, error) < 0 ||
        journal_see(agent->journal, guest->uuid, &sight, error) < 0)
        return -1;
    sighting_clear(&guest->sighting);
    guest->sighting = (struct sighting){STEAL(run), text_dup(sight.tier)};
    guest->seen = true;
    return 0;
}

/* ---- one look ---- */

/* What does not work with this one domain. */
static void guest_trouble(struct agent *agent, struct guest *guest, const struct error *error)
{
    AUTO_FREE char *what = text_format("domain %s", guest_name(agent, guest->uuid));
    if (error->code != ERROR_DISCONNECTED && error->code != ERROR_NOT_FOUND)
        trouble_is(&guest->trouble, &agent->voice, what, error);
}

/* The rows first, then the guest: no move can have come in between. */
static int note_return(struct agent *agent, const struct guest *guest, struct error *error)
{
    CLEANUP(ledger_rows_clear) struct ledger_rows rows = {0};
    CLEANUP(text_list_clear) struct text_list told = {0};
    CLEANUP(domain_freep) struct domain *live = NULL;
    AUTO_FREE char *xml = NULL;
    if (journal_ledger(agent->journal, guest->uuid, &rows, error) < 0)
        return -1;
    if (rows.count == 0)
        return 0;
    if (virt_domain_xml(agent->virt, guest->uuid, VIRT_XML_LIVE, &xml, error) < 0 ||
        domain_parse(xml, strlen(xml), &live, error) < 0 ||
        (live->live && move_note_return(agent->journal, &rows, live, &told, error) < 0))
        return -1;
    for (size_t i = 0; i < told.count; i++)
        say(&agent->voice, SAY_WARNING, "domain %s: %s", guest_name(agent, guest->uuid),
            told.items[i]);
    return 0;
}

/* -1 when it has to be looked at again soon. */
static int look_at_xml(struct agent *agent, struct guest *guest)
{
    AUTO_ERROR struct error error = {0};
    AUTO_ERROR struct error unwritten = {0};
    AUTO_FREE char *xml = NULL;
    CLEANUP(domain_freep) struct domain *domain = NULL;
    if (virt_domain_xml(agent->virt, guest->uuid, guest->active ? VIRT_XML_LIVE : VIRT_XML_INACTIVE,
                        &xml, &error) < 0 ||
        domain_parse(xml, strlen(xml), &domain, &error) < 0) {
        guest_trouble(agent, guest, &error);
        return 0; /* at the next look at all domains */
    }
    /* Without a policy nobody knows what a start asks for: it will be seen once there is one. */
    int written = agent->rulebook.policy ? compare(agent, guest, domain, &unwritten) : 0;
    if (written < 0)
        agent_storage_trouble(agent, &unwritten);
    if (guest->active &&
        (note_return(agent, guest, &error) < 0 || sizes_keep(agent, guest, domain, &error) < 0))
        guest_trouble(agent, guest, &error);
    else
        trouble_clear(&guest->trouble);
    return written;
}

static void look_at(struct agent *agent, struct guest *guest)
{
    AUTO_ERROR struct error error = {0};
    guest->dirty = false;
    if (!virt_answers(agent->virt, guest->uuid)) {
        error_set(&error, ERROR_BUSY, "its QEMU does not answer libvirt; looked at again later");
        guest_trouble(agent, guest, &error);
        return;
    }
    if (guest_refresh(agent, guest, &error) < 0) {
        guest_trouble(agent, guest, &error);
        return;
    }
    if (!guest->known)
        return;
    if (guest->arriving) /* it does not run here yet, and its end may bring no event */
        agent_wake_at(agent, agent->now + ARRIVING_SECONDS);
    guest->dirty = guest->arriving || look_at_xml(agent, guest) < 0;
    agent->any_dirty |= guest->dirty;
}

/* ---- all of them ---- */

static int list_all(struct agent *agent, struct error *error)
{
    struct virt_uuids uuids = {0};
    int result = virt_list(agent->virt, &uuids, error);
    if (result == 0) {
        forget_gone(agent);
        for (size_t i = 0; i < uuids.count; i++)
            guest_of(agent, uuids.items[i].text)->known = true; /* also if no more can be told */
        for (size_t i = 0; i < agent->guests.count; i++)
            agent->guests.items[i].dirty = true;
        agent->look_at = agent->now + LOOK_SECONDS;
        agent->all_dirty = false;
        agent->any_dirty = true;
    }
    free(uuids.items);
    return result;
}

static int learn_whether_new(struct agent *agent, struct error *error)
{
    CLEANUP(sighting_clear) struct sighting sighting = {0};
    bool seen = false, any = false;
    if (agent->newcomer_known)
        return 0;
    if (journal_sighting(agent->journal, FIRST_LOOK, &sighting, &seen, &any, error) < 0)
        return -1;
    agent->newcomer_known = true;
    agent->newcomer = !seen;
    return 0;
}

/* A migration may take hours, and what it brings is known for an arrival. */
static bool any_to_look_at(const struct guests *guests)
{
    for (size_t i = 0; i < guests->count; i++)
        if (guests->items[i].dirty && !guests->items[i].arriving)
            return true;
    return false;
}

/* A newcomer's first look is over when nothing of it is left to do. One that is killed before that
 * begins anew, and asks for nothing either. */
static void end_first_look(struct agent *agent)
{
    AUTO_ERROR struct error error = {0};
    if (!agent->newcomer || any_to_look_at(&agent->guests) || !agent->rulebook.policy)
        return;
    if (journal_see(agent->journal, FIRST_LOOK, &(struct sighting){0}, &error) < 0)
        agent_storage_trouble(agent, &error);
    else
        agent->newcomer = false;
}

void guests_look(struct agent *agent)
{
    AUTO_ERROR struct error error = {0};
    if (!agent->connected)
        return;
    if (learn_whether_new(agent, &error) < 0) {
        agent_storage_trouble(agent, &error);
        return;
    }
    /* A list that fails is the connection's trouble, which the next pass sees. */
    if ((agent->all_dirty || agent->now >= agent->look_at) && list_all(agent, &error) < 0) {
        agent_wake_at(agent, agent->now + 1);
        return;
    }
    bool any = agent->any_dirty;
    agent->any_dirty = false;
    for (size_t i = 0; any && i < agent->guests.count && virt_connected(agent->virt); i++) {
        if (agent->guests.items[i].dirty)
            look_at(agent, &agent->guests.items[i]);
        notify_alive(&agent->voice);
    }
    end_first_look(agent);
    agent_wake_at(agent, agent->look_at);
}
