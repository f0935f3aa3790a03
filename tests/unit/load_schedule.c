/*
 * The scheduled times of requests, computed without a running clock.
 *
 * Constant gaps are exact, exponential gaps have the right mean and deviation,
 * threads share a schedule without gaps, and stages end where their integral
 * does. Random tests print their seed and accept it.
 */
#include "tools/weir-load/schedule/schedule.c"

#include "tools/weir-load/schedule/schedule_parse.c"

#include "random.h"

#define MS   UINT64_C(1000000)
#define SEC  UINT64_C(1000000000)
#define LAST UINT64_MAX

static struct schedule_plan make_plan(double rate, uint64_t duration_ns)
{
    return (struct schedule_plan){.stages = {{duration_ns, rate, rate}},
                                  .stage_count = 1};
}

/* Lists the times of a thread's requests, at most @size. */
static size_t list(const struct schedule_plan *plan, uint32_t index,
                   uint32_t count, uint64_t *ret, size_t size)
{
    struct schedule schedule;
    size_t found = 0;

    schedule_init(&schedule, plan, index, count);
    while (found < size && schedule.next_ns != SCHEDULE_OVER) {
        ret[found++] = schedule.next_ns;
        schedule_advance(&schedule);
    }
    return found;
}

UNIT(load_schedule, constant_gaps_do_not_drift)
{
    const struct schedule_plan plan = make_plan(3, LAST);
    struct schedule schedule;

    schedule_init(&schedule, &plan, 0, 1);
    expect_eq(schedule.next_ns, 0);
    for (uint64_t i = 0; i < 3000000; i++) {
        schedule_advance(&schedule);
    }
    expect_eq(schedule.next_ns, 1000000 * SEC);
}

UNIT(load_schedule, a_stage_ends_before_the_request_at_its_end)
{
    const struct schedule_plan plan = make_plan(100, 2 * SEC);
    uint64_t times[300];

    expect_eq(list(&plan, 0, 1, times, 300), 200);
    expect_eq(times[0], 0);
    expect_eq(times[199], 1990 * MS);
    expect_eq(schedule_duration(&plan), 2 * SEC);
}

UNIT(load_schedule, threads_take_turns)
{
    const struct schedule_plan plan = make_plan(1000, SEC / 10);
    bool seen[100] = {false};

    for (uint32_t thread = 0; thread < 3; thread++) {
        uint64_t times[100];
        size_t found = list(&plan, thread, 3, times, 100);
        for (size_t i = 0; i < found; i++) {
            expect_eq(times[i] % MS, 0);
            expect_eq(seen[times[i] / MS], false, "no request twice");
            seen[times[i] / MS] = true;
        }
    }
    for (size_t i = 0; i < 100; i++) {
        expect_eq(seen[i], true, "no request is left out");
    }
}

UNIT(load_schedule, a_slope_has_the_requests_of_its_area)
{
    const struct schedule_plan plan = {
        .stages = {{10 * SEC, 0, 100}, {5 * SEC, 100, 100}, {10 * SEC, 100, 0}},
        .stage_count = 3};
    static uint64_t times[2000];

    size_t found = list(&plan, 0, 1, times, 2000);

    expect_eq(found, 500 + 500 + 500);
    /* After t seconds 5 t^2 are due: number 125 after 5 s. */
    expect_eq(times[125], 5 * SEC);
    expect_eq(times[500], 10 * SEC);
    expect_eq(times[501], 10010 * MS);
    expect_eq(times[1000], 15 * SEC);
    expect_eq(times[1375], 20 * SEC);
    for (size_t i = 1; i < found; i++) {
        expect_eq(times[i] > times[i - 1], true, "in order");
    }
}

UNIT(load_schedule, poisson_gaps_have_their_mean_and_deviation)
{
    struct schedule_plan plan = make_plan(1000, LAST);
    struct schedule schedule;
    struct unit_random random;
    const int count = 200000;
    double sum = 0;
    double squares = 0;
    uint64_t before_ns = 0;

    plan.is_poisson = true;
    plan.seed = unit_random_seed(&random);
    schedule_init(&schedule, &plan, 1, 4);
    for (int i = 0; i < count; i++) {
        double gap = (double)(schedule.next_ns - before_ns) / 1e6;
        sum += gap;
        squares += gap * gap;
        before_ns = schedule.next_ns;
        schedule_advance(&schedule);
    }
    /* A quarter of the rate: gaps of 4 ms with a deviation of 4 ms. The mean of
     * this many has an error of 0.009 ms; six times that never happens. */
    double mean = sum / count;
    expect_eq(mean > 3.94 && mean < 4.06, true, "%f", mean);
    double variance = squares / count - mean * mean;
    expect_eq(variance > 15 && variance < 17, true, "%f", variance);
}

UNIT(load_schedule, the_seed_decides_poisson_gaps)
{
    struct schedule_plan plan = make_plan(1000, LAST);
    uint64_t one[50];
    uint64_t two[50];

    plan.is_poisson = true;
    plan.seed = 7;
    list(&plan, 0, 2, one, 50);
    list(&plan, 0, 2, two, 50);
    expect_eq(memcmp(one, two, sizeof(one)), 0, "the same again");
    list(&plan, 1, 2, two, 50);
    expect_eq(memcmp(one, two, sizeof(one)) != 0, true, "not on all threads");
    plan.seed = 8;
    list(&plan, 0, 2, two, 50);
    expect_eq(memcmp(one, two, sizeof(one)) != 0, true, "another seed");
}

UNIT(load_schedule, stages_are_read)
{
    struct schedule_plan plan;
    char why[WHY_SIZE];

    expect_eq(schedule_parse("30s@1k,2m@1k..20k,500ms@0.5/s", &plan, why), 0);
    expect_eq(plan.stage_count, 3);
    expect_eq(plan.stages[0].duration_ns, 30 * SEC);
    expect_eq(plan.stages[1].duration_ns, 120 * SEC);
    cr_assert(plan.stages[1].from == 1000 && plan.stages[1].to == 20000);
    cr_assert(plan.stages[2].from == 0.5 && plan.stages[2].to == 0.5);
    expect_eq(schedule_duration(&plan), 150 * SEC + 500 * MS);
}

UNIT(load_schedule, a_rate_may_name_its_time)
{
    static const struct {
        const char *text;
        double rate;
    } rows[] = {{"100/s", 100},  {"100/1s", 100},  {"6k/1m", 100},
                {"1/10ms", 100}, {"50/0.5", 100},  {"0/1s", 0},
                {"6K/m", 100},   {"6000/min", 100}};
    static const char *const wrong[] = {"1/", "1/0s", "1/x", "/s", "1/s1"};
    double rate = -1;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_eq(schedule_parse_rate(rows[i].text, &rate), 0);
        cr_assert(fabs(rate - rows[i].rate) < 1e-9, "%s", rows[i].text);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect_eq(schedule_parse_rate(wrong[i], &rate), -EINVAL, "%s",
                  wrong[i]);
    }
}

UNIT(load_schedule, errors_in_stages_have_a_position)
{
    static const struct {
        const char *text;
        const char *why;
    } wrong[] = {
        {"", "at 1"},
        {"30s", "a stage is"},
        {"30s@1k,", "at 8"},
        {"30s@1k,5@", "at 10, ''"},
        {"30s@1k,x@5", "at 8, 'x@5'"},
        {"30s@1k..y,1s@5", "at 9, 'y,1s@5'"},
        {"0s@5", "not a time"},
        {"1s@-5", "not a rate"},
        {"1s@0", "no stage has a rate"},
        {"1s@nan", "not a rate"},
    };
    struct schedule_plan plan;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char why[WHY_SIZE] = "";
        expect_eq(schedule_parse(wrong[i].text, &plan, why), -EINVAL);
        cr_assert_not_null(strstr(why, wrong[i].why), "%s: %s", wrong[i].text,
                           why);
    }
}
