/*
 * Computes when each request is due.
 *
 * Each time is computed from the request's index in the whole schedule, not
 * from the previous time, so errors do not add up. A double represents
 * nanoseconds exactly up to a hundred days.
 *
 * In a stage that begins with rate a and changes by k per second, n requests
 * are due after t seconds with a t + k t^2 / 2 = n. So this holds, even for k =
 * 0:
 *
 *     t = 2 n / (a + sqrt(a^2 + 2 k n))
 */
#include "schedule.h"

#include "tools/load/payload.h"

#include <assert.h>
#include <math.h>

#define SECOND 1e9

static double seconds_of(const struct schedule_stage *stage)
{
    return (double)stage->duration_ns / SECOND;
}

static double size_of(const struct schedule_stage *stage)
{
    if (stage->duration_ns == UINT64_MAX) {
        return INFINITY;
    }
    return (stage->from + stage->to) / 2 * seconds_of(stage);
}

/* Returns the time in seconds from the start of a stage at which @count
 * requests of the stage are due. */
static double time_of(const struct schedule_stage *stage, double count)
{
    double slope = stage->duration_ns == UINT64_MAX
                       ? 0
                       : (stage->to - stage->from) / seconds_of(stage);
    double square = stage->from * stage->from + 2 * slope * count;

    if (count <= 0) {
        return 0;
    }
    return 2 * count / (stage->from + sqrt(square > 0 ? square : 0));
}

/* Returns the thread's next random number in (0, 1]. */
static double roll(struct schedule *schedule)
{
    schedule->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t bits = payload_mix(schedule->random) >> 11;

    return ((double)bits + 1) / 9007199254740992.0;
}

static void place(struct schedule *schedule)
{
    const struct schedule_plan *plan = schedule->plan;

    while (schedule->stage < plan->stage_count) {
        const struct schedule_stage *stage = &plan->stages[schedule->stage];
        double inside = schedule->count - schedule->stage_count;
        double size = size_of(stage);
        if (inside < size) {
            schedule->next_ns =
                schedule->stage_ns +
                (uint64_t)(time_of(stage, inside) * SECOND + 0.5);
            return;
        }
        schedule->stage_count += size;
        schedule->stage_ns += stage->duration_ns;
        schedule->stage++;
    }
    schedule->next_ns = SCHEDULE_OVER;
}

void schedule_init(struct schedule *schedule, const struct schedule_plan *plan,
                   uint32_t thread_index, uint32_t thread_count)
{
    assert(thread_index < thread_count);
    assert(plan->stage_count > 0);
    *schedule = (struct schedule){
        .plan = plan,
        .stride = thread_count,
        .count = thread_index,
        .random = payload_mix(plan->seed) + payload_mix(thread_index + 1),
    };
    if (plan->is_poisson) {
        schedule->count = -log(roll(schedule)) * schedule->stride;
    }
    place(schedule);
}

void schedule_advance(struct schedule *schedule)
{
    schedule->count += schedule->plan->is_poisson
                           ? -log(roll(schedule)) * schedule->stride
                           : schedule->stride;
    place(schedule);
}

uint64_t schedule_duration(const struct schedule_plan *plan)
{
    uint64_t duration_ns = 0;

    for (size_t i = 0; i < plan->stage_count; i++) {
        if (plan->stages[i].duration_ns == UINT64_MAX) {
            return UINT64_MAX;
        }
        duration_ns += plan->stages[i].duration_ns;
    }
    return duration_ns;
}
