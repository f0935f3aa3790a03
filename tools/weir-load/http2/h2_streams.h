/*
 * Pending requests of an HTTP/2 connection: --pipeline slots, found by their
 * streams.
 *
 * A slot is free, live (its stream is open), or waiting to be sent again
 * because the server has not processed its request.
 */
#ifndef WEIR_LOAD_H2_STREAMS_H
#define WEIR_LOAD_H2_STREAMS_H

#include "h2_message.h"
#include "h2_window.h"
#include "tools/weir-load/conn/traffic.h"
#include "tools/weir-load/http1/wanted.h"
#include "tools/weir-load/request/http_request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* End of a list. */
#define H2_NONE UINT32_MAX

/* Value of grpc_status without grpc-status. */
#define H2_NO_STATUS UINT32_MAX

enum h2_stream_state {
    H2_FREE,
    H2_LIVE,
    H2_WAITING,
};

struct h2_stream {
    /* Neighbours in the list of its state. */
    uint32_t previous;
    uint32_t next;
    enum h2_stream_state state;
    struct flight flight;
    bool is_warmup;
    /* Number of refusals by the server. */
    uint8_t refusals;
    const struct http_request *request;
    /* Number of its HTTP/2 stream, or 0. */
    int32_t id;
    /* The body; if it varies it is in own_body, which stays allocated for the
     * next request. */
    const char *body;
    size_t body_len;
    size_t body_at;
    uint64_t opened_ns;
    char *own_body;
    struct h2_message message;
    uint64_t first_byte_ns;
    uint64_t body_bytes;
    uint16_t status;
    /* The server has sent RST_STREAM. */
    bool was_reset;
    bool is_grpc;
    uint32_t grpc_status;
    struct wanted_reader reader;
    struct h2_window window;
};

struct h2_list {
    uint32_t first;
    uint32_t last;
    uint32_t count;
};

struct h2_streams {
    uint32_t depth;
    /* Indexed by state. */
    struct h2_list lists[3];
    struct h2_stream *all;
};

/* Initialises with @depth free slots, which are borrowed and must be zeroed
 * before the first call. */
void h2_streams_init(struct h2_streams *self, struct h2_stream *places,
                     uint32_t depth);

/* Moves a slot to the end, or the head, of another state's list. */
void h2_streams_move(struct h2_streams *self, struct h2_stream *stream,
                     enum h2_stream_state state, bool at_head);

/* Returns the first slot in a state, or NULL. */
struct h2_stream *h2_streams_first(struct h2_streams *self,
                                   enum h2_stream_state state);

/* Returns the next slot in the same list, or NULL. */
struct h2_stream *h2_streams_next(struct h2_streams *self,
                                  const struct h2_stream *stream);

static inline uint32_t h2_streams_count(const struct h2_streams *self,
                                        enum h2_stream_state state)
{
    return self->lists[state].count;
}

void h2_streams_drop(struct h2_streams *self);

#endif
