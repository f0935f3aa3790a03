/*
 * The load over time: send times of
 * requests and numbers of
 * connections.
 */
#ifndef WEIR_LOAD_SCHEDULE_H
#define WEIR_LOAD_SCHEDULE_H

#include "tools/weir-load/base/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Divides one load between several processes (--part).
 *
 * All processes have the same options; -c, -n, -R and --max-inflight are
 * totals. Process i of n has a range of the connections. With constant gaps it
 * sends the scheduled requests i, i + n, i + 2n and so on. Processes that start
 * together (--start-at) therefore send one schedule together.
 */

#define PARTS_MAX 10000U

struct part {
    uint32_t index; /* from 0 */
    uint32_t count; /* 1 if this process makes the whole load */
};

/* Parses "2/8", "auto/8" or "auto". "auto/8" takes the index from the
 * environment (JOB_COMPLETION_INDEX of a Kubernetes Job, or a variable of the
 * next list). "auto" takes index and count: SLURM_PROCID and SLURM_NTASKS,
 * PMI_RANK and PMI_SIZE, or OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE.
 *
 * Returns 0, or -EINVAL with one line in @why (WHY_SIZE bytes). */
int part_parse(const char *text, struct part *ret, char *why);

/* Returns the start of this part's range, if 0 to @whole is divided into
 * ranges. */
static inline uint64_t part_begin(const struct part *part, uint64_t whole)
{
    return whole / part->count * part->index +
           whole % part->count * part->index / part->count;
}

static inline uint64_t part_size(const struct part *part, uint64_t whole)
{
    const struct part next = {.index = part->index + 1, .count = part->count};

    return part_begin(&next, whole) - part_begin(part, whole);
}

/*
 * The number of connections over time (--conn-stages). In each stage it changes
 * linearly from one number to another.
 *
 * Each thread has a range of all connections, and opens a share of its range.
 * The shares add up to the wanted number, whatever the ranges are.
 *
 * Times count from the start of the measurement window.
 */

#define CONN_STAGES_MAX 32

#define CONN_STAGES_CONNS_MAX 1000000U

struct conn_stage {
    uint64_t duration_ns;
    uint64_t from;
    uint64_t to;
};

/* If there are no stages, the number of connections is constant. */
struct conn_stages {
    struct conn_stage list[CONN_STAGES_MAX];
    size_t count;
};

/* Parses stages like 30s@0..100,1m@100: a duration and one or two numbers. Also
 * parses k6's 30s:100, which starts at the previous stage's last number, or at
 * 1 in the first stage.
 *
 * Returns 0, or -EINVAL with one line in @why (WHY_SIZE bytes), which names the
 * position of the error. */
int conn_stages_parse(const char *text, struct conn_stages *ret, char *why);

uint64_t conn_stages_duration(const struct conn_stages *stages);

uint64_t conn_stages_most(const struct conn_stages *stages);
uint64_t conn_stages_least(const struct conn_stages *stages);

/* Returns the wanted number of connections at a time. After the last stage this
 * number is the last stage's final one. */
uint64_t conn_stages_at(const struct conn_stages *stages, uint64_t time_ns);

/* Returns how many of the @count connections from index @first on are open if
 * @wanted of all @whole connections are. */
static inline uint64_t conn_stages_share(uint64_t wanted, uint64_t whole,
                                         uint64_t first, uint64_t count)
{
    return (first + count) * wanted / whole - first * wanted / whole;
}

/*
 * Send times of an open model. They are fixed before the run; answers and
 * delays do not move them.
 *
 * The rate over time is a list of stages, each linear from one rate to another.
 * The integral of the rate is the number of requests due so far. With constant
 * gaps a request is due when the integral reaches 0, 1, 2 and so on; with
 * Poisson, when it reaches the next sum of exponential gaps of mean 1.
 *
 * Threads share the requests without overlap. With constant gaps, one of n
 * threads sends every n-th request. With Poisson, each thread has an
 * independent process with 1/n of the rate.
 *
 * Times count from the start of the schedule.
 */

#define SCHEDULE_STAGES_MAX 32

/* Value of next_ns when no request is left. */
#define SCHEDULE_OVER UINT64_MAX

struct schedule_stage {
    /* UINT64_MAX if the stage has no end. Only the last stage may have none. */
    uint64_t duration_ns;
    /* Requests per second of all threads at the start and at the end of the
     * stage. */
    double from;
    double to;
};

struct schedule_plan {
    struct schedule_stage stages[SCHEDULE_STAGES_MAX];
    size_t stage_count;
    bool is_poisson;
    uint64_t seed;
};

/* A thread's position in the schedule. */
struct schedule {
    const struct schedule_plan *plan;
    /* Number of threads: this thread sends every stride-th request. */
    double stride;
    /* Value of the rate's integral at which this thread's next request is
     * due. */
    double count;
    uint64_t next_ns;
    size_t stage;
    /* The rate's integral, and the time, at the start of the stage. */
    double stage_count;
    uint64_t stage_ns;
    uint64_t random;
};

/* Initialises a thread's schedule and sets it to the first request. @plan must
 * outlive the schedule. */
void schedule_init(struct schedule *schedule, const struct schedule_plan *plan,
                   uint32_t thread_index, uint32_t thread_count);

void schedule_advance(struct schedule *schedule);

/* Returns the duration of all stages, or UINT64_MAX if there is no end. */
uint64_t schedule_duration(const struct schedule_plan *plan);

/* Parses stages like 30s@1k,2m@1k..20k: a duration and one or two rates.
 *
 * Returns 0, or -EINVAL with one line in @why (WHY_SIZE bytes), which names the
 * position of the error. */
int schedule_parse(const char *text, struct schedule_plan *ret, char *why);

/* Parses a stage, which may be modified. Returns NULL, or what the text at
 * offset *ret_error should be. */
typedef const char *schedule_read_fn(void *arg, size_t index, char *part,
                                     size_t *ret_error);

/* Parses a list of at most @most stages, separated by commas. */
int schedule_parse_list(const char *text, size_t most, schedule_read_fn *read,
                        void *arg, char *why);

/* Parses a rate like 50, 0.5, 20k or 20k/s. Returns 0 or -EINVAL. */
int schedule_parse_rate(const char *text, double *ret);

#endif
