/*
 * A run as a whole, on the main thread: starts the sending threads (worker.h),
 * starts their phases, merges their intervals and makes the result.
 *
 * No traffic passes through this thread. A signal, or a server with which
 * nothing ever succeeds, ends the run in any phase.
 */
#include "run.h"

#include "tools/common/clock.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/command/command.h"
#include "tools/weir-load/foreign/foreign.h"
#include "tools/weir-load/output/output.h"
#include "tools/weir-load/result/result.h"
#include "tools/weir-load/target/target.h"
#include "worker.h"

#include "weir/error.h"
#include "weir/inspect.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SECOND UINT64_C(1000000000)

/* How far ahead the start is planned, so that all threads are notified in
 * time. */
#define LEAD_NS (SECOND / 1000)

/* A run without duration ends after this time without a success, or after twice
 * --timeout if that is longer. */
#define GIVE_UP_NS (10 * SECOND)

/* Time between two writes of --log. */
#define LOG_PAUSE_NS (SECOND / 50)

/* At the end: how long each write waits for a slow reader of --log's pipe. */
#define LOG_PATIENCE_MS 1000

struct run {
    struct run_options *options;
    struct result *result;
    weir_loop *loop;
    weir_threads *threads;
    weir_tls_context *tls;
    struct worker *workers;
    struct worker_plan plan;
    /* CPU counters at the start and the end of the window. */
    struct sharing_sample window_begin;
    struct sharing_sample window_end;
    uint64_t measured_count;
    uint64_t over_count;
    struct outputs outputs;
    bool is_log_regular; /* a file, which accepts all writes at once */
    uint64_t row_end_ns;
    /* End of the last interval with an answer, from the start of the window. */
    uint64_t progress_ns;
    bool has_begun;
    bool is_ending;
};

static void tell_all(struct run *run, weir_callback_fn *cb)
{
    for (uint64_t i = 0; i < run->options->thread_count; i++) {
        struct worker *worker = &run->workers[i];
        int err = weir_thread_call_soon(
            weir_threads_get(run->threads, (uint32_t)i), cb, worker, NULL);
        console_check(err == -ESHUTDOWN ? 0 : err,
                      "a thread cannot be notified");
    }
}

static void finish(struct run *run)
{
    if (!run->is_ending) {
        run->is_ending = true;
        tell_all(run, worker_finish);
    }
}

/* Returns when sending starts: soon, or at --start-at. */
static uint64_t find_begin(struct run *run)
{
    uint64_t now_ns = clock_now_ns();
    uint64_t wall_ns = clock_wall_ns();
    uint64_t start_ns = run->options->start_at_ns;

    if (start_ns == 0) {
        return now_ns + LEAD_NS;
    }
    if (start_ns < wall_ns) {
        run->result->begin_late_ns = wall_ns - start_ns;
        return now_ns + LEAD_NS;
    }
    return now_ns + (start_ns - wall_ns);
}

static void window_begin_cb(void *arg)
{
    struct run *run = arg;

    sharing_look(clock_now_ns(), &run->window_begin);
}

/* Writes the requests that one thread recorded. Returns false if the pipe is
 * full. The rest then stays in the ring, and the thread drops requests that do
 * not fit into it. */
static bool write_log_of(struct run *run, struct request_log *log,
                         int patience_ms)
{
    struct output *output = &run->outputs.log;
    const uint64_t size = run->is_log_regular
                              ? REQUEST_LOG_SIZE
                              : request_log_piece(run->options->groups);
    uint64_t count = size;

    for (uint64_t done = 0; done < REQUEST_LOG_SIZE && count == size;
         done += count) {
        if (!run->is_log_regular &&
            !line_file_is_ready(output->file, patience_ms)) {
            return false;
        }
        count = request_log_write(log,
                                  &(struct request_log_end){
                                      .out = output->file,
                                      .begin_ns = run->plan.window_ns,
                                      .kinds = run->options->groups,
                                  },
                                  size);
        run->result->log_lines += count;
        if (!run->is_log_regular && fflush(output->file) != 0 &&
            output->err == 0) {
            output->err = errno;
        }
    }
    return true;
}

/* Returns false if not all was written. */
static bool write_log(struct run *run, int patience_ms)
{
    bool is_ready = true;

    for (uint64_t i = 0; i < run->options->thread_count && is_ready; i++) {
        is_ready =
            write_log_of(run, run->workers[i].client.traffic.log, patience_ms);
    }
    return is_ready;
}

static void write_log_cb(void *arg)
{
    struct run *run = arg;

    (void)write_log(run, 0);
    int err =
        weir_loop_call_later(run->loop, LOG_PAUSE_NS, write_log_cb, run, NULL);
    if (err < 0) {
        say("--log: %s", weir_strerror(err));
    }
}

static void end_log(struct run *run)
{
    if (!run->outputs.log.file) {
        return;
    }
    (void)write_log(run, LOG_PATIENCE_MS);
    for (uint64_t i = 0; i < run->options->thread_count; i++) {
        const struct request_log *log = run->workers[i].client.traffic.log;
        run->result->log_dropped += log->dropped + log->noted - log->taken;
    }
}

static void begin_all(struct run *run)
{
    const struct run_options *options = run->options;
    uint64_t begin_ns = find_begin(run);

    run->has_begun = true;
    run->plan = (struct worker_plan){
        .begin_ns = begin_ns,
        .window_ns = begin_ns + options->warmup_ns,
        .end_ns = UINT64_MAX,
    };
    if (options->duration_ns > 0) {
        run->plan.end_ns = run->plan.window_ns + options->duration_ns;
    }
    run->result->wall_begin_ns =
        clock_wall_ns() + (run->plan.window_ns - clock_now_ns());
    for (uint64_t i = 0; i < options->thread_count; i++) {
        run->workers[i].plan = run->plan;
    }
    FILE *out = run->outputs.log.file;
    struct stat status;
    if (out) {
        run->is_log_regular =
            fstat(fileno(out), &status) == 0 && S_ISREG(status.st_mode);
        request_log_write_header(out);
        write_log_cb(run);
    }
    tell_all(run, worker_begin);
    int err = weir_loop_call_at(run->loop, run->plan.window_ns, window_begin_cb,
                                run, NULL);
    if (err < 0) {
        say("other users of the client's CPUs are not known: %s",
            weir_strerror(err));
    }
}

/* Handles a row of all threads: stores and prints it, and adds its
 * latencies. */
static void take_row(struct run *run, struct worker_row *sum)
{
    struct result *result = run->result;
    struct result_row *row = &sum->row;
    struct interval *counts = &row->counts;

    counts->begin_ns = run->row_end_ns;
    if (counts->end_ns <= counts->begin_ns) {
        gather_times(result, sum);
        return;
    }
    gather_quantiles(sum);
    if (run->options->json || run->options->files.streams) {
        gather_histogram(sum);
    }
    run->row_end_ns = counts->end_ns;
    outputs_add_row(&run->outputs, result, row, record_times(&sum->record),
                    sum->kinds);
    if (counts->ok > 0) {
        run->progress_ns = counts->end_ns;
    }
    if (result->row_count < RESULT_ROWS_MAX) {
        result->rows[result->row_count++] = *row;
    } else {
        result->rows_dropped++;
        free(row->hdr);
    }
    gather_times(result, sum);
}

/* Returns true if every thread that still runs has delivered a row. */
static bool has_whole_row(const struct run *run)
{
    bool has_any = false;

    for (uint64_t i = 0; i < run->options->thread_count; i++) {
        const struct worker *worker = &run->workers[i];
        if (!worker->first_row && !worker->is_over) {
            return false;
        }
        has_any |= worker->first_row != NULL;
    }
    return has_any;
}

static void take_rows(struct run *run)
{
    while (has_whole_row(run)) {
        struct worker_row *sum = NULL;
        for (uint64_t i = 0; i < run->options->thread_count; i++) {
            struct worker *worker = &run->workers[i];
            struct worker_row *row = worker->first_row;
            if (!row) {
                continue;
            }
            worker->first_row = row->next;
            if (sum) {
                gather_row(run->options->groups, sum, row);
                worker_row_free(row);
            } else {
                sum = row;
            }
        }
        take_row(run, sum);
        worker_row_free(sum);
    }
}

static void heard_row(void *arg)
{
    struct worker_row *row = arg;
    struct worker *worker = row->worker;
    struct run *run = worker->owner;

    row->next = NULL;
    if (worker->first_row) {
        worker->last_row->next = row;
    } else {
        worker->first_row = row;
    }
    worker->last_row = row;
    run->result->measured_began = true;
    take_rows(run);
    const uint64_t patience_ns = 2 * run->options->timeout_ns;
    if (run->options->duration_ns == 0 && !run->is_ending &&
        run->row_end_ns - run->progress_ns >
            (patience_ns > GIVE_UP_NS ? patience_ns : GIVE_UP_NS)) {
        run->result->gave_up = true;
        finish(run);
    }
}

/* Starts the run once every thread has finished connecting. Gives up if all
 * threads are hopeless (CLIENT_HOPELESS). */
static void look_whether_all_tried(struct run *run)
{
    uint64_t tried = 0;
    uint64_t hopeless = 0;

    for (uint64_t i = 0; i < run->options->thread_count; i++) {
        tried += run->workers[i].is_settled || run->workers[i].is_hopeless;
        hopeless += run->workers[i].is_hopeless;
    }
    if (hopeless == run->options->thread_count) {
        run->result->gave_up = !run->is_ending;
        finish(run);
    } else if (tried == run->options->thread_count && !run->has_begun &&
               !run->is_ending) {
        begin_all(run);
    }
}

static void heard_settled(void *arg)
{
    struct worker *worker = arg;
    struct run *run = worker->owner;

    worker->is_settled = true;
    look_whether_all_tried(run);
}

static void heard_hopeless(void *arg)
{
    struct worker *worker = arg;
    struct run *run = worker->owner;

    worker->is_hopeless = true;
    look_whether_all_tried(run);
}

static void heard_measured(void *arg)
{
    const struct worker *worker = arg;
    struct run *run = worker->owner;

    run->measured_count++;
    if (run->measured_count == run->options->thread_count) {
        sharing_look(clock_now_ns(), &run->window_end);
    }
}

static void heard_over(void *arg)
{
    struct worker *worker = arg;
    struct run *run = worker->owner;

    worker->is_over = true;
    run->over_count++;
    take_rows(run);
    if (worker->err < 0) {
        say("a thread failed: %s", weir_strerror(worker->err));
        finish(run);
    }
    if (run->over_count == run->options->thread_count) {
        weir_loop_stop(run->loop);
    }
}

static const struct worker_ops ops = {
    .settled = heard_settled,
    .hopeless = heard_hopeless,
    .row = heard_row,
    .measured = heard_measured,
    .over = heard_over,
};

static void on_signal(void *arg, int signum)
{
    struct run *run = arg;

    run->result->interrupted = true;
    finish(run);
}

static int run_threads(struct run *run)
{
    const struct weir_threads_options options = {
        .size = sizeof(options),
        .thread_count = (uint32_t)run->options->thread_count,
        .no_pinning = true,
        .no_signals = true,
    };

    int err =
        weir_threads_start(&options, worker_run, run->workers, &run->threads);
    if (err < 0) {
        return err;
    }
    err = weir_loop_run(run->loop);
    weir_threads_stop(run->threads, UINT64_MAX);
    const int ended = weir_threads_join(run->threads);
    return err < 0 ? err : ended;
}

static int run_loop(struct run *run)
{
    int err = weir_loop_add_signal_handler(run->loop, SIGINT, on_signal, run);

    if (err >= 0) {
        err = weir_loop_add_signal_handler(run->loop, SIGTERM, on_signal, run);
    }
    if (err >= 0) {
        err = run_threads(run);
    }
    /* From here on signals have their default action. */
    weir_loop_remove_signal_handler(run->loop, SIGINT);
    weir_loop_remove_signal_handler(run->loop, SIGTERM);
    return err;
}

static void fini_workers(struct run *run)
{
    /* The first worker owns data that the others use, so it is freed last. */
    for (uint64_t i = run->workers ? run->options->thread_count : 0; i > 0;
         i--) {
        if (run->workers[i - 1].options) {
            worker_fini(&run->workers[i - 1]);
        }
    }
    free(run->workers);
    tls_drop_context(run->tls);
}

/* Returns a thread's share of the load. Threads are numbered across all
 * processes. Of n processes each has every n-th thread, so it gets its share of
 * the schedule however many threads the other processes have. */
static struct client_share find_share(const struct run *run, uint32_t index)
{
    const struct run_options *options = run->options;
    const uint32_t count = (uint32_t)options->thread_count;
    const struct part thread = {.index = index, .count = count};

    return (struct client_share){
        .options = options,
        .thread_index = options->part.index + index * options->part.count,
        .thread_count = count * options->part.count,
        .first_conn =
            options->first_conn + part_begin(&thread, options->conn_count),
        .conn_count = part_size(&thread, options->conn_count),
        .tls = run->tls,
        .first_shared = index > 0 ? run->workers[0].client.codec_shared : NULL,
    };
}

static int init_workers(struct run *run)
{
    struct run_options *options = run->options;

    int err = tls_make_context(&options->tls, false, options->targets,
                               options->target_count, &run->tls);
    if (err < 0) {
        return err;
    }
    run->workers = calloc(options->thread_count, sizeof(*run->workers));
    if (!run->workers) {
        say("no memory for %llu threads", LLU(options->thread_count));
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < options->thread_count; i++) {
        struct worker *worker = &run->workers[i];
        const struct client_share share = find_share(run, i);
        worker->ops = &ops;
        worker->owner = run;
        worker->home = weir_loop_get_mailbox(run->loop);
        err = worker_init(worker, &share);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static int begin(struct run *run)
{
    struct run_options *options = run->options;
    struct result *result = run->result;

    int err = weir_loop_new(NULL, &run->loop);
    if (err < 0) {
        engine_say_refused(err);
        return err;
    }
    weir_loop_set_exception_handler(run->loop, engine_tell_only, NULL);
    weir_loop_get_features_text(run->loop, result->features,
                                sizeof(result->features));
    if (options->verbose) {
        fputs(result->features, stderr);
    }
    host_describe(&result->host);
    err = init_workers(run);
    if (err < 0) {
        return err;
    }
    const bool is_elsewhere = options->connect_to.text != NULL;
    return names_find(
        run->loop, is_elsewhere ? &options->connect_to : options->targets,
        is_elsewhere ? 1 : options->target_count, options->family);
}

static int execute(struct run *run)
{
    int exit_code = LOAD_USAGE;

    if (begin(run) < 0) {
        goto out;
    }
    if (run->options->is_dry) {
        if (!run->options->quiet) {
            plan_print(run->options, stdout);
        }
        exit_code = LOAD_OK;
        goto out;
    }
    int err = run_loop(run);
    if (err < 0 && !run->threads) {
        engine_say_refused(err);
        goto out;
    }
    exit_code = LOAD_INTERNAL;
    if (err < 0) {
        say("the run failed: %s (%s)", weir_strerror(err), weir_err_name(err));
        goto out;
    }
    end_log(run);
    for (uint64_t i = 0; i < run->options->thread_count; i++) {
        gather_worker(run->result, &run->workers[i]);
    }
    gather_sharing(run->result, &run->window_begin, &run->window_end);
    gather_finish(run->result);
    verdict_reach(run->result);
    exit_code = (int)outputs_finish(&run->outputs, run->result);
out:
    fini_workers(run);
    names_forget(run->options->targets, run->options->target_count);
    names_forget(&run->options->connect_to, 1);
    weir_loop_free(run->loop);
    return exit_code;
}

int run_main(int argc, char **argv, int first)
{
    static struct run_options options;
    struct result *result = calloc(1, sizeof(*result));
    int exit_code = LOAD_USAGE;
    struct run run = {.options = &options, .result = result};

    if (!result) {
        say("no memory");
        return LOAD_INTERNAL;
    }
    enum options_result parsed =
        options_parse(argc, argv, first, &options, grammar_suggest);
    if (parsed != OPTIONS_READY) {
        exit_code = parsed == OPTIONS_DONE ? LOAD_OK : LOAD_USAGE;
        goto out;
    }
    secret_words_warn(argc, argv);
    if (!plan_check(&options) || !outputs_check(&options) ||
        !(options.is_dry ? outputs_check_files(&options)
                         : outputs_open(&run.outputs, &options))) {
        goto out;
    }
    result->options = &options;
    result->model = options.model;
    record_init(&result->times);
    histogram_begin(&result->connect);
    histogram_begin(&result->handshake);
    result->kinds = options.groups ? kinds_new_records(options.groups) : NULL;
    if (options.groups && !result->kinds) {
        say("no memory");
        exit_code = LOAD_INTERNAL;
        goto out;
    }
    exit_code = options.wait_ns > 0 && !options.is_dry
                    ? (int)standby_wait(&options)
                    : LOAD_OK;
    result->interrupted = exit_code == LOAD_INTERRUPTED;
    result->gave_up = exit_code == LOAD_NOTHING;
    if (exit_code == LOAD_OK) {
        exit_code = execute(&run);
    } else if (exit_code != LOAD_INTERNAL) {
        host_describe(&result->host);
        verdict_reach(result);
        exit_code = (int)outputs_finish(&run.outputs, result);
    }
out:
    if (run.outputs.options && !outputs_close(&run.outputs)) {
        exit_code = LOAD_INTERNAL;
    }
    for (size_t i = 0; i < result->row_count; i++) {
        free(result->rows[i].hdr);
    }
    free(result->kinds);
    free(result);
    return exit_code;
}
