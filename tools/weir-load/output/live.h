/*
 * The line that a run prints to a terminal at every interval, and the header
 * above it. It is for the person who waits; the report has the same rows only
 * as JSON.
 */
#ifndef WEIR_LOAD_LIVE_H
#define WEIR_LOAD_LIVE_H

#include "tools/weir-load/result/result.h"

/* Print a row, with a header before the first and every twentieth; at its end
 * stands how its latencies are distributed. */
void live_print(const struct interval *row, const struct histogram *h,
                uint64_t number);

#endif
