/*
 * The health of an upstream as a state machine of results: which check changes
 * its state, which failure ejects it and for how long, and when checks are due.
 *
 * Times are small numbers; no clock is read.
 */
#include "lib/proxy/upstream/health.h"

#include "tests/death.h"
#include "tests/unit/random.h"

/* Expects the states after the results in a text: '+' and '-' are checks; the
 * answer has 'u' or 'd' for each. */
static void expect_states(struct wr_health *health, const char *results,
                          const char *expected)
{
    char states[32] = "";
    for (size_t i = 0; results[i]; i++) {
        const enum wr_health_state before = health->state;
        const bool changed = wr_health_note(health, results[i] == '+');
        expect_eq(changed, before != health->state, "at %zu", i);
        states[i] = health->state == WR_HEALTH_UP ? 'u' : 'd';
    }
    expect_str_eq(states, expected);
}

UNIT(upstream_health, falls_and_rises_after_results_in_a_row)
{
    struct wr_health health;
    wr_health_init(&health, 2, 3, WR_HEALTH_UP);
    expect_states(&health, "--+---", "uuuuud");
    expect_states(&health, "+-+-++", "dddddu");
    expect_states(&health, "+++--+", "uuuuuu");
}

UNIT(upstream_health, the_first_result_decides_where_the_start_waits_for_it)
{
    struct wr_health health;
    wr_health_init(&health, 9, 9, WR_HEALTH_UNKNOWN);
    expect_eq(health.state, WR_HEALTH_UNKNOWN);
    expect_states(&health, "+--", "uuu");
    wr_health_init(&health, 2, 9, WR_HEALTH_UNKNOWN);
    expect_states(&health, "-+-++", "ddddu");
}

UNIT(upstream_health, one_result_is_enough_with_1)
{
    struct wr_health health;
    wr_health_init(&health, 1, 1, WR_HEALTH_UP);
    expect_states(&health, "-+-+", "dudu");
}

UNIT_ABORTS(upstream_health, a_rise_of_0_is_a_fault, "rise > 0")
{
    struct wr_health health;
    wr_health_init(&health, 0, 1, WR_HEALTH_UP);
}

UNIT(upstream_health, checks_are_due_within_a_tenth_of_the_interval)
{
    struct unit_random random;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    unit_random_seed(&random);
    for (int i = 0; i < 10000; i++) {
        const uint64_t next_ns =
            wr_health_next_ns(1000000, unit_random_next(&random));
        least = next_ns < least ? next_ns : least;
        most = next_ns > most ? next_ns : most;
    }
    expect_geq(least, 900000u);
    expect_leq(most, 1100000u);
    expect_lt(least, 905000u, "all of it is used");
    expect_gt(most, 1095000u);
    expect_eq(wr_health_next_ns(1, UINT64_MAX), 1u);
}

static struct wr_ejection ejection;
static struct wr_ejection_plan plan;

static void begin(uint32_t limit, uint64_t first_ns, uint64_t max_ns)
{
    ejection = (struct wr_ejection){.count = 0};
    plan = (struct wr_ejection_plan){limit, first_ns, max_ns};
}

static uint64_t fail(enum wr_failure row)
{
    return wr_ejection_note_failure(&ejection, &plan, row);
}

static void fail_until_ejected(uint64_t expected_ns)
{
    expect_eq(fail(WR_FAILURE_CONNECT), 0u);
    expect_eq(fail(WR_FAILURE_CONNECT), 0u);
    expect_eq(fail(WR_FAILURE_CONNECT), expected_ns);
    cr_assert(ejection.is_ejected);
    wr_ejection_end(&ejection);
}

UNIT(upstream_health, failures_in_a_row_eject)
{
    begin(3, 10, 100);
    expect_eq(fail(WR_FAILURE_CONNECT), 0u);
    expect_eq(fail(WR_FAILURE_CONNECT), 0u);
    wr_ejection_note_success(&ejection, WR_FAILURE_CONNECT);
    cr_assert(!ejection.is_ejected);
    fail_until_ejected(10);
}

UNIT(upstream_health, connecting_does_not_break_the_row_of_reports)
{
    begin(3, 10, 100);
    for (int i = 0; i < 2; i++) {
        wr_ejection_note_success(&ejection, WR_FAILURE_CONNECT);
        expect_eq(fail(WR_FAILURE_REPORT), 0u);
    }
    wr_ejection_note_success(&ejection, WR_FAILURE_CONNECT);
    expect_eq(fail(WR_FAILURE_REPORT), 10u);
}

UNIT(upstream_health, each_ejection_is_twice_as_long_up_to_the_limit)
{
    begin(3, 10, 70);
    fail_until_ejected(10);
    const uint64_t expected_ns[] = {20, 40, 70, 70};
    for (size_t i = 0; i < 4; i++) {
        expect_eq(fail(WR_FAILURE_CONNECT), expected_ns[i], "one is enough");
        wr_ejection_end(&ejection);
    }
    wr_ejection_note_success(&ejection, WR_FAILURE_REPORT);
    expect_eq(fail(WR_FAILURE_CONNECT), 70u, "that was another row");
    wr_ejection_end(&ejection);
    wr_ejection_note_success(&ejection, WR_FAILURE_CONNECT);
    fail_until_ejected(10);
}

UNIT(upstream_health, the_probation_is_that_of_the_row_that_ejected)
{
    begin(3, 10, 100);
    fail_until_ejected(10);
    expect_eq(fail(WR_FAILURE_REPORT), 0u);
    expect_eq(fail(WR_FAILURE_REPORT), 0u);
    expect_eq(fail(WR_FAILURE_CONNECT), 20u);
}

UNIT(upstream_health, failures_of_an_ejected_one_change_nothing)
{
    begin(1, 10, 100);
    expect_eq(fail(WR_FAILURE_REPORT), 10u);
    expect_eq(fail(WR_FAILURE_REPORT), 0u);
    expect_eq(fail(WR_FAILURE_CONNECT), 0u);
    wr_ejection_end(&ejection);
    expect_eq(fail(WR_FAILURE_REPORT), 20u);
}

UNIT(upstream_health, a_huge_first_time_does_not_overflow)
{
    begin(1, UINT64_MAX / 2 + 9, UINT64_MAX);
    expect_eq(fail(WR_FAILURE_REPORT), UINT64_MAX / 2 + 9);
    wr_ejection_end(&ejection);
    expect_eq(fail(WR_FAILURE_REPORT), UINT64_MAX);
}

UNIT(upstream_health, ejections_go_on_where_another_has_stood)
{
    begin(3, 10, 100);
    wr_ejection_resume(&ejection, 2, WR_FAILURE_REPORT, true);
    expect_eq(fail(WR_FAILURE_REPORT), 0u, "it is ejected");
    wr_ejection_end(&ejection);
    expect_eq(fail(WR_FAILURE_CONNECT), 0u);
    expect_eq(fail(WR_FAILURE_REPORT), 40u);
    begin(3, 10, 100);
    wr_ejection_resume(&ejection, UINT32_MAX, WR_FAILURE_CONNECT, false);
    expect_eq(fail(WR_FAILURE_CONNECT), 100u);
}

/* Each set has its own limit. */
UNIT(upstream_health, the_limit_is_that_of_who_notes_a_failure)
{
    begin(5, 10, 100);
    for (int i = 0; i < 4; i++) {
        expect_eq(fail(WR_FAILURE_CONNECT), 0u);
    }
    plan.limit = UINT32_MAX;
    expect_eq(fail(WR_FAILURE_CONNECT), 0u);
    plan.limit = 2;
    expect_eq(fail(WR_FAILURE_CONNECT), 10u);
}

UNIT(upstream_health, a_success_has_a_row_to_break_after_a_failure_of_it)
{
    begin(1, 10, 100);
    cr_assert(!wr_ejection_has_row(&ejection, WR_FAILURE_CONNECT));
    expect_eq(fail(WR_FAILURE_CONNECT), 10u);
    cr_assert(wr_ejection_has_row(&ejection, WR_FAILURE_CONNECT));
    cr_assert(!wr_ejection_has_row(&ejection, WR_FAILURE_REPORT));
    wr_ejection_end(&ejection);
    plan.limit = 3;
    expect_eq(fail(WR_FAILURE_REPORT), 0u);
    cr_assert(wr_ejection_has_row(&ejection, WR_FAILURE_REPORT));
    wr_ejection_note_success(&ejection, WR_FAILURE_REPORT);
    wr_ejection_note_success(&ejection, WR_FAILURE_CONNECT);
    cr_assert(!wr_ejection_has_row(&ejection, WR_FAILURE_REPORT));
    cr_assert(!wr_ejection_has_row(&ejection, WR_FAILURE_CONNECT));
}

UNIT(upstream_health, no_limit_never_ejects)
{
    begin(UINT32_MAX, 10, 100);
    for (int i = 0; i < 1000; i++) {
        expect_eq(fail(WR_FAILURE_CONNECT), 0u);
    }
}
