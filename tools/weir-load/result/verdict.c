/*
 * Decides whether the result of a run is valid, and makes the remarks about it.
 *
 * The order of the verdicts is: interrupted, no success at all, more errors
 * than allowed, doubts about the measurement, an objective that does not hold.
 *
 * A connection without any answer counts as one error even if it failed in the
 * warm-up. Otherwise the run would seem to have had fewer connections.
 *
 * In a closed loop, which is to reach the highest rate, a busy client is only a
 * warning. Other programs on the client's CPUs never make a run invalid: only
 * the client's lateness and its waits for a CPU do.
 */
#include "result.h"
#include "tools/common/units.h"
#include "tools/weir-load/base/base.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Share of a CPU above which the client may be the bottleneck. */
#define BUSY_SHARE 0.80

/* Share of a CPU above which a thread is saturated and may not have kept the
 * schedule of an open model. */
#define SATURATED_SHARE 0.95

/* In a shorter window these shares are random. */
#define JUDGED_WINDOW_NS UINT64_C(100000000)

/* An open model has held its rate if this share of requests was answered in
 * time. */
#define HELD_SHARE 0.99

/* Share of the lateness limit from which a warning is printed. */
#define MENTIONED_PART 0.5

/* Percentages of requests that waited for a connection, from which a warning is
 * printed, and from which the run may be invalid (judge_waiting()). */
#define WAITED_MENTIONED 1U
#define WAITED_MOST      10U

/* A stall counts as hidden by a closed loop if it takes at least this time and
 * this multiple of the p99. */
#define STALL_MIN_NS UINT64_C(50000000)
#define STALL_FACTOR 4U

/* CPUs count as shared if others use at least SHARED_PART of them and less than
 * IDLE_PART is idle. Remarks mention this as a reason. */
#define SHARED_PART 0.25
#define IDLE_PART   0.05

/* Share of the window that threads waited for a CPU, above which a warning is
 * printed. */
#define WAIT_SHARE 0.01

/* Share of a closed loop's rate that waits may cost, above which the run is
 * invalid. */
#define LOST_MOST 0.05

/* In a shorter window the client's waits are random. */
#define WAIT_WINDOW_NS UINT64_C(1000000000)

/* A delayed acknowledgement takes 40 ms, plus or minus a tick of the kernel's
 * clock. */
#define ACK_LEAST_NS UINT64_C(38000000)
#define ACK_MOST_NS  UINT64_C(50000000)

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

uint64_t verdict_attempt_count(const struct result *result)
{
    return result->measured.sent + result->events_without_request +
           result->unseen_failures;
}

static bool is_failure(const struct http_options *http, unsigned status)
{
    return http->has_expected ? !http->expected[status] : status >= 400;
}

/* Returns true if an objective limits this figure of the kind named @kind, or
 * of all requests if @kind is "". */
static bool speaks_of(const struct slo *slo, enum slo_figure figure,
                      unsigned status, const char *kind)
{
    for (size_t i = 0; i < slo->count; i++) {
        const struct slo_term *term = &slo->terms[i];
        if (term->figure == figure && strcmp(term->kind, kind) == 0 &&
            (figure != SLO_STATUS ||
             (status >= term->first_status && status <= term->last_status))) {
            return true;
        }
    }
    return false;
}

/* Counts errors of a kind that objectives limit: all its errors, or its
 * timeouts and statuses. */
static uint64_t count_judged(const struct result *result, size_t place)
{
    const struct run_options *options = result->options;
    const struct kind_record *kind = &result->kinds[place];
    const char *name = options->groups->names[place];
    uint64_t count = 0;

    if (speaks_of(&options->slo, SLO_ERRORS, 0, name)) {
        return kind->counts.failed + kind->counts.timeout;
    }
    if (speaks_of(&options->slo, SLO_TIMEOUTS, 0, "") ||
        speaks_of(&options->slo, SLO_TIMEOUTS, 0, name)) {
        count += kind->counts.timeout;
    }
    for (unsigned status = 1; status < TRAFFIC_STATUS_COUNT; status++) {
        if (kind->status[status] > 0 && is_failure(&options->http, status) &&
            (speaks_of(&options->slo, SLO_STATUS, status, "") ||
             speaks_of(&options->slo, SLO_STATUS, status, name))) {
            count += kind->status[status];
        }
    }
    return count;
}

/* Counts errors that objectives on timeouts, statuses or kinds limit. For these
 * errors the objective replaces --max-errors. */
static uint64_t count_all_judged(const struct result *result)
{
    const struct run_options *options = result->options;
    uint64_t count = 0;

    if (!result->kinds && speaks_of(&options->slo, SLO_TIMEOUTS, 0, "")) {
        count += result->measured.timeout;
    }
    for (size_t i = 0; result->kinds && i < options->groups->count; i++) {
        count += count_judged(result, i);
    }
    for (unsigned status = 1; !result->kinds && status < TRAFFIC_STATUS_COUNT;
         status++) {
        if (result->status[status] > 0 && is_failure(&options->http, status) &&
            speaks_of(&options->slo, SLO_STATUS, status, "")) {
            count += result->status[status];
        }
    }
    return count;
}

static bool is_over_budget(const struct result *result)
{
    const struct run_options *options = result->options;
    uint64_t errors = verdict_error_count(result);

    if (!options->has_max_errors && !options->max_errors_is_share &&
        options->max_errors == 0) {
        return errors > count_all_judged(result);
    }

    if (!options->max_errors_is_share) {
        return errors > options->max_errors;
    }
    return (double)errors * 1e6 >
           (double)options->max_errors * (double)verdict_attempt_count(result);
}

/* Returns true if HELD_SHARE of the requests scheduled in the window were
 * answered in it.
 *
 * Some requests are in flight at the end of the window, and without a warm-up
 * none were at its start. If requests are due at random and the server handles
 * them independently, each of these two numbers has a Poisson distribution,
 * whose variance is its mean: by Little's law the rate times the mean response
 * time. So three standard deviations fewer answers are accepted, which one of
 * 700 runs misses by chance, and one more for fractions of requests. In a
 * server with a queue the numbers vary more: at nine tenths of its capacity one
 * of 20 runs of a few hundred requests misses more by chance. */
static bool is_rate_held(const struct result *result, double answered)
{
    const double usual_ns = (double)histogram_quantile(&result->times.response,
                                                       HISTOGRAM_WHOLE / 10);
    const double on_way = result->offered_rate * usual_ns / 1e9;
    const bool begins_empty = result->options->warmup_ns == 0;
    const bool is_random = result->model == RUN_MODEL_POISSON;
    const double varying =
        result->offered_rate * histogram_mean(&result->times.response) / 1e9;
    const double variance = is_random ? varying * (begins_empty ? 1 : 2) : 0;

    double lacking = HELD_SHARE * (double)result->measured.scheduled - answered;
    lacking -= begins_empty ? on_way : 0;
    lacking -= begins_empty || is_random ? 1 : 0;
    return lacking <= 0 || lacking * lacking <= 9 * variance;
}

static double find_busiest(const struct result *result)
{
    uint64_t most_ns = 0;

    for (size_t i = 0; i < result->thread_count; i++) {
        const struct result_thread *thread = &result->threads[i];
        uint64_t cpu_ns = thread->user_ns + thread->system_ns;
        most_ns = cpu_ns > most_ns ? cpu_ns : most_ns;
    }
    return result->window_ns ? (double)most_ns / (double)result->window_ns : 0;
}

static bool is_client_slow(const struct result *result)
{
    const struct lateness_figure worst = lateness_of_client(result);

    return lateness_part(&worst) > 1 ||
           (result->window_ns >= JUDGED_WINDOW_NS &&
            find_busiest(result) > SATURATED_SHARE);
}

/* Returns true if too few answers arrived in each half of the window. A server
 * that was stopped for a while falls behind in one half only. */
static bool lacks_answers_throughout(const struct result *result)
{
    double offered[2] = {0};
    double answered[2] = {0};

    for (size_t i = 0; i < result->row_count; i++) {
        const struct interval *row = &result->rows[i].counts;
        const size_t half = slowing_part_of(row, result->window_ns, 2);
        offered[half] += (double)row->offered;
        answered[half] += (double)(row->ok + row->failed + row->timeout);
    }
    for (size_t half = 0; half < 2; half++) {
        if (offered[half] <= 0 ||
            answered[half] >= HELD_SHARE * offered[half]) {
            return false;
        }
    }
    return true;
}

static bool were_all_busy(const struct result *result)
{
    return result->waited > 0 ||
           (result->options->late_is_skipped && result->measured.dropped > 0);
}

static void tell_overload(struct result *result, double answered)
{
    const double window_s = (double)result->window_ns / 1e9;
    const double unserved = (double)result->measured.scheduled - answered;
    const bool is_skipped = result->options->late_is_skipped;
    char fate[RESULT_REMARK_SIZE / 4];
    char room[RESULT_REMARK_SIZE / 4] = "";

    if (is_skipped) {
        result->unserved = result->measured.dropped;
        snprintf(fate, sizeof(fate), "%llu requests were never sent",
                 LLU(result->measured.dropped));
    } else {
        result->unserved = (uint64_t)unserved;
        snprintf(fate, sizeof(fate),
                 "the queue grew by %.0f requests in %.3g s, so latencies do "
                 "not describe the server",
                 unserved, window_s);
    }
    if (were_all_busy(result) && result->http2.allowed == 0) {
        snprintf(room, sizeof(room),
                 "; all %llu connections were busy: if more connections (-c) "
                 "reach no higher rate, the server is the limit",
                 LLU(result->options->conn_count));
    }
    add(&result->invalid,
        "overload: the server answers %.0f/s of %.0f/s requested; %s%s",
        answered / window_s, (double)result->measured.scheduled / window_s,
        fate, room);
}

/* Checks whether the rate was held. Returns true if the server was overloaded,
 * which explains later remarks. */
static bool judge_rate(struct result *result)
{
    const struct ledger *measured = &result->measured;
    double scheduled = (double)measured->scheduled;
    double answered =
        (double)(result->completed + measured->failed + measured->timeout);
    char room[RESULT_REMARK_SIZE / 4] = "";

    if (is_rate_held(result, answered)) {
        return false;
    }
    if (result->completed > 0 && measured->ok == 0) {
        add(&result->invalid,
            "overload: all %llu answers were to requests of the warm-up; a "
            "lower rate (-R) leaves no such backlog",
            LLU(result->completed));
    }
    /* If all connections were busy, more connections might have had more
     * answers. The server is then called overloaded only if it became
     * slower. */
    if (result->completed > 0 && !is_client_slow(result) &&
        lacks_answers_throughout(result) &&
        (!were_all_busy(result) ||
         slowing_is_shown(result->rows, result->row_count,
                          result->window_ns))) {
        tell_overload(result, answered);
        return true;
    }
    if (were_all_busy(result)) {
        snprintf(
            room, sizeof(room),
            "; all %llu connections were busy, more connections (-c) may help",
            LLU(result->options->conn_count));
    }
    add(&result->invalid,
        "%.1f %% of the scheduled requests were answered in time%s%s",
        answered / scheduled * 100,
        measured->dropped > 0 ? ", some never sent" : "", room);
    return false;
}

/* Returns the thread whose CPUs are the least idle, among those that other
 * programs use much, or NULL. */
static const struct result_thread *find_crowded(const struct result *result)
{
    const struct result_thread *worst = NULL;

    for (size_t i = 0; i < result->thread_count; i++) {
        const struct result_thread *thread = &result->threads[i];
        if (thread->sharing.cpu_count > 0 &&
            sharing_others_part(&thread->sharing) >= SHARED_PART &&
            (!worst || sharing_idle_part(&thread->sharing) <
                           sharing_idle_part(&worst->sharing))) {
            worst = thread;
        }
    }
    return worst;
}

static const char *name_cpus(const struct result *result,
                             const struct result_thread *thread,
                             char text[RESULT_REMARK_SIZE / 8])
{
    const size_t size = RESULT_REMARK_SIZE / 8;
    const struct cpus *cpus = &result->options->client_cpus;

    if (thread->cpu >= 0 && cpus->count > 1) {
        snprintf(text, size, "CPU %d, to which a thread is bound", thread->cpu);
    } else if (thread->sharing.cpu_count == 1) {
        snprintf(text, size, "CPU %d, the only one that the client may use",
                 cpus->list[0]);
    } else {
        snprintf(text, size, "the %zu CPUs that the client may use",
                 thread->sharing.cpu_count);
    }
    return text;
}

/* Writes which programs used up the client's CPUs, as the reason in a remark,
 * or "" if none did. */
static const char *tell_sharing(const struct result *result,
                                char text[RESULT_REMARK_SIZE / 4])
{
    const struct result_thread *thread = find_crowded(result);
    char cpus[RESULT_REMARK_SIZE / 8];

    text[0] = '\0';
    if (thread && sharing_idle_part(&thread->sharing) < IDLE_PART) {
        const struct sharing *sharing = &thread->sharing;
        const bool is_stolen = sharing->stolen > sharing->others / 2;
        snprintf(text, RESULT_REMARK_SIZE / 4,
                 "; %s used %.0f %% of %s, and %.0f %% was left idle",
                 is_stolen ? "other virtual machines" : "other programs",
                 sharing_others_part(sharing) * 100,
                 name_cpus(result, thread, cpus),
                 sharing->idle / (double)sharing->cpu_count * 100);
    }
    return text;
}

/* Checks how much the client's lateness adds to the reported latencies. */
static void judge_lateness(struct result *result, struct remarks *doubts)
{
    const struct lateness_figure worst = lateness_of_client(result);
    const bool is_beyond = lateness_part(&worst) > 1;
    const char *times =
        result->times.response.count > 0 ? "response" : "service";
    char response[UNITS_TEXT_SIZE];
    char value[UNITS_TEXT_SIZE];
    char limit[UNITS_TEXT_SIZE];
    char others[RESULT_REMARK_SIZE / 4];

    if (lateness_part(&worst) < MENTIONED_PART) {
        return;
    }
    units_format_time((uint64_t)worst.response_ns, response);
    units_format_time((uint64_t)worst.late_ns, value);
    units_format_time((uint64_t)worst.limit_ns, limit);
    add(is_beyond ? doubts : &result->warnings,
        is_beyond
            ? "the client was too slow: the %s of the %s times is %s, and %s "
              "of it may be the client's own lateness, more than %s; give it "
              "an idle CPU (--cpu), or allow more (--lateness-limit)%s"
            : "the %s of the %s times is %s, and %s of it may be the client's "
              "own lateness; the run is invalid above %s (--lateness-limit)%s",
        worst.name, times, response, value, limit,
        tell_sharing(result, others));
}

/* Checks waits for a CPU, which reduce the rate of a closed loop. */
static void judge_cpu_waits(struct result *result, struct remarks *doubts)
{
    const double window_ns =
        (double)result->window_ns * (double)result->thread_count;
    const double part =
        window_ns > 0 ? (double)result->usage.run_queue_wait_ns / window_ns : 0;
    const double lost = lateness_lost_share(result, part);
    const bool is_beyond = result->model == RUN_MODEL_CLOSED &&
                           result->window_ns >= WAIT_WINDOW_NS &&
                           lost > LOST_MOST;
    char others[RESULT_REMARK_SIZE / 4];
    char loss[RESULT_REMARK_SIZE / 4] = "";

    if (result->window_ns < JUDGED_WINDOW_NS || part <= WAIT_SHARE) {
        return;
    }
    if (is_beyond) {
        snprintf(
            loss, sizeof(loss),
            ", and costs a closed loop up to %.0f %% of its rate: give it an "
            "idle CPU (--cpu) or fewer threads (-t), or allow it (--force)",
            lost * 100);
    }
    add(is_beyond ? doubts : &result->warnings,
        "the client waited %.1f %% of the time for a CPU, which adds to the "
        "latencies%s%s",
        part * 100, loss, tell_sharing(result, others));
}

static const char *name_room(const struct result *result, char *text,
                             size_t size)
{
    if (result->http2.allowed > 0) {
        snprintf(text, size,
                 "for a stream, of which the server allows %llu on each of the "
                 "%llu connections (-c)",
                 LLU(result->http2.allowed), LLU(result->options->conn_count));
    } else {
        snprintf(text, size, "because all %llu connections were busy (-c)",
                 LLU(result->options->conn_count));
    }
    return text;
}

/* Checks requests that found no free connection. Their response times include
 * the wait for one, which the server may not have caused. */
static void judge_waiting(struct result *result, struct remarks *doubts)
{
    const struct histogram *late = &result->times.lateness;
    const struct lateness_figure worst = lateness_of_sends(result, late);
    const uint64_t percent =
        late->count > 0 ? result->waited * 100 / late->count : 0;
    const bool is_beyond = percent >= WAITED_MOST &&
                           result->http2.allowed == 0 &&
                           lateness_part(&worst) > 1;
    char room[RESULT_REMARK_SIZE / 4];

    if (percent < WAITED_MENTIONED) {
        return;
    }
    add(is_beyond ? doubts : &result->warnings,
        "%llu %% of the requests waited %s; that is part of the response "
        "times, and more connections show whether the server or their number "
        "is the limit",
        LLU(percent), name_room(result, room, sizeof(room)));
}

/* Returns true if there are objectives, and all hold although the client was
 * late. Lateness only makes latencies longer, so it can help only an objective
 * that requires long ones. */
static bool holds_in_spite(const struct result *result)
{
    const struct slo *slo = &result->options->slo;

    for (size_t i = 0; i < slo->count; i++) {
        const struct slo_term *term = &slo->terms[i];
        const bool wants_more =
            term->comparison == SLO_MORE || term->comparison == SLO_AT_LEAST;
        /* This process has only a part of the rate, but the limit is for the
         * whole. */
        if (result->options->part.count > 1 && term->figure == SLO_RATE) {
            continue;
        }
        if (!result->slo[i].passed ||
            (wants_more && slo_is_latency(term->figure))) {
            return false;
        }
    }
    return slo->count > 0;
}

/* Checks the client's lateness. In a closed loop a busy thread is expected, and
 * late reads are a consequence. */
static void judge_client(struct result *result, struct remarks *doubts)
{
    const bool is_closed = result->model == RUN_MODEL_CLOSED;
    char shares[RESULT_REMARK_SIZE / 4];

    if (is_closed && result->options->is_forced) {
        doubts = &result->warnings;
    }
    judge_cpu_waits(result, doubts);
    if (is_closed && find_busiest(result) > BUSY_SHARE) {
        doubts = &result->warnings;
    }
    judge_lateness(result, doubts);
    if (lateness_write_shares(result, shares, sizeof(shares))) {
        add(&result->warnings,
            "the client was late, so that percentiles of the %s times may be "
            "too high: %s",
            is_closed ? "service" : "response", shares);
    }
}

/* Checks whether requests were sent on schedule and answers read at once. */
static void judge_schedule(struct result *result)
{
    struct remarks *doubts =
        holds_in_spite(result) ? &result->warnings : &result->invalid;
    double share = find_busiest(result);

    if (result->interrupted || result->measured.scheduled == 0) {
        return;
    }
    const bool is_closed = result->model == RUN_MODEL_CLOSED;
    const bool is_overload = !is_closed && judge_rate(result);
    judge_client(result, doubts);
    if (is_closed) {
        return;
    }
    if (!is_overload) {
        judge_waiting(result, doubts);
    }
    if (result->window_ns >= JUDGED_WINDOW_NS && share > SATURATED_SHARE) {
        add(doubts,
            "a thread of the client used %.0f %% of its CPU, and was saturated",
            share * 100);
    }
}

static void judge_means(struct result *result)
{
    const bool may_be_ports =
        result->shortage == -EADDRNOTAVAIL || result->shortage == -EADDRINUSE;

    if (result->shortages > 0) {
        add(&result->invalid,
            "this machine had no resources for %llu attempts to connect: %s "
            "(%s)%s",
            LLU(result->shortages), error_code_text(result->shortage),
            error_code_name(result->shortage),
            may_be_ports ? "; a port is kept for a minute if the client closes "
                           "first (TIME_WAIT): use more local addresses "
                           "(--bind) or targets, a lower rate, a wider "
                           "net.ipv4.ip_local_port_range, or "
                           "net.ipv4.tcp_tw_reuse=1"
                         : "");
    }
}

static void find_objections(struct result *result)
{
    const struct run_options *options = result->options;
    struct remarks *invalid = &result->invalid;
    const struct ledger *measured = &result->measured;
    uint64_t known = measured->ok + measured->failed + measured->timeout +
                     measured->in_flight;

    if (measured->scheduled != measured->sent + measured->dropped) {
        add(invalid, "%llu requests scheduled, but %llu sent or dropped",
            LLU(measured->scheduled), LLU(measured->sent + measured->dropped));
    }
    if (measured->sent != known) {
        add(invalid, "%llu requests sent, but %llu accounted for",
            LLU(measured->sent), LLU(known));
    }
    judge_means(result);
    if (!result->measured_began) {
        add(invalid, "the measurement has not started");
        return;
    }
    if (result->begin_late_ns > 0) {
        add(invalid,
            "sending began %.3f s after --start-at: the connections were not "
            "established before%s",
            (double)result->begin_late_ns / 1e9,
            options->part.count > 1 ? ", and the other parts did not wait"
                                    : "");
    }
    /* With churn, the number of open connections changes all the time. */
    if (!options_is_churn(options) &&
        result->connections.open_at_begin < options_first_conns(options)) {
        add(invalid,
            "only %llu of %llu connections were open when the measurement "
            "started",
            LLU(result->connections.open_at_begin),
            LLU(options_first_conns(options)));
    }
    if (result->gave_up) {
        add(invalid, "ended early, because no request succeeded any more");
    }
    if (measured->ok > 0 && result->completed == 0) {
        add(invalid, "no answer arrived within the measured time");
    }
    judge_schedule(result);
    /* If the rate was not held, the remark about it includes these requests. */
    if (measured->in_flight > 0 && !result->interrupted &&
        result->unserved == 0) {
        add(invalid, "%llu requests were unanswered at the end",
            LLU(measured->in_flight));
    }
    if (measured->ok == 0 && result->completed > 0 && invalid->count == 0) {
        add(invalid,
            "all %llu answers of the window were to requests of the warm-up",
            LLU(result->completed));
    }
}

/* Finds a stall, which a closed loop hides: it sends nothing while the server
 * does not answer, so one long answer per connection replaces all requests that
 * would have been sent. */
static void find_stall(struct result *result)
{
    char text[UNITS_TEXT_SIZE];

    if (result->model != RUN_MODEL_CLOSED || result->stall_ns < STALL_MIN_NS ||
        result->stall_ns / STALL_FACTOR <
            histogram_quantile(&result->times.service, 99000)) {
        return;
    }
    add(&result->warnings,
        "no answer arrived for %s; the percentiles of a closed loop hide such "
        "a stall, -R RATE shows it",
        units_format_time(result->stall_ns, text));
}

/* Warns of redirects, which other tools would follow, unless --expect names
 * statuses. */
static void find_redirects(struct result *result)
{
    static const unsigned redirects[] = {301, 302, 303, 307, 308};
    char url[ELSEWHERE_SIZE] = "";
    struct shell_line line;
    uint64_t count = 0;

    for (size_t i = 0; i < sizeof(redirects) / sizeof(redirects[0]); i++) {
        count += result->status[redirects[i]];
    }
    if (count == 0 || result->options->http.has_expected) {
        return;
    }
    const bool has_url = result->location[0] && elsewhere_find(result, url);
    const bool has_line = has_url && elsewhere_write(result, url, &line);
    add(&result->warnings,
        "%llu answers were redirects%s%.200s, which are not followed, so the "
        "redirecting server was measured; --expect 2xx makes them failures, "
        "--expect 3xx expects them%s%.300s",
        LLU(count), has_url ? " to " : "", url,
        has_line ? "; to load that target write: " : "",
        has_line ? line.text : "");
}

/* Warns if the server allowed fewer streams than requested, which makes a
 * different load. */
static void find_limit(struct result *result)
{
    const struct h2_counts *http2 = &result->http2;

    if (http2->limited > 0) {
        add(&result->warnings,
            "the server allows %llu streams on a connection, not the %llu that "
            "-p asks for; more connections (-c) have more requests in flight",
            LLU(http2->allowed), LLU(result->options->depth));
    }
}

static void find_stops(struct result *result)
{
    const struct h2_counts *http2 = &result->http2;
    char text[UNITS_TEXT_SIZE];

    if (http2->window_stopped_ns > 0) {
        add(&result->warnings,
            "the client's windows have stopped the server %llu times, for %s "
            "in total, which is part of the latencies; a larger --window and "
            "--conn-window avoid it",
            LLU(http2->window_stops),
            units_format_time(http2->window_stopped_ns, text));
    }
}

/* Warns of answers whose second part arrives only after the client's kernel has
 * acknowledged the first. */
static void find_delayed_ack(struct result *result)
{
    const uint64_t first_ns =
        histogram_quantile(&result->times.ttfb, HISTOGRAM_WHOLE / 2);
    const uint64_t rest_ns =
        histogram_quantile(&result->times.service, HISTOGRAM_WHOLE / 2) -
        first_ns;
    char text[UNITS_TEXT_SIZE];

    if (first_ns > 0 && rest_ns >= ACK_LEAST_NS && rest_ns <= ACK_MOST_NS) {
        add(&result->warnings,
            "the rest of an answer arrives %s after its first byte, as after a "
            "delayed acknowledgement: a server that writes an answer in parts "
            "needs TCP_NODELAY",
            units_format_time(rest_ns, text));
    }
}

static void find_warnings(struct result *result)
{
    struct remarks *warnings = &result->warnings;
    bool is_long = result->window_ns >= JUDGED_WINDOW_NS;
    double share = find_busiest(result);

    find_stall(result);
    find_redirects(result);
    find_limit(result);
    find_stops(result);
    find_delayed_ack(result);
    if (result->options->shares_cpus) {
        add(warnings, "client and server shared CPUs, as --force allows");
    }
    if (is_long && share > BUSY_SHARE) {
        add(warnings, "%s used %.0f %% of a CPU and may be the bottleneck",
            result->thread_count > 1 ? "a thread of the client" : "the client",
            share * 100);
    }
    if (result->loop.overflows > 0) {
        add(warnings, "the completion queue overflowed %llu times",
            LLU(result->loop.overflows));
    }
    if (result->warmup.failed + result->warmup.timeout > 0) {
        add(warnings, "%llu requests failed during the warm-up",
            LLU(result->warmup.failed + result->warmup.timeout));
    }
    if (result->connections.repeated > 0) {
        add(warnings,
            "%llu requests were sent again: the server had %sclosed their "
            "connections before it started to answer",
            LLU(result->connections.repeated),
            options_may_speak_http2(result->options) ? "refused them or " : "");
    }
    if (result->connections.not_closed > 0) {
        add(warnings,
            "the server left %llu connections open after their last answer, "
            "and the client closed them",
            LLU(result->connections.not_closed));
    }
    if (result->options->tls.resume_share > 0 && result->tls.resumed == 0) {
        add(warnings, "no session was resumed; the server resumes none");
    }
    if (result->options->sockets.fast_open &&
        result->connections.fast_opened == 0) {
        add(warnings, "no connection sent bytes with its SYN; the server or "
                      "the path may not support TCP Fast Open");
    }
    if (result->log_dropped > 0) {
        add(warnings,
            "%llu requests are not in the file of --log, which was too slow "
            "for %llu others",
            LLU(result->log_dropped), LLU(result->log_lines));
    }
    if (result->times.service.overflows > 0) {
        add(warnings, "%llu latencies were beyond the histogram's range",
            LLU(result->times.service.overflows));
    }
}

static bool find_kind(const void *owner, const char *name,
                      struct slo_facts *ret)
{
    const struct result *result = owner;
    const struct run_options *options = result->options;
    const size_t place = kinds_find(options->groups, name);
    const double window_ns = (double)result->window_ns;

    if (place == options->groups->count) {
        return false;
    }
    const struct kind_record *kind = &result->kinds[place];
    *ret = (struct slo_facts){
        .times = {[SLO_RESPONSE] = &kind->latency},
        .offered = kinds_requests(&kind->counts),
        .errors = kind->counts.failed + kind->counts.timeout,
        .timeouts = kind->counts.timeout,
        .rate = window_ns > 0 ? (double)kind->counts.completed * 1e9 / window_ns
                              : 0,
        .status = options->mode == RUN_MODE_HTTP ? kind->status : NULL,
    };
    return true;
}

/* Returns true if all objectives hold. With --part it always returns true,
 * because objectives apply to the merged results of all processes. */
static bool judge_objectives(struct result *result)
{
    const struct slo *slo = &result->options->slo;
    double window_ns = (double)result->window_ns;
    struct slo_facts facts = {
        .offered = result->measured.scheduled,
        .errors = verdict_error_count(result),
        .timeouts = result->measured.timeout,
        .dropped = result->measured.dropped,
        .rate = window_ns > 0 ? (double)result->completed * 1e9 / window_ns : 0,
        .offered_rate = result->offered_rate,
        .status =
            result->options->mode == RUN_MODE_HTTP ? result->status : NULL,
        .find_kind = result->kinds ? find_kind : NULL,
        .owner = result,
    };
    bool all_pass = true;

    for (size_t i = 0; i < SLO_TIMES_COUNT; i++) {
        facts.times[i] = fields_times_in(result, (enum slo_times)i);
    }
    if (result->times.response.count == 0) {
        facts.times[SLO_RESPONSE] = &result->times.service;
    }
    for (size_t i = 0; i < slo->count; i++) {
        result->slo[i] = slo_judge(&slo->terms[i], &facts);
        all_pass &= result->slo[i].passed;
    }
    return all_pass || result->options->part.count > 1;
}

void verdict_reach(struct result *result)
{
    bool objectives_hold = judge_objectives(result);

    result->invalid.count = 0;
    result->warnings.count = 0;
    result->unserved = 0;
    find_warnings(result);
    find_objections(result);
    if (result->interrupted) {
        result->exit = LOAD_INTERRUPTED;
    } else if (result->measured.ok == 0 && result->completed == 0) {
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
