/*
 * The test whether a server has become slower, on made-up intervals: few
 * responses, many, a stall, a slow start, and intervals that do not match the
 * parts.
 *
 * How often a steady server is called slower by chance is counted.
 */
#include "tools/weir-load/result/slowing.c"

#include "tests/unit/random.h"

#define SECOND UINT64_C(1000000000)

enum { ROWS_MAX = 40, STEADY_RUNS = 4000, SLOWER_RUNS = 200 };

static struct result_row rows[ROWS_MAX];

/* Judges intervals of a second with these numbers of responses, and two
 * requests in flight throughout. */
static bool judge(size_t count, const uint64_t answers[])
{
    for (size_t i = 0; i < count; i++) {
        rows[i].counts = (struct interval){.begin_ns = i * SECOND,
                                           .end_ns = (i + 1) * SECOND,
                                           .ok = answers[i],
                                           .in_flight = 2};
    }
    return slowing_is_shown(rows, count, count * SECOND);
}

UNIT(load_slowing, every_later_part_takes_longer_than_every_earlier_one)
{
    const uint64_t step[] = {90, 91, 92, 93, 94, 70, 71, 72, 73, 74};
    const uint64_t slope[] = {99, 96, 93, 90, 87, 84, 81, 78, 75, 72};
    const uint64_t late[] = {90, 91, 92, 93, 94, 92, 71, 72, 73, 74};
    const uint64_t same[] = {90, 90, 90, 90, 90, 90, 71, 72, 73, 74};
    const uint64_t faster[] = {70, 70, 70, 70, 70, 90, 90, 90, 90, 90};

    cr_assert(judge(10, step));
    cr_assert(judge(10, slope));
    cr_assert_not(judge(10, late));
    cr_assert_not(judge(10, same));
    cr_assert_not(judge(10, faster));
}

UNIT(load_slowing, a_difference_below_a_tenth_matters_to_nobody)
{
    const uint64_t little[] = {1100, 1100, 1100, 1100, 1100,
                               1000, 1000, 1000, 1000, 1000};
    const uint64_t enough[] = {1101, 1100, 1100, 1100, 1100,
                               1000, 1000, 1000, 1000, 1000};

    cr_assert_not(judge(10, little));
    cr_assert(judge(10, enough));
}

UNIT(load_slowing, six_answers_that_come_at_equal_gaps_show_nothing)
{
    for (uint64_t first = 0; first < 10; first++) {
        uint64_t answers[10] = {0};
        for (uint64_t i = 0; i < 6; i++) {
            answers[(first + i * 10 / 6) % 10]++;
        }
        cr_assert_not(judge(10, answers), "from part %d on", (int)first);
    }
}

UNIT(load_slowing, few_answers_show_it_where_the_server_ends_to_answer)
{
    const uint64_t ended[] = {1, 1, 1, 1, 1, 0, 0, 0, 0, 0};
    const uint64_t unknown[] = {1, 1, 5, 0, 1, 0, 0, 0, 0, 0};
    const uint64_t none[10] = {0};

    cr_assert(judge(10, ended));
    cr_assert_not(judge(10, unknown), "a part without an answer has no time");
    cr_assert_not(judge(10, none));
}

UNIT(load_slowing, a_server_that_stood_still_has_not_slowed)
{
    for (size_t begin = 0; begin < 10; begin++) {
        for (size_t len = 1; len <= 4; len++) {
            uint64_t answers[10];
            for (size_t i = 0; i < 10; i++) {
                const bool stands = i >= begin && i < begin + len;
                answers[i] = stands ? 0 : 1000 + i % 2;
            }
            cr_assert_not(judge(10, answers), "%zu parts from %zu on", len,
                          begin);
        }
    }
}

UNIT(load_slowing, a_slow_or_quick_begin_is_no_slowing)
{
    const uint64_t slow[] = {5, 70, 90, 90, 90, 90, 90, 90, 90, 90};
    const uint64_t quick[] = {500, 300, 90, 90, 90, 90, 90, 90, 90, 90};

    cr_assert_not(judge(10, slow));
    cr_assert_not(judge(10, quick));
}

UNIT(load_slowing, fewer_intervals_than_parts_show_nothing)
{
    uint64_t answers[ROWS_MAX];

    for (size_t count = 0; count < ROWS_MAX; count++) {
        for (size_t i = 0; i < count; i++) {
            answers[i] = i < count / 2 ? 90 : 10;
        }
        cr_assert_eq(judge(count, answers), count >= 10, "%zu", count);
    }
}

/* Timers are late, so intervals end a little late, and the last one may be very
 * short. */
UNIT(load_slowing, intervals_belong_to_the_parts_in_which_their_middles_are)
{
    const uint64_t late_ns = SECOND / 10000;
    const uint64_t steady[] = {90, 90, 90, 90, 90, 90, 90, 90, 90, 90, 0};

    judge(11, steady);
    for (size_t i = 0; i < 11; i++) {
        struct interval *row = &rows[i].counts;
        row->begin_ns += i > 0 ? late_ns * (i % 2) : 0;
        row->end_ns += late_ns * ((i + 1) % 2);
        if (i == 10) {
            row->end_ns = row->begin_ns + late_ns;
        }
        cr_assert_eq(slowing_part_of(row, 10 * SECOND + late_ns, 10),
                     i < 10 ? i : 9);
        cr_assert_eq(slowing_part_of(row, 10 * SECOND + late_ns, 2), i >= 5);
    }
    cr_assert_not(slowing_is_shown(rows, 11, 10 * SECOND + late_ns));
    rows[0].counts.begin_ns = rows[0].counts.end_ns = 0;
    cr_assert_eq(slowing_part_of(&rows[0].counts, 0, 10), 0);
}

UNIT(load_slowing, what_is_under_way_counts_by_how_long_it_was)
{
    const uint64_t answers[] = {90, 90, 90, 90, 90, 90, 90, 90, 90, 90};

    judge(10, answers);
    for (size_t i = 5; i < 10; i++) {
        rows[i].counts.in_flight = 3;
    }
    cr_assert(slowing_is_shown(rows, 10, 10 * SECOND));
    judge(10, answers);
    for (size_t i = 0; i < 10; i++) {
        struct interval *row = &rows[i].counts;
        row->failed = row->ok / 3;
        row->timeout = row->ok / 3;
        row->ok /= 3;
    }
    cr_assert_not(slowing_is_shown(rows, 10, 10 * SECOND));
    for (size_t i = 5; i < 10; i++) {
        rows[i].counts.failed = 0;
        rows[i].counts.timeout = 0;
    }
    cr_assert(slowing_is_shown(rows, 10, 10 * SECOND));
}

/* Returns the responses of a server with random times, about @mean. */
static uint64_t draw(struct unit_random *random, uint64_t mean)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < 2 * mean; i++) {
        count += unit_random_below(random, 2);
    }
    return count;
}

UNIT(load_slowing, chance_makes_a_steady_server_slower_once_in_252_runs)
{
    static const uint64_t means[] = {1, 3, 10, 50};
    struct unit_random random = unit_random_new();
    uint64_t answers[10];
    int shown = 0;

    for (int run = 0; run < STEADY_RUNS; run++) {
        for (size_t i = 0; i < 10; i++) {
            /* A machine whose speed varies from part to part. */
            const uint64_t speed = 1 + unit_random_below(&random, 4);
            answers[i] = draw(&random, speed * means[run % 4]);
        }
        shown += judge(10, answers);
    }
    /* At most 16 are expected; 40 is six standard deviations more. */
    cr_assert_leq(shown, 40);
}

UNIT(load_slowing, a_server_of_half_the_speed_is_seen)
{
    struct unit_random random = unit_random_new();
    uint64_t answers[20];

    for (int run = 0; run < SLOWER_RUNS; run++) {
        for (size_t i = 0; i < 20; i++) {
            answers[i] = draw(&random, i < 10 ? 400 : 200);
        }
        cr_assert(judge(20, answers), "run %d", run);
    }
}
