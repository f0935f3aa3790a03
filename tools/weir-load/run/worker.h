/*
 * One thread of a run: a loop, a part of the connections, and the phases that
 * it goes through with them.
 *
 *   ramp     connect; told when every connection stands or has failed once
 *   warm-up  requests are sent and not counted, from the time of the plan on
 *   measure  counted, until the time of the plan, or until -n were sent
 *   drain    nothing more is sent, what is under way may still be answered
 *   over     all is fixed; the thread waits for its end
 *
 * The main thread (run.c) makes the plan of times, gets a row at the end of
 * each interval, and reads the rest when the thread has ended.
 */
#ifndef WEIR_LOAD_WORKER_H
#define WEIR_LOAD_WORKER_H

#include "client.h"
#include "tools/weir-load/measure/host.h"
#include "tools/weir-load/result/result.h"

#include "weir/inspect.h"
#include "weir/threads.h"

enum worker_phase {
    WORKER_RAMP,
    WORKER_WARMUP,
    WORKER_MEASURE,
    WORKER_DRAIN,
    WORKER_OVER,
};

/* On CLOCK_MONOTONIC, the same for all threads. */
struct worker_plan {
    uint64_t begin_ns;
    uint64_t window_ns;
    /* UINT64_MAX: -n ends the window. */
    uint64_t end_ns;
};

struct worker;

/* An interval of a thread; the quantiles of its counts are not set. */
struct worker_row {
    struct worker_row *next;
    struct worker *worker;
    struct result_row row;
    struct record record;
    /* What became of requests by their kinds; NULL: none is counted. */
    struct kind_record *kinds;
};

/* Free one; or NULL. */
void worker_row_free(struct worker_row *row);

/* Called on the main thread with the worker, or with the row, which is taken.
 */
struct worker_ops {
    /* Every connection has stood or has failed once. */
    weir_callback_fn *settled;
    /* All connections fail, again and again. */
    weir_callback_fn *hopeless;
    weir_callback_fn *row;
    /* Its window is over. */
    weir_callback_fn *measured;
    weir_callback_fn *over;
};

struct worker {
    const struct worker_ops *ops;
    /* The main loop's. */
    weir_remote *home;
    weir_thread *thread;
    const struct run_options *options;
    void *owner;
    struct client client;
    /* Set by the main thread before it has the worker begin. */
    struct worker_plan plan;
    enum worker_phase phase;
    bool has_told_hopeless;
    int err;
    weir_loop *loop;
    int cpu;
    struct weir_handle phase_end;
    struct weir_handle interval_end;
    uint64_t interval_count;
    /* The interval under way; replaced when it ends. */
    struct worker_row *row;
    /* How things stood when the window and the interval began. */
    struct ledger row_ledger;
    struct error_counts row_errors;
    uint64_t row_ok;
    uint64_t row_sent;
    struct weir_loop_statistics row_statistics;
    uint64_t begin_ok;
    uint64_t begin_handshakes;
    struct host_usage begin_usage;
    struct weir_loop_statistics begin_statistics;
    /* The window, when it is over. */
    uint64_t window_ns;
    uint64_t completed;
    uint64_t handshakes;
    struct host_usage usage;
    struct weir_loop_statistics statistics;
    /* Waited for by the main thread's rows: oldest first. */
    struct worker_row *first_row;
    struct worker_row *last_row;
    bool is_settled;
    bool is_hopeless;
    bool is_over;
};

/* Get all memory; a negative error has been told, and worker_fini() is called
 * as well. */
int worker_init(struct worker *worker, const struct client_share *share);

/* The main task of the thread, of which arg is the array of workers. */
int worker_run(weir_thread *thread, void *arg);

/* Posted to the thread: go by the plan; end at once. */
void worker_begin(void *worker);
void worker_finish(void *worker);

/* When the thread has ended. */
void worker_fini(struct worker *worker);

#endif
