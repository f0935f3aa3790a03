/*
 * The health of an upstream: counts results.
 *
 * An upstream that returns from an ejection is on probation: the next failure
 * of the same kind ejects it again, without a new series of failures.
 */
#include "health.h"

#include <string.h>

/* Maximum of earlier ejections. More would not lengthen the next one: the time
 * doubles each time, and reaches its maximum before. */
#define RESUMED_MAX 64u

/* The only function that changes the state. */
static void health_set_state(struct wr_health *health,
                             enum wr_health_state state)
{
    wr_assert(state != WR_HEALTH_UNKNOWN);
    wr_assert(state != health->state);
    health->state = state;
    health->streak = 0;
}

void wr_health_init(struct wr_health *health, uint32_t rise, uint32_t fall,
                    enum wr_health_state state)
{
    wr_assert(rise > 0);
    wr_assert(fall > 0);
    *health = (struct wr_health){.state = state, .rise = rise, .fall = fall};
}

bool wr_health_lift(struct wr_health *health)
{
    wr_assert(health->fall > 0);
    health->streak = 0;
    if (health->state == WR_HEALTH_UP) {
        return false;
    }
    health_set_state(health, WR_HEALTH_UP);
    return true;
}

bool wr_health_note(struct wr_health *health, bool is_good)
{
    const enum wr_health_state told = is_good ? WR_HEALTH_UP : WR_HEALTH_DOWN;
    const uint32_t needed = is_good ? health->rise : health->fall;

    wr_assert(health->streak < health->rise || health->streak < health->fall);
    if (told == health->state) {
        health->streak = 0;
        return false;
    }
    health->streak++;
    if (health->state != WR_HEALTH_UNKNOWN && health->streak < needed) {
        return false;
    }
    health_set_state(health, told);
    return true;
}

uint64_t wr_health_next_ns(uint64_t interval_ns, uint64_t random)
{
    const uint64_t tenth = interval_ns / 10;

    wr_assert(interval_ns > 0);
    return interval_ns - tenth + random % (2 * tenth + 1);
}

void wr_ejection_resume(struct wr_ejection *ejection, uint32_t count,
                        enum wr_failure cause, bool is_ejected)
{
    wr_assert(ejection->count == 0);
    wr_assert(cause < WR_FAILURES);
    ejection->count = count < RESUMED_MAX ? count : RESUMED_MAX;
    ejection->cause = cause;
    ejection->is_ejected = is_ejected;
}

void wr_ejection_note_success(struct wr_ejection *ejection, enum wr_failure row)
{
    wr_assert(row < WR_FAILURES);
    ejection->fails[row] = 0;
    if (ejection->count > 0 && ejection->cause == row) {
        ejection->count = 0;
    }
}

static uint64_t health_get_time(const struct wr_ejection *ejection,
                                const struct wr_ejection_plan *plan)
{
    uint64_t time_ns = plan->first_ns;

    wr_assert(ejection->count > 0);
    wr_assert(plan->first_ns > 0);
    for (uint32_t i = 1; i < ejection->count && time_ns < plan->max_ns; i++) {
        time_ns = time_ns > UINT64_MAX / 2 ? UINT64_MAX : time_ns * 2;
    }
    return time_ns < plan->max_ns ? time_ns : plan->max_ns;
}

uint64_t wr_ejection_note_failure(struct wr_ejection *ejection,
                                  const struct wr_ejection_plan *plan,
                                  enum wr_failure row)
{
    const bool is_on_probation = ejection->count > 0 && ejection->cause == row;

    wr_assert(row < WR_FAILURES);
    wr_assert(plan->limit > 0);
    if (ejection->is_ejected || plan->limit == UINT32_MAX) {
        return 0;
    }
    /* The row of a target that is not ejected may exceed this limit, if another
     * set with a higher limit has recorded the failures. */
    wr_assert(ejection->fails[row] < UINT32_MAX);
    ejection->fails[row]++;
    if (!is_on_probation && ejection->fails[row] < plan->limit) {
        return 0;
    }
    ejection->count = is_on_probation ? ejection->count + 1 : 1;
    ejection->cause = row;
    ejection->is_ejected = true;
    memset(ejection->fails, 0, sizeof(ejection->fails));
    return health_get_time(ejection, plan);
}

void wr_ejection_end(struct wr_ejection *ejection)
{
    wr_assert(ejection->is_ejected);
    ejection->is_ejected = false;
}
