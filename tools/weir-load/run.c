/*
 * The phases of a run, and what each change of phase means:
 *
 *   ramp     connect; ends when every connection stands or has failed once
 *   warm-up  requests are sent and not counted, for -w
 *   measure  counted, for -d or until -n requests were sent
 *   drain    nothing more is sent, what is under way may still be answered
 *   over     the result is fixed, the loop stops
 *
 * A signal, or a server with which nothing ever succeeds, leads to the end
 * from everywhere.
 */
#include "run.h"
#include "exits.h"
#include "tools/common/console.h"

#include "client.h"
#include "names.h"
#include "outputs.h"
#include "tools/common/limits.h"
#include "verdict.h"

#include "weir/error.h"
#include "weir/inspect.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

/* How long answers may still come in at the end, at most. */
#define DRAIN_LIMIT_NS (10 * SECOND)

/* A run without a duration ends when nothing has succeeded for so long. */
#define GIVE_UP_NS (10 * SECOND)

enum run_phase {
    RUN_RAMP,
    RUN_WARMUP,
    RUN_MEASURE,
    RUN_DRAIN,
    RUN_OVER,
};

struct run {
    struct run_options *options;
    weir_loop *loop;
    struct client client;
    enum run_phase phase;
    struct weir_handle phase_end;
    /* Latencies of the interval under way; added to the result's at its end. */
    struct record interval;
    struct weir_handle interval_end;
    uint64_t interval_count;
    struct outputs outputs;
    /* How things stood when the window began. */
    uint64_t begin_ns;
    uint64_t begin_ok;
    uint64_t begin_handshakes;
    struct host_usage begin_usage;
    struct weir_loop_statistics begin_statistics;
    /* How things stood when the interval began. */
    uint64_t row_begin_ns;
    struct ledger row_ledger;
    uint64_t row_ok;
    uint64_t row_sent;
    struct weir_loop_statistics row_statistics;
    /* When the last interval with an answer ended. */
    uint64_t progress_ns;
    struct result *result;
};

static void finish(struct run *run);

static uint64_t count_handshakes(const struct run *run)
{
    return run->client.tls_facts.full + run->client.tls_facts.resumed;
}

static uint64_t total_ok(const struct run *run)
{
    return run->client.traffic.measured.ok + run->client.traffic.warmup.ok;
}

static uint64_t total_sent(const struct run *run)
{
    return run->client.traffic.measured.sent + run->client.traffic.warmup.sent;
}

/* A timer that cannot be armed leaves no way to end the run properly. */
static struct weir_handle arm(struct run *run, uint64_t when_ns,
                              weir_callback_fn *cb)
{
    struct weir_handle handle = {0};

    int err = weir_loop_call_at(run->loop, when_ns, cb, run, &handle);
    if (err < 0) {
        say("timer: %s", weir_strerror(err));
        finish(run);
    }
    return handle;
}

/* ---- intervals ---- */

static struct weir_loop_statistics read_statistics(const struct run *run)
{
    struct weir_loop_statistics statistics = {.size = sizeof(statistics)};

    if (weir_loop_get_statistics(run->loop, &statistics) < 0) {
        abort(); /* it is this thread's loop */
    }
    return statistics;
}

static void fill_row(struct run *run, uint64_t now_ns, struct result_row *ret)
{
    const struct ledger *measured = &run->client.traffic.measured;
    const struct weir_loop_statistics statistics = read_statistics(run);

    *ret = (struct result_row){
        .begin_ns = run->row_begin_ns - run->begin_ns,
        .end_ns = now_ns - run->begin_ns,
        .offered = total_sent(run) - run->row_sent,
        .ok = total_ok(run) - run->row_ok,
        .failed = measured->failed - run->row_ledger.failed,
        .timeout = measured->timeout - run->row_ledger.timeout,
        .p50_ns =
            histogram_quantile(&run->interval.service, HISTOGRAM_WHOLE / 2),
        .p99_ns = histogram_quantile(&run->interval.service,
                                     99 * HISTOGRAM_WHOLE / 100),
        .max_ns = run->interval.service.max,
        .in_flight = run->client.traffic.outstanding,
        .open = run->client.open_now,
        .received_bytes =
            statistics.received_bytes - run->row_statistics.received_bytes,
        .sent_bytes = statistics.sent_bytes - run->row_statistics.sent_bytes,
    };
    run->row_begin_ns = now_ns;
    run->row_ledger = *measured;
    run->row_ok = total_ok(run);
    run->row_sent = total_sent(run);
    run->row_statistics = statistics;
}

static void add_interval(struct run *run)
{
    struct result *result = run->result;

    histogram_merge(&result->service, &run->interval.service);
    histogram_merge(&result->ttfb, &run->interval.ttfb);
    record_clear(&run->interval);
}

/* Ends the interval: its latencies join the others. */
static void close_interval(struct run *run, uint64_t now_ns)
{
    struct result *result = run->result;
    struct result_row row;

    if (now_ns <= run->row_begin_ns) {
        return;
    }
    record_settle(&run->interval);
    fill_row(run, now_ns, &row);
    outputs_add_row(&run->outputs, result, &row,
                    &(struct outputs_times){.response = &run->interval.response,
                                            .service = &run->interval.service});
    run->interval_count++;
    if (row.ok > 0) {
        run->progress_ns = now_ns;
    }
    if (result->row_count < RESULT_ROWS_MAX) {
        result->rows[result->row_count++] = row;
    } else {
        result->rows_dropped++;
    }
    add_interval(run);
}

static bool is_stuck(const struct run *run, uint64_t now_ns)
{
    uint64_t limit_ns = 2 * run->options->timeout_ns;

    limit_ns = limit_ns > GIVE_UP_NS ? limit_ns : GIVE_UP_NS;
    return run->options->duration_ns == 0 &&
           now_ns - run->progress_ns > limit_ns;
}

static void interval_cb(void *arg)
{
    struct run *run = arg;
    uint64_t now_ns = conn_now_ns();

    if (run->phase != RUN_MEASURE) {
        return;
    }
    close_interval(run, now_ns);
    if (is_stuck(run, now_ns)) {
        run->result->gave_up = true;
        finish(run);
        return;
    }
    uint64_t passed_ns = (run->interval_count + 1) * run->options->interval_ns;
    /* The last interval ends with the window. */
    if (run->options->duration_ns == 0 ||
        passed_ns < run->options->duration_ns) {
        run->interval_end = arm(run, run->begin_ns + passed_ns, interval_cb);
    }
}

/* ---- phases ---- */

/* The window ends here: what is counted against its length stops. */
static void close_window(struct run *run)
{
    struct result *result = run->result;
    struct host_usage usage;
    uint64_t now_ns = conn_now_ns();

    if (run->phase != RUN_MEASURE) {
        return;
    }
    weir_loop_cancel(run->loop, run->interval_end);
    close_interval(run, now_ns);
    result->window_ns = now_ns - run->begin_ns;
    result->completed = total_ok(run) - run->begin_ok;
    host_measure(&usage);
    host_subtract(&usage, &run->begin_usage);
    result->usage = usage;
    const struct weir_loop_statistics now = read_statistics(run);
    const struct weir_loop_statistics *begin = &run->begin_statistics;
    result->received_bytes = now.received_bytes - begin->received_bytes;
    result->sent_bytes = now.sent_bytes - begin->sent_bytes;
    result->turns = now.turns - begin->turns;
    result->enters = now.enters - begin->enters;
    result->overflows = now.overflows - begin->overflows;
    result->starved = now.starved - begin->starved;
    result->handshakes = count_handshakes(run) - run->begin_handshakes;
    result->threads[0] = (struct result_thread){
        .cpu = -1,
        .conn_count = run->options->conn_count,
        .ok = result->completed,
        .user_ns = result->usage.user_ns,
        .system_ns = result->usage.system_ns,
        .run_queue_wait_ns = result->usage.run_queue_wait_ns,
    };
    result->thread_count = 1;
    run->client.traffic.judging = false;
}

static void finish(struct run *run)
{
    struct result *result = run->result;
    const struct client *client = &run->client;

    if (run->phase == RUN_OVER) {
        return;
    }
    close_window(run);
    /* What was answered while draining. */
    record_settle(&run->interval);
    add_interval(run);
    run->phase = RUN_OVER;
    client_stop(&run->client);
    weir_loop_cancel(run->loop, run->phase_end);

    const struct ledger *warmup = &client->traffic.warmup;
    result->measured = client->traffic.measured;
    result->warmup = *warmup;
    result->warmup_in_flight =
        warmup->sent - warmup->ok - warmup->failed - warmup->timeout;
    result->in_flight = client->traffic.outstanding - result->warmup_in_flight;
    result->events_without_request = client->traffic.events_without_request;
    result->answers = client->traffic.measured_answers;
    result->errors = client->traffic.errors;
    memcpy(result->status, client->traffic.status, sizeof(result->status));
    result->connect = *client->connect_latency;
    result->handshake = *client->handshake_latency;
    result->tls = client->tls_facts;
    result->open_at_end = client->open_now;
    result->opened = client->opened;
    result->connect_failed = client->connect_failed;
    result->lost = client->lost;
    result->never_answered =
        client_count_unanswered(client, &result->unseen_failures);
    result->same_machine = client->same_machine;
    weir_loop_stop(run->loop);
}

static void drain_over_cb(void *arg)
{
    finish(arg);
}

static void drain(struct run *run)
{
    uint64_t limit_ns = run->options->timeout_ns + run->options->timeout_ns / 4;

    close_window(run);
    run->phase = RUN_DRAIN;
    limit_ns = limit_ns < DRAIN_LIMIT_NS ? limit_ns : DRAIN_LIMIT_NS;
    run->phase_end = arm(run, conn_now_ns() + limit_ns, drain_over_cb);
    client_stop_sending(&run->client);
}

static void measure_over_cb(void *arg)
{
    struct run *run = arg;

    if (run->phase == RUN_MEASURE) {
        drain(run);
    }
}

static void measure(struct run *run)
{
    const struct run_options *options = run->options;
    struct result *result = run->result;
    struct traffic *traffic = &run->client.traffic;

    run->phase = RUN_MEASURE;
    result->measured_began = true;
    result->open_at_begin = run->client.open_now;
    result->wall_begin_ns = host_wall_ns();
    host_measure(&run->begin_usage);
    run->begin_statistics = read_statistics(run);
    run->row_statistics = run->begin_statistics;
    run->begin_ok = total_ok(run);
    run->begin_handshakes = count_handshakes(run);
    client_begin_window(&run->client);
    run->row_ok = run->begin_ok;
    run->row_sent = total_sent(run);
    run->begin_ns = conn_now_ns();
    run->row_begin_ns = run->begin_ns;
    run->progress_ns = run->begin_ns;
    if (options->request_count > 0) {
        traffic->remaining = options->request_count;
    }
    traffic->judging = true;
    if (options->duration_ns == 0 ||
        options->interval_ns < options->duration_ns) {
        run->interval_end =
            arm(run, run->begin_ns + options->interval_ns, interval_cb);
    }
    if (options->duration_ns > 0) {
        run->phase_end =
            arm(run, run->begin_ns + options->duration_ns, measure_over_cb);
    }
    client_send(&run->client, true);
}

static void warmup_over_cb(void *arg)
{
    struct run *run = arg;

    if (run->phase == RUN_WARMUP) {
        measure(run);
    }
}

static void warm_up(struct run *run)
{
    if (run->options->warmup_ns == 0) {
        measure(run);
        return;
    }
    run->phase = RUN_WARMUP;
    run->client.traffic.judging = false;
    run->phase_end =
        arm(run, conn_now_ns() + run->options->warmup_ns, warmup_over_cb);
    client_send(&run->client, false);
}

static void on_event(void *arg, enum client_event event)
{
    struct run *run = arg;

    switch (event) {
    case CLIENT_SETTLED:
        if (run->phase == RUN_RAMP) {
            warm_up(run);
        }
        break;
    case CLIENT_DRAINED:
        /* With -n the last answer ends the window, otherwise the time did. */
        if (run->phase == RUN_MEASURE || run->phase == RUN_DRAIN) {
            finish(run);
        }
        break;
    case CLIENT_HOPELESS:
        run->result->gave_up = true;
        finish(run);
        break;
    }
}

static void on_signal(void *arg, int signum)
{
    struct run *run = arg;

    (void)signum;
    run->result->interrupted = true;
    finish(run);
}

/* ---- from start to report ---- */

static void on_exception(void *arg, weir_loop *loop,
                         const struct weir_exception *exception)
{
    struct run *run = arg;

    (void)loop;
    if (run->options->verbose) {
        say("%s%s%s", exception->message, exception->err ? ": " : "",
            exception->err ? weir_strerror(exception->err) : "");
    }
}

static bool check_limits(const struct run_options *options)
{
    uint64_t per_target = (options->conn_count + options->target_count - 1) /
                          options->target_count;

    if (!limits_raise_fds(options->conn_count)) {
        return false;
    }
    for (size_t i = 0; i < options->target_count; i++) {
        const struct weir_address *address = &options->targets[i].address;
        if (address->storage.any.sa_family != AF_UNIX) {
            return limits_check_ports(per_target);
        }
    }
    return true;
}

static int run_loop(struct run *run)
{
    weir_loop_set_exception_handler(run->loop, on_exception, run);
    int err = weir_loop_add_signal_handler(run->loop, SIGINT, on_signal, run);
    if (err >= 0) {
        err = weir_loop_add_signal_handler(run->loop, SIGTERM, on_signal, run);
    }
    if (err >= 0) {
        err = client_start(&run->client, on_event, run);
    }
    if (err >= 0 && run->phase != RUN_OVER) {
        err = weir_loop_run(run->loop);
    }
    return err;
}

static int report(struct outputs *outputs, struct result *result)
{
    verdict_reach(result);
    return (int)outputs_finish(outputs, result);
}

static int begin(struct run *run)
{
    const struct run_options *options = run->options;
    struct result *result = run->result;

    int err = weir_loop_new(NULL, &run->loop);
    if (err < 0) {
        say("io_uring: %s (%s)", weir_strerror(err), weir_err_name(err));
        return err;
    }
    weir_loop_get_features_text(run->loop, result->features,
                                sizeof(result->features));
    if (options->verbose) {
        fputs(result->features, stderr);
    }
    err = client_init(&run->client, run->loop, options);
    if (err < 0) {
        weir_loop_free(run->loop);
        return err;
    }
    run->client.traffic.record = &run->interval;
    host_describe(&result->host);
    err = names_find(run->loop, run->options->targets,
                     run->options->target_count);
    if (err < 0) {
        weir_loop_free(run->loop);
        client_fini(&run->client);
        names_forget(run->options->targets, run->options->target_count);
    }
    return err;
}

/* From here on a signal ends the program as it ends any other. */
static void end(struct run *run)
{
    client_stop(&run->client);
    weir_loop_remove_signal_handler(run->loop, SIGINT);
    weir_loop_remove_signal_handler(run->loop, SIGTERM);
    weir_loop_free(run->loop);
    client_fini(&run->client);
    names_forget(run->options->targets, run->options->target_count);
}

/* Everything between the options and the exit code. */
static int execute(struct run *run)
{
    if (begin(run) < 0) {
        return LOAD_USAGE;
    }
    int exit_code = LOAD_INTERNAL;
    int err = run_loop(run);
    if (err < 0) {
        say("the run broke: %s (%s)", weir_strerror(err), weir_err_name(err));
    } else {
        exit_code = report(&run->outputs, run->result);
    }
    end(run);
    return exit_code;
}

int run_main(int argc, char **argv, int first)
{
    static struct run_options options;
    struct run *run = calloc(1, sizeof(*run));
    struct result *result = calloc(1, sizeof(*result));
    int exit_code = LOAD_USAGE;

    if (!run || !result) {
        say("no memory");
        exit_code = LOAD_INTERNAL;
        goto out;
    }
    enum options_result parsed = options_parse(argc, argv, first, &options);
    if (parsed != OPTIONS_READY) {
        exit_code = parsed == OPTIONS_DONE ? LOAD_OK : LOAD_USAGE;
        goto out;
    }
    if (!check_limits(&options)) {
        goto out;
    }
    *run = (struct run){.options = &options, .result = result};
    if (!outputs_open(&run->outputs, &options)) {
        goto out;
    }
    result->options = &options;
    record_init(&run->interval);
    result->model = options.model;
    histogram_clear(&result->response);
    histogram_clear(&result->service);
    histogram_clear(&result->ttfb);
    histogram_clear(&result->lateness);
    histogram_clear(&result->connect);
    histogram_clear(&result->handshake);
    exit_code = execute(run);
out:
    if (run && run->outputs.options && !outputs_close(&run->outputs)) {
        exit_code = LOAD_INTERNAL;
    }
    free(run);
    free(result);
    return exit_code;
}
