/*
 * The verdict on an open model whose requests were sent late, as a table: the
 * times of the responses, the lateness of the client, its limits, an objective,
 * and the verdict.
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

/* A run with a kept schedule and a warm-up. */
static void make_good(void)
{
    options = (struct run_options){.conn_count = 2, .warmup_ns = SECOND};
    memset(&result, 0, sizeof(result));
    result.options = &options;
    result.model = RUN_MODEL_CONSTANT;
    result.offered_rate = 1000;
    result.measured_began = true;
    result.window_ns = SECOND;
    result.connections.open_at_begin = 2;
    result.thread_count = 1;
}

static enum load_exit judge(void)
{
    verdict_reach(&result);
    return result.exit;
}

static void expect_invalid(const char *why)
{
    expect_eq(judge(), LOAD_INVALID);
    cr_assert(strstr(result.invalid.lines[0], why), "%s",
              result.invalid.lines[0]);
}

static void with_good(void (*body)(void))
{
    make_good();
    body();
}

/* Values of a histogram: the first value, then the values from a rank on. */
struct times {
    uint64_t most_ns;
    unsigned tail_count;
    uint64_t tail_ns;
};

/* A run with this many requests, and the expected verdict on the client's
 * lateness. */
struct lateness_case {
    const char *what;
    unsigned count;
    struct times response;
    struct times own;
    uint64_t limit_ns;
    uint64_t limit_share;
    /* NULL means no objective. */
    const char *slo;
    enum load_exit exit;
    /* Part of the objection or the warning, or NULL if there is none. */
    const char *text;
};

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

/* The default limits. */
#define USUAL MS, 100000

/* Times that are all equal, and times whose last few are longer. */
#define ALL(ns) TAIL(ns, 0, 0)
#define TAIL(ns, count, tail_ns)                                               \
    {                                                                          \
        (ns), (count), (tail_ns)                                               \
    }

/* A client that shares its CPU, and is 4 ms late at p90. */
#define SHARED_CPU 200, TAIL(150 * US, 40, 5 * MS), TAIL(30 * US, 40, 4 * MS)

static const struct lateness_case lateness_cases[] = {
    {"a timer that is 60 us late, beside answers of an idle server on the spot",
     10000, ALL(150 * US), ALL(60 * US), USUAL, NULL, LOAD_OK, NULL},
    {"a timer that is 300 us late beside them: half of each figure is the "
     "client's, and far from the limit",
     10000, ALL(500 * US), ALL(300 * US), USUAL, NULL, LOAD_OK, NULL},
    {"a p99 of 20 ms of which a timer is 300 us", 10000, ALL(20 * MS),
     TAIL(60 * US, 150, 300 * US), USUAL, NULL, LOAD_OK, NULL},
    {"a p99 of 20 ms of which the client is 1.9 ms is told", 10000,
     TAIL(5 * MS, 150, 20 * MS), TAIL(60 * US, 150, 1900 * US), USUAL, NULL,
     LOAD_OK,
     "the p99 of the response times is 20.0ms, and 1.90ms of it may be the "
     "client's own lateness; the run is invalid above 2.00ms"},
    {"of the same p99 2.1 ms are too much", 10000, TAIL(5 * MS, 150, 20 * MS),
     TAIL(60 * US, 150, 2100 * US), USUAL, NULL, LOAD_INVALID,
     "the p99 of the response times is 20.0ms"},
    {"between half of the limit and the limit it is told", 10000, ALL(900 * US),
     ALL(700 * US), USUAL, NULL, LOAD_OK, "is invalid above 1.00ms"},
    {"a client that shares its CPU is 4 ms late at p90", SHARED_CPU, USUAL,
     NULL, LOAD_INVALID, "the p90 of the response times is 5.00ms"},
    {"a client that stood still for 200 ms in 2 s of 5,000/s", 10000,
     TAIL(100 * US, 1000, 190 * MS), TAIL(20 * US, 1000, 190 * MS), USUAL, NULL,
     LOAD_INVALID, "--lateness-limit"},
    {"the same in 2 s of 100/s: percentiles have too few values, the mean says "
     "so",
     200, TAIL(150 * US, 20, 190 * MS), TAIL(30 * US, 20, 190 * MS), USUAL,
     NULL, LOAD_INVALID, "the mean of the response times"},
    {"the same in a minute of 100/s, of which only the max tells", 6000,
     TAIL(150 * US, 5, 190 * MS), TAIL(30 * US, 5, 190 * MS), USUAL, NULL,
     LOAD_INVALID, "the max of the response times is 190ms"},
    {"a single stop of 20 ms, as a machine that runs nothing else may have",
     6000, TAIL(150 * US, 2, 20 * MS), TAIL(30 * US, 2, 20 * MS), USUAL, NULL,
     LOAD_OK, NULL},
    {"at p99.9 ten times as much is allowed", 10000, TAIL(150 * US, 20, 4 * MS),
     TAIL(30 * US, 20, 4 * MS), USUAL, NULL, LOAD_OK, NULL},
    {"and no more", 10000, TAIL(150 * US, 20, 11 * MS),
     TAIL(30 * US, 20, 11 * MS), USUAL, NULL, LOAD_INVALID,
     "the p99.9 of the response times is 11.0ms"},
    {"a limit of 5 ms allows 4 ms", SHARED_CPU, 5 * MS, 0, NULL, LOAD_OK,
     "the p90 of the response times is 5.00ms"},
    {"a limit of 100 us does not allow 300 us", 10000, ALL(20 * MS),
     TAIL(60 * US, 150, 300 * US), 100 * US, 0, NULL, LOAD_INVALID,
     "the p99 of the response times is 20.0ms"},
    {"a share of 1 % does not either", 10000, ALL(20 * MS),
     TAIL(60 * US, 150, 300 * US), 0, 10000, NULL, LOAD_INVALID,
     "the p99 of the response times is 20.0ms"},
    {"a share of 2 % does", 10000, ALL(20 * MS), TAIL(60 * US, 150, 300 * US),
     0, 20000, NULL, LOAD_OK, "the p99 of the response times is 20.0ms"},
    {"an objective that holds in spite of 4 ms", SHARED_CPU, USUAL, "p90<50ms",
     LOAD_OK, "the client was too slow"},
    {"an objective about errors alone holds in spite of it, too", SHARED_CPU,
     USUAL, "errors<1", LOAD_OK, "the client was too slow"},
    {"an objective that does not hold, perhaps because of it", SHARED_CPU,
     USUAL, "p90<2ms", LOAD_INVALID, "the client was too slow"},
    {"an objective that wants long times may hold because of it", SHARED_CPU,
     USUAL, "p90>1ms", LOAD_INVALID, "the client was too slow"},
    {"one of two does not hold", SHARED_CPU, USUAL, "p90<50ms,p50<10us",
     LOAD_INVALID, "the client was too slow"},
    {"an objective that does not hold, with a client in time", 10000,
     ALL(20 * MS), ALL(60 * US), USUAL, "p99<5ms", LOAD_SLO, NULL},
    {"the percentile of an objective is judged as those of the report are",
     10000, TAIL(100 * US, 90, 3 * MS), TAIL(20 * US, 90, 2 * MS), USUAL,
     "p99.2<1ms", LOAD_INVALID, "the p99.2 of the response times is 3.00ms"},
};

static void record(struct histogram *h, unsigned count,
                   const struct times *times)
{
    histogram_clear(h);
    for (unsigned i = 0; i < count; i++) {
        histogram_record(h, i < count - times->tail_count ? times->most_ns
                                                          : times->tail_ns);
    }
}

static void make_late(const struct lateness_case *at)
{
    static const uint32_t columns[] = {50000, 90000, 99000, 99900, 99990};
    struct slo_error error;

    make_good();
    memcpy(options.columns, columns, sizeof(columns));
    options.column_count = sizeof(columns) / sizeof(columns[0]);
    options.lateness_limit_ns = at->limit_ns;
    options.lateness_limit_share = at->limit_share;
    options.slo.count = 0;
    if (at->slo) {
        expect_eq(slo_parse(at->slo, &options.slo, &error), 0);
    }
    result.measured.scheduled = at->count;
    result.measured.sent = at->count;
    result.measured.ok = at->count;
    result.completed = at->count;
    record(&result.times.response, at->count, &at->response);
    record(&result.times.own_lateness, at->count, &at->own);
    record(&result.times.lateness, at->count, &at->own);
}

UNIT(load_lateness, lateness_is_judged_against_what_is_reported_and_asked_for)
{
    for (size_t i = 0; i < sizeof(lateness_cases) / sizeof(lateness_cases[0]);
         i++) {
        const struct lateness_case *at = &lateness_cases[i];
        make_late(at);

        const enum load_exit exit = judge();

        const struct remarks *told =
            exit == LOAD_INVALID ? &result.invalid : &result.warnings;
        expect_eq(exit, at->exit, "%s: %s", at->what, told->lines[0]);
        expect_eq(told->count, at->text ? 1 : 0, "%s: %s", at->what,
                  told->lines[0]);
        cr_assert(!at->text || strstr(told->lines[0], at->text), "%s: %s",
                  at->what, told->lines[0]);
    }
}

/* Samples of how long responses were in the socket, and how much of a CPU the
 * client used, in hundredths. */
static const struct {
    const char *what;
    enum run_model model;
    struct times times;
    struct times reading;
    uint64_t cpu_percent;
    enum load_exit exit;
    /* Part of the objection or the warning, or NULL if there is none. */
    const char *text;
    /* The longest times are of responses that were read at once. */
    bool is_others;
} readings[] = {
    {"answers that are read at once", RUN_MODEL_CONSTANT, ALL(MS), ALL(30 * US),
     10, LOAD_OK, NULL, false},
    {"a p99 of 4.7 ms of which an answer lay for 1.2 ms", RUN_MODEL_CONSTANT,
     TAIL(1100 * US, 150, 4700 * US), TAIL(30 * US, 15, 1200 * US), 10,
     LOAD_INVALID,
     "the p99 of the response times is 4.70ms, and 1.20ms of it may be the "
     "client's own lateness",
     false},
    {"one of which 0.9 ms do not decide, but are told", RUN_MODEL_CONSTANT,
     TAIL(1100 * US, 150, 4700 * US), TAIL(30 * US, 15, 900 * US), 10, LOAD_OK,
     "percentiles of the response times may be too high: p99 by 24 %", false},
    {"the p50 and the others", RUN_MODEL_CLOSED, ALL(100 * US),
     TAIL(10 * US, 15, 50 * US), 10, LOAD_OK,
     "the service times may be too high: p50 by 11 %, p90 by 11 %, p99 by 11 "
     "%",
     false},
    {"samples that have met a stall which the p99 does not have",
     RUN_MODEL_CLOSED, ALL(300 * US), TAIL(10 * US, 15, 9 * MS), 10, LOAD_OK,
     NULL, false},
    {"the same at a p99 of 3 ms", RUN_MODEL_CLOSED, ALL(3 * MS),
     TAIL(10 * US, 15, 9 * MS), 10, LOAD_OK, NULL, false},
    {"a stall that lets the mean of the samples be 1.6 ms", RUN_MODEL_CLOSED,
     ALL(300 * US), TAIL(10 * US, 30, 45 * MS), 10, LOAD_OK, NULL, false},
    {"all of the p99 in the socket", RUN_MODEL_CLOSED, TAIL(100 * US, 150, MS),
     TAIL(10 * US, 15, MS), 10, LOAD_OK, "p99 by 1000 %", false},
    {"the same of a closed loop", RUN_MODEL_CLOSED,
     TAIL(1100 * US, 150, 4700 * US), TAIL(30 * US, 15, 1200 * US), 10,
     LOAD_INVALID, "the p99 of the service times is 4.70ms", false},
    {"a closed loop that is to keep its thread busy", RUN_MODEL_CLOSED,
     TAIL(1100 * US, 150, 4700 * US), TAIL(30 * US, 15, 1200 * US), 85, LOAD_OK,
     "the client was too slow: the p99 of the service times", false},
    {"from half of the limit on it is told", RUN_MODEL_CLOSED, ALL(4 * MS),
     ALL(600 * US), 10, LOAD_OK, "the run is invalid above 1.00ms", false},
    {"a p99 of 14.6 ms, and others that lay for 4 ms", RUN_MODEL_CLOSED,
     TAIL(5 * MS, 150, 14600 * US), TAIL(30 * US, 15, 4 * MS), 10, LOAD_OK,
     NULL, true},
    {"too few samples for a p99, whose mean is in time", RUN_MODEL_CLOSED,
     ALL(4 * MS), TAIL(30 * US, 9, 9 * MS), 10, LOAD_OK, NULL, false},
};

/* Records samples: the longest ones were read late, or the first ones. No time
 * is shorter than its part in the socket. */
static void record_samples(const struct times *times, const struct times *late,
                           bool is_others)
{
    enum { COUNT = 1000 };
    const struct times tenth = {times->most_ns, times->tail_count / 10,
                                times->tail_ns};

    histogram_clear(&result.times.sampled);
    histogram_clear(&result.times.prompt);
    record(&result.times.reading, COUNT, late);
    for (unsigned i = 0; i < COUNT; i++) {
        const bool is_late =
            is_others ? i < late->tail_count : i >= COUNT - late->tail_count;
        const uint64_t late_ns = is_late ? late->tail_ns : late->most_ns;
        const uint64_t least_ns =
            i < COUNT - tenth.tail_count ? tenth.most_ns : tenth.tail_ns;
        const uint64_t taken_ns = least_ns > late_ns ? least_ns : late_ns;
        histogram_record(&result.times.sampled, taken_ns);
        histogram_record(&result.times.prompt, taken_ns - late_ns);
    }
}

UNIT(load_lateness, answers_that_lay_in_the_socket_are_judged_in_both_models)
{
    const struct lateness_case good = {"",    10000, ALL(MS), ALL(0),
                                       USUAL, NULL,  0,       NULL};

    for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
        const bool is_closed = readings[i].model == RUN_MODEL_CLOSED;
        make_late(&good);
        result.model = readings[i].model;
        histogram_clear(&result.times.response);
        record(is_closed ? &result.times.service : &result.times.response,
               good.count, &readings[i].times);
        record_samples(&readings[i].times, &readings[i].reading,
                       readings[i].is_others);
        result.threads[0].user_ns =
            readings[i].cpu_percent * result.window_ns / 100;

        const enum load_exit exit = judge();

        const struct remarks *told =
            exit == LOAD_INVALID ? &result.invalid : &result.warnings;
        const char *last = told->lines[told->count > 0 ? told->count - 1 : 0];
        expect_eq(exit, readings[i].exit, "%s: %s", readings[i].what, last);
        expect_eq(told->count > 0, readings[i].text != NULL, "%s",
                  readings[i].what);
        bool is_told = !readings[i].text;
        for (size_t k = 0; k < told->count; k++) {
            is_told |= strstr(told->lines[k], readings[i].text) != NULL;
        }
        cr_assert(is_told, "%s: %s", readings[i].what, last);
    }
}

/* Failed responses have no sampled time. */
UNIT(load_lateness, percentiles_of_few_answers_that_succeeded_are_not_judged)
{
    const struct lateness_case at = {
        "", 10000, TAIL(100 * US, 150, 5 * MS), ALL(0), USUAL, NULL, 0, NULL};
    const struct times reading = ALL(10 * US);
    const struct times sampled = TAIL(100 * US, 1, 5 * MS);
    const struct times prompt = ALL(98 * US);

    make_late(&at);
    record(&result.times.reading, 1000, &reading);
    record(&result.times.sampled, 50, &sampled);
    record(&result.times.prompt, 50, &prompt);

    expect_eq(judge(), LOAD_OK, "%s", result.invalid.lines[0]);
    expect_eq(result.warnings.count, 0, "%s", result.warnings.lines[0]);
}

/* Of 1,000 requests some were sent 2 ms late, the responses of others were read
 * 2 ms late, and others took the server 4.7 ms. p99 includes all of them,
 * though none exceeds its own p99. */
UNIT(load_lateness, late_sends_and_late_reads_are_judged_by_what_they_change)
{
    static const struct {
        unsigned sent;
        unsigned read;
        unsigned slow;
        enum load_exit exit;
    } rows[] = {{8, 8, 0, LOAD_INVALID}, {4, 4, 0, LOAD_OK},
                {4, 4, 4, LOAD_INVALID}, {3, 3, 3, LOAD_OK},
                {0, 40, 40, LOAD_OK},    {8, 8, 15, LOAD_OK}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct lateness_case at = {"",    1000, ALL(0), ALL(0),
                                         USUAL, NULL, 0,      NULL};
        make_late(&at);
        histogram_clear(&result.times.response);
        histogram_clear(&result.times.own_lateness);
        for (unsigned k = 0; k < 1000; k++) {
            const bool is_sent_late = k < rows[i].sent;
            const bool is_read_late =
                !is_sent_late && k < rows[i].sent + rows[i].read;
            const uint64_t prompt_ns =
                k < 1000 - rows[i].slow ? 1100 * US : 4700 * US;
            const uint64_t taken_ns =
                prompt_ns + (is_sent_late || is_read_late ? 2 * MS : 0);
            histogram_record(&result.times.response, taken_ns);
            histogram_record(&result.times.own_lateness,
                             is_sent_late ? 2 * MS : 0);
            histogram_record(&result.times.reading, is_read_late ? 2 * MS : 0);
            histogram_record(&result.times.sampled, taken_ns);
            histogram_record(&result.times.prompt, prompt_ns);
        }
        expect_eq(judge(), rows[i].exit, "%zu: %s", i, result.invalid.lines[0]);
        cr_assert(rows[i].exit == LOAD_OK ||
                  strstr(result.invalid.lines[0], "and 2.0"));
    }
}

UNIT(load_lateness, waiting_for_a_connection_is_told_and_then_an_objection)
{
    const struct lateness_case at = {
        "", 10000, {MS, 2000, 9 * MS}, {20 * US, 0, 0}, USUAL, NULL, 0, NULL};
    const struct times waits = {20 * US, 2000, 8 * MS};

    make_late(&at);
    record(&result.times.lateness, at.count, &waits);
    result.waited = 99;
    expect_eq(judge(), LOAD_OK);
    expect_eq(result.warnings.count, 0);

    result.waited = 300;
    expect_eq(judge(), LOAD_OK);
    cr_assert_not_null(strstr(result.warnings.lines[0], "3 % of the requests"));

    result.waited = 2000;
    expect_invalid("20 % of the requests waited because all 2 connections");
}

UNIT(load_lateness, waits_that_change_no_figure_are_no_objection)
{
    const struct lateness_case at = {
        "", 10000, {90 * MS, 0, 0}, {20 * US, 0, 0}, USUAL, NULL, 0, NULL};
    const struct times waits = {20 * US, 2000, 8 * MS};

    make_late(&at);
    record(&result.times.lateness, at.count, &waits);
    result.waited = 2000;

    expect_eq(judge(), LOAD_OK);
    expect_eq(result.warnings.count, 1);
}
