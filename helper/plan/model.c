#include "plan/plan.h"

void plan_cluster_clear(struct plan_cluster *cluster)
{
    free(cluster->name);
    free(cluster->mons);
    free(cluster->conf);
    free(cluster->user);
    free(cluster->secret);
    free(cluster->keyring);
    *cluster = (struct plan_cluster){0};
}

void plan_cluster_copy(struct plan_cluster *copy, const struct plan_cluster *from)
{
    *copy = (struct plan_cluster){
        .name = text_dup(from->name),
        .mons = text_dup(from->mons),
        .conf = text_dup(from->conf),
        .user = text_dup(from->user),
        .secret = text_dup(from->secret),
        .secret_is_uuid = from->secret_is_uuid,
        .keyring = text_dup(from->keyring),
    };
}

void plan_cluster_of_policy(struct plan_cluster *cluster, const struct policy_cluster *from)
{
    AUTO_BUFFER struct buffer mons = {0};
    for (size_t i = 0; i < from->mons.count && !from->mons_from_conf; i++) {
        const struct mon_address *mon = &from->mons.items[i];
        bool brackets = strchr(mon->host, ':') != NULL;
        buffer_format(&mons, "%s%s%s%s%s%s", i ? "," : "", brackets ? "[" : "", mon->host,
                      brackets ? "]" : "", mon->port ? ":" : "", mon->port ? mon->port : "");
    }
    *cluster = (struct plan_cluster){
        .name = text_dup(from->name),
        .mons = mons.length ? buffer_take(&mons) : NULL,
        .conf = text_dup(from->conf),
        .user = text_dup(from->user),
        .secret = text_dup(from->secret),
        .secret_is_uuid = from->secret_is_uuid,
        .keyring = text_dup(from->keyring),
    };
}

static void destination_clear(struct plan_destination *destination)
{
    plan_cluster_clear(&destination->cluster);
    free(destination->pool);
    free(destination->name_space);
    free(destination->image);
    free(destination->data_pool);
    free(destination->cache);
    free(destination->discard);
    free(destination->detect_zeroes);
    free(destination->old_disk);
    free(destination->old_identity);
    free(destination->old_definition);
}

void plan_free(struct plan *plan)
{
    for (size_t i = 0; i < plan->disks.count; i++) {
        struct plan_disk *disk = &plan->disks.items[i];
        free(disk->target);
        free(disk->bus);
        free(disk->reason);
        free(disk->hint);
        free(disk->rule);
        free(disk->tier);
        free(disk->source);
        destination_clear(&disk->destination);
        plan_cluster_clear(&disk->source_cluster);
        free(disk->source_pool);
        free(disk->source_name_space);
        free(disk->source_image);
        free(disk->source_id);
        free(disk->source_identity);
    }
    free(plan->disks.items);
    for (size_t i = 0; i < plan->networks.count; i++) {
        free(plan->networks.items[i].mac);
        free(plan->networks.items[i].from);
        free(plan->networks.items[i].to);
    }
    free(plan->networks.items);
    text_list_clear(&plan->warnings);
    free(plan->domain);
    free(plan->uuid);
    free(plan->strategy_reason);
    free(plan->blocker);
    free(plan->blocker_hint);
    free(plan);
}

const char *plan_action_word(enum plan_action action)
{
    static const char *const words[] = {
        [PLAN_MOVE] = "move", [PLAN_LEAVE] = "leave", [PLAN_REFUSE] = "refuse"};
    return words[action];
}

const char *plan_strategy_word(enum plan_strategy strategy)
{
    return strategy == STRATEGY_DANCE ? "dance" : "keep";
}
