/*
 * All that a run has found out, as plain values: written once when it ends,
 * judged by verdict_reach(), and read by the reports.
 *
 * Times are nanoseconds. The measured window begins when the warm-up is over
 * and ends when sending stops (with -n: when the last answer is there).
 * A request belongs to the window if it was sent in it; the rate counts the
 * answers that arrived in it.
 */
#ifndef WEIR_LOAD_RESULT_H
#define WEIR_LOAD_RESULT_H

#include "client.h"
#include "exits.h"
#include "host.h"

#include "weir/loop.h"

#define RESULT_ROWS_MAX     3600U
#define RESULT_REMARKS_MAX  8U
#define RESULT_REMARK_SIZE  160U
#define RESULT_FEATURE_SIZE 4096U

/* One interval of the measured window. */
struct result_row {
    uint64_t begin_ns;
    uint64_t end_ns;
    uint64_t ok;
    uint64_t failed;
    uint64_t timeout;
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
    uint64_t in_flight;
    uint64_t open;
    uint64_t received_bytes;
    uint64_t sent_bytes;
};

/* Lines that explain a verdict. */
struct remarks {
    size_t count;
    char lines[RESULT_REMARKS_MAX][RESULT_REMARK_SIZE];
};

struct result {
    const struct run_options *options;
    /* Did the measured window begin at all? */
    bool measured_began;
    bool interrupted;
    /* Ended early, because nothing ever succeeded or no answer came. */
    bool gave_up;
    /* Wall clock at the begin of the window, ns since 1970. */
    uint64_t wall_begin_ns;
    uint64_t window_ns;
    uint64_t completed;
    struct ledger measured;
    struct ledger warmup;
    uint64_t in_flight;
    uint64_t warmup_in_flight;
    uint64_t events_without_request;
    /* Of the window; UDP only. */
    struct track_counts answers;
    struct error_table errors;
    struct histogram latency;
    struct histogram connect_latency;
    /* TLS: handshakes of the whole run, and those done in the window. */
    struct histogram handshake_latency;
    struct tls_facts tls;
    uint64_t handshakes;
    /* Connections. */
    uint64_t open_at_begin;
    uint64_t open_at_end;
    uint64_t opened;
    uint64_t connect_failed;
    uint64_t lost;
    /* Without one answer in the whole run, the warm-up included. */
    uint64_t never_answered;
    /* Of those, the ones whose failures are not among the measured ones. */
    uint64_t unseen_failures;
    bool same_machine;
    /* Bytes of the window, and what the library did in it. */
    uint64_t received_bytes;
    uint64_t sent_bytes;
    uint64_t turns;
    uint64_t enters;
    uint64_t overflows;
    uint64_t starved;
    /* The client's own CPU time in the window. */
    struct host_usage usage;
    struct host host;
    char features[RESULT_FEATURE_SIZE];
    struct result_row rows[RESULT_ROWS_MAX];
    size_t row_count;
    uint64_t rows_dropped;
    /* The verdict. */
    struct remarks invalid;
    struct remarks warnings;
    enum load_exit exit;
};

#endif
