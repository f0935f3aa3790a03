/*
 * Computes how much of the measured latencies is the client's lateness.
 * Percentiles of too few values are not evaluated. The mean and the maximum
 * always are, so that a stopped client is noticed in a run of any length.
 */
#include "result.h"

#include <stdio.h>

/* --lateness-limit applies up to p99. Rarer values may be later: at p99.9 ten
 * times as late, and at the maximum, which is one event, a hundred times or
 * GREATEST_NS. */
#define COMMON_SHARE   99000U
#define GREATEST_TIMES 100U
#define GREATEST_NS    UINT64_C(100000000)

/* Smallest number of samples that are used. */
#define SAMPLES_LEAST 100U

/* With fewer samples: largest share of time that the client may wait for a CPU
 * in a closed loop. */
#define WAITED_MOST 0.20

/* Only larger shares are reported. */
#define TOLD_SHARE 0.05
/* Larger shares are reported as this one. */
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

static uint64_t smaller_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct lateness {
    /* The values of a lateness or, if `without` is set, sampled latencies that
     * include it. */
    const struct histogram *times;
    /* The same sampled latencies without the lateness, or NULL. */
    const struct histogram *without;
    uint64_t max_ns;
};

static struct lateness find_sampled(const struct result *result)
{
    return (struct lateness){.times = &result->times.sampled,
                             .without = &result->times.prompt,
                             .max_ns = result->times.reading.max};
}

/* Returns how much of a percentile is lateness: the difference between the
 * percentiles with and without it. Both are limited to the percentile of all
 * latencies, because samples may have met a rare lateness by chance. */
static double late_at(const struct result *result, const struct lateness *late,
                      uint32_t share)
{
    const uint64_t taken_ns =
        histogram_quantile(record_times(&result->times), share);
    const uint64_t with_ns = histogram_quantile(late->times, share);
    const uint64_t rest_ns =
        late->without ? histogram_quantile(late->without, share) : 0;

    return (double)(smaller_of(with_ns, taken_ns) -
                    smaller_of(rest_ns, taken_ns));
}

/* Compares a percentile, if it has enough values. */
static void look_at_quantile(const struct result *result,
                             const struct lateness *late, uint32_t share,
                             struct lateness_figure *worst)
{
    const uint32_t beyond = HISTOGRAM_WHOLE - share;
    const double times =
        share <= COMMON_SHARE
            ? 1
            : (double)(HISTOGRAM_WHOLE - COMMON_SHARE) / (double)beyond;
    const struct histogram *taken = record_times(&result->times);

    if (!histogram_can_tell(taken, share) ||
        !histogram_can_tell(late->times, share)) {
        return;
    }
    struct lateness_figure figure = {
        .response_ns = (double)histogram_quantile(taken, share),
        .late_ns = late_at(result, late, share),
    };
    snprintf(figure.name, sizeof(figure.name), "p%g", share / 1000.0);
    figure.limit_ns = find_limit(result, figure.response_ns, times);
    keep_worse(worst, &figure);
}

/* Compares all figures, and keeps the worst one. */
static void look_at_figures(const struct result *result,
                            const struct lateness *late,
                            struct lateness_figure *worst)
{
    const struct run_options *options = result->options;
    const struct histogram *taken = record_times(&result->times);
    const double taken_ns = histogram_mean(taken);
    const double with_ns = histogram_mean(late->times);
    const double rest_ns = late->without ? histogram_mean(late->without) : 0;
    struct lateness_figure mean = {
        .name = "mean",
        .response_ns = taken_ns,
        .late_ns = (with_ns < taken_ns ? with_ns : taken_ns) -
                   (rest_ns < taken_ns ? rest_ns : taken_ns),
    };
    struct lateness_figure most = {.name = "max",
                                   .response_ns = (double)taken->max,
                                   .late_ns = (double)late->max_ns};

    if (taken->count == 0 || late->times->count == 0) {
        return;
    }
    for (size_t i = 0; i < options->column_count; i++) {
        look_at_quantile(result, late, options->columns[i], worst);
    }
    for (size_t i = 0; i < options->slo.count; i++) {
        const struct slo_term *term = &options->slo.terms[i];
        if (term->figure == SLO_QUANTILE && term->times == SLO_RESPONSE &&
            term->kind[0] == '\0') {
            look_at_quantile(result, late, term->share, worst);
        }
    }
    mean.limit_ns = find_limit(result, mean.response_ns, 1);
    keep_worse(worst, &mean);
    most.limit_ns = find_limit(result, most.response_ns, GREATEST_TIMES);
    if (most.limit_ns < (double)GREATEST_NS) {
        most.limit_ns = (double)GREATEST_NS;
    }
    keep_worse(worst, &most);
}

struct lateness_figure lateness_of_sends(const struct result *result,
                                         const struct histogram *late)
{
    const struct lateness sends = {.times = late, .max_ns = late->max};
    struct lateness_figure worst = {.name = ""};

    look_at_figures(result, &sends, &worst);
    return worst;
}

struct lateness_figure lateness_of_client(const struct result *result)
{
    const struct lateness sampled = find_sampled(result);
    struct lateness_figure worst =
        lateness_of_sends(result, &result->times.own_lateness);

    if (result->times.sampled.count >= SAMPLES_LEAST) {
        look_at_figures(result, &sampled, &worst);
    }
    return worst;
}

bool lateness_write_shares(const struct result *result, char *text, size_t size)
{
    const struct run_options *options = result->options;
    const struct histogram *taken = record_times(&result->times);
    const struct lateness late = find_sampled(result);
    size_t len = 0;

    if (result->times.sampled.count < SAMPLES_LEAST) {
        return false;
    }
    for (size_t i = 0; i < options->column_count && len < size; i++) {
        const uint32_t share = options->columns[i];
        if (!histogram_can_tell(taken, share) ||
            !histogram_can_tell(late.times, share)) {
            continue;
        }
        const double late_ns = late_at(result, &late, share);
        const double other_ns =
            (double)histogram_quantile(taken, share) - late_ns;
        /* The minimum of other_ns keeps `part` at most SHARE_MOST. */
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
    if (result->times.reading.count < SAMPLES_LEAST) {
        return waited > WAITED_MOST ? waited : 0;
    }
    return late_ns < waited * whole_ns ? late_ns / whole_ns : waited;
}
