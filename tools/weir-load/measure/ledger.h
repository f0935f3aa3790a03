/*
 * What became of the requests of a run, or of a part of it.
 *
 * Each request that the load model asks for is in it once, and stays in it:
 *
 *     scheduled = sent + dropped + those that still wait for a connection
 *     sent      = ok + failed + timeout + those still under way
 *
 * At the end of a run nothing waits for a connection any more, so that
 * scheduled = ok + failed + timeout + dropped + in flight.
 */
#ifndef WEIR_LOAD_LEDGER_H
#define WEIR_LOAD_LEDGER_H

#include <stdint.h>

struct ledger {
    /* Asked for by the model. A closed loop asks for what it sends. */
    uint64_t scheduled;
    /* Handed to a connection. */
    uint64_t sent;
    /* Answered as expected. */
    uint64_t ok;
    /* Answered wrongly, or lost with their connection. */
    uint64_t failed;
    /* Not answered within --timeout. */
    uint64_t timeout;
    /* Never sent: no connection was free, and --late or the end of the run
     * said not to wait any longer. */
    uint64_t dropped;
    /* Still under way when the window ended; of a whole run alone. */
    uint64_t in_flight;
};

/* One interval of the measured window. */
struct interval {
    uint64_t begin_ns;
    uint64_t end_ns;
    /* Requests that the schedule had in it; in a closed loop, those sent. */
    uint64_t offered;
    uint64_t ok;
    uint64_t failed;
    uint64_t timeout;
    uint64_t dropped;
    /* Of the answers that came in it: the response time in an open model, the
     * service time in a closed one; 0 without an answer. */
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
    /* When it ended. */
    uint64_t in_flight;
    uint64_t open;
    uint64_t received_bytes;
    uint64_t sent_bytes;
};

#endif
