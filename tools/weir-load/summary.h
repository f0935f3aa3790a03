/*
 * The figures of a run that scripts read, under names that stay: one rate, one
 * row of latencies in milliseconds, the errors and the verdict, whatever the
 * load model was.
 *
 * Latencies are response times where there are such, in a closed loop service
 * times. A percentile that too few requests support is not known.
 */
#ifndef WEIR_LOAD_SUMMARY_H
#define WEIR_LOAD_SUMMARY_H

#include "tools/load/histogram.h"

#include <jansson.h>

struct summary {
    const char *verdict;
    /* Answers a second. */
    double rate;
    /* Requests that were sent, and failures that concerned none of them. */
    uint64_t attempts;
    /* Those of them that failed or were not answered in time. */
    uint64_t errors;
    /* Borrowed. */
    const struct histogram *latency;
};

/* A latency of a summary. */
struct summary_figure {
    const char *name; /* NULL: the end of the figures */
    uint32_t share;   /* as histogram.h has it; HISTOGRAM_WHOLE: the greatest,
                       * 0: the mean */
};

/* From the mean to the greatest. */
extern const struct summary_figure summary_figures[];

/* False if the figure is not known. */
bool summary_find(const struct summary *summary,
                  const struct summary_figure *figure, double *ret_ns);

/* The errors among the attempts, from 0 to 1; false without an attempt. */
bool summary_find_error_share(const struct summary *summary, double *ret);

/* As results have it, or NULL without memory. */
json_t *summary_json(const struct summary *summary);

#endif
