/*
 * Is B different from A, given a figure of some runs of each? Intervals by
 * ranks, which are exact for few runs and whatever the distribution is:
 *
 * paired    run i of B was made beside run i of A, in random order: the signed
 *           ranks of their ratios (Wilcoxon). Whatever made both slow drops
 *           out of a ratio. If there is no difference both orders are equally
 *           likely, which is all that is assumed.
 * unpaired  the ranks of all runs (Mann and Whitney), which are taken for
 *           independent of each other.
 *
 * A run is one value here, however many requests it had: its requests are not
 * independent of each other, and the next run is different for reasons that
 * none of them shows.
 *
 * Differences are ratios: 0.1 means that B's figure is 10 % higher.
 */
#ifndef WEIR_LOAD_STATISTICS_H
#define WEIR_LOAD_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>

#define STATISTICS_RUNS_MAX 200U

/* The level of an interval that is looked at once. */
#define STATISTICS_LEVEL 0.95

struct statistics_change {
    /* B over A, minus 1: the estimate and the ends of its interval. */
    double change;
    double low;
    double high;
    /* Runs, or pairs, enough for an interval of this level at all? If not, low
     * and high are the least and the greatest ratio. */
    bool has_interval;
};

enum statistics_verdict {
    STATISTICS_SAME,
    STATISTICS_BETTER,
    STATISTICS_WORSE,
    /* Neither a difference nor its absence can be told from these runs. */
    STATISTICS_UNDERPOWERED,
};

/* All values are above 0; counts are from 1 to STATISTICS_RUNS_MAX, and an
 * interval holds the truth in this share of all cases. 0 or -ENOMEM. */
int statistics_compare_pairs(const double *a, const double *b, size_t count,
                             double level, struct statistics_change *ret);
int statistics_compare(const double *a, size_t a_count, const double *b,
                       size_t b_count, double level,
                       struct statistics_change *ret);

/*
 * Same: the whole interval lies within the margin of 0. Better or worse: the
 * interval does not hold 0, and the estimate is beyond the margin.
 */
enum statistics_verdict statistics_judge(const struct statistics_change *change,
                                         double margin, bool is_better_higher);

/* "no difference", "better", "worse", "cannot tell". */
const char *statistics_word(enum statistics_verdict verdict);

/* How many runs would bring the interval into the margin, if their scatter
 * stays as it is; at least count. */
size_t statistics_runs_needed(const struct statistics_change *change,
                              size_t count, double margin);

/* The middle value; values are put in order. */
double statistics_median(double *values, size_t count);

#endif
