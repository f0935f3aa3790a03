/*
 * Computes which part of the measured times is the client's own lateness.
 *
 * Percentiles of too few values are neither reported nor evaluated. The mean
 * and the maximum always are, so that a client that was stopped is noticed in a
 * run of any length.
 */
#include "result.h"

#include <stdio.h>

/* --lateness-limit applies up to p99. Rarer values may be later: ten times at
 * p99.9, and at the maximum, a single event, a hundred times or GREATEST_NS. */
#define COMMON_SHARE   99000U
#define GREATEST_TIMES 100U
#define GREATEST_NS    UINT64_C(100000000)

/* Share of time that a closed loop may wait for a CPU, if there are too few
 * samples. */
#define WAITED_MOST 0.20

/* Smallest share that is reported; and the factor that limits a share. */
#define TOLD_SHARE 0.05
#define SHARE_MOST 10

static double find_limit(const struct result *result, double response_ns,
                         double times)
{
    const struct run_options *options = result->options;
    const double time_ns = (double)options->lateness_limit_ns * times;
    const double share_ns =
        (double)options->lateness_limit_share / 1e6 * response_ns;

    return time_ns > share_ns ? time_ns : share_ns;
}

double lateness_part(const struct lateness_figure *figure)
{
    if (figure->late_ns <= 0) {
        return 0;
    }
    return figure->limit_ns > 0 ? figure->late_ns / figure->limit_ns : 1e9;
}

static void keep_worse(struct lateness_figure *worst,
                       const struct lateness_figure *figure)
{
    if (lateness_part(figure) > lateness_part(worst)) {
        *worst = *figure;
    }
}

const struct histogram *lateness_times(const struct result *result)
{
    return result->times.response.count > 0 ? &result->times.response
                                            : &result->times.service;
}

static uint64_t smaller_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Returns a percentile of two latenesses of different requests: the requests
 * beyond it are those beyond some percentile of the first and those beyond some
 * percentile of the second. A binary search finds the split at which both
 * percentiles are nearly equal. */
static uint64_t find_joint(const struct histogram *late,
                           const struct histogram *more, uint32_t share)
{
    uint32_t least = 0;
    uint32_t most = HISTOGRAM_WHOLE - share;

    while (most - least > 1) {
        const uint32_t part = least + (most - least) / 2;
        if (histogram_quantile(late, HISTOGRAM_WHOLE - part) >
            histogram_quantile(more, share + part)) {
            least = part;
        } else {
            most = part;
        }
    }
    return smaller_of(histogram_quantile(late, HISTOGRAM_WHOLE - least),
                      histogram_quantile(more, share + most));
}

/* Returns the part of a percentile that is lateness, limited to the times that
 * include it, because samples may have met a rare lateness by chance. For late
 * reads it is the difference of the sampled times with and without the
 * lateness, both limited so. With @more the two latenesses may be of the same
 * requests: together they are at most the excess over the shortest time. */
static double late_at(const struct result *result, const struct histogram *late,
                      const struct histogram *more, uint32_t share)
{
    const struct histogram *taken = lateness_times(result);
    const uint64_t taken_ns = histogram_quantile(taken, share);

    if (more) {
        return (double)smaller_of(find_joint(late, more, share),
                                  taken_ns - smaller_of(taken->min, taken_ns));
    }
    if (late == &result->times.reading) {
        const uint64_t sampled_ns =
            histogram_quantile(&result->times.sampled, share);
        const uint64_t prompt_ns =
            histogram_quantile(&result->times.prompt, share);
        return (double)(smaller_of(sampled_ns, taken_ns) -
                        smaller_of(prompt_ns, taken_ns));
    }
    return (double)smaller_of(histogram_quantile(late, share), taken_ns);
}

/* Returns the part of the mean that is lateness, likewise. */
static double mean_late(const struct result *result,
                        const struct histogram *late)
{
    const double taken_ns = histogram_mean(lateness_times(result));
    const double sampled_ns = histogram_mean(&result->times.sampled);
    const double prompt_ns = histogram_mean(&result->times.prompt);

    if (late != &result->times.reading) {
        return histogram_mean(late);
    }
    return (sampled_ns < taken_ns ? sampled_ns : taken_ns) -
           (prompt_ns < taken_ns ? prompt_ns : taken_ns);
}

/* Only answers that succeeded have sampled times. */
static bool can_tell(const struct result *result, const struct histogram *late,
                     uint32_t share)
{
    return histogram_can_tell(
        late == &result->times.reading ? &result->times.sampled : late, share);
}

/* Compares a reported percentile, if it has enough values. */
static void look_at_quantile(const struct result *result,
                             const struct histogram *late,
                             const struct histogram *more, uint32_t share,
                             struct lateness_figure *worst)
{
    const uint32_t beyond = HISTOGRAM_WHOLE - share;
    const double times =
        share <= COMMON_SHARE
            ? 1
            : (double)(HISTOGRAM_WHOLE - COMMON_SHARE) / (double)beyond;
    const struct histogram *taken = lateness_times(result);

    if (!histogram_can_tell(taken, share) || !can_tell(result, late, share) ||
        (more && !histogram_can_tell(more, share))) {
        return;
    }
    struct lateness_figure figure = {
        .response_ns = (double)histogram_quantile(taken, share),
        .late_ns = late_at(result, late, more, share),
    };
    snprintf(figure.name, sizeof(figure.name), "p%g", share / 1000.0);
    figure.limit_ns = find_limit(result, figure.response_ns, times);
    keep_worse(worst, &figure);
}

struct lateness_figure lateness_find_worst(const struct result *result,
                                           const struct histogram *late,
                                           const struct histogram *more)
{
    const struct run_options *options = result->options;
    const struct histogram *response = lateness_times(result);
    struct lateness_figure worst = {.name = ""};
    struct lateness_figure mean = {.name = "mean",
                                   .response_ns = histogram_mean(response),
                                   .late_ns = mean_late(result, late)};
    struct lateness_figure most = {.name = "max",
                                   .response_ns = (double)response->max,
                                   .late_ns = (double)late->max};

    if (response->count == 0 || late->count == 0) {
        return worst;
    }
    for (size_t i = 0; i < options->column_count; i++) {
        look_at_quantile(result, late, more, options->columns[i], &worst);
    }
    for (size_t i = 0; i < options->slo.count; i++) {
        const struct slo_term *term = &options->slo.terms[i];
        if (term->figure == SLO_QUANTILE && term->times == SLO_RESPONSE &&
            term->kind[0] == '\0') {
            look_at_quantile(result, late, more, term->share, &worst);
        }
    }
    mean.late_ns += more ? mean_late(result, more) : 0;
    mean.limit_ns = find_limit(result, mean.response_ns, 1);
    keep_worse(&worst, &mean);
    most.limit_ns = find_limit(result, most.response_ns, GREATEST_TIMES);
    if (most.limit_ns < (double)GREATEST_NS) {
        most.limit_ns = (double)GREATEST_NS;
    }
    keep_worse(&worst, &most);
    return worst;
}

bool lateness_write_shares(const struct result *result,
                           const struct histogram *late, char *text,
                           size_t size)
{
    const struct run_options *options = result->options;
    const struct histogram *taken = lateness_times(result);
    size_t len = 0;

    for (size_t i = 0; i < options->column_count && len < size; i++) {
        const uint32_t share = options->columns[i];
        if (!histogram_can_tell(taken, share) ||
            !can_tell(result, late, share)) {
            continue;
        }
        const double late_ns = late_at(result, late, NULL, share);
        const double other_ns =
            (double)histogram_quantile(taken, share) - late_ns;
        /* The rest may be 0; the result is at most SHARE_MOST. */
        const double least_ns = late_ns / SHARE_MOST;
        const double part =
            late_ns / (other_ns > least_ns ? other_ns : least_ns);
        if (part > TOLD_SHARE) {
            len += (size_t)snprintf(text + len, size - len, "%sp%g by %.0f %%",
                                    len > 0 ? ", " : "", share / 1000.0,
                                    part * 100);
        }
    }
    return len > 0;
}

/* Returns true if CPUs were idle for as long as threads waited. Such waits are
 * wake-ups, which any client needs. */
static bool had_idle_cpus(const struct result *result, double waited)
{
    for (size_t i = 0; i < result->thread_count; i++) {
        const struct sharing *sharing = &result->threads[i].sharing;
        if (sharing->cpu_count == 0 ||
            sharing->idle < waited * (double)sharing->thread_count) {
            return false;
        }
    }
    return result->thread_count > 0;
}

double lateness_lost_share(const struct result *result, double waited)
{
    const double late_ns = histogram_mean(&result->times.reading);
    const double whole_ns = histogram_mean(&result->times.service);

    if (had_idle_cpus(result, waited)) {
        return 0;
    }
    if (result->times.reading.count < LATENESS_SAMPLES) {
        return waited > WAITED_MOST ? waited : 0;
    }
    return late_ns < waited * whole_ns ? late_ns / whole_ns : waited;
}
