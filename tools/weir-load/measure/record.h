/*
 * Latencies of one thread in one interval of a run.
 *
 * The first and the last byte of an answer that arrives in one piece have the
 * same time. Such an answer is counted once, in whole, and record_settle() adds
 * it to both service and ttfb.
 */
#ifndef WEIR_LOAD_RECORD_H
#define WEIR_LOAD_RECORD_H

#include "tools/load/histogram.h"

#include <stdint.h>

struct record {
    /* Times from the scheduled time to the answer; open models only. */
    struct histogram response;
    /* Times from the scheduled time until sending. own_lateness is the part
     * caused by this program, without the wait for a connection. */
    struct histogram lateness;
    struct histogram own_lateness;
    /* Waits for a free connection or HTTP/2 stream, and until a server's window
     * has taken a whole body. */
    struct histogram blocked;
    /* Samples of how long answers waited in the socket; the response times of
     * the same requests, in a closed loop their service times; and these times
     * without the time in the socket. */
    struct histogram reading;
    struct histogram sampled;
    struct histogram prompt;
    /* Times from sending to an answer in one piece. */
    struct histogram whole;
    /* Times from sending to the end of other answers. */
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
