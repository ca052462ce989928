#include "journal/journal.h"

static const char *const words[] = {
    [PHASE_PLANNED] = "planned",
    [PHASE_LOCKED] = "locked",
    [PHASE_SOURCE_PREPARED] = "source prepared",
    [PHASE_TARGET_CREATED] = "target created",
    [PHASE_DEFINITION_SAVED] = "definition saved",
    [PHASE_UNDEFINED] = "undefined",
    [PHASE_COPYING] = "copying",
    [PHASE_MIRRORING] = "mirroring",
    [PHASE_PIVOTED] = "pivoted",
    [PHASE_REDEFINED] = "redefined",
    [PHASE_VERIFIED] = "verified",
    [PHASE_RETIRED] = "retired",
    [PHASE_UNDOING] = "undoing",
    [PHASE_UNDONE] = "undone",
    [PHASE_NEEDS_OPERATOR] = "needs operator",
};

const char *move_phase_word(enum move_phase phase)
{
    return (size_t)phase < ARRAY_SIZE(words) ? words[phase] : "unknown";
}

#define TO(phase) (1u << (phase))
/* From every phase that is not the end. A recovery that finds the guest on its target goes on with
 * `pivoted`, whichever phase the dead process had written. */
#define ASIDE (TO(PHASE_UNDOING) | TO(PHASE_NEEDS_OPERATOR) | TO(PHASE_PIVOTED))

static const unsigned followers[] = {
    [PHASE_PLANNED] = TO(PHASE_LOCKED) | ASIDE,
    [PHASE_LOCKED] = TO(PHASE_SOURCE_PREPARED) | ASIDE,
    [PHASE_SOURCE_PREPARED] = TO(PHASE_TARGET_CREATED) | ASIDE,
    [PHASE_TARGET_CREATED] = TO(PHASE_DEFINITION_SAVED) | ASIDE,
    [PHASE_DEFINITION_SAVED] = TO(PHASE_UNDEFINED) | ASIDE,
    [PHASE_UNDEFINED] = TO(PHASE_COPYING) | ASIDE,
    [PHASE_COPYING] = TO(PHASE_MIRRORING) | ASIDE,
    [PHASE_MIRRORING] = TO(PHASE_PIVOTED) | ASIDE,
    [PHASE_PIVOTED] = TO(PHASE_REDEFINED) | ASIDE,
    [PHASE_REDEFINED] = TO(PHASE_VERIFIED) | TO(PHASE_UNDOING) | TO(PHASE_NEEDS_OPERATOR),
    [PHASE_VERIFIED] = TO(PHASE_RETIRED) | TO(PHASE_UNDOING) | TO(PHASE_NEEDS_OPERATOR),
    [PHASE_RETIRED] = TO(PHASE_UNDOING),
    [PHASE_UNDOING] = TO(PHASE_UNDONE) | ASIDE,
    [PHASE_UNDONE] = 0,
    [PHASE_NEEDS_OPERATOR] = TO(PHASE_REDEFINED) | ASIDE,
};

bool move_phase_may_follow(enum move_phase from, enum move_phase to)
{
    return (size_t)from < ARRAY_SIZE(followers) && (followers[from] & TO(to));
}

bool move_phase_is_final(enum move_phase phase)
{
    return phase == PHASE_REDEFINED || phase == PHASE_VERIFIED || phase == PHASE_RETIRED ||
           phase == PHASE_UNDONE;
}

const char *disk_fate_word(enum disk_fate fate)
{
    static const char *const fates[] = {
        [DISK_WAITING] = "on its source",
        [DISK_PIVOTING] = "pivoting",
        [DISK_PIVOTED] = "on its target",
        [DISK_RETURNED] = "back on its source",
    };
    return (size_t)fate < ARRAY_SIZE(fates) ? fates[fate] : "unknown";
}
