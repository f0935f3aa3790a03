/*
 * The figures of a run for scripts, with stable names: one rate, one row of
 * latencies in milliseconds, the errors and the verdict, for all load models.
 *
 * Latencies are response times, or service times in a closed loop. A percentile
 * of too few requests is not known.
 */
#ifndef WEIR_LOAD_SUMMARY_H
#define WEIR_LOAD_SUMMARY_H

#include "tools/load/histogram.h"

#include <jansson.h>

struct summary {
    const char *verdict;
    /* Answers per second. */
    double rate;
    /* Sent requests, and failures without a request. */
    uint64_t attempts;
    /* Attempts that failed or timed out. */
    uint64_t errors;
    const struct histogram *latency;
};

json_t *summary_json(const struct summary *summary);

#endif
