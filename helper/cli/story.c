#include "cli/story.h"

#include "base/units.h"

void story_clear(struct story_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->items[i].what);
    free(lines->items);
    *lines = (struct story_lines){0};
}

/* The event that ends the step begun at `begin`; NULL when it was broken off: another step, or
 * another process, came next. */
static const struct step_record *end_of(const struct step_records *steps, size_t begin)
{
    for (size_t i = begin + 1; i < steps->count; i++) {
        const struct step_record *step = &steps->items[i];
        if (text_equal(step->event, "begin") || text_equal(step->event, "recover"))
            return NULL;
        if (text_equal(step->event, "done"))
            return text_equal(step->phase, steps->items[begin].phase) ? step : NULL;
    }
    return NULL;
}

static bool is_last(const struct step_records *steps, size_t begin)
{
    for (size_t i = begin + 1; i < steps->count; i++)
        if (text_equal(steps->items[i].event, "begin") ||
            text_equal(steps->items[i].event, "done") ||
            text_equal(steps->items[i].event, "recover"))
            return false;
    return true;
}

/* Whether the step ended here has its line already, at its begin. */
static bool was_begun(const struct step_records *steps, size_t end)
{
    for (size_t i = end; i-- > 0;)
        if (text_equal(steps->items[i].event, "begin"))
            return end_of(steps, i) == &steps->items[end];
    return false;
}

static char *what_of(const struct step_records *steps, size_t i, const struct step_record *end,
                     bool running)
{
    const struct step_record *step = &steps->items[i];
    bool begin = text_equal(step->event, "begin");
    if (begin && !end)
        return text_format("%s: %s", step->phase,
                           running && is_last(steps, i) ? "under way" : "not finished");
    return text_dup(begin || text_equal(step->event, "done") ? step->phase : step->event);
}

void story_tell(const struct step_records *steps, bool running, struct story_lines *lines)
{
    for (size_t i = 0; i < steps->count; i++) {
        const struct step_record *step = &steps->items[i];
        if (text_equal(step->event, "done") && was_begun(steps, i))
            continue;
        const struct step_record *end = text_equal(step->event, "begin") ? end_of(steps, i) : NULL;
        *story_lines_add(lines) = (struct story_line){
            .at = step->at,
            .took = end ? end->at - step->at : -1,
            .what = what_of(steps, i, end, running),
            .detail = end ? end->detail : step->detail,
        };
    }
}

char *format_milliseconds(int64_t milliseconds)
{
    if (milliseconds < 10000)
        return text_format("%.2f s", (double)milliseconds / 1000);
    return format_duration((uint64_t)milliseconds / 1000);
}
