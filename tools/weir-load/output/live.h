/*
 * Prints a line to the terminal at every interval, with a header above it,
 * for a person who watches. The report has the same rows, but only as
 * JSON.
 */
#ifndef WEIR_LOAD_LIVE_H
#define WEIR_LOAD_LIVE_H

#include "tools/weir-load/result/result.h"

/* Prints a row, with a header before the first and every twentieth. A small
 * histogram of its latencies ends it. */
void live_print(const struct interval *row, const struct histogram *h,
                uint64_t number);

#endif
