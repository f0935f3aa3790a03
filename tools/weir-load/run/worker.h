/*
 * One thread of a run: a loop, a range of the connections, and their phases:
 *
 *   ramp     connect until every wanted connection was open or failed once
 *   warm-up  from the planned time on, requests are sent but not counted
 *   measure  requests are counted, until the planned time or -n
 *   drain    requests in flight may be answered; a closed loop sends nothing,
 *            and open models send the requests that were due
 *   over     results are final; the thread waits for its end
 *
 * The main thread (run.c) plans the times, receives a row at the end of each
 * interval, and reads the rest when the thread has ended.
 */
#ifndef WEIR_LOAD_WORKER_H
#define WEIR_LOAD_WORKER_H

#include "client.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/options/options.h"
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

/* Times of CLOCK_MONOTONIC, the same for all threads. In a closed loop, a
 * thread that starts the window late shifts its own plan. */
struct worker_plan {
    uint64_t begin_ns;
    uint64_t window_ns;
    /* End of the window, or UINT64_MAX if -n ends it. */
    uint64_t end_ns;
};

struct worker;

/* Results of a thread in one interval. Quantiles are not set. */
struct worker_row {
    struct worker_row *next;
    struct worker *worker;
    struct result_row row;
    struct record record;
    /* NULL if kinds are not counted. */
    struct kind_record *kinds;
};

void worker_row_free(struct worker_row *row);

/* Callbacks on the main thread. The argument of row() is the row, whose
 * ownership passes to the main thread. The argument of the others is the
 * worker. */
struct worker_ops {
    /* CLIENT_SETTLED and CLIENT_HOPELESS of client.h. */
    weir_callback_fn *settled;
    weir_callback_fn *hopeless;
    weir_callback_fn *row;
    weir_callback_fn *measured;
    weir_callback_fn *over;
};

struct worker {
    const struct worker_ops *ops;
    /* Reference to the main thread's loop. */
    weir_mailbox *home;
    const struct run_options *options;
    void *owner;
    struct client client;
    /* Set by the main thread before worker_begin(). */
    struct worker_plan plan;
    enum worker_phase phase;
    bool has_told_hopeless;
    int err;
    weir_loop *loop;
    int cpu;
    struct weir_handle phase_end;
    struct weir_handle interval_end;
    uint64_t interval_count;
    struct worker_row *row;
    /* Counters at the start of the interval (row_) and of the window
     * (begin_). */
    struct ledger row_ledger;
    struct error_counts row_errors;
    uint64_t row_ok;
    uint64_t row_sent;
    struct weir_loop_statistics row_statistics;
    uint64_t begin_ok;
    uint64_t begin_handshakes;
    struct host_usage begin_usage;
    struct weir_loop_statistics begin_statistics;
    /* Results of the window, set at its end. */
    uint64_t window_ns;
    uint64_t completed;
    uint64_t handshakes;
    struct host_usage usage;
    struct weir_loop_statistics statistics;
    /* Used by the main thread: rows not yet merged, oldest first. */
    struct worker_row *first_row;
    struct worker_row *last_row;
    bool is_settled;
    bool is_hopeless;
    bool is_over;
};

/* Allocates all memory. Returns 0 or a negative error that was printed.
 * worker_fini() must be called in both cases. */
int worker_init(struct worker *worker, const struct client_share *share);

/* Main task of the thread. @arg is the array of workers. */
int worker_run(weir_thread *thread, void *arg);

/* Called on the thread with weir_thread_call_soon(). worker_begin() starts the
 * plan; worker_finish() ends at once. */
void worker_begin(void *worker);
void worker_finish(void *worker);

/* Must be called after the thread has ended. */
void worker_fini(struct worker *worker);

/* Merges the results of all threads. Counts are added and histograms are
 * merged; nothing is averaged. */

/* Adds another thread's row of the same interval. gather_quantiles() then sets
 * the quantiles of the sum. */
void gather_row(const struct kinds *kinds, struct worker_row *sum,
                const struct worker_row *from);
void gather_quantiles(struct worker_row *sum);

/* Encodes the row's latencies. The row owns the text. */
void gather_histogram(struct worker_row *sum);

/* Adds the latencies of an interval to those of the run. */
void gather_times(struct result *result, const struct worker_row *row);

void gather_worker(struct result *result, const struct worker *worker);

/* Computes who used the CPUs of each thread. Must be called after
 * gather_worker() for all threads. */
void gather_sharing(struct result *result, const struct sharing_sample *begin,
                    const struct sharing_sample *end);

void gather_finish(struct result *result);

/* --wait: waits until the servers answer before the run starts, so that a job
 * may start a server and the load at the same time. */

/* Waits until a connection to each target is established. For http:// without
 * --proxy-protocol, it also waits for the answer to a request. Without --quiet,
 * prints each target that does not answer at once.
 *
 * Returns LOAD_OK or LOAD_INTERRUPTED. Returns LOAD_NOTHING (timeout) or
 * LOAD_INTERNAL after printing an error. */
enum load_exit standby_wait(const struct run_options *options);

#endif
