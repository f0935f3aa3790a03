/*
 * Writes HdrHistogram's table of percentiles. Rows get closer towards 100 %:
 * there are five for each halving of the remaining distance. A row has the
 * highest value of its bucket, as in the libraries' own table.
 */
#include "measure.h"

#define TICKS_PER_HALF 5
#define NS_PER_MS      1e6

/* HdrHistogram's buckets are powers of two; its sub-buckets are the linear
 * steps in each. */
#define BUCKETS     (HISTOGRAM_POWERS)
#define SUB_BUCKETS (2U << HISTOGRAM_STEP_BITS)

static double next_level(double level)
{
    double ticks = 2 * TICKS_PER_HALF;

    for (double left = 100 / (100 - level); left >= 2; left /= 2) {
        ticks *= 2;
    }
    return level + 100 / ticks;
}

static void write_row(uint32_t index, double level, uint64_t seen, FILE *out)
{
    double value = (double)histogram_highest(index) / NS_PER_MS;

    fprintf(out, "%12.3f %2.12f %10llu", value, level / 100, LLU(seen));
    if (level < 100) {
        fprintf(out, " %14.2f", 1 / (1 - level / 100));
    }
    fputc('\n', out);
}

void hgrm_write(const struct histogram *h, FILE *out)
{
    uint32_t last = h->count ? histogram_index(h->max) : 0;
    uint64_t seen = 0;
    double level = 0;

    fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
            "1/(1-Percentile)");
    for (uint32_t i = 0; seen < h->count; i++) {
        seen += h->counts[i];
        double reached = 100.0 * (double)seen / (double)h->count;
        while (h->counts[i] > 0 && reached >= level && level < 100) {
            write_row(i, level, seen, out);
            level = next_level(level);
            if (seen == h->count) {
                break;
            }
        }
    }
    if (h->count > 0) {
        write_row(last, 100, h->count, out);
    }
    fprintf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n",
            histogram_mean(h) / NS_PER_MS, histogram_deviation(h) / NS_PER_MS);
    fprintf(out, "#[Max     = %12.3f, Total count    = %12llu]\n",
            (double)(h->count ? histogram_highest(last) : 0) / NS_PER_MS,
            LLU(h->count));
    fprintf(out, "#[Buckets = %12u, SubBuckets     = %12u]\n", BUCKETS,
            SUB_BUCKETS);
}
