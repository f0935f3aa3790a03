/*
 * Additional counters of a run over HTTP/2: streams and header blocks
 * of the whole run, warm-up included. Each counter has its row in
 * fields.c.
 */
#ifndef WEIR_LOAD_H2_COUNTS_H
#define WEIR_LOAD_H2_COUNTS_H

#include <stdint.h>

struct h2_counts {
    /* Connections with fewer streams allowed than --pipeline. */
    uint64_t limited;
    /* Smallest number of streams below --pipeline that a server allowed on a
     * connection; 0 if there was no such number, or if it allowed none at
     * all. */
    uint64_t allowed;
    /* Most streams in flight on a connection. */
    uint64_t reached;
    /* Connections that the server ended with GOAWAY. */
    uint64_t goaways;
    /* Requests that the server has not processed: REFUSED_STREAM, or above the
     * last stream id of a GOAWAY. */
    uint64_t refused;
    /* Streams that the server reset for another reason. */
    uint64_t resets;
    /* How often and how long servers could not send because our receive window
     * was used up; summed over streams and connections. */
    uint64_t window_stops;
    uint64_t window_stopped_ns;
    /* Bytes of header fields, and of the frames that carry them. */
    uint64_t header_bytes_out;
    uint64_t header_bytes_in;
    uint64_t packed_bytes_out;
    uint64_t packed_bytes_in;
};

#endif
