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

/* As results have it, or NULL without memory. */
json_t *summary_json(const struct summary *summary);

#endif
