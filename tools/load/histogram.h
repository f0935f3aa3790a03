/*
 * Latencies of weir-load and of the client of bench/: a log-linear histogram of
 * nanoseconds with the index arithmetic of HdrHistogram. Each power of two has
 * 1024 buckets, so every value is kept with three significant digits (an error
 * of less than 0.1 %). The memory does not depend on the number of values.
 *
 * Values above the last bucket (about 73 minutes) are counted in it and also as
 * overflows; the maximum keeps their true value. A quantile is given as an
 * integer share in 1/100000: 99900 is p99.9.
 */
#ifndef WEIR_LOAD_HISTOGRAM_H
#define WEIR_LOAD_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define HISTOGRAM_STEP_BITS 10
#define HISTOGRAM_POWERS    32
#define HISTOGRAM_SIZE      ((HISTOGRAM_POWERS + 1) << HISTOGRAM_STEP_BITS)

#define HISTOGRAM_WHOLE 100000U

struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t min;
    uint64_t max;
    uint64_t overflows;
    uint64_t counts[HISTOGRAM_SIZE];
};

/* Returns the bucket of a value; the last one if the value is too large. */
static inline uint32_t histogram_index(uint64_t value)
{
    uint32_t highest = 63U - (uint32_t)__builtin_clzll(value | 1);

    if (highest < HISTOGRAM_STEP_BITS) {
        return (uint32_t)value;
    }
    uint32_t shift = highest - HISTOGRAM_STEP_BITS;
    if (shift >= HISTOGRAM_POWERS) {
        return HISTOGRAM_SIZE - 1;
    }
    return (uint32_t)(value >> shift) + (shift << HISTOGRAM_STEP_BITS);
}

static inline void histogram_record(struct histogram *h, uint64_t value)
{
    uint32_t index = histogram_index(value);

    h->counts[index]++;
    h->count++;
    h->sum += value;
    h->overflows += value >> (HISTOGRAM_STEP_BITS + HISTOGRAM_POWERS) != 0;
    h->min = value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
}

/* Return the smallest and the largest value of a bucket. */
uint64_t histogram_lowest(uint32_t index);
uint64_t histogram_highest(uint32_t index);

/* Initialises zeroed memory without touching its pages. */
static inline void histogram_begin(struct histogram *h)
{
    h->min = UINT64_MAX;
}

void histogram_clear(struct histogram *h);

void histogram_merge(struct histogram *h, const struct histogram *from);

/* Returns the value with a rank from 1 to count, or 0 if the histogram is
 * empty. */
uint64_t histogram_at_rank(const struct histogram *h, uint64_t rank);

/* Returns the value that this share of all values does not exceed, or 0 if the
 * histogram is empty. */
uint64_t histogram_quantile(const struct histogram *h, uint32_t share);

/* Returns how many values a histogram needs so that ten of them lie beyond the
 * quantile. */
uint64_t histogram_need(uint32_t share);
/* Returns true if at least ten values lie beyond the quantile; with fewer, it
 * is noise. */
bool histogram_can_tell(const struct histogram *h, uint32_t share);

/* Computes a distribution-free 95 % interval for a quantile, by ranks. Assumes
 * that values are independent. */
void histogram_interval(const struct histogram *h, uint32_t share,
                        uint64_t *ret_low, uint64_t *ret_high);

/* Returns the exact mean, computed from the sum, or 0 if the histogram is
 * empty. */
double histogram_mean(const struct histogram *h);

/* Returns the standard deviation, computed from the middles of the buckets, or
 * 0 if the histogram is empty. */
double histogram_deviation(const struct histogram *h);

#endif
