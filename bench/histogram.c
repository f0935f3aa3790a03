/*
 * The histogram's arithmetic: a value's bucket is its highest bits, so the
 * index grows without a gap from exact small values to steps of a thousandth.
 *
 * What it does not do: merge, print or correct for omitted samples; the
 * client has one thread and measures from the intended time instead.
 */
#include "bench/histogram.h"

#define STEPS (1U << HISTOGRAM_STEP_BITS)

static uint32_t index_of(uint64_t value)
{
    uint32_t highest = 63U - (uint32_t)__builtin_clzll(value | 1);
    uint32_t shift;
    uint32_t index;

    if (highest < HISTOGRAM_STEP_BITS) {
        return (uint32_t)value;
    }
    shift = highest - HISTOGRAM_STEP_BITS;
    if (shift >= HISTOGRAM_POWERS) {
        return HISTOGRAM_SIZE - 1;
    }
    index = (uint32_t)(value >> shift) + (shift << HISTOGRAM_STEP_BITS);
    return index;
}

/* The middle of a bucket. */
static uint64_t value_of(uint32_t index)
{
    uint32_t shift;

    if (index < 2 * STEPS) {
        return index;
    }
    shift = (index >> HISTOGRAM_STEP_BITS) - 1;
    return ((uint64_t)(index - (shift << HISTOGRAM_STEP_BITS)) << shift) +
           ((1ULL << shift) >> 1);
}

void histogram_record(struct histogram *h, uint64_t value)
{
    h->counts[index_of(value)]++;
    h->count++;
    h->sum += value;
    h->max = value > h->max ? value : h->max;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
    double exact = share * (double)h->count;
    uint64_t rank = (uint64_t)exact;
    uint64_t seen = 0;

    rank += (double)rank < exact ? 1 : 0;
    for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++) {
        seen += h->counts[i];
        if (seen >= rank && seen > 0) {
            uint64_t value = value_of(i);

            return value < h->max ? value : h->max;
        }
    }
    return 0;
}
