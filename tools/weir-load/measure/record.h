/*
 * Latencies of one thread in one interval of a run.
 *
 * An answer that arrives in one piece has the same time for its first and its
 * last byte: it is counted once, in whole, and record_settle() adds it to both
 * service and ttfb.
 */
#ifndef WEIR_LOAD_RECORD_H
#define WEIR_LOAD_RECORD_H

#include "tools/load/histogram.h"

#include <stdint.h>

struct record {
    /* From the scheduled time; open models only. */
    struct histogram response;
    /* From the scheduled time until sending; own_lateness has only the part
     * caused by this program, without the wait for a connection. */
    struct histogram lateness;
    struct histogram own_lateness;
    /* Waits for a free connection or HTTP/2 stream, and until a server's window
     * has taken a whole body. */
    struct histogram blocked;
    /* Sampled time that answers waited in the socket; the response times of the
     * same requests, or service times in a closed loop; and what remains of
     * these without the time in the socket. */
    struct histogram reading;
    struct histogram sampled;
    struct histogram prompt;
    /* From the actual send time; answers in one piece. */
    struct histogram whole;
    /* From the actual send time; all others. */
    struct histogram service;
    struct histogram ttfb;
};

/* Initialises a record in memory that is all zero. */
void record_init(struct record *record);

/* Completes service and ttfb. */
void record_settle(struct record *record);

/* Adds the counts of another record, without loss. Both must be settled. */
void record_merge(struct record *record, const struct record *from);

#endif
