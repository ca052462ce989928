#include "journal/private.h"

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
    [PHASE_LOCKED] = TO(PHASE_SOURCE_PREPARED) | TO(PHASE_TARGET_CREATED) | ASIDE,
    [PHASE_SOURCE_PREPARED] = TO(PHASE_TARGET_CREATED) | ASIDE,
    [PHASE_TARGET_CREATED] = TO(PHASE_DEFINITION_SAVED) | TO(PHASE_COPYING) | ASIDE,
    [PHASE_DEFINITION_SAVED] = TO(PHASE_UNDEFINED) | TO(PHASE_COPYING) | ASIDE,
    [PHASE_UNDEFINED] = TO(PHASE_COPYING) | ASIDE,
    [PHASE_COPYING] = TO(PHASE_MIRRORING) | ASIDE,
    [PHASE_MIRRORING] = TO(PHASE_PIVOTED) | ASIDE,
    [PHASE_PIVOTED] = TO(PHASE_REDEFINED) | ASIDE,
    /* Straight to `retired` where the policy asks for no proof; straight to `undone` when another
     * move, the undo, has brought the guest back. */
    [PHASE_REDEFINED] = TO(PHASE_VERIFIED) | TO(PHASE_RETIRED) | TO(PHASE_UNDOING) |
                        TO(PHASE_UNDONE) | TO(PHASE_NEEDS_OPERATOR),
    [PHASE_VERIFIED] =
        TO(PHASE_RETIRED) | TO(PHASE_UNDOING) | TO(PHASE_UNDONE) | TO(PHASE_NEEDS_OPERATOR),
    [PHASE_RETIRED] = TO(PHASE_UNDOING) | TO(PHASE_UNDONE),
    [PHASE_UNDOING] = TO(PHASE_UNDONE) | ASIDE,
    [PHASE_UNDONE] = 0,
    [PHASE_NEEDS_OPERATOR] = TO(PHASE_REDEFINED) | ASIDE,
};

bool move_phase_may_follow(enum move_phase from, enum move_phase to)
{
    return (size_t)from < ARRAY_SIZE(followers) && (followers[from] & TO(to));
}

/* An incoming migration has less to do: the source is another host's, the definition is not here
 * yet, and libvirt copies. A move of our own must not save itself those steps: it would copy with
 * no definition saved. */
static bool is_short_cut_of_incoming(enum move_phase from, enum move_phase to)
{
    return (from == PHASE_LOCKED && to == PHASE_TARGET_CREATED) ||
           (from == PHASE_TARGET_CREATED && to == PHASE_COPYING);
}

/* A domain that is off stays defined while it is copied. */
static bool is_short_cut_of_offline(enum move_phase from, enum move_phase to)
{
    return from == PHASE_DEFINITION_SAVED && to == PHASE_COPYING;
}

bool phase_may_follow(enum move_kind kind, enum move_phase from, enum move_phase to)
{
    if (!move_phase_may_follow(from, to) ||
        (kind != MOVE_INCOMING && is_short_cut_of_incoming(from, to)) ||
        (kind != MOVE_OFFLINE && kind != MOVE_UNDO && is_short_cut_of_offline(from, to)))
        return false;
    /* Once the guest writes to the image here, no other copy of its data is good: taking the move
     * back would remove it. */
    return kind != MOVE_INCOMING || from != PHASE_PIVOTED || to != PHASE_UNDOING;
}

bool move_phase_is_final(enum move_phase phase)
{
    return phase == PHASE_REDEFINED || phase == PHASE_VERIFIED || phase == PHASE_RETIRED ||
           phase == PHASE_UNDONE;
}

const char *move_kind_word(enum move_kind kind)
{
    static const char *const kinds[] = {
        [MOVE_LIVE] = "live",
        [MOVE_INCOMING] = "incoming",
        [MOVE_OFFLINE] = "offline",
        [MOVE_UNDO] = "undo",
    };
    return (size_t)kind < ARRAY_SIZE(kinds) ? kinds[kind] : "unknown";
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

const char *disk_verdict_word(enum disk_verdict verdict)
{
    static const char *const verdicts[] = {
        [VERDICT_NONE] = "not compared",
        [VERDICT_EQUAL] = "equal",
        [VERDICT_DIFFERENT] = "different",
        [VERDICT_IMPOSSIBLE] = "cannot be compared",
    };
    return (size_t)verdict < ARRAY_SIZE(verdicts) ? verdicts[verdict] : "unknown";
}
