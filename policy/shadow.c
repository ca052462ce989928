/* Rules that an earlier one leaves nothing for: each of its conditions follows from theirs.
 *
 * A yes is certain, since it stops the policy. Where that cannot be seen from the patterns, or the
 * policy is so large that looking would take long, the rule is let be. */
#include "base/text.h"
#include "policy/draft.h"
#include "policy/glob_analysis.h"

#define MAX_STEPS 50000000u

typedef bool item_covers(const char *wide, const char *narrow, size_t *steps);

static bool word_covers(const char *wide, const char *narrow, size_t *steps)
{
    (*steps)++;
    return strcmp(wide, narrow) == 0;
}

/* A condition that is absent holds for everything. */
static bool list_covers(const struct text_list *wide, const struct text_list *narrow,
                        item_covers *covers, size_t *steps)
{
    if (wide->count == 0)
        return true;
    for (size_t i = 0; i < narrow->count; i++) {
        bool covered = false;
        for (size_t j = 0; j < wide->count && !covered && *steps < MAX_STEPS; j++)
            covered = covers(wide->items[j], narrow->items[i], steps);
        if (!covered)
            return false;
    }
    return narrow->count > 0;
}

static bool has_word(const struct text_list *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (strcmp(words->items[i], word) == 0)
            return true;
    return false;
}

/* The types of disk that a rule can be about, with what its other conditions imply. */
static bool can_be(const struct policy_match *match, const char *type)
{
    bool of_images = match->clusters.count || match->pools.count || match->images.count;
    if (of_images && strcmp(type, "network") != 0)
        return false;
    if (match->paths.count && strcmp(type, "file") != 0 && strcmp(type, "block") != 0)
        return false;
    return match->types.count == 0 || has_word(&match->types, type);
}

static bool types_cover(const struct policy_match *wide, const struct policy_match *narrow)
{
    static const char *const types[] = {"file", "block", "network", "volume"};
    if (wide->types.count == 0)
        return true;
    bool is_limited = narrow->types.count || narrow->paths.count || narrow->clusters.count ||
                      narrow->pools.count || narrow->images.count;
    if (!is_limited)
        return false; /* there are types beyond these four */
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (can_be(narrow, types[i]) && !has_word(&wide->types, types[i]))
            return false;
    return true;
}

static bool sizes_cover(const struct policy_match *wide, const struct policy_match *narrow)
{
    if (wide->min_size && narrow->min_size < wide->min_size)
        return false;
    return !wide->max_size || (narrow->max_size && narrow->max_size <= wide->max_size);
}

static bool match_covers(const struct policy_match *wide, const struct policy_match *narrow,
                         size_t *steps)
{
    return types_cover(wide, narrow) && sizes_cover(wide, narrow) &&
           list_covers(&wide->formats, &narrow->formats, word_covers, steps) &&
           list_covers(&wide->clusters, &narrow->clusters, word_covers, steps) &&
           list_covers(&wide->uuids, &narrow->uuids, word_covers, steps) &&
           list_covers(&wide->disks, &narrow->disks, glob_covers, steps) &&
           list_covers(&wide->tier_labels, &narrow->tier_labels, glob_covers, steps) &&
           list_covers(&wide->pools, &narrow->pools, glob_covers, steps) &&
           list_covers(&wide->images, &narrow->images, glob_covers, steps) &&
           list_covers(&wide->domains, &narrow->domains, glob_covers, steps) &&
           list_covers(&wide->paths, &narrow->paths, glob_covers, steps);
}

static int shadowed(const struct policy_rule *earlier, const struct policy_rule *later,
                    struct error *error)
{
    AUTO_FREE char *place = policy_place_text(&earlier->place);
    policy_fault(&later->place, error,
                 "rule '%s' can never match: rule '%s' at %s takes all of its disks", later->name,
                 earlier->name, place);
    if (strcmp(earlier->place.file, later->place.file) == 0)
        return error_hint(error, "move rule '%s' below rule '%s'", earlier->name, later->name);
    return error_hint(error, "move rule '%s' into the last file of policy.d", earlier->name);
}

int policy_find_shadowed(const struct policy_draft *draft, struct error *error)
{
    const struct policy_rules *rules = &draft->policy->rules;
    size_t steps = 0;
    for (size_t later = 0; later < rules->count; later++) {
        for (size_t earlier = 0; earlier < later && steps < MAX_STEPS; earlier++) {
            steps++;
            if (match_covers(&rules->items[earlier]->match, &rules->items[later]->match, &steps))
                return shadowed(rules->items[earlier], rules->items[later], error);
        }
    }
    return 0;
}
