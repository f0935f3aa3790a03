/*
 * A log-linear histogram of nanoseconds, as HdrHistogram lays it out: 1024
 * steps for each power of two, so that every value is off by less than 0.1 %
 * and recording is a few instructions without a branch on the value's size.
 *
 * Values above the last bucket (about 73 minutes) are counted there and keep
 * their true value as the maximum.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 10
#define HISTOGRAM_POWERS    32
#define HISTOGRAM_SIZE      ((HISTOGRAM_POWERS + 1) << HISTOGRAM_STEP_BITS)

struct histogram {
    uint64_t counts[HISTOGRAM_SIZE];
    uint64_t count;
    uint64_t sum;
    uint64_t max;
};

void histogram_record(struct histogram *h, uint64_t value);

/* The value below which this share (0 to 1) of all values lies, or 0. */
uint64_t histogram_quantile(const struct histogram *h, double share);

#endif
