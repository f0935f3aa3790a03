/*
 * The results of a run as plain values: written once at the end, evaluated by
 * verdict_reach(), and read by the reports.
 *
 * Times are nanoseconds. The measured window begins after the warm-up and ends
 * when sending stops (with -n: with the last answer). A request belongs to the
 * window if it was scheduled in it, or in a closed loop if it was sent in it.
 * The rate counts answers that arrived in the window.
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

struct result_row {
    struct interval counts;
    /* Latencies in the format of hdr_encode_coarse(). NULL without an answer,
     * or if not requested. */
    char *hdr;
    /* Errors of the interval. */
    struct error_counts errors;
};

/* Counters of the library's loops in the window. */
struct result_loop {
    uint64_t turns;
    uint64_t enters;
    uint64_t overflows;
    uint64_t starved;
};

/* One thread of the client, in the window. */
struct result_thread {
    /* CPU that it was bound to, or -1. */
    int cpu;
    uint64_t conn_count;
    uint64_t ok;
    uint64_t user_ns;
    uint64_t system_ns;
    /* Time that it was ready to run but waited for a CPU. */
    uint64_t run_queue_wait_ns;
    /* Use of the CPUs that the thread could run on. */
    struct sharing sharing;
};

struct remarks {
    size_t count;
    char lines[RESULT_REMARKS_MAX][RESULT_REMARK_SIZE];
};

struct result {
    const struct run_options *options;
    enum run_model model;
    /* Scheduled requests per second in the window, sent or not; 0 in a closed
     * loop. */
    double offered_rate;
    /* False if the run ended before its window. */
    bool measured_began;
    bool interrupted;
    /* The run ended early, because no request succeeded or no answer
     * arrived. */
    bool gave_up;
    /* How long after --start-at sending started; 0 if it started in time. */
    uint64_t begin_late_ns;
    /* Wall clock at the start of the window, ns since 1970. */
    uint64_t wall_begin_ns;
    uint64_t window_ns;
    /* Number of answers that arrived in the window, even if the request was of
     * the warm-up. */
    uint64_t completed;
    struct ledger measured;
    struct ledger warmup;
    uint64_t events_without_request;
    /* Requests that waited because all connections were busy. */
    uint64_t waited;
    /* With an overloaded server: requests of the window that it did not answer
     * in the window; else 0. Set by the verdict. */
    uint64_t unserved;
    /* Answers by status; all 0 if the protocol has no status. */
    uint64_t status[TRAFFIC_STATUS_COUNT];
    /* UDP: late, duplicate and other answers in the window. */
    struct track_counts answers;
    /* Indexed like options->groups; NULL if kinds are not counted. */
    struct kind_record *kinds;
    struct error_table errors;
    /* Times from the scheduled time of a request to its last byte. Empty in a
     * closed loop, where a request is only due when the previous answer
     * arrives. Includes timeouts, like service. */
    struct histogram response;
    /* Times from the actual sending to the last byte. */
    struct histogram service;
    /* Times from the actual sending to the first byte. */
    struct histogram ttfb;
    /* How late requests were sent; own_lateness is without the wait for a
     * connection. Empty in a closed loop. */
    struct histogram lateness;
    struct histogram own_lateness;
    /* Waits for a free connection or stream, and for a server's window;
     * requests that did not wait are not included. */
    struct histogram blocked;
    /* Samples of how long answers were in their sockets (reading.h); the times
     * of the same requests; and these times without the time in the socket
     * (record.h). */
    struct histogram reading;
    struct histogram sampled;
    struct histogram prompt;
    /* Time to connect, without TLS. */
    struct histogram connect;
    /* TLS handshakes of the whole run. */
    struct histogram handshake;
    struct tls_facts tls;
    /* Longest time without an answer while requests were in flight, and its
     * start relative to the window. */
    uint64_t stall_ns;
    uint64_t stall_at_ns;
    struct connection_counts connections;
    struct h2_counts http2;
    char location[CODEC_LOCATION_SIZE];
    uint64_t shortages;
    int shortage;
    /* Connections that were never answered and whose failures are not
     * measured. */
    uint64_t unseen_failures;
    bool same_machine;
    /* Bytes in the window, and loop counters. */
    uint64_t received_bytes;
    uint64_t sent_bytes;
    struct result_loop loop;
    /* CPU time of all the client's threads in the window. */
    struct host_usage usage;
    struct host host;
    struct result_thread threads[RESULT_THREADS_MAX];
    size_t thread_count;
    char features[RESULT_FEATURE_SIZE];
    struct result_row rows[RESULT_ROWS_MAX];
    size_t row_count;
    uint64_t rows_dropped;
    /* Number of requests written to the file of --log, and number not
     * written. */
    uint64_t log_lines;
    uint64_t log_dropped;
    struct slo_outcome slo[SLO_TERMS_MAX];
    struct remarks invalid;
    struct remarks warnings;
    enum load_exit exit;
};

#endif
