#include "move/private.h"

static enum disk_place place_of(const struct move *move, const struct plan_disk *planned,
                                const struct domain *domain)
{
    const struct disk *disk = domain ? domain_disk(domain, planned->target) : NULL;
    if (!disk)
        return PLACE_UNKNOWN;
    struct network_host *hosts = NULL;
    struct rbd_destination destination = plan_rbd_destination(&planned->destination, &hosts);
    struct disk_source target = {0};
    rbd_destination_source(&destination, &target);
    bool on_target = disk_source_same(&disk->source, &target);
    disk_source_clear(&target);
    free(hosts);
    if (on_target)
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

int observe(struct move *move, struct world *world, struct error *error)
{
    if (virt_domain(move->mover->virt, move->plan->uuid, &world->state, error) < 0)
        return -1;
    if (world->state.active && read_xml(move, VIRT_XML_LIVE, &world->live, error) < 0)
        return -1;
    if (world->state.persistent && read_xml(move, VIRT_XML_INACTIVE_SECURE, &world->inactive, error) < 0)
        return -1;
    world->disks = memory_new(move->disks.count, sizeof(*world->disks));
    for (size_t i = 0; i < move->disks.count; i++) {
        const struct plan_disk *planned = move_plan_of(move, i);
        const struct disk *live = world->live ? domain_disk(world->live, planned->target) : NULL;
        world->disks[i] = (struct disk_view){
            .live = place_of(move, planned, world->live),
            .defined = place_of(move, planned, world->inactive),
            .mirrored = live && live->has_mirror,
            .ready = live && live->mirror_ready,
        };
    }
    return 0;
}

void world_clear(struct world *world)
{
    virt_domain_clear(&world->state);
    domain_freep(&world->live);
    domain_freep(&world->inactive);
    free(world->disks);
    *world = (struct world){0};
}
