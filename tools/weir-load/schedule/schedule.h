/*
 * Send times of an open model: fixed before the run, and not moved by answers
 * or delays.
 *
 * The rate over time is a list of stages, each linear from one rate to another.
 * Its integral is the number of requests due; requests are due where it reaches
 * 0, 1, 2 and so on (constant gaps), or the sums of exponential gaps of mean 1
 * (Poisson). Threads share them without overlap: with constant gaps each takes
 * every count-th, with Poisson each has its own process with a part of the
 * rate.
 *
 * Times count from the start of the schedule.
 */
#ifndef WEIR_LOAD_SCHEDULE_H
#define WEIR_LOAD_SCHEDULE_H

#include "tools/weir-load/base/why.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_STAGES_MAX 32

/* Value of next_ns after the last request. */
#define SCHEDULE_OVER UINT64_MAX

struct schedule_stage {
    /* UINT64_MAX if the stage has no end, which only the last may have. */
    uint64_t duration_ns;
    /* Requests per second of all threads. */
    double from;
    double to;
};

struct schedule_plan {
    struct schedule_stage stages[SCHEDULE_STAGES_MAX];
    size_t stage_count;
    bool is_poisson;
    uint64_t seed;
};

/* Position of one thread in its part of the schedule. */
struct schedule {
    const struct schedule_plan *plan;
    /* This thread has every stride-th request of all threads. */
    double stride;
    /* Number of requests before this thread's next one, as the integral of the
     * rate, and its time. */
    double count;
    uint64_t next_ns;
    /* Stage of the next request, and the start of the stage. */
    size_t stage;
    double stage_count;
    uint64_t stage_ns;
    uint64_t random;
};

/* Initialises the schedule of a thread, at its first request. Borrows the plan
 * while the schedule is in use. */
void schedule_init(struct schedule *schedule, const struct schedule_plan *plan,
                   uint32_t thread_index, uint32_t thread_count);

void schedule_advance(struct schedule *schedule);

/* Returns the duration of all stages, or UINT64_MAX if there is no end. */
uint64_t schedule_duration(const struct schedule_plan *plan);

/* Parses stages like 30s@1k,2m@1k..20k: a duration and one or two rates.
 *
 * Returns 0, or -EINVAL with one line in @why (WHY_SIZE bytes), which
 * has the position of the error. */
int schedule_parse(const char *text, struct schedule_plan *ret, char *why);

/* Parses a rate like 50, 0.5, 20k or 20k/s. Returns 0 or -EINVAL. */
int schedule_parse_rate(const char *text, double *ret);

#endif
