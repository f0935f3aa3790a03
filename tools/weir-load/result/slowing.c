/*
 * Tests whether a server became slower, with the rank test of Mann and Whitney
 * on ten parts of the window. Only the extreme value of the test is used: every
 * part of the second half must be slower than every part of the first.
 * Latencies are fractions, compared by their cross products, so a part without
 * an answer, whose latency is infinite, needs no special case.
 */
#include "result.h"

enum { PART_COUNT = 10, HALF_COUNT = PART_COUNT / 2 };

/* Smallest factor by which the second half must be slower. */
#define SLOWED_FACTOR 1.1

struct period {
    double answered;
    /* Sum of requests in flight times their duration. */
    double busy;
};

size_t slowing_part_of(const struct interval *row, uint64_t window_ns,
                       size_t part_count)
{
    const double middle_ns = ((double)row->begin_ns + (double)row->end_ns) / 2;
    const double share = middle_ns / (double)(window_ns ? window_ns : 1);

    return share < 1 ? (size_t)(share * (double)part_count) : part_count - 1;
}

static void add(struct period *part, const struct period *more)
{
    part->answered += more->answered;
    part->busy += more->busy;
}

static bool takes_longer(const struct period *a, const struct period *b,
                         double factor)
{
    return b->busy * a->answered > factor * a->busy * b->answered;
}

bool slowing_is_shown(const struct result_row *rows, size_t count,
                      uint64_t window_ns)
{
    struct period parts[PART_COUNT] = {{0}};
    struct period halves[2] = {{0}};

    for (size_t i = 0; i < count; i++) {
        const struct interval *counts = &rows[i].counts;
        const uint64_t time_ns = counts->end_ns - counts->begin_ns;
        const struct period row = {
            .answered = (double)(counts->ok + counts->failed + counts->timeout),
            .busy = (double)counts->in_flight * (double)time_ns,
        };
        const size_t place = slowing_part_of(counts, window_ns, PART_COUNT);
        add(&parts[place], &row);
        add(&halves[place / HALF_COUNT], &row);
    }
    for (size_t i = 0; i < HALF_COUNT; i++) {
        for (size_t j = HALF_COUNT; j < PART_COUNT; j++) {
            if (!takes_longer(&parts[i], &parts[j], 1)) {
                return false;
            }
        }
    }
    return takes_longer(&halves[0], &halves[1], SLOWED_FACTOR);
}
