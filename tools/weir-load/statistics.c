/*
 * Both intervals are between two of a sorted list of ratios, and how far from
 * its ends they stand is the quantile of a rank statistic that has no free
 * parameter: counted exactly, by adding up in how many ways each sum of ranks
 * can come about.
 *
 * The list of pairs holds the geometric mean of each two ratios (and of each
 * with itself), whose order is that of their products; the other holds each
 * run of B over each run of A. The estimates are the lists' medians (Hodges
 * and Lehmann).
 */
#include "statistics.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

/* Newton's method, which spares the program a library for one function. */
static double square_root(double value)
{
    double root = value > 1 ? value : 1;

    for (double next = (root + value / root) / 2; next < root;
         next = (root + value / root) / 2) {
        root = next;
    }
    return value > 0 ? root : 0;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* How many of the lowest sums lie outside of the interval at one end, given the
 * probability of each sum; 0: there is no interval. */
static size_t find_tail(const double *shares, size_t sum_count, double level)
{
    double below = 0;

    for (size_t sum = 0; sum < sum_count; sum++) {
        below += shares[sum];
        if (below > (1 - level) / 2) {
            return sum;
        }
    }
    return sum_count;
}

/* Sums of ranks from 1 to count, each of which is added or not. */
static int find_signed_tail(size_t count, double level, size_t *ret)
{
    size_t sum_count = count * (count + 1) / 2 + 1;

    double *shares = calloc(sum_count, sizeof(*shares));
    if (!shares) {
        return -ENOMEM;
    }
    shares[0] = 1;
    for (size_t rank = 1; rank <= count; rank++) {
        for (size_t sum = sum_count; sum-- > 0;) {
            double with = sum >= rank ? shares[sum - rank] : 0;
            shares[sum] = (shares[sum] + with) / 2;
        }
    }
    *ret = find_tail(shares, sum_count, level);
    free(shares);
    return 0;
}

/* Pairs of a run of A and a run of B below it, when n runs of A and m of B
 * stand in a random order. */
static int find_rank_tail(size_t n, size_t m, double level, size_t *ret)
{
    size_t sum_count = n * m + 1;

    /* shares[j * sum_count + s]: of j runs of B behind some of A. */
    double *shares = calloc((m + 1) * sum_count, sizeof(*shares));
    if (!shares) {
        return -ENOMEM;
    }
    for (size_t j = 0; j <= m; j++) {
        shares[j * sum_count] = 1;
    }
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            /* The last of i + j is one of A with the probability i/(i+j); it
             * is above j of B. */
            double last_is_a = (double)i / (double)(i + j);
            double *now = shares + j * sum_count;
            const double *fewer = now - sum_count;
            for (size_t sum = sum_count; sum-- > 0;) {
                double with = sum >= j ? now[sum - j] : 0;
                now[sum] = last_is_a * with + (1 - last_is_a) * fewer[sum];
            }
        }
    }
    *ret = find_tail(shares + m * sum_count, sum_count, level);
    free(shares);
    return 0;
}

double statistics_median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_doubles);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* From a list of ratios, of which tail at each end lie outside. */
static void read_interval(double *ratios, size_t count, size_t tail,
                          struct statistics_change *ret)
{
    double middle = statistics_median(ratios, count);

    *ret = (struct statistics_change){
        .change = middle - 1,
        .has_interval = tail > 0,
    };
    size_t outside = tail > 0 ? tail - 1 : 0;
    ret->low = ratios[outside] - 1;
    ret->high = ratios[count - 1 - outside] - 1;
}

int statistics_compare_pairs(const double *a, const double *b, size_t count,
                             double level, struct statistics_change *ret)
{
    size_t tail = 0;
    size_t used = 0;

    double *means = calloc(count * (count + 1) / 2, sizeof(*means));
    int err = means ? find_signed_tail(count, level, &tail) : -ENOMEM;
    if (err == 0) {
        for (size_t i = 0; i < count; i++) {
            for (size_t j = i; j < count; j++) {
                means[used++] = square_root((b[i] / a[i]) * (b[j] / a[j]));
            }
        }
        read_interval(means, used, tail, ret);
    }
    free(means);
    return err;
}

int statistics_compare(const double *a, size_t a_count, const double *b,
                       size_t b_count, double level,
                       struct statistics_change *ret)
{
    size_t tail = 0;
    size_t used = 0;

    double *ratios = calloc(a_count * b_count, sizeof(*ratios));
    int err = ratios ? find_rank_tail(a_count, b_count, level, &tail) : -ENOMEM;
    if (err == 0) {
        for (size_t i = 0; i < a_count; i++) {
            for (size_t j = 0; j < b_count; j++) {
                ratios[used++] = b[j] / a[i];
            }
        }
        read_interval(ratios, used, tail, ret);
    }
    free(ratios);
    return err;
}

enum statistics_verdict statistics_judge(const struct statistics_change *change,
                                         double margin, bool is_better_higher)
{
    bool is_higher = change->change > 0;

    if (!change->has_interval) {
        return STATISTICS_UNDERPOWERED;
    }
    if (change->low >= -margin && change->high <= margin) {
        return STATISTICS_SAME;
    }
    if ((change->low > 0 && change->change > margin) ||
        (change->high < 0 && change->change < -margin)) {
        return is_higher == is_better_higher ? STATISTICS_BETTER
                                             : STATISTICS_WORSE;
    }
    return STATISTICS_UNDERPOWERED;
}

const char *statistics_word(enum statistics_verdict verdict)
{
    switch (verdict) {
    case STATISTICS_SAME:
        return "no difference";
    case STATISTICS_BETTER:
        return "better";
    case STATISTICS_WORSE:
        return "worse";
    default:
        return "cannot tell";
    }
}

size_t statistics_runs_needed(const struct statistics_change *change,
                              size_t count, double margin)
{
    double half = (change->high - change->low) / 2;

    if (half <= margin || margin <= 0) {
        return count;
    }
    /* An interval is narrower by the root of the number of runs. */
    double times = (half / margin) * (half / margin);
    double needed = (double)count * times;
    return needed < 1e6 ? (size_t)needed + 1 : 1000000;
}
