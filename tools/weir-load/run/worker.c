/*
 * Phases change at the same time in all threads, so that rows cover the same
 * intervals. With -n each thread has a share of the requests and ends when they
 * are answered. The ownership of a row passes to the main thread, so nothing is
 * shared while requests are sent.
 */
#include "worker.h"

#include "tools/common/clock.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"

#include "weir/error.h"
#include "weir/task.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define SECOND UINT64_C(1000000000)

/* Longest wait for answers at the end. */
#define DRAIN_LIMIT_NS (10 * SECOND)

static void tell(struct worker *worker, weir_callback_fn *cb, void *arg)
{
    console_check(weir_mailbox_call_soon(worker->home, cb, arg, NULL),
                  "a thread cannot notify the main thread");
}

/* Starts a timer. If that fails, the run ends now, because it could not end
 * later. */
static struct weir_handle arm(struct worker *worker, uint64_t when_ns,
                              weir_callback_fn *cb)
{
    struct weir_handle handle = {0};

    int err = weir_loop_call_at(worker->loop, when_ns, cb, worker, &handle);
    if (err < 0) {
        say("timer: %s", weir_strerror(err));
        worker_finish(worker);
    }
    return handle;
}

static uint64_t total_ok(const struct worker *worker)
{
    const struct traffic *traffic = &worker->client.traffic;

    return traffic->measured.ok + traffic->warmup.ok;
}

static uint64_t total_sent(const struct worker *worker)
{
    const struct traffic *traffic = &worker->client.traffic;

    return traffic->measured.sent + traffic->warmup.sent;
}

static uint64_t count_handshakes(const struct worker *worker)
{
    return worker->client.tls_facts.full + worker->client.tls_facts.resumed;
}

static struct weir_loop_statistics read_statistics(const struct worker *worker)
{
    struct weir_loop_statistics statistics = {.size = sizeof(statistics)};

    console_check(weir_loop_get_statistics(worker->loop, &statistics),
                  "a loop has no statistics");
    return statistics;
}

void worker_row_free(struct worker_row *row)
{
    if (row) {
        free(row->kinds);
        munmap(row, sizeof(*row));
    }
}

/* Maps zero pages, because few of them are touched. calloc() might clear two
 * megabytes of memory that was used before. */
static struct worker_row *make_row(struct worker *worker)
{
    const struct kinds *groups = worker->options->groups;
    struct worker_row *row = mmap(NULL, sizeof(*row), PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (row == MAP_FAILED) {
        return NULL;
    }
    row->worker = worker;
    row->kinds = groups ? kinds_new_records(groups) : NULL;
    record_init(&row->record);
    if (groups && !row->kinds) {
        worker_row_free(row);
        return NULL;
    }
    return row;
}

static void set_row(struct worker *worker, struct worker_row *row)
{
    worker->row = row;
    worker->client.traffic.record = &row->record;
    worker->client.traffic.kinds = row->kinds;
}

static void fill_row(struct worker *worker, uint64_t now_ns,
                     struct result_row *ret)
{
    const struct traffic *traffic = &worker->client.traffic;
    const struct ledger *measured = &traffic->measured;
    const struct ledger *before = &worker->row_ledger;
    const struct weir_loop_statistics statistics = read_statistics(worker);

    *ret = (struct result_row){.hdr = NULL};
    ret->counts = (struct interval){
        .end_ns = now_ns - worker->plan.window_ns,
        .offered = traffic->pacing ? pacing_count_due(traffic->pacing, now_ns)
                                   : total_sent(worker) - worker->row_sent,
        .ok = total_ok(worker) - worker->row_ok,
        .failed = measured->failed - before->failed,
        .timeout = measured->timeout - before->timeout,
        .dropped = measured->dropped - before->dropped,
        .in_flight = traffic->outstanding,
        .open = worker->client.open_now,
        .received_bytes =
            statistics.received_bytes - worker->row_statistics.received_bytes,
        .sent_bytes = statistics.sent_bytes - worker->row_statistics.sent_bytes,
    };
    errors_since(&traffic->errors, &worker->row_errors, &ret->errors);
    worker->row_ledger = *measured;
    worker->row_ok = total_ok(worker);
    worker->row_sent = total_sent(worker);
    worker->row_statistics = statistics;
}

static void close_interval(struct worker *worker, uint64_t now_ns)
{
    struct worker_row *row = worker->row;
    struct worker_row *next = make_row(worker);

    if (!next) {
        return; /* the interval continues */
    }
    record_settle(&row->record);
    fill_row(worker, now_ns, &row->row);
    set_row(worker, next);
    worker->interval_count++;
    tell(worker, worker->ops->row, row);
}

static void interval_cb(void *arg)
{
    struct worker *worker = arg;

    if (worker->phase != WORKER_MEASURE) {
        return;
    }
    close_interval(worker, clock_now_ns());
    uint64_t next_ns =
        worker->plan.window_ns +
        (worker->interval_count + 1) * worker->options->interval_ns;
    /* The last interval ends with the window. */
    if (next_ns < worker->plan.end_ns) {
        worker->interval_end = arm(worker, next_ns, interval_cb);
    }
}

static void close_window(struct worker *worker)
{
    struct traffic *traffic = &worker->client.traffic;
    uint64_t now_ns = clock_now_ns();

    if (worker->phase != WORKER_MEASURE) {
        return;
    }
    weir_handle_cancel(worker->loop, worker->interval_end);
    if (traffic->outstanding > 0) {
        traffic_note_quiet(traffic, now_ns);
    }
    close_interval(worker, now_ns);
    worker->window_ns = now_ns - worker->plan.window_ns;
    worker->completed = total_ok(worker) - worker->begin_ok;
    worker->handshakes = count_handshakes(worker) - worker->begin_handshakes;
    host_measure(&worker->usage);
    host_subtract(&worker->usage, &worker->begin_usage);
    worker->statistics = read_statistics(worker);
    traffic->judging = false;
    tell(worker, worker->ops->measured, worker);
}

void worker_finish(void *arg)
{
    struct worker *worker = arg;

    if (worker->phase == WORKER_OVER) {
        return;
    }
    close_window(worker);
    worker->phase = WORKER_OVER;
    worker->client.traffic.connections.open_at_end = worker->client.open_now;
    client_stop(&worker->client);
    record_settle(&worker->row->record);
    weir_handle_cancel(worker->loop, worker->phase_end);
    tell(worker, worker->ops->over, worker);
}

static void drain_cb(void *arg)
{
    struct worker *worker = arg;
    uint64_t limit_ns =
        worker->options->timeout_ns + worker->options->timeout_ns / 4;

    if (worker->phase != WORKER_MEASURE) {
        return;
    }
    client_end_window(&worker->client);
    close_window(worker);
    worker->phase = WORKER_DRAIN;
    limit_ns = limit_ns < DRAIN_LIMIT_NS ? limit_ns : DRAIN_LIMIT_NS;
    worker->phase_end = arm(worker, clock_now_ns() + limit_ns, worker_finish);
    client_stop_sending(&worker->client);
}

static void measure_cb(void *arg)
{
    struct worker *worker = arg;
    const struct worker_plan *plan = &worker->plan;
    struct client *client = &worker->client;
    struct traffic *traffic = &client->traffic;

    if (worker->phase >= WORKER_MEASURE) {
        return;
    }
    worker->phase = WORKER_MEASURE;
    if (!traffic->pacing) {
        const uint64_t late_ns = clock_now_ns() - plan->window_ns;
        worker->plan.window_ns += late_ns;
        worker->plan.end_ns += plan->end_ns < UINT64_MAX ? late_ns : 0;
    }
    worker->client.traffic.connections.open_at_begin =
        client_count_present(client);
    host_measure(&worker->begin_usage);
    worker->begin_statistics = read_statistics(worker);
    worker->row_statistics = worker->begin_statistics;
    worker->begin_ok = total_ok(worker);
    worker->row_ok = worker->begin_ok;
    worker->row_sent = total_sent(worker);
    worker->begin_handshakes = count_handshakes(worker);
    struct error_counts earlier;
    errors_since(&traffic->errors, &worker->row_errors, &earlier);
    client_begin_window(client);
    traffic->judging = true;
    traffic->quiet_ns = clock_now_ns();
    uint64_t first_ns = plan->window_ns + worker->options->interval_ns;
    if (first_ns < plan->end_ns) {
        worker->interval_end = arm(worker, first_ns, interval_cb);
    }
    if (plan->end_ns != UINT64_MAX) {
        worker->phase_end = arm(worker, plan->end_ns, drain_cb);
    }
    client_follow_stages(client, plan->window_ns);
    if (traffic->pacing) {
        pacing_count_due(traffic->pacing, plan->window_ns);
        traffic->measuring = true;
        conn_tell_drained(traffic); /* this thread may have nothing to send */
        return;
    }
    if (worker->options->request_count > 0) {
        traffic->remaining =
            client_part(client, worker->options->request_count);
    }
    client_send(client, true);
}

static void warm_up_cb(void *arg)
{
    struct worker *worker = arg;
    const struct worker_plan *plan = &worker->plan;

    if (worker->phase != WORKER_RAMP) {
        return;
    }
    worker->phase = WORKER_WARMUP;
    if (plan->window_ns == plan->begin_ns) {
        measure_cb(worker);
        return;
    }
    worker->client.traffic.judging = false;
    worker->phase_end = arm(worker, plan->window_ns, measure_cb);
    if (!worker->client.traffic.pacing) {
        client_send(&worker->client, false);
    }
}

void worker_begin(void *arg)
{
    struct worker *worker = arg;
    struct client *client = &worker->client;
    const struct worker_plan *plan = &worker->plan;

    if (worker->phase != WORKER_RAMP) {
        return;
    }
    if (client->traffic.pacing) {
        if (worker->options->request_count > 0) {
            client->traffic.remaining =
                client_part(client, worker->options->request_count);
        }
        client_send_scheduled(client, plan->begin_ns, plan->window_ns,
                              plan->end_ns);
    }
    worker->phase_end = arm(worker, plan->begin_ns, warm_up_cb);
}

static void on_event(void *arg, enum client_event event)
{
    struct worker *worker = arg;
    const uint64_t count = worker->options->request_count;
    /* This thread has scheduled its share of -n. */
    const bool is_count_reached =
        count > 0 && worker->client.traffic.measured.scheduled >=
                         client_part(&worker->client, count);
    /* The schedule may end before its window does. */
    const bool has_end = worker->client.traffic.pacing &&
                         worker->plan.end_ns != UINT64_MAX && !is_count_reached;

    switch (event) {
    case CLIENT_SETTLED:
        tell(worker, worker->ops->settled, worker);
        break;
    case CLIENT_DRAINED:
        /* The window ends with the last answer of -n, or else at its planned
         * time. */
        if (worker->phase == WORKER_MEASURE && !has_end) {
            drain_cb(worker);
        } else if (worker->phase == WORKER_DRAIN &&
                   worker->client.traffic.parting == 0) {
            worker_finish(worker);
        }
        break;
    case CLIENT_HOPELESS:
        if (!worker->has_told_hopeless) {
            worker->has_told_hopeless = true;
            tell(worker, worker->ops->hopeless, worker);
        }
        break;
    }
}

static void on_exception(void *arg, weir_loop *loop,
                         const struct weir_exception *exception)
{
    const struct worker *worker = arg;

    if (!engine_tell(exception) && worker->options->verbose) {
        say("%s%s%s", exception->message, exception->err ? ": " : "",
            exception->err ? weir_strerror(exception->err) : "");
    }
}

static void bind_to_cpu(struct worker *worker, uint32_t index)
{
    const struct run_options *options = worker->options;
    cpu_set_t cpus;

    worker->cpu = -1;
    if (options->cpus.count == 0) {
        return;
    }
    const int cpu = options->cpus.list[index % options->cpus.count];
    CPU_ZERO(&cpus);
    CPU_SET((size_t)cpu, &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) == 0) {
        worker->cpu = cpu;
    } else {
        say("--cpu: thread %u cannot be bound to %d", index, cpu);
    }
}

int worker_init(struct worker *worker, const struct client_share *share)
{
    worker->options = share->options;
    worker->row = make_row(worker);
    if (!worker->row) {
        say("no memory for a thread");
        return -ENOMEM;
    }
    int err = client_init(&worker->client, share);
    if (err >= 0) {
        set_row(worker, worker->row);
    }
    if (err >= 0 && share->options->files.log) {
        worker->client.traffic.log = request_log_new();
        if (!worker->client.traffic.log) {
            say("--log: no memory");
            err = -ENOMEM;
        }
        worker->client.traffic.notes_ends = true;
    }
    return err;
}

int worker_run(weir_thread *thread, void *arg)
{
    const uint32_t index = weir_thread_get_index(thread);
    struct worker *worker = &((struct worker *)arg)[index];

    worker->loop = weir_thread_get_loop(thread);
    weir_loop_set_exception_handler(worker->loop, on_exception, worker);
    bind_to_cpu(worker, index);
    /* Sets the timer slack to 1 ns. The default of 50 us is too coarse. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    worker->err = client_start(&worker->client, worker->loop, on_event, worker);
    if (worker->err < 0) {
        worker_finish(worker);
    }
    int err = weir_sleep(worker->loop, UINT64_MAX);
    return err == -ECANCELED ? 0 : err;
}

void worker_fini(struct worker *worker)
{
    worker_row_free(worker->row);
    free(worker->client.traffic.log);
    while (worker->first_row) {
        struct worker_row *row = worker->first_row;
        worker->first_row = row->next;
        worker_row_free(row);
    }
    client_fini(&worker->client);
    weir_mailbox_unref(worker->home);
}
