/*
 * Prints a line to the terminal at every interval, for a person who watches.
 * A header is printed above the lines.
 * The report has the same values, but only as JSON.
 */
#ifndef WEIR_LOAD_LIVE_H
#define WEIR_LOAD_LIVE_H

#include "tools/weir-load/result/result.h"

/* Prints a row that ends with a small histogram of its latencies. A header is
 * printed before the first row and before every twentieth. */
void live_print(const struct interval *row, const struct histogram *h,
                uint64_t number);

#endif
