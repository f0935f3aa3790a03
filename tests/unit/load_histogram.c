/*
 * The load generators' histogram compared with a sorted array: three digits
 * over the whole range, ranks, merging, and the refusal of percentiles that too
 * few values support.
 *
 * Random tests print their seed.
 */
#include "tools/load/histogram.c"

#include "tests/unit/random.h"

static struct histogram h;
static struct histogram other;

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Returns a value from 1 ns to about an hour; each magnitude is equally likely.
 */
static uint64_t next_value(struct unit_random *random)
{
    uint64_t bits = unit_random_next(random) % 42;

    return unit_random_next(random) & ((UINT64_C(2) << bits) - 1);
}

UNIT(load_histogram, every_bucket_begins_where_the_last_one_ended)
{
    for (uint32_t i = 0; i + 1 < HISTOGRAM_SIZE; i++) {
        expect_eq(histogram_highest(i) + 1, histogram_lowest(i + 1),
                  "bucket %u", i);
        expect_eq(histogram_index(histogram_lowest(i)), i);
        expect_eq(histogram_index(histogram_highest(i)), i);
    }
}

UNIT(load_histogram, every_value_keeps_three_significant_digits)
{
    struct unit_random random;

    unit_random_seed(&random);
    for (int i = 0; i < 100000; i++) {
        uint64_t value = next_value(&random);
        uint64_t kept = histogram_highest(histogram_index(value));
        expect_geq(kept, value);
        expect_leq((kept - value) * 1000, value, "%llu became %llu",
                   (unsigned long long)value, (unsigned long long)kept);
    }
}

UNIT(load_histogram, quantiles_are_those_of_the_sorted_values)
{
    static uint64_t values[20000];
    static const uint32_t shares[] = {1000, 50000, 90000, 99000, 99900};
    const size_t count = sizeof(values) / sizeof(values[0]);
    struct unit_random random;

    unit_random_seed(&random);
    histogram_clear(&h);
    for (size_t i = 0; i < count; i++) {
        values[i] = next_value(&random);
        histogram_record(&h, values[i]);
    }
    qsort(values, count, sizeof(values[0]), compare);

    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        size_t rank =
            (count * shares[i] + HISTOGRAM_WHOLE - 1) / HISTOGRAM_WHOLE;
        uint64_t exact = values[rank - 1];
        uint64_t found = histogram_quantile(&h, shares[i]);
        expect_geq(found, exact);
        expect_leq((found - exact) * 1000, exact);
    }
    expect_eq(h.min, values[0]);
    expect_eq(h.max, values[count - 1]);
    expect_eq(histogram_quantile(&h, HISTOGRAM_WHOLE), h.max);
}

UNIT(load_histogram, a_report_is_in_the_unit_that_was_recorded)
{
    static const uint32_t shares[] = {50000, 99000, 99900};
    static const uint64_t wanted_us[] = {5000, 9900, 9990};

    histogram_clear(&h);
    for (uint64_t us = 1; us <= 10000; us++) {
        histogram_record(&h, us * 1000);
    }
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        uint64_t found = histogram_quantile(&h, shares[i]);
        expect_geq(found, wanted_us[i] * 1000);
        expect_leq(found, wanted_us[i] * 1001);
    }
    expect_eq(h.max, 10000000);
    cr_assert_float_eq(histogram_mean(&h), 5000500, 0.001);
}

UNIT(load_histogram, a_quantile_is_never_above_the_maximum)
{
    histogram_clear(&h);
    histogram_record(&h, 1000001);

    expect_eq(histogram_quantile(&h, 50000), 1000001);
}

UNIT(load_histogram, the_quantile_of_no_share_is_the_least_value)
{
    histogram_clear(&h);
    histogram_record(&h, 5);
    histogram_record(&h, 1000);

    expect_eq(histogram_quantile(&h, 0), 5);
}

/* A value beyond the range. */
#define EDGE (UINT64_C(1) << 50)

UNIT(load_histogram, merging_loses_nothing)
{
    struct unit_random random;
    static struct histogram whole;

    unit_random_seed(&random);
    histogram_clear(&h);
    histogram_clear(&other);
    histogram_clear(&whole);
    for (int i = 0; i < 5000; i++) {
        uint64_t value = next_value(&random);
        histogram_record(i % 3 ? &h : &other, value);
        histogram_record(&whole, value);
    }
    /* Only the other histogram has the minimum and the maximum. */
    for (uint64_t value = 0; value <= EDGE; value += EDGE) {
        histogram_record(&other, value);
        histogram_record(&whole, value);
    }

    histogram_merge(&h, &other);

    expect_eq(memcmp(&h, &whole, sizeof(h)), 0);
}

UNIT(load_histogram, merging_an_empty_one_changes_nothing)
{
    histogram_clear(&h);
    histogram_clear(&other);
    histogram_record(&h, 5);

    histogram_merge(&h, &other);

    expect_eq(h.count, 1);
    expect_eq(h.min, 5);
    expect_eq(h.max, 5);
}

UNIT(load_histogram, values_beyond_the_range_are_counted_and_said)
{
    histogram_clear(&h);

    histogram_record(&h, UINT64_C(1) << 50);
    histogram_record(&h, (UINT64_C(1) << 42) - 1);

    expect_eq(h.count, 2);
    expect_eq(h.overflows, 1);
    expect_eq(h.max, UINT64_C(1) << 50);
    expect_eq(histogram_quantile(&h, HISTOGRAM_WHOLE), UINT64_C(1) << 50);
}

UNIT(load_histogram, a_percentile_needs_ten_values_beyond_it)
{
    histogram_clear(&h);
    h.count = 999;
    cr_assert_not(histogram_can_tell(&h, 99000));
    h.count = 1000;
    cr_assert(histogram_can_tell(&h, 99000));
    cr_assert_not(histogram_can_tell(&h, 99900));
    h.count = 9999;
    cr_assert_not(histogram_can_tell(&h, 99900));
    h.count = 10000;
    cr_assert(histogram_can_tell(&h, 99900));
    cr_assert_not(histogram_can_tell(&h, HISTOGRAM_WHOLE));
}

UNIT(load_histogram, the_interval_of_a_quantile_holds_it)
{
    uint64_t low = 0;
    uint64_t high = 0;

    histogram_clear(&h);
    for (uint64_t i = 1; i <= 10000; i++) {
        histogram_record(&h, i);
    }
    histogram_interval(&h, 50000, &low, &high);

    /* Ranks 5000 -+ 1.96 * 50, plus the width of a bucket. */
    expect_leq(low, 5000);
    expect_geq(low, 4900);
    expect_geq(high, 5000);
    expect_leq(high, 5110);
}

UNIT(load_histogram, mean_and_deviation_are_near_the_truth)
{
    histogram_clear(&h);
    expect_eq(histogram_mean(&h), 0);
    expect_eq(histogram_deviation(&h), 0);
    for (uint64_t i = 1; i <= 1000; i++) {
        histogram_record(&h, i * 1000);
    }

    cr_assert_float_eq(histogram_mean(&h), 500500, 0.001);
    cr_assert_float_eq(histogram_deviation(&h), 288675, 300);
}

UNIT(load_histogram, an_empty_one_has_no_quantiles)
{
    histogram_clear(&h);

    expect_eq(histogram_quantile(&h, 50000), 0);
    expect_eq(histogram_at_rank(&h, 1), 0);
    cr_assert_not(histogram_can_tell(&h, 50000));
}
