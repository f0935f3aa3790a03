/*
 * The times of one thread's requests, in one interval of a run.
 *
 * An answer that comes in one piece has its first byte when it has its last: it
 * is counted once, among the whole ones, and belongs to both the service times
 * and the times to the first byte. record_settle() puts it there.
 */
#ifndef WEIR_LOAD_RECORD_H
#define WEIR_LOAD_RECORD_H

#include "tools/load/histogram.h"

#include <stdint.h>

struct record {
    /* From the time that was meant; open models alone. */
    struct histogram response;
    /* Until the sending; and of that what this program alone is to blame for,
     * and not the wait for a connection. */
    struct histogram lateness;
    struct histogram own_lateness;
    /* Waits of requests: until a connection, or a stream of HTTP/2, was free;
     * and until a server's window had taken all of a body. */
    struct histogram blocked;
    /* Of samples of answers: in the socket, until they were read. */
    struct histogram reading;
    /* From the actual sending, of answers in one piece. */
    struct histogram whole;
    /* From the actual sending, of all others. */
    struct histogram service;
    struct histogram ttfb;
};

/* Begin with nothing counted, in memory that is all zero. */
void record_init(struct record *record);

/* Begin again with nothing counted. */
void record_clear(struct record *record);

/* Service times and times to the first byte are complete after this. */
void record_settle(struct record *record);

/* Add what another has counted, of another time or thread; nothing is lost.
 * Both are settled. */
void record_merge(struct record *record, const struct record *from);

#endif
