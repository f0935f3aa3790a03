/*
 * What a run over HTTP/2 counts besides: streams and header blocks, of the
 * whole run with its warm-up.
 *
 * Each count has its row in fields.c.
 */
#ifndef WEIR_LOAD_H2_COUNTS_H
#define WEIR_LOAD_H2_COUNTS_H

#include <stdint.h>

struct h2_counts {
    /* Connections that the server has allowed fewer streams than --pipeline. */
    uint64_t limited;
    /* The fewest streams that a server has allowed on a connection; 0: it was
     * never less than --pipeline, or none at all. */
    uint64_t allowed;
    /* The most that were under way on one. */
    uint64_t reached;
    /* Connections that the server has ended by GOAWAY. */
    uint64_t goaways;
    /* Requests that the server said it has not begun: REFUSED_STREAM, or above
     * the last stream of a GOAWAY. */
    uint64_t refused;
    /* Streams that the server has reset otherwise. */
    uint64_t resets;
    /* How often a server was stopped by a window of ours, and for how long: the
     * sum over streams, and over connections. */
    uint64_t window_stops;
    uint64_t window_stopped_ns;
    /* Bytes of header fields, and of the frames that carried them. */
    uint64_t header_bytes_out;
    uint64_t header_bytes_in;
    uint64_t packed_bytes_out;
    uint64_t packed_bytes_in;
};

#endif
