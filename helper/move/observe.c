#include "move/private.h"

#include <time.h>

#define SETTLE_POLL_MILLISECONDS 100

static enum disk_place place_of(const struct move *move, const struct plan_disk *planned,
                                const struct domain *domain)
{
    const struct disk *disk = domain ? domain_disk(domain, planned->target) : NULL;
    if (!disk)
        return PLACE_UNKNOWN;
    if (plan_is_destination(&planned->destination, &disk->source))
        return PLACE_TARGET;

    const struct disk *before = domain_disk(move->before, planned->target);
    const struct disk *saved = move->saved ? domain_disk(move->saved, planned->target) : NULL;
    if ((before && disk_source_same(&disk->source, &before->source)) ||
        (saved && disk_source_same(&disk->source, &saved->source)))
        return PLACE_SOURCE;
    return PLACE_ELSEWHERE;
}

static int read_xml(struct move *move, enum virt_xml which, struct domain **domain,
                    struct error *error)
{
    CLEANUP(text_burn) char *xml = NULL;
    if (virt_domain_xml(move->mover->virt, move->plan->uuid, which, &xml, error) < 0)
        return -1;
    return domain_parse(xml, strlen(xml), domain, error);
}

/* libvirt's words for it: virDomainDiskMirrorState. */
static bool is_ending(const struct disk *live)
{
    return text_equal(live->mirror_ready_text, "pivot") ||
           text_equal(live->mirror_ready_text, "abort");
}

/* libvirt numbers the domains that run, and those alone; NULL: this one does not. New string. */
static char *running_id(const struct domain *domain)
{
    const char *end = strchr(domain->xml, '>');
    const char *id = strstr(domain->xml, " id='");
    if (!id || id > end)
        return NULL;
    id += strlen(" id='");
    return text_slice(id, strcspn(id, "'"));
}

/* The live XML, which for a domain that has just stopped would be its definition. */
static int read_live(struct move *move, struct domain **live, struct error *error)
{
    if (read_xml(move, VIRT_XML_LIVE, live, error) < 0)
        return -1;
    AUTO_FREE char *id = running_id(*live);
    return id ? 0 : error_set(error, ERROR_NOT_FOUND, "the guest stopped just now");
}

/* After a restart of the host the numbers begin anew. */
static bool host_restarted_since(int64_t when)
{
    struct timespec now, up;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    return now.tv_sec - up.tv_sec >= when;
}

bool is_another_run(const struct move *move, const struct world *world)
{
    AUTO_FREE char *before = running_id(move->before);
    AUTO_FREE char *now = running_id(world->live);
    return !text_equal(before, now) || (move->created && host_restarted_since(move->created));
}

static int read_world(struct move *move, struct world *world, struct error *error)
{
    if (virt_domain(move->mover->virt, move->plan->uuid, &world->state, error) < 0)
        return -1;
    if (world->state.active && read_live(move, &world->live, error) < 0)
        return -1;
    if (world->state.persistent &&
        read_xml(move, VIRT_XML_INACTIVE_SECURE, &world->inactive, error) < 0)
        return -1;
    return 0;
}

int observe(struct move *move, struct world *world, struct error *error)
{
    while (read_world(move, world, error) < 0) {
        if (error->code != ERROR_NOT_FOUND)
            return -1;
        /* It went away between two calls: the next look finds no domain at all. */
        error_clear(error);
        world_clear(world);
    }
    world->disks = memory_new(move->disks.count, sizeof(*world->disks));
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct plan_disk *planned = move_plan_of(move, i);
        const struct disk *live = world->live ? domain_disk(world->live, planned->target) : NULL;
        bool ours = live && live->has_mirror &&
                    plan_is_destination(&planned->destination, &live->mirror_source);
        world->disks[i] = (struct disk_view){
            .live = place_of(move, planned, world->live),
            .defined = place_of(move, planned, world->inactive),
            .mirrored = ours,
            .ready = ours && live->mirror_ready,
            .ending = ours && is_ending(live),
            .foreign_job = live && live->has_mirror && !ours,
        };
    }
    return 0;
}

int observe_settled(struct move *move, struct world *world, struct error *error)
{
    for (int64_t start = move_now_ms();;) {
        world_clear(world);
        if (observe(move, world, error) < 0)
            return -1;
        size_t i = 0;
        while (i < move->disks.count && !world->disks[i].ending)
            i++;
        if (i == move->disks.count)
            return 0;
        if (move_out_of_patience(move, start)) {
            error_set(error, ERROR_OPERATOR, "the job of disk %s was told to end, but does not",
                      move->disks.items[i].target);
            return error_hint(error, "look at it with 'virsh blockjob'; 'virt-pivot recover' goes "
                                     "on from where it stands");
        }
        virt_wait(move->mover->virt, SETTLE_POLL_MILLISECONDS);
    }
}

void world_clear(struct world *world)
{
    virt_domain_clear(&world->state);
    domain_freep(&world->live);
    domain_freep(&world->inactive);
    free(world->disks);
    *world = (struct world){0};
}
