/*
 * All that a run has found out, as plain values: written once when it ends,
 * judged by verdict_reach(), and read by the reports.
 *
 * Times are nanoseconds. The measured window begins when the warm-up is over
 * and ends when sending stops (with -n: when the last answer is there).
 * A request belongs to the window if it was meant to be sent in it: by the
 * schedule in an open model, otherwise when it was sent. The rate counts the
 * answers that arrived in the window.
 */
#ifndef WEIR_LOAD_RESULT_H
#define WEIR_LOAD_RESULT_H

#include "tools/load/histogram.h"
#include "tools/weir-load/base/exits.h"
#include "tools/weir-load/conn/traffic.h"
#include "tools/weir-load/measure/errors.h"
#include "tools/weir-load/measure/host.h"
#include "tools/weir-load/measure/ledger.h"
#include "tools/weir-load/measure/sharing.h"
#include "tools/weir-load/measure/track.h"
#include "tools/weir-load/options/options.h"
#include "tools/weir-load/target/tls.h"

#include "weir/loop.h"

#define RESULT_ROWS_MAX     3600U
#define RESULT_REMARKS_MAX  16U
#define RESULT_REMARK_SIZE  640U
#define RESULT_FEATURE_SIZE 4096U
#define RESULT_THREADS_MAX  256U

/* One interval of the measured window. */
struct result_row {
    struct interval counts;
    /* Its latencies, in a text of hdr_encode_coarse(); NULL without an answer,
     * or where nothing asks for it. */
    char *hdr;
    /* Those that were counted in it. */
    struct error_counts errors;
};

/* What the loops of the library did in the window. */
struct result_loop {
    uint64_t turns;
    uint64_t enters;
    uint64_t overflows;
    uint64_t starved;
};

/* One thread of the client, in the measured window. */
struct result_thread {
    /* It was bound to this CPU; -1: it was not bound. */
    int cpu;
    uint64_t conn_count;
    uint64_t ok;
    uint64_t user_ns;
    uint64_t system_ns;
    /* Ready to run, but waiting for a CPU. */
    uint64_t run_queue_wait_ns;
    /* Of the CPUs that it could run on. */
    struct sharing sharing;
};

/* Lines that explain a verdict. */
struct remarks {
    size_t count;
    char lines[RESULT_REMARKS_MAX][RESULT_REMARK_SIZE];
};

struct result {
    const struct run_options *options;
    /* The load model; the same as in the options. */
    enum run_model model;
    /* Requests a second that the schedule had in the window, as it was made,
     * not as it was kept; 0 in a closed loop. */
    double offered_rate;
    /* Did the measured window begin at all? */
    bool measured_began;
    bool interrupted;
    /* Ended early, because nothing ever succeeded or no answer came. */
    bool gave_up;
    /* How much later than --start-at said the connections stood; 0: not. */
    uint64_t begin_late_ns;
    /* Wall clock at the begin of the window, ns since 1970. */
    uint64_t wall_begin_ns;
    uint64_t window_ns;
    /* Answers that arrived in the window, also those of the warm-up. */
    uint64_t completed;
    struct ledger measured;
    struct ledger warmup;
    uint64_t events_without_request;
    /* Requests that waited for a connection because all were busy. */
    uint64_t waited;
    /* Those of the window that an overloaded server did not answer in it; 0
     * where there is no overload. A part of the verdict. */
    uint64_t unserved;
    /* Answers by their status; all 0 where the protocol has none. */
    uint64_t status[TRAFFIC_STATUS_COUNT];
    /* Of the window; UDP only. */
    struct track_counts answers;
    /* By the places of options->groups; NULL: no kind is counted. */
    struct kind_record *kinds;
    struct error_table errors;
    /* From the time that a request was meant to be sent until its last byte is
     * here. Empty in a closed loop, where nothing else than the answer before
     * says when a request is due. Requests that timed out are in both. */
    struct histogram response;
    /* From the actual sending until the last byte is here. */
    struct histogram service;
    /* From the actual sending until the first byte is here. */
    struct histogram ttfb;
    /* How much later than meant requests were sent; and without the wait for a
     * connection, which is the client's own part. Empty in a closed loop. */
    struct histogram lateness;
    struct histogram own_lateness;
    /* Waits for a free connection or stream, and for a server's window; only
     * those that there were. */
    struct histogram blocked;
    /* How long answers were in their sockets before they were read, of samples
     * (reading.h). */
    struct histogram reading;
    /* Until a connection stands, without TLS. */
    struct histogram connect;
    /* TLS: handshakes of the whole run. */
    struct histogram handshake;
    struct tls_facts tls;
    /* The longest time without any answer while requests were under way, and
     * when it began, from the begin of the window. */
    uint64_t stall_ns;
    uint64_t stall_at_ns;
    struct connection_counts connections;
    struct h2_counts http2;
    char location[CODEC_LOCATION_SIZE];
    uint64_t shortages;
    int shortage;
    /* Of the connections that were never answered, the ones whose failures are
     * not among the measured ones. */
    uint64_t unseen_failures;
    bool same_machine;
    /* Bytes of the window, and what the library did in it. */
    uint64_t received_bytes;
    uint64_t sent_bytes;
    struct result_loop loop;
    /* The client's own CPU time in the window, all threads together. */
    struct host_usage usage;
    struct host host;
    struct result_thread threads[RESULT_THREADS_MAX];
    size_t thread_count;
    char features[RESULT_FEATURE_SIZE];
    struct result_row rows[RESULT_ROWS_MAX];
    size_t row_count;
    uint64_t rows_dropped;
    /* Requests in the file of --log, and those that are not. */
    uint64_t log_lines;
    uint64_t log_dropped;
    /* How the objectives of --slo came out. */
    struct slo_outcome slo[SLO_TERMS_MAX];
    /* The verdict. */
    struct remarks invalid;
    struct remarks warnings;
    enum load_exit exit;
};

#endif
