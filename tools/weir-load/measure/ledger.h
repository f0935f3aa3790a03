/*
 * Counts the requests of a run, or of a part of it, by their result.
 *
 * Each request of the load model is counted once:
 *
 *     scheduled = sent + dropped + waiting for a connection
 *     sent      = ok + failed + timeout + still in flight
 *
 * At the end of a run no request waits for a connection, so scheduled = ok +
 * failed + timeout + dropped + in flight.
 */
#ifndef WEIR_LOAD_LEDGER_H
#define WEIR_LOAD_LEDGER_H

#include <stdint.h>

struct ledger {
    /* Planned by the load model; in a closed loop equal to sent. */
    uint64_t scheduled;
    /* Passed to a connection. */
    uint64_t sent;
    uint64_t ok;
    /* With a wrong answer, or lost with their connection. */
    uint64_t failed;
    uint64_t timeout;
    /* Never sent: no connection was free within --late or until the end of the
     * run. */
    uint64_t dropped;
    /* In flight at the end of the window; for the whole run only. */
    uint64_t in_flight;
};

struct interval {
    uint64_t begin_ns;
    uint64_t end_ns;
    /* Requests scheduled in the interval; in a closed loop, sent in it. */
    uint64_t offered;
    uint64_t ok;
    uint64_t failed;
    uint64_t timeout;
    uint64_t dropped;
    /* Latency of the answers in the interval: response time in an open model,
     * service time in a closed loop; 0 without an answer. */
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
    /* At the end of the interval. */
    uint64_t in_flight;
    uint64_t open;
    uint64_t received_bytes;
    uint64_t sent_bytes;
};

#endif
