/*
 * When requests are meant to be sent in an open model: times that are fixed
 * before the run, and that no answer and no delay moves.
 *
 * The rate over time is a row of stages, each going straight from one rate to
 * another. Their integral says how many requests are due until a time; the
 * times of requests are where it reaches 0, 1, 2 and so on (constant gaps), or
 * the sums of exponential gaps of mean 1 (Poisson). Each thread has a part of
 * them, none has the same: of constant gaps every count-th, of Poisson's a
 * process of its own with a part of the rate.
 *
 * It knows no clock: times count from the begin of the schedule.
 */
#ifndef WEIR_LOAD_SCHEDULE_H
#define WEIR_LOAD_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_STAGES_MAX 32

/* After the last request. */
#define SCHEDULE_OVER UINT64_MAX

/* Room for every reason that schedule_parse() gives. */
#define SCHEDULE_WHY_SIZE 160

struct schedule_stage {
    /* UINT64_MAX: without end, for the last one. */
    uint64_t duration_ns;
    /* Requests a second, of all threads together. */
    double from;
    double to;
};

struct schedule_plan {
    struct schedule_stage stages[SCHEDULE_STAGES_MAX];
    size_t stage_count;
    bool is_poisson;
    uint64_t seed;
};

/* Where one thread stands in its part of the schedule. */
struct schedule {
    const struct schedule_plan *plan;
    /* Of all threads' requests, so many come between two of this one's. */
    double stride;
    /* The integral at the next request, or its place, and when that is. */
    double count;
    uint64_t next_ns;
    /* The stage that the next request is in, and its begin. */
    size_t stage;
    double stage_count;
    uint64_t stage_ns;
    uint64_t random;
};

/* Stand before the first request of a thread; the plan is borrowed for as long
 * as the schedule is used. */
void schedule_init(struct schedule *schedule, const struct schedule_plan *plan,
                   uint32_t thread_index, uint32_t thread_count);

/* Go on to the request after the next. */
void schedule_advance(struct schedule *schedule);

/* The duration of all stages; UINT64_MAX: without end. */
uint64_t schedule_duration(const struct schedule_plan *plan);

/*
 * Read stages as in 30s@1k,2m@1k..20k: a duration, and a rate or two.
 *
 * Returns 0, or -EINVAL with one line in why (SCHEDULE_WHY_SIZE bytes), which
 * has the position of the error.
 */
int schedule_parse(const char *text, struct schedule_plan *ret, char *why);

/* Read a rate as in 50, 0.5, 20k or 20k/s. 0 or -EINVAL. */
int schedule_parse_rate(const char *text, double *ret);

#endif
