/* Which rule a disk falls under, and why. */
#include "base/text.h"
#include "base/units.h"
#include "policy/glob.h"
#include "policy/mons.h"
#include "policy/policy.h"

#include <inttypes.h>
#include <limits.h>
#include <strings.h>

/* The configuration that QEMU reads when a disk names neither monitors nor a configuration. */
#define DEFAULT_CONF "/etc/ceph/ceph.conf"

static bool is_rbd(const struct disk_source *source)
{
    return source->type == SOURCE_NETWORK && text_equal(source->protocol, "rbd");
}

static bool has_monitor(const struct policy_cluster *cluster, const struct mon_address *mon)
{
    for (size_t i = 0; i < cluster->mons.count; i++)
        if (policy_mon_same(&cluster->mons.items[i], mon))
            return true;
    return false;
}

static const struct policy_cluster *cluster_of_host(const struct policy *policy,
                                                    const struct network_host *host)
{
    if (!host->name)
        return NULL;
    AUTO_FREE char *name = policy_host_normal(host->name);
    struct mon_address mon = {.host = name, .port = host->port};
    for (size_t i = 0; i < policy->clusters.count; i++)
        if (has_monitor(policy->clusters.items[i], &mon))
            return policy->clusters.items[i];
    return NULL;
}

const struct policy_cluster *policy_cluster_of(const struct policy *policy,
                                               const struct disk_source *source)
{
    if (!is_rbd(source))
        return NULL;
    for (size_t i = 0; i < source->hosts.count; i++) {
        const struct policy_cluster *cluster = cluster_of_host(policy, &source->hosts.items[i]);
        if (cluster)
            return cluster;
    }
    const char *conf = source->config_file;
    if (!conf && source->hosts.count == 0)
        conf = DEFAULT_CONF;
    for (size_t i = 0; conf && i < policy->clusters.count; i++) {
        const struct policy_cluster *cluster = policy->clusters.items[i];
        if (text_equal(cluster->conf, conf)) /* NOLINT(clang-analyzer-core.NullDereference) */
            return cluster;
    }
    return NULL;
}

/* What the conditions look at, found once for all rules. */
struct facts {
    const struct policy_subject *subject;
    const char *cluster;
    char *pool, *image;
};

static void facts_clear(struct facts *facts)
{
    free(facts->pool);
    free(facts->image);
}

static void facts_find(const struct policy *policy, const struct policy_subject *subject,
                       struct facts *facts)
{
    const struct disk_source *source = &subject->disk->source;
    *facts = (struct facts){.subject = subject};
    if (!is_rbd(source))
        return;
    const struct policy_cluster *cluster = policy_cluster_of(policy, source);
    facts->cluster = cluster ? cluster->name : NULL;
    AUTO_FREE char *name_space = NULL;
    if (!source->name || !rbd_name_split(source->name, &facts->pool, &name_space, &facts->image))
        facts->pool = facts->image = NULL;
}

static const char *get_type(const struct facts *facts)
{
    switch (facts->subject->disk->source.type) {
    case SOURCE_FILE:
        return "file";
    case SOURCE_BLOCK:
        return "block";
    case SOURCE_NETWORK:
        return "network";
    case SOURCE_VOLUME:
        return "volume";
    default:
        return facts->subject->disk->type_name;
    }
}

/* libvirt takes a disk without a format for raw; of a volume it looks the format up. */
static const char *get_format(const struct facts *facts)
{
    const struct disk *disk = facts->subject->disk;
    return disk->format || disk->source.type == SOURCE_VOLUME ? disk->format : "raw";
}

static const char *get_path(const struct facts *facts)
{
    const struct disk_source *source = &facts->subject->disk->source;
    return source->type == SOURCE_FILE || source->type == SOURCE_BLOCK ? source->path : NULL;
}

static const char *get_cluster(const struct facts *facts)
{
    return facts->cluster;
}

static const char *get_pool(const struct facts *facts)
{
    return facts->pool;
}

static const char *get_image(const struct facts *facts)
{
    return facts->image;
}

static const char *get_domain(const struct facts *facts)
{
    return facts->subject->domain->name;
}

static const char *get_uuid(const struct facts *facts)
{
    return facts->subject->domain->uuid;
}

static const char *get_tier_label(const struct facts *facts)
{
    return facts->subject->domain->tier_label;
}

static const char *get_disk(const struct facts *facts)
{
    return facts->subject->disk->target;
}

static bool is_word(const char *word, const char *text)
{
    return strcmp(word, text) == 0;
}

static bool is_word_in_any_case(const char *word, const char *text)
{
    return strcasecmp(word, text) == 0;
}

static const struct condition {
    const char *name;
    const char *missing; /* what is said when the disk has none */
    const char *(*get)(const struct facts *facts);
    bool (*holds)(const char *wanted, const char *text);
    size_t offset; /* of the list in struct policy_match */
} conditions[] = {
    {"type", "the disk has no type", get_type, is_word, offsetof(struct policy_match, types)},
    {"format", "the format is not known", get_format, is_word,
     offsetof(struct policy_match, formats)},
    {"path", "the disk has no path", get_path, glob_matches, offsetof(struct policy_match, paths)},
    {"cluster", "the disk is in no cluster of the policy", get_cluster, is_word,
     offsetof(struct policy_match, clusters)},
    {"pool", "the disk is no RBD image", get_pool, glob_matches,
     offsetof(struct policy_match, pools)},
    {"image", "the disk is no RBD image", get_image, glob_matches,
     offsetof(struct policy_match, images)},
    {"domain", "the domain has no name", get_domain, glob_matches,
     offsetof(struct policy_match, domains)},
    {"uuid", "the domain has no uuid", get_uuid, is_word_in_any_case,
     offsetof(struct policy_match, uuids)},
    {"tier_label", "the domain names no tier", get_tier_label, glob_matches,
     offsetof(struct policy_match, tier_labels)},
    {"disk", "the disk has no target", get_disk, glob_matches,
     offsetof(struct policy_match, disks)},
};

static const struct text_list *list_of(const struct condition *condition,
                                       const struct policy_match *match)
{
    return (const struct text_list *)((const char *)match + condition->offset);
}

/* No text of a domain that a pattern is meant for is longer than a path may be; longer ones come
 * from someone who wants us to be busy. */
static bool condition_holds(const struct condition *condition, const struct policy_match *match,
                            const struct facts *facts)
{
    const struct text_list *wanted = list_of(condition, match);
    if (wanted->count == 0)
        return true;
    const char *text = condition->get(facts);
    if (!text || strnlen(text, PATH_MAX) == PATH_MAX)
        return false;
    for (size_t i = 0; i < wanted->count; i++)
        if (condition->holds(wanted->items[i], text))
            return true;
    return false;
}

static bool size_holds(const struct policy_match *match, uint64_t capacity)
{
    if (match->min_size == 0 && match->max_size == 0)
        return true;
    return capacity != 0 && capacity >= match->min_size &&
           (match->max_size == 0 || capacity <= match->max_size);
}

/* The first condition that does not hold; NULL when it is the size's or none. */
static const struct condition *failing_condition(const struct policy_match *match,
                                                 const struct facts *facts)
{
    for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
        if (!condition_holds(&conditions[i], match, facts))
            return &conditions[i];
    return NULL;
}

struct policy_decision policy_decide(const struct policy *policy,
                                     const struct policy_subject *subject)
{
    CLEANUP(facts_clear) struct facts facts = {0};
    facts_find(policy, subject, &facts);
    for (size_t i = 0; i < policy->rules.count; i++) {
        const struct policy_rule *rule = policy->rules.items[i];
        if (!failing_condition(&rule->match, &facts) && size_holds(&rule->match, subject->capacity))
            return (struct policy_decision){rule, rule->tier};
    }
    return (struct policy_decision){0};
}

/* A domain's texts are not ours: a line of the explanation stays one, and does nothing to the
 * terminal. */
static void add_quoted(struct buffer *line, const char *text)
{
    enum { ENOUGH = 200 };
    size_t length = strnlen(text, ENOUGH);
    buffer_add(line, "'");
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool is_control =
            c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)text[i + 1] - 0x80u < 0x20);
        buffer_add_slice(line, is_control ? "?" : &text[i], 1);
    }
    buffer_add(line, text[length] ? "…'" : "'");
}

static void add_wanted(struct buffer *line, const struct text_list *wanted)
{
    enum { ENOUGH = 4 };
    for (size_t i = 0; i < wanted->count && i < ENOUGH; i++) {
        if (i > 0)
            buffer_add(line, i + 1 == wanted->count ? " or " : ", ");
        add_quoted(line, wanted->items[i]);
    }
    if (wanted->count > ENOUGH)
        buffer_format(line, " or %zu more", wanted->count - ENOUGH);
}

static void explain_condition(struct buffer *line, const struct condition *condition,
                              const struct policy_match *match, const struct facts *facts)
{
    const char *text = condition->get(facts);
    if (text) {
        buffer_format(line, "%s is ", condition->name);
        add_quoted(line, text);
    } else {
        buffer_add(line, condition->missing);
    }
    buffer_format(line, ", the rule wants %s", text ? "" : condition->name);
    buffer_add(line, text ? "" : " ");
    add_wanted(line, list_of(condition, match));
}

static void explain_size(struct buffer *line, const struct policy_match *match, uint64_t capacity)
{
    AUTO_FREE char *rounded = format_size(capacity);
    AUTO_FREE char *size =
        capacity ? text_format("%s (%" PRIu64 " bytes)", rounded, capacity) : text_dup("not known");
    AUTO_FREE char *least = format_size(match->min_size);
    AUTO_FREE char *most = format_size(match->max_size);
    buffer_format(line, "size is %s, the rule wants ", size);
    if (match->min_size)
        buffer_format(line, "at least %s", least);
    if (match->max_size)
        buffer_format(line, "%sat most %s", match->min_size ? " and " : "", most);
}

/* One rule's line; returns whether the rule decides. */
static bool explain_rule(struct buffer *text, const struct policy_rule *rule,
                         const struct facts *facts)
{
    uint64_t capacity = facts->subject->capacity;
    buffer_format(text, "rule '%s' (%s:%u:%u): ", rule->name, rule->place.file, rule->place.line,
                  rule->place.column);
    const struct condition *failing = failing_condition(&rule->match, facts);
    bool decides = !failing && size_holds(&rule->match, capacity);
    if (!decides)
        buffer_add(text, "no: ");
    if (failing)
        explain_condition(text, failing, &rule->match, facts);
    else if (!decides)
        explain_size(text, &rule->match, capacity);
    else if (rule->tier)
        buffer_format(text, "yes: tier '%s'", rule->tier->name);
    else
        buffer_add(text, "yes: the disk stays where it is");
    buffer_add(text, "\n");
    return decides;
}

char *policy_explain(const struct policy *policy, const struct policy_subject *subject)
{
    AUTO_BUFFER struct buffer text = {0};
    CLEANUP(facts_clear) struct facts facts = {0};
    facts_find(policy, subject, &facts);
    for (size_t i = 0; i < policy->rules.count; i++)
        if (explain_rule(&text, policy->rules.items[i], &facts))
            break;
    return buffer_take(&text);
}
