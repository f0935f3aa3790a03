/*
 * The verdict on made-up results: which exit code each one gets, and that no
 * objection is hidden by a weaker one.
 *
 * No run is made; the results are values.
 */
#define UNIT_RUN with_good
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/result/verdict.c"

#include "tests/unit.h"

#define SECOND UINT64_C(1000000000)

static struct run_options options;
static struct result result;

/* A run without any fault. */
static void make_good(void)
{
    options = (struct run_options){.conn_count = 2};
    memset(&result, 0, sizeof(result));
    result.options = &options;
    result.measured_began = true;
    result.window_ns = SECOND;
    result.connections.open_at_begin = 2;
    result.measured.scheduled = 1000;
    result.measured.sent = 1000;
    result.measured.ok = 1000;
    result.completed = 1000;
    result.thread_count = 1;
}

/* The same for an open model: responses after 5 ms, sent on time. */
static void make_good_schedule(void)
{
    result.model = RUN_MODEL_CONSTANT;
    result.offered_rate = 1000;
    options.warmup_ns = SECOND;
    histogram_clear(&result.times.response);
    histogram_clear(&result.times.lateness);
    for (int i = 0; i < 1000; i++) {
        histogram_record(&result.times.response, SECOND / 200);
        histogram_record(&result.times.lateness, SECOND / 100000);
    }
}

static enum load_exit judge(void)
{
    verdict_reach(&result);
    return result.exit;
}

static void expect_invalid(const char *why)
{
    expect_eq(judge(), LOAD_INVALID);
    cr_assert_not_null(strstr(result.invalid.lines[0], why));
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

UNIT(load_verdict, errors_of_each_kind_are_counted)
{
    result.measured.failed = 1;
    result.measured.timeout = 2;
    result.events_without_request = 4;
    result.unseen_failures = 8;

    expect_eq(verdict_error_count(&result), 15);
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

UNIT(load_verdict, a_budget_of_zero_that_was_given_is_one)
{
    struct slo_error error;

    result.measured.ok = 998;
    result.measured.timeout = 2;
    expect_eq(slo_parse("timeouts<1000", &options.slo, &error), 0);
    expect_eq(judge(), LOAD_OK);
    result.measured.failed = 1;
    expect_eq(judge(), LOAD_ERRORS, "no timeout");
    result.measured.failed = 0;
    options.has_max_errors = true;
    expect_eq(judge(), LOAD_ERRORS);
}

/* 20 of 100 requests failed: ten of kind b with the status 503, and of c eight
 * with 404 and two that timed out. */
static const struct {
    const char *slo;
    bool has_kinds;
    enum load_exit exit;
} spoken_of[] = {
    {"status.5xx<50%,status.404<=10%,timeouts<3", true, LOAD_OK},
    {"status.5xx<50%,status.404<=10%", true, LOAD_ERRORS},
    {"status.503<50%,timeouts<3", true, LOAD_ERRORS},
    {"status.503<5%,status.4xx<50%,timeouts<3", true, LOAD_SLO},
    {"errors{b}<=100%", true, LOAD_ERRORS},
    {"errors{b}<=100%,errors{c}<=100%", true, LOAD_OK},
    {"errors{b}<=100%,status.404{c}<=10,timeouts{c}<3", true, LOAD_OK},
    {"errors{b}<=100%,status.404{a}<1,timeouts<3", true, LOAD_ERRORS},
    {"errors{c}<=100%,status.404<50%,timeouts<3", true, LOAD_ERRORS},
    {"errors{b}<=100%,status.404<50%,timeouts{b}<3", true, LOAD_ERRORS},
    {"status.503<50%,status.404<50%,timeouts<3", false, LOAD_OK},
    {"status.503<50%,status.404<50%", false, LOAD_ERRORS},
    {"status.503<50%,timeouts<3", false, LOAD_ERRORS},
};

UNIT(load_verdict, errors_that_an_objective_speaks_of_are_its_affair)
{
    static const struct kinds kinds = {.names = {"a", "b", "c"}, .count = 3};
    static struct kind_record records[3];
    struct slo_error error;

    records[0].counts = (struct kind_counts){.ok = 80};
    records[1].counts = (struct kind_counts){.failed = 10};
    records[1].status[503] = 10;
    records[2].counts = (struct kind_counts){.failed = 8, .timeout = 2};
    records[2].status[404] = 8;
    for (size_t i = 0; i < sizeof(spoken_of) / sizeof(spoken_of[0]); i++) {
        make_good();
        options.groups = &kinds;
        options.mode = RUN_MODE_HTTP;
        result.kinds = spoken_of[i].has_kinds ? records : NULL;
        result.measured = (struct ledger){.scheduled = 100,
                                          .sent = 100,
                                          .ok = 80,
                                          .failed = 18,
                                          .timeout = 2};
        result.status[503] = 10;
        result.status[404] = 8;
        expect_eq(slo_parse(spoken_of[i].slo, &options.slo, &error), 0);
        expect_eq(judge(), spoken_of[i].exit, "%s", spoken_of[i].slo);
    }
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
    result.connections.open_at_begin = 1;

    expect_invalid("1 of 2");
}

UNIT(load_verdict, a_ledger_that_does_not_add_up_makes_it_invalid)
{
    result.measured.scheduled = 1001;
    result.measured.sent = 1001;

    expect_invalid("accounted");
}

UNIT(load_verdict, unanswered_requests_make_it_invalid)
{
    result.measured.scheduled = 1001;
    result.measured.sent = 1001;
    result.measured.in_flight = 1;

    expect_invalid("unanswered");
}

UNIT(load_verdict, giving_up_makes_it_invalid)
{
    result.gave_up = true;

    expect_eq(judge(), LOAD_INVALID);
}

UNIT(load_verdict, an_interrupted_run_is_just_that)
{
    result.interrupted = true;
    result.measured.scheduled = 1004;
    result.measured.sent = 1004;
    result.measured.in_flight = 4;

    expect_eq(judge(), LOAD_INTERRUPTED);
    expect_str_eq(verdict_word(&result), "INTERRUPTED");
    expect_eq(result.invalid.count, 0);
}

UNIT(load_verdict, a_busy_client_is_a_warning)
{
    result.threads[0].user_ns = SECOND / 2;
    result.threads[0].system_ns = 31 * (SECOND / 100);

    expect_eq(judge(), LOAD_OK);
    expect_eq(result.warnings.count, 1);
    cr_assert_not_null(strstr(result.warnings.lines[0], "81 %"));
}

UNIT(load_verdict, only_the_threads_of_the_run_are_looked_at)
{
    result.threads[1].user_ns = SECOND;

    judge();

    expect_eq(result.warnings.count, 0);
}

UNIT(load_verdict, a_window_of_a_moment_says_nothing_about_the_client)
{
    result.window_ns = SECOND / 20;
    result.threads[0].user_ns = SECOND / 20;

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

/* An event of a run that is reported, and words of the report. */
struct mention {
    uint64_t *count;
    const char *text;
};

UNIT(load_verdict, what_a_server_does_to_its_connections_is_mentioned)
{
    const struct mention mentions[] = {
        {&result.connections.repeated, "1 requests were sent again"},
        {&result.connections.not_closed, "left 1 connections open"},
        {&result.loop.overflows, "overflowed 1 times"},
        {&result.times.service.overflows, "1 latencies were beyond"},
        {&result.warmup.timeout, "1 requests failed during the warm-up"},
        {&result.status[301], "1 answers were redirects"},
        {&result.status[308], "1 answers were redirects"},
    };

    for (size_t i = 0; i < sizeof(mentions) / sizeof(mentions[0]); i++) {
        make_good();
        *mentions[i].count = 1;
        expect_eq(judge(), LOAD_OK);
        expect_eq(result.warnings.count, 1, "%s", mentions[i].text);
        cr_assert(strstr(result.warnings.lines[0], mentions[i].text), "%s",
                  result.warnings.lines[0]);
    }
}

/* When the first and the last byte of a response arrived, in ms; and whether
 * the time between them is reported. */
static const struct {
    uint64_t first;
    uint64_t last;
    bool is_named;
} rests[] = {{1, 41, true},  {5, 53, true},  {41, 41, false},
             {0, 41, false}, {1, 30, false}, {1, 60, false}};

UNIT(load_verdict, a_rest_that_waits_for_an_acknowledgement_is_named)
{
    for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
        make_good();
        for (int k = 0; k < 1000; k++) {
            histogram_record(&result.times.service, rests[i].last * 1000000);
            if (rests[i].first > 0) {
                histogram_record(&result.times.ttfb, rests[i].first * 1000000);
            }
        }
        expect_eq(judge(), LOAD_OK);
        expect_eq(result.warnings.count, rests[i].is_named ? 1 : 0, "%zu", i);
        cr_assert(!rests[i].is_named ||
                  strstr(result.warnings.lines[0], "delayed acknowledgement"));
    }
}

UNIT(load_verdict, the_shortest_window_has_a_rate)
{
    struct slo_error error;

    result.window_ns = 1;
    expect_eq(slo_parse("rate>1k", &options.slo, &error), 0);
    expect_eq(judge(), LOAD_OK);
}

UNIT(load_verdict, an_objective_that_does_not_hold_is_the_last_objection)
{
    struct slo_error error;

    expect_eq(slo_parse("rate>=1k,errors<1", &options.slo, &error), 0);
    expect_eq(judge(), LOAD_OK);
    expect_eq(slo_parse("rate>1k", &options.slo, &error), 0);
    expect_eq(judge(), LOAD_SLO);
    expect_str_eq(verdict_word(&result), "FAILED");
    result.connections.open_at_begin = 1;
    expect_eq(judge(), LOAD_INVALID);
}

/* A hundred random requests in five seconds, which take 100 ms: two are in
 * flight at each end, some of them by chance. */
UNIT(load_verdict, what_is_on_its_way_by_chance_is_no_lack_of_answers)
{
    make_good_schedule();
    result.model = RUN_MODEL_POISSON;
    result.offered_rate = 20;
    result.window_ns = 5 * SECOND;
    result.measured.scheduled = result.measured.sent = 100;
    result.measured.ok = 100;
    histogram_clear(&result.times.response);
    for (int i = 0; i < 100; i++) {
        histogram_record(&result.times.response, SECOND / 10);
    }
    result.completed = 92;
    expect_eq(judge(), LOAD_OK);
    result.completed = 91;
    expect_invalid("91.0 % of the scheduled requests were answered in time");

    /* Without a warm-up two are missing, and only one end is random. */
    options.warmup_ns = 0;
    result.completed = 92;
    expect_eq(judge(), LOAD_OK);
    result.completed = 91;
    expect_invalid("91.0 % of the scheduled requests were answered in time");

    /* With equal gaps they are at the same positions at both ends. */
    options.warmup_ns = SECOND;
    result.model = RUN_MODEL_CONSTANT;
    result.completed = 99;
    expect_eq(judge(), LOAD_OK);
    result.completed = 98;
    expect_invalid("98.0 % of the scheduled requests were answered in time");
}

/* A fifth takes 10 ms, the others 220 ms: the mean determines how many are in
 * flight, not the fast ones. */
UNIT(load_verdict, slow_answers_are_on_their_way_by_chance_as_well)
{
    make_good_schedule();
    result.model = RUN_MODEL_POISSON;
    result.offered_rate = 20;
    result.window_ns = 5 * SECOND;
    result.measured.scheduled = result.measured.sent = 100;
    result.measured.ok = 100;
    histogram_clear(&result.times.response);
    for (int i = 0; i < 100; i++) {
        histogram_record(&result.times.response,
                         i < 20 ? SECOND / 100 : 22 * SECOND / 100);
    }
    result.completed = 90;
    expect_eq(judge(), LOAD_OK);
    result.completed = 89;
    expect_invalid("89.0 % of the scheduled requests were answered in time");
}

UNIT(load_verdict, a_schedule_that_was_held_is_valid)
{
    make_good_schedule();

    expect_eq(judge(), LOAD_OK);
    expect_eq(result.warnings.count, 0);
}

UNIT(load_verdict, requests_that_were_neither_sent_nor_dropped_are_missed)
{
    result.measured.scheduled = 1001;

    expect_invalid("scheduled");
}

UNIT(load_verdict, too_few_answers_for_a_schedule_make_it_invalid)
{
    make_good_schedule();
    result.completed = 990;
    expect_eq(judge(), LOAD_OK);

    result.completed = 989;
    expect_invalid("98.9 % of the scheduled requests were answered in time");

    /* Without a warm-up the window starts empty: six are in flight. */
    options.warmup_ns = 0;
    expect_eq(judge(), LOAD_OK);

    result.model = RUN_MODEL_CLOSED;
    result.completed = 500;
    expect_eq(judge(), LOAD_OK);
}

/* Scheduled and answered requests in each quarter of the window, which has five
 * intervals. */
enum { QUARTER_ROWS = 5, ROWS = 4 * QUARTER_ROWS };

static void make_rows(uint64_t offered, const uint64_t answered[4])
{
    make_good_schedule();
    result.measured.scheduled = 4 * offered;
    result.measured.dropped = 0;
    result.completed = 0;
    result.row_count = ROWS;
    for (size_t i = 0; i < ROWS; i++) {
        result.rows[i].counts = (struct interval){
            .begin_ns = i * SECOND / ROWS,
            .end_ns = (i + 1) * SECOND / ROWS,
            .offered = offered / QUARTER_ROWS,
            .ok = answered[i / QUARTER_ROWS] / QUARTER_ROWS,
        };
        result.completed += result.rows[i].counts.ok;
    }
    result.measured.sent = result.measured.ok = result.measured.scheduled;
}

/* An overload of a server that becomes slower. */
static void make_overload(void)
{
    make_rows(255, (const uint64_t[]){250, 250, 250, 250});
    result.measured.sent = result.measured.ok = 1000;
    result.measured.dropped = 20;
    for (size_t i = 0; i < ROWS; i++) {
        result.rows[i].counts.in_flight = 10 * (i + 1);
    }
}

UNIT(load_verdict, dropped_requests_count_against_the_schedule)
{
    make_overload();

    expect_invalid("overload: the server answers 1000/s of 1020/s requested; "
                   "the queue grew by 20 requests in 1 s, so latencies");
    expect_eq(result.unserved, 20);
    cr_assert_null(strstr(result.invalid.lines[0], "(-c)"));
    result.waited = 1;
    expect_invalid("; all 2 connections were busy: if more connections");
    expect_eq(result.invalid.count, 1);
}

UNIT(load_verdict, where_late_requests_are_skipped_nothing_queues)
{
    make_overload();
    options.late_is_skipped = true;
    result.measured.sent = result.measured.ok = 1003;
    result.measured.dropped = 17;
    expect_invalid("requested; 17 requests were never sent; all 2 connections");
    cr_assert_null(strstr(result.invalid.lines[0], "latencies"));
    expect_eq(result.unserved, 17);
}

UNIT(load_verdict, a_window_of_one_interval_tells_no_overload_from_a_stall)
{
    make_overload();
    result.row_count = 1;
    expect_invalid("98.0 % of the scheduled requests were answered in time");
    expect_eq(result.unserved, 0);
    result.row_count = 0;
    expect_invalid("98.0 % of the scheduled requests were answered in time");
}

UNIT(load_verdict, busy_connections_of_a_steady_server_are_no_overload)
{
    for (int is_skipped = 0; is_skipped < 2; is_skipped++) {
        make_overload();
        options.late_is_skipped = is_skipped;
        result.waited = !is_skipped;
        for (size_t i = 0; i < ROWS; i++) {
            result.rows[i].counts.in_flight = 2;
        }
        expect_invalid("98.0 % of the scheduled requests were answered in "
                       "time, some never sent; all 2 connections were busy, "
                       "more connections (-c) may help");
        expect_eq(result.unserved, 0);
    }
}

UNIT(load_verdict, a_server_with_too_few_intervals_is_not_called_slower)
{
    make_overload();
    result.waited = 1;
    expect_invalid("overload: ");
    for (size_t i = 0; i < 4; i++) {
        result.rows[i].counts.begin_ns = i * SECOND / 4;
        result.rows[i].counts.end_ns = (i + 1) * SECOND / 4;
    }
    result.row_count = 4;
    expect_invalid("answered in time, some never sent; all 2 connections were "
                   "busy, more connections (-c) may help");
    expect_eq(result.unserved, 0);
}

/* The window ends slightly late, like a timer. */
UNIT(load_verdict, an_interval_is_of_the_half_that_has_its_middle)
{
    make_rows(250, (const uint64_t[]){200, 200, 200, 200});
    result.row_count = 2;
    result.window_ns = SECOND + 10000;
    for (size_t i = 0; i < 2; i++) {
        result.rows[i].counts = (struct interval){
            .begin_ns = i * SECOND / 2,
            .end_ns = i > 0 ? result.window_ns : SECOND / 2,
            .offered = 500,
            .ok = 400,
        };
    }
    expect_invalid("overload: the server answers 800/s of 1000/s requested");
}

UNIT(load_verdict, a_server_that_stood_still_at_the_end_is_not_overloaded)
{
    make_rows(250, (const uint64_t[]){250, 250, 250, 100});
    expect_invalid("85.0 % of the scheduled requests were answered in time");
    expect_eq(result.unserved, 0);
    make_rows(250, (const uint64_t[]){250, 200, 250, 150});
    expect_invalid("overload: the server answers 850/s of 1000/s requested");
    expect_eq(result.unserved, 150);
}

UNIT(load_verdict, a_client_that_was_slow_has_overloaded_nobody)
{
    make_rows(250, (const uint64_t[]){200, 200, 200, 200});
    result.threads[0].user_ns = SECOND * 97 / 100;
    expect_invalid("80.0 % of the scheduled requests were answered in time");
    cr_assert_not_null(strstr(result.invalid.lines[1], "was saturated"));
    expect_eq(result.unserved, 0);
    result.threads[0].user_ns = 0;
    histogram_clear(&result.times.own_lateness);
    for (int i = 0; i < 1000; i++) {
        histogram_record(&result.times.own_lateness, SECOND / 100);
    }
    expect_invalid("80.0 % of the scheduled requests were answered in time");
    cr_assert_not_null(strstr(result.invalid.lines[1], "client was too slow"));
    expect_eq(result.unserved, 0);
}

UNIT(load_verdict,
     what_was_under_way_at_the_end_of_an_overload_is_not_its_reason)
{
    make_rows(500, (const uint64_t[]){250, 250, 250, 250});
    result.measured.sent = 1002;
    result.measured.ok = 1000;
    result.measured.dropped = 998;
    result.measured.in_flight = 2;

    expect_invalid("overload: the server answers 1000/s of 2000/s requested");
    expect_eq(result.invalid.count, 1);
}

UNIT(load_verdict, under_overload_the_backlog_of_the_warm_up_is_named)
{
    make_good_schedule();
    result.measured.scheduled = 20000;
    result.measured.sent = 0;
    result.measured.dropped = 20000;
    result.measured.ok = 0;
    result.completed = 5000;
    result.times.response.count = 0;

    expect_invalid(
        "overload: all 5000 answers were to requests of the warm-up");
}

UNIT(load_verdict, answers_of_the_warm_up_alone_are_no_result)
{
    result.measured.scheduled = 10;
    result.measured.sent = 10;
    result.measured.ok = 0;
    result.measured.failed = 10;
    result.completed = 3;
    options.max_errors = 10;

    expect_invalid("all 3 answers of the window were to requests of the warm");
}

UNIT(load_verdict, a_saturated_thread_makes_a_schedule_invalid)
{
    make_good_schedule();
    result.thread_count = 2;
    result.threads[1].user_ns = 96 * (SECOND / 100);

    expect_invalid("saturated");

    /* A part of the shortest window that is evaluated, and of a shorter one. */
    result.window_ns = SECOND / 10;
    result.threads[1].user_ns = 96 * (SECOND / 1000);
    expect_invalid("saturated");
    result.window_ns--;
    expect_eq(judge(), LOAD_OK);
    result.window_ns = SECOND;
    result.threads[1].user_ns = 96 * (SECOND / 100);

    result.model = RUN_MODEL_CLOSED;
    expect_eq(judge(), LOAD_OK);
    cr_assert_not_null(strstr(result.warnings.lines[0], "a thread"));
}

UNIT(load_verdict, a_closed_loop_owns_up_to_a_stall)
{
    histogram_clear(&result.times.service);
    for (int i = 0; i < 1000; i++) {
        histogram_record(&result.times.service, SECOND / 200);
    }
    result.stall_ns = SECOND / 2;
    expect_eq(judge(), LOAD_OK);
    cr_assert_not_null(strstr(result.warnings.lines[0], "500ms"));

    result.stall_ns = SECOND / 21;
    judge();
    expect_eq(result.warnings.count, 0, "too short to speak of");

    result.stall_ns = SECOND / 2;
    result.model = RUN_MODEL_CONSTANT;
    judge();
    expect_eq(result.warnings.count, 0, "the response times show it");
}

UNIT(load_verdict, a_lack_of_means_is_no_error_of_the_server)
{
    result.shortages = 1;
    result.shortage = -EMFILE;

    expect_invalid("no resources for 1 attempts to connect");
    cr_assert_not_null(strstr(result.invalid.lines[0], "(EMFILE)"));
    cr_assert_null(strstr(result.invalid.lines[0], "TIME_WAIT"));

    result.shortages = 7;
    result.shortage = -EADDRNOTAVAIL;
    expect_invalid("no resources for 7 attempts to connect");
    cr_assert_not_null(strstr(result.invalid.lines[0], "(EADDRNOTAVAIL); a"));
    cr_assert_not_null(strstr(result.invalid.lines[0], "--bind"));
}

UNIT(load_verdict, a_lack_of_ports_is_told_of_a_run_that_never_began)
{
    result.shortages = 2;
    result.shortage = -EADDRNOTAVAIL;
    result.measured_began = false;
    result.measured.ok = 0;
    result.measured.scheduled = 0;
    result.measured.sent = 0;
    result.completed = 0;

    expect_eq(judge(), LOAD_NOTHING);
    cr_assert_not_null(strstr(result.invalid.lines[0], "no resources for 2"));
    cr_assert_not_null(strstr(result.invalid.lines[1], "has not started"));
}
