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
};

#endif
