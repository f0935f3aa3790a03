/*
 * The strongest objection decides: an interrupted run is interrupted, a run
 * in which nothing succeeded shows nothing, errors beyond the budget come
 * before doubts about the measurement.
 *
 * A connection that was never answered is an error whenever it failed: what
 * fails in the warm-up is not measured, and the rest of the run would look as
 * if there were fewer connections. It counts once.
 *
 * A busy client is a warning and not an objection: in a closed loop the rate
 * is meant to be as high as both ends together allow.
 */
#include "verdict.h"
#include "exits.h"

#include <stdarg.h>
#include <stdio.h>

/* Above this share of a CPU the client may be what is measured. */
#define BUSY_SHARE 0.80

/* In a shorter window these shares are a matter of chance. */
#define JUDGED_WINDOW_NS UINT64_C(100000000)

/* More waiting for a CPU than this share of the window is worth a warning. */
#define WAIT_SHARE 0.01

__attribute__((format(printf, 2, 3))) static void add(struct remarks *remarks,
                                                      const char *format, ...)
{
    va_list args;

    if (remarks->count == RESULT_REMARKS_MAX) {
        return;
    }
    va_start(args, format);
    vsnprintf(remarks->lines[remarks->count], RESULT_REMARK_SIZE, format, args);
    va_end(args);
    remarks->count++;
}

static bool is_over_budget(const struct result *result)
{
    const struct run_options *options = result->options;
    uint64_t errors = verdict_error_count(result);

    if (!options->max_errors_is_share) {
        return errors > options->max_errors;
    }
    double attempts = (double)result->measured.sent +
                      (double)result->events_without_request +
                      (double)result->unseen_failures;
    return (double)errors * 1e6 > (double)options->max_errors * attempts;
}

static void find_objections(struct result *result)
{
    const struct run_options *options = result->options;
    struct remarks *invalid = &result->invalid;
    const struct ledger *measured = &result->measured;
    uint64_t known =
        measured->ok + measured->failed + measured->timeout + result->in_flight;

    if (measured->sent != known) {
        add(invalid, "%llu requests sent, but %llu accounted for",
            (unsigned long long)measured->sent, (unsigned long long)known);
    }
    if (!result->measured_began) {
        add(invalid, "measuring has not begun");
        return;
    }
    /* In mode crr connections come and go. */
    if (options->mode != RUN_MODE_CRR &&
        result->open_at_begin < options->conn_count) {
        add(invalid,
            "only %llu of %llu connections were open when measuring began",
            (unsigned long long)result->open_at_begin,
            (unsigned long long)options->conn_count);
    }
    if (result->in_flight > 0 && !result->interrupted) {
        add(invalid, "%llu requests were unanswered at the end",
            (unsigned long long)result->in_flight);
    }
    if (result->gave_up) {
        add(invalid, "ended early, because no request succeeded any more");
    }
    if (measured->ok > 0 && result->completed == 0) {
        add(invalid, "no answer arrived within the measured time");
    }
}

static void find_warnings(struct result *result)
{
    struct remarks *warnings = &result->warnings;
    bool is_long = result->window_ns >= JUDGED_WINDOW_NS;
    double share = verdict_cpu_share(result);
    double wait = result->window_ns ? (double)result->usage.run_queue_wait_ns /
                                          (double)result->window_ns
                                    : 0;

    if (is_long && share > BUSY_SHARE) {
        add(warnings,
            "the client used %.0f %% of a CPU and may be the bottleneck",
            share * 100);
    }
    if (is_long && wait > WAIT_SHARE) {
        add(warnings,
            "the client waited %.1f %% of the time for a CPU; that is in the "
            "latencies",
            wait * 100);
    }
    if (result->overflows > 0) {
        add(warnings, "the completion queue overflowed %llu times",
            (unsigned long long)result->overflows);
    }
    if (result->warmup.failed + result->warmup.timeout > 0) {
        add(warnings, "%llu requests failed during the warm-up",
            (unsigned long long)(result->warmup.failed +
                                 result->warmup.timeout));
    }
    if (result->options->tls.resume_share > 0 && result->tls.resumed == 0) {
        add(warnings, "no session was resumed; the server takes none");
    }
    if (result->service.overflows > 0) {
        add(warnings, "%llu latencies were beyond the histogram's range",
            (unsigned long long)result->service.overflows);
    }
}

/* True if all objectives hold. */
static bool judge_objectives(struct result *result)
{
    const struct slo *slo = &result->options->slo;
    const struct histogram *response = &result->response;
    double window_ns = (double)result->window_ns;
    const struct slo_facts facts = {
        .times = {[SLO_RESPONSE] =
                      response->count > 0 ? response : &result->service,
                  [SLO_SERVICE] = &result->service,
                  [SLO_CONNECT] = &result->connect,
                  [SLO_TLS] = &result->handshake,
                  [SLO_TTFB] = &result->ttfb,
                  [SLO_LATE] = &result->lateness},
        .offered = result->measured.scheduled,
        .errors = verdict_error_count(result),
        .timeouts = result->measured.timeout,
        .dropped = result->measured.dropped,
        .rate = window_ns > 0 ? (double)result->completed * 1e9 / window_ns : 0,
        .offered_rate = result->offered_rate,
    };
    bool all_pass = true;

    for (size_t i = 0; i < slo->count; i++) {
        result->slo[i] = slo_judge(&slo->terms[i], &facts);
        all_pass &= result->slo[i].passed;
    }
    return all_pass;
}

void verdict_reach(struct result *result)
{
    bool objectives_hold = judge_objectives(result);

    result->invalid.count = 0;
    result->warnings.count = 0;
    find_objections(result);
    find_warnings(result);
    if (result->interrupted) {
        result->exit = LOAD_INTERRUPTED;
    } else if (result->measured.ok == 0) {
        result->exit = LOAD_NOTHING;
    } else if (is_over_budget(result)) {
        result->exit = LOAD_ERRORS;
    } else if (result->invalid.count > 0) {
        result->exit = LOAD_INVALID;
    } else if (!objectives_hold) {
        result->exit = LOAD_SLO;
    } else {
        result->exit = LOAD_OK;
    }
}

const char *verdict_word(const struct result *result)
{
    switch (result->exit) {
    case LOAD_OK:
        return "VALID";
    case LOAD_INTERRUPTED:
        return "INTERRUPTED";
    case LOAD_INVALID:
        return "INVALID";
    default:
        return "FAILED";
    }
}

uint64_t verdict_error_count(const struct result *result)
{
    return result->measured.failed + result->measured.timeout +
           result->events_without_request + result->unseen_failures;
}

double verdict_cpu_share(const struct result *result)
{
    uint64_t cpu_ns = result->usage.user_ns + result->usage.system_ns;

    return result->window_ns ? (double)cpu_ns / (double)result->window_ns : 0;
}
