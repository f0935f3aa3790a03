/*
 * Evaluates a histogram after the run by walking over the buckets.
 *
 * A quantile is the highest value of its bucket, limited by the true maximum,
 * so that a latency is never reported better than it was.
 */
#include "tools/load/histogram.h"

#include <string.h>

#define STEPS (1U << HISTOGRAM_STEP_BITS)

_Static_assert(HISTOGRAM_STEP_BITS + HISTOGRAM_POWERS >= 42,
               "an hour must fit into the histogram");

static uint32_t shift_of(uint32_t index)
{
    return index < 2 * STEPS ? 0 : (index >> HISTOGRAM_STEP_BITS) - 1;
}

/* Newton's method, so that libm need not be linked. */
static double square_root(double value)
{
    double root = value > 1 ? value : 1;

    for (double next = (root + value / root) / 2; next < root;
         next = (root + value / root) / 2) {
        root = next;
    }
    return value > 0 ? root : 0;
}

uint64_t histogram_lowest(uint32_t index)
{
    uint32_t shift = shift_of(index);

    return (uint64_t)(index - (shift << HISTOGRAM_STEP_BITS)) << shift;
}

uint64_t histogram_highest(uint32_t index)
{
    return histogram_lowest(index) + (UINT64_C(1) << shift_of(index)) - 1;
}

void histogram_clear(struct histogram *h)
{
    memset(h, 0, sizeof(*h));
    h->min = UINT64_MAX;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    if (from->count == 0) {
        return;
    }
    uint32_t last = histogram_index(from->max);
    for (uint32_t i = histogram_index(from->min); i <= last; i++) {
        h->counts[i] += from->counts[i];
    }
    h->count += from->count;
    h->sum += from->sum;
    h->overflows += from->overflows;
    h->min = from->min < h->min ? from->min : h->min;
    h->max = from->max > h->max ? from->max : h->max;
}

uint64_t histogram_at_rank(const struct histogram *h, uint64_t rank)
{
    uint64_t seen = 0;

    if (h->count == 0) {
        return 0;
    }
    for (uint32_t i = histogram_index(h->min); i < HISTOGRAM_SIZE - 1; i++) {
        seen += h->counts[i];
        if (seen >= rank && seen > 0) {
            uint64_t value = histogram_highest(i);
            return value < h->max ? value : h->max;
        }
    }
    return h->max;
}

uint64_t histogram_quantile(const struct histogram *h, uint32_t share)
{
    __extension__ unsigned __int128 exact =
        (__extension__(unsigned __int128) h->count) * share;
    uint64_t rank = (uint64_t)((exact + HISTOGRAM_WHOLE - 1) / HISTOGRAM_WHOLE);

    return histogram_at_rank(h, rank ? rank : 1);
}

uint64_t histogram_need(uint32_t share)
{
    const uint64_t rest = HISTOGRAM_WHOLE - share;

    return rest > 0 ? (10 * HISTOGRAM_WHOLE + rest - 1) / rest : UINT64_MAX;
}

bool histogram_can_tell(const struct histogram *h, uint32_t share)
{
    return h->count >= histogram_need(share);
}

void histogram_interval(const struct histogram *h, uint32_t share,
                        uint64_t *ret_low, uint64_t *ret_high)
{
    double n = (double)h->count;
    double p = (double)share / HISTOGRAM_WHOLE;
    double spread = 1.96 * square_root(n * p * (1 - p));
    double low = n * p - spread;
    /* one rank for rounding, and one because the interval includes its ends */
    double high = n * p + spread + 2;

    *ret_low = histogram_at_rank(h, low < 1 ? 1 : (uint64_t)low);
    *ret_high = histogram_at_rank(h, high > n ? h->count : (uint64_t)high);
}

double histogram_mean(const struct histogram *h)
{
    return h->count ? (double)h->sum / (double)h->count : 0;
}

double histogram_deviation(const struct histogram *h)
{
    double mean = histogram_mean(h);
    double squares = 0;

    if (h->count == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < HISTOGRAM_SIZE; i++) {
        if (h->counts[i] == 0) {
            continue;
        }
        double middle =
            ((double)histogram_lowest(i) + (double)histogram_highest(i)) / 2;
        squares += (middle - mean) * (middle - mean) * (double)h->counts[i];
    }
    return square_root(squares / (double)h->count);
}
