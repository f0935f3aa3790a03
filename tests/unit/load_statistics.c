/*
 * Comparisons of runs: the intervals against published tables of the rank
 * tests, and the verdicts over runs that are made up, whose truth is known:
 * on a machine whose speed wanders by a factor of three a server is compared
 * with itself and with one that is 10 % slower.
 */
#include "tools/weir-load/statistics.c"

#include "tests/unit/random.h"

#define PAIRS_COUNT  20
#define TRIALS_COUNT 400
#define MARGIN       0.05

static double a[STATISTICS_RUNS_MAX];
static double b[STATISTICS_RUNS_MAX];

/* Two-sided critical values at 5 %: sums up to these are significant. */
UNIT(load_statistics, tails_are_those_of_the_tables)
{
    static const struct {
        size_t count;
        size_t critical;
    } signed_table[] = {{6, 0}, {8, 3}, {10, 8}, {15, 25}, {20, 52}, {50, 434}};
    static const struct {
        size_t n;
        size_t m;
        size_t critical;
    } rank_table[] = {{4, 4, 0},  {4, 5, 1},    {5, 5, 2},    {3, 10, 3},
                      {8, 8, 13}, {10, 10, 23}, {20, 20, 127}};
    size_t tail = 0;

    for (size_t i = 0; i < sizeof(signed_table) / sizeof(signed_table[0]);
         i++) {
        expect_eq(
            find_signed_tail(signed_table[i].count, STATISTICS_LEVEL, &tail),
            0);
        expect_eq(tail, signed_table[i].critical + 1, "%zu pairs",
                  signed_table[i].count);
    }
    for (size_t i = 0; i < sizeof(rank_table) / sizeof(rank_table[0]); i++) {
        expect_eq(find_rank_tail(rank_table[i].n, rank_table[i].m,
                                 STATISTICS_LEVEL, &tail),
                  0);
        expect_eq(tail, rank_table[i].critical + 1, "%zu and %zu runs",
                  rank_table[i].n, rank_table[i].m);
    }
}

UNIT(load_statistics, few_runs_have_no_interval)
{
    struct statistics_change change;
    const double some[] = {1, 1, 1, 1, 1, 1};

    expect_eq(
        statistics_compare_pairs(some, some, 5, STATISTICS_LEVEL, &change), 0);
    cr_assert_not(change.has_interval);
    expect_eq(statistics_judge(&change, MARGIN, true), STATISTICS_UNDERPOWERED);
    expect_eq(
        statistics_compare_pairs(some, some, 6, STATISTICS_LEVEL, &change), 0);
    cr_assert(change.has_interval);
    expect_eq(statistics_compare(some, 3, some, 3, STATISTICS_LEVEL, &change),
              0);
    cr_assert_not(change.has_interval);
    expect_eq(statistics_compare(some, 4, some, 4, STATISTICS_LEVEL, &change),
              0);
    cr_assert(change.has_interval);
    expect_eq(statistics_judge(&change, MARGIN, true), STATISTICS_SAME);
}

UNIT(load_statistics, a_constant_ratio_is_found_exactly)
{
    struct statistics_change change;

    for (int i = 0; i < 10; i++) {
        a[i] = 100 << i;
        b[i] = 1.25 * a[i];
    }
    expect_eq(statistics_compare_pairs(a, b, 10, STATISTICS_LEVEL, &change), 0);
    cr_assert_float_eq(change.change, 0.25, 1e-9);
    cr_assert_float_eq(change.low, 0.25, 1e-9);
    cr_assert_float_eq(change.high, 0.25, 1e-9);
    expect_eq(statistics_judge(&change, MARGIN, true), STATISTICS_BETTER);
    expect_eq(statistics_judge(&change, MARGIN, false), STATISTICS_WORSE);
    expect_eq(statistics_compare_pairs(b, a, 10, STATISTICS_LEVEL, &change), 0);
    cr_assert_float_eq(change.change, -0.2, 1e-9);
    expect_eq(statistics_judge(&change, MARGIN, true), STATISTICS_WORSE);
}

UNIT(load_statistics, each_run_of_one_side_is_compared_with_each_of_the_other)
{
    const double one[] = {1, 1, 1, 1};
    const double some[] = {1, 2, 3, 4};
    struct statistics_change change;

    expect_eq(statistics_compare(one, 4, some, 4, STATISTICS_LEVEL, &change),
              0);
    cr_assert_float_eq(change.change, 1.5, 1e-9);
    cr_assert_float_eq(change.low, 0, 1e-9);
    cr_assert_float_eq(change.high, 3, 1e-9);
    expect_eq(statistics_compare(some, 4, one, 4, STATISTICS_LEVEL, &change),
              0);
    cr_assert_float_eq(change.change, (1.0 / 2 + 1.0 / 3) / 2 - 1, 1e-9);
    expect_eq(statistics_judge(&change, MARGIN, true), STATISTICS_UNDERPOWERED);
}

UNIT(load_statistics, numbers_are_ordered)
{
    const double low = -1;
    const double high = 2;

    expect_eq(compare_doubles(&low, &high), -1);
    expect_eq(compare_doubles(&high, &low), 1);
    expect_eq(compare_doubles(&low, &low), 0);
}

UNIT(load_statistics, verdicts_follow_interval_and_margin)
{
    static const struct {
        struct statistics_change change;
        enum statistics_verdict verdict;
    } table[] = {
        {{0.01, -0.03, 0.04, true}, STATISTICS_SAME},
        {{0.03, 0.01, 0.05, true}, STATISTICS_SAME},
        {{0.01, -0.03, 0.06, true}, STATISTICS_UNDERPOWERED},
        {{0.04, 0.01, 0.07, true}, STATISTICS_UNDERPOWERED},
        {{-0.01, -MARGIN, 0.03, true}, STATISTICS_SAME},
        {{MARGIN, 0.01, 0.07, true}, STATISTICS_UNDERPOWERED},
        {{-MARGIN, -0.07, -0.01, true}, STATISTICS_UNDERPOWERED},
        {{0.10, 0, 0.20, true}, STATISTICS_UNDERPOWERED},
        {{-0.10, -0.20, 0, true}, STATISTICS_UNDERPOWERED},
        {{0.10, -0.01, 0.20, true}, STATISTICS_UNDERPOWERED},
        {{0.10, 0.01, 0.20, true}, STATISTICS_WORSE},
        {{-0.10, -0.20, -0.01, true}, STATISTICS_BETTER},
        {{-0.10, -0.20, 0.01, true}, STATISTICS_UNDERPOWERED},
        {{0.10, 0.08, 0.12, false}, STATISTICS_UNDERPOWERED},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        expect_eq(statistics_judge(&table[i].change, MARGIN, false),
                  table[i].verdict, "row %zu", i);
    }
}

UNIT(load_statistics, more_runs_are_asked_for_as_their_scatter_needs)
{
    const struct statistics_change wide = {0, -0.2, 0.2, true};
    const struct statistics_change narrow = {0, -0.02, 0.02, true};

    expect_eq(statistics_runs_needed(&wide, 10, 0.1), 41);
    expect_eq(statistics_runs_needed(&narrow, 10, 0.1), 10);
    expect_eq(statistics_runs_needed(&wide, 10, 0.2), 10, "it is no wider");
    expect_eq(statistics_runs_needed(&wide, 10, 0), 10, "none is enough");
    expect_eq(statistics_runs_needed(&wide, 10, 1e-6), 1000000);
}

/* From -1 to 1, most often near 0. */
static double next_noise(struct unit_random *random)
{
    double sum = 0;

    for (int i = 0; i < 3; i++) {
        sum += (double)(unit_random_next(random) >> 11) /
               (double)(UINT64_C(1) << 53);
    }
    return sum / 1.5 - 1;
}

/* Pairs of latencies on a machine whose speed is another one for each pair, by
 * a factor of up to three; a run scatters by some percent about it. */
static void make_pairs(struct unit_random *random, double slower)
{
    for (int i = 0; i < PAIRS_COUNT; i++) {
        double speed = 2 + next_noise(random);
        a[i] = speed * (1 + 0.08 * next_noise(random));
        b[i] = speed * (1 + 0.08 * next_noise(random)) * slower;
        if (next_noise(random) > 0.6) {
            a[i] *= 1.5; /* somebody else's work met one of the two */
        }
        if (next_noise(random) > 0.6) {
            b[i] *= 1.5;
        }
    }
}

/* In how many of all trials the verdict is this one. The sequence is the same
 * in each run of the test. */
static unsigned count_verdicts(double slower, bool paired,
                               enum statistics_verdict wanted)
{
    struct unit_random random = {.state = 1};
    struct statistics_change change;
    unsigned found = 0;

    for (int i = 0; i < TRIALS_COUNT; i++) {
        make_pairs(&random, slower);
        int err = paired ? statistics_compare_pairs(a, b, PAIRS_COUNT,
                                                    STATISTICS_LEVEL, &change)
                         : statistics_compare(a, PAIRS_COUNT, b, PAIRS_COUNT,
                                              STATISTICS_LEVEL, &change);
        expect_eq(err, 0);
        found += statistics_judge(&change, MARGIN, false) == wanted;
    }
    return found;
}

UNIT(load_statistics, a_server_is_no_different_from_itself)
{
    expect_geq(count_verdicts(1, true, STATISTICS_SAME),
               TRIALS_COUNT * 17 / 20);
    expect_leq(count_verdicts(1, true, STATISTICS_WORSE) +
                   count_verdicts(1, true, STATISTICS_BETTER),
               TRIALS_COUNT / 20);
}

UNIT(load_statistics, ten_percent_are_found_between_neighbours)
{
    expect_geq(count_verdicts(1.1, true, STATISTICS_WORSE),
               TRIALS_COUNT * 19 / 20);
    /* Without neighbours the machine's wandering hides them. */
    expect_leq(count_verdicts(1.1, false, STATISTICS_WORSE), TRIALS_COUNT / 2);
}

UNIT(load_statistics, the_median_of_an_even_number_is_between_two)
{
    double values[] = {4, 1, 3, 2};

    cr_assert_float_eq(statistics_median(values, 4), 2.5, 1e-9);
    cr_assert_float_eq(statistics_median(values, 3), 2, 1e-9);
}
