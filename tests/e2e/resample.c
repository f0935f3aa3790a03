/*
 * How often a comparison of recorded pairs ends with each verdict: of the pairs
 * on standard input, a line "A B" for each, so many are drawn by lot as a
 * comparison has, 1,000 times, and judged as weir-load ab judges them.
 *
 * Prints "no difference", "better", "worse" and "cannot tell" with their
 * counts.
 *
 * Usage: resample DRAWN MARGIN SEED <PAIRS
 */
#include "tools/load/payload.h"
#include "tools/weir-load/statistics.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define TRIALS 1000

static double recorded[2][STATISTICS_RUNS_MAX];
static double drawn[2][STATISTICS_RUNS_MAX];

static size_t read_pairs(void)
{
    size_t count = 0;

    while (count < STATISTICS_RUNS_MAX &&
           scanf("%lf %lf", &recorded[0][count], &recorded[1][count]) == 2) {
        count++;
    }
    return count;
}

/* Each pair at most once; the drawn ones move to the front. */
static void draw(size_t count, size_t wanted, uint64_t seed, uint64_t trial)
{
    for (size_t i = 0; i < wanted; i++) {
        const uint64_t lot =
            payload_mix(seed ^ payload_mix(trial * STATISTICS_RUNS_MAX + i));
        const size_t other = i + (size_t)(lot % (count - i));
        for (size_t side = 0; side < 2; side++) {
            const double value = recorded[side][other];
            recorded[side][other] = recorded[side][i];
            recorded[side][i] = value;
            drawn[side][i] = value;
        }
    }
}

int main(int argc, char **argv)
{
    unsigned counts[STATISTICS_UNDERPOWERED + 1] = {0};
    struct statistics_change change;

    if (argc != 4) {
        return 2;
    }
    const size_t wanted = strtoul(argv[1], NULL, 10);
    const double margin = strtod(argv[2], NULL);
    const uint64_t seed = strtoull(argv[3], NULL, 10);
    const size_t count = read_pairs();
    if (wanted == 0 || wanted > count) {
        fprintf(stderr, "resample: %zu pairs, of which %zu are to be drawn\n",
                count, wanted);
        return 2;
    }
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        draw(count, wanted, seed, trial);
        if (statistics_compare_pairs(drawn[0], drawn[1], wanted,
                                     STATISTICS_LEVEL, &change) < 0) {
            return 1;
        }
        counts[statistics_judge(&change, margin, false)]++;
    }
    for (int i = 0; i <= STATISTICS_UNDERPOWERED; i++) {
        printf("%s: %u\n", statistics_word((enum statistics_verdict)i),
               counts[i]);
    }
    return 0;
}
