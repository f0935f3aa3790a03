/*
 * The judgement over made-up results: which exit code each one gets, and that
 * no objection is passed over for a weaker one. No run is made; the results
 * are values.
 */
#define UNIT_RUN with_good
#include "tools/weir-load/exits.h"
#include "tools/weir-load/verdict.c"

#include "tests/unit.h"

#define SECOND UINT64_C(1000000000)

static struct run_options options;
static struct result result;

/* A run without blemish. */
static void make_good(void)
{
    options = (struct run_options){.conn_count = 2};
    memset(&result, 0, sizeof(result));
    result.options = &options;
    result.measured_began = true;
    result.window_ns = SECOND;
    result.open_at_begin = 2;
    result.measured.sent = 1000;
    result.measured.ok = 1000;
    result.completed = 1000;
}

static enum load_exit judge(void)
{
    verdict_reach(&result);
    return result.exit;
}

static void with_good(void (*body)(void))
{
    make_good();
    body();
}

UNIT(load_verdict, a_run_without_blemish_is_valid)
{
    expect_eq(judge(), LOAD_OK);
    expect_str_eq(verdict_word(&result), "VALID");
    expect_eq(result.warnings.count, 0);
}

UNIT(load_verdict, one_error_is_one_too_many_by_default)
{
    result.measured.ok = 999;
    result.measured.failed = 1;
    expect_eq(judge(), LOAD_ERRORS);
    expect_str_eq(verdict_word(&result), "FAILED");

    make_good();
    result.measured.ok = 999;
    result.measured.timeout = 1;
    expect_eq(judge(), LOAD_ERRORS);

    make_good();
    result.events_without_request = 1;
    expect_eq(judge(), LOAD_ERRORS);
}

UNIT(load_verdict, the_budget_is_a_number_or_a_share)
{
    result.measured.ok = 990;
    result.measured.failed = 10;
    options.max_errors = 10;
    expect_eq(judge(), LOAD_OK);
    options.max_errors = 9;
    expect_eq(judge(), LOAD_ERRORS);
    options.max_errors_is_share = true;
    options.max_errors = 10000;
    expect_eq(judge(), LOAD_OK);
    options.max_errors = 9999;
    expect_eq(judge(), LOAD_ERRORS);
}

UNIT(load_verdict, no_budget_covers_a_run_in_which_nothing_succeeded)
{
    options.max_errors_is_share = true;
    options.max_errors = 1000000;
    result.measured.ok = 0;
    result.measured.failed = 1000;
    result.completed = 0;

    expect_eq(judge(), LOAD_NOTHING);
    expect_str_eq(verdict_word(&result), "FAILED");
}

UNIT(load_verdict, fewer_connections_than_asked_make_it_invalid)
{
    result.open_at_begin = 1;

    expect_eq(judge(), LOAD_INVALID);
    cr_assert_not_null(strstr(result.invalid.lines[0], "1 of 2"));
}

UNIT(load_verdict, a_ledger_that_does_not_add_up_makes_it_invalid)
{
    result.measured.sent = 1001;

    expect_eq(judge(), LOAD_INVALID);
    cr_assert_not_null(strstr(result.invalid.lines[0], "accounted"));
}

UNIT(load_verdict, unanswered_requests_make_it_invalid)
{
    result.measured.sent = 1001;
    result.in_flight = 1;

    expect_eq(judge(), LOAD_INVALID);
    cr_assert_not_null(strstr(result.invalid.lines[0], "unanswered"));
}

UNIT(load_verdict, giving_up_makes_it_invalid)
{
    result.gave_up = true;

    expect_eq(judge(), LOAD_INVALID);
}

UNIT(load_verdict, an_interrupted_run_is_just_that)
{
    result.interrupted = true;
    result.measured.sent = 1004;
    result.in_flight = 4;

    expect_eq(judge(), LOAD_INTERRUPTED);
    expect_str_eq(verdict_word(&result), "INTERRUPTED");
    expect_eq(result.invalid.count, 0);
}

UNIT(load_verdict, a_busy_client_is_a_warning)
{
    result.usage.user_ns = SECOND / 2;
    result.usage.system_ns = 31 * (SECOND / 100);

    expect_eq(judge(), LOAD_OK);
    expect_eq(result.warnings.count, 1);
    cr_assert_not_null(strstr(result.warnings.lines[0], "81 %"));
}

UNIT(load_verdict, a_window_of_a_moment_says_nothing_about_the_client)
{
    result.window_ns = SECOND / 20;
    result.usage.user_ns = SECOND / 20;

    judge();

    expect_eq(result.warnings.count, 0);
}

UNIT(load_verdict, a_connection_that_was_never_answered_is_an_error)
{
    result.unseen_failures = 1;
    expect_eq(judge(), LOAD_ERRORS);
    options.max_errors = 1;
    expect_eq(judge(), LOAD_OK);
    result.unseen_failures = 2;
    expect_eq(judge(), LOAD_ERRORS);
}

UNIT(load_verdict, failures_of_the_warm_up_are_mentioned)
{
    result.warmup.failed = 3;

    expect_eq(judge(), LOAD_OK);
    cr_assert_not_null(strstr(result.warnings.lines[0], "warm-up"));
}

UNIT(load_verdict, an_objective_that_does_not_hold_is_the_last_objection)
{
    struct slo_error error;

    expect_eq(slo_parse("rate>=1k,errors<1", &options.slo, &error), 0);
    expect_eq(judge(), LOAD_OK);
    expect_eq(slo_parse("rate>1k", &options.slo, &error), 0);
    expect_eq(judge(), LOAD_SLO);
    expect_str_eq(verdict_word(&result), "FAILED");
    result.open_at_begin = 1;
    expect_eq(judge(), LOAD_INVALID);
}
