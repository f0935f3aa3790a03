/*
 * A percentile that too few values support is not reported, and not judged.
 * The mean and the greatest value always are, so that a client that stood still
 * is seen in a run of any length.
 */
#include "lateness.h"

#include <stdio.h>

/* The limit of lateness (--lateness-limit) holds up to p99. What is rarer may
 * be later before it is held against the run: ten times at p99.9, and a hundred
 * times, or this, at the greatest value, which is a single event. */
#define COMMON_SHARE   99000U
#define GREATEST_TIMES 100U
#define GREATEST_NS    UINT64_C(100000000)

/* The larger of the time and of the share of what is reported. */
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
    return result->response.count > 0 ? &result->response : &result->service;
}

/* A percentile that the report has, if there are values enough for it. */
static void look_at_quantile(const struct result *result,
                             const struct histogram *late, uint32_t share,
                             struct lateness_figure *worst)
{
    const uint32_t beyond = HISTOGRAM_WHOLE - share;
    const double times =
        share <= COMMON_SHARE
            ? 1
            : (double)(HISTOGRAM_WHOLE - COMMON_SHARE) / (double)beyond;
    const struct histogram *taken = lateness_times(result);
    struct lateness_figure figure = {
        .response_ns = (double)histogram_quantile(taken, share),
        .late_ns = (double)histogram_quantile(late, share),
    };

    if (!histogram_can_tell(taken, share) || !histogram_can_tell(late, share)) {
        return;
    }
    snprintf(figure.name, sizeof(figure.name), "p%g", share / 1000.0);
    figure.limit_ns = find_limit(result, figure.response_ns, times);
    keep_worse(worst, &figure);
}

struct lateness_figure lateness_find_worst(const struct result *result,
                                           const struct histogram *late)
{
    const struct run_options *options = result->options;
    const struct histogram *response = lateness_times(result);
    struct lateness_figure worst = {.name = ""};
    struct lateness_figure mean = {.name = "mean",
                                   .response_ns = histogram_mean(response),
                                   .late_ns = histogram_mean(late)};
    struct lateness_figure most = {.name = "max",
                                   .response_ns = (double)response->max,
                                   .late_ns = (double)late->max};

    if (response->count == 0 || late->count == 0) {
        return worst;
    }
    for (size_t i = 0; i < options->column_count; i++) {
        look_at_quantile(result, late, options->columns[i], &worst);
    }
    for (size_t i = 0; i < options->slo.count; i++) {
        const struct slo_term *term = &options->slo.terms[i];
        if (term->figure == SLO_QUANTILE && term->times == SLO_RESPONSE &&
            term->kind[0] == '\0') {
            look_at_quantile(result, late, term->share, &worst);
        }
    }
    mean.limit_ns = find_limit(result, mean.response_ns, 1);
    keep_worse(&worst, &mean);
    most.limit_ns = find_limit(result, most.response_ns, GREATEST_TIMES);
    if (most.limit_ns < (double)GREATEST_NS) {
        most.limit_ns = (double)GREATEST_NS;
    }
    keep_worse(&worst, &most);
    return worst;
}
